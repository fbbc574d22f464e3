"""A server of the Python SDK over HTTP, run by the Python that has it: `sdk_server.py streamable-http|sse PORT`."""

import sys

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from pydantic import BaseModel

server = MCPServer("sdk")


class Name(BaseModel):
    name: str


@server.tool()
def echo(message: str) -> str:
    return message


@server.tool()
def fail() -> str:
    raise ValueError("it does not work")


@server.tool()
async def count(steps: int, pause: float, ctx: Context) -> str:
    for step in range(steps):
        await anyio.sleep(pause)
        await ctx.report_progress(step + 1, steps, f"step {step + 1}")
    return "counted"


@server.tool()
async def hello(ctx: Context) -> str:
    answer = await ctx.elicit("Your name?", Name)
    return f"Hello {answer.data.name}" if answer.action == "accept" else answer.action


if __name__ == "__main__":
    server.run(sys.argv[1], host="127.0.0.1", port=int(sys.argv[2]))
