"""Random faults of MCP servers, from many threads at once: no call is late, and nothing is left of any server."""

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agentkit.errors import ToolError
from agentkit.mcp.channel import Patience
from agentkit.mcp.client import Client
from agentkit.mcp.errors import Gone, MCPError, Slow
from tests.mcp.servers import bad, children, keepers, open_files
from tests.support.waiting import until

FAULTS: dict[str, dict[str, Any]] = {
    "echo": {"text": "x" * 200_000},
    "slow": {"seconds": 0.02},
    "big": {"size": 500_000},
    "hang": {},
    "only_wrong_id": {},
    "garbage": {},
    "log_lines": {},
    "not_utf8": {},
    "wrong_id": {},
    "twice": {},
    "batch": {},
    "error": {},
    "no_result": {},
    "fails": {},
    "pings": {},
    "progress": {"times": 5, "seconds": 0.01},
    "half_line_and_silence": {"seconds": 0.2},
    "closes_input": {},
    "closes_output": {},
    "half_line": {},
    "killed": {},
    "die": {},
}
ENDING = ["closes_input", "closes_output", "half_line", "killed", "die"]
CALLS, THREADS, TIMEOUT = 200, 16, 0.5


def test_random_faults_from_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.mcp.client.STARTS_WITHIN", 0.0)
    until(lambda: not keepers())
    files, processes = open_files(), children()
    counts, late = random_calls(CALLS)
    assert late == []
    assert counts["other"] == 0
    assert min(counts["answered"], counts["Gone"], counts["Slow"], counts["MCPError"]) > 0
    until(lambda: not keepers())
    assert open_files() <= files
    assert children() <= processes


def random_calls(count: int, seed: int = 5) -> tuple["Counter[str]", list[float]]:
    """Make that many calls; how they ended, and the seconds of those that took more than a second longer than they
    may."""
    chance = random.Random(seed)
    names = [name for name in FAULTS if name not in ENDING]
    chosen = [chance.choice(ENDING) if chance.random() < 0.1 else chance.choice(names) for _ in range(count)]
    clients = [bad(era="modern"), bad(era="2025-11-25")]
    for client in clients:
        client.server()

    def call(number: int, name: str) -> tuple[str, float]:
        begun = time.monotonic()
        how = outcome(clients[number % 2], name, number % 3 == 0)
        return how, time.monotonic() - begun

    with ThreadPoolExecutor(THREADS) as pool:
        ended = list(pool.map(call, range(count), chosen))
    for client in clients:
        client.close()
    return Counter(how for how, _ in ended), [seconds for _, seconds in ended if seconds > TIMEOUT + 1]


def outcome(client: Client, name: str, read_only: bool) -> str:
    patience = Patience(TIMEOUT, time.monotonic() + TIMEOUT)
    try:
        client.call_tool(name, FAULTS[name], read_only=read_only, patience=patience)
    except (Gone, Slow, MCPError) as error:
        return type(error).__name__
    except ToolError:
        return "other"
    return "answered"
