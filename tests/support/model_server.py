"""A loopback chat completions server that plays scripted responses and records requests.

with serve([whole("Hello")]) as server:
    OpenAIBackend("any", base_url=server.url)
"""

import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A scripted response.

    body: sent in chunks of `piece` bytes with `pause` seconds between. cut: close the connection in the middle of a
    chunked body. linger: seconds between the last chunk and the end of the body. drop: reset the connection without a
    response. delay: seconds before the response. length: a Content-Length to send instead of a chunked body; the
    connection is closed after it. hold: what is waited for after the first chunk.
    """

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    piece: int = 1 << 20
    pause: float = 0.0
    cut: bool = False
    linger: float = 0.0
    drop: bool = False
    delay: float = 0.0
    length: int | None = None
    hold: threading.Event | None = None


@dataclass(frozen=True)
class Asked:
    """One request: its raw body, the body as JSON, its headers, its path with the query."""

    raw: bytes
    body: dict[str, Any]
    headers: dict[str, str]
    connection: int
    path: str = ""


class QuietServer(ThreadingHTTPServer):
    """Does not log clients that disconnect during a response."""

    request_queue_size = 512

    def handle_error(self, request: object, client_address: object) -> None:
        """Do not log."""


class ModelServer:
    """The running server. url: up to /v1. requests: those received. left: responses aborted by clients. props:
    what its `/props` says, as llama.cpp's does. found: what other paths say, at the moment of the request."""

    def __init__(self, answers: Sequence[Answer] | Callable[[Asked], Answer], port: int = 0) -> None:
        self.requests: list[Asked] = []
        self.connections = 0
        self.left = 0
        self.props: dict[str, Any] | None = None
        self.found: dict[str, Any] = {}
        self._answers = answers
        self._lock = threading.Lock()
        self.http = QuietServer(("127.0.0.1", port), _handler(self))
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    def answer(self, asked: Asked) -> Answer:
        with self._lock:
            index = len(self.requests)
            self.requests.append(asked)
        if callable(self._answers):
            return self._answers(asked)
        return self._answers[min(index, len(self._answers) - 1)]


@contextmanager
def serve(answers: Sequence[Answer] | Callable[[Asked], Answer], port: int = 0) -> Iterator[ModelServer]:
    server = ModelServer(answers, port)
    with running(server.http):
        yield server


@contextmanager
def running(http: ThreadingHTTPServer) -> Iterator[None]:
    """Serve in a separate thread."""
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            server.connections += 1

        def do_GET(self) -> None:
            """Return the model list, whatever the path, but for `/props` and those of `found`."""
            models = {"object": "list", "data": [{"id": "tiny", "object": "model"}]}
            found = {"/props": server.props} if server.props else {}
            body = json.dumps({**found, **server.found}.get(self.path, models)).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            asked = Asked(
                raw, json.loads(raw), {k.lower(): v for k, v in self.headers.items()}, id(self.connection), self.path
            )
            answer = server.answer(asked)
            time.sleep(answer.delay)
            if answer.drop:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                return
            self.send_response(answer.status)
            self.send_header("content-type", answer.content_type)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.length is not None:
                self.send_header("content-length", str(answer.length))
                self.end_headers()
                self.wfile.write(answer.body)
                self.close_connection = True
                return
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            try:
                self._send(answer)
            except OSError:  # the client disconnected during the response
                server.left += 1
                self.close_connection = True

        def _send(self, answer: Answer) -> None:
            for start in range(0, len(answer.body), answer.piece):
                chunk = answer.body[start : start + answer.piece]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                self.wfile.flush()
                time.sleep(answer.pause)
                if start == 0 and answer.hold is not None:
                    answer.hold.wait(30)
            time.sleep(answer.linger)
            if answer.cut:
                self.close_connection = True
            else:
                self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *args: object) -> None:
            """Do not log."""

    return Handler


def whole(message: str | dict[str, Any], *, finish_reason: str = "stop", usage: dict[str, Any] | None = None) -> Answer:
    """A complete chat completion."""
    full = {"role": "assistant", "content": message} if isinstance(message, str) else message
    choice = {"index": 0, "message": full, "finish_reason": finish_reason}
    return Answer(json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode())


def calls(*made: tuple[str, dict[str, Any]], usage: dict[str, Any] | None = None) -> Answer:
    """A complete chat completion with tool calls."""
    tool_calls = [
        {"id": f"c{place}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for place, (name, arguments) in enumerate(made)
    ]
    message = {"role": "assistant", "content": None, "tool_calls": tool_calls}
    return whole(message, finish_reason="tool_calls", usage=usage)


def streamed(*chunks: dict[str, Any], done: bool = True, **answer: Any) -> Answer:
    """A stream of chunks as server-sent events."""
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + (["data: [DONE]\n\n"] if done else [])
    return Answer("".join(events).encode(), content_type="text/event-stream", **answer)


def response(*output: dict[str, Any], stream: bool = False, **fields: Any) -> Answer:
    """A response of the Responses API, whole or as the events that tell of it. output: its items. fields: of the
    response."""
    begun = {"id": "resp_1", "object": "response", "model": "m", "error": None, "incomplete_details": None}
    made = {**begun, "status": "completed", "usage": None, **fields, "output": list(output)}
    if not stream:
        return Answer(json.dumps(made).encode())
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**begun, "status": "in_progress", "output": []}}
    ]
    for index, item in enumerate(output):
        told += [{"output_index": index, **event} for event in _events_of(item)]
    told.append({"type": f"response.{made['status']}", "response": made})
    return events(*told)


def events(*told: dict[str, Any]) -> Answer:
    """Events of the Responses API."""
    lines = [
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': n})}\n\n"
        for n, event in enumerate(told)
    ]
    return Answer("".join(lines).encode(), content_type="text/event-stream")


def _events_of(item: dict[str, Any]) -> list[dict[str, Any]]:
    kind = item["type"]
    texts = {
        "function_call": [item.get("arguments", "")],
        "reasoning": [each["text"] for each in item.get("summary", ())],
    }
    named = {
        "function_call": "function_call_arguments",
        "reasoning": "reasoning_summary_text",
        "message": "output_text",
    }
    parts = texts.get(kind) or [part["text"] for part in item.get("content", ()) if "text" in part]
    empty: dict[str, Any] = {"arguments": "", "summary": [], "content": []}
    begun = {**item, **{name: value for name, value in empty.items() if name in item}}
    told: list[dict[str, Any]] = [{"type": "response.output_item.added", "item": begun}]
    for place, text in enumerate(parts):
        where = {"summary_index" if kind == "reasoning" else "content_index": place, "item_id": item["id"]}
        pieces = re.findall(r"\s*\S+\s*$|\s*\S+", text)
        told += [{"type": f"response.{named[kind]}.delta", "delta": piece, **where} for piece in pieces]
    return [*told, {"type": "response.output_item.done", "item": item}]


def held(hold: threading.Event, *chunks: dict[str, Any]) -> Answer:
    """A stream of chunks of which the last is sent when the event is set."""
    before, whole_stream = streamed(*chunks[:-1], done=False), streamed(*chunks)
    return replace(whole_stream, hold=hold, piece=len(before.body))


def delta(finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk of a stream with one choice."""
    return {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}],
    }
