"""`agentkit ask`: a question in, an answer on standard output, progress on standard error."""

import json
import sys
from typing import Annotated

import typer

from agentkit import Agent, AgentkitError, ConfigurationError, LimitError, Limits, Result
from agentkit.cli.following import followed
from agentkit.cli.progress import Progress
from agentkit.cli.stores import leave
from agentkit.record import result_record
from agentkit.serving.environment import default_model
from agentkit.serving.tool_loading import load_tools

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
        result = _answered(agent, prompt, progress, live, as_json)
        progress.summary(result)
    if as_json:
        print(json.dumps(result_record(result), ensure_ascii=False, indent=2))
    elif not live:
        print(result.output)
    raise typer.Exit(ANSWERED if result.output.strip() else FAILED)


def _answered(agent: Agent, prompt: str, progress: Progress, live: bool, as_json: bool) -> Result:
    """Show the run to its end; leaves the program when it fails or is stopped."""
    try:
        return followed(
            lambda: agent.stream(prompt),
            lambda result, word: agent.stream(messages=result.messages, approve=word),
            progress,
            live,
        )
    except KeyboardInterrupt as error:
        progress.interrupted(getattr(error, "tool_calls", []))
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        from agentkit import APIError  # loads openai, half a second that most runs don't need

        if not isinstance(error, AgentkitError | APIError):
            raise
        if as_json:
            messages = getattr(error, "messages", [])
            print(json.dumps({"error": str(error), "messages": messages}, ensure_ascii=False, indent=2))
        leave(str(error), FAILED)
