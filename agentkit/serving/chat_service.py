"""Answers one user message: the core shared by the HTTP chat service and the MQTT bridge."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import Any

from agentkit import Agent, Limits, Result, SessionError, Window
from agentkit.backend import Backend, Request
from agentkit.event import Event, RunFinished
from agentkit.message import Prompt, user
from agentkit.serving.exchange import Answer, UserInput
from agentkit.session import Sessions
from agentkit.toolbox import Toolbox
from agentkit.transcript import Transcript


class ChatService:
    """Answers user messages with one agent, using one model and one session store. Thread-safe.

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
        self._agent = Agent(backend, window=Window(history_tokens), limits=limits or Limits(turns=10))
        self._toolbox = functools.lru_cache(64)(Toolbox)
        self._slots = threading.BoundedSemaphore(calls_at_once)

    def test(self) -> None:
        """Send a minimal request to the model server. Raises the openai package's APIError when it is not usable."""
        request = Request(Transcript([user("Hello")]), sampling={"max_tokens": 1})
        with closing(self._backend.reply(request)) as deltas:
            for _ in deltas:
                pass

    def answer(
        self,
        user_input: UserInput,
        on_event: Callable[[Event], object] | None = None,
        cancel: threading.Event | None = None,
    ) -> Answer:
        """Return the answer; that of an earlier run when this request was answered before. on_event: called with each
        event of the run except `RunFinished`. cancel: set it to stop the run, also while it waits for its session.

        Raises what `Agent.run` raises. A message whose run fails before it had an effect is not kept in its session.
        """
        if user_input.session is None:
            conversation = {"messages": user_input.messages}
            return _answer(self._run(user_input, user_input.prompt(), conversation, on_event, cancel), False)
        turn_options: dict[str, Any] = {"content": user_input.sent, "is_retry": user_input.is_retry}
        if cancel is not None:
            turn_options["gives_up"] = cancel.is_set
        with self.sessions[user_input.session].turn(user_input.request_id or None, **turn_options) as turn:
            prompt = user_input.prompt(turn.messages or ())
            result = self._run(user_input, prompt, {"session": turn}, on_event, cancel)
            return _answer(result, turn.was_cut)

    def _run(
        self,
        user_input: UserInput,
        prompt: Prompt | None,
        conversation: Mapping[str, Any],
        on_event: Callable[[Event], object] | None,
        cancel: threading.Event | None,
    ) -> Result[Any]:
        options: Any = {
            "sampling": user_input.sampling,
            "tools": self._toolbox(user_input.tools),
            "instructions": user_input.system_prompt,
            "cancel": cancel,
            **conversation,
        }
        with self._slots, self._agent.stream(prompt, **options) as run:
            for event in run:
                if on_event is not None and not isinstance(event, RunFinished):
                    on_event(event)
            assert run.result is not None
            return run.result

    def is_delivered(self, session: str, request_id: str) -> bool:
        """Whether the client has received the answer to its request."""
        return bool(request_id) and self.sessions[session].is_delivered(request_id)

    def note_delivered(self, session: str, request_id: str) -> None:
        """Record that the client has received the answer to its request."""
        if request_id:
            self.sessions[session].note_delivered(request_id)

    def forget(self, keys: Iterable[str]) -> None:
        """Delete sessions."""
        for key in keys:
            with contextlib.suppress(SessionError):
                self.sessions.delete(key)


def _answer(result: Result[Any], was_cut: bool) -> Answer:
    return Answer(str(result.output).strip(), was_cut, result)


def process_user_input_with_llm(
    service: ChatService,
    user_input: UserInput,
    on_event: Callable[[Event], object] | None = None,
    cancel: threading.Event | None = None,
) -> Answer:
    """Return the answer to a user message. Every network entry point reaches the model through this function. See
    `ChatService.answer`."""
    return service.answer(user_input, on_event, cancel)
