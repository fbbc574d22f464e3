"""Agents that are made of another one with other arguments (`Agent.replace`)."""

import pytest

from agentkit import Agent, Hook, Limits, Window, tool
from agentkit.errors import ConfigurationError
from agentkit.testing import ScriptedBackend
from tests.support.model_server import serve, whole


@tool
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


class Counting(Hook):
    def __init__(self) -> None:
        self.events = 0

    def on_event(self, event: object) -> None:
        self.events += 1


def test_a_test_has_a_scripted_model_in_the_place_of_the_programs_own() -> None:
    """What tests of others ask for (pydantic-ai#872, google/adk-python#1707, strands-agents/harness-sdk#2902)."""
    hook = Counting()
    agent = Agent(
        "openai:a-model@http://127.0.0.1:9/v1",
        tools=[double],
        instructions="Be brief.",
        hooks=[hook],
        limits=Limits(turns=4),
        window=Window(8000),
    )
    backend = ScriptedBackend(("double", {"number": 4}), "8.")
    tested = agent.replace(model=backend)
    assert tested.run("Twice four?").output == "8."
    assert backend.requests[0].messages[0]["content"] == "Be brief."
    assert (tested.tools, tested.limits, tested.backend) == (agent.tools, agent.limits, backend)
    assert hook.events > 0
    assert agent.backend is not backend


def test_what_is_not_replaced_stays_and_a_given_backend_is_shared() -> None:
    backend = ScriptedBackend("One.", "Two.")
    agent = Agent(backend, tools=[double], limits=Limits(turns=3))
    other = agent.replace(limits=Limits(turns=1), tools=[])
    assert (agent.run("A?").output, other.run("B?").output) == ("One.", "Two.")
    assert (agent.limits.turns, other.limits.turns) == (3, 1)
    assert ([each.name for each in agent.tools], other.tools) == (["double"], ())


def test_a_model_of_a_name_is_made_again_and_closed_with_its_agent() -> None:
    with serve(lambda asked: whole("Hello.")) as server:
        agent = Agent(f"openai:m@{server.url}")
        with agent.replace(instructions="Be kind.") as other:
            assert other.run("Hi.").output == "Hello."
        assert agent.run("Hi.").output == "Hello."
        agent.close()


def test_a_subclass_is_replaced_by_one_of_its_own_kind() -> None:
    class Mine(Agent):
        def twice(self, prompt: str) -> str:
            return self.run(prompt).output * 2

    assert Mine(ScriptedBackend()).replace(model=ScriptedBackend("Ha")).twice("Laugh.") == "HaHa"


def test_wrong_arguments_are_refused_as_those_of_an_agent() -> None:
    agent = Agent(ScriptedBackend("Hi."))
    with pytest.raises(ConfigurationError, match="limits=5 is not valid"):
        agent.replace(limits=5)
    with pytest.raises(TypeError, match="temperature"):
        agent.replace(temperature=0)


def test_whoever_sets_an_attribute_is_told_what_to_do_instead() -> None:
    agent = Agent(ScriptedBackend("Hi."))
    with pytest.raises(AttributeError, match=r"immutable.*make another one, with agent\.replace\(limits=\.\.\.\)"):
        agent.limits = Limits()  # type: ignore[misc]

    class Late(Agent):
        def __init__(self) -> None:
            super().__init__(ScriptedBackend("Hi."))
            self.user = "ann"

    class InTime(Agent):
        def __init__(self) -> None:
            self.user = "ann"
            super().__init__(ScriptedBackend("Hi."))

    with pytest.raises(AttributeError, match=r"attributes of its own, such as user, before super\(\)\.__init__\(\)"):
        Late()
    assert (InTime().user, InTime().run("Hi.").output) == ("ann", "Hi.")
