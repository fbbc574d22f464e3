"""The hooks of an agent, and those of one of its runs."""

import functools
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from agentkit._lazy.logs import WARNING, logger_of
from agentkit._lazy.modules import loaded
from agentkit._lazy.records import replace
from agentkit.backend import Backend, ReplyStream, Request
from agentkit.event import CallDelta, Event, OutputDelta, ReasoningDelta, ReplyDiscarded, Steps, TextDelta
from agentkit.middleware.base import Middleware
from agentkit.taint.settings import TaintMode
from agentkit.tooling.context import CallHooks
from agentkit.tooling.error_log import log_raised
from agentkit.tooling.interrupts import stops_the_run
from agentkit.tooling.outcome import Outcome
from agentkit.tools import Context, Tool

if TYPE_CHECKING:
    from agentkit.hooks import Hook, RunHook, WrongTypeError
    from agentkit.running.hooked_calls import Gate
    from agentkit.taint.guard import RunGuard

logger = logger_of("agentkit")

_DELTAS = (TextDelta, ReasoningDelta, CallDelta, OutputDelta, ReplyDiscarded)


class AgentHooks:
    """The hooks of an agent; shared by its runs. taint: what is done about tainted calls."""

    def __init__(self, hooks: "Sequence[Hook]" = (), taint: TaintMode = "off") -> None:
        self.hooks = tuple(hooks)
        self.taint: TaintMode = taint
        self._all = self.hooks if taint == "off" else (*self.hooks, _taint_guard(taint))

    def of_run(self, context: Context[Any]) -> "RunHooks":
        """The hooks of a run. context: of the run; `hooks` in it are those of the run inside of which it begins."""
        outer = context.hooks.inherited if isinstance(context.hooks, RunHooks) else ()
        inherited = [hook for hook in outer if not any(_stands_for(own, hook) for own in self._all)]
        return RunHooks(inherited, self._all, context)


def _stands_for(own: "Hook", outer: "Hook") -> bool:
    return own is outer or (own.inherited_as is not None and own.inherited_as == outer.inherited_as)


def _taint_guard(mode: TaintMode) -> "Hook":
    from agentkit.taint.guard import TaintGuard

    return TaintGuard(mode)


NO_HOOKS = AgentHooks()


class RunHooks(CallHooks):
    """The hooks of one run. inherited: those of the runs around it, which are further out. own: of its agent.

    context: of the run, with these hooks. changes_calls: whether any stands around tool calls. guard: which decides on
    tainted calls; None: nothing does.
    """

    inherited: "Sequence[Hook]" = ()
    guard: "RunGuard | None" = None
    changes_calls = False
    _all: "Sequence[Hook]" = ()
    _around_tool: "Sequence[Hook]" = ()
    _around_execution: "Sequence[RunHook]" = ()
    _watching: "Sequence[Hook]" = ()
    _gate: "Gate | None" = None

    def __init__(self, inherited: "Sequence[Hook]", own: "Sequence[Hook]", context: Context[Any]) -> None:
        self._mistakes: list[WrongTypeError] = []
        if inherited or own:
            self._take(inherited, own, context)
        is_needed = bool(self._all) or isinstance(context.hooks, RunHooks)  # which would be those of the outer run
        self.context: Context[Any] = replace(context, hooks=self) if is_needed else context

    def _take(self, inherited: "Sequence[Hook]", own: "Sequence[Hook]", context: Context[Any]) -> None:
        from agentkit.hooks import RunHook
        from agentkit.middleware.hooks import overrides

        self.inherited = [*inherited, *(hook for hook in own if hook.inherit)]
        made = [_for_run(hook, context) for hook in own]
        self._all = [*(_for_run(hook, context) for hook in inherited), *made]
        self._around_tool = [hook for hook in self._all if overrides(hook, "around_tool")]
        self._around_execution = [hook for hook in self._all if isinstance(hook, RunHook)]
        self.guard = _guard_among(self._all)
        self._watching = [hook for hook in made if overrides(hook, "on_event")]
        self.changes_calls = bool(self._around_tool)

    def answer(self, tool: Tool[..., Any], arguments: str, context: Context[Any]) -> Outcome:
        """See `CallHooks.answer`."""
        if not tool.has_hooks:
            return tool.answer(arguments, context)
        if not self._around_tool:
            return self._executed(tool, arguments, context)
        from agentkit.running.hooked_calls import answer

        blame = self._mistakes.append
        return answer(self._around_tool, tool, arguments, context, self._gate, blame, self._executed)

    def _executed(self, tool: Tool[..., Any], arguments: str, context: Context[Any]) -> Outcome:
        execute: Callable[[], Outcome] = functools.partial(tool.answer, arguments, context)
        for hook in reversed(self._around_execution):
            execute = functools.partial(hook.around_execution, tool, arguments, execute)
        return execute()

    def behind(self, gate: "Gate") -> "RunHooks":
        """The same hooks, around a call that waits at a gate before it runs."""
        made = object.__new__(RunHooks)
        made.__dict__.update(self.__dict__, _gate=gate)
        return made

    def around_model(self, backend: Backend) -> Backend:
        """The backend with the hooks around it."""
        if not self._all:
            return backend
        from agentkit.middleware.hooks import around_model

        made = around_model(self._all, backend)
        return _Blaming(made, self._mistakes) if self._around_tool else made

    def around_request(self, backend: Backend) -> Backend:
        """One of the models of the agent with those hooks around it that see each attempt."""
        for hook in reversed(self._around_execution):
            backend = hook.around_request(backend)
        return backend

    def around_run(self, steps: Steps) -> Steps:
        """The events of the run, which the hooks are shown."""
        for hook in reversed(self._around_execution):
            steps = hook.around_run(steps)
        return self._watched(steps) if self._watching else steps

    def _watched(self, steps: Steps) -> Steps:
        with closing(steps):
            for event in steps:
                for hook in self._watching:
                    _show(hook, event)
                yield event


def _guard_among(hooks: "Sequence[Hook]") -> "RunGuard | None":
    """The guard that decides on tainted calls, which only an agent with `taint=` has; its module is loaded then."""
    kind = loaded("agentkit.taint.guard", "RunGuard")
    return None if kind is None else next((hook for hook in hooks if isinstance(hook, kind)), None)


def _for_run(hook: "Hook", context: Context[Any]) -> "Hook":
    from agentkit.hooks import Hook, WrongTypeError
    from agentkit.middleware.hooks import guarded

    made: object = guarded(hook, "for_run", lambda: hook.for_run(context))
    if not isinstance(made, Hook):
        raise WrongTypeError(hook, "for_run", made, "a Hook, such as self")
    return made


def _show(hook: "Hook", event: Event) -> None:
    try:
        if not isinstance(event, _DELTAS):
            hook.on_event(event)
    except Exception as error:
        if stops_the_run(error):
            raise
        log_raised(logger, WARNING, f"{type(hook).__name__}.on_event raised", error)


class _Blaming(Middleware):
    """Wraps any backend for one run, and raises what a hook around a tool did wrong, once its call is answered."""

    def __init__(self, backend: Backend, mistakes: "Sequence[WrongTypeError]") -> None:
        super().__init__(backend)
        self._mistakes = mistakes

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        if self._mistakes:
            raise self._mistakes[0]
        return self.backend.reply(request)
