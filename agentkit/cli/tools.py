"""`agentkit tools`: lists tools and the schemas that the model receives."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from agentkit import ConfigurationError, Tool
from agentkit import tool as as_tool
from agentkit.cli.ask import BAD_USAGE
from agentkit.serving.tool_loading import load, load_tools

PACK = ("agentkit_tools:search", "agentkit_tools:visit", "agentkit_tools:load_image")
"""The tools listed by default: all built-in tools that need no folder."""


def tools(
    tool: Annotated[list[str] | None, typer.Option(metavar="MODULE:NAME", help="A tool to list; repeatable.")] = None,
    docs: Annotated[str | None, typer.Option(metavar="DIR", help="List the document tools for this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the schemas as the model receives them.")] = False,
) -> None:
    """List tools and their parameters: the built-in ones, or those given by --tool and --docs."""
    try:
        found = load_tools(tool or [], docs) if tool or docs else [each for name in PACK for each in load(name)]
        listed = [each if isinstance(each, Tool) else as_tool(each) for each in found]
    except ConfigurationError as error:
        print(f"agentkit: {error}", file=sys.stderr)
        raise typer.Exit(BAD_USAGE) from None
    if as_json:
        print(json.dumps([each.schema for each in listed], ensure_ascii=False, indent=2))
        return
    console = Console(highlight=False)
    for each in listed:
        _print(console, each)


def _print(console: Console, listed: Tool[..., Any]) -> None:
    effect = "read-only" if listed.options.read_only else "has effects"
    console.print(Text.assemble((listed.name, "bold cyan"), f"  ({effect})"))
    console.print(Text(f"  {listed.description.splitlines()[0]}"))
    required = listed.parameters.get("required", [])
    for name, schema in listed.parameters.get("properties", {}).items():
        optional = "" if name in required else ", optional"
        description = schema.get("description", "")
        console.print(Text.assemble("    ", (name, "bold"), f" ({_type(schema)}{optional})  {description}"))
    console.print()


def _type(schema: dict[str, Any]) -> str:
    """Returns the type of a JSON schema in a word or two."""
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " | ".join(_type(option) for option in schema["anyOf"])
    kind = schema.get("type", schema.get("$ref", "any").rpartition("/")[2])
    return f"list of {_type(schema['items'])}" if kind == "array" and "items" in schema else str(kind)
