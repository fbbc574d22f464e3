"""Tools for the tests of isolation, in a module that a subprocess can import."""

import ctypes
import os
import sys
import time
from dataclasses import dataclass

from agentkit import ToolError, tool


@dataclass
class Place:
    name: str
    height: int


@tool(isolate=True)
def add(a: int, b: int = 1) -> int:
    """Add."""
    return a + b


@tool(isolate=True)
def make() -> object:
    """Return what can't be pickled."""
    return {"made": 1, "by": lambda: None}


@tool(isolate=True)
def whoami() -> int:
    """Return the process id."""
    return os.getpid()


@tool(isolate=True)
def show(place: Place) -> str:
    """Show a place."""
    print("printed by a tool")
    return f"{place.name}: {place.height}"


@tool(isolate=True)
async def slowly(text: str) -> str:
    """Echo."""
    return text


@tool(isolate=True, timeout=0.4)
def loop() -> None:
    """Loop for ever."""
    while True:
        pass


@tool(isolate=True, timeout=0.4)
def block() -> None:
    """Block in C."""
    ctypes.PyDLL(None).sleep(30)  # holds the GIL


@tool(isolate=True)
def nap() -> str:
    """Sleep long."""
    time.sleep(30)
    return "slept"


@tool(isolate=True)
def leave() -> None:
    """End the process at once."""
    os._exit(3)


@tool(isolate=True)
def crash() -> None:
    """Crash."""
    ctypes.string_at(0)


@tool(isolate=True, memory=1_000_000_000)
def hoard() -> int:
    """Take four gigabytes."""
    return len(bytearray(4_000_000_000))


@tool(isolate=True)
def fail(kind: str) -> str:
    """Fail."""
    if kind == "tool":
        raise ToolError("Say what you want.")
    raise ValueError(f"no {kind}")


@tool(isolate=True)
def leave_by_exit() -> None:
    """Exit."""
    sys.exit("bye")
