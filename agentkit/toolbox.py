"""The tools of an agent: look-up by name, and answering the calls of a reply, side by side where they may be."""

import difflib
import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Any

from agentkit.arguments import UNREADABLE_CALL, parse
from agentkit.errors import ArgumentsError, ToolDefinitionError
from agentkit.event import Event, Steps, ToolFinished, ToolProgress, ToolRecord, ToolStarted
from agentkit.message import Message, ToolCall, images_for_the_model, tool_result
from agentkit.tool import Context, Outcome, Tool, failure, tool
from agentkit.transcript import encode
from agentkit.workers import WORKERS

MOST_BESIDE = 32
"""So many read-only calls of one reply run at a time."""

GLANCE = 0.05
"""Seconds between two looks at the cancel token while tools run."""


class Toolbox:
    """The tools of an agent, by name. Raises ToolDefinitionError when two have the same name."""

    def __init__(self, tools: Iterable[Tool[..., Any] | Callable[..., Any]] = ()) -> None:
        self._tools: dict[str, Tool[..., Any]] = {}
        for given in tools:
            made = given if isinstance(given, Tool) else tool(given)
            if made.waits_for_object:
                raise ToolDefinitionError(f"tool {made.name} is a method without its object: give object.{made.name}")
            if made.name in self._tools:
                raise ToolDefinitionError(f"two tools are named {made.name!r}: give one another name=")
            self._tools[made.name] = made
        self.encoded = encode(self.schemas) if self._tools else b""

    def __iter__(self) -> Iterator[Tool[..., Any]]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    @property
    def schemas(self) -> list[dict[str, Any]]:
        """The tools as OpenAI's chat completions take them."""
        return [each.schema for each in self]

    def answer(self, calls: Sequence[ToolCall], context: Context) -> Steps:
        """Run calls and tell of each; read-only ones that stand together run side by side, others in order.

        Each ToolFinished adds the tool message of its call, in the order of the calls; images come after the last.
        Stops early, with calls left open, when the run is cancelled; calls that are at work when the run's deadline
        comes are answered with that.
        """
        for group in self._groups(calls):
            if context.cancelled:
                return
            for call in group:
                function = call["function"]
                yield ToolStarted(call["id"], name=function["name"], arguments=function["arguments"])
            if len(group) == 1 and not context.can_stop and not self._wants_thread(group[0]):
                yield _finished_event(group[0], self._outcome_of(group[0], context))
            else:
                yield from _SideBySide(self, group, context).events()

    def _groups(self, calls: Sequence[ToolCall]) -> Iterator[list[ToolCall]]:
        group: list[ToolCall] = []
        for call in calls:
            alone = not self._is_read_only(call)
            if group and (alone or len(group) == MOST_BESIDE):
                yield group
                group = []
            if alone:
                yield [call]
            else:
                group.append(call)
        if group:
            yield group

    def _is_read_only(self, call: ToolCall) -> bool:
        found = self._tools.get(call["function"]["name"])
        return found is None or found.read_only

    def _wants_thread(self, call: ToolCall) -> bool:
        found = self._tools.get(call["function"]["name"])
        return found is not None and (self._timeout_of(call) is not None or found.takes_context)

    def _timeout_of(self, call: ToolCall) -> float | None:
        found = self._tools.get(call["function"]["name"])
        return found.timeout if found and not found.isolate else None  # an isolated one is ended with its process

    def _outcome_of(self, call: ToolCall, context: Context) -> Outcome:
        name = call["function"]["name"]
        found = self._tools.get(name)
        if found is not None:
            return found.answer(call["function"]["arguments"], context)
        return _unreadable(call) if name == UNREADABLE_CALL else self._unknown(name)

    def _unknown(self, name: str) -> Outcome:
        if not self._tools:
            return failure(f"there is no tool named {name!r}; no tools are offered.")
        nearest = difflib.get_close_matches(name, self._tools, n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        return failure(f"there is no tool named {name!r}.{hint} The tools are: {', '.join(self._tools)}.")


def _unreadable(call: ToolCall) -> Outcome:
    try:
        parse(call["function"]["arguments"])
    except ArgumentsError as error:
        return failure(f"{error}. Write the whole call again.")
    return failure("this is no tool call. Write the whole call again.")


def refused(call: ToolCall, reason: str) -> ToolFinished:
    """The answer to a call that is not run."""
    return _finished_event(call, failure(reason))


@dataclass
class _SideBySide:
    """Calls that run at once in threads, and what arrives from them."""

    toolbox: Toolbox
    calls: Sequence[ToolCall]
    context: Context
    inbox: SimpleQueue[ToolProgress | tuple[int, Outcome]] = field(default_factory=SimpleQueue)
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def events(self) -> Iterator[Event]:
        """What the calls tell, and each one's end in the order of the calls."""
        deadlines = {}
        for index, call in enumerate(self.calls):
            deadlines[index] = self._deadline_of(call)
            WORKERS.submit(functools.partial(self._work, index, call))
        told = 0
        while told < len(self.calls):
            if self.context.cancelled:
                return
            yield from self._receive(deadlines)
            while told in self.outcomes:
                yield _finished_event(self.calls[told], self.outcomes[told])
                told += 1

    def _deadline_of(self, call: ToolCall) -> float:
        timeout = self.toolbox._timeout_of(call)
        own = float("inf") if timeout is None else time.monotonic() + timeout
        return own if self.context.deadline is None else min(own, self.context.deadline)

    def _work(self, index: int, call: ToolCall) -> None:
        def progress(text: str) -> None:
            self.inbox.put(ToolProgress(call["id"], text=str(text)))

        try:
            outcome = self.toolbox._outcome_of(call, replace(self.context, progress=progress))
        except BaseException as error:  # noqa: BLE001 - the run waits for this outcome
            outcome = failure(f"{call['function']['name']} raised {type(error).__name__}.")
        self.inbox.put((index, outcome))

    def _receive(self, deadlines: dict[int, float]) -> Iterator[Event]:
        """Take in what arrives next, or end the calls whose time is up."""
        waiting = {index: deadline for index, deadline in deadlines.items() if index not in self.outcomes}
        patience = min(waiting.values()) - time.monotonic()
        if self.context.cancel is not None:
            patience = min(patience, GLANCE)
        try:
            arrived = self.inbox.get(timeout=None if patience == float("inf") else max(0.0, patience))
        except Empty:
            for index, deadline in waiting.items():
                if time.monotonic() >= deadline:
                    self.outcomes[index] = self._timed_out(self.calls[index])
            return
        if isinstance(arrived, ToolProgress):
            yield arrived
        else:
            self.outcomes.setdefault(*arrived)

    def _timed_out(self, call: ToolCall) -> Outcome:
        if self.context.deadline is not None and time.monotonic() >= self.context.deadline:
            return failure(
                f"{call['function']['name']} did not finish before the time of the run was up; whether it has had an "
                "effect is not known."
            )
        timeout = self.toolbox._timeout_of(call) or 0.0
        outcome = failure(f"{call['function']['name']} did not finish within {timeout:g} seconds.")
        return replace(outcome, seconds=timeout)


def _finished_event(call: ToolCall, outcome: Outcome) -> ToolFinished:
    record = ToolRecord(
        id=call["id"],
        name=call["function"]["name"],
        arguments=call["function"]["arguments"],
        response=outcome.text,
        error=outcome.text if outcome.failed else None,
        seconds=outcome.seconds,
    )
    adds: tuple[Message, ...] = (tool_result(call["id"], outcome.text),)
    if outcome.images:
        adds += (images_for_the_model(outcome.images),)
    return ToolFinished(record, adds=adds)
