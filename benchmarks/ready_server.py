"""A model server with ready answers, in a process of its own: it costs the measured program nothing but the wire.

    python benchmarks/ready_server.py        prints its port, and ends when standard input closes

The path tells what to do: /turns/N/ms/M/v1/chat/completions answers the first N requests of a run (those with
fewer than N tool messages) with a tool call and the next with text, each after M milliseconds.
"""

import json
import re
import socket
import sys
import threading
import time

USAGE = {"prompt_tokens": 900, "completion_tokens": 30, "total_tokens": 930}
FUNCTION = {"name": "look_up", "arguments": '{"topic": "the tides of the North Sea"}'}


def whole(message: dict, finish_reason: str) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    body = json.dumps({"id": "1", "object": "chat.completion", "choices": [choice], "usage": USAGE}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def streamed(deltas: list[dict], finish_reason: str) -> bytes:
    chunks = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    chunks.append({"index": 0, "delta": {}, "finish_reason": finish_reason})
    events = [{"id": "1", "object": "chat.completion.chunk", "choices": [chunk]} for chunk in chunks]
    events.append({"id": "1", "object": "chat.completion.chunk", "choices": [], "usage": USAGE})
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(body)}\r\n\r\n"
    return (head + body).encode()


TEXT = "The tides of the North Sea follow the moon."
CALL = {"id": "call_1", "type": "function", "function": FUNCTION}
CALL_DELTAS = [{"role": "assistant", "tool_calls": [{**CALL, "index": 0, "function": {**FUNCTION, "arguments": ""}}]}]
CALL_DELTAS += [
    {"tool_calls": [{"index": 0, "function": {"arguments": FUNCTION["arguments"][start : start + 4]}}]}
    for start in range(0, len(FUNCTION["arguments"]), 4)
]
ANSWERS = {
    (False, True): whole({"role": "assistant", "content": None, "tool_calls": [CALL]}, "tool_calls"),
    (False, False): whole({"role": "assistant", "content": TEXT}, "stop"),
    (True, True): streamed(CALL_DELTAS, "tool_calls"),
    (True, False): streamed([{"content": word + " "} for word in TEXT.split()], "stop"),
}


def serve(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    pending = b""
    while True:
        while b"\r\n\r\n" not in pending:
            received = connection.recv(1 << 18)
            if not received:
                return
            pending += received
        head, _, pending = pending.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE).group(1))
        pieces, have = [pending], len(pending)
        while have < length:
            received = connection.recv(1 << 18)
            pieces.append(received)
            have += len(received)
        body, pending = b"".join(pieces), b""
        turns, delay = map(int, re.match(rb"POST /turns/(\d+)/ms/(\d+)/", head).groups())
        if delay:
            time.sleep(delay / 1000)
        done = len(re.findall(rb'"role": ?"tool"', body))
        is_stream = re.search(rb'"stream": ?true', body) is not None
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
