"""A small MCP server in plain Python: it knows the heights of a few mountains.

from agentkit.mcp import MCP

mountains = MCP("python examples/mcp_server.py")
"""

import json
import sys
from typing import Any

HEIGHTS = {"Galdhøpiggen": 2469, "Mont Blanc": 4806, "Zugspitze": 2962}
HEIGHT = {
    "name": "height",
    "description": "Returns the height of a mountain in metres.",
    "inputSchema": {"type": "object", "properties": {"mountain": {"type": "string"}}, "required": ["mountain"]},
    "annotations": {"readOnlyHint": True},
}


def called(arguments: dict[str, Any]) -> dict[str, Any]:
    """The result of a call of the tool."""
    height = HEIGHTS.get(arguments["mountain"])
    text = f"there is no mountain {arguments['mountain']!r}" if height is None else f"{height} m"
    return {"content": [{"type": "text", "text": text}], "isError": height is None}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of a request, or an error."""
    if method == "initialize":
        about = {"name": "mountains", "version": "1"}
        version = params["protocolVersion"]
        return {"result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about}}
    if method == "tools/list":
        return {"result": {"tools": [HEIGHT]}}
    if method == "tools/call" and params["name"] == "height":
        return {"result": called(params["arguments"])}
    return {"error": {"code": -32601, "message": f"there is no {method}"}}


def main() -> None:
    """Answer requests, one a line, until the input ends."""
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            reply = answer(message["method"], message.get("params") or {})
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **reply}), flush=True)


if __name__ == "__main__":
    main()
