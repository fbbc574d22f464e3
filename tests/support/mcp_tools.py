"""Tools that a test serves to MCP clients: `python -m tests.support.mcp_tools [HOST:PORT]`."""

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from agentkit import Context, Image, Tool, ToolError, tool
from agentkit.mcp.server import serve
from agentkit.tooling.toolset import Toolset
from tests.support.mcp_fixture import PNG

NOTED: list[str] = []
"""What the tools have done, in this process."""
STARTED, CANCELLED = threading.Event(), threading.Event()


class Place(BaseModel):
    """A place."""

    name: str
    people: int


@dataclass
class Point:
    """A point."""

    x: float
    y: float


@tool(read_only=True)
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@tool(read_only=True)
def place(name: str) -> Place:
    """Returns a place."""
    return Place(name=name, people=717710)


@tool(read_only=True)
def points(count: int) -> list[Point]:
    """Returns points."""
    return [Point(each, 0.5) for each in range(count)]


@tool(read_only=True)
def wrong_place() -> Place:
    """Returns what it does not declare."""
    return {"name": 5}  # type: ignore[return-value]


@tool(read_only=True)
def lines(count: int) -> Iterator[str]:
    """Yields lines."""
    yield from (f"line {each}" for each in range(count))


@tool(read_only=True, max_result=100)
def long(size: int) -> str:
    """Returns a long text."""
    return "x" * size


@tool(read_only=True)
def size_of(text: str) -> str:
    """Returns the size of a text."""
    return str(len(text))


@tool(read_only=True)
def dot() -> list[Any]:
    """Returns an image with a text."""
    return ["a dot", Image(PNG, "image/png", "dot")]


@tool
def pay(amount: int) -> str:
    """Pays."""
    NOTED.append(f"paid {amount}")
    return f"paid {amount}"


@tool(approve=lambda values: values["amount"] > 50)
def pay_much(amount: int) -> str:
    """Pays, with the approval of a person above 50."""
    NOTED.append(f"paid {amount}")
    return f"paid {amount}"


@tool(approve=lambda values: values["train"] == "ICE 7")
def book(ctx: Context, train: str) -> str:
    """Books a seat."""
    schema = {"type": "object", "properties": {"seat": {"enum": ["aisle", "window"]}}, "required": ["seat"]}
    answer = ctx.ask(f"Which seat in {train}?", schema)
    NOTED.append(f"booked {answer['seat']}")
    return f"booked {answer['seat']} in {train}"


@tool(read_only=True)
def steps(ctx: Context, count: int) -> str:
    """Reports its steps."""
    for each in range(count):
        ctx.progress(f"step {each}")
    return "done"


@tool(read_only=True)
def wait(ctx: Context) -> str:
    """Waits until it is cancelled."""
    STARTED.set()
    assert ctx.cancel is not None
    ctx.cancel.wait(60)
    CANCELLED.set()
    return "cancelled"


@tool(read_only=True)
def hang() -> str:
    """Never ends."""
    threading.Event().wait()
    return ""


@tool(read_only=True)
def fails() -> str:
    """Fails with a path."""
    raise OSError(f"can't open {Path(__file__).resolve()}")


@tool(read_only=True)
def refuses() -> str:
    """Refuses."""
    raise ToolError("there is no such city")


@tool(read_only=True)
def chatters() -> str:
    """Writes to standard output in each way there is, and reads standard input."""
    print("printed")
    sys.__stdout__.write("written\n") if sys.__stdout__ else None
    os.write(1, b"by descriptor\n")
    libc = ctypes.CDLL(None)
    libc.puts(b"by C")
    libc.fflush(None)
    child = subprocess.run(["sh", "-c", "echo by a child; cat"], stdout=None, check=False)
    return f"child {child.returncode}, input {sys.stdin.read()!r}"


class Unreachable(Toolset):
    """A toolset whose server can't be reached."""

    label = "far"

    def tools(self) -> list[Tool[..., Any]]:
        """Fails."""
        raise ConnectionError("nobody answers")


UNREACHABLE = Unreachable()


@tool(read_only=True)
def was(state: str) -> str:
    """Waits until the tool `wait` was started, or cancelled."""
    return str({"started": STARTED, "cancelled": CANCELLED}[state].wait(60))


TOOLS: list[Tool[..., Any]] = [
    *(
        add,
        place,
        points,
        wrong_place,
        lines,
        long,
        size_of,
        dot,
        pay,
        pay_much,
        book,
        steps,
        wait,
        hang,
        fails,
        refuses,
    ),
    chatters,
    was,
]

if __name__ == "__main__":
    serve(TOOLS, http=sys.argv[1] if len(sys.argv) > 1 else None)
