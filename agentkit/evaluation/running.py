"""Evaluates agents: a batch whose records are scored, once for each of them, and the statistics of all."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agentkit._text import in_a_line, without_credentials
from agentkit.agent import Agent
from agentkit.batch.driver import BatchRun, run_batch
from agentkit.batch.item import Item, Record
from agentkit.batch.job import Job
from agentkit.batch.journal import read_records
from agentkit.errors import ConfigurationError
from agentkit.evaluation.checks import Known
from agentkit.evaluation.comparison import Comparison, comparisons
from agentkit.evaluation.judging import Judge
from agentkit.evaluation.replay import Recording, recorded_or_replayed
from agentkit.evaluation.results import Configuration, configuration
from agentkit.evaluation.scores import Outcome, Scorer, not_asked, replaced
from agentkit.evaluation.sets import EvaluationSet, Line, Source, Spec
from agentkit.middleware.base import model_name
from agentkit.net.repeats import split_id
from agentkit.running.models import Model
from agentkit.serving.environment import DEFAULT_MODEL

AnyAgent = Agent | str | Job | Mapping[str, Any]
Watch = Callable[[str, BatchRun], Iterable[Record]]
"""Reads the records of a batch of this name to its end, and may show how far it is."""
OF_JOB = ("keep", "attempts", "sessions", "sampling", "at_once", "output", "limits")
"""Options of a batch that say how an agent is asked."""


@dataclass(frozen=True)
class Evaluation:
    """What came of an evaluation. set: its name. repeat: how often each question was asked. by: the column of the
    groups. configurations: the agent, then what it is compared with. comparisons: of each of these with the first.
    at: when, in ISO 8601. seed: of the resampling."""

    set: str
    repeat: int
    by: str | None
    configurations: Sequence[Configuration]
    comparisons: Sequence[Comparison]
    at: str = ""
    seed: int = 0

    @property
    def first(self) -> Configuration:
        """The agent that is evaluated."""
        return self.configurations[0]

    @property
    def unfinished(self) -> Configuration | None:
        """The configuration that ended before all was answered; None where there is none."""
        return next((each for each in self.configurations if each.ending != "complete"), None)


def evaluate(
    agent: AnyAgent,
    set: Source,
    *,
    against: AnyAgent | Path | Sequence[AnyAgent | Path] = (),
    repeat: int = 1,
    out: str | os.PathLike[str] | None = None,
    checks: Iterable[Spec] = (),
    by: str | None = None,
    judge: "Judge | Agent | Model | None" = None,
    question: str | None = None,
    skip_bad: bool = False,
    record: str | Path | None = None,
    replay: str | Path | None = None,
    seed: int = 0,
    watch: Watch | None = None,
    **options: Any,
) -> Evaluation:
    """Ask an agent all questions of a set, and score its answers.

    agent: an agent, "module:attribute" or "file.py:attribute", or the options of the command line. set: a file or an
    iterable of questions with "answer" and "checks" (docs/evaluation.md). against: what it is compared with: agents, or
    answers files (*.jsonl) of earlier evaluations. repeat: how often each question is asked. out: the answers file,
    from which a later call goes on; the others' are beside it. checks: for all lines. by: a column whose values are
    groups. judge: the model of the check `judge`. record, replay: a folder (see `agentkit.evaluation.replay`). seed: of
    the resampling. watch: reads a batch. options: those of `agentkit.batch.run_batch`.

    Raises ConfigurationError for a set, a check or an option that can't be used, with line numbers and before the first
    request; for a check that can't be made of an answer; and for a request that is not in a recording.
    """
    others = [against] if isinstance(against, str | Path | Agent | Job | Mapping) else list(against)
    with ExitStack() as leaving:
        if replay is not None:
            options = {**options, "attempts": 1}
        if (record or replay) and options.get("on", "threads") != "threads":
            raise ConfigurationError('record and replay see the requests of this process: use on="threads"')
        if options.get("sessions") and out is None:
            raise ConfigurationError("sessions belong to an answers file, by which a run is known again: give out= too")
        recording = leaving.enter_context(recorded_or_replayed(record, replay))
        sides = [_side(each, place, out, options) for place, each in enumerate([agent, *others])]
        known = Known.of(_tools([each.job for each in sides if each.job is not None]), judge=_judge(judge, leaving))
        given = EvaluationSet(set, question=question, checks=checks, known=known, repeat=repeat, skip_bad=skip_bad)
        given.check()
        read = _Lines(given, by)
        done = list(_all_done(sides, read, recording, watch or (lambda name, run: run), options))
    return made_of(read, done, seed)


def rescored(
    answers: str | os.PathLike[str],
    set: Source | None = None,
    *,
    checks: Iterable[Spec] = (),
    by: str | None = None,
    question: str | None = None,
    seed: int = 0,
) -> Evaluation:
    """Score an answers file anew, without one request, and write the scores into it.

    set: the set with the checks as they are now; None: those that the records have. checks: for all lines. Scores of
    judges are kept. Raises ConfigurationError.
    """
    path = Path(answers)
    if not path.is_file():
        raise ConfigurationError(f"{path}: there is no such file")
    repeat = max((split_id(str(each.get("id")))[1] for each in read_records(path)), default=1)
    source = list(_items_of(path)) if set is None else set
    known = Known(judge=Judge("extractive"))  # which is never asked
    given = EvaluationSet(source, question=question, checks=checks, known=known, repeat=repeat)
    given.check()
    read = _Lines(given, by)
    scorer = Scorer(given.checks, asks=False)
    outcomes = read.outcomes(replaced(path, scorer, read.columns), scorer)
    name = path.name if set is None else given.name
    return made_of(read, [_Done(path.name, path.name, outcomes)], seed, name)


def _items_of(path: Path) -> Iterator[Item]:
    for record in read_records(path):
        item, repeat = split_id(str(record.get("id")))
        if repeat == 1:
            columns = record.get("item") or {}
            yield Item(item, prompt=str(columns.get("question") or "?"), columns=columns)


@dataclass(frozen=True)
class _Side:
    """An agent that is asked, or an answers file that is read. file: its answers file."""

    name: str
    job: Job | None
    file: Path | None


@dataclass(frozen=True)
class _Done:
    """The outcomes of a side. file: the name of its answers file. See `Configuration`."""

    name: str
    file: str
    outcomes: Sequence[Outcome]
    ending: str = "complete"
    message: str = ""


@dataclass
class _Lines:
    """The questions of a set, by id. by: see `evaluate`."""

    of: EvaluationSet
    by: str | None
    lines: dict[str, Line] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = {line.item.id: line for line in self.of.lines()}
        if self.by is not None and not any(self.by in line.item.columns for line in self.lines.values()):
            known = dict.fromkeys(name for line in self.lines.values() for name in line.item.columns)
            raise ConfigurationError(f"by={self.by!r}: the set has no such column; it has {', '.join(known) or 'none'}")

    def columns(self, id: str) -> Mapping[str, Any] | None:
        """The columns of an item as the set has them now; None for one that it has not."""
        line = self.lines.get(split_id(id)[0])
        return None if line is None else line.item.columns

    def outcomes(self, records: Iterable[Record], scorer: Scorer) -> list[Outcome]:
        """The outcome of each question and repeat, in the order of the set. Raises ConfigurationError for a check that
        could not be made."""
        found: dict[tuple[str, int], Outcome] = {}
        for record in records:
            columns = self.columns(str(record.get("id")))
            if columns is not None:
                outcome = scorer.outcome({**record, "item": columns})
                found[outcome.item, outcome.repeat] = outcome
        if scorer.problem is not None:
            raise scorer.problem
        keys = [(line, number) for line in self.lines.values() for number in range(1, self.of.repeat + 1)]
        return [found.get((line.item.id, number)) or not_asked(line, number) for line, number in keys]


def _side(agent: Any, place: int, out: str | os.PathLike[str] | None, options: Mapping[str, Any]) -> _Side:
    if isinstance(agent, Path) or (isinstance(agent, str) and agent.endswith(".jsonl")):
        path = Path(agent)
        if not path.is_file():
            raise ConfigurationError(f"{path}: there is no such answers file to compare with")
        return _Side(path.name, None, path)
    file = None if out is None else Path(out) if not place else beside(Path(out), place)
    if isinstance(agent, Job):
        return _Side(_name_of(agent, agent), agent, file)
    of_job = {name: options[name] for name in OF_JOB if options.get(name) is not None}
    job = Job.of(agent, **of_job, name=hashlib.blake2b(os.fsencode(file or ""), digest_size=6).hexdigest())
    return _Side(_name_of(agent, job), job, file)


def beside(out: Path, place: int) -> Path:
    """The answers file of a configuration that another is compared with, beside that of the other. place: from 1."""
    return out.with_name(f"{out.stem}.against{'' if place == 1 else f'-{place}'}{out.suffix}")


def _name_of(agent: Any, job: Job) -> str:
    if isinstance(agent, str):
        return agent
    if isinstance(agent, Mapping):
        return without_credentials(agent.get("model") or DEFAULT_MODEL)
    return in_a_line(model_name(job.agent_here().backend), 80)


def _tools(jobs: Iterable[Job]) -> list[Any]:
    """The tools of all agents, each name once."""
    return list({each.name: each for job in jobs for each in reversed(job.agent_here().tools)}.values())


def _judge(judge: "Judge | Agent | Model | None", leaving: ExitStack) -> Judge | None:
    made = Judge(judge) if judge is not None and not isinstance(judge, Judge) else judge
    if made is not None and made is not judge:
        leaving.callback(made.close)
    return made


def _all_done(
    sides: Sequence[_Side], read: _Lines, recording: Recording | None, watch: Watch, options: Mapping[str, Any]
) -> Iterator[_Done]:
    """Each side, until one ends before all is answered."""
    names: list[str] = []
    for side in sides:
        name = side.name if side.name not in names else f"{side.name} ({names.count(side.name) + 1})"
        names.append(side.name)
        done = _done(side, name, read, watch, options)
        if recording is not None and recording.problem:
            raise ConfigurationError(recording.problem)
        yield done
        if done.ending != "complete":
            return


def _done(side: _Side, name: str, read: _Lines, watch: Watch, options: Mapping[str, Any]) -> _Done:
    scorer = Scorer(read.of.checks)
    if side.job is None:
        assert side.file is not None
        return _Done(name, side.file.name, read.outcomes(read_records(side.file), scorer))
    needs = tuple(dict.fromkeys([*side.job.keep, *read.of.needs()]))
    job = replace(side.job, keep=needs)
    of_batch = {key: value for key, value in options.items() if key not in OF_JOB}
    records: list[Record] = []
    is_stopped = False
    with run_batch(job, read.of, out=side.file, finish=scorer.finish, **of_batch) as run:
        for each in watch(name, run):
            if side.file is None:
                records.append(each)
            if scorer.problem is not None and not is_stopped:
                is_stopped = True
                run.stop()
        ending, message = run.ending or "complete", run.message
    kept = records if side.file is None else read_records(side.file)
    file = "" if side.file is None else side.file.name
    return _Done(name, file, read.outcomes(kept, scorer), ending, message)


def made_of(read: _Lines, done: Sequence[_Done], seed: int, name: str = "") -> Evaluation:
    """The evaluation of what was done."""
    configurations = [
        configuration(each.name, each.file, each.outcomes, read.by, seed, each.ending, each.message) for each in done
    ]
    compared = comparisons(configurations, seed) if len(configurations) > 1 else []
    at = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    return Evaluation(name or read.of.name, read.of.repeat, read.by, configurations, compared, at, seed)
