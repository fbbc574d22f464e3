"""How a run begins: its budget, its turn of a session, its transcript and its context."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentkit._lazy.records import replace
from agentkit.backend import Backend
from agentkit.errors import ConfigurationError, OutputError, TranscriptError
from agentkit.evidence.ledger import Ledger
from agentkit.evidence.settings import Evidence
from agentkit.evidence.sources import Sources
from agentkit.executor import Executor
from agentkit.limits import Budget, Limits
from agentkit.message import Message, Prompt, system, user
from agentkit.middleware.text_answer import TextAnswer
from agentkit.running.arguments import checked_prompt, text_from
from agentkit.running.decisions import Approvals, Decisions
from agentkit.running.held_messages import without_held
from agentkit.running.open_questions import still_open, without_questions
from agentkit.running.options import Instructions, OutputCheck, RunOptions
from agentkit.running.run_sources import sources_of
from agentkit.session import Session
from agentkit.sessions.turn import Turn
from agentkit.toolbox import Toolbox
from agentkit.tooling.closing import Closing
from agentkit.tooling.context import CallHooks
from agentkit.tooling.toolset import GIVES_UP
from agentkit.tools import Context
from agentkit.transcript import Due, Transcript


def budget_of(limits: Limits, parent: Context | None, resources: contextlib.ExitStack) -> Budget:
    """What the run may spend. parent: the run inside of which it begins. resources: releases what it has reserved."""
    budget = Budget(limits, parent=None if parent is None else parent.budget)
    if budget.is_limited:
        resources.callback(budget.release)
    return budget


def kept_of(options: RunOptions, budget: Budget, resources: contextlib.ExitStack) -> Callable[[], object] | None:
    """What releases at the end of the run what it has reserved and its session; None where it has neither."""
    return resources.pop_all().close if budget.is_limited or options.session is not None else None


def tools_within(budget: Budget, options: RunOptions, offered: Callable[[], Toolbox]) -> Toolbox:
    """The tools of a run. They are waited for until it is cancelled, or its time is over."""
    token = GIVES_UP.set(_gives_up(options.cancel, budget.end()))
    try:
        return offered()
    finally:
        GIVES_UP.reset(token)


def turn_of(
    prompt: Prompt | None,
    options: RunOptions,
    budget: Budget,
    resources: contextlib.ExitStack,
    reads_all: bool = False,
) -> Turn:
    """The turn of the session in which the run takes place. It is rolled back when the run can't be begun. reads_all:
    what is not sent of the session any more is read too."""
    if options.session is None:
        return Turn()
    turn = options.session
    if isinstance(turn, Session):
        content = None if prompt is None else user(checked_prompt(prompt))["content"]
        gives_up = _gives_up(options.cancel, budget.end())
        turn = resources.enter_context(turn.turn(options.request_id, content=content, gives_up=gives_up))
    turn.begin()
    if reads_all:
        turn.read_all()
    resources.push(lambda kind, error, trace: turn.roll_back() if error is not None else None)
    return turn


def _gives_up(cancel: threading.Event | None, end: float | None) -> Callable[[], bool] | None:
    """Whether a run that waits for its session, or its tools, is to wait no longer; None when nothing can end it."""
    if cancel is None and end is None:
        return None
    return lambda: (cancel is not None and cancel.is_set()) or (end is not None and time.monotonic() >= end)


def answer_of(options: RunOptions, check: OutputCheck | None, backend: Backend, has_tools: bool) -> TextAnswer:
    """What the run has to answer with. check: the agent's output_check."""
    check = check if options.output_check is None else options.output_check
    if options.output is str:
        return TextAnswer() if check is None else _checked_text(check, options.output_retries)
    from agentkit.middleware.structured_output import TypedAnswer
    from agentkit.running.answer_types import answer_type

    return TypedAnswer(answer_type(options.output), backend.capabilities(), has_tools, options.output_retries, check)


def _checked_text(check: OutputCheck, retries: int) -> TextAnswer:
    from agentkit.middleware.output_check import CheckedText

    return CheckedText(check, retries)


def _repaired(messages: list[Any], *, closed: bool) -> tuple[list[Any], list[str]]:
    """See `agentkit.repair.repaired`."""
    if not messages:
        return [], []
    from agentkit.repair import repaired

    return repaired(messages, closed=closed)


def opened(
    prompt: Prompt | None,
    options: RunOptions,
    turn: Turn,
    answer: TextAnswer,
    instructions: Instructions | None,
    context: Context,
) -> tuple[Transcript, list[str], Context]:
    """The transcript that a run begins with, what was repaired in it, and the context that has its messages.
    instructions: the agent's. Raises what a function that gives the instructions raises: nothing was sent then."""
    earlier = list(options.messages)
    if turn.messages is not None:
        if earlier:
            raise TranscriptError("pass either messages or a session, not both: a session has its own messages")
        earlier = [*turn.messages]
    if prompt is None and not earlier:
        raise TranscriptError("there is nothing to answer: pass a prompt, or messages to continue from")
    is_new = prompt is not None and turn.state == "new"
    question = [user(answer.prompt(checked_prompt(prompt)))] if prompt is not None and is_new else []
    unknown_results = turn.unknown_results()
    history, repairs = _repaired([*earlier, *unknown_results], closed=is_new)
    if repairs and turn.first_number:  # the numbers of the view are not those of the repaired messages
        turn.read_all()
        return opened(prompt, options, turn, answer, instructions, context)
    turn.write(unknown_results, history, earlier, question)
    history, asked = without_questions(without_held(history))
    is_own = options.instructions is not None
    turn.instructed = _instruct(history, options.instructions if is_own else instructions, is_own, question, context)
    if turn.messages is None:  # whoever goes on from the messages is given the system message too
        turn.instructed = int(_has_system(history))
    transcript = Transcript(history)
    turn.asked = still_open(asked, transcript)
    turn.begins = len(transcript) - turn.made
    transcript.extend([*turn.held, *question])
    sources = sources_of(turn, transcript, context.sources)
    return transcript, repairs, replace(context, messages=transcript, offset=turn.offset, sources=sources)


def _instruct(
    history: list[Any],
    instructions: Instructions | None,
    is_own: bool,
    question: Sequence[Message],
    context: Context,
) -> int:
    """Begin a history with the instructions; returns how many messages were added. A system message that it begins with
    stands for a text of the agent; the run's own instructions, and what a function says, replace it. is_own: whether
    they are the run's own."""
    has_system = _has_system(history)
    replaced = int(has_system and (is_own or callable(instructions)))
    if callable(instructions):
        text = text_from(instructions, replace(context, messages=(*history, *question)))
    else:
        text = instructions if replaced or not has_system else None
    if not text:
        return 0
    history[:replaced] = [system(text)]
    return 1 - replaced


def _has_system(history: Sequence[Any]) -> bool:
    """Whether a history begins with instructions."""
    return bool(history) and isinstance(history[0], Mapping) and history[0].get("role") in ("system", "developer")


def context_of(
    options: RunOptions,
    budget: Budget,
    turn: Turn,
    is_closable: bool,
    tool_timeout: float | None,
    evidence: Evidence,
    parent: Context | None,
) -> Context:
    """The context of the run, which has no messages yet, and the sources of `parent`: the run inside of which it
    begins. is_closable: whether another thread may close it. evidence: of the agent."""
    closing = Closing(options.cancel) if is_closable else None
    return Context(
        deps=options.deps,
        deadline=budget.deadline(),
        end=budget.end(),
        cancel=options.cancel if closing is None else closing,
        budget=budget,
        session=turn.session_id,
        store=turn.store,
        offset=turn.offset,
        tool_timeout=tool_timeout,
        closing=closing,
        hooks=CallHooks() if parent is None else parent.hooks,
        sources=Sources(Ledger(evidence.keeps_texts)) if parent is None else parent.sources,
    )


def proceed(transcript: Transcript, executor: Executor, answer: TextAnswer, turn: Turn) -> None:
    """Read the answer of a transcript that has one already, and ask the model to correct it where it is not valid."""
    executor.continue_from(transcript)
    if executor.ended_by is not None or transcript.whats_due() is Due.NOTHING:
        complaint = answer.opening(transcript, executor.ended_by)
        if complaint and turn.state == "answered":
            raise OutputError("the answer that the session has for this request is not of the type", "")
        if complaint:
            executor.ended_by = None
        transcript.extend(complaint)
        turn.add(complaint)


def _check_is_json(call_id: str, arguments: Mapping[str, Any]) -> None:
    """Raises ConfigurationError for arguments that have no JSON form, in which they become those of the call."""
    try:
        json.dumps(dict(arguments))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"approve={{{call_id!r}: ...}}: the arguments have to be JSON ({error}): pass dates and the like as text"
        ) from None


def decisions_on(approve: Approvals | None, transcript: Transcript, turn: Turn) -> Decisions:
    """Return the decisions. Raises ConfigurationError for one that is invalid or not on an open call."""
    if not approve:
        return Decisions({}, turn.asked)
    due = transcript.whats_due()
    waiting = {call["id"] for call in due} if isinstance(due, tuple) else set()
    for call_id, decision in approve.items():
        if call_id not in waiting:
            names = ", ".join(sorted(waiting)) or "none"
            raise ConfigurationError(f"approve={{{call_id!r}: ...}}: no such call is open (open: {names})")
        if not isinstance(decision, bool | str | Mapping):
            raise ConfigurationError(
                f"approve={{{call_id!r}: {decision!r:.40}}}: pass True, False, the reason of a refusal (a str), or "
                "other arguments or an answer (a dict)"
            )
        is_answer = turn.asked is not None and turn.asked.id == call_id
        if isinstance(decision, Mapping) and not is_answer:
            _check_is_json(call_id, decision)
    return Decisions(approve, turn.asked)
