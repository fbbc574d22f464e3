"""Answers one user message: the core shared by the HTTP chat service and the MQTT bridge."""

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
from agentkit.middleware.sampling import Sampling
from agentkit.serving.exchange import Answer, RequestState, UserInput
from agentkit.session import Sessions
from agentkit.transcript import Transcript


class ChatService:
    """Answers user messages with an agent, using one model and one session store. Thread-safe.

    history_tokens: maximum number of tokens of a session's history sent to the model. calls_at_once: maximum number of
    answers generated concurrently. limits: run limits of one answer; None: at most 10 turns.
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
        self._slots = threading.BoundedSemaphore(calls_at_once)

    def test(self) -> None:
        """Send a minimal request to the model server. Raises the openai package's APIError when it is not usable."""
        with closing(self._sampled({"max_tokens": 1}).reply(Request(Transcript([user("Hello")])))) as deltas:
            for _ in deltas:
                pass

    def answer(
        self,
        user_input: UserInput,
        on_event: Callable[[Event], object] | None = None,
        cancel: threading.Event | None = None,
    ) -> Answer | None:
        """Return the answer; None when this message was already answered. on_event: called with each event of the run
        except `RunFinished`. cancel: set it to stop the run.

        Raises what `Agent.run` raises; the message is then rolled back from the session.
        """
        if user_input.session is None:
            result = self._run(user_input, user_input.text, {"messages": user_input.messages}, on_event, cancel)
            return Answer(str(result.output).strip(), result=result)
        session = self.sessions[user_input.session]
        state = self.begin(user_input)
        if state.is_answered or state.has_answer:
            return None if state.is_answered else state.answer
        text = None if state.is_asked else user_input.text
        with rolled_back(session, user_input.text):
            result = self._run(user_input, text, {"session": session}, on_event, cancel)
        was_cut = RequestState.read(session.entries(state.start)).is_cut
        return Answer(str(result.output).strip(), was_cut, result)

    def agent(self, user_input: UserInput) -> Agent:
        """Return the agent that answers a message."""
        return Agent(
            self._sampled(user_input.sampling),
            tools=user_input.tools,
            instructions=user_input.system_prompt,
            window=self._window,
            limits=self._limits,
        )

    @property
    def slots(self) -> threading.BoundedSemaphore:
        """Semaphore that each answer holds while it is generated."""
        return self._slots

    def _run(
        self,
        user_input: UserInput,
        text: Prompt | None,
        history: Mapping[str, Any],
        on_event: Callable[[Event], object] | None,
        cancel: threading.Event | None,
    ) -> Result:
        with self._slots, self.agent(user_input).stream(text, cancel=cancel, **history) as run:
            for event in run:
                if on_event is not None and not isinstance(event, RunFinished):
                    on_event(event)
            assert run.result is not None
            return run.result

    def _sampled(self, sampling: Mapping[str, Any]) -> Backend:
        return Sampling(self._backend, sampling) if sampling else self._backend

    # ---- progress of a request

    def begin(self, user_input: UserInput) -> "RequestState":
        """Return the state of a message's request, which an earlier process may have begun, and record it as begun."""
        assert user_input.session is not None
        session = self.sessions[user_input.session]
        entries = session.entries()
        state = RequestState.of(user_input, entries)
        if user_input.request_id and not state.is_begun:
            with session.hold() as writer:
                writer.note_request(user_input.request_id, "begun")
        return state

    def note_answered(self, session: str, request_id: str) -> None:
        """Record that the client has received the answer to a request."""
        if request_id:
            with self.sessions[session].hold() as writer:
                writer.note_request(request_id, "answered")

    def forget(self, keys: Iterable[str]) -> None:
        """Delete sessions."""
        for key in keys:
            with contextlib.suppress(SessionError):
                self.sessions.delete(key)


def process_user_input_with_llm(
    service: ChatService,
    user_input: UserInput,
    on_event: Callable[[Event], object] | None = None,
    cancel: threading.Event | None = None,
) -> Answer | None:
    """Return the answer to a user message; None when it was already answered. Every network entry point reaches the
    model through this function. See `ChatService.answer`."""
    return service.answer(user_input, on_event, cancel)


@contextlib.contextmanager
def rolled_back(session: Session, text: Prompt | None) -> Iterator[None]:
    """Roll a user message back when answering it fails, so that it does not remain in the history."""
    try:
        yield
    except SessionBusyError:
        raise  # the session was not changed
    except Exception:
        _roll_back(session, text)
        raise


def _roll_back(session: Session, text: Prompt | None) -> None:
    """Remove an unanswered user message and everything after it, unless a newer user message exists or the last one
    was answered."""
    with contextlib.suppress(SessionError), session.hold() as writer:
        messages = session.messages
        positions = [index for index, each in enumerate(messages) if each["role"] == "user"]
        if text is None or not positions or messages[positions[-1]]["content"] != user(text)["content"]:
            return
        is_answered = messages[-1]["role"] == "assistant" and not messages[-1].get("tool_calls")
        if not is_answered:
            writer.undo(len(messages) - positions[-1])
