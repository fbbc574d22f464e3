"""`agentkit research`: a report on a question, written from sources, with each citation checked."""

import json
import os
import secrets
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from agentkit import Agent, AgentkitError, ConfigurationError, LimitError, Limits, Session, SessionError
from agentkit._text import joined_surrogates
from agentkit.cli.mcp_inputs import mcp_input
from agentkit.cli.options import DocsOption, HookOption, McpOption, ModelOption, QuietOption, ToolOption
from agentkit.cli.prompt import prompt_of
from agentkit.cli.research_progress import ResearchProgress
from agentkit.cli.reserved_output import reserved_output
from agentkit.cli.stores import StoreOption, leave, opened
from agentkit.net.error_kinds import is_api_error
from agentkit.record import error_record
from agentkit.research import Report
from agentkit.research import research as researched
from agentkit.research.journal import PREFIX, keep_options, latest, state_of
from agentkit.research.running import checked_question
from agentkit.serving.environment import DEFAULT_MODEL
from agentkit.serving.hook_loading import load_hooks
from agentkit.serving.tool_loading import WEB_TOOLS, load_tools

WRITTEN, FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130
KEPT = (
    *("model", "docs", "web", "tool", "hook", "mcp", "sub_questions", "parallel", "max_turns", "steps", "max_tokens"),
    *("max_cost", "seconds"),
)
"""The options that a research is continued with."""
FORMS = (".md", ".markdown", ".html", ".htm", ".json", ".bib")


def research(
    context: typer.Context,
    question: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUESTION|ID", help="The question; with --resume the research to continue.", show_default=False
        ),
    ] = None,
    model: ModelOption = None,
    docs: DocsOption = None,
    web: Annotated[
        bool, typer.Option("--web/--no-web", help="Search the web; --no-web: only what else is given.")
    ] = True,
    tool: ToolOption = None,
    hook: HookOption = None,
    mcp: McpOption = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Where the report is written, by the suffix .md, .html, .json or .bib (BibTeX); repeat the option for "
            "several. Default: Markdown on standard output.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue a research that was interrupted: the last one, or that of this ID."),
    ] = False,
    sub_questions: Annotated[int, typer.Option("--sub-questions", min=1, max=20, help="How many at most.")] = 7,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=32, help="Sub-questions at a time.")] = 3,
    max_turns: Annotated[
        int, typer.Option("--max-turns", min=1, help="Model replies for a sub-question at most.")
    ] = 100,
    steps: Annotated[int | None, typer.Option("--steps", min=0, help="Tool calls in all at most.")] = None,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", min=1, help="Tokens in all at most.")] = None,
    max_cost: Annotated[float | None, typer.Option("--max-cost", min=0, help="Cost in all at most.")] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", min=1, help="Time at most.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    quiet: QuietOption = False,
    store: StoreOption = None,
) -> None:
    """Research a question: plan, read in parallel, and write a report whose citations are checked against the sources.

    Without a model (the default, extractive) it is an annotated bibliography: the best quotations of the sources. The
    state is kept: agentkit research --resume continues what Ctrl-C, a crash or a limit has ended, and repeats nothing.

    Exit code: 0 written, 1 failed or nothing found, 2 bad usage, 130 interrupted by Ctrl-C.
    """
    with ExitStack() as leaving:
        stdout = leaving.enter_context(reserved_output())
        try:
            files = _checked(out or [])
            asked, session = _begun(question or [], resume, store, leaving)
            kept = _kept(context, session, is_new=asked is not None)
            given = _options(kept)
            Agent(given["model"]).close()  # raises for a name that is none, before anything of it is kept
            keep_options(session, kept, asked)
        except (ConfigurationError, LimitError) as error:
            leave(str(error), BAD_USAGE)
        except SessionError as error:
            leave(str(error), FAILED)
        progress = leaving.enter_context(ResearchProgress(quiet=quiet))
        report = _run(asked, session, given, progress, as_json, stdout)
        _write(report, files, as_json, stdout)
        progress.written(report, [str(file) for file in files])
    raise typer.Exit(WRITTEN if report.sources else FAILED)


def _kept(context: typer.Context, session: Session, *, is_new: bool) -> dict[str, Any]:
    """The options as they hold: of a research that is continued its own, but for what the command line says."""
    given = {name: context.params[name] for name in KEPT}
    given["docs"] = given["docs"] or None
    if not is_new:
        named = {name for name in KEPT if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"}
        given = {**given, **{name: each for name, each in state_of(session).options.items() if name not in named}}
    if given["docs"]:
        docs = [given["docs"]] if isinstance(given["docs"], str) else given["docs"]
        given["docs"] = [os.path.abspath(each) for each in docs]  # it may be continued elsewhere
    return given


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `agentkit.research.research`. Raises ConfigurationError and LimitError."""
    names = [*(given["tool"] or []), *(WEB_TOOLS if given["web"] else ())]
    if not (names or given["docs"] or given["mcp"]):
        raise ConfigurationError("--no-web leaves nothing to read: give --docs, --tool or --mcp")
    return {
        "model": given["model"] or DEFAULT_MODEL,
        "tools": load_tools(names, given["docs"], given["mcp"] or [], mcp_input),
        "hooks": load_hooks(given["hook"] or []),
        "limits": Limits(
            tokens=given["max_tokens"],
            cost=given["max_cost"],
            seconds=given["seconds"],
            tool_calls=given["steps"],
        ),
        "sub_questions": given["sub_questions"],
        "parallel": given["parallel"],
        "turns": given["max_turns"],
    }


def _checked(files: list[Path]) -> list[Path]:
    """Files that a report can be written to. Raises ConfigurationError, before anything is spent."""
    for file in files:
        if file.suffix.lower() not in FORMS:
            raise ConfigurationError(f"--out {file}: the suffix says the form: use {', '.join(FORMS)}")
        if not file.absolute().parent.is_dir() or file.is_dir():
            raise ConfigurationError(f"--out {file}: {file.absolute().parent} is no folder that it could be written to")
    return files


def _begun(words: list[str], resume: bool, store: str | None, leaving: ExitStack) -> tuple[str | None, Session]:
    """The question, and the session that keeps the research. Raises ConfigurationError."""
    sessions = leaving.enter_context(opened(store))
    if not resume:
        asked = checked_question(str(prompt_of(words, [], only_question=False, command="research")))
        return asked, sessions[f"{PREFIX}{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"]
    name = "".join(words).strip().removeprefix(PREFIX) or latest(sessions)
    if name is None:
        raise ConfigurationError(
            "no research is stored that could be continued: agentkit research 'How ...?' begins one"
        )
    try:
        session = sessions[f"{PREFIX}{name}"]
        if not state_of(session).question:
            raise ConfigurationError(f"there is no research {name!r}: agentkit research --resume continues the last")
    except AgentkitError as error:
        raise ConfigurationError(str(error)) from None
    return None, session


def _run(
    asked: str | None, session: Session, given: dict[str, Any], progress: ResearchProgress, as_json: bool, out: TextIO
) -> Report:
    """Do the research. Exits the program when it fails or is interrupted."""
    name = session.id.removeprefix(PREFIX)
    progress.begin(name, asked if asked is not None else state_of(session).question)
    try:
        return researched(asked, session=session, on_event=progress.report, **given)
    except KeyboardInterrupt:
        progress.left(name)
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        if not isinstance(error, AgentkitError) and not is_api_error(error):
            raise
        if as_json:
            print(json.dumps(error_record(error), indent=2), file=out)
        if isinstance(error, ConfigurationError):
            leave(str(error), BAD_USAGE)
        leave(f"{error}\nagentkit research --resume {name} goes on", FAILED)


def _write(report: Report, files: list[Path], as_json: bool, out: TextIO) -> None:
    for file in files:
        try:
            file.write_text(_in_form(report, file.suffix.lower()), encoding="utf-8", newline="\n")
        except OSError as error:
            leave(f"{file} can't be written: {error.strerror or error}; --resume writes the report again", FAILED)
    if as_json or not files:
        text = _in_form(report, ".json" if as_json else ".md")
        out.write(text if _fits(text, out) else text.encode("ascii", "backslashreplace").decode())


def _fits(text: str, out: TextIO) -> bool:
    try:
        text.encode(out.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _in_form(report: Report, suffix: str) -> str:
    if suffix in (".html", ".htm"):
        text = report.html()
    elif suffix == ".json":
        text = json.dumps(report.record(), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    else:
        text = report.bibtex() if suffix == ".bib" else report.markdown()
    return joined_surrogates(text)  # a remark may be what a server has said
