"""`agentkit ask`: a question in, an answer on standard output, progress on standard error."""

import json
import sys
from typing import Annotated, Any

import typer

from agentkit import Agent, AgentkitError, ConfigurationError, LimitError, Limits, Result, Run, TextDelta
from agentkit.doors.cli.loading import load_tools
from agentkit.doors.cli.progress import Progress, printable
from agentkit.doors.settings import default_model
from agentkit.record import result_record

ANSWERED, FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130

INSTRUCTIONS = (
    "You are a research assistant. Look things up with your tools before you answer, and say after each statement "
    "which source it is from. If the sources don't tell, say so."
)


def ask(
    question: Annotated[str, typer.Argument(help="What to answer; - reads it from standard input.")],
    model: Annotated[
        str | None,
        typer.Option(help="provider:model[@url]; otherwise AGENTKIT_MODEL, else extractive (quotes, needs no model)."),
    ] = None,
    docs: Annotated[str | None, typer.Option(metavar="DIR", help="Answer from the documents in this folder.")] = None,
    tool: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE:NAME", help="A tool to give the model; more than once for more."),
    ] = None,
    max_turns: Annotated[int, typer.Option(min=1, help="Replies before the model must answer.")] = 25,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole result as JSON.")] = False,
    stream: Annotated[
        bool | None,
        typer.Option("--stream/--no-stream", help="Print the answer as it comes (default: on a terminal)."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on standard error.")] = False,
) -> None:
    """Answer a question with the help of tools: of the web, or of a folder with --docs.

    Exit code: 0 answered, 1 failed, 2 bad usage, 130 stopped by Ctrl-C.
    """
    prompt = sys.stdin.read() if question == "-" else question
    if not prompt.strip():
        _leave("the question is empty", BAD_USAGE)
    try:
        agent = Agent(
            model or default_model(),
            tools=load_tools(tool or [], docs),
            instructions=INSTRUCTIONS,
            limits=Limits(turns=max_turns),
        )
    except (ConfigurationError, LimitError) as error:
        _leave(str(error), BAD_USAGE)
    live = not as_json and (sys.stdout.isatty() if stream is None else stream)
    with agent, Progress(quiet=quiet) as progress, agent.stream(prompt) as run:
        result = _followed(run, progress, live, as_json)
        progress.summary(result)
    if as_json:
        print(json.dumps(result_record(result), ensure_ascii=False, indent=2))
    elif not live:
        print(result.output)
    raise typer.Exit(ANSWERED if result.output.strip() else FAILED)


def _followed(run: Run, progress: Progress, live: bool, as_json: bool) -> Result:
    """Show the run to its end; leaves the program when it fails or is stopped."""
    try:
        _show(run, progress, live)
    except KeyboardInterrupt:
        progress.interrupted(run.tool_calls)
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        from agentkit import APIError  # loads openai, half a second that most runs don't need

        if not isinstance(error, AgentkitError | APIError):
            raise
        progress.rest()
        if as_json:
            print(json.dumps({"error": str(error), "messages": run.messages}, ensure_ascii=False, indent=2))
        _leave(str(error), FAILED)
    assert run.result is not None
    return run.result


def _show(run: Run, progress: Progress, live: bool) -> None:
    wrote: Any = False
    for event in run:
        if live and isinstance(event, TextDelta):
            progress.rest()
            sys.stdout.write(printable(event.text) if sys.stdout.isatty() else event.text)
            sys.stdout.flush()
            wrote = True
            continue
        if wrote:
            print()
            wrote = False
        progress.show(event)


def _leave(message: str, code: int) -> typer.Exit:
    print(f"agentkit: {printable(message)}", file=sys.stderr)
    raise typer.Exit(code)
