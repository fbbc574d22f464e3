"""Answers single items with the agent of a job, in any thread of any process."""

import hashlib
import re
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.agent import Agent
from agentkit.batch.attempts import kind_of, seconds_before
from agentkit.batch.item import Item, Record
from agentkit.batch.job import Job
from agentkit.batch.pace import ServerPaces, Tally
from agentkit.batch.records import NO_OUTCOME, answered, failed, not_run
from agentkit.event import Result
from agentkit.limits import Usage
from agentkit.net.repeats import run_of
from agentkit.session import Sessions
from agentkit.sessions import open_sessions

KIND = "_kind"
"""A field of a record for the driver alone: "account" where the server refuses the account, "cancelled" where the run
was stopped. It is removed before the record is written."""

_PLAIN_ID = re.compile(r"[\w.:@=+-]{1,60}")


class Worker:
    """Answers items; thread-safe. paces: what holds back the requests of this process."""

    def __init__(self, job: Job, paces: ServerPaces) -> None:
        self._job = job
        self._paces = paces
        self._sessions: Sessions | None = None
        self._lock = threading.Lock()

    def answer(self, item: Item, cancel: threading.Event) -> Record:
        """The record of an item, which names the error of a run that has failed. cancel: stops the run."""
        if item.problem:
            return not_run(item, "bad_input", item.problem)
        with run_of(item.id), self._paces.run() as tally:
            return _Attempts(self, self._job, item, cancel, tally).record()

    def run(self, item: Item, messages: Sequence[Mapping[str, Any]], cancel: threading.Event) -> Result[Any]:
        """One attempt. messages: those of the attempt before it, from which this one goes on; empty for the first."""
        agent = self._job.agent_here()
        options: dict[str, Any] = {"cancel": cancel, "sampling": {**self._job.sampling, **item.sampling}}
        if self._job.limits:
            options["limits"] = self._job.run_limits()
        if self._job.output is not None:
            options["output"] = self._job.output
        if self._job.sessions is not None:
            return self._run_in_session(agent, item, options)
        if messages:
            return agent.run(None, messages=messages, **options)
        if item.prompt is None:
            return agent.run(None, messages=item.messages, **options)
        return agent.run(item.prompt, messages=item.messages, **options)

    def _run_in_session(self, agent: Agent, item: Item, options: dict[str, Any]) -> Result[Any]:
        """A run whose tool calls are booked, so that none has its effect twice, whatever dies when."""
        session = self._store()[session_id(self._job.name, item.id)]
        request = hashlib.blake2b(item.id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        *earlier, last = item.messages or ({"role": "user", "content": item.prompt},)
        if earlier and not session.messages:
            session.append(earlier)
        return agent.run(last["content"], session=session, request_id=request, **options)

    def _store(self) -> Sessions:
        with self._lock:
            if self._sessions is None:
                assert self._job.sessions is not None
                self._sessions = open_sessions(self._job.sessions)
            return self._sessions

    def close(self) -> None:
        """Close the store of sessions and the agent."""
        with self._lock:
            if self._sessions is not None:
                self._sessions.close()
            self._sessions = None
        self._job.close_agent()


def session_id(batch: str, item_id: str) -> str:
    """The id of the session of an item. batch: the name of its batch."""
    if _PLAIN_ID.fullmatch(item_id):
        return f"batch.{batch}.{item_id}"
    digest = hashlib.blake2b(item_id.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    return f"batch.{batch}.={digest}"


class _Attempts:
    """The attempts at one item. What an attempt has paid for is kept: the next goes on from its transcript."""

    def __init__(self, worker: Worker, job: Job, item: Item, cancel: threading.Event, tally: Tally) -> None:
        self._worker = worker
        self._job = job
        self._item = item
        self._cancel = cancel
        self._tally = tally
        self._spent = Usage(cost=0.0)
        self._messages: Sequence[Mapping[str, Any]] = ()
        self._count = 0

    def record(self) -> Record:
        while True:
            self._count += 1
            try:
                result = self._worker.run(self._item, self._messages, self._cancel)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - of any tool, hook or backend: it is this item's outcome
                made = self._after(error)
                if made is not None:
                    return made
                continue
            spent = self._spent + result.usage
            made = answered(self._item, result, self._job.keep, spent, self._count, self._tally.refusals)
            return {**made, KIND: "cancelled"} if result.stopped in NO_OUTCOME else made

    def _after(self, error: BaseException) -> Record | None:
        """What follows a failure: None when there is another attempt, for which this has waited."""
        self._spent += getattr(error, "usage", None) or Usage(cost=0.0)
        kind = kind_of(error)
        made = failed(self._item, error, self._spent, self._count, self._tally.refusals, self._job.keep)
        if self._cancel.is_set():
            return {**made, KIND: "cancelled"}
        if kind == "account":
            return {**made, KIND: "account"}
        if kind != "passing" or self._count >= self._job.attempts:
            return made
        messages = getattr(error, "messages", None)
        self._messages = messages if isinstance(messages, list) and messages else self._messages
        if self._cancel.wait(seconds_before(self._count + 1)):
            return {**made, KIND: "cancelled"}
        return None


def timed_out(item: Item, started: float) -> Record:
    """The record of an item whose run is left behind."""
    seconds = time.monotonic() - started
    return {**not_run(item, "timeout", f"it did not end in {seconds:.0f} s, and was left behind"), "attempts": 1}
