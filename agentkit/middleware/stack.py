"""The middleware of an agent, in the order in which it wraps the backend."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agentkit.backend import Backend
from agentkit.executor import Executor
from agentkit.limits import Budget, Limits
from agentkit.middleware.call_names import NamedCalls
from agentkit.middleware.cancellation import Cancellable
from agentkit.middleware.context_window import ContextSize, FitToContext, Window
from agentkit.middleware.eager_tools import EagerTools
from agentkit.middleware.external_calls import ExternalCallsLast
from agentkit.middleware.history_cut import TrimmedHistory
from agentkit.middleware.pricing import Priced, Prices
from agentkit.middleware.retry import Retrying
from agentkit.middleware.run_log import Logged
from agentkit.middleware.run_log import logger as RUN_LOG
from agentkit.middleware.sampling import Sampling
from agentkit.middleware.text_answer import TextAnswer
from agentkit.middleware.tool_choice import ToolChoice
from agentkit.sessions.turn import Turn


@dataclass(slots=True)
class RunScope:
    """What the middleware of one run is made with.

    sampling: fields for each request. answer: what the run has to answer with. is_repaired: whether the transcript
    differs from the session. prices, window, size, early_start: of the agent.
    """

    limits: Limits
    sampling: Mapping[str, Any]
    answer: TextAnswer
    executor: Executor
    budget: Budget
    turn: Turn
    is_repaired: bool
    prices: Prices | None
    window: Window
    size: ContextSize
    early_start: bool


def _priced(backend: Backend, run: RunScope) -> Backend:
    has_use = run.prices is not None or run.limits.cost is not None
    return Priced(backend, run.prices) if has_use else backend


def _logged(backend: Backend, run: RunScope) -> Backend:
    return Logged(backend, run.budget) if RUN_LOG.isEnabledFor(logging.INFO) else backend


def _observed(backend: Backend, run: RunScope) -> Backend:
    return run.executor.hooks.around_request(backend)


def _retrying(backend: Backend, run: RunScope) -> Backend:
    return Retrying(backend)


def _named(backend: Backend, run: RunScope) -> Backend:
    return NamedCalls(backend, run.executor)


def _ordered(backend: Backend, run: RunScope) -> Backend:
    has_external = any(tool.is_external for tool in run.executor.offered)
    return ExternalCallsLast(backend) if has_external else backend


def _hooked(backend: Backend, run: RunScope) -> Backend:
    return run.executor.hooks.around_model(backend)


def _eager(backend: Backend, run: RunScope) -> Backend:
    return EagerTools(backend, run.executor) if run.early_start else backend


def _fitted(backend: Backend, run: RunScope) -> Backend:
    turn, offset = run.turn, run.turn.offset
    view = None if run.is_repaired or turn.view is None else TrimmedHistory.restored(turn.view, offset, turn.instructed)
    spent = turn.spent if view is not None or turn.view is None else None
    return FitToContext(
        backend,
        run.window,
        run.size,
        run.budget,
        offset,
        view,
        spent,
        lambda made, transcript: turn.note_view(made.stored(transcript, turn.instructed)),
    )


def _structured(backend: Backend, run: RunScope) -> Backend:
    return run.answer.wrapped(backend, run.budget)


def _chosen(backend: Backend, run: RunScope) -> Backend:
    return ToolChoice(backend)


def _sampled(backend: Backend, run: RunScope) -> Backend:
    return Sampling(backend, run.sampling) if run.sampling else backend


def _cancellable(backend: Backend, run: RunScope) -> Backend:
    context = run.executor.context
    cancel = context.cancel if context.closing is None else context.closing.cancel
    return Cancellable(backend, cancel, run.budget.reply_deadline, context.closing)


STACK: tuple[Callable[[Backend, RunScope], Backend], ...] = (
    _priced,  # innermost: a failed attempt costs too
    _logged,  # each attempt
    _observed,  # each attempt too, with its cost
    _retrying,  # inside of what acts on a reply, so that a repeated request has the same calls started once
    _named,  # inside of what starts calls, and inside the window: it knows the tools that are sent
    _ordered,  # outside of what says which tool a call means
    _hooked,  # inside of what starts calls, which it holds back; inside the window: it sees summaries too
    _eager,  # inside the window: it offers the tools that are sent, and a summary has none
    _fitted,  # inside sampling: the request for a summary does not inherit max_tokens or tool_choice
    _structured,  # sees whole replies, whatever was cut or retried for them
    _chosen,  # inside sampling, whose tool_choice it sees; the tool that takes a typed answer is offered here already
    _sampled,
    _cancellable,  # outermost: it stops all of the others, in whatever they are waiting for
)
"""Innermost first. Each returns the backend that it was given where the run has no use for it."""


def wrapped(backend: Backend, run: RunScope) -> Backend:
    """The backend with the middleware of a run around it."""
    for wrap in STACK:
        backend = wrap(backend, run)
    return backend
