"""Runs the tool calls of a run: in parallel where that is allowed, some of them while the reply still arrives."""

import functools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentkit._lazy.logs import INFO, logger_of
from agentkit._lazy.records import replace
from agentkit._text import joined_surrogates
from agentkit.errors import ArgumentsError
from agentkit.event import ApprovalNeeded, Event, OpenCall, Steps, ToolFinished, ToolProgress, ToolRecord, ToolStarted
from agentkit.message import Message, ToolCall, images_for_the_model, is_shown_by_a_tool, response_of, tool_result
from agentkit.running.decisions import NO_DECISIONS, Decisions
from agentkit.running.offered_tools import OfferedTools
from agentkit.running.parallel_calls import EarlyCalls, ParallelCalls, RunningCalls
from agentkit.running.parallel_calls import open_call as open_call
from agentkit.running.run_hooks import NO_HOOKS, AgentHooks
from agentkit.toolbox import Toolbox
from agentkit.tooling.arguments import UNREADABLE_CALL, parse, read_arguments
from agentkit.tooling.earlier_result import earlier_result_tool, reading_on
from agentkit.tooling.latency import ToolLatency
from agentkit.tooling.outcome import WRONG_ARGUMENTS, Outcome, failure, is_failure
from agentkit.tooling.stop import stopped_meanwhile
from agentkit.tools import Context, Tool

if TYPE_CHECKING:
    from agentkit.running.planned_call import PlannedCall
    from agentkit.transcript import Transcript

logger = logger_of("agentkit.run")

MAX_PARALLEL = 32
"""How many read-only calls run at once, unless an agent says otherwise."""


class Executor:
    """Runs the tool calls of one run.

    offered: the tools that the model is offered. context: the run. decisions: of a person, on the open calls. latency:
    how long the tools take. hidden: tools that are offered in some requests only, by name, each made when it is called.
    parallel: how many read-only calls run at once. hooks: the agent's. ended_by: the call that ended the run, of a tool
    with ends_run. given_sources: the numbers of the sources that its calls have found or read. left: what answers
    the calls with an effect whose end the run was left at, or before, by their ids: whoever goes on must not make them
    again.
    """

    def __init__(
        self,
        offered: Toolbox,
        context: Context,
        decisions: Decisions,
        latency: ToolLatency,
        hidden: Mapping[str, Callable[[], Tool[..., Any]]],
        parallel: int = MAX_PARALLEL,
        hooks: AgentHooks = NO_HOOKS,
    ) -> None:
        self._tools = OfferedTools(offered)
        self.hooks = hooks.of_run(replace(context, tools=self._tools))
        self.context = self.hooks.context
        self._guard = self.hooks.guard
        self.ended_by: ToolRecord | None = None
        self.given_sources: set[int] = set()
        self.left: dict[str, tuple[Message, ...]] = {}
        self._decisions = decisions
        self._latency = latency
        self._hidden = hidden
        self.parallel = parallel
        self._early = EarlyCalls()
        self._answers: dict[str, Any] = {}

    @property
    def offered(self) -> Toolbox:
        """The tools that the model is offered now."""
        return self._tools.toolbox

    def new_reply(self) -> Callable[[str, str, Sequence[str]], None]:
        """Returns what starts a call of the reply that is requested now, if it may start before the reply is complete:
        it takes the call's name, its arguments (JSON text), and the names of the calls before it. Calls that were
        started for an earlier reply and not claimed are left."""
        self.leave_begun()
        return functools.partial(self._begin, self._early)

    def leave_begun(self) -> None:
        """Nobody waits any more for the calls that were started for a reply and not claimed; none is started for it."""
        left, self._early = self._early.running, EarlyCalls()
        if left is not None:
            left.leave()

    def gains_from_stream(self) -> bool:
        """Whether a stream that nobody reads is worth its cost, since tools may start while the reply arrives."""
        return self._latency.may_gain(self.offered.may_begin_early)

    def _begin(self, early: EarlyCalls, name: str, arguments: str, before: Sequence[str]) -> None:
        is_read_only = all(map(self.offered.may_begin_early, (name, *before)))
        has_room = self._has_room(0 if early.running is None else len(early.running))
        may_begin = is_read_only and not self._latency.is_quick(name) and has_room
        if early is not self._early or not may_begin or self._why_tainted(name, arguments):
            return
        running = early.running
        if running is None:
            running = early.running = RunningCalls(self)
        running.begin(name, arguments)
        if early is not self._early:  # the thread of the run has left it meanwhile
            running.leave()

    def _has_room(self, count: int) -> bool:
        budget = self.context.budget
        if count >= self.parallel or self.context.cancelled:
            return False
        return budget is None or budget.hold_tool_calls(count + 1) > count

    def answer(self, calls: Sequence[ToolCall]) -> Steps:
        """Run calls and yield their events; consecutive read-only calls run in parallel, others in order. At the first
        call that needs an approval without a decision it stops, with ApprovalNeeded.

        Each ToolFinished adds the tool message of its call, in the order of the calls; images come after the last.
        Stops early, with calls left open, when the run is cancelled; calls that are running at the run's deadline are
        answered with that.
        """
        begun, self._early = self._early, EarlyCalls()
        running = begun.running
        # Only for the calls that were open when they were made: servers reuse ids in later replies.
        decisions, self._decisions, self._answers = self._decisions, NO_DECISIONS, {}
        place = 0
        try:
            for group in self._groups(calls, decisions):
                if self.context.cancelled:
                    return
                if self.hooks.changes_calls and self._may_need_approval(group[0]):
                    waiting = yield from self._planned(calls, place, decisions)
                else:
                    asks = yield from self._decided(group, decisions, running)
                    waiting = [] if asks is None else [asks, *self._waiting(calls[place + 1 :], decisions)]
                if waiting:
                    yield ApprovalNeeded(tuple(waiting))
                    return
                place += len(group)
                running = None  # they all stand in the first group
        finally:
            if begun.running is not None:
                begun.running.leave()

    def _decided(
        self, group: list[ToolCall], decisions: Decisions, begun: RunningCalls | None
    ) -> Generator[Event, None, OpenCall | None]:
        """Run calls, unless a person has to approve the first of them, which then is the only one. Returns the call
        that the run waits for; None: for none."""
        is_decided = group[0] in decisions
        if not is_decided and self._needs_approval(group[0]):
            return self._shown(decisions.waiting(group[0]), group[0])
        if is_decided and (refusal := decisions.refusal(group[0])):
            yield refused(group[0], refusal)
            return None
        group[0], note = self._as_decided(group[0], decisions)
        if self._may_run_here(group) and (begun is None or begun.reclaim(group[0])):
            return (yield from self._run_here(group[0], note))
        return (yield from ParallelCalls(self, group, begun or RunningCalls(self), note).events())

    def _run_here(self, call: ToolCall, note: str) -> Generator[Event, None, OpenCall | None]:
        """Run a call in this thread; what it reports as its progress follows. Returns it if it asks a person
        something."""
        yield self.started(call)
        function, outcome = call["function"], None
        told: list[str] = []
        context = self.context_of(call)
        if context is not self.context:  # what sees it may tell its progress
            context = replace(context, progress=told.append)
        try:
            outcome = self.outcome_of(function["name"], function["arguments"], context)
            for text in told:
                yield ToolProgress(call["id"], text=str(text))
            if outcome.question is not None:
                return open_call(call, outcome.question)
            yield self.finished(call, outcome.with_note(note))
        except BaseException:  # what stops the thread, such as Ctrl-C, or the reader has left
            self.leave(call, outcome)
            raise
        return None

    def _as_decided(self, call: ToolCall, decisions: Decisions) -> tuple[ToolCall, str]:
        """A call as a person has let it run, and a note for the model."""
        if decisions.is_empty and self._guard is None:
            return call, ""
        decided = decisions.on(call, may_need_approval=call in decisions and self._may_need_approval(call))
        self._answers[call["id"]] = decided.answer
        if self._guard is not None:
            self._guard.decide(call, decided.call, decisions)
        return decided.call, decided.note

    def context_of(self, call: ToolCall) -> Context:
        """The run as one call sees it."""
        answer, found = self._answers.get(call["id"]), self._tool(call["function"]["name"])
        is_seen = self.hooks.changes_calls or (found is not None and found.takes_context)
        if answer is None and not is_seen:
            return self.context
        return replace(self.context, answer=answer, call_id=call["id"])

    def outcome_of(self, name: str, arguments: str, context: Context) -> Outcome:
        """Run one call. arguments: JSON text."""
        found = self._tool(name)
        if found is not None:
            outcome = context.hooks.answer(found, arguments, context)
            return outcome.with_note(self.offered.schema_note(found)) if outcome.error == WRONG_ARGUMENTS else outcome
        return _unreadable(arguments) if name == UNREADABLE_CALL else failure(self.offered.not_found(name))

    def has(self, name: str) -> bool:
        """Whether there is a tool of that name, offered or hidden."""
        return self._tools.toolbox.get(name) is not None or name in self._hidden

    def finished(self, call: ToolCall, outcome: Outcome) -> ToolFinished:
        """The event of a call that was run."""
        self._note_latency(call["function"]["name"], outcome)
        self._log(call["function"]["name"], outcome)
        from agentkit.running.cited_results import with_sources

        outcome = with_sources(outcome, self.context.sources)
        self.given_sources.update(source.number for source in outcome.sources)
        event = _finished_event(call, self._readable_on(outcome) if outcome.whole else outcome)
        if event.ends_run:
            self.ended_by = self.ended_by or event.record
        return event if self._guard is None else self._guard.with_decision(event)

    def _note_latency(self, name: str, outcome: Outcome) -> None:
        """Record how long a call took; not of what was no call: the name is the model's text, or it did not begin."""
        if outcome.error != WRONG_ARGUMENTS and (not outcome.failed or self.has(name)):
            self._latency.note(name, outcome.seconds)

    def _log(self, name: str, outcome: Outcome) -> None:
        """Log a call without its content; the name of a tool that there is not is the model's text."""
        if logger.isEnabledFor(INFO):
            known = name if self.has(name) else "(unknown)"
            logger.info("tool %s %s after %.3f s", known, "failed" if outcome.failed else "returned", outcome.seconds)

    def _readable_on(self, outcome: Outcome) -> Outcome:
        """The outcome of a call whose result was cut, with how the model reads on; the tool for that is offered then.
        Its message is the next one of the transcript."""
        number = len(self.context.messages) - self.context.offset
        self.context.long_results.keep(number, outcome.whole)
        self._tools.offer(earlier_result_tool())
        return outcome.with_note(reading_on(number, outcome.shown))

    def continue_from(self, messages: Sequence[Message]) -> None:
        """The run continues from these messages, without a new question: a call in their last reply may have ended
        it."""
        responses: dict[str, str] = {}
        for message in reversed(messages):
            if message["role"] == "tool":
                responses[message["tool_call_id"]] = response_of(message)
            elif not is_shown_by_a_tool(message):
                calls = message.get("tool_calls") or ()
                ended = [call for call in calls if self._has_ended(call, responses.get(call["id"]))]
                if ended:
                    self.ended_by = record_of(ended[0], Outcome(responses[ended[0]["id"]]))
                return

    def _has_ended(self, call: ToolCall, response: str | None) -> bool:
        found = self.offered.get(call["function"]["name"])
        return found is not None and found.options.ends_run and response is not None and not is_failure(response)

    def timeout_of(self, name: str) -> float | None:
        """The seconds after which the run continues without a call; None for no limit."""
        found = self._tool(name)
        return None if found is None else self._timeout_of(found)

    def _timeout_of(self, found: Tool[..., Any]) -> float | None:
        if found.options.isolate:  # it is ended with its process
            return None
        return self.context.tool_timeout if found.options.timeout is None else found.options.timeout

    def leave(self, call: ToolCall, outcome: Outcome | None) -> None:
        """The run is left while a call is running, or has just ended. In a session, its log says which were started."""
        name = call["function"]["name"]
        asks = outcome is not None and outcome.question is not None
        if self.context.session is None and self.has_effect(name) and not asks:
            known = outcome or failure(stopped_meanwhile(name, "stopped"))
            self.left[call["id"]] = _finished_event(call, known).adds

    def answer_left(self, transcript: "Transcript") -> None:
        """Add what answers the calls that were left and are still open."""
        while self.left and isinstance(due := transcript.whats_due(), tuple) and due[0]["id"] in self.left:
            transcript.extend(self.left.pop(due[0]["id"]))

    def has_effect(self, name: str) -> bool:
        """Whether a tool is not known to be read-only."""
        found = self._tool(name)
        return found is not None and not found.options.read_only

    def _tool(self, name: str) -> Tool[..., Any] | None:
        found = self._tools.toolbox.get(name)
        return self._hidden[name]() if found is None and name in self._hidden else found

    def started(self, call: ToolCall) -> ToolStarted:
        """The event of a call that is run now."""
        name, raw = call["function"]["name"], call["function"]["arguments"]
        read_only = not self.has_effect(name)
        return ToolStarted(call["id"], name=name, arguments=read_arguments(raw), raw_arguments=raw, read_only=read_only)

    def _groups(self, calls: Sequence[ToolCall], decisions: Decisions) -> Iterator[list[ToolCall]]:
        group: list[ToolCall] = []
        for call in calls:
            alone = call in decisions or self._stands_alone(call)
            if group and alone:
                yield group
                group = []
            if alone:
                yield [call]
            else:
                group.append(call)
        if group:
            yield group

    def _stands_alone(self, call: ToolCall) -> bool:
        found = self._tool(call["function"]["name"])
        return found is not None and (not found.options.may_overlap or self._may_ask(found, call))

    def _may_need_approval(self, call: ToolCall) -> bool:
        found = self._tool(call["function"]["name"])
        return found is not None and self._may_ask(found, call)

    def _may_ask(self, found: Tool[..., Any], call: ToolCall) -> bool:
        if found.options.approve is not False:
            return True
        if self._guard is None or not self._guard.asks or not found.has_hooks:  # of which it says nothing
            return False
        return not found.options.read_only or self._reason(call) is not None

    def _needs_approval(self, call: ToolCall) -> bool:
        found = self._tool(call["function"]["name"])
        if found is None or found.needs_approval(call["function"]["arguments"]):
            return found is not None
        return self._guard is not None and self._guard.asks and self._reason(call) is not None

    def _reason(self, call: ToolCall) -> str | None:
        """Why a call is tainted; None where it is not."""
        return self._why_tainted(call["function"]["name"], call["function"]["arguments"])

    def _why_tainted(self, name: str, arguments: str) -> str | None:
        return None if self._guard is None else self._guard.reason(self._tool(name), arguments)

    def _shown(self, waiting: OpenCall, call: ToolCall) -> OpenCall:
        """A call that waits for a person, with the reason for which this one does."""
        return waiting if waiting.question or self._guard is None else replace(waiting, reason=self._reason(call))

    def _planned(
        self, calls: Sequence[ToolCall], place: int, decisions: Decisions
    ) -> Generator[Event, None, list[OpenCall]]:
        """Run the call at a place, unless a person has to approve what its hooks have made of it. Returns the calls
        that the run waits for."""
        if refusal := decisions.refusal(calls[place]):
            yield refused(calls[place], refusal)
            return []
        call, note = self._as_decided(calls[place], decisions)
        from agentkit.running.planned_call import PlannedCall

        asks: OpenCall | None = None
        with PlannedCall(self, self.hooks, call) as planned:
            planned.begin()
            if call in decisions or not self._waits(planned):
                if call in decisions and self._guard is not None:
                    self._guard.allow(planned.call)
                asks = yield from planned.events(note)
                if asks is None:
                    return []
        waiting = [asks or self._shown(decisions.waiting(planned.call), planned.call)]
        for call in calls[place + 1 :]:  # also what is decided: that is decided anew, when the first is answered
            if self._may_need_approval(call):
                with PlannedCall(self, self.hooks, call) as planned:
                    planned.begin()
                    waiting += [self._shown(open_call(planned.call), planned.call)] if self._waits(planned) else []
        return waiting

    def _waits(self, planned: "PlannedCall") -> bool:
        """Whether a person has to approve a call before it runs; not one that its hooks have answered themselves."""
        return planned.waits and self._needs_approval(planned.call)

    def _waiting(self, calls: Sequence[ToolCall], decisions: Decisions) -> list[OpenCall]:
        """Those of these calls that wait for a person, who decides anew on what was decided too early."""
        return [self._shown(decisions.waiting(call), call) for call in calls if self._needs_approval(call)]

    def _may_run_here(self, group: Sequence[ToolCall]) -> bool:
        """Whether no thread is needed: it is the only call, and nothing may interrupt it; or none is wanted."""
        if len(group) != 1:
            return False
        found = self._tool(group[0]["function"]["name"])
        if found is not None and found.options.same_thread:
            return True
        if self.context.can_stop:
            return False
        return found is None or not (found.takes_context or self._timeout_of(found) is not None)


def _unreadable(arguments: str) -> Outcome:
    try:
        parse(arguments)
    except ArgumentsError as error:
        return failure(f"{error}. Write the whole call again.")
    return failure("this is not a valid tool call. Write the whole call again.")


def refused(call: ToolCall, reason: str) -> ToolFinished:
    """The answer to a call that is not run."""
    return _finished_event(call, failure(reason))


def record_of(call: ToolCall, outcome: Outcome) -> ToolRecord:
    """The record of a call that was answered."""
    raw, text = call["function"]["arguments"], joined_surrogates(outcome.text)
    return ToolRecord(
        id=call["id"],
        name=call["function"]["name"],
        arguments=read_arguments(raw),
        raw_arguments=raw,
        response=text,
        error=text if outcome.failed else None,
        seconds=outcome.seconds,
        sources=outcome.sources,
    )


def _finished_event(call: ToolCall, outcome: Outcome) -> ToolFinished:
    record = record_of(call, outcome)
    adds: tuple[Message, ...] = (tool_result(call["id"], record.response),)
    if outcome.images:
        adds += (images_for_the_model(outcome.images),)
    return ToolFinished(record, ends_run=outcome.ends_run, adds=adds)
