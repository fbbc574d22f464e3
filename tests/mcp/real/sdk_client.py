"""A client of the official SDK, run in its environment: `python sdk_client.py MODE URL|PYTHON`. Prints what it saw as
JSON. PYTHON: of the environment of the server, which it starts."""

import asyncio
import json
import os
import sys
from typing import Any

from mcp import StdioServerParameters, types
from mcp.client.client import Client
from mcp.client.stdio import stdio_client


async def ask_person(context: Any, params: Any) -> types.ElicitResult:
    fields = params.requested_schema.get("properties", {})
    return types.ElicitResult(action="accept", content={"seat": "window"} if "seat" in fields else {})


async def used(client: Any) -> dict[str, Any]:
    steps: list[str] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        steps.append(message or "")

    async def text(name: str, arguments: dict[str, Any], **options: Any) -> str:
        return str((await client.call_tool(name, arguments, **options)).content[0].text)

    said = {
        "version": client.protocol_version,
        "tools": [each.name for each in (await client.list_tools()).tools],
        "add": (await client.call_tool("add", {"a": 1, "b": 2})).structured_content,
        "place": (await client.call_tool("place", {"name": "Oslo"})).structured_content,
        "wrong": await text("add", {"a": "x"}),
        "image": (await client.call_tool("dot", {})).content[1].mime_type,
        "steps": await text("steps", {"count": 3}, progress_callback=note),
        "large": await text("size_of", {"text": "x" * 1_000_000}),
        "parallel": await asyncio.gather(*(text("add", {"a": each, "b": 0}) for each in range(16))),
        "book": await text("book", {"train": "ICE 7"}),
        "prompts": len((await client.list_prompts()).prompts),
    }
    return {**said, "progress": steps}


async def main(mode: str, target: str) -> None:
    server: Any = target
    if not target.startswith("http"):
        environment = {**os.environ, "PYTHONPATH": os.environ["SERVED_PATH"]}
        arguments = ["-m", "tests.support.mcp_tools"]
        server = stdio_client(StdioServerParameters(command=target, args=arguments, env=environment))
    async with Client(server, mode=mode, elicitation_callback=ask_person) as client:
        print(json.dumps(await used(client)))


asyncio.run(main(*sys.argv[1:]))
