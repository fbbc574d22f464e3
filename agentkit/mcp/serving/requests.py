"""The HTTP requests of one connection."""

import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from queue import Empty, SimpleQueue
from typing import Any

from agentkit._lazy.logs import logger_of
from agentkit._threads import POLL_INTERVAL, WORKERS
from agentkit.mcp.serving.answering import Server, is_stateless
from agentkit.mcp.serving.body import TimedReader, read_body
from agentkit.mcp.serving.envelope import VERSION_HEADER, Headers
from agentkit.mcp.serving.gate import Denied, Gate
from agentkit.mcp.serving.link import Link, Session
from agentkit.mcp.serving.protocol import (
    HANDSHAKE,
    HEADER_MISMATCH,
    SESSION_NOT_FOUND,
    Message,
    Refusal,
    Reply,
    encoded,
    id_of,
    is_request,
    parsed,
)
from agentkit.mcp.serving.sessions import Sessions

logger = logger_of("agentkit.mcp")

IDLE_SECONDS = 75.0
"""For how long a request, with its headers, is waited for."""
BODY_SECONDS = 60.0
SEND_SECONDS = 120.0
"""For how long a client may take to read a part of a response."""
PING_SECONDS = 15.0
"""After which time without a message a proxy is shown that the connection is in use."""

_JSON, _EVENTS = "application/json", "text/event-stream"
_SINGLE = frozenset({"host", "content-length", "transfer-encoding", "authorization", "origin", "mcp-session-id"})


@dataclass(frozen=True)
class Site:
    """What the connections share."""

    server: Server
    gate: Gate
    sessions: Sessions


class Requests(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server: Any
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "agentkit", ""
    disable_nagle_algorithm = True
    timeout = SEND_SECONDS

    def setup(self) -> None:
        """The connection begins."""
        super().setup()
        self._site: Site = self.server.site
        self._shown: Mapping[str, str] = {}
        self._timed = TimedReader(self.connection, SEND_SECONDS)
        self.rfile = io.BufferedReader(self._timed, 1 << 16)

    def handle_one_request(self) -> None:
        """Answer the next request."""
        self._shown = {}
        self._timed.within(IDLE_SECONDS)
        super().handle_one_request()

    def log_message(self, format: str, *args: Any) -> None:
        """Log a request."""
        logger.debug("HTTP %s", format % args)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what the base class can't read."""
        self.request_version = self.protocol_version  # else there is no status line
        self._refuse(Denied(code, message or "this is no HTTP request that the server knows"))

    def do_POST(self) -> None:
        """A message, or a list of them."""
        if not self._is_let_in():
            return
        try:
            self._check_forms()
            self._timed.within(BODY_SECONDS)
            message = parsed(read_body(self.rfile, self._headers))
        except Denied as denied:
            self._refuse(denied)
            return
        except Refusal as refusal:
            self._send_json(encoded(refusal.answer()), refusal.status)
            return
        session = self._session_of(message)
        if session is None:
            ended = Refusal(SESSION_NOT_FOUND, "there is no such session any more: begin a new one with initialize")
            self._send_json(encoded(ended.answer(id_of(message))), 404)
            return
        self._answer(message, session)

    def do_DELETE(self) -> None:
        """The end of a session."""
        if self._is_let_in():
            was_open = self._site.sessions.close(self._headers.get("mcp-session-id", ""))
            self._send(204 if was_open else 404)

    def do_GET(self) -> None:
        """There is no stream of its own: the server sends nothing but answers."""
        if self._is_let_in():
            self._refuse(Denied(405, "this is an MCP server: its clients POST their messages to /mcp"))

    do_PUT = do_PATCH = do_HEAD = do_GET

    def do_OPTIONS(self) -> None:
        """A browser asks whether a web page may send its request; it brings no token."""
        if self._is_let_in(self._site.gate.check_page):
            if self._shown and "access-control-request-method" in self._headers:
                self._send(204, headers=dict(self._site.gate.allowed_to(self._headers)))
            else:
                self._refuse(Denied(405, "this is an MCP server: its clients POST their messages to /mcp"))

    def end_headers(self) -> None:
        """The headers of a response end."""
        for name, value in self._shown.items():
            self.send_header(name, value)
        super().end_headers()

    def _is_let_in(self, check: Callable[[Headers], None] | None = None) -> bool:
        """Read the headers; a request that is not let in is refused. check: raises Denied; None: that of the gate."""
        self._headers: dict[str, str] = {}
        doubled = ""
        for name, value in self.headers.items():
            key = name.lower()
            if key in self._headers and (key in _SINGLE or key.startswith("mcp-")):
                doubled = key
            self._headers[key] = value.strip(" \t")
        self._shown = self._site.gate.shown_to(self._headers)
        try:
            (check or self._site.gate.check)(self._headers)
            if doubled.startswith("mcp-"):
                self.close_connection = True
                twice = Refusal(HEADER_MISMATCH, f"the header {doubled} is there twice")
                self._send_json(encoded(twice.answer()), twice.status)
                return False
            if doubled:
                raise Denied(400, f"the header {doubled} is there twice")
            if self.path.partition("?")[0].rstrip("/") not in ("/mcp", ""):
                raise Denied(404, "this MCP server is under /mcp")
        except Denied as denied:
            self._refuse(denied)
            return False
        return True

    def _check_forms(self) -> None:
        """Raise Denied when the body is no JSON, or the client takes nothing that there is."""
        kind = self._headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != _JSON:  # a form of a web page has another type
            raise Denied(415, f"a message has the Content-Type {_JSON}")
        accepted = self._headers.get("accept", "*/*").lower()
        self._takes_json = any(each in accepted for each in (_JSON, "application/*", "*/*"))
        self._takes_events = any(each in accepted for each in (_EVENTS, "text/*"))
        if not self._takes_json and not self._takes_events:
            raise Denied(406, f"this server answers with {_JSON} and {_EVENTS} (the header Accept)")

    def _session_of(self, message: Any) -> Session | None:
        """The session of a message, a new one where it has none; None when it has ended."""
        number = self._headers.get("mcp-session-id")
        begins = isinstance(message, dict) and message.get("method") == "initialize"
        if number is not None and not begins and not is_stateless(message, self._headers):
            return self._site.sessions.find(number)
        session = Session()
        given = self._headers.get(VERSION_HEADER)
        session.version = given if given in HANDSHAKE else ""
        return session

    def _answer(self, message: Any, session: Session) -> None:
        waiting: SimpleQueue[Reply | bytes] = SimpleQueue()

        def notify(note: Message) -> None:
            if self._takes_events:
                waiting.put(encoded(note))

        link = Link(session, notify, self._headers, self._site.sessions.open)
        answer = self._site.server.begin(message, link)
        takes_time = isinstance(message, list) or (is_request(message) and message["method"] == "tools/call")
        if not takes_time:
            self._finish(answer())
            return
        WORKERS.submit(lambda: waiting.put(answer()))
        try:
            self._follow(waiting)
        finally:
            link.close()  # of a call that has ended, nothing is left to cancel

    def _follow(self, waiting: "SimpleQueue[Reply | bytes]") -> None:
        """Send what a call reports, and its answer, while the client is there. Raises OSError when it is gone."""
        is_streaming, now = False, time.monotonic()
        look_at, ping_at = now + POLL_INTERVAL, now + PING_SECONDS
        while True:
            item = _next(waiting)
            if isinstance(item, Reply):
                self._finish(item, is_streaming)
                return
            now = time.monotonic()
            if now >= look_at:  # though reports may follow each other quickly
                look_at = now + POLL_INTERVAL
                if self._timed.is_at_end():
                    self.close_connection = True
                    return
            if self._takes_events and (item is not None or now >= ping_at):
                if not is_streaming:
                    self._begin_events()
                self._send_chunk(b": still running\n\n" if item is None else _event(item))
                is_streaming, ping_at = True, now + PING_SECONDS

    def _finish(self, reply: Reply, is_streaming: bool = False) -> None:
        as_events = self._takes_events and (is_streaming or not reply.content or not self._takes_json)
        if reply.status == 202:
            self._send(202)
        elif not as_events:
            self._send_json(reply.content or b"{}", reply.status if reply.content else 202, reply.session)
        else:
            if not is_streaming:
                self._begin_events(reply.session)
            if reply.content:
                self._send_chunk(_event(reply.content))
            self._send_chunk(b"")

    def _refuse(self, denied: Denied) -> None:
        self.close_connection = True
        more = {401: {"WWW-Authenticate": "Bearer"}, 405: {"Allow": "POST, DELETE"}}.get(denied.status, {})
        body = encoded({"error": str(denied)})
        self._send(denied.status, body, {"Content-Type": _JSON, "Connection": "close", **more})

    def _send_json(self, content: bytes, status: int, session: str = "") -> None:
        named = {"Mcp-Session-Id": session} if session else {}
        self._send(status, content, {"Content-Type": _JSON, **named})

    def _send(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def _begin_events(self, session: str = "") -> None:
        self._is_chunked = self.request_version == "HTTP/1.1"
        self.send_response(200)
        headers = {"Content-Type": _EVENTS, "Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
        named = {"Mcp-Session-Id": session} if session else {}
        ending = {"Transfer-Encoding": "chunked"} if self._is_chunked else {"Connection": "close"}
        for name, value in {**headers, **named, **ending}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_chunk(self, content: bytes) -> None:
        """Send a part of a stream; an empty one ends it."""
        if self._is_chunked:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content))
        elif content:
            self.wfile.write(content)
        else:
            self.close_connection = True


def _next(waiting: "SimpleQueue[Reply | bytes]") -> Reply | bytes | None:
    """What comes next; None when nothing comes soon."""
    try:
        return waiting.get(timeout=POLL_INTERVAL)
    except Empty:
        return None


def _event(content: bytes) -> bytes:
    return b"event: message\ndata: %b\n\n" % content
