"""`agentkit batch`: answers the questions of a file, and goes on where an earlier start of the command has ended."""

import errno
import json
from contextlib import ExitStack
from typing import Any, TextIO

import typer

from agentkit import AgentkitError, ConfigurationError, LimitError
from agentkit.batch.answer_lines import line_of
from agentkit.batch.driver import BadInputError, BatchRun, run_batch
from agentkit.batch.item import Record
from agentkit.batch.journal import JournalError
from agentkit.cli.batch_options import (
    AgentOption,
    AnywayOption,
    AtOnceOption,
    AttemptsOption,
    DedupOption,
    EventsOption,
    GraceOption,
    KeepOption,
    LimitCostOption,
    LimitSecondsOption,
    LimitTokensOption,
    NoToolsOption,
    OnOption,
    OrderedOption,
    OutOption,
    QuestionOption,
    QuestionsArgument,
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
from agentkit.cli.reserved_output import reserved_output
from agentkit.cli.unread_output import ReaderLeftError

ANSWERED, SOME_FAILED, BAD_USAGE, BUDGET, ACCOUNT, DISK = 0, 1, 2, 3, 4, 5
CODES = {
    "complete": ANSWERED,
    "failed": SOME_FAILED,
    "budget": BUDGET,
    "account": ACCOUNT,
    "server": ACCOUNT,
    "disk": DISK,
    "stopped": INTERRUPTED,
}
"""The exit code by what has ended a batch."""
PASSED = (
    *("on", "question", "ordered", "skip_bad", "dedup", "anyway", "retry_failed", "retry_unknown", "sessions"),
    *("limit_cost", "limit_tokens", "limit_seconds", "attempts", "grace"),
)
"""The options that `run_batch` has by the same names."""
SHOWN_LINES = 20
"""How many bad lines are named."""


def batch(
    context: typer.Context,
    questions: QuestionsArgument,
    out: OutOption = None,
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
    on: OnOption = "threads",
    question: QuestionOption = None,
    at_once: AtOnceOption = None,
    keep: KeepOption = None,
    ordered: OrderedOption = False,
    skip_bad: SkipBadOption = False,
    dedup: DedupOption = False,
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
    """Answer the questions of a file, a line each; the same command again goes on where it was interrupted.

    agentkit batch questions.jsonl -o answers.jsonl -m openai:gpt-5-mini. The agent is described by the options of
    agentkit ask, or named by --agent. agentkit batch export writes the answers in other forms, agentkit batch import
    adds those of a provider's batch service; --help says how.

    Exit code: 0 all answered, 1 some failed, 2 bad usage or input (nothing was asked), 3 stopped at a limit, 4 the
    server refuses the account, or was never reached, 5 the answers can't be written, 130 interrupted.
    """
    given = dict(context.params)
    with ExitStack() as leaving:
        stdout = leaving.enter_context(reserved_output(stops=True))
        signals = leaving.enter_context(Interruptions())
        progress = leaving.enter_context(BatchProgress(quiet=quiet, as_json=as_json))
        run = leaving.enter_context(_started(context, given, progress))
        signals.call(lambda: _stop(run, progress, grace), lambda: _cancel(run, progress))
        progress.begin(run.stats(), str(out))
        progress.watch(run.stats)
        try:
            trouble = _drain(run, stdout if out == "-" else None)
        except ReaderLeftError:  # not all is answered
            raise typer.Exit(SOME_FAILED) from None
        except AgentkitError as error:
            progress.failed(str(error), SOME_FAILED)
            raise typer.Exit(SOME_FAILED) from None
        ending, stats = "disk" if trouble else run.ending, run.stats()
        failed = stats.failed + stats.failed_before
        code = CODES[ending] or (SOME_FAILED if failed else ANSWERED)
        progress.end(stats, ending, trouble or _advice(run, out, failed), code)
        raise typer.Exit(code)  # in here: what standard output has not taken is not written once more


def _started(context: typer.Context, given: dict[str, Any], progress: BatchProgress) -> BatchRun:
    """Begin, or go on. Exits the program when nothing can be asked."""
    needs_a_file = ("ordered", "dedup", "retry_failed", "retry_unknown", "anyway")
    progress.wait_for(f"reading {given['questions']}")
    try:
        out = checked_out(given["out"], {f"--{name.replace('_', '-')}": given[name] for name in needs_a_file})
        return run_batch(
            agent_given(context),
            given["questions"],
            out=out,
            at_once=at_once_of(given["at_once"]),
            keep=kept(given["keep"] or ()),
            sampling=sampling_of(given["temperature"], given["sampling"] or ()),
            **{name: given[name] for name in PASSED},
        )
    except BadInputError as error:
        _leave_bad(error, progress)
    except (ConfigurationError, LimitError) as error:
        progress.failed(str(error), BAD_USAGE)
    except KeyboardInterrupt:
        progress.failed("interrupted before anything was asked", INTERRUPTED)
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(BAD_USAGE)


def _leave_bad(error: BadInputError, progress: BatchProgress) -> None:
    shown = [(each.line, each.reason) for each in error.bad[:SHOWN_LINES]]
    more = f" (the first {len(shown)} are named above)" if error.count > len(shown) else ""
    lines = "1 line" if error.count == 1 else f"{error.count:,} lines"
    text = f"{lines} can't be asked{more}, and nothing was: mend them, or write them as failed with --skip-bad"
    progress.failed(text, BAD_USAGE, shown)


def _drain(run: BatchRun, stdout: TextIO | None) -> str:
    """Wait until the batch ends, and print the records. Returns why the answers can't be written, "" where they can.

    Raises ReaderLeftError when nobody reads the records, AgentkitError when the questions can't be read any more."""
    try:
        for record in run:
            if stdout is not None:
                _print(record, run, stdout)
    except JournalError as error:
        return str(error)
    return ""


def _print(record: Record, run: BatchRun, stdout: TextIO) -> None:
    try:
        print(json.dumps(json.loads(line_of(record))), file=stdout, flush=True)  # JSON, in any encoding
    except OSError as error:
        run.cancel()
        if error.errno == errno.EPIPE:
            raise
        raise JournalError(f"standard output can't be written: {error.strerror}") from None


def _stop(run: BatchRun, progress: BatchProgress, grace: float) -> None:
    run.stop()
    progress.say(
        f"interrupted: waiting up to {grace:g} s for what is in progress; once more stops it at once", event="stopping"
    )


def _cancel(run: BatchRun, progress: BatchProgress) -> None:
    progress.say("interrupted again: stopping what is in progress", event="cancelling")
    run.cancel()


def _advice(run: BatchRun, out: str | None, failed: int) -> str:
    """What to do now; "" where nothing is left to do."""
    stats = run.stats()
    left = stats.total - stats.before - stats.done
    again = "the same command again asks all of them: -o FILE would go on" if out == "-" else "the same command again"
    goes_on = again if out == "-" else f"{again} goes on with the {left:,} that are left"
    if run.ending == "stopped":
        return f"interrupted; {goes_on}"
    if run.has_unknown_cost:
        return f"{run.message}; {goes_on}"
    if run.ending == "budget":
        return f"stopped at the limit of the batch; with a higher one, {goes_on}"
    if run.ending in ("account", "server"):
        return f"{run.message}; {goes_on}"
    if failed and out != "-":
        return f"{failed:,} failed: their errors are in {out}; --retry-failed asks them again"
    return ""
