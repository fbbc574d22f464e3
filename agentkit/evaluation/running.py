"""Evaluates agents: a batch whose records are scored, once for each of them, and the statistics of all."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentkit._text import in_a_line, without_credentials
from agentkit.agent import Agent
from agentkit.batch.driver import BatchRun, knows_prices, run_batch
from agentkit.batch.item import Record
from agentkit.batch.job import Job
from agentkit.batch.journal import read_records
from agentkit.errors import ConfigurationError
from agentkit.evaluation.answer_files import beside, check_files, pairs_file
from agentkit.evaluation.checks import Known
from agentkit.evaluation.comparison import Comparison, comparisons
from agentkit.evaluation.judging import FormerJudge, Judge
from agentkit.evaluation.pairs import Asked, PairJudge, answers_of
from agentkit.evaluation.preferences import Preferences, preferences
from agentkit.evaluation.replay import Recording, recorded_or_replayed
from agentkit.evaluation.results import Configuration, configuration
from agentkit.evaluation.saved_items import items_of, repeats_in, whole_id
from agentkit.evaluation.scores import Outcome, Scorer, judged, replaced
from agentkit.evaluation.set_lines import Lines
from agentkit.evaluation.sets import ANSWER, ASKED, EvaluationSet, Source, Spec, Split
from agentkit.evaluation.thresholds import Threshold
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
    groups; cluster: that of the clusters. configurations: the agent, then what it is compared with. comparisons: of
    each of these with the first. at: when, in ISO 8601. seed: of the resampling. unchecked: how many questions have no
    check."""

    set: str
    repeat: int
    by: str | None
    configurations: Sequence[Configuration]
    comparisons: Sequence[Comparison]
    at: str = ""
    seed: int = 0
    unchecked: int = 0
    cluster: str | None = None

    @property
    def first(self) -> Configuration:
        """The agent that is evaluated."""
        return self.configurations[0]

    @property
    def unfinished(self) -> Configuration | Preferences | None:
        """The configuration that ended before all was answered, or the judge before all was judged; None where there is
        none."""
        done: list[Configuration | Preferences] = [*self.configurations]
        done += [each.preferred for each in self.comparisons if each.preferred is not None]
        return next((each for each in done if each.ending != "complete"), None)


def evaluate(
    agent: AnyAgent,
    set: Source,
    *,
    against: AnyAgent | Path | Sequence[AnyAgent | Path] = (),
    repeat: int = 1,
    out: str | os.PathLike[str] | None = None,
    checks: Iterable[Spec] = (),
    by: str | None = None,
    cluster: str | None = None,
    judge: "Judge | Agent | Model | None" = None,
    prefer: str | None = None,
    question: str | None = None,
    answer: str | None = None,
    skip_bad: bool = False,
    record: str | Path | None = None,
    replay: str | Path | None = None,
    seed: int = 0,
    watch: Watch | None = None,
    wanted: Iterable[Threshold] = (),
    **options: Any,
) -> Evaluation:
    """Ask an agent all questions of a set, and score its answers.

    agent: an agent, "module:attribute" or "file.py:attribute", or the options of the command line. set: a file or an
    iterable of questions with "answer" and "checks" (docs/evaluation.md). against: what it is compared with: agents, or
    answers files (*.jsonl) of earlier evaluations. repeat: how often each question is asked. out: the answers file,
    from which a later call goes on; the others' are beside it. checks: for all lines. by: a column whose values are
    groups. cluster: a column of what questions share, which are no independent cases then. judge: the model of the
    check `judge`, and of prefer: a rubric, by which the judge compares the answers of the agent with those of each
    other. question, answer: the columns of the question and of the right answer, where these are not named so. record,
    replay: a folder (see `agentkit.evaluation.replay`). seed: of the resampling. watch: reads a batch. wanted:
    what has to be reached, for its checks to be known before anything is asked. options: those of
    `agentkit.batch.run_batch`.

    Of an answers file that is compared with, the questions and repeats that it has count; answers files are scored
    before the agent is asked.

    Raises ConfigurationError for a set, a check, a file or an option that can't be used, with line numbers and before
    the first request; for a check that can't be made of an answer; and for a request that is not in a recording.
    """
    others = [against] if isinstance(against, str | Path | Agent | Job | Mapping) else list(against)
    with ExitStack() as leaving:
        if replay is not None:
            options = {**options, "attempts": 1}
        if (record or replay) and options.get("on", "threads") != "threads":
            raise ConfigurationError("a recording has the requests of this process: leave out --on (on=)")
        _check_options(options, repeat, out)
        recording = leaving.enter_context(recorded_or_replayed(record, replay))
        sides = [_side(each, place, out, options) for place, each in enumerate([agent, *others])]
        own_judge = _judge(judge, leaving)
        pair_judge = _pair_judge(own_judge, prefer, sides, options)
        verdicts = None if pair_judge is None or out is None else pairs_file(Path(out))
        written, saved = ([each.file for each in sides if each.file and bool(each.job) is own] for own in (True, False))
        check_files(written, saved, verdicts, set)
        known = Known.of(_tools([each.job for each in sides if each.job is not None]), judge=own_judge)
        columns: dict[str, Any] = {"question": question, "answer": answer}
        given = EvaluationSet(set, **columns, checks=checks, known=known, repeat=repeat, skip_bad=skip_bad)
        given.check()
        read = Lines(given, by, cluster)
        read.expect(wanted)
        _check_prices(sides, read)
        watching = watch or (lambda name, run: run)
        watching = watching if recording is None else recording.watched(watching)
        done = list(_all_done(sides, read, recording, watching, options))
        preferred = _preferred(pair_judge, read, done, verdicts, watching, seed)
        if recording is not None:
            recording.check()
    return made_of(read, done, seed, preferred=preferred)


def rescored(
    answers: str | os.PathLike[str],
    set: Source | None = None,
    *,
    checks: Iterable[Spec] = (),
    by: str | None = None,
    cluster: str | None = None,
    question: str | None = None,
    answer: str | None = None,
    seed: int = 0,
    wanted: Iterable[Threshold] = (),
) -> Evaluation:
    """Score an answers file anew, without one request, and write the scores into it.

    set: the set with the checks as they are now; None: those that the records have. checks: for all lines. Scores of
    judges are kept; an answer to a question whose text has changed since stays as it is. The rest as in `evaluate`.
    Raises ConfigurationError, also where the set and the file have no question in common.
    """
    path = Path(answers)
    if not path.is_file():
        raise ConfigurationError(f"{path}: there is no such file")
    repeat = repeats_in(path)
    split = split_id if set is not None or repeat > 1 else whole_id
    source = list(items_of(path, split)) if set is None else set
    known = Known(judge=FormerJudge())
    columns: dict[str, Any] = {"question": question, "answer": answer}
    given = EvaluationSet(source, **columns, checks=checks, known=known, repeat=repeat, split=split)
    given.check()
    read = Lines(given, by, cluster)
    read.expect(wanted)
    ids = read.ids_of(path)
    read.check_common(path, ids)
    scorer = Scorer(given.checks, asks=False)
    outcomes = read.outcomes(replaced(path, scorer, lambda record: read.columns(record, ids)), scorer, ids)
    name = path.name if set is None else given.name
    return made_of(read, [_Done(path.name, path.name, outcomes, lambda: read_records(path), ids.split)], seed, name)


@dataclass(frozen=True)
class _Side:
    """An agent that is asked, or an answers file that is read. file: its answers file."""

    name: str
    job: Job | None
    file: Path | None


@dataclass(frozen=True)
class _Done:
    """The outcomes of a side. file: the name of its answers file. records: reads its records; split: the item and the
    repeat that an id of theirs names. See `Configuration`."""

    name: str
    file: str
    outcomes: Sequence[Outcome]
    records: Callable[[], Iterable[Record]]
    split: Split
    ending: str = "complete"
    message: str = ""


def _check_options(options: Mapping[str, Any], repeat: int, out: str | os.PathLike[str] | None) -> None:
    """Raises ConfigurationError for options of a batch that don't go with those of an evaluation."""
    if options.get("sessions") and out is None:
        raise ConfigurationError("sessions need an answers file, by which runs are known again: give one (-o, out=)")
    if options.get("dedup") and repeat > 1:
        raise ConfigurationError(
            f"dedup asks equal questions once, so that all {repeat} repeats of one would be the same reply: leave out "
            "dedup or repeat"
        )


def _check_prices(sides: "Sequence[_Side]", read: Lines) -> None:
    """Raises ConfigurationError where costs are checked that will not be known."""
    kinds = {check.kind for line in read.lines.values() for check in line.checks}
    for each in sides if "cost" in kinds else ():
        if each.job is not None and not knows_prices(each.job.agent_here()):
            raise ConfigurationError(
                f"check cost: the prices of {each.name} are not known: name them where the agent is made (prices=), or "
                "check the tokens"
            )


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
    sides: Sequence[_Side], read: Lines, recording: Recording | None, watch: Watch, options: Mapping[str, Any]
) -> Iterator[_Done]:
    """Each side, until one ends before all is answered. Files are read first: what is wrong with them costs nothing."""
    names = [_numbered(side.name, [each.name for each in sides[:place]]) for place, side in enumerate(sides)]
    saved = {name: _of_file(side, name, read) for name, side in zip(names, sides, strict=True) if side.job is None}
    for name, side in zip(names, sides, strict=True):
        done = saved[name] if side.job is None else _done(side, side.job, name, read, watch, options)
        if recording is not None:
            recording.check()
        yield done
        if done.ending != "complete":
            return


def _pair_judge(
    judge: Judge | None, rubric: str | None, sides: Sequence[_Side], options: Mapping[str, Any]
) -> PairJudge | None:
    """What compares pairs of answers; None where that is not asked for. Raises ConfigurationError."""
    if rubric is None:
        return None
    if judge is None or len(sides) < 2:
        raise ConfigurationError("prefer compares answers: name a model that does (--judge), and with what (--against)")
    return PairJudge(judge, rubric, options)


def _preferred(
    judge: PairJudge | None,
    read: Lines,
    done: Sequence[_Done],
    file: Path | None,
    watch: Watch,
    seed: int,
) -> list[Preferences]:
    """What the judge prefers, for each but the first; nothing where answers are missing that may still come.
    file: where is kept what it says."""
    if judge is None or done[-1].ending != "complete":
        return []
    asked = {
        id_: Asked(str(line.item.columns.get(ASKED) or ""), line.item.columns.get(ANSWER))
        for id_, line in read.lines.items()
    }
    first, *others = (_answers(each) for each in done)
    return [preferences(each, seed, read.clusters) for each in judge.verdicts(asked, first, others, file, watch)]


def _answers(done: _Done) -> dict[tuple[str, int], str]:
    """The answers of a side that count: "" for one that there is not."""
    said = answers_of(done.records(), done.split)
    return {(each.item, each.repeat): "" if each.missing else said[each.item, each.repeat] for each in done.outcomes}


def _numbered(name: str, before: Sequence[str]) -> str:
    return f"{name} ({before.count(name) + 1})" if name in before else name


def _of_file(side: _Side, name: str, read: Lines) -> _Done:
    assert side.file is not None
    file = side.file
    ids = read.ids_of(file)
    outcomes = read.outcomes_of_file(file, Scorer(read.of.checks), ids)
    return _Done(name, file.name, outcomes, lambda: read_records(file), ids.split)


def _done(side: _Side, given: Job, name: str, read: Lines, watch: Watch, options: Mapping[str, Any]) -> _Done:
    scorer = Scorer(read.of.checks)
    needs = tuple(dict.fromkeys([*given.keep, *read.of.needs()]))
    job = replace(given, keep=needs)
    of_batch = {key: value for key, value in options.items() if key not in OF_JOB}
    ids = read.ids_of(side.file)
    records: list[Record] = []
    is_stopped = False
    with run_batch(job, ids.named(read.of), out=side.file, finish=scorer.finish, **of_batch) as run:
        for each in watch(name, run):
            if side.file is None:
                records.append(each)
            if scorer.problem is not None and not is_stopped:
                is_stopped = True
                run.stop()
        ending = run.ending or "complete"
        message = run.message if side.file is not None else _nothing_kept(ending, run.message)
    place = side.file
    if place is not None and scorer.problem is None:
        judged(place, scorer, lambda record: read.columns(record, ids))
    kept: Callable[[], Iterable[Record]] = (lambda: records) if place is None else lambda: read_records(place)
    file = "" if place is None else place.name
    return _Done(name, file, read.outcomes(kept(), scorer, ids), kept, ids.split, ending, message)


def _nothing_kept(ending: str, message: str) -> str:
    """The message of a batch without an answers file, with which nothing goes on."""
    if ending not in ("stopped", "budget", "account", "server"):
        return message
    why = message.partition(": settle that")[0] if ending in ("account", "server") else message.partition(":")[0]
    return f"{why}; the answers are kept, and the next start goes on, only with an answers file (-o, out=)"


def made_of(
    read: Lines, done: Sequence[_Done], seed: int, name: str = "", preferred: Sequence[Preferences] = ()
) -> Evaluation:
    """The evaluation of what was done. preferred: what a judge prefers, for each but the first."""
    configurations = [
        configuration(each.name, each.file, each.outcomes, read.by, seed, each.ending, each.message, read.cluster)
        for each in done
    ]
    compared = comparisons(configurations, seed, preferred) if len(configurations) > 1 else []
    at = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    return Evaluation(
        name or read.of.name, read.of.repeat, read.by, configurations, compared, at, seed, read.unchecked, read.cluster
    )
