"""A stopped answer keeps the text that came, as such, and the model knows of it.

Kind of reports elsewhere: tidyverse/ellmer#643, openai/codex#2943, nesquena/hermes-webui#6074 (what the user was
reading when they pressed Stop is gone from the conversation, and the model has no record of it).
"""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentkit import Agent, Limits, Session, tool
from agentkit.backend import Request
from agentkit.event import Reply, ReplyDiscarded, ReplyFinished, TextDelta
from agentkit.message import STOP_NOTES
from agentkit.middleware.base import Middleware
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from agentkit.transcript import Transcript
from tests.support.model_server import Answer, Asked, delta, serve, streamed, whole

NOTE = STOP_NOTES["cancelled"]
WORDS = [delta(content=f"word{number} ") for number in range(400)]
SLOW = streamed(*WORDS, piece=120, pause=0.03)


@pytest.fixture
def session() -> Iterator[Session]:
    with MemorySessions(wait=0.2) as sessions:
        yield sessions["a"]


def stopped_at(agent: Agent, text: str, **options: Any) -> Any:
    """The result of a streamed run that is cancelled when its text has `text`."""
    cancel = threading.Event()
    came = ""
    for event in agent.stream("Go.", cancel=cancel, **options):
        if isinstance(event, TextDelta):
            came += event.text
            if text in came:
                cancel.set()
        result = getattr(event, "result", None)
    return result


def test_a_cancelled_stream_keeps_its_text_in_the_transcript_and_the_session(session: Session) -> None:
    def reply(asked: Asked) -> Answer:
        return SLOW if len(asked.body["messages"]) == 1 else whole("Yes.")

    with serve(reply) as server, Agent(f"openai:m@{server.url}") as agent:
        result = stopped_at(agent, "word1 ", session=session)
        assert result.stopped == "cancelled"
        assert result.output == "word0 word1"
        assert result.usage.requests == 1
        assert [message["role"] for message in result.messages] == ["user", "assistant"]
        assert result.messages[1]["content"] == f"word0 word1\n\n{NOTE}"
        assert session.messages == result.messages
        assert agent.run("Did you stop?", session=session).output == "Yes."
        assert server.requests[1].body["messages"][:2] == result.messages
        assert session.entries()[1].extra["stopped"] == "cancelled"


def test_a_run_whose_time_is_up_keeps_the_text_that_came(session: Session) -> None:
    def reply(asked: Asked) -> Answer:
        return streamed(*WORDS[:3], done=False, linger=2)

    with serve(reply) as server, Agent(f"openai:m@{server.url}", limits=Limits(seconds=1.0)) as agent:
        result = list(agent.stream("Go.", session=session))[-1].result  # type: ignore[attr-defined]
        assert result.stopped == "seconds"
        assert result.output == "word0 word1 word2"
        assert result.messages[-1]["content"].endswith(STOP_NOTES["seconds"])
        Transcript(result.messages)
        assert session.messages == result.messages


def test_a_run_that_is_not_streamed_has_no_text_to_keep(session: Session) -> None:
    cancel = threading.Event()

    def reply(asked: Asked) -> Answer:
        cancel.set()
        return Answer(whole("Late.").body, delay=1.0)

    with serve(reply) as server, Agent(f"openai:m@{server.url}") as agent:
        result = agent.run("Go.", session=session, cancel=cancel)
    assert (result.stopped, result.output) == ("cancelled", "")
    assert [message["role"] for message in session.messages] == ["user"]


def test_a_scripted_reply_is_kept_and_its_calls_are_dropped(session: Session) -> None:
    @tool
    def act() -> str:
        """Act."""
        raise AssertionError("it was not called")

    call = {"id": "a", "type": "function", "function": {"name": "act", "arguments": "{}"}}
    backend = ScriptedBackend({"content": "I will act now.", "tool_calls": [call]}, "Good.")
    agent = Agent(backend, tools=[act])
    result = stopped_at(agent, "will", session=session)
    assert result.messages[1:] == [{"role": "assistant", "content": f"I will\n\n{NOTE}"}]
    assert (result.output, result.stopped, result.tool_calls) == ("I will", "cancelled", [])
    assert agent.run("Go on.", session=session).output == "Good."
    assert backend.requests[1].messages[1] == result.messages[1]


def test_nothing_is_due_after_it_and_it_is_not_taken_for_an_answer(session: Session) -> None:
    agent = Agent(ScriptedBackend("One two three."))
    stopped_at(agent, "two", session=session)
    resumed = agent.resume(session)
    assert (resumed.output, resumed.stopped, resumed.usage.requests) == ("One two", "cancelled", 0)


def test_the_event_of_the_stopped_reply_says_why(session: Session) -> None:
    cancel = threading.Event()
    events = []
    for event in Agent(ScriptedBackend("One two.")).stream("Go.", cancel=cancel):
        events.append(event)
        if isinstance(event, TextDelta):
            cancel.set()
    (finished,) = (event for event in events if isinstance(event, ReplyFinished))
    assert finished.reply.finish_reason == "cancelled"
    assert finished.adds == (finished.reply.message,)


def test_text_that_was_discarded_does_not_count() -> None:
    class Discarding(Middleware):
        def reply(self, request: Request) -> Any:
            yield TextDelta("Wrong.")
            yield ReplyDiscarded()
            yield TextDelta("Right")
            yield TextDelta(" and more")
            yield Reply({"role": "assistant", "content": "Right and more"})

    result = stopped_at(Agent(ScriptedBackend(), middleware=[Discarding]), "Right")
    assert result.output == "Right"


def test_a_typed_answer_that_is_stopped_is_no_complaint(session: Session) -> None:
    class Schema(Middleware):
        """Takes a schema, so that the answer is text."""

        def capabilities(self, ask: bool = False) -> Any:
            from agentkit.backend import Capabilities

            return Capabilities(schema="always")

    backend = ScriptedBackend('{"value": [1, 2, 3]}', '{"value": [4]}')
    agent = Agent(backend, middleware=[Schema])
    result = stopped_at(agent, "1,", session=session, output=list[int])
    assert (result.output, result.stopped) == (None, "cancelled")
    assert len(backend.requests) == 1
    assert agent.run("Again.", session=session, output=list[int]).output == [4]


@pytest.mark.parametrize("inside", [True, False])
def test_ctrl_c_keeps_the_text(inside: bool, session: Session) -> None:
    """Both while the run works and while its reader does."""

    class Interrupted(Middleware):
        def reply(self, request: Request) -> Any:
            yield TextDelta("Some text")
            if inside:
                raise KeyboardInterrupt
            yield TextDelta(" and more")

    agent = Agent(ScriptedBackend(), middleware=[Interrupted])
    run = agent.stream("Go.", session=session)

    def read() -> None:
        with run:
            for event in run:
                if isinstance(event, TextDelta) and not inside:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read()
    assert run.messages[-1]["content"] == f"Some text\n\n{NOTE}"
    assert session.messages == run.messages


class Interrupting(MemorySessions):
    """Ctrl-C comes while it stores a reply, before or after that is stored."""

    is_after = False
    is_over = False

    def _append_marked(self, session_id: str, entries: Any, *rest: Any) -> None:
        is_reply = not self.is_over and any('"assistant"' in each for each in entries)
        self.is_over = self.is_over or is_reply
        if is_reply and not self.is_after:
            raise KeyboardInterrupt
        super()._append_marked(session_id, entries, *rest)
        if is_reply:
            raise KeyboardInterrupt


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("has_calls", [False, True])
def test_ctrl_c_while_a_reply_is_stored_adds_no_second_one(has_calls: bool, is_after: bool) -> None:
    @tool
    def pay() -> str:
        """Pay."""
        return "paid"

    calls = [{"function": {"name": "pay", "arguments": "{}"}}] if has_calls else []
    step: Any = {"content": "It costs 5.", "tool_calls": calls} if calls else "It costs 5."
    with Interrupting(wait=0.2) as store:
        store.is_after = is_after
        run = Agent(ScriptedBackend(step), tools=[pay]).stream("Pay.", session=store["a"])
        with pytest.raises(KeyboardInterrupt) as raised:
            list(run)
        assert raised.value.messages == run.messages  # type: ignore[attr-defined]
        assert [each["content"] for each in run.messages] == ["Pay.", "It costs 5."]
        assert store["a"].messages == run.messages[: 2 if is_after else 1]
        assert not store["a"].is_held


def test_a_failure_keeps_no_half_answer(session: Session) -> None:
    class Failing(Middleware):
        def reply(self, request: Request) -> Any:
            yield TextDelta("Some text")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(Agent(ScriptedBackend(), middleware=[Failing]).stream("Go.", session=session))
    assert session.messages == []


def test_a_run_that_is_closed_can_be_continued_with_another_reply(session: Session) -> None:
    agent = Agent(ScriptedBackend("One two.", "Three."))
    with agent.stream("Go.", session=session) as run:
        assert any(isinstance(event, TextDelta) for event in run)
    assert agent.resume(session).output == "Three."


def test_the_next_request_is_valid_json_with_half_a_character(session: Session) -> None:
    class Cut(Middleware):
        def reply(self, request: Request) -> Any:
            yield TextDelta("A \ud83d")
            yield TextDelta("\ude00")

    stop: Callable[[Any, str], Any] = stopped_at
    result = stop(Agent(ScriptedBackend(), middleware=[Cut]), "A")
    assert json.loads(b"[" + Transcript(result.messages).encoded() + b"]")[1]["content"] == f"A \ufffd\n\n{NOTE}"
