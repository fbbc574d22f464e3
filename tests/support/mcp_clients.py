"""Clients of an MCP server that send and read raw JSON-RPC."""

import contextlib
import http.client
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds after which a test has failed."""

VERSION = "2026-07-28"
META = {"io.modelcontextprotocol/protocolVersion": VERSION, "io.modelcontextprotocol/clientCapabilities": {}}


def request(method: str, params: dict[str, Any] | None = None, number: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, **({} if params is None else {"params": params})}


def call_of(name: str, number: Any = 1, /, **arguments: Any) -> dict[str, Any]:
    return request("tools/call", {"name": name, "arguments": arguments}, number)


def stateless(message: dict[str, Any], **capabilities: Any) -> dict[str, Any]:
    """A request of 2026-07-28."""
    meta = {**META, "io.modelcontextprotocol/clientCapabilities": capabilities}
    params = message.get("params", {})
    return {**message, "params": {**params, "_meta": {**meta, **params.get("_meta", {})}}}


def initialize(version: str = "2025-11-25") -> dict[str, Any]:
    client = {"name": "test", "version": "1"}
    return request("initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": client}, 0)


def text_of(message: Any) -> str:
    """The text of the result of a call."""
    return str(message["result"]["content"][0]["text"])


class Lines:
    """A client over two streams: a message a line."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self.source, self.sink = source, sink
        self.garbage: list[bytes] = []
        self.others: list[Any] = []
        self._arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self) -> None:
        """Wait until the server has closed its stream."""
        self._reader.join(PATIENCE)

    def _read(self) -> None:
        for line in self.source:
            try:
                self._arrived.put(json.loads(line))
            except ValueError:
                self.garbage.append(line)
        self._arrived.put(None)

    def send(self, *messages: Any) -> None:
        for message in messages:
            self.sink.write(message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n")
        self.sink.flush()

    def receive(self) -> Any:
        """The next message; None at the end."""
        return self._arrived.get(timeout=PATIENCE)

    def ask(self, message: Any) -> Any:
        """Send a request and return its answer; what comes before it is kept in `others`."""
        self.send(message)
        while (answer := self.receive()) is not None and answer.get("id") != message["id"]:
            self.others.append(answer)
        return answer


@contextlib.contextmanager
def started(arguments: Sequence[str], **options: Any) -> Iterator[tuple[Lines, subprocess.Popen[bytes]]]:
    """A client of a server that is started with these arguments of Python. options: of Popen."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tools")]),
        **options.pop("env", {}),
    }
    streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, *arguments], env=environment, **{**streams, **options})
    assert process.stdin is not None
    assert process.stdout is not None
    client = Lines(process.stdout, process.stdin)
    try:
        yield client, process
    finally:
        process.kill()
        process.wait()
        client.wait()
        for each in (process.stdin, process.stdout, process.stderr):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.close()


@dataclass
class Answer:
    """What an HTTP request was answered with. messages: those of the body."""

    status: int
    headers: dict[str, str]
    messages: list[Any]
    body: bytes

    @property
    def message(self) -> Any:
        return self.messages[-1]


HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


def headers_of(message: dict[str, Any]) -> dict[str, str]:
    """The headers that belong to a request of 2026-07-28."""
    name = message.get("params", {}).get("name")
    named = {} if name is None else {"Mcp-Name": name}
    return {"MCP-Protocol-Version": VERSION, "Mcp-Method": message["method"], **named}


def post(
    address: tuple[str, int], message: Any, headers: Mapping[str, str | None] | None = None, path: str = "/mcp"
) -> Answer:
    """POST a message (bytes are sent as they are). headers: others than usual; None leaves one out."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    sent = {name: value for name, value in {**HEADERS, **(headers or {})}.items() if value is not None}
    return asked("POST", address, body, sent, path)


def asked(
    method: str, address: tuple[str, int], body: bytes = b"", headers: dict[str, str] | None = None, path: str = "/mcp"
) -> Answer:
    """Send an HTTP request."""
    connection = http.client.HTTPConnection(*address, timeout=PATIENCE)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    found = {name.lower(): value for name, value in response.getheaders()}
    if found.get("content-type") == "text/event-stream":
        texts = [line.removeprefix(b"data: ") for line in content.splitlines() if line.startswith(b"data: ")]
        messages = [json.loads(each) for each in texts]
    else:
        messages = [json.loads(content)] if content else []
    return Answer(response.status, found, messages, content)
