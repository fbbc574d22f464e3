"""The loop: ask, act, repeat until nothing is due.

Closed for good (docs/architecture.md): a new ability is a reader of events, a middleware, or a new implementation of
a protocol, and no branch in here.
"""

from agentkit.backend import Backend, Request
from agentkit.event import LimitReached, LoopDetected, Reply, ReplyFinished, ReplyStarted, Steps, ToolFinished
from agentkit.executor import Executor, refused
from agentkit.limits import LAST_WORDS, Budget
from agentkit.message import ToolCall, user
from agentkit.toolbox import Toolbox
from agentkit.transcript import Due, Transcript

NO_TOOLS = Toolbox()


def run(transcript: Transcript, backend: Backend, executor: Executor, budget: Budget, stream: bool) -> Steps:
    """Do what is due until nothing is; every event's messages are in the transcript before it is yielded.

    Raises what the backend raises; the transcript stays valid then, and also when the reader walks away.
    """
    while not executor.context.cancelled and (due := transcript.whats_due()) is not Due.NOTHING:
        if isinstance(due, tuple):
            steps = act(due, executor, budget)
        elif executor.ended_by is not None:
            return
        else:
            steps = ask(transcript, backend, executor.offered, budget, stream)
        try:
            for event in steps:
                transcript.extend(event.adds)
                yield event
        finally:
            steps.close()


def ask(transcript: Transcript, backend: Backend, toolbox: Toolbox, budget: Budget, stream: bool) -> Steps:
    """Get a reply; once a limit is reached, the last one, without tools."""
    limit = budget.begin_reply()
    if limit:
        yield LimitReached(limit, adds=(user(LAST_WORDS[limit]),))
    elif warning := budget.warning():
        yield LoopDetected(warning, adds=(user(warning),))
    tools = NO_TOOLS if limit else toolbox
    yield ReplyStarted(budget.turn)
    deltas = backend.reply(Request(transcript, tools, stream))
    try:
        for delta in deltas:
            if not isinstance(delta, Reply):
                yield delta
                continue
            budget.end_reply(delta.usage)
            reply = delta.without_calls() if limit else delta
            yield ReplyFinished(reply, adds=(reply.message, *reply.then))
    finally:
        deltas.close()


def act(calls: tuple[ToolCall, ...], executor: Executor, budget: Budget) -> Steps:
    """Answer the open calls: run as many as the budget allows, refuse the rest."""
    granted, answered = budget.hold_tool_calls(len(calls)), 0
    steps = executor.answer(calls[:granted])
    try:
        for event in steps:
            if isinstance(event, ToolFinished):
                answered += 1
                budget.end_tool_call()
                record = event.record
                budget.note_call(record.name, record.raw_arguments, record.response, failed=record.error is not None)
            yield event
    finally:
        steps.close()
    for call in calls[granted:] if answered == granted else ():  # results stand in the order of the calls
        yield refused(call, "this call was not run: the limit on tool calls is reached.")
