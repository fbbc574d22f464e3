"""`agentkit eval`: asks an agent the questions of a set, scores its answers, and compares it with another."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from agentkit import AgentkitError, ConfigurationError, LimitError
from agentkit.batch.driver import BadInputError, BatchRun
from agentkit.batch.item import Record
from agentkit.batch.journal import JournalError
from agentkit.cli.batch_options import (
    AgentOption,
    AnywayOption,
    AtOnceOption,
    AttemptsOption,
    EventsOption,
    GraceOption,
    KeepOption,
    LimitCostOption,
    LimitSecondsOption,
    LimitTokensOption,
    NoToolsOption,
    OnOption,
    QuestionOption,
    RetryFailedOption,
    RetryUnknownOption,
    SamplingOption,
    SessionsOption,
    SkipBadOption,
    TemperatureOption,
    agent_given,
    at_once_of,
    checked_out,
    kept,
    sampling_of,
)
from agentkit.cli.batch_progress import BatchProgress
from agentkit.cli.interruptions import INTERRUPTED, Interruptions
from agentkit.cli.options import (
    DocsOption,
    EvidenceOption,
    HookOption,
    MaxTurnsOption,
    McpOption,
    ModelOption,
    QuietOption,
    SystemOption,
    TaintOption,
    ToolOption,
)
from agentkit.cli.printable import printable
from agentkit.cli.reserved_output import reserved_output
from agentkit.evaluation.answer_files import beside, pairs_file
from agentkit.evaluation.comparison import surely_worse
from agentkit.evaluation.report import checked_report, write_report
from agentkit.evaluation.running import Evaluation, evaluate, rescored
from agentkit.evaluation.tables import table
from agentkit.evaluation.thresholds import Threshold, thresholds
from agentkit.net.hosted import SHORT_NAMES
from agentkit.serving.environment import set_defaults

REACHED, MISSED, BAD_USAGE, BUDGET, ACCOUNT, DISK = 0, 1, 2, 3, 4, 5
RESCORING = {
    *("set_", "rescore", "check", "by", "cluster", "question", "answer", "seed", "min_", "sure"),
    *("without_errors", "report", "as_json", "quiet"),
}
"""The options that --rescore has a use for."""
_KEYS = ("OPENAI_API_KEY", "VLMRUN_API_KEY", *(each.key for each in SHORT_NAMES.values()))
_NO_KEY = "no-key-in-a-replay"
"""It is taken for a secret, so that it has to be nothing that a text has."""
CODES = {
    "complete": REACHED,
    "budget": BUDGET,
    "account": ACCOUNT,
    "server": ACCOUNT,
    "disk": DISK,
    "stopped": INTERRUPTED,
}


def eval_(
    context: typer.Context,
    set_: Annotated[
        str | None,
        typer.Argument(
            metavar="SET",
            help="The questions, with their answers and checks: a .jsonl, .jsonl.gz, .csv or .parquet file.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="ANSWERS.jsonl",
            help="Where the answers are written with their scores; what it has already is not asked again. Without it "
            "nothing is kept.",
        ),
    ] = None,
    check: Annotated[
        list[str] | None,
        typer.Option(
            "--check",
            metavar="CHECK",
            help="A check for all answers, such as f1, contains or 'calls<=5', beside those of the set; repeat the "
            "option for several.",
        ),
    ] = None,
    agent: AgentOption = None,
    model: ModelOption = None,
    system: SystemOption = None,
    docs: DocsOption = None,
    tool: ToolOption = None,
    no_tools: NoToolsOption = False,
    hook: HookOption = None,
    mcp: McpOption = None,
    max_turns: MaxTurnsOption = 25,
    evidence: EvidenceOption = None,
    taint: TaintOption = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="AGENT|ANSWERS.jsonl",
            help="What it is compared with: an agent as --agent names it, model:NAME for the same agent with another "
            "model, or the answers of an earlier evaluation; repeat the option for several.",
        ),
    ] = None,
    repeat: Annotated[int, typer.Option("--repeat", min=1, max=1000, help="How often each question is asked.")] = 1,
    by: Annotated[
        str | None, typer.Option("--by", metavar="COLUMN", help="Scores for each value of a column of the set, too.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="COLUMN",
            help="What questions share, such as a passage: those with the same value are no independent cases.",
        ),
    ] = None,
    judge: Annotated[
        str | None, typer.Option("--judge", metavar="MODEL", help="The model of the check `judge`, and of --prefer.")
    ] = None,
    prefer: Annotated[
        str | None,
        typer.Option(
            "--prefer",
            metavar="RUBRIC",
            help="Have the judge say which of two answers is better by this rubric, in both orders; needs --against.",
        ),
    ] = None,
    min_: Annotated[
        list[str] | None,
        typer.Option("--min", metavar="CHECK>=SHARE", help="The least mean score, such as 'f1>=.6'; else exit code 1."),
    ] = None,
    sure: Annotated[
        list[str] | None,
        typer.Option("--sure", metavar="CHECK>=SHARE", help="The same for the lower end of the interval."),
    ] = None,
    not_worse_than: Annotated[
        str | None,
        typer.Option(
            "--not-worse-than",
            metavar="ANSWERS.jsonl",
            help="Exit code 1 if a score is surely worse than in this earlier evaluation.",
        ),
    ] = None,
    by_points: Annotated[
        float,
        typer.Option("--by-points", min=0, max=1, metavar="SHARE", help="... by more than this, such as .02."),
    ] = 0.0,
    without_errors: Annotated[
        bool, typer.Option("--without-errors", help="Show the scores of what has an answer, too.")
    ] = False,
    rescore: Annotated[
        str | None,
        typer.Option(
            "--rescore",
            metavar="ANSWERS.jsonl",
            help="Ask nothing: score these answers anew, by the checks of the set as they are now.",
        ),
    ] = None,
    record: Annotated[
        str | None,
        typer.Option("--record", metavar="DIR", help="Record what the model servers answer, for --replay."),
    ] = None,
    replay: Annotated[
        str | None,
        typer.Option("--replay", metavar="DIR", help="Ask no server: answer from a recording; no key is needed."),
    ] = None,
    report: Annotated[
        list[Path] | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="A report, by the suffix .html, .md, .json or .xml (JUnit); repeat for several.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the intervals, which are the same for the same seed.")] = 0,
    on: OnOption = "threads",
    question: QuestionOption = None,
    answer: Annotated[
        str | None,
        typer.Option("--answer", metavar="COLUMN", help="The column or field that has the right answer."),
    ] = None,
    at_once: AtOnceOption = None,
    keep: KeepOption = None,
    skip_bad: SkipBadOption = False,
    anyway: AnywayOption = False,
    retry_failed: RetryFailedOption = False,
    retry_unknown: RetryUnknownOption = False,
    sessions: SessionsOption = None,
    limit_cost: LimitCostOption = None,
    limit_tokens: LimitTokensOption = None,
    limit_seconds: LimitSecondsOption = None,
    attempts: AttemptsOption = 6,
    grace: GraceOption = 10.0,
    temperature: TemperatureOption = None,
    sampling: SamplingOption = None,
    as_json: EventsOption = False,
    quiet: QuietOption = False,
) -> None:
    """Evaluate an agent: ask it the questions of a set, score its answers, and compare it with another.

    agentkit eval questions.jsonl -m openai:gpt-5-mini --check f1. The scores go to standard output. A question without
    an answer counts as wrong. All of agentkit batch holds: with -o the same command goes on where it was interrupted.

    Exit code: 0 evaluated (and --min, --sure and --not-worse-than hold), 1 one of these does not hold, 2 bad usage, set
    or recording, 3 stopped at a limit, 4 the server refuses the account, or was never reached, 5 the answers
    can't be written, 130 interrupted.
    """
    given = dict(context.params)
    with ExitStack() as leaving:
        stdout = leaving.enter_context(reserved_output())
        signals = leaving.enter_context(Interruptions())
        progress = leaving.enter_context(BatchProgress(quiet=quiet, as_json=as_json))
        with _errors(progress):
            wanted = [*thresholds(min_ or ()), *thresholds(sure or (), "sure")]
            files = [checked_report(each) for each in report or ()]
            _check_overwritten(files, given)
            if rescore is not None:
                found = _rescored(context, given, wanted)
            else:
                found = _evaluated(context, given, wanted, progress, signals)
            for file in files:
                write_report(found, file)
            stdout.write(printable(table(found, without_errors=without_errors)))
            failures = _failures(found, wanted, given)
        code = _told(found, failures, progress)
    raise typer.Exit(code)


def _told(found: Evaluation, failures: list[str], progress: BatchProgress) -> int:
    """Say what does not hold; returns the exit code."""
    unfinished = found.unfinished
    if unfinished is None:
        code = MISSED if failures else REACHED
        progress.evaluated("complete", "", failures, code)
    else:
        code = CODES.get(unfinished.ending, MISSED)
        progress.evaluated(unfinished.ending, unfinished.message, failures, code)
    return code


@contextmanager
def _errors(progress: BatchProgress) -> Iterator[None]:
    """Exits the program where an evaluation can't be made."""
    try:
        yield
    except BadInputError as error:
        progress.failed(str(error), BAD_USAGE)
        raise typer.Exit(BAD_USAGE) from None
    except (ConfigurationError, LimitError) as error:
        progress.failed(str(error), BAD_USAGE)
        raise typer.Exit(BAD_USAGE) from None
    except JournalError as error:
        progress.failed(str(error), DISK)
        raise typer.Exit(DISK) from None
    except AgentkitError as error:
        progress.failed(str(error), MISSED)
        raise typer.Exit(MISSED) from None
    except KeyboardInterrupt:
        progress.failed("interrupted before anything was asked", INTERRUPTED)
        raise typer.Exit(INTERRUPTED) from None


def _check_overwritten(reports: list[Path], given: dict[str, Any]) -> None:
    """Raises ConfigurationError where a report would be written over a file that is read or written otherwise."""
    others = {name: given[name] for name in ("set_", "out", "rescore", "not_worse_than", "record", "replay")}
    others |= {f"against {place}": each for place, each in enumerate(given["against"] or ())}
    others |= {f"out {place}": beside(Path(given["out"]), place) for place in range(1, len(others)) if given["out"]}
    others |= {"out pairs": pairs_file(Path(given["out"]))} if given["out"] else {}
    taken = {os.path.realpath(path): name for name, path in others.items() if path}
    for report in reports:
        found = taken.setdefault(os.path.realpath(report), "")
        if found:
            what = "the set" if found == "set_" else f"what --{found.partition(' ')[0].replace('_', '-')} names"
            raise ConfigurationError(f"--report {report}: it is {what}, which the report would overwrite")
    if given["record"] and Path(given["record"]).is_file():
        raise ConfigurationError(f"--record {given['record']}: it is a file: name a folder")


def _rescored(context: typer.Context, given: dict[str, Any], wanted: list[Threshold]) -> Evaluation:
    if given["against"] or given["not_worse_than"]:
        raise ConfigurationError("--rescore scores one file: compare afterwards, with --not-worse-than or --against")
    for each in context.command.params:
        is_typed = getattr(context.get_parameter_source(each.name or ""), "name", "") == "COMMANDLINE"
        if is_typed and each.name not in RESCORING:
            raise ConfigurationError(f"--rescore asks nothing, and writes into its file: leave out {each.opts[0]}")
    passed = {name: given[name] for name in ("by", "cluster", "question", "answer", "seed")}
    return rescored(given["rescore"], given["set_"], checks=given["check"] or (), wanted=wanted, **passed)


def _evaluated(
    context: typer.Context,
    given: dict[str, Any],
    wanted: list[Threshold],
    progress: BatchProgress,
    signals: Interruptions,
) -> Evaluation:
    if given["set_"] is None:
        raise ConfigurationError("give a SET of questions: agentkit eval questions.jsonl -m openai:gpt-5-mini")
    if given["replay"] is not None:
        set_defaults(dict.fromkeys(_KEYS, _NO_KEY))  # a model can be named without its key
    needs = {f"--{name.replace('_', '-')}": given[name] for name in ("anyway", "retry_failed", "retry_unknown")}
    out = None if given["out"] is None else checked_out(given["out"], needs)
    if out is None and any(needs.values()):
        raise ConfigurationError(f"{next(name for name in needs if needs[name])} needs a file: give -o answers.jsonl")
    mine = agent_given(context)
    others = [_other(each, mine) for each in given["against"] or ()]
    if given["not_worse_than"] is not None:
        others.append(Path(given["not_worse_than"]))
    passed = [
        *(
            "repeat",
            "by",
            "cluster",
            "judge",
            "prefer",
            "question",
            "answer",
            "skip_bad",
            "record",
            "replay",
            "seed",
            "on",
            "anyway",
        ),
        *("retry_failed", "retry_unknown", "sessions", "limit_cost", "limit_tokens", "limit_seconds"),
        *("attempts", "grace"),
    ]
    return evaluate(
        mine,
        given["set_"],
        against=others,
        out=out,
        checks=given["check"] or (),
        wanted=wanted,
        watch=_Watch(progress, signals, given["grace"], given["quiet"], given["as_json"]),
        at_once=at_once_of(given["at_once"]),
        keep=kept(given["keep"] or ()),
        sampling=sampling_of(given["temperature"], given["sampling"] or ()),
        **{name: given[name] for name in passed},
    )


def _other(given: str, mine: Any) -> Any:
    """What --against names. Raises ConfigurationError."""
    if given.endswith(".jsonl"):
        return Path(given)
    name, found, model = given.partition(":")
    if found and name == "model":
        if not isinstance(mine, dict):
            raise ConfigurationError(f"--against {given}: --agent has a model of its own: name another agent")
        return {**mine, "model": model}
    return given


class _Watch:
    """Shows how far a batch is, and ends it at a signal."""

    def __init__(
        self, progress: BatchProgress, signals: Interruptions, grace: float, quiet: bool, as_json: bool
    ) -> None:
        self._progress, self._signals, self._grace = progress, signals, grace
        self._quiet, self._as_json = quiet, as_json

    def __call__(self, name: str, run: BatchRun) -> Iterator[Record]:
        self._signals.call(lambda: self._stop(run), lambda: run.cancel())
        with BatchProgress(quiet=self._quiet, as_json=self._as_json) as progress:
            progress.begin(run.stats(), agent=name)
            progress.watch(run.stats)
            yield from run
            progress.answered(run.stats(), run.ending, name)

    def _stop(self, run: BatchRun) -> None:
        run.stop()
        self._progress.say(f"interrupted: waiting up to {self._grace:g} s for what is in progress", event="stopping")


def _failures(found: Evaluation, wanted: list[Threshold], given: dict[str, Any]) -> list[str]:
    """What does not hold, each in a sentence. Raises ConfigurationError for a check that there is not."""
    failures = [failure for each in wanted if (failure := each.failure(found.first.summaries))]
    if given["not_worse_than"] is not None and found.unfinished is None:
        failures += surely_worse(found.comparisons[-1], given["by_points"])
    return failures
