"""Real servers over HTTP: npm's everything server, and one of the Python SDK, in the versions that they speak."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentkit.mcp.channel import Message, Patience
from agentkit.mcp.client import Client
from agentkit.mcp.errors import Gone, MCPError, Slow
from agentkit.mcp.http import Http
from tests.mcp.real.programs import node, program, python_beside
from tests.support.ports import free_port
from tests.support.waiting import until

SERVER = Path(__file__).with_name("sdk_server.py")


class Older(Http):
    """A channel on which nothing newer than the handshake is known."""

    def exchange(self, message: Message, patience: Patience, headers: Mapping[str, str] | None = None) -> Message:
        if message["method"] == "server/discover":
            return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "not asked"}}
        return super().exchange(message, patience, headers)


@contextmanager
def running(*command: str, port: int, **variables: str) -> Iterator[None]:
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **variables},
        start_new_session=True,
    )
    try:
        until(lambda: is_open(port), 60)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_open(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def everything(port: int) -> Iterator[str]:
    with running(node(18), program("mcp-server-everything"), "streamableHttp", port=port, PORT=str(port)):
        yield f"http://127.0.0.1:{port}/mcp"


@contextmanager
def sdk(transport: str, port: int) -> Iterator[str]:
    with running(python_beside("mcp"), str(SERVER), transport, str(port), port=port):
        yield f"http://127.0.0.1:{port}/{'sse' if transport == 'sse' else 'mcp'}"


def client_of(url: str, kind: type[Http] = Http, **options: Any) -> Client:
    return Client(lambda heard: kind(url, heard), "real", 30, **options)


def text_of(result: Mapping[str, Any]) -> str:
    return str(result["content"][0]["text"])


@pytest.fixture
def port() -> int:
    return free_port()


def test_the_everything_server_is_used_and_found_again_after_a_restart(port: int) -> None:
    with everything(port) as url:
        client = client_of(url)
        assert client.server().version == "2025-11-25"
        assert text_of(client.call_tool("echo", {"message": "café"})) == "Echo: café"
        told: list[str] = []
        patience = Patience(2, progress=told.append)
        slow = {"duration": 4, "steps": 4}
        assert "completed" in text_of(client.call_tool("trigger-long-running-operation", slow, patience=patience))
        assert len(told) == 4
        with pytest.raises(Slow):
            client.call_tool("trigger-long-running-operation", {"duration": 20, "steps": 1}, patience=Patience(0.5))
        assert client.call_tool("echo", {"message": 3})["isError"]
        with pytest.raises(MCPError):
            client.request("no/such/method")
        assert client.request("resources/list")["resources"]
    with everything(port):
        assert text_of(client.call_tool("echo", {"message": "again"})) == "Echo: again"
        client.close()
    with pytest.raises(Gone):
        client.call_tool("echo", {"message": "nobody"})
    client.close()


@pytest.mark.parametrize(("kind", "version"), [(Http, "2026-07-28"), (Older, "2025-11-25")], ids=["new", "old"])
def test_a_server_of_the_python_sdk_is_used(port: int, kind: type[Http], version: str) -> None:
    with sdk("streamable-http", port) as url, client_of(url, kind, ask=lambda question: {"name": "Ada"}) as client:
        assert client.server().version == version
        use(client, asks=kind is Older)  # the SDK's server asks nothing in the newer version


def test_a_server_of_2024_is_used(port: int) -> None:
    with sdk("sse", port) as url, client_of(url, ask=lambda question: {"name": "Ada"}) as client:
        use(client)


def use(client: Client, asks: bool = True) -> None:
    assert text_of(client.call_tool("echo", {"message": "größer 世界"})) == "größer 世界"
    assert len(text_of(client.call_tool("echo", {"message": "x" * 500_000}))) == 500_000
    assert client.call_tool("fail", {})["isError"]
    told: list[str] = []
    counted = client.call_tool("count", {"steps": 3, "pause": 0.7}, patience=Patience(2, progress=told.append))
    assert (text_of(counted), told) == ("counted", ["step 1", "step 2", "step 3"])
    with pytest.raises(Slow):
        client.call_tool("count", {"steps": 1, "pause": 20}, patience=Patience(0.5))
    if asks:
        assert text_of(client.call_tool("hello", {})) == "Hello Ada"
