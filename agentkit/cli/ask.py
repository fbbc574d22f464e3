"""`agentkit ask`: answers one question on standard output, with progress on standard error."""

import sys
from contextlib import ExitStack
from typing import Annotated, Any, TextIO

import typer

from agentkit import Agent, AgentkitError, ConfigurationError, LimitError, Limits, Result, Session
from agentkit.backend import NO_ANSWER
from agentkit.cli.cited import print_cited
from agentkit.cli.following import Live, followed
from agentkit.cli.mcp_inputs import mcp_input
from agentkit.cli.options import (
    AttachmentOption,
    ContinueOption,
    DocsOption,
    EvidenceOption,
    HookOption,
    MarkdownOption,
    MaxTurnsOption,
    McpOption,
    ModelOption,
    QuietOption,
    SessionOption,
    SystemOption,
    TaintOption,
    ToolOption,
)
from agentkit.cli.printable import encodable_json
from agentkit.cli.progress import Progress
from agentkit.cli.prompt import prompt_of
from agentkit.cli.rendered import MarkdownWriter, shows_markdown
from agentkit.cli.reserved_output import reserved_output
from agentkit.cli.stores import StoreOption, chosen_session, leave
from agentkit.message import Prompt
from agentkit.net.error_kinds import is_api_error
from agentkit.record import error_record, result_record
from agentkit.serving.agent_loading import agent_of_options
from agentkit.serving.environment import DEFAULT_MODEL

ANSWERED, FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130


def ask(
    question: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUESTION",
            help="The question; what is piped in goes before it, and - waits for that.",
            show_default=False,
        ),
    ] = None,
    model: ModelOption = None,
    system: SystemOption = None,
    docs: DocsOption = None,
    tool: ToolOption = None,
    hook: HookOption = None,
    mcp: McpOption = None,
    attachment: AttachmentOption = None,
    session: SessionOption = None,
    continue_: ContinueOption = False,
    max_turns: MaxTurnsOption = 25,
    evidence: EvidenceOption = None,
    taint: TaintOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the full result as JSON.")] = False,
    stream: Annotated[
        bool | None,
        typer.Option("--stream/--no-stream", help="Print the answer as it is generated (default: only on a terminal)."),
    ] = None,
    markdown: MarkdownOption = None,
    quiet: QuietOption = False,
    store: StoreOption = None,
) -> None:
    """Answer a question using tools: for the web by default, for a folder of documents with --docs.

    Exit code: 0 answered, 1 failed or nothing found, 2 bad usage, 130 interrupted by Ctrl-C.
    """
    streams = not as_json and (sys.stdout.isatty() if stream is None else stream)
    with ExitStack() as leaving:
        out = leaving.enter_context(reserved_output(stops=streams))  # nobody reads the rest of a run that is shown
        try:
            name = model or DEFAULT_MODEL
            prompt = prompt_of(question or [], attachment or [], only_question=name == DEFAULT_MODEL)
            kept = chosen_session(session, continue_, store, leaving, quiet=quiet)
            told: dict[str, Any] = {
                "model": name,
                "tools": tool or None,
                "docs": docs,
                "mcp": mcp,
                "hooks": hook,
                "instructions": system,
            }
            told |= {"max_turns": max_turns, "evidence": evidence, "taint": taint}
            agent = agent_of_options(told, mcp_input)
        except (ConfigurationError, LimitError) as error:
            leave(str(error), BAD_USAGE)
        leaving.callback(agent.close)
        progress = leaving.enter_context(Progress(quiet=quiet))
        is_rendered = not as_json and (shows_markdown(out) if markdown is None else markdown)
        live: Live = "markdown" if is_rendered else "deltas"
        if not streams:
            live = "nothing" if as_json else "lost"
        result = _run(agent, prompt, kept, progress, live, as_json, out)
        progress.summary(result)
        if as_json:
            print(encodable_json(result_record(result), out.encoding), file=out)
        elif not streams:
            _print_answer(result.output, is_rendered, out)
        if not as_json:
            print_cited(result, out, quiet=quiet)
    raise typer.Exit(ANSWERED if result.output.strip() and result.finish_reason != NO_ANSWER else FAILED)


def _run(
    agent: Agent, prompt: Prompt, session: Session | None, progress: Progress, live: Live, as_json: bool, out: TextIO
) -> Result:
    """Display the run until it ends. Exits the program when it fails or is interrupted."""

    def resumed(result: Result, decisions: dict[str, Any], limits: Limits) -> Any:
        past: Any = {"messages": result.messages} if session is None else {"session": session}
        return agent.stream(approve=decisions, limits=limits, **past)

    try:
        return followed(lambda: agent.stream(prompt, session=session), resumed, agent.limits, progress, live, out)
    except KeyboardInterrupt as error:
        progress.interrupted(getattr(error, "tool_calls", []))
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        if not isinstance(error, AgentkitError) and not is_api_error(error):
            raise
        if as_json:
            print(encodable_json(error_record(error), out.encoding), file=out)
        leave(str(error), FAILED)


def _print_answer(text: str, is_rendered: bool, out: TextIO) -> None:
    if is_rendered:
        MarkdownWriter(out).print(text)
    else:
        print(text, file=out)
