"""A model server with ready answers, in a process of its own: it costs the measured program nothing but the wire.

    python benchmarks/ready_server.py        prints its port, and ends when standard input closes

The path tells what to do: /turns/N/ms/M/v1/chat/completions answers the first N requests of a run (those with
fewer than N tool messages) with a tool call and the next with text, each after M milliseconds.
/tokens/N/gap/G/v1/chat/completions streams N words, each in a piece of its own, G microseconds apart.
Where the tools of a request have `final_answer` (smolagents), the answer is a call of it.
/calls/K/gap/G/v1/chat/completions streams K tool calls in one reply, G milliseconds between two chunks, and then text.
/echo/v1/chat/completions says what it was asked: see `echo`.
"""

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def ready() -> Iterator[int]:
    """The port of such a server, for as long as it is needed."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:  # ends it, too
        assert server.stdout is not None
        yield int(server.stdout.readline())


USAGE = {"prompt_tokens": 900, "completion_tokens": 30, "total_tokens": 930}
FUNCTION = {"name": "look_up", "arguments": '{"topic": "the tides of the North Sea"}'}
TOPICS = ["the tides of the North Sea"] + [f"the tides of sea number {index:02}" for index in range(1, 100)]


HEAD = {"id": "1", "created": 1_764_400_000, "model": "m"}


def whole(message: dict[str, Any], finish_reason: str, usage: dict[str, int] = USAGE) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    body = json.dumps({**HEAD, "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def streamed(deltas: list[dict[str, Any]], finish_reason: str) -> bytes:
    body = b"".join(events_of(deltas, finish_reason))
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def events_of(deltas: list[dict[str, Any]], finish_reason: str, usage: dict[str, int] = USAGE) -> list[bytes]:
    chunks: list[dict[str, Any]] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    chunks.append({"index": 0, "delta": {}, "finish_reason": finish_reason})
    head = {**HEAD, "object": "chat.completion.chunk"}
    events: list[dict[str, Any]] = [{**head, "choices": [chunk]} for chunk in chunks]
    events.append({**head, "choices": [], "usage": usage})
    return [f"data: {json.dumps(event)}\n\n".encode() for event in events] + [b"data: [DONE]\n\n"]


TEXT = "The tides of the North Sea follow the moon."
CALL = {"id": "call_1", "type": "function", "function": FUNCTION}


def call_deltas(index: int = 0, name: str = "") -> list[dict[str, Any]]:
    """A call as a model streams it, a token at a time."""
    begun = {**CALL, "id": name or f"call_{index + 1}", "index": index, "function": {**FUNCTION, "arguments": ""}}
    arguments = json.dumps({"topic": TOPICS[index]})
    pieces = [arguments[start : start + 4] for start in range(0, len(arguments), 4)]
    rest = [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces]
    return [{"role": "assistant", "tool_calls": [begun]}, *rest]


SAME_LENGTH = b"call_0000"
NUMBERED = {**CALL, "id": SAME_LENGTH.decode()}
ANSWERS = {
    (False, True): whole({"role": "assistant", "content": None, "tool_calls": [NUMBERED]}, "tool_calls"),
    (False, False): whole({"role": "assistant", "content": TEXT}, "stop"),
    (True, True): streamed(call_deltas(name=SAME_LENGTH.decode()), "tool_calls"),
    (True, False): streamed([{"content": word + " "} for word in TEXT.split()], "stop"),
}
FINAL = {
    "id": "call_0",
    "type": "function",
    "function": {"name": "final_answer", "arguments": f'{{"answer": "{TEXT}"}}'},
}
FINAL_ANSWER = whole({"role": "assistant", "content": None, "tool_calls": [FINAL]}, "tool_calls")
FINAL_ANSWER_STREAMED = streamed([{"role": "assistant", "tool_calls": [{**FINAL, "index": 0}]}], "tool_calls")


def echo(body: bytes) -> tuple[str, bool, float]:
    """The answer to a conversation whose user messages have the form "id=ID session=NAME [words=N] [gap=MS] [search]":
    the id of the last one, the sessions of all, how many there were and which came twice, and N words. Whether a search
    comes first, and the milliseconds between two words."""
    messages = json.loads(body)["messages"]
    asked = [dict(re.findall(r"(\w+)=(\S+)", str(each["content"]))) for each in messages if each["role"] == "user"]
    ids = [each["id"] for each in asked if "id" in each]
    if not ids:  # the service looks whether tools reach the model
        return "Hello.", False, 0.0
    sessions = "+".join(sorted({each["session"] for each in asked if "session" in each}))
    twice = "+".join(sorted({each for each in ids if ids.count(each) > 1})) or "none"
    text = f"id={ids[-1]} session={sessions} count={len(ids)} twice={twice} "
    is_search = str(messages[-1]["content"]).endswith(" search")
    if messages[-1]["role"] == "tool":
        text += f"found={'high at noon' in str(messages[-1]['content'])} "
    return text + "word " * int(asked[-1].get("words", 0)) + "end", is_search, float(asked[-1].get("gap", 0))


def send_events(connection: socket.socket, events: list[bytes], gap: float, slow: int | None = None) -> None:
    """Stream the events, each in a piece of its own; gap: milliseconds before each (of the first `slow`)."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for place, event in enumerate(events):
        if gap and (slow is None or place < slow):
            time.sleep(gap / 1000)
        connection.sendall(b"%x\r\n%s\r\n" % (len(event), event))
    connection.sendall(b"0\r\n\r\n")


def send_echo(connection: socket.socket, body: bytes, is_stream: bool) -> None:
    text, is_search, gap = echo(body)
    usage = {**USAGE, "prompt_tokens": len(body) // 4}  # the tools count, or the service says that they do not arrive
    function = {"name": "search_documents", "arguments": json.dumps({"query": ["tide"]})}
    call = {**CALL, "function": function}
    if not is_stream:
        message = {"role": "assistant", "content": None if is_search else text}
        more = {"tool_calls": [call]} if is_search else {}
        connection.sendall(whole({**message, **more}, "tool_calls" if is_search else "stop", usage))
        return
    deltas: list[dict[str, Any]] = [{"content": piece} for piece in re.findall(r"\S+\s*", text)]
    if is_search:
        deltas = [{"role": "assistant", "tool_calls": [{**call, "index": 0}]}]
    send_events(connection, events_of(deltas, "tool_calls" if is_search else "stop", usage), gap)


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
    send_events(connection, events_of(deltas, "tool_calls"), gap, len(deltas))


def send_words(connection: socket.socket, words: int, gap: int, body: bytes) -> None:
    deltas: list[dict[str, Any]] = [{"content": "word "} for _ in range(words)]
    if b'"final_answer"' in body:
        deltas.append({"tool_calls": [{**FINAL, "index": 0}]})
    send_events(connection, events_of(deltas, "stop"), gap / 1000)


def received(connection: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    """The head and the body of each request, until the client leaves."""
    pending = b""
    while True:
        while b"\r\n\r\n" not in pending:
            piece = connection.recv(1 << 18)
            if not piece:
                return
            pending += piece
        head, _, pending = pending.partition(b"\r\n\r\n")
        length = re.findall(rb"content-length: (\d+)", head, re.IGNORECASE)
        pieces, have = [pending], len(pending)
        while length and have < int(length[0]):
            piece = connection.recv(1 << 18)
            if not piece:
                return
            pieces.append(piece)
            have += len(piece)
        yield head, b"".join(pieces)
        pending = b""


def respond(connection: socket.socket, head: bytes, body: bytes) -> None:
    """Send the response that the path asks for."""
    if head.startswith(b"GET "):  # the agent looks for the size of the context window
        connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        return
    is_stream = re.search(rb'"stream": ?true', body) is not None
    if head.startswith(b"POST /echo/"):
        send_echo(connection, body, is_stream)
        return
    slow = re.match(rb"POST /calls/(\d+)/gap/(\d+)/", head)
    if slow:
        calls, gap = map(int, slow.groups())
        send_slowly(connection, calls, gap, body, is_stream)
        return
    if words := re.match(rb"POST /tokens/(\d+)/gap/(\d+)/", head):
        send_words(connection, int(words[1]), int(words[2]), body)
        return
    asked = re.match(rb"POST /turns/(\d+)/ms/(\d+)/", head)
    assert asked is not None
    turns, delay = map(int, asked.groups())
    if delay:
        time.sleep(delay / 1000)
    connection.sendall(answer_of_turn(body, is_stream, turns))


def answer_of_turn(body: bytes, is_stream: bool, turns: int) -> bytes:
    answers_by_call = b'"final_answer"' in body  # smolagents, which sends results in messages of the user
    done = len(re.findall(rb'"role": ?"assistant"' if answers_by_call else rb'"role": ?"tool"', body))
    if done < turns:
        return ANSWERS[is_stream, True].replace(SAME_LENGTH, b"call_%04d" % (done + 1))
    if answers_by_call:
        return FINAL_ANSWER_STREAMED if is_stream else FINAL_ANSWER
    return ANSWERS[is_stream, False]


def serve(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, suppress(ConnectionError):  # the client left
        for head, body in received(connection):
            respond(connection, head, body)


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
