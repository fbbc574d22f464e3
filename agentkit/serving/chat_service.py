"""One message in, one answer out: what each door that serves others does with a user's words."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

from agentkit import Agent, Limits, Result, Session, SessionError, Window
from agentkit.backend import Backend, Request
from agentkit.errors import SessionBusyError
from agentkit.event import Event, RunFinished
from agentkit.message import Prompt, user
from agentkit.serving.exchange import Answer, RequestState, UserInput
from agentkit.session import Sessions
from agentkit.transcript import Transcript


class ChatService:
    """Answers from a model and a store of sessions; shared by threads.

    history_tokens: of a session, that are sent. calls_at_once: answers that are worked on at once. limits: of one
    answer.
    """

    def __init__(
        self,
        backend: Backend,
        sessions: Sessions,
        *,
        history_tokens: int = 10_000,
        calls_at_once: int = 8,
        limits: Limits | None = None,
    ) -> None:
        self.sessions = sessions
        self._backend = backend
        self._window = Window(history_tokens)
        self._limits = limits or Limits(turns=10)
        self._room = threading.BoundedSemaphore(calls_at_once)

    def test(self) -> None:
        """Ask the model server for a word. Raises the openai package's APIError when it can't be used."""
        with closing(self._sampled({"max_tokens": 1}).reply(Request(Transcript([user("Hello")])))) as pieces:
            for _ in pieces:
                pass

    def answer(
        self,
        asked: UserInput,
        tell: Callable[[Event], object] | None = None,
        cancel: threading.Event | None = None,
    ) -> Answer | None:
        """The answer; None when this message was answered before. tell: told of what happens, but for the end. cancel:
        set it to stop.

        Raises what `Agent.run` raises; the session then does not have the message.
        """
        if asked.session is None:
            result = self._run(asked, asked.text, {"messages": asked.messages}, tell, cancel)
            return Answer(str(result.output).strip(), result=result)
        session = self.sessions[asked.session]
        begun = self.begin(asked)
        if begun.is_answered or begun.is_said:
            return None if begun.is_answered else begun.answer
        text = None if begun.is_asked else asked.text
        with rolled_back(session, asked.text):
            result = self._run(asked, text, {"session": session}, tell, cancel)
        was_cut = RequestState.read(session.entries(begun.start)).is_cut
        return Answer(str(result.output).strip(), was_cut, result)

    def agent(self, asked: UserInput) -> Agent:
        """The agent for a message."""
        return Agent(
            self._sampled(asked.sampling),
            tools=asked.tools,
            instructions=asked.system_prompt,
            window=self._window,
            limits=self._limits,
        )

    @property
    def room(self) -> threading.BoundedSemaphore:
        """Held by each answer that is worked on."""
        return self._room

    def _run(
        self,
        asked: UserInput,
        text: Prompt | None,
        history: Mapping[str, Any],
        tell: Callable[[Event], object] | None,
        cancel: threading.Event | None,
    ) -> Result:
        with self._room, self.agent(asked).stream(text, cancel=cancel, **history) as run:
            for event in run:
                if tell is not None and not isinstance(event, RunFinished):
                    tell(event)
            assert run.result is not None
            return run.result

    def _sampled(self, sampling: Mapping[str, Any]) -> Backend:
        with_sampling = getattr(self._backend, "with_sampling", None)  # the extractive model has none
        sampled: Backend = with_sampling(**sampling) if with_sampling and sampling else self._backend
        return sampled

    # ---- how far a request is

    def begin(self, asked: UserInput) -> "RequestState":
        """How far the answer to a message is: a process may have been killed that had begun it. It is begun now."""
        assert asked.session is not None
        session = self.sessions[asked.session]
        entries = session.entries()
        begun = RequestState.of(asked, entries)
        if asked.request_id and not begun.is_begun:
            with session.hold() as writer:
                writer.note_request(asked.request_id, "begun")
        return begun

    def note_answered(self, session: str, request_id: str) -> None:
        """Note that the client has the answer to a request."""
        if request_id:
            with self.sessions[session].hold() as writer:
                writer.note_request(request_id, "answered")

    def forget(self, keys: Iterable[str]) -> None:
        """Forget the histories of sessions."""
        for key in keys:
            with contextlib.suppress(SessionError):
                self.sessions.delete(key)


def process_user_input_with_llm(
    answerer: ChatService,
    asked: UserInput,
    tell: Callable[[Event], object] | None = None,
    cancel: threading.Event | None = None,
) -> Answer | None:
    """The answer to a user's message, None when it was answered before: the one way that leads from each door to the
    model. See `ChatService.answer`."""
    return answerer.answer(asked, tell, cancel)


@contextlib.contextmanager
def rolled_back(session: Session, text: Prompt | None) -> Iterator[None]:
    """What a user says is taken back when answering it fails, so that it is no part of the history."""
    try:
        yield
    except SessionBusyError:
        raise  # nothing of it is in the session
    except Exception:
        _roll_back(session, text)
        raise


def _roll_back(session: Session, text: Prompt | None) -> None:
    """Take a message back that got no answer, with all that followed; unless another one was said since, or the
    last one was answered."""
    with contextlib.suppress(SessionError), session.hold() as writer:
        messages = session.messages
        places = [place for place, each in enumerate(messages) if each["role"] == "user"]
        if text is None or not places or messages[places[-1]]["content"] != user(text)["content"]:
            return
        is_answered = messages[-1]["role"] == "assistant" and not messages[-1].get("tool_calls")
        if not is_answered:
            writer.undo(len(messages) - places[-1])
