"""A model server with ready answers, in a process of its own: it costs the measured program nothing but the wire.

    python benchmarks/ready_server.py        prints its port, and ends when standard input closes

The path tells what to do: /turns/N/ms/M/v1/chat/completions answers the first N requests of a run (those with
fewer than N tool messages) with a tool call and the next with text, each after M milliseconds.
/calls/K/gap/G/v1/chat/completions streams K tool calls in one reply, G milliseconds between two chunks, and then text.
"""

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def ready() -> Iterator[int]:
    """The port of such a server, for as long as it is needed."""
    server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.stdin.close()
        server.wait()


USAGE = {"prompt_tokens": 900, "completion_tokens": 30, "total_tokens": 930}
FUNCTION = {"name": "look_up", "arguments": '{"topic": "the tides of the North Sea"}'}
TOPICS = ["the tides of the North Sea"] + [f"the tides of sea number {index:02}" for index in range(1, 100)]


def whole(message: dict[str, Any], finish_reason: str) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    body = json.dumps({"id": "1", "object": "chat.completion", "choices": [choice], "usage": USAGE}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def streamed(deltas: list[dict[str, Any]], finish_reason: str) -> bytes:
    body = b"".join(events_of(deltas, finish_reason))
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def events_of(deltas: list[dict[str, Any]], finish_reason: str) -> list[bytes]:
    chunks: list[dict[str, Any]] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    chunks.append({"index": 0, "delta": {}, "finish_reason": finish_reason})
    events: list[dict[str, Any]] = [
        {"id": "1", "object": "chat.completion.chunk", "choices": [chunk]} for chunk in chunks
    ]
    events.append({"id": "1", "object": "chat.completion.chunk", "choices": [], "usage": USAGE})
    return [f"data: {json.dumps(event)}\n\n".encode() for event in events] + [b"data: [DONE]\n\n"]


TEXT = "The tides of the North Sea follow the moon."
CALL = {"id": "call_1", "type": "function", "function": FUNCTION}


def call_deltas(index: int = 0) -> list[dict[str, Any]]:
    """A call as a model streams it, a token at a time."""
    begun = {**CALL, "id": f"call_{index + 1}", "index": index, "function": {**FUNCTION, "arguments": ""}}
    arguments = json.dumps({"topic": TOPICS[index]})
    pieces = [arguments[start : start + 4] for start in range(0, len(arguments), 4)]
    rest = [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces]
    return [{"role": "assistant", "tool_calls": [begun]}, *rest]


ANSWERS = {
    (False, True): whole({"role": "assistant", "content": None, "tool_calls": [CALL]}, "tool_calls"),
    (False, False): whole({"role": "assistant", "content": TEXT}, "stop"),
    (True, True): streamed(call_deltas(), "tool_calls"),
    (True, False): streamed([{"content": word + " "} for word in TEXT.split()], "stop"),
}


def send_slowly(connection: socket.socket, calls: int, gap: int, body: bytes, is_stream: bool) -> None:
    """A reply with calls as a model writes it, token by token; whole when it is done."""
    if b'"role":"tool"' in body:
        connection.sendall(ANSWERS[is_stream, False])
        return
    deltas = [delta for index in range(calls) for delta in call_deltas(index)]
    if not is_stream:
        time.sleep(gap / 1000 * len(deltas))
        functions = [{**FUNCTION, "arguments": json.dumps({"topic": topic})} for topic in TOPICS[:calls]]
        made = [{**CALL, "id": f"call_{index}", "function": each} for index, each in enumerate(functions, 1)]
        connection.sendall(whole({"role": "assistant", "content": None, "tool_calls": made}, "tool_calls"))
        return
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for place, event in enumerate(events_of(deltas, "tool_calls")):
        time.sleep(gap / 1000 if place < len(deltas) else 0.0)
        connection.sendall(b"%x\r\n%s\r\n" % (len(event), event))
    connection.sendall(b"0\r\n\r\n")


def serve(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    pending = b""
    while True:
        while b"\r\n\r\n" not in pending:
            try:
                received = connection.recv(1 << 18)
            except ConnectionError:
                return
            if not received:
                return
            pending += received
        head, _, pending = pending.partition(b"\r\n\r\n")
        if head.startswith(b"GET "):  # the agent looks for the size of the context window
            connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            continue
        length = int(re.findall(rb"content-length: (\d+)", head, re.IGNORECASE)[0])
        pieces, have = [pending], len(pending)
        while have < length:
            received = connection.recv(1 << 18)
            pieces.append(received)
            have += len(received)
        body, pending = b"".join(pieces), b""
        is_stream = re.search(rb'"stream": ?true', body) is not None
        slow = re.match(rb"POST /calls/(\d+)/gap/(\d+)/", head)
        if slow:
            calls, gap = map(int, slow.groups())
            send_slowly(connection, calls, gap, body, is_stream)
            continue
        asked = re.match(rb"POST /turns/(\d+)/ms/(\d+)/", head)
        assert asked is not None
        turns, delay = map(int, asked.groups())
        if delay:
            time.sleep(delay / 1000)
        done = len(re.findall(rb'"role": ?"tool"', body))
        connection.sendall(ANSWERS[is_stream, done < turns])


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listener.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
