"""An MCP server with the tools that the official conformance suite calls: `python -m tests.support.mcp_fixture PORT`.

Without a port it serves standard input and output.
"""

import base64
import sys
import time
from collections.abc import Callable
from typing import Any

from agentkit import Context, Image, Tool, ToolError, tool
from agentkit.mcp.server import serve
from agentkit.mcp.serving.calls import ServedContext
from agentkit.mcp.serving.questions import NeedsInput
from agentkit.tooling.outcome import Outcome

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNg+M9QDwADgQF/e6IKCAAAAABJRU5ErkJggg=="
)


@tool(read_only=True)
def test_simple_text() -> str:
    """Returns a text."""
    return "This is a simple text response for testing."


@tool(read_only=True)
def test_image_content() -> Image:
    """Returns an image."""
    return Image(PNG, "image/png", "dot")


@tool(read_only=True)
def test_error_handling() -> str:
    """Fails."""
    raise ToolError("This tool intentionally returns an error for testing")


@tool(read_only=True)
def test_tool_with_progress(ctx: Context) -> str:
    """Reports its progress."""
    for each in ("0 of 100", "50 of 100", "100 of 100"):
        ctx.progress(each)
        time.sleep(0.05)
    return "done"


@tool(read_only=True)
def test_logging_tool() -> str:
    """Logs nothing to the client."""
    return "done"


def called(**arguments: Any) -> str:
    """The function of a tool with a hand-written schema."""
    return str(arguments)


ADDRESS = {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}
json_schema_2020_12_tool = Tool(
    "json_schema_2020_12_tool",
    "Tool with JSON Schema 2020-12 features",
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {"$anchor": "addressDef", **ADDRESS}},
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
    called,
    read_only=True,
)

test_with_header = Tool(
    "test_with_header",
    "A tool with a parameter that a header repeats.",
    {
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}, "query": {"type": "string"}},
        "required": ["region"],
    },
    called,
    read_only=True,
)


class Asking(Tool[..., Any]):
    """A tool that has questions for the client. ask: raises NeedsInput, or returns its result."""

    def __init__(self, name: str, ask: Callable[[ServedContext], str]) -> None:
        super().__init__(
            name, f"Asks the client ({name}).", {"type": "object", "properties": {}}, called, read_only=True
        )
        self.ask = ask

    def answer(self, arguments: str, context: Context) -> Outcome:
        """Run one call."""
        assert isinstance(context, ServedContext)
        return Outcome(self.ask(context))


def form(message: str, **fields: str) -> dict[str, Any]:
    properties = {name: {"type": kind} for name, kind in fields.items()}
    schema = {"type": "object", "properties": properties, "required": list(fields)}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


SAMPLING = {
    "method": "sampling/createMessage",
    "params": {
        "messages": [{"role": "user", "content": {"type": "text", "text": "What is the capital of France?"}}],
        "maxTokens": 100,
    },
}
ROOTS = {"method": "roots/list", "params": {}}


def content_of(context: ServedContext, key: str) -> Any:
    """The form that was filled in; None when there is none."""
    return context.inputs.get(key, {}).get("content")


def ask_name(context: ServedContext) -> str:
    content = content_of(context, "user_name")
    if not isinstance(content, dict) or "name" not in content:
        raise NeedsInput({"user_name": form("What is your name?", name="string")})
    return f"Hello, {content['name']}!"


def ask_model(context: ServedContext) -> str:
    if "capital_question" not in context.inputs:
        raise NeedsInput({"capital_question": SAMPLING})
    return str(context.inputs["capital_question"])


def ask_roots(context: ServedContext) -> str:
    if "client_roots" not in context.inputs:
        raise NeedsInput({"client_roots": ROOTS})
    return str(context.inputs["client_roots"])


def ask_with_state(context: ServedContext) -> str:
    if context.state != "waiting" or "confirm" not in context.inputs:
        raise NeedsInput({"confirm": form("Please confirm", ok="boolean")}, state="waiting")
    return "state-ok"


def ask_all(context: ServedContext) -> str:
    asked = {"user_name": form("What is your name?", name="string"), "greeting": SAMPLING, "client_roots": ROOTS}
    if context.state != "all" or set(asked) - set(context.inputs):
        raise NeedsInput(asked, state="all")
    return "got all"


def ask_twice(context: ServedContext) -> str:
    if context.state == "2" and "step2" in context.inputs:
        return "done"
    if context.state == "1" and "step1" in context.inputs:
        raise NeedsInput({"step2": form("Step 2: What is your favorite color?", color="string")}, state="2")
    raise NeedsInput({"step1": form("Step 1: What is your name?", name="string")}, state="1")


def ask_what_it_can(context: ServedContext) -> str:
    can = context.capabilities or {}
    questions = {"sampling": SAMPLING, "elicitation": form("What is your name?", name="string")}
    asked = {name: each for name, each in questions.items() if name in can}
    if asked and not context.inputs:
        raise NeedsInput(asked)
    return "done"


PREFIX = "test_input_required_result_"
ASKING = {
    f"{PREFIX}elicitation": ask_name,
    f"{PREFIX}sampling": ask_model,
    f"{PREFIX}list_roots": ask_roots,
    f"{PREFIX}request_state": ask_with_state,
    f"{PREFIX}tampered_state": ask_with_state,
    f"{PREFIX}multiple_inputs": ask_all,
    f"{PREFIX}multi_round": ask_twice,
    f"{PREFIX}capabilities": ask_what_it_can,
    "test_missing_capability": ask_model,
    "test_streaming_elicitation": ask_name,
}

TOOLS: list[Tool[..., Any]] = [
    test_simple_text,
    test_image_content,
    test_error_handling,
    test_tool_with_progress,
    test_logging_tool,
    json_schema_2020_12_tool,
    test_with_header,
    *(Asking(name, ask) for name, ask in ASKING.items()),
]

if __name__ == "__main__":
    serve(TOOLS, http=f"127.0.0.1:{sys.argv[1]}" if len(sys.argv) > 1 else None, name="conformance")
