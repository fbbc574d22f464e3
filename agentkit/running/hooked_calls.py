"""Tool calls with the hooks of a run around them."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from agentkit._lazy.logs import WARNING, logger_of
from agentkit._lazy.records import dataclass, field, replace
from agentkit._text import cut
from agentkit._threads import POLL_INTERVAL
from agentkit.errors import ArgumentsError, HookError, ToolError
from agentkit.evidence.source import Source
from agentkit.evidence.sources import named_in
from agentkit.hooks import Hook, Proceed, ToolCallRequest, WrittenArguments, WrongTypeError
from agentkit.tooling.error_log import log_raised
from agentkit.tooling.error_text import message_of
from agentkit.tooling.interrupts import is_interrupt
from agentkit.tooling.outcome import Outcome, failure
from agentkit.tools import MAX_ERROR, Context, Tool

logger = logger_of("agentkit")


Execute = Callable[[Tool[..., Any], str, Context], Outcome]
"""Runs a tool with its arguments (JSON text), inside of the hooks around the call."""


class NotAllowedError(BaseException):
    """Ends the hooks of a call that is not run now. No Exception, so that no hook takes it for an error of the tool."""


class Gate:
    """Where a call waits, behind its hooks, until it may run."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[str | None] = SimpleQueue()
        self._decided = threading.Event()
        self._is_open = False

    def asked(self, context: Context, timeout: float | None) -> str | None:
        """Wait until the hooks let the call proceed, and return the arguments with which it is to run (JSON text). None
        when they have ended without that, the run is to stop, or they take longer than `timeout` (seconds)."""
        end = None if timeout is None else time.monotonic() + timeout
        while not context.cancelled and (end is None or time.monotonic() < end):
            with contextlib.suppress(Empty):
                return self._asked.get(timeout=POLL_INTERVAL)
        return None

    def open(self) -> None:
        """Let the call run."""
        self._is_open = True
        self._decided.set()

    def close(self) -> None:
        """The call does not run, unless it was let pass before."""
        self._decided.set()

    def wait(self, arguments: str) -> None:
        """Wait, in the thread of the call. Raises NotAllowedError when it is not to run."""
        self._asked.put(arguments)
        self._decided.wait()
        if not self._is_open:
            raise NotAllowedError

    def leave(self) -> None:
        """The hooks have ended."""
        self._asked.put(None)


@dataclass
class _Innermost:
    """Runs the tool itself, whose result the hooks are given uncut. was_run: whether it was begun. sources: what it
    has found or read."""

    tool: Tool[..., Any]
    context: Context
    gate: Gate | None
    execute: Execute
    was_run: bool = False
    sources: tuple[Source, ...] = ()
    _claimed: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, call: ToolCallRequest) -> Outcome:
        if not isinstance(call, ToolCallRequest):
            raise TypeError(f"proceed({call!r:.80}): pass the call, or call.replace(arguments={{...}})")
        if not (self._claimed.acquire(blocking=False) or self.tool.options.read_only):
            raise HookError(f"the call of {self.tool.name} was run already: only read-only tools may be run again")
        arguments = call.arguments_text
        if self.gate is not None and _is_readable(self.tool, arguments):  # nobody is asked about what can't run
            self.gate.wait(arguments)
        self.was_run = True
        outcome = self.execute(self.tool, arguments, self.context).uncut()
        self.sources += outcome.sources
        return outcome

    def named_in(self, text: str) -> tuple[Source, ...]:
        """The sources of the call that a text of a hook names by their numbers."""
        return named_in(text, tuple(dict.fromkeys(self.sources)))


def _is_readable(tool: Tool[..., Any], arguments: str) -> bool:
    try:
        tool.values(arguments)
    except ArgumentsError:
        return False
    return True


def answer(
    hooks: Sequence[Hook],
    tool: Tool[..., Any],
    arguments: str,
    context: Context,
    gate: Gate | None,
    blame: Callable[[WrongTypeError], None],
    execute: Execute,
) -> Outcome:
    """Run one call with hooks around it, the first outermost. arguments: JSON text. gate: where it waits. blame: is
    told of a hook that returns the wrong type. execute: runs the tool itself."""
    try:
        values = tool.values(arguments)
    except ArgumentsError:
        return execute(tool, arguments, context)  # which tells the model what is wrong
    innermost = _Innermost(tool, context, gate, execute)
    proceed: Proceed = innermost
    for hook in reversed(hooks):
        proceed = _Step(hook, tool, proceed)
    try:
        written = WrittenArguments(arguments, values)
        made = proceed(ToolCallRequest(tool.name, values, tool.options.read_only, context, tool, written))
        return tool.cut(made if made.sources else replace(made, sources=innermost.named_in(made.text)))
    except ToolError as error:
        return failure(cut(message_of(error), MAX_ERROR))
    except NotAllowedError:
        raise
    except BaseException as error:
        if is_interrupt(error, context.hooks.handlers):
            raise
        log_raised(logger, WARNING, f"a hook around tool {tool.name} raised", error)
        if isinstance(error, WrongTypeError):
            blame(error)
        return failure(_withheld(tool.name, innermost.was_run))


def _withheld(name: str, was_run: bool) -> str:
    if was_run:
        return f"{name} was run, but its result is withheld: a check failed."
    return f"{name} was not run: a check failed."


@dataclass(frozen=True)
class _Step:
    """One hook around what is inside of it."""

    hook: Hook
    tool: Tool[..., Any]
    inner: Proceed

    def __call__(self, call: ToolCallRequest) -> Outcome:
        made = self.hook.around_tool(call, self.inner)
        if isinstance(made, str):
            return Outcome(made, ends_run=self.tool.options.ends_run)
        if not isinstance(made, Outcome):
            raise WrongTypeError(self.hook, "around_tool", made, "what proceed(call) returns, or a str")
        return made
