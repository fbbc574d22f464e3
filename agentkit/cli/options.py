"""The options that several commands share, and what a shell completes for them."""

from contextlib import suppress
from typing import Annotated

import typer

from agentkit.cli.streams import text_of_argument
from agentkit.evidence.settings import Word
from agentkit.net.hosted import SHORT_NAMES
from agentkit.taint.settings import TaintMode

WITH_KEYS = ("openai", "lightllm", "vlmrun", *SHORT_NAMES)
"""The providers whose keys can be stored."""
MODEL_HELP = "provider:model\\[@url], as agentkit models lists them; default: extractive, which needs no model."


def _models(incomplete: str) -> list[str]:
    from agentkit.cli.config import configured
    from agentkit.providers import PROVIDERS

    with suppress(Exception):  # a completion is no place for errors
        known = [f"{name}:" for name in PROVIDERS.names()] + [str(configured().get("model", "extractive"))]
        return [each for each in known if each.startswith(incomplete)]
    return []


def _tools(incomplete: str) -> list[str]:
    from agentkit.serving.tool_loading import TOOLS

    return [name for name in TOOLS.names() if name.startswith(incomplete)]


def _hooks(incomplete: str) -> list[str]:
    from agentkit.serving.hook_loading import HOOKS

    return [name for name in HOOKS.names() if name.startswith(incomplete)]


def complete_session(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the stored conversations that begin like this."""
    from agentkit.cli.config import configured
    from agentkit.serving.environment import session_store
    from agentkit.sessions import open_sessions

    with suppress(Exception):
        where = ctx.params.get("store") or configured().get("store") or session_store()
        with open_sessions(where) as sessions:
            return [info.id for info in sessions.list(incomplete)]
    return []


def complete_key(incomplete: str) -> list[str]:
    """Return the names of providers whose keys can be stored that begin like this."""
    return [name for name in WITH_KEYS if name.startswith(incomplete)]


ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="NAME", envvar="AGENTKIT_MODEL", help=MODEL_HELP, autocompletion=_models),
]


def _text(value: str | None) -> str | None:
    return value and text_of_argument(value)


SystemOption = Annotated[
    str | None, typer.Option("--system", "-s", metavar="TEXT", help="The system prompt.", callback=_text)
]

DocsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--docs",
        metavar="PATH",
        help="Answer from the documents in this folder, or from this file; repeat the option for several.",
    ),
]
ToolOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tool",
        "-T",
        metavar="NAME|MODULE:NAME",
        help="A tool for the model to call; repeat the option for several.",
        autocompletion=_tools,
    ),
]
HookOption = Annotated[
    list[str] | None,
    typer.Option(
        "--hook",
        metavar="NAME|MODULE:NAME",
        help="A hook around requests, replies and tool calls; repeat the option for several, the outermost first.",
        autocompletion=_hooks,
    ),
]
McpOption = Annotated[
    list[str] | None,
    typer.Option(
        "--mcp",
        metavar="FILE|COMMAND|URL",
        help="MCP servers whose tools the model calls: an mcp.json, or the command or the address of one server; "
        "repeat the option for several.",
    ),
]
SessionOption = Annotated[
    str | None,
    typer.Option(
        "--session",
        metavar="NAME",
        help="Store the conversation under NAME, or continue it.",
        autocompletion=complete_session,
    ),
]
ContinueOption = Annotated[bool, typer.Option("--continue", "-c", help="Continue the session that was written last.")]
AttachmentOption = Annotated[
    list[str] | None,
    typer.Option(
        "--attachment",
        "-a",
        metavar="FILE|URL",
        help="An image, a text or a document to send with the question (- reads it from standard input); repeat the "
        "option for several.",
    ),
]
EvidenceOption = Annotated[
    Word | None,
    typer.Option(
        "--evidence",
        metavar="MODE",
        envvar="AGENTKIT_EVIDENCE",
        case_sensitive=False,
        help="What happens to an answer that its sources don't support: flag says so below it (the default), with "
        "ask-again the model is told once, off checks nothing.",
    ),
]
MaxTurnsOption = Annotated[
    int, typer.Option("--max-turns", min=1, help="Maximum number of model replies; then a final answer is requested.")
]
TaintOption = Annotated[
    TaintMode | None,
    typer.Option(
        "--taint",
        metavar="MODE",
        envvar="AGENTKIT_TAINT",
        case_sensitive=False,
        help="What happens to a call whose arguments come from what the model has read, not from you (default: off).",
    ),
]
MarkdownOption = Annotated[
    bool | None,
    typer.Option("--markdown/--no-markdown", help="Render Markdown (default: only on a terminal)."),
]
QuietOption = Annotated[bool, typer.Option("--quiet/--no-quiet", "-q", help="Don't print progress on standard error.")]
