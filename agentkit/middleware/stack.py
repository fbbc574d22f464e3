"""The middleware of an agent, in the order in which it wraps the backend."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentkit._lazy.logs import INFO, logger_of
from agentkit._lazy.records import dataclass, replace
from agentkit.backend import Backend
from agentkit.evidence.settings import Evidence
from agentkit.executor import Executor
from agentkit.limits import Budget
from agentkit.middleware.call_names import NamedCalls
from agentkit.middleware.cancellation import Cancellable
from agentkit.middleware.context_window import ContextSize, FitToContext, Window
from agentkit.middleware.eager_tools import EagerTools
from agentkit.middleware.history_cut import TrimmedHistory
from agentkit.middleware.retry import Retrying
from agentkit.middleware.text_answer import TextAnswer
from agentkit.middleware.tool_choice import ToolChoice
from agentkit.sessions.turn import Turn
from agentkit.transcript import Transcript

if TYPE_CHECKING:
    from agentkit.middleware.evidence import SupportedAnswers
    from agentkit.middleware.pricing import ModelPrices

_RUN_LOG = logger_of("agentkit.run")


@dataclass
class RunScope:
    """What the middleware of one run is made with.

    sampling: fields for each request. answer: what the run has to answer with. is_repaired: whether the transcript
    differs from the session. prices, window, sizes (of the contexts of its models; one for all servers of a model),
    early_start, evidence: of the agent. place: the index of the model that is wrapped. supported: what checks the
    answers of the run, once it was made.
    """

    sampling: Mapping[str, Any]
    answer: TextAnswer
    executor: Executor
    budget: Budget
    turn: Turn
    is_repaired: bool
    prices: "ModelPrices | None"
    window: Window
    sizes: Sequence[ContextSize]
    early_start: bool
    evidence: Evidence
    place: int = 0
    supported: "SupportedAnswers | None" = None


def _priced(backend: Backend, run: RunScope) -> Backend:
    if run.prices is None and run.budget.limits.cost is None:
        return backend
    from agentkit.middleware.pricing import Priced

    return Priced(backend, run.prices)


def _logged(backend: Backend, run: RunScope) -> Backend:
    if not _RUN_LOG.isEnabledFor(INFO):
        return backend
    from agentkit.middleware.run_log import Logged

    return Logged(backend, run.budget)


def _observed(backend: Backend, run: RunScope) -> Backend:
    return run.executor.hooks.around_request(backend)


def _retrying(backend: Backend, run: RunScope) -> Backend:
    return Retrying(backend)


def _named(backend: Backend, run: RunScope) -> Backend:
    return NamedCalls(backend, run.executor)


def _unwrapped(backend: Backend, run: RunScope) -> Backend:
    if not run.executor.offered.are_found:
        return backend
    from agentkit.middleware.unwrapped_calls import UnwrappedCalls

    return NamedCalls(UnwrappedCalls(backend, run.executor), run.executor)


def _ordered(backend: Backend, run: RunScope) -> Backend:
    offered = run.executor.offered
    if not offered or not any(tool.is_external for tool in offered):
        return backend
    from agentkit.middleware.external_calls import ExternalCallsLast

    return ExternalCallsLast(backend)


def _hooked(backend: Backend, run: RunScope) -> Backend:
    return run.executor.hooks.around_model(backend)


def _eager(backend: Backend, run: RunScope) -> Backend:
    return EagerTools(backend, run.executor) if run.early_start else backend


def _fitted(backend: Backend, run: RunScope) -> Backend:
    return backend if len(run.sizes) > 1 else _with_window(backend, run)


def _with_window(backend: Backend, run: RunScope) -> Backend:
    turn, offset, size = run.turn, run.turn.offset, run.sizes[run.place]
    given = len(run.executor.context.messages)
    summaries = run.executor.hooks.around_model(backend) if len(run.sizes) > 1 else backend
    if size is not run.sizes[0]:  # the session keeps what the first model is sent: another one's context differs
        return FitToContext(backend, run.window, size, run.budget, offset, given=given, summaries=summaries)
    view = None if run.is_repaired or turn.view is None else TrimmedHistory.restored(turn.view, offset, turn.instructed)
    spent = turn.spent if view is not None or turn.view is None else None

    def changed(made: TrimmedHistory, transcript: Transcript) -> None:
        if turn.session_id is None:
            turn.was_cut = True
            return
        stored = made.stored(transcript, turn.instructed)
        is_all_the_same = run.sizes[-1] is size
        turn.note_view(stored if is_all_the_same else {**stored, "begins": 0})

    return FitToContext(backend, run.window, size, run.budget, offset, view, spent, changed, given, summaries)


def _structured(backend: Backend, run: RunScope) -> Backend:
    return run.answer.wrapped(backend, run.budget)


def _supported(backend: Backend, run: RunScope) -> Backend:
    if run.evidence.mode != "ask again" or not run.answer.is_text:
        return backend
    from agentkit.middleware.evidence import SupportedAnswers

    run.supported = SupportedAnswers(backend, run.executor, run.budget)
    return run.supported


def _chosen(backend: Backend, run: RunScope) -> Backend:
    return ToolChoice(backend)


def _sampled(backend: Backend, run: RunScope) -> Backend:
    if not run.sampling:
        return backend
    from agentkit.middleware.sampling import Sampling

    return Sampling(backend, run.sampling)


def _cancellable(backend: Backend, run: RunScope) -> Backend:
    context = run.executor.context
    cancel = context.cancel if context.closing is None else context.closing.cancel
    return Cancellable(backend, cancel, run.budget.reply_deadline, context.closing)


def _checked_first(backend: Backend, run: RunScope) -> Backend:
    if run.supported is None:
        return backend
    from agentkit.middleware.evidence import CheckedFirst

    return CheckedFirst(backend, run.supported)


Wrap = Callable[[Backend, RunScope], Backend]

OF_A_MODEL: tuple[Wrap, ...] = (
    _priced,  # innermost: a failed attempt costs too
    _logged,  # each attempt
    _observed,  # each attempt too, with its cost
    _retrying,  # inside of what acts on a reply, so that a repeated request has the same calls started once
)
"""What surrounds each model of an agent, innermost first: it knows the one model that it asks."""

OF_ONE_OF_SEVERAL: tuple[Wrap, ...] = (
    *OF_A_MODEL,
    _with_window,  # each has a context of its own; the summary that it asks for passes the hooks
    _chosen,  # each backend may force a tool by itself
)
"""The same where there are several. What moves from one to the next (`Failover`) stands around them, so that each is
asked with a request of its own, and everything outside of it sees one model."""

STACK: tuple[Wrap, ...] = (
    _named,  # inside of what starts calls, and inside the window: it knows the tools that are sent
    _unwrapped,  # the same for calls of tools that were found: all outside of it sees the tools themselves
    _ordered,  # outside of what says which tool a call means
    _hooked,  # inside of what starts calls, which it holds back; inside the window: it sees summaries too
    _eager,  # inside the window: it offers the tools that are sent; the calls of the next model claim what it has begun
    _fitted,  # inside sampling: the request for a summary does not inherit max_tokens or tool_choice
    _structured,  # sees whole replies, whatever was cut or retried for them
    _supported,  # outside of the program's own check of an answer, which comes first
    _chosen,  # inside sampling, whose tool_choice it sees; the tool that takes a typed answer is offered here already
    _sampled,
    _cancellable,  # outside of all that takes time: it stops the others, in whatever they are waiting for
    _checked_first,  # outermost: it has what had arrived of a reply that was stopped
)
"""What surrounds the model, or the models, innermost first. Each returns the backend that it was given where the run
has no use for it."""


def wrapped(backend: Backend, run: RunScope) -> Backend:
    """The backend with the middleware of a run around it."""
    if len(run.sizes) == 1:
        return _around(backend, run, (*OF_A_MODEL, *STACK))
    from agentkit.middleware.failover import Failover

    assert isinstance(backend, Failover)
    models = enumerate(backend.backends)
    made = [_around(each, replace(run, place=place), OF_ONE_OF_SEVERAL) for place, each in models]
    return _around(backend.around(made), run, STACK)


def _around(backend: Backend, run: RunScope, table: Sequence[Wrap]) -> Backend:
    for wrap in table:
        backend = wrap(backend, run)
    return backend
