"""Answers single items with the agent of a job, in any thread of any process."""

import contextlib
import math
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.batch.attempts import kind_of, seconds_before
from agentkit.batch.item import Item, Record
from agentkit.batch.item_sessions import ItemSessions
from agentkit.batch.job import Job
from agentkit.batch.pace import ServerPaces, Tally, is_not_there
from agentkit.batch.records import NO_OUTCOME, NOTHING, answered, failed, not_run
from agentkit.event import Result
from agentkit.limits import Usage
from agentkit.net.abort import AbortingEvent
from agentkit.net.repeats import run_of

KIND = "_kind"
"""A field of a record for the driver alone: "account" where the server refuses the account, "server" where it is
not there, "store" where the store of sessions can't be used, "cancelled" where the run was stopped, "given_up" where
it would have waited for a server that refuses after the time of the batch was up. It is removed before the record is
written."""


class Worker:
    """Answers items; thread-safe. paces: what holds back the requests of this process."""

    def __init__(self, job: Job, paces: ServerPaces) -> None:
        self._job = job
        self._paces = paces
        left = math.inf if job.patient_until is None else job.patient_until - time.time()
        self._patient_until = time.monotonic() + left
        self._sessions = None if job.sessions is None else ItemSessions(job.sessions, job.name)

    def answer(self, item: Item, cancel: AbortingEvent) -> Record:
        """The record of an item, which names the error of a run that has failed. cancel: stops the run."""
        if item.problem:
            return not_run(item, "bad_input", item.problem)
        try:
            with run_of(item.id), self._paces.run(self._patient_until) as tally:
                return cancel.within(_Attempts(self, self._job, item, cancel, tally).record)
        except BaseException as error:
            if is_of_program(error):
                raise
            return broken(item, error)

    def run(self, item: Item, messages: Sequence[Mapping[str, Any]], cancel: AbortingEvent) -> Result[Any]:
        """One attempt. messages: those of the attempt before it, from which this one goes on; empty for the first."""
        agent = self._job.agent_here()
        options: dict[str, Any] = {"cancel": cancel}
        if self._job.sampling or item.sampling:
            options["sampling"] = {**self._job.sampling, **item.sampling}
        if self._job.limits:
            options["limits"] = self._job.run_limits()
        if self._job.output is not None:
            options["output"] = self._job.output
        if self._sessions is not None:
            return self._sessions.run(agent, item, options)
        if messages:
            return agent.run(None, messages=messages, **options)
        if item.messages:
            options["messages"] = item.messages
        return agent.run(item.prompt, **options)

    def reopen(self, item: Item) -> None:
        """An attempt has failed: another one gets an answer of its own, also where its session has one."""
        if self._sessions is not None:
            with contextlib.suppress(Exception):  # the error of the attempt says more
                self._sessions.reopen(item)

    def close(self) -> None:
        """Close the store of sessions and the agent."""
        if self._sessions is not None:
            self._sessions.close()
        self._job.close_agent()


class _Attempts:
    """The attempts at one item. What an attempt has paid for is kept: the next goes on from its transcript."""

    def __init__(self, worker: Worker, job: Job, item: Item, cancel: AbortingEvent, tally: Tally) -> None:
        self._worker = worker
        self._job = job
        self._item = item
        self._cancel = cancel
        self._tally = tally
        self._spent = NOTHING
        self._messages: Sequence[Mapping[str, Any]] = ()
        self._count = 0

    def record(self) -> Record:
        while True:
            self._count += 1
            try:
                return self._answered(self._worker.run(self._item, self._messages, self._cancel))
            except BaseException as error:
                if is_of_program(error):
                    raise
                made = self._outcome(error)
            if made is not None:
                return made

    def _answered(self, result: Result[Any]) -> Record:
        self._spend(result.usage)
        made = answered(self._item, result, self._job.keep, self._spent, self._count, self._tally.refusals)
        if result.stopped in NO_OUTCOME:
            return {**made, KIND: "cancelled"}
        if not made["ok"]:
            self._worker.reopen(self._item)
        return made

    def _spend(self, usage: Usage) -> None:
        is_first = self._spent is NOTHING and usage.requests > 0  # nearly always: there is nothing to add
        self._spent = usage if is_first else self._spent + usage

    def _outcome(self, error: BaseException) -> Record | None:
        self._worker.reopen(self._item)
        try:
            return self._after(error)
        except Exception:  # noqa: BLE001 - of an exception class that somebody has written
            return broken(self._item, error)

    def _after(self, error: BaseException) -> Record | None:
        """What follows a failure: None when there is another attempt, for which this has waited."""
        self._spend(getattr(error, "usage", None) or NOTHING)
        kind = kind_of(error)
        made = failed(self._item, error, self._spent, self._count, self._tally.refusals, self._job.keep)
        if self._cancel.is_set():
            return {**made, KIND: "cancelled"}
        if self._tally.has_given_up:
            return {**made, KIND: "given_up"}
        if kind == "account":
            return {**made, KIND: "account"}
        if kind not in ("passing", "store") or self._count >= self._job.attempts:
            what = "server" if kind == "passing" and is_not_there(error) else kind
            return {**made, KIND: what} if what in ("store", "server") else made
        messages = getattr(error, "messages", None)
        self._messages = messages if isinstance(messages, list) and messages else self._messages
        if self._cancel.wait(seconds_before(self._count + 1)):
            return {**made, KIND: "cancelled"}
        return None


def is_of_program(error: BaseException) -> bool:
    """Whether an error ends the program: a Ctrl-C in its main thread. In any other thread a tool has raised it."""
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def broken(item: Item, error: BaseException) -> Record:
    """The record of an item whose outcome is an error that was not foreseen."""
    try:
        why = str(error)
    except Exception:  # noqa: BLE001 - of an exception class that somebody has written
        why = ""
    return {**not_run(item, type(error).__name__, why or "without a message"), "attempts": 1}


def timed_out(item: Item, started: float) -> Record:
    """The record of an item whose run is left behind."""
    seconds = time.monotonic() - started
    return {**not_run(item, "timeout", f"it did not end in {seconds:.0f} s, and was left behind"), "attempts": 1}
