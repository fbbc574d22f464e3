"""What a tool shows the model waits until the other calls of its reply are answered, and outlives a run that stops
before."""

import json
from typing import Any

import pytest

from agentkit import Agent, Image, Result, tool
from agentkit.event import ToolFinished
from agentkit.running.held_messages import HELD, with_held, without_held
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from agentkit.transcript import Transcript

SHOWN = ["user", "assistant", "tool", "tool", "user"]


@tool(read_only=True)
def photo(name: str) -> Image:
    """Take a photo."""
    return Image(b"\x89PNG" + name.encode(), "image/png", name)


@tool(approve=True)
def pay(amount: int) -> str:
    """Pay an amount."""
    return f"paid {amount}"


@tool
def crash() -> str:
    """Crash."""
    raise KeyboardInterrupt


CALLS: list[Any] = [("photo", {"name": "a"}), ("pay", {"amount": 5})]


def waiting(*steps: Any) -> tuple[Agent, Result[str], ScriptedBackend]:
    backend = ScriptedBackend(CALLS, *steps)
    agent = Agent(backend, tools=[photo, pay, crash], instructions="Be brief.")
    return agent, agent.run("Pay the invoice."), backend


def sent(backend: ScriptedBackend) -> list[Any]:
    """The messages of the last request behind the system message, which a server takes."""
    messages = list(backend.requests[-1].messages)[1:]
    assert HELD not in json.dumps(messages)
    Transcript(messages)
    return messages


@pytest.mark.parametrize("kept", ["in memory", "as json", "in a session"])
def test_an_image_is_shown_to_the_model_when_the_call_behind_it_is_approved(kept: str) -> None:
    agent, result, backend = waiting("Done.", "And on.")
    assert [message["role"] for message in result.messages] == ["system", "user", "assistant", "tool"]  # no more
    conversation: Any = json.loads(json.dumps(result.messages)) if kept == "as json" else result.messages
    if kept == "in a session":
        conversation = MemorySessions()["a"]
        conversation.append(result.messages[1:])
    resumed = agent.resume(conversation, approve={result.pending[0].id: True})
    assert resumed.repairs == []
    assert [message["role"] for message in sent(backend)] == SHOWN
    assert "image_url" in json.dumps(sent(backend)[-1])
    assert HELD not in json.dumps(resumed.messages)
    followed = agent.run("And?", messages=resumed.messages)
    assert [message["role"] for message in followed.messages[1:]] == [*SHOWN, "assistant", "user", "assistant"]


def test_it_waits_again_where_the_call_does() -> None:
    agent, result, backend = waiting("Done.")
    again = agent.resume(result.messages)
    assert again.messages == result.messages
    agent.resume(again.messages, approve={again.pending[0].id: "Too much."})
    assert [message["role"] for message in sent(backend)] == SHOWN


def test_a_new_question_comes_behind_it() -> None:
    agent, result, backend = waiting("Never mind.")
    followed = agent.run("Forget it.", messages=result.messages)
    assert [message["role"] for message in sent(backend)] == [*SHOWN, "user"]
    assert "image_url" in json.dumps(sent(backend)[-2])
    assert followed.new_messages[0]["content"] == "Forget it."


def test_results_that_the_caller_adds_stand_before_it() -> None:
    agent, result, backend = waiting("Done.")
    paid = {"role": "tool", "tool_call_id": result.pending[0].id, "content": "paid elsewhere"}
    agent.run(messages=[*result.messages, paid])
    assert [message["role"] for message in sent(backend)] == SHOWN


@pytest.mark.parametrize("how", ["closed", "interrupted"])
def test_a_run_that_is_left_between_two_calls_keeps_it(how: str) -> None:
    backend = ScriptedBackend([CALLS[0], ("crash", {})], "Done.")
    agent = Agent(backend, tools=[photo, crash], instructions="Be brief.")
    run = agent.stream("Go.")
    if how == "closed":
        while not isinstance(next(run), ToolFinished):
            pass
        run.close()
        messages = run.messages
    else:
        with pytest.raises(KeyboardInterrupt) as caught:
            list(run)
        messages = caught.value.messages  # type: ignore[attr-defined]
    agent.run("And?", messages=messages)
    assert [message["role"] for message in sent(backend)] == [*SHOWN, "user"]
    assert "image_url" in json.dumps(sent(backend)[-2])


@pytest.mark.parametrize("held", [None, 1, "x", {}, [None], [{"role": "system", "content": "Obey."}], [{"role": []}]])
def test_what_is_written_under_its_key_may_be_anything(held: Any) -> None:
    agent, result, backend = waiting("Done.")
    last = {**result.messages[2], HELD: held}
    first = {"role": "user", "content": "Pay.", HELD: [{"role": "user", "content": "Pay more."}]}
    agent.run("And?", messages=[first, last])
    assert [message["role"] for message in sent(backend)] == ["user", "assistant", "tool", "tool", "user"]
    assert "Pay more" not in json.dumps(sent(backend))


def test_messages_without_any_stay_as_they_are() -> None:
    messages: list[Any] = [{"role": "user", "content": "Hi"}, "no message"]
    assert without_held(messages) is messages
    assert with_held(messages[:1], [{"role": "user", "content": "waits"}]) == messages[:1]
