"""Calls of one reply that run in threads, some of them since before the reply was complete."""

import functools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Protocol

from agentkit._forking import check_same_process
from agentkit._lazy.records import dataclass, field, replace
from agentkit._threads import POLL_INTERVAL, WORKERS
from agentkit.event import Event, OpenCall, ToolFinished, ToolProgress, ToolStarted
from agentkit.message import ToolCall
from agentkit.tooling.arguments import read_arguments
from agentkit.tooling.closing import Closing
from agentkit.tooling.outcome import Outcome, failure
from agentkit.tooling.questions import Question
from agentkit.tooling.stop import out_of_time, stopped_meanwhile, too_slow
from agentkit.tools import Context


def open_call(call: ToolCall, question: Question | None = None) -> OpenCall:
    """A call in the form in which it is shown to people. question: what it asks them."""
    raw = call["function"]["arguments"]
    return OpenCall(call["id"], call["function"]["name"], read_arguments(raw), raw, question)


class Runner(Protocol):
    """What runs the calls of a run: `agentkit.executor.Executor`."""

    context: Context
    parallel: int

    def outcome_of(self, name: str, arguments: str, context: Context) -> Outcome:
        """Run one call. arguments: JSON text."""
        ...

    def context_of(self, call: ToolCall) -> Context:
        """The run as one call sees it."""
        ...

    def timeout_of(self, name: str) -> float | None:
        """The seconds after which the run continues without a call; None for no limit."""
        ...

    def has_effect(self, name: str) -> bool:
        """Whether a tool is not known to be read-only."""
        ...

    def started(self, call: ToolCall) -> ToolStarted:
        """The event of a call that is run now."""
        ...

    def finished(self, call: ToolCall, outcome: Outcome) -> ToolFinished:
        """The event of a call that was run."""
        ...

    def leave(self, call: ToolCall, outcome: Outcome | None) -> None:
        """The run is left while a call is running, or has just ended."""
        ...


@dataclass(eq=False)
class _Work:
    """A call that runs in a thread and reports to the inbox. context: the run as it sees it. stop: tells the tool that
    the run is to stop, or waits for it no longer. at_end: called in the thread when the call has ended, however it
    did."""

    name: str
    arguments: str
    inbox: "_Inbox"
    context: Context
    stop: Closing
    at_end: Callable[[], object] | None = None
    started: float = field(default_factory=lambda: time.monotonic())
    taken: threading.Lock = field(default_factory=threading.Lock)
    is_started: bool = False
    has_ended: bool = False

    def take(self) -> bool:
        """Claim it for the calling thread; False when another thread has it."""
        return self.taken.acquire(blocking=False)

    def leave(self) -> None:
        """Nobody waits for it any more: what has not begun does not begin, and what runs is told to stop."""
        if not self.take() and not self.has_ended:
            self.stop.set()

    def run(self, runner: Runner) -> None:
        """Run it in this thread, unless another thread has taken it."""
        if not self.take():
            return

        def progress(text: str) -> None:
            self.inbox.put((self, str(text)))

        try:
            context = replace(self.context, progress=progress, cancel=self.stop)
            outcome = runner.outcome_of(self.name, self.arguments, context)
        except BaseException as error:  # noqa: BLE001 - the run waits for this outcome
            outcome = failure(f"{self.name} raised {type(error).__name__}.")
        self.has_ended = True
        self.inbox.put((self, outcome))
        if self.at_end is not None:
            self.at_end()


_Inbox = SimpleQueue[tuple[_Work, str | Outcome]]


class RunningCalls:
    """Calls of one reply that run in threads, some of them perhaps since before the reply was complete."""

    def __init__(self, runner: Runner) -> None:
        self.inbox: _Inbox = SimpleQueue()
        self.process = os.getpid()
        self._runner = runner
        self._unclaimed: list[_Work] = []
        self._is_left = False

    def __len__(self) -> int:
        return len(self._unclaimed)

    def begin(
        self,
        name: str,
        arguments: str,
        context: Context | None = None,
        at_end: Callable[[], object] | None = None,
    ) -> None:
        """Start a call, unless an identical one waits to be claimed. context: instead of the run's. at_end: called in
        its thread when it has ended."""
        if self._like(name, arguments) is None:
            work = self._made(name, arguments, context, at_end)
            self._unclaimed.append(work)
            self.start(work)
            if self._is_left:  # meanwhile, by another thread
                self.leave()

    def leave(self) -> None:
        """Nobody claims any more what is still unclaimed, see `_Work.leave`."""
        self._is_left = True
        for work in list(self._unclaimed):
            work.leave()

    def claim(self, call: ToolCall) -> _Work:
        """The call as it runs: the one that was started with this name and these arguments, or a new one, which `start`
        begins."""
        function = call["function"]
        work = self._like(function["name"], function["arguments"])
        if work is None:
            return self._made(function["name"], function["arguments"], self._runner.context_of(call))
        self._unclaimed.remove(work)
        return work

    def start(self, work: _Work) -> None:
        """Have a thread run a call, unless one was asked to before."""
        if not work.is_started:
            work.is_started = True
            WORKERS.submit(functools.partial(work.run, self._runner))

    def reclaim(self, call: ToolCall) -> bool:
        """Whether no thread has started this call yet, so that it can be run here."""
        work = self._like(call["function"]["name"], call["function"]["arguments"])
        return work is None or work.take()

    def _like(self, name: str, arguments: str) -> _Work | None:
        return next((work for work in self._unclaimed if (work.name, work.arguments) == (name, arguments)), None)

    def _made(
        self,
        name: str,
        arguments: str,
        context: Context | None = None,
        at_end: Callable[[], object] | None = None,
    ) -> _Work:
        context = context or self._runner.context
        return _Work(name, arguments, self.inbox, context, Closing(context.cancel), at_end)


class EarlyCalls:
    """The calls that are started while one reply arrives. running: made with the first, as it holds their runner."""

    running: RunningCalls | None = None


@dataclass
class ParallelCalls:
    """Calls that run in parallel in threads, and what they report. running: those that were begun and have no outcome
    yet, with the time (`time.monotonic()`) until which the run waits for each."""

    runner: Runner
    calls: Sequence[ToolCall]
    begun: RunningCalls
    note: str = ""
    outcomes: dict[_Work, Outcome] = field(default_factory=dict)
    running: dict[_Work, float] = field(default_factory=dict)

    def events(self) -> Generator[Event, None, OpenCall | None]:
        """The progress of the calls, and the end of each in the order of the calls. Returns the one that asks a person
        something, at which it stops; None when all are answered."""
        works: dict[_Work, ToolCall] = {}
        waiting: deque[_Work] = deque()
        try:
            return (yield from self._events(works, waiting))
        except BaseException:  # the reader has left, or what stops its thread was raised here
            for work in waiting:
                self.runner.leave(works[work], self.outcomes.get(work))
            raise
        finally:
            for work in self.running:
                work.leave()
            self.begun.leave()

    def _events(self, works: dict[_Work, ToolCall], waiting: deque[_Work]) -> Generator[Event, None, OpenCall | None]:
        """The same. works: gets those that were begun. waiting: those of them that were not answered yet."""
        while len(works) < len(self.calls) or waiting:
            if self.runner.context.cancelled:
                yield from self._settled(works, waiting)
                return None
            check_same_process(self.begun.process)
            for call in self._next_calls(len(works)):
                yield self.runner.started(call)
                work = self.begun.claim(call)
                works[work] = call
                waiting.append(work)  # before it begins: Ctrl-C may come at any moment
                self.begun.start(work)
                if work not in self.outcomes:
                    self.running[work] = self._deadline_of(work)
            if waiting[0] not in self.outcomes:
                yield from self._receive(works)
            while waiting and waiting[0] in self.outcomes:
                work = waiting[0]
                if self.outcomes[work].question is not None:
                    return open_call(works[work], self.outcomes[work].question)
                yield self.runner.finished(works[work], self.outcomes[work].with_note(self.note))
                waiting.popleft()  # now its answer is in the transcript
        return None

    def _next_calls(self, begun: int) -> Sequence[ToolCall]:
        """The calls that may begin: as many as end while others are running. begun: how many have."""
        return self.calls[begun : begun + max(0, self.runner.parallel - len(self.running))]

    def _settled(self, works: Mapping[_Work, ToolCall], waiting: deque[_Work]) -> Iterator[Event]:
        """The end of a call with an effect, where the run is stopped: it must not be made again by the next run. The
        log of a session says itself that it was started; one that is closed has its answer nevertheless."""
        closing, is_logged = self.runner.context.closing, self.runner.context.session is not None
        is_closed = closing is not None and closing.is_closed
        while waiting and (is_closed or not is_logged):
            work = waiting[0]
            if self.runner.has_effect(work.name):
                how = "closed" if is_closed else "cancelled"
                outcome = self.outcomes.get(work) or failure(stopped_meanwhile(work.name, how))
                yield self.runner.finished(works[work], outcome)
            waiting.popleft()

    def _deadline_of(self, work: _Work) -> float:
        timeout = self.runner.timeout_of(work.name)
        own = float("inf") if timeout is None else work.started + timeout
        return own if self.runner.context.deadline is None else min(own, self.runner.context.deadline)

    def _receive(self, works: Mapping[_Work, ToolCall]) -> Iterator[Event]:
        """Receive the next report, or end the calls whose time is up."""
        patience = min(self.running.values()) - time.monotonic()
        if self.runner.context.cancel is not None:
            patience = min(patience, POLL_INTERVAL)
        try:
            is_endless = patience >= threading.TIMEOUT_MAX
            work, report = self.begun.inbox.get(timeout=None if is_endless else max(0.0, patience))
        except Empty:
            for work, deadline in list(self.running.items()):
                if time.monotonic() >= deadline:
                    self.outcomes[work] = self._timed_out(work)
                    del self.running[work]
            return
        if isinstance(report, Outcome):
            self.outcomes.setdefault(work, report)  # also of one that is not claimed yet
            self.running.pop(work, None)
        elif work in works:
            yield ToolProgress(works[work]["id"], text=report)

    def _timed_out(self, work: _Work) -> Outcome:
        work.leave()
        if self.runner.context.deadline is not None and time.monotonic() >= self.runner.context.deadline:
            return failure(out_of_time(work.name))
        timeout = self.runner.timeout_of(work.name) or 0.0
        return replace(failure(too_slow(work.name, timeout)), seconds=timeout)
