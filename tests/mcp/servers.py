"""The MCP servers of the tests, and what they answer."""

import contextlib
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentkit.mcp.client import Client
from agentkit.mcp.stdio import Stdio

BAD_SERVER = str(Path(__file__).with_name("bad_server.py"))


def bad_command(**options: str) -> list[str]:
    """The command of `bad_server.py` with its options."""
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return [sys.executable, "-ISX", "utf8", BAD_SERVER, *words]


def client_of(command: str | Sequence[str], timeout: float = 20.0, **more: Any) -> Client:
    """A client of a server that this command starts."""
    return Client(lambda heard: Stdio(command, heard), "bad", timeout, **more)


def bad(timeout: float = 20.0, *, ask: Any = None, changed: Any = None, **options: str) -> Client:
    """A client of `bad_server.py`."""
    return client_of(bad_command(**options), timeout, ask=ask, changed=changed)


def text_of(result: dict[str, Any]) -> str:
    """The text in the result of a tool."""
    return "".join(each["text"] for each in result["content"])


def process_of(client: Client) -> int:
    """The process id of the server."""
    return int(text_of(client.call_tool("pid", {}, read_only=True)))


def process_of_one_use(client: Client) -> int:
    """The process id of the server, which is closed then."""
    try:
        return process_of(client)
    finally:
        client.close()


def is_running(process: int) -> bool:
    """Whether there is a process, dead ones that nobody has waited for left out."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    if not Path("/proc/self/stat").exists():
        return True
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def open_files() -> int:
    """How many descriptors this process has."""
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    return len(os.listdir(folder))


def children() -> set[int]:
    """The processes that this one has started and that are not waited for yet, dead ones too; none without /proc."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(status.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(status.parent.name))
    return found


def keepers() -> list[threading.Thread]:
    """The threads of servers that run or are being ended."""
    return [thread for thread in threading.enumerate() if thread.name == "agentkit-mcp"]
