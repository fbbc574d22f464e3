"""A server of the project's own (`good_server.py`) with a plan of its tools, for tests."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentkit.mcp import MCP
from agentkit.tooling.outcome import Outcome
from agentkit.tools import Context

SERVER = Path(__file__).with_name("good_server.py")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def entry(name: str, properties: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A tool as its server describes it."""
    schema = {"type": "object", "properties": properties or {}}
    return {"name": name, "description": f"Does {name}.", "inputSchema": schema, **fields}


def text(words: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": words}]}


class Planned:
    """A server whose plan is `plan`; `change` changes it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "plan.json"
        self.log = folder / "log.jsonl"
        self.plan: dict[str, Any] = {}

    def set(self, *tools: Any, results: dict[str, Any] | None = None, **more: Any) -> None:
        self.plan = {"tools": list(tools), "results": results or {}, "log": str(self.log), **more}
        self.file.write_text(json.dumps(self.plan), "utf-8")

    def words(self, era: str = "legacy") -> list[str]:
        return [sys.executable, "-S", "-E", str(SERVER), str(self.file), era]

    def requests(self, method: str = "") -> list[dict[str, Any]]:
        """What the server was sent so far."""
        lines = self.log.read_text("utf-8").splitlines() if self.log.exists() else []
        found = [json.loads(line) for line in lines]
        return [each for each in found if not method or each.get("method") == method]

    @property
    def starts(self) -> list[int]:
        """The process ids of the server, each time it was started."""
        return [each["started"] for each in self.requests() if "started" in each]


Make = Callable[..., MCP]


def answer(tools: Any, name: str, arguments: Any = None, context: Context | None = None) -> Outcome:
    """What a model is answered to a call."""
    found = next(each for each in tools.tools() if each.name == name)
    made: Outcome = found.answer(json.dumps(arguments or {}), context or Context())
    return made


def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
