"""A loopback HTTP server that records each request exactly as it arrives, and answers as it is told.

with serve_api() as api:
    openapi(spec, base_url=api.url)
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.support.model_server import QuietServer, running


@dataclass(frozen=True)
class Received:
    """A request. target: the path and the query as they are on the wire. headers: their names in lower case, their
    values as UTF-8."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The query, decoded."""
        return parse_qsl(self.query, keep_blank_values=True, strict_parsing=bool(self.query))

    @property
    def segments(self) -> list[str]:
        """The steps of the path, decoded."""
        return [unquote(each, errors="strict") for each in self.path.split("/")[1:]]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """A response. body: sent with its length; None hangs until the server ends. endless: it is repeated for ever, in
    chunks. cut: the connection ends before the body does. drop: it ends before the response. closing: the body has
    neither a length nor chunks, and does not end."""

    status: int = 200
    body: bytes | None = b"{}"
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    endless: bool = False
    cut: bool = False
    drop: bool = False
    closing: bool = False


class ApiServer:
    """The running server. answers: from a request to its response. left: set when a client went away during one."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: Callable[[Received], Reply] = lambda received: Reply()
        self.has_request = threading.Event()
        self.left = threading.Event()
        self.ended = threading.Event()
        self.http = QuietServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    @property
    def last(self) -> Received:
        return self.received[-1]

    def always(self, reply: Reply) -> None:
        """Answer each request with this."""
        self.answers = lambda received: reply


@contextmanager
def serve_api() -> Iterator[ApiServer]:
    server = ApiServer()
    with running(server.http):
        try:
            yield server
        finally:
            server.ended.set()


def _handler(server: ApiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            words = self.raw_requestline.decode("latin-1").split(" ")
            headers = {name.lower(): value.encode("latin-1").decode() for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            received = Received(words[0], words[1], headers, body)
            server.received.append(received)
            server.has_request.set()
            reply = server.answers(received)
            if reply.drop:
                self.close_connection = True
                return
            try:
                self.answer(reply)
            except OSError:
                server.left.set()
                self.close_connection = True

        def answer(self, reply: Reply) -> None:
            if reply.body is None:
                self.hang()
                return
            self.send_response_only(reply.status)
            for name, value in ({"content-type": reply.content_type} | dict(reply.headers)).items():
                self.send_header(name, value)
            if reply.closing:
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(reply.body)
                self.hang()
                return
            if reply.endless:
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                while not server.ended.is_set():
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(reply.body), reply.body))
                return
            self.send_header("content-length", str(len(reply.body) + (10 if reply.cut else 0)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)
            self.close_connection = reply.cut

        def hang(self) -> None:
            """Until the client goes away."""
            self.connection.settimeout(0.05)
            while not server.ended.is_set():
                try:
                    gone = not self.connection.recv(1)
                except TimeoutError:
                    continue
                except OSError:
                    gone = True
                if gone:
                    server.left.set()
                    break
            self.close_connection = True

        def log_message(self, *args: object) -> None:
            """Do not log."""

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self.handle_any
            raise AttributeError(name)

    return Handler
