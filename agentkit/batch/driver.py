"""One start of a batch: what is not answered yet goes to a fleet, and each record into the answers file."""

import math
import os
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

from agentkit._closing import Closable
from agentkit._lazy.records import dataclass
from agentkit.agent import Agent
from agentkit.backend import Backend
from agentkit.batch.answer_lines import OK
from agentkit.batch.budget import BatchBudget, BatchLimits
from agentkit.batch.feed import BatchFeed, Ending, How
from agentkit.batch.fleet import Fleet
from agentkit.batch.fleets import fleet_of
from agentkit.batch.item import Item, Record
from agentkit.batch.item_sessions import check_sessions
from agentkit.batch.items import BadLine, Checked, Items, open_items
from agentkit.batch.job import ATTEMPTS, Job
from agentkit.batch.journal import Journal, JournalError
from agentkit.batch.quarantine import Quarantine
from agentkit.batch.records import copied
from agentkit.batch.replaced_file import replace_file
from agentkit.batch.state_folder import NAME
from agentkit.batch.stats import Counting, Stats
from agentkit.errors import ConfigurationError
from agentkit.limits import Usage

CANCEL_SECONDS = 5.0
"""How long runs that are cancelled have to end."""
SHOWN_LINES = 20
TOGETHER = 0.01
"""Seconds in which records gather for their reader: to wake it for each takes as much as all else around a run."""


class BadInputError(ConfigurationError):
    """The input has lines that can't be asked. bad: the first of them, each with its number and the reason. count: of
    all."""

    def __init__(self, bad: Sequence[BadLine], count: int) -> None:
        shown = [f"line {each.line}: {each.reason}" for each in bad[:SHOWN_LINES]]
        more = [f"... and {count - len(shown)} more"] if count > len(shown) else []
        advice = "mend them, or use skip_bad to record them as failed"
        super().__init__("\n".join([f"{count} lines can't be asked; {advice}:", *shown, *more]))
        self.bad = list(bad)
        self.count = count


@dataclass(frozen=True)
class _Plan:
    """What is asked of one start. See `run_batch`."""

    job: Job
    items: Items
    checked: Checked
    journal: Journal | None
    fleet: Fleet
    limits: BatchLimits
    ordered: bool
    asks_unknown: bool
    grace: float
    finish: Callable[[Record], Record] | None


class BatchRun(Closable, Iterator[Record]):
    """One start of a batch: an iterator of the records of this start, in order of completion.

    Items are answered while nobody reads too, up to 1,000 records ahead. When it is closed, or read to the end, the
    answers file is complete and free for another start. What ends it before all is answered raises nothing: `ending`
    says why ("complete", "stopped", "budget", "account", "server"), and `message` what to do. Raises JournalError for
    an answers file that can't be written (`ending` is "disk"), and what `finish` or the source of the items raises
    ("failed").
    """

    def __init__(self, plan: _Plan) -> None:
        self._plan = plan
        journal = plan.journal
        before, failed_before = (0, 0) if journal is None else (journal.answered, journal.failed)
        self._counting = Counting(plan.checked.total, before, failed_before)
        has_effects = plan.job.sessions is None and plan.job.has_effects
        self._quarantine = Quarantine(
            plan.job, lambda item, record: self._feed.put(item, record), lambda items: self._feed.not_alone(items)
        )
        self._feed = BatchFeed(
            self._open_items(has_effects),
            budget=_budget_of(plan),
            counting=self._counting,
            journal=journal,
            alone=lambda item: self._quarantine.add([item]),
            finish=plan.finish,
            has_effects=has_effects,
        )
        self._records = self._all_records()
        self._is_closed = False
        self._timer: threading.Timer | None = None
        self.ending: Ending = ""
        plan.fleet.start(plan.job, self._feed)
        threading.Thread(target=self._wait, name="agentkit-batch-end", daemon=True).start()
        if plan.limits.seconds is not None and plan.limits.seconds <= threading.TIMEOUT_MAX:
            self._timer = threading.Timer(plan.limits.seconds, self._feed.stop, ("budget",))
            self._timer.daemon = True
            self._timer.start()

    def _open_items(self, has_effects: bool) -> Iterator[tuple[Item, How]]:
        """The items without an answer, in the order of the input, and what is done with each."""
        journal = self._plan.journal
        if journal is None:
            asked: Iterator[How] = repeat("ask")
            yield from zip(self._plan.items, asked, strict=False)  # the second never ends
            return
        in_flight = set() if self._plan.asks_unknown else set(journal.in_flight)
        in_doubt: How = "unknown" if has_effects else "alone" if self._plan.job.travels else "ask"
        before = [0, 0]  # answered, and those of them that have failed

        def is_answered(id_: str) -> bool:
            state = None if self._feed.ending else journal.state_of(id_)
            if state is None:
                return False
            before[0] += 1
            before[1] += state != OK
            return True

        for item in self._plan.items.unanswered(is_answered):
            if self._feed.ending:
                return
            if not item.same_as:
                yield item, in_doubt if item.id in in_flight else "ask"
        self._counting.before_were(*before)

    def _wait(self) -> None:
        """Wait until the fleet has done everything."""
        try:
            self._plan.fleet.join(None)
            self._quarantine.join(None)
        except BaseException as error:  # noqa: BLE001 - of an engine: raised again for the reader
            self._feed.fail(error)
        finally:
            self._feed.end()

    def __iter__(self) -> Iterator[Record]:
        return self._records

    def __next__(self) -> Record:
        return next(self._records)

    def _all_records(self) -> Iterator[Record]:
        try:
            while (record := self._feed.records.get()) is not None:
                yield record
                if self._feed.records.empty():
                    time.sleep(TOGETHER)
            if self._feed.error is not None:
                raise self._feed.error
            if not self._feed.ending:
                yield from self._copies()
            if not self._feed.ending:
                self.ending = "complete"
        except JournalError as error:
            self._feed.fail(error)
            raise
        finally:
            self.close()

    def _copies(self) -> Iterator[Record]:
        """The records of items whose question an earlier item has."""
        journal, finish = self._plan.journal, self._plan.finish
        if journal is None or not self._plan.items.has_copies:  # else all of the input would be read once more
            return
        open_copies = (item for item in self._plan.items if item.same_as and not journal.is_answered(item.id))
        for item in open_copies:
            if self._feed.ending:
                return
            for found in journal.find([item.same_as]):
                record = copied(item, found)
                record = record if finish is None else finish(record)
                journal.write(record)
                self._counting.count(record)
                yield record

    def stats(self) -> Stats:
        """How far the batch is."""
        return self._counting.stats(self._feed.in_progress, self._plan.fleet.width)

    @property
    def has_unknown_cost(self) -> bool:
        """Whether it ended since the cost of an answer is not known, on which there is a limit."""
        return self.ending == "budget" and self._feed.has_unknown_cost

    @property
    def message(self) -> str:
        """Why it ended before all was answered, and what to do; "" while it runs and where it is complete."""
        if self.ending == "account":
            error = (self._feed.account_error or {}).get("error") or {}
            return f"the server refuses the account: {error.get('message')}: settle that, then start again to go on"
        if self.ending == "server":
            error = (self._feed.server_error or {}).get("error") or {}
            what = "the server is away" if self._feed.was_server_there else "no question has reached a server"
            return f"{what}: {error.get('message')}: settle that, then start again to go on"
        if self.has_unknown_cost:
            return (
                "stopped, since an answer has a cost that is not known, and the limit can't be kept: name the prices "
                "where the agent is made (prices=), or limit the tokens"
            )
        if self.ending == "budget":
            return "stopped at the budget: start again with a higher one to go on"
        if self.ending in ("disk", "failed"):
            return str(self._feed.error)
        return "stopped: start again to go on" if self.ending == "stopped" else ""

    def stop(self) -> None:
        """Begin nothing new; what is in progress has `grace` seconds to end, then it is cancelled. Returns at once."""
        self._feed.stop("stopped")
        threading.Thread(target=self._cancel_after, args=(self._plan.grace,), daemon=True).start()

    def _cancel_after(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        is_done = self._plan.fleet.join(min(seconds, threading.TIMEOUT_MAX))
        if not is_done or not self._quarantine.join(max(0.0, until - time.monotonic())):
            self._cancel()

    def cancel(self) -> None:
        """Stop now: runs in progress are cancelled, and their items are asked again by the next start."""
        self._feed.stop("stopped")
        self._cancel()

    def _cancel(self) -> None:
        self._plan.fleet.cancel()
        self._quarantine.close()
        if not self._plan.fleet.join(CANCEL_SECONDS):
            self._plan.fleet.close()

    def close(self) -> None:
        """End the batch and its answers file; what is in progress is cancelled."""
        if self._is_closed:
            return
        self._is_closed = True
        self._feed.has_reader = False
        is_complete = self.ending == "complete"
        with ExitStack() as closing:
            if self._plan.journal is not None:
                order = self._order() if self._plan.ordered and is_complete else None
                closing.callback(self._plan.journal.close, order)
            closing.callback(self._quarantine.close)
            closing.callback(self._plan.fleet.close)
            if self._timer is not None:
                closing.callback(self._timer.cancel)
            if not is_complete:
                self._feed.stop("stopped")
                self.ending = self._feed.ending
                self._plan.fleet.cancel()
                self._plan.fleet.join(CANCEL_SECONDS)

    def _order(self) -> Iterator[str]:
        """The ids of all items, in the order of the input. Raises ConfigurationError where that was changed."""
        try:
            for item in self._plan.items:
                yield item.id
        except ConfigurationError as error:
            what = "all is answered, but the answers can't be put in the order of the questions"
            raise ConfigurationError(f"{what}: {error}") from None


def run_batch(
    agent: Agent | str | Job,
    questions: str | os.PathLike[str] | Iterable[Any],
    *,
    out: str | os.PathLike[str] | None = None,
    on: str | Executor | Fleet = "threads",
    at_once: int | tuple[int, int] | None = None,
    keep: Collection[str] = (),
    question: str | None = None,
    skip_bad: bool = False,
    dedup: bool = False,
    ordered: bool = False,
    anyway: bool = False,
    retry_failed: bool = False,
    retry_unknown: bool = False,
    sessions: str | None = None,
    limit_cost: float | None = None,
    limit_tokens: int | None = None,
    limit_seconds: float | None = None,
    attempts: int = ATTEMPTS,
    grace: float = 10.0,
    sampling: Mapping[str, Any] | None = None,
    output: Any = None,
    finish: Callable[[Record], Record] | None = None,
) -> BatchRun:
    """Answer many questions; returns an iterator of their records (see `agentkit.batch.item.Record`).

    agent: an agent, or where one is made: "module:attribute" or "file.py:attribute", an agent or a function that
    returns one. questions: a file (.jsonl, .jsonl.gz, .csv, .parquet; "-": standard input), or texts, dicts or Items.
    out: the answers file (JSON lines), one line a question, from which a later call with the same file goes on; None
    keeps nothing. on: "threads" of this process, "dask", "dask://HOST:PORT", "ray", "ray://HOST:PORT", a
    `concurrent.futures.Executor`, or a fleet. at_once: how many runs are in progress: a number, or (least, most)
    between which the batch finds it by itself (default: 4 to 128). keep: "tool_calls", "messages": fields of the
    records. question: the column or field of the question. skip_bad: lines that can't be asked become failed records.
    dedup: equal questions are asked once, and the answer is copied. ordered: at the end the file is in the order of the
    input. anyway: go on although the file was written by another agent. retry_failed: ask again what has failed.
    retry_unknown: ask again what was in progress, with tools that have effects, when the program was killed. sessions:
    the path or URL of a session store: each item is a session of its own, whose book has each tool call once.
    limit_cost, limit_tokens, limit_seconds: what the batch may spend in all. attempts: how often an item is tried.
    grace: seconds that runs in progress have when the batch is stopped, or wait for a server that refuses when its time
    is up. sampling: fields of each request. output: the type of the answers. finish: changes each record before it is
    written.

    Raises ConfigurationError before anything is asked: for an option or a file that can't be used, an answers file of
    another agent; BadInputError for lines that are no questions.
    """
    if dedup and out is None:
        raise ConfigurationError("dedup copies answers from the answers file: give one with out=")
    with ExitStack() as opened:
        options = {"keep": tuple(keep), "attempts": attempts, "sessions": sessions, "sampling": dict(sampling or {})}
        job = _job_of(agent, {**options, "at_once": at_once, "output": output})
        opened.callback(job.close_agent)
        if job.sessions is not None:
            check_sessions(job.sessions, remote=isinstance(on, str) and "://" in on)
        items = open_items(questions, question=question, skip_bad=skip_bad, dedup=dedup)
        checked = items.check()
        if checked.bad_count and not skip_bad:
            raise BadInputError(checked.bad, checked.bad_count)
        limits = BatchLimits(limit_cost, limit_tokens, limit_seconds)
        _check_limits(limits, job)
        if not grace >= 0:
            raise ConfigurationError(f"grace={grace!r}: give the seconds that runs in progress have, from 0 on")
        fleet = fleet_of(on, job)
        opened.callback(fleet.close)
        journal = None
        if out is not None:
            again = {"retry_failed": retry_failed, "retry_unknown": retry_unknown}
            journal = Journal.open(Path(out), job.fingerprint(), anyway=anyway, questions=questions, **again)
            opened.callback(journal.close)
        until = math.inf if limit_seconds is None else time.time() + limit_seconds + grace
        job = replace(job, name=_name_of(journal), patient_until=until if math.isfinite(until) else None)
        run = BatchRun(_Plan(job, items, checked, journal, fleet, limits, ordered, retry_unknown, grace, finish))
        opened.pop_all()
        return run


def _job_of(agent: Agent | str | Job, options: Mapping[str, Any]) -> Job:
    """The job of a batch. Raises ConfigurationError for options that a Job has itself."""
    if not isinstance(agent, Job):
        return Job.of(agent, **options)
    usual = {"keep": (), "attempts": ATTEMPTS, "sampling": {}}
    if own := [name for name, value in options.items() if value != usual.get(name)]:
        raise ConfigurationError(f"{own[0]} is an option of the job: Job.of(agent, {own[0]}=...)")
    return agent


def _name_of(journal: Journal | None) -> str:
    """The name of a batch in the ids of its sessions: that of its answers file, which may have no answers yet while
    calls have been made; a new one for a new file, so that nothing is taken from an earlier batch."""
    name = secrets.token_hex(6)
    if journal is None:
        return name
    place = journal.state / NAME
    if place.exists():
        return place.read_text()
    replace_file(place, name.encode())
    return name


def _budget_of(plan: _Plan) -> BatchBudget:
    if plan.journal is None:
        return BatchBudget(plan.limits)
    return BatchBudget(plan.limits, plan.journal.all_records(), plan.journal.lost)


def _check_limits(limits: BatchLimits, job: Job) -> None:
    for name, value in vars(limits).items():
        if value is not None and (isinstance(value, bool) or not value > 0):
            raise ConfigurationError(f"a limit on the {name} has to be above 0, and is {value!r}")
    if limits.cost is not None and not knows_prices(job.agent_here()):
        raise ConfigurationError(
            "a limit on the cost would have no effect, since the prices of the model are not known: name them where "
            "the agent is made (prices=), or limit the tokens"
        )


def knows_prices(agent: Agent) -> bool:
    """Whether the cost of each of the agent's models is known before it is asked, or told by its server."""
    from agentkit.middleware.base import model_name
    from agentkit.middleware.pricing import known_cost

    prices = agent._scope.keywords["prices"]

    def is_known(backend: Backend) -> bool:
        if isinstance(prices, Mapping) and model_name(backend) in prices:
            return True
        known = backend.capabilities()
        if "openrouter" in (known.base_url or ""):
            return True
        return known_cost(known.model, known.base_url, Usage(input_tokens=1, output_tokens=1)) is not None

    if prices is not None and not isinstance(prices, Mapping):
        return True
    return all(map(is_known, getattr(agent.backend, "backends", (agent.backend,))))
