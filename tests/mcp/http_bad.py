"""An MCP server over HTTP that fails on demand, written on sockets: the argument `fault` of a call names the fault.

with HttpBad() as server:
    Http(server.url, ...)      # a call with {"fault": "half of the body", "streamed": True} fails in that way
"""

import contextlib
import functools
import gzip
import json
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

VERSION = "2025-11-25"
MODERN = "2026-07-28"
BIG = 20_000_000
SESSION = "session-1"


@dataclass
class Request:
    """A request as it came in. headers: their names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def message(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.body) if self.body.startswith(b"{") else {}
        return loaded

    @property
    def arguments(self) -> dict[str, Any]:
        found: dict[str, Any] = self.message.get("params", {}).get("arguments") or {}
        return found


@dataclass
class Exchange:
    """A request and the connection on which it is answered. streamed: whether by an event stream. closing: whether the
    body of the response has neither a length nor chunks, and ends with the connection."""

    server: "HttpBad"
    connection: socket.socket
    request: Request
    streamed: bool
    is_kept: bool = True
    closing: bool = False

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def hang(self) -> None:
        """Keep the connection open until the server ends, or the client closes it."""
        self.is_kept = False
        while not self.server.is_over.wait(0.05):
            with contextlib.suppress(BlockingIOError, TimeoutError):
                if self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"":
                    return

    def trickle(self, data: bytes) -> None:
        for position in range(len(data)):
            if self.server.is_over.wait(0.05):
                return
            self.send(data[position : position + 1])
        self.hang()

    def text(self, text: str = "here") -> bytes:
        """The answer as JSON."""
        return self.result({"content": [{"type": "text", "text": text}]})

    def result(self, result: Any, **fields: Any) -> bytes:
        return json.dumps({"jsonrpc": "2.0", "id": self.request.message.get("id"), "result": result} | fields).encode()

    def error(self, code: int, message: str) -> bytes:
        body = {"jsonrpc": "2.0", "id": self.request.message.get("id"), "error": {"code": code, "message": message}}
        return json.dumps(body).encode()

    def head(self, status: int = 200, kind: str | None = None, length: int | None = None, **headers: str) -> bytes:
        """The head of a response, chunked where it has no length."""
        kind = kind if kind is not None else "text/event-stream" if self.streamed else "application/json"
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {kind}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if self.closing:
            self.is_kept = False
            lines.append("Connection: close")
        else:
            lines.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
        return "\r\n".join([*lines, "", ""]).encode()

    def answer(self, body: bytes, status: int = 200, **options: Any) -> None:
        """A whole response, with the body as one event where it is streamed."""
        if self.streamed and status < 300 and "kind" not in options:
            body = event(body)
        self.send(self.head(status, length=len(body), **options) + body)

    def begin(self, **options: Any) -> None:
        self.send(self.head(**options))

    def chunk(self, data: bytes) -> None:
        self.send(data if self.closing else f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def end(self) -> None:
        if not self.closing:
            self.send(b"0\r\n\r\n")

    def prime(self, rest: bytes) -> None:
        """Give the stream an id; what follows comes with a GET for that id."""
        last_id = f"event-{self.request.message['id']}"
        self.server.unsent[last_id] = rest
        self.chunk(f"id: {last_id}\nretry: 20\ndata: \n\n".encode())

    def progress(self, token: Any, number: int) -> bytes:
        params = {"progressToken": token, "progress": number, "total": 10, "message": f"step {number}"}
        return event(json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}).encode())


def event(data: bytes, **fields: str) -> bytes:
    """A message as an event."""
    lines = [f"{name}: {value}".encode() for name, value in fields.items()]
    return b"\n".join([*lines, b"data: " + data, b"", b""])


Fault = Callable[[Exchange], None]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    def register(function: Fault) -> Fault:
        FAULTS[name] = function
        return function

    return register


FAULTS["none"] = lambda it: it.answer(it.text())
FAULTS["hangs before the headers"] = Exchange.hang
FAULTS["trickled headers"] = lambda it: it.trickle(it.head(length=5))
FAULTS["big"] = lambda it: it.answer(it.text("x" * BIG))
FAULTS["empty"] = lambda it: it.answer(b"", kind="application/json")
FAULTS["accepted"] = lambda it: it.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
FAULTS["page"] = lambda it: it.answer(b"<html><h1>Welcome</h1></html>", kind="text/html; charset=utf-8")
FAULTS["id as a text"] = lambda it: it.answer(it.result({"content": []}, id=str(it.request.message["id"])))
FAULTS["charset"] = lambda it: it.answer(it.text("é"), kind="Application/JSON; Charset=UTF-8")
FAULTS["byte order mark"] = lambda it: it.answer(b"\xef\xbb\xbf" + it.text(), kind="application/json")
FAULTS["batch"] = lambda it: it.answer(b'[{"jsonrpc":"2.0","method":"notifications/x"},' + it.text() + b"]")
FAULTS["no UTF-8"] = lambda it: it.answer(it.text("?").replace(b"?", b"\xff\xfe"))
for _name, _body in {
    "number": b"42",
    "text": b'"here"',
    "list": b"[1, 2]",
    "null": b"null",
    "half of an object": b'{"jsonrpc": "2.0", "id"',
    "deep": b"[" * 100_000,
    "not a number": b'{"jsonrpc": "2.0", "id": NaN, "result": {}}',
    "nothing in it": b"{}",
}.items():
    FAULTS[f"body is {_name}"] = lambda it, body=_body: it.answer(body)  # type: ignore[misc]
for _status in (400, 401, 402, 403, 404, 405, 406, 410, 413, 415, 418, 429, 500, 501, 502, 503, 504, 599):
    FAULTS[f"status {_status}"] = lambda it, status=_status: it.answer(  # type: ignore[misc]
        b"because", status, kind="text/plain"
    )
for _status in (301, 302, 303, 307, 308):
    FAULTS[f"redirect {_status} elsewhere"] = lambda it, status=_status: it.answer(  # type: ignore[misc]
        b"", status, Location=it.server.elsewhere
    )
    FAULTS[f"redirect {_status} within"] = lambda it, status=_status: it.answer(  # type: ignore[misc]
        b"", status, Location="/moved"
    )


@fault("redirects for ever")
def _redirects(it: Exchange) -> None:
    it.answer(b"", 307, Location="/loop?" + "x" * random.randint(1, 9))


@fault("half of the headers")
def _half_headers(it: Exchange) -> None:
    it.send(it.head(length=5)[:30])
    it.hang()


@fault("half of the headers, then closed")
def _half_headers_closed(it: Exchange) -> None:
    it.send(it.head(length=5)[:30])
    it.is_kept = False


@fault("half of the body")
def _half_body(it: Exchange) -> None:
    body = event(it.text()) if it.streamed else it.text()
    it.send(it.head(length=len(body)) + body[: len(body) // 2])
    it.hang()


@fault("half of the body, then closed")
def _half_body_closed(it: Exchange) -> None:
    body = event(it.text()) if it.streamed else it.text()
    it.send(it.head(length=len(body)) + body[: len(body) // 2])
    it.is_kept = False


@fault("half of a chunk, then closed")
def _half_chunk(it: Exchange) -> None:
    it.begin()
    it.send(b"ff\r\n" + it.text()[:20])
    it.is_kept = False


@fault("trickled body")
def _trickled(it: Exchange) -> None:
    body = event(it.text()) if it.streamed else it.text()
    it.send(it.head(length=len(body)))
    it.trickle(body)


@fault("keep-alives only")
def _keep_alives(it: Exchange) -> None:
    it.begin()
    it.is_kept = False
    while not it.server.is_over.wait(0.05):
        it.chunk(b": ping\n\n" if it.streamed else b" ")


@fault("notifications only")
def _notifications(it: Exchange) -> None:
    it.begin(kind="text/event-stream")
    it.is_kept = False
    while not it.server.is_over.wait(0.05):
        it.chunk(event(b'{"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "log"}}'))


@fault("progress for ever")
def _progress_for_ever(it: Exchange) -> None:
    it.begin(kind="text/event-stream")
    it.is_kept = False
    number, token = 0, it.request.message["params"].get("_meta", {}).get("progressToken")
    while not it.server.is_over.wait(0.05):
        number += 1
        it.chunk(it.progress(token, number))


@fault("progress, then the answer")
def _progress(it: Exchange) -> None:
    it.begin(kind="text/event-stream")
    token = it.request.message["params"].get("_meta", {}).get("progressToken")
    for number in range(1, 5):
        it.server.is_over.wait(it.request.arguments.get("pause", 0.3))
        it.chunk(it.progress(token, number))
    it.chunk(event(it.text()))
    it.end()


@fault("garbage")
def _garbage(it: Exchange) -> None:
    it.send(bytes(range(256)) * 10)
    it.is_kept = False


@fault("garbage in the body")
def _garbage_body(it: Exchange) -> None:
    body = bytes(range(256)) * 400
    it.send(it.head(length=len(body)) + body)


@fault("garbage before the answer")
def _garbage_before(it: Exchange) -> None:
    it.answer(b"oh\n\x00\xff" + it.text(), kind="application/json")


@fault("wrong id")
def _wrong_id(it: Exchange) -> None:
    it.answer(it.result({"content": []}, id=987_654))


@fault("wrong id, and open")
def _wrong_id_open(it: Exchange) -> None:
    it.begin(kind="text/event-stream")
    it.chunk(event(it.result({"content": []}, id=987_654)))
    it.hang()


@fault("ends without the answer")
def _no_answer(it: Exchange) -> None:
    it.begin(kind="text/event-stream")
    it.chunk(b": hello\n\ndata:\n\n")
    it.end()


@fault("open after the answer")
def _open(it: Exchange) -> None:
    it.begin(kind="text/event-stream")
    it.chunk(event(it.text()))
    it.hang()


@fault("error without an id")
def _error_without_id(it: Exchange) -> None:
    it.answer(json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -32602, "message": "no"}}).encode())


@fault("error with 400")
def _error_400(it: Exchange) -> None:
    it.answer(it.error(-32602, "no such argument"), 400, kind="application/json")


@fault("odd error")
def _odd_error(it: Exchange) -> None:
    body = {"jsonrpc": "2.0", "id": it.request.message["id"], "error": "it broke"}
    it.answer(json.dumps(body).encode())


@fault("dropped")
def _dropped(it: Exchange) -> None:
    it.is_kept = False


@fault("reset")
def _reset(it: Exchange) -> None:
    it.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    it.is_kept = False


@fault("endless headers")
def _endless_headers(it: Exchange) -> None:
    it.send(b"HTTP/1.1 200 OK\r\n")
    it.is_kept = False
    it.connection.settimeout(1)
    while not it.server.is_over.is_set():
        it.send(b"X-More: and more\r\n" * 10)


@fault("endless 100 Continue")
def _endless_continue(it: Exchange) -> None:
    it.is_kept = False
    while not it.server.is_over.wait(0.01):
        it.send(b"HTTP/1.1 100 Continue\r\n\r\n")


@fault("endless body")
def _endless_body(it: Exchange) -> None:
    it.begin()
    it.is_kept = False
    it.connection.settimeout(1)  # some kernels don't wake a sender whose peer has closed the connection
    while not it.server.is_over.is_set():
        it.chunk(b"x" * 60_000)


@fault("bad chunks")
def _bad_chunks(it: Exchange) -> None:
    it.begin()
    it.send(b"not a number\r\n" + it.text())
    it.is_kept = False


@fault("gzip bomb")
def _bomb(it: Exchange) -> None:
    it.send(it.head(length=len(_packed()), Content_Encoding="gzip") + _packed())


@fault("damaged gzip")
def _damaged(it: Exchange) -> None:
    body = b"\x1f\x8b\x08nonsense"
    it.send(it.head(length=len(body), Content_Encoding="gzip") + body)


@fault("gzip")
def _gzip(it: Exchange) -> None:
    body = gzip.compress(event(it.text()) if it.streamed else it.text())
    it.send(it.head(length=len(body), Content_Encoding="gzip") + body)


@fault("429 at first")
def _busy_once(it: Exchange) -> None:
    if it.server.count("429 at first") % 2:
        it.answer(b"slow down", 429, kind="text/plain", Retry_After="0")
    else:
        it.answer(it.text())


@fault("429 for an hour")
def _busy(it: Exchange) -> None:
    it.answer(b"slow down", 429, kind="text/plain", Retry_After="3600")


@fault("repeats the token")
def _repeats(it: Exchange) -> None:
    told = f"bad token {it.request.headers.get('authorization')} / {it.request.headers.get('x-secret')}"
    it.answer(it.error(-32000, told), 400, kind="application/json")


@fault("closed, to be resumed")
def _resumed(it: Exchange) -> None:
    it.begin(kind="text/event-stream")
    it.prime(it.text())
    it.end()


@fault("broken off, to be resumed")
def _resumed_after_cut(it: Exchange) -> None:
    it.begin(kind="text/event-stream")
    it.prime(it.text())
    it.is_kept = False


@fault("closed, can't be resumed")
def _not_resumed(it: Exchange) -> None:
    it.begin(kind="text/event-stream")
    it.prime(b"")
    it.end()


@fault("asks, then answers")
def _asks(it: Exchange) -> None:
    it.server.got_response.clear()
    it.begin(kind="text/event-stream")
    it.chunk(event(b'{"jsonrpc": "2.0", "id": "q1", "method": "elicitation/create", "params": {"message": "Sure?"}}'))
    if it.server.got_response.wait(10) and it.server.responses:
        it.chunk(event(it.text(json.dumps(it.server.responses[-1].get("result")))))
        it.end()


@functools.cache
def _packed() -> bytes:
    return gzip.compress(b"x" * 100_000_000, 1)


@dataclass
class HttpBad:
    """The server.

    elsewhere: where it redirects to. with_session: whether it is an old server with sessions, or a new one without.
    capabilities: what it declares. lose_session: answers requests with a session id. get: answers a GET. post: answers
    a POST, and returns whether it has. delete: answers a DELETE. requests: all that came in. responses: what the client
    has answered. accepted: the number of connections. unsent: what a GET with a Last-Event-ID brings.
    """

    elsewhere: str = "http://localhost:9/"
    with_session: bool = True
    capabilities: dict[str, Any] = field(default_factory=lambda: {"tools": {}})
    lose_session: Callable[[Exchange], None] | None = None
    get: Callable[[Exchange], None] | None = None
    post: Callable[[Exchange], bool] | None = None
    delete: Callable[[Exchange], None] | None = None
    requests: list[Request] = field(default_factory=list)
    responses: list[dict[str, Any]] = field(default_factory=list)
    accepted: int = 0
    unsent: dict[str, bytes] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.is_over = threading.Event()
        self.got_response = threading.Event()
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.got_response.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()

    def drop_connections(self) -> None:
        """Close all connections, as a server does that is started again."""
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def open_connections(self) -> int:
        with self._lock:
            return len(self._connections)

    def count(self, name: str) -> int:
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + 1
            return self._counts[name]

    def methods(self) -> list[str]:
        """The JSON-RPC methods of the requests so far, those of HTTP for what has none."""
        return [each.message.get("method", each.method) for each in self.requests]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.accepted += 1
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for request in _requests(connection):
                self.requests.append(request)
                if not self._answer(connection, request):
                    return
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        streamed, closing = bool(request.arguments.get("streamed")), bool(request.arguments.get("closing"))
        it = Exchange(self, connection, request, streamed, closing=closing)
        if request.method != "POST":
            self._other(it)
        elif self.post is not None and self.post(it):
            pass
        elif self.lose_session is not None and request.headers.get("mcp-session-id"):
            self.lose_session(it)
        elif request.path == "/moved":
            it.answer(it.text("moved"))
        else:
            self._respond(it)
        return it.is_kept and request.headers.get("connection", "").lower() != "close"

    def _respond(self, it: Exchange) -> None:
        message = it.request.message
        method, capabilities = message.get("method"), self.capabilities
        if method == "initialize":
            session: dict[str, Any] = {"Mcp_Session_Id": SESSION} if self.with_session else {}
            info = {"name": "bad", "version": "1"}
            it.answer(
                it.result({"protocolVersion": VERSION, "capabilities": capabilities, "serverInfo": info}), **session
            )
        elif method == "server/discover" and self.with_session:
            it.answer(it.error(-32601, "Method not found"), kind="application/json")
        elif method == "server/discover":
            found = {"supportedVersions": [MODERN], "capabilities": capabilities, "serverInfo": {"name": "bad"}}
            it.answer(it.result({"resultType": "complete", "ttlMs": 0, **found}))
        elif method is None:
            self.responses.append(message)
            self.got_response.set()
            it.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        elif "id" not in message:
            it.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        elif method == "tools/call":
            FAULTS[it.request.arguments.get("fault", "none")](it)
        else:
            tool = {"name": "fault", "inputSchema": {"type": "object"}}
            it.answer(it.result({"tools": [tool], "resultType": "complete"}))

    def _other(self, it: Exchange) -> None:
        if it.request.method == "DELETE":
            (self.delete or (lambda it: it.answer(b"", 200)))(it)
        elif rest := self.unsent.get(it.request.headers.get("last-event-id", "")):
            it.begin(kind="text/event-stream")
            it.chunk(event(rest, id="last"))
            it.end()
        elif self.get is not None:
            self.get(it)
        else:
            it.answer(b"", 405, kind="text/plain")


def _requests(connection: socket.socket) -> Iterator[Request]:
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            more = connection.recv(65_536)
            if not more:
                return
            data += more
        head, _, data = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        method, path, _ = first.split(" ", 2)
        if path == "/deaf":  # never reads the body
            threading.Event().wait(30)
        body, length = bytearray(data), int(headers.get("content-length", 0))
        while len(body) < length:
            more = connection.recv(1 << 20)
            if not more:
                return
            body += more
        data = bytes(body[length:])
        yield Request(method, path, headers, bytes(body[:length]))
