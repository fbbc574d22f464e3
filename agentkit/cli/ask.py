"""`agentkit ask`: answers one question on standard output, with progress on standard error."""

import json
import sys
from typing import Annotated, Any

import typer

from agentkit import Agent, AgentkitError, ConfigurationError, LimitError, Limits, Result
from agentkit.backend import NO_ANSWER
from agentkit.cli.following import followed
from agentkit.cli.progress import Progress
from agentkit.cli.stores import leave
from agentkit.cli.streams import read_stdin
from agentkit.record import error_record, result_record
from agentkit.serving.environment import default_model
from agentkit.serving.tool_loading import load_tools

ANSWERED, FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130

INSTRUCTIONS = (
    "You are a research assistant. Look things up with your tools before you answer, and cite the source after each "
    "statement. If the sources don't contain the answer, say so."
)


def ask(
    question: Annotated[str, typer.Argument(help="The question; - reads it from standard input.")],
    model: Annotated[
        str | None,
        typer.Option(help="provider:model or provider:model@url; default: AGENTKIT_MODEL, else extractive (no model)."),
    ] = None,
    docs: Annotated[str | None, typer.Option(metavar="DIR", help="Answer from the documents in this folder.")] = None,
    tool: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|MODULE:NAME", help="A tool for the model to call; repeat the option for several."),
    ] = None,
    max_turns: Annotated[
        int, typer.Option(min=1, help="Maximum number of model replies; then a final answer is requested.")
    ] = 25,
    as_json: Annotated[bool, typer.Option("--json", help="Print the full result as JSON.")] = False,
    stream: Annotated[
        bool | None,
        typer.Option("--stream/--no-stream", help="Print the answer as it is generated (default: only on a terminal)."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Don't print progress on standard error.")] = False,
) -> None:
    """Answer a question using tools: for the web by default, for a folder of documents with --docs.

    Exit code: 0 answered, 1 failed or nothing found, 2 bad usage, 130 interrupted by Ctrl-C.
    """
    try:
        prompt = read_stdin() if question == "-" else question
    except ConfigurationError as error:
        leave(str(error), BAD_USAGE)
    if not prompt.strip():
        leave("the question is empty", BAD_USAGE)
    try:
        agent = Agent(
            model or default_model(),
            tools=load_tools(tool or [], docs),
            instructions=INSTRUCTIONS,
            limits=Limits(turns=max_turns),
        )
    except (ConfigurationError, LimitError) as error:
        leave(str(error), BAD_USAGE)
    live = not as_json and (sys.stdout.isatty() if stream is None else stream)
    with agent, Progress(quiet=quiet) as progress:
        result = _run(agent, prompt, progress, live, as_json)
        progress.summary(result)
    if as_json:
        _print_json(result_record(result))
    elif not live:
        print(result.output)
    raise typer.Exit(ANSWERED if result.output.strip() and result.finish_reason != NO_ANSWER else FAILED)


def _run(agent: Agent, prompt: str, progress: Progress, live: bool, as_json: bool) -> Result:
    """Display the run until it ends. Exits the program when it fails or is interrupted."""
    try:
        return followed(
            lambda: agent.stream(prompt),
            lambda result, decisions: agent.stream(messages=result.messages, approve=decisions),
            progress,
            "deltas" if live else "nothing",
        )
    except KeyboardInterrupt as error:
        progress.interrupted(getattr(error, "tool_calls", []))
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        from agentkit import APIError  # loads openai: half a second that most runs don't need

        if not isinstance(error, AgentkitError | APIError):
            raise
        if as_json:
            _print_json(error_record(error))
        leave(str(error), FAILED)


def _print_json(record: dict[str, Any]) -> None:
    """Print a record, in ASCII where the encoding of standard output has no other way (half a surrogate pair)."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, indent=2)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(record, allow_nan=False, indent=2)
    print(text)
