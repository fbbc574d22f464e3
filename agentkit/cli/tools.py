"""`agentkit tools`: lists tools and the schemas that the model receives."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from agentkit import ConfigurationError, Tool
from agentkit.cli.ask import BAD_USAGE
from agentkit.cli.mcp_inputs import mcp_input
from agentkit.cli.options import DocsOption, McpOption, ToolOption
from agentkit.cli.printable import printable
from agentkit.cli.reserved_output import reserved_output
from agentkit.cli.stores import leave
from agentkit.running.agent_tools import AnyTool, toolbox_of
from agentkit.serving.tool_loading import TOOLS, load, load_tools


def tools(
    tool: ToolOption = None,
    docs: DocsOption = None,
    mcp: McpOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the schemas as the model receives them.")] = False,
) -> None:
    """List tools and their parameters: all that have a name, or those given by --tool, --docs and --mcp."""
    with reserved_output() as out:
        try:
            found = load_tools(tool or [], docs, mcp or [], mcp_input) if tool or docs or mcp else _named()
            listed = list(toolbox_of(found))
        except ConfigurationError as error:
            leave(str(error), BAD_USAGE)
        if as_json:
            print(json.dumps([each.schema for each in listed], ensure_ascii=False, indent=2), file=out)
            return
        console = Console(file=out, highlight=False)
        for each in listed:
            _print(console, each)
        if not (tool or docs or mcp):
            console.print(f"Names for --tool: {', '.join(TOOLS.names())}")


def _named() -> list[AnyTool]:
    """The tools that have a name; those that can't be loaded are reported, and left out."""
    found: list[AnyTool] = []
    for name in TOOLS.names():
        try:
            found += [each for each in load(name) if each not in found]
        except ConfigurationError as error:
            print(f"agentkit: {printable(str(error))}", file=sys.stderr)
    if not found:
        raise typer.Exit(BAD_USAGE)
    return found


def _print(console: Console, listed: Tool[..., Any]) -> None:
    effect = "read-only" if listed.options.read_only else "has effects"
    console.print(Text.assemble((listed.name, "bold cyan"), f"  ({effect})"))
    console.print(Text(f"  {printable(listed.description.splitlines()[0])}"))
    required = listed.parameters.get("required", [])
    for name, given in listed.parameters.get("properties", {}).items():
        schema = given if isinstance(given, dict) else {}  # a schema may be true
        optional = "" if name in required else ", optional"
        said = printable(f" ({_type(schema)}{optional})  {schema.get('description', '')}")
        console.print(Text.assemble("    ", (printable(name), "bold"), said))
    console.print()


def _type(schema: Any) -> str:
    """Returns the type of a JSON schema in a word or two."""
    if not isinstance(schema, dict):
        return "any"
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " | ".join(_type(option) for option in schema["anyOf"])
    kind = schema.get("type", schema.get("$ref", "any").rpartition("/")[2])
    return f"list of {_type(schema['items'])}" if kind == "array" and "items" in schema else str(kind)
