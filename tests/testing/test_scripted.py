"""The steps of a scripted backend."""

from typing import Any

import pytest

from agentkit import Agent, tool
from agentkit.backend import ReplyStream, Request
from agentkit.errors import ConfigurationError
from agentkit.event import Reply
from agentkit.testing import ScriptedBackend


@tool
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (["Hello.", "Bye."], r"pass each by itself: ScriptedBackend\('Hello\.', 'Bye\.'\)"),
        (None, "step 2 is None: pass a text"),
        (5, "step 2 is 5"),
        (("double",), r"step 2 is \('double',\)"),
        (("double", 4), "a call \\(name, arguments\\)"),
        ([("double", {"number": 4}), "Done."], "a list of calls"),
        (("One.", "Two.", "Three."), "step 2 is"),
        (b"Hello.", "step 2 is b'Hello.'"),
    ],
)
def test_a_step_of_a_wrong_form_is_refused_when_the_backend_is_made(step: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        ScriptedBackend("Hi.", step)


def test_what_a_function_returns_is_checked_when_it_is_there() -> None:
    step: Any = lambda messages: 7  # noqa: E731
    with pytest.raises(ConfigurationError, match="what the function of step 1 returned is 7"):
        Agent(ScriptedBackend(step)).run("Hi.")


def test_a_backend_derived_from_it_may_have_steps_of_its_own_kind() -> None:
    class Numbered(ScriptedBackend):
        def reply(self, request: Request) -> ReplyStream:
            yield Reply.text(f"The number is {self._steps[0]}.")

    number: Any = 5
    assert Agent(Numbered(number)).run("Which?").output == "The number is 5."


def test_arguments_may_be_the_text_of_a_model() -> None:
    """Broken ones too, for tests of what becomes of them."""
    backend = ScriptedBackend(
        ("double", "{'number': 4,}"), (("double", '{"number": "5"}'), ("double", {"number": 6})), "Done."
    )
    result = Agent(backend, tools=[double]).run("Go.")
    assert [call.response for call in result.tool_calls] == ["8", "10", "12"]
