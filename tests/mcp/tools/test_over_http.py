"""The tools of a server over HTTP: whose hints are believed, and headers that repeat arguments."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agentkit import Agent
from agentkit.mcp import MCP, Gone, MCPError
from agentkit.testing import ScriptedBackend
from tests.mcp.tools.planned import answer, entry, text

READS = {"annotations": {"readOnlyHint": True}}
TOOLS = [
    entry("read", {"region": {"type": "string", "x-mcp-header": "Region"}}, **READS),
    entry("bad", {"region": {"type": "object", "x-mcp-header": "Region"}}),
]


class Handler(BaseHTTPRequestHandler):
    """A server of 2026-07-28: each request is a POST."""

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        seen: list[Any] = self.server.seen  # type: ignore[attr-defined]
        seen.append((message["method"], {name.lower(): value for name, value in self.headers.items()}))
        results: dict[str, Any] = {
            "server/discover": {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}},
            "tools/list": {"tools": TOOLS, "ttlMs": 600_000},
            "tools/call": text("Hello"),
        }
        is_allowed = self.headers.get("Authorization") != "Bearer wrong"
        result = {"result": {"resultType": "complete", **results[message["method"]]}} if is_allowed else {"error": {}}
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], **result}).encode()
        self.send_response(200 if is_allowed else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Do not log."""


@pytest.fixture
def served() -> Iterator[tuple[str, list[Any]]]:
    """The address of a server, and the requests that it gets."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.seen = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/mcp?key=sesame", server.seen  # type: ignore[attr-defined]
        server.shutdown()


def test_tools_of_an_address_have_effects_unless_it_is_trusted(served: tuple[str, list[Any]]) -> None:
    with MCP(served[0]) as tools, MCP(served[0], trust_hints=True) as trusted:
        assert [each.options.read_only for each in tools] == [False]
        assert [each.options.read_only for each in trusted] == [True]


def test_an_argument_is_repeated_in_a_header(served: tuple[str, list[Any]]) -> None:
    with MCP(served[0], headers={"X-Own": "own"}) as tools:
        backend = ScriptedBackend(("read", {"region": "Østfold"}), "ok")
        assert Agent(backend, tools=[tools]).run("Go on.").tool_calls[0].response == "Hello"
    (headers,) = [headers for method, headers in served[1] if method == "tools/call"]
    assert headers["mcp-param-region"] == "=?base64?w5hzdGZvbGQ=?="
    assert (headers["mcp-name"], headers["mcp-method"], headers["x-own"]) == ("read", "tools/call", "own")


def test_a_tool_whose_headers_break_the_rules_is_left_out(
    served: tuple[str, list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    with MCP(served[0], name="web") as tools:
        assert [each.name for each in tools.tools()] == ["read"]
    assert "MCP server web: tool 'bad' is left out: x-mcp-header of 'region'" in caplog.text


def test_a_refused_key_leaves_the_run_without_the_tools(
    served: tuple[str, list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    with MCP(served[0], headers={"Authorization": "Bearer wrong"}, name="web") as tools:
        assert Agent(ScriptedBackend("ok"), tools=[tools]).run("Go on.").output == "ok"
        with pytest.raises(MCPError) as caught:
            list(tools)
    assert caught.value.code == 401
    assert "MCP server web: it can't be used, and its tools are missing: " in caplog.text
    assert "sesame" not in caplog.text


def test_an_address_that_nothing_answers_is_gone(served: tuple[str, list[Any]]) -> None:
    with MCP("http://127.0.0.1:1/mcp") as tools, pytest.raises(Gone):
        list(tools)


def test_calls_of_a_model_share_what_was_read_once(served: tuple[str, list[Any]]) -> None:
    with MCP(served[0]) as tools:
        assert [answer(tools, "read").text for _ in range(3)] == ["Hello"] * 3
    assert [method for method, _ in served[1]].count("tools/list") == 1
