"""Answers one user message: the core shared by the HTTP chat service and the MQTT bridge."""

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any

from agentkit import Agent, Limits, Window
from agentkit._forking import renewed_by_forks
from agentkit.backend import Backend, Capabilities, Request
from agentkit.errors import SessionBusyError
from agentkit.event import Event, ReplyFinished, RunFinished
from agentkit.evidence.settings import Mode
from agentkit.hooks import Hook
from agentkit.message import Message, Prompt, user
from agentkit.running.agent_tools import AgentTools, AnyTool
from agentkit.running.append_only import LateReasoningSeen
from agentkit.running.offered_tools import SEARCH_NAMES
from agentkit.running.options import RunOptions
from agentkit.serving.decisions import decisions_for
from agentkit.serving.exchange import Answer, UserInput
from agentkit.serving.stopped_runs import StoppedRun
from agentkit.session import Sessions
from agentkit.sessions.turn import Turn
from agentkit.taint.settings import TaintMode
from agentkit.transcript import Transcript

POLL_SECONDS = 0.1
"""Interval in seconds between checks whether an answer that waits for a place was cancelled."""


MAX_KEPT_TOOLS = 100
"""Number of tools up to which a toolbox is kept: clients may bring many."""


_kept_tools = functools.partial(AgentTools, reserved=SEARCH_NAMES)
"""What offers tools, which the model may search."""


OnAnswer = Callable[[Answer, Callable[[], None]], object]
"""What is called with an answer, and with what records that its client has received it."""


class DeliveredError(Exception):
    """The client of a request is recorded to have its answer."""


class _Place:
    """One of the places for concurrent answers, to be entered. places: a queue of them, which takes two calls where a
    semaphore takes a dozen."""

    def __init__(self, places: "SimpleQueue[None]", cancel: threading.Event | None) -> None:
        self._places = places
        self._cancel = cancel

    def __enter__(self) -> None:
        """Raises SessionBusyError when the answer is cancelled before a place is free."""
        while True:
            try:
                return self._places.get(timeout=POLL_SECONDS)
            except Empty:
                if self._cancel is not None and self._cancel.is_set():
                    raise SessionBusyError(
                        "the answer was cancelled while it waited for others to be finished"
                    ) from None

    def __exit__(self, *error: object) -> None:
        self._places.put(None)


class ChatService:
    """Answers user messages with one agent, using one model and one session store. Thread-safe.

    late_reasoning: of its model, for `AppendOnlyText`.

    history_tokens: maximum number of tokens of a session's history sent to the model. calls_at_once: maximum number of
    answers generated concurrently. limits: run limits of one answer; None: at most 10 turns. evidence, taint: as of
    `Agent`; without a session, where nobody can be asked, "ask" is "refuse". hooks: around what the answers take.
    """

    def __init__(
        self,
        backend: Backend,
        sessions: Sessions,
        *,
        history_tokens: int = 10_000,
        calls_at_once: int = 8,
        limits: Limits | None = None,
        evidence: Mode = "flag",
        taint: TaintMode = "off",
        hooks: Sequence[Hook] = (),
    ) -> None:
        self.sessions = sessions
        self.late_reasoning = LateReasoningSeen()
        self.evidence = evidence
        self._backend = backend
        limits = limits or Limits(turns=10)
        alone: TaintMode = "refuse" if taint == "ask" else taint  # without a session nobody can be asked
        of_all: Any = {"limits": limits, "evidence": evidence, "hooks": list(hooks)}
        self._agent = Agent(backend, window=Window(history_tokens), taint=taint, **of_all)
        self._agent_alone = Agent(backend, window=Window(history_tokens), taint=alone, **of_all)
        self._agent_of_whole = Agent(backend, window=Window(keeps_given=True), taint=alone, **of_all)
        self._tools = functools.lru_cache(64)(_kept_tools)
        self._calls_at_once = calls_at_once
        self._begin_places()
        renewed_by_forks(self)

    def renew_in_child(self) -> None:
        """In a child: nothing is being answered."""
        self._begin_places()

    def _begin_places(self) -> None:
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(self._calls_at_once):
            self._places.put(None)

    def capabilities(self) -> Capabilities:
        """What is known of the model."""
        return self._agent.backend.capabilities()

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
        on_wait: Callable[[bool], object] | None = None,
        streams: bool = True,
        on_answer: OnAnswer | None = None,
    ) -> Answer:
        """Return the answer; that of an earlier run when this request was answered before. on_event: called with each
        event of the run except `RunFinished`. cancel: set it to stop the run, also while it waits. on_wait: called with
        True when another message of the session is being answered, so that this one has to wait, with False when it
        goes on; what it raises is raised. streams: whether the events have the deltas of replies as they arrive; else
        replies are requested whole. on_answer: called with the answer to a message of a session while that is still
        locked, and with a function that records that the client has received it; where that is recorded already,
        DeliveredError is raised, and nothing is done.

        Raises what `Agent.run` raises, and DecisionError for a decision on calls that don't wait for it. A message, or
        a decision, whose run fails before it had an effect is not kept in its session.
        """
        if user_input.session is None:
            conversation: dict[str, Any] = {"messages": user_input.messages}
            with _Place(self._places, cancel):
                return self._run(user_input, user_input.prompt(), conversation, on_event, cancel, streams)
        with ExitStack() as stack:
            turn = self._turn(stack, user_input, cancel, on_wait)
            if on_answer is not None and turn.is_delivered:
                raise DeliveredError
            prompt = user_input.prompt(turn.messages or ())
            conversation = {"session": turn}
            if user_input.approve is not None:
                conversation["approve"] = decisions_for(turn, user_input.approve, user_input.asked)
            stopped = StoppedRun()
            # an answer that is stored needs no model
            with _Place(self._places, cancel) if turn.state != "answered" else nullcontext():
                answer = self._run(user_input, prompt, conversation, _both(stopped.note, on_event), cancel, streams)
                stopped.keep(turn, answer)
            waiting = turn.waiting if answer.stopped == "approval" else None
            answer = replace(answer, was_cut=turn.was_cut, waiting=waiting)
            if on_answer is not None:
                on_answer(answer, turn.note_delivered)
            return answer

    def _turn(
        self,
        stack: ExitStack,
        user_input: UserInput,
        cancel: threading.Event | None,
        on_wait: Callable[[bool], object] | None,
    ) -> Turn:
        """Open the turn of a message; the session is locked until the stack is closed."""
        turn = self._turn_of(user_input)
        if on_wait is None:
            return stack.enter_context(turn(gives_up=cancel.is_set if cancel is not None else None))
        try:
            return stack.enter_context(turn(wait=0.0))
        except SessionBusyError:
            on_wait(True)
        try:
            return stack.enter_context(turn(gives_up=cancel.is_set if cancel is not None else None))
        finally:
            on_wait(False)

    def _turn_of(self, user_input: UserInput) -> Callable[..., AbstractContextManager[Turn]]:
        """The `Session.turn` of a message with all but its options of waiting."""
        session = self.sessions[user_input.session or ""]
        return functools.partial(
            session.turn,
            user_input.request_id or None,
            content=user_input.sent,
            is_retry=user_input.is_retry,
            decides=user_input.approve is not None,
        )

    def _run(
        self,
        user_input: UserInput,
        prompt: Prompt | None,
        conversation: Mapping[str, Any],
        on_event: Callable[[Event], object] | None,
        cancel: threading.Event | None,
        streams: bool,
    ) -> Answer:
        tools: Any = self.tools_of(user_input.tools)
        options = RunOptions(  # made of what was checked where it came in
            sampling=user_input.sampling,
            tools=tools,
            instructions=user_input.system_prompt,
            cancel=cancel,
            output=user_input.output,
            **conversation,
        )
        agent = self._agent_alone if user_input.session is None else self._agent
        agent = self._agent_of_whole if user_input.is_whole else agent
        added: list[Message] = []
        extra: Mapping[str, Any] = {}
        with agent._begin(prompt, options, streams, own=True) as run:  # no other thread has it, to close it
            for event in run:
                added += event.adds
                if isinstance(event, ReplyFinished):
                    extra = event.reply.extra
                if on_event is not None and not isinstance(event, RunFinished):
                    on_event(event)
            assert run.result is not None
            return Answer(str(run.result.output).strip(), False, run.result, tuple(added), extra)

    def tools_of(self, tools: tuple[AnyTool, ...]) -> AgentTools:
        """What offers these tools; it is kept for the next request, unless they are many."""
        return (self._tools if len(tools) <= MAX_KEPT_TOOLS else _kept_tools)(tools)

    def is_answered(self, user_input: UserInput) -> bool:
        """Whether the request of a message has its answer, or waits for a person. Raises RequestConflictError when its
        id was used for another message, SessionBusyError, SessionError."""
        with self._turn_of(user_input)() as turn:
            return turn.is_settled

    def note_delivered(self, session: str, request_id: str) -> None:
        """Record that the client has received the answer to its request."""
        if request_id:
            self.sessions[session].note_delivered(request_id)

    def forget(self, keys: list[str]) -> None:
        """Delete sessions, some of which may be gone already, and take them out of `keys`. Raises SessionBusyError when
        a writer holds one for longer than the store waits, with the others deleted, SessionError."""
        held: SessionBusyError | None = None
        for key in tuple(keys):
            try:
                if key in self.sessions:
                    self.sessions.delete_all([key])
                keys.remove(key)
            except SessionBusyError as error:
                held = error
        if held is not None:
            raise held


def _both(first: Callable[[Event], object], second: Callable[[Event], object] | None) -> Callable[[Event], object]:
    """Call both with each event."""
    if second is None:
        return first
    other = second

    def called(event: Event) -> None:
        first(event)
        other(event)

    return called


def process_user_input_with_llm(
    service: ChatService,
    user_input: UserInput,
    on_event: Callable[[Event], object] | None = None,
    cancel: threading.Event | None = None,
    on_wait: Callable[[bool], object] | None = None,
    streams: bool = True,
    on_answer: OnAnswer | None = None,
) -> Answer:
    """Return the answer to a user message. Every network entry point reaches the model through this function. See
    `ChatService.answer`."""
    return service.answer(user_input, on_event, cancel, on_wait, streams, on_answer)
