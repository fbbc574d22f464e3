"""A tool call that a person may have to approve, and which its hooks may change before that."""

from collections.abc import Generator
from contextlib import closing
from types import TracebackType

from agentkit._lazy.records import replace
from agentkit.event import Event, OpenCall, ToolStarted
from agentkit.message import ToolCall
from agentkit.running.hooked_calls import Gate
from agentkit.running.parallel_calls import ParallelCalls, Runner, RunningCalls
from agentkit.running.run_hooks import RunHooks


class PlannedCall:
    """Runs the hooks of a call in a thread (`begin`), up to where they let it proceed; there it waits. Use it with
    `with`: what was not let pass by its end is not run, and its hooks end there.

    waits: whether it is to run; else the hooks have answered it themselves, or have not come to an end. call: what is
    to run, with the arguments that the hooks have made of it.
    """

    def __init__(self, runner: Runner, hooks: RunHooks, call: ToolCall) -> None:
        self._runner = runner
        self._hooks = hooks
        self._given = call
        self._gate = Gate()
        self._begun = RunningCalls(runner)
        self.waits = False
        self.call = call

    def begin(self) -> None:
        """Run the hooks, and wait until they let the call proceed or have ended. Inside of the `with`: what stops this
        thread meanwhile ends the hooks too."""
        function = self._given["function"]
        context = replace(self._runner.context_of(self._given), hooks=self._hooks.behind(self._gate))
        self._begun.begin(function["name"], function["arguments"], context, self._gate.leave)
        arguments = self._gate.asked(context, self._runner.timeout_of(function["name"]))
        if arguments is not None:
            self.waits = True
            self.call = {**self._given, "function": {**function, "arguments": arguments}}

    def __enter__(self) -> "PlannedCall":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.close()
        self._begun.leave()

    def events(self, note: str) -> Generator[Event, None, OpenCall | None]:
        """Let it run, and yield its events. note: see `ParallelCalls`, as for what it returns."""
        with closing(ParallelCalls(self._runner, [self._given], self._begun, note).events()) as steps:
            while True:
                try:
                    event = next(steps)
                except StopIteration as end:
                    asks: OpenCall | None = end.value
                    return asks
                yield event
                if self.waits and isinstance(event, ToolStarted):
                    self._gate.open()
