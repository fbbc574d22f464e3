"""Tools for the tests of isolation, in a module that a subprocess can import."""

import asyncio
import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

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


_LOCK = asyncio.Lock()
_CALLS: list[int] = []


@tool(isolate=True)
async def shared_lock() -> int:
    """Count the calls, under a lock of the module."""
    async with _LOCK:
        _CALLS.append(1)
        await asyncio.sleep(0)
        return len(_CALLS)


@tool(isolate=True)
async def count_slowly() -> AsyncIterator[int]:
    """Count."""
    for number in range(3):
        await asyncio.sleep(0)
        yield number


@tool(isolate=True)
def unpicklable() -> Any:
    """Return what can't be sent to another process."""
    return {"lock": threading.Lock(), "n": 1}


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


@tool(isolate=True)
def surroundings() -> dict[str, Any]:
    """Tell what this process sees around it, and leave it changed."""
    told = {
        "argv": list(sys.argv),
        "folder": os.getcwd(),
        "late": os.environ.get("ISOLATED_LATE"),
        "own": os.environ.get("ISOLATED_OWN"),
        "path": sys.path[-1],
        "input": sys.stdin.read(),
    }
    os.environ["ISOLATED_OWN"] = "left behind"
    os.chdir("/")
    sys.argv.append("left behind")
    sys.path.append("left behind")
    return told


class Unreadable:
    """An object that can be pickled, but not read again."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __reduce__(self) -> tuple[Any, ...]:
        return Unreadable, ()


@tool(isolate=True)
def make_unreadable() -> Unreadable:
    """Make one."""
    return Unreadable("made once")


@tool(isolate=True, timeout=0.5)
def wait_for_program(told: str) -> str:
    """Start a program and wait for it."""
    subprocess.run(["sh", "-c", f"echo $$ > {told}; sleep 30; true"], check=False)
    return "done"
