"""A loopback chat completions server with faults, in a process of its own: caps, rates, queues, refusals, failures.

    with faulty_model(latency=0.1, cap=40) as server:
        OpenAIBackend("any", base_url=server.url)
        server.change(cap=120)
        server.stats()["asked"]["What is 1 + 1?"]

It answers "answer to: " and the last message of the user, whole or as a stream. It runs in one thread, of asyncio, and
takes hundreds of connections; `python -m tests.support.faulty_model '{"cap": 40}'` prints its URL.
"""

import asyncio
import json
import random
import subprocess
import sys
import urllib.request
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any

PREFIX = "answer to: "


@dataclass(frozen=True)
class Faults:
    """latency: seconds of an answer, `spread` of it more or less by chance. cap: how many requests it takes at once.
    rate, burst: how many a second, and how many at once after a pause. slots: how many it answers at once; others wait
    in its queue. refuse: the share that it refuses for no reason. status: of refusals. asks, asks_as: the seconds that
    a refusal asks to wait, as "none", "seconds", "date" or "ms". remaining: whether responses tell what is left of the
    rate. down: whether it refuses everything. quota: whether refusals are about the account. fail: the share of 500s.
    hang: the share that is never answered. half: the share whose body breaks off. tool: the name of a tool that it
    calls first, with the question as `argument`. seed: of chance."""

    latency: float = 0.0
    spread: float = 0.0
    cap: int | None = None
    rate: float | None = None
    burst: float = 100.0
    slots: int | None = None
    refuse: float = 0.0
    status: int = 429
    asks: float = 1.0
    asks_as: str = "none"
    remaining: bool = False
    down: bool = False
    quota: bool = False
    fail: float = 0.0
    hang: float = 0.0
    half: float = 0.0
    tool: str = ""
    argument: str = "text"
    seed: int = 0


@dataclass
class _State:
    """What the server has done. busy: requests that it answers now. asked: by question, how often one was taken."""

    faults: Faults
    chance: random.Random
    busy: int = 0
    most: int = 0
    requests: int = 0
    answered: int = 0
    refused: int = 0
    failed: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    tokens: float = 0.0
    refilled: float = 0.0
    queue: deque[asyncio.Future[None]] = field(default_factory=deque)

    def stats(self) -> dict[str, Any]:
        names = ("requests", "answered", "refused", "failed", "most", "busy", "asked")
        return {name: getattr(self, name) for name in names}

    def is_refused(self, now: float) -> bool:
        faults = self.faults
        if faults.down or faults.quota or (faults.cap is not None and self.busy >= faults.cap):
            return True
        if faults.refuse and self.chance.random() < faults.refuse:
            return True
        if faults.rate is None:
            return False
        self.tokens = min(faults.burst, self.tokens + (now - self.refilled) * faults.rate)
        self.refilled = now
        if self.tokens < 1:
            return True
        self.tokens -= 1
        return False


class _Connection(asyncio.Protocol):
    """Reads requests, one after the other, and answers each."""

    def __init__(self, state: _State) -> None:
        self.state = state
        self.buffer = b""
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(rest) >= length:
            self.buffer = rest[length:]
            method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            self.task = asyncio.get_running_loop().create_task(self.handle(method, path, rest[:length]))

    async def handle(self, method: str, path: str, body: bytes) -> None:
        state = self.state
        if path == "/stats":
            self.respond(200, json.dumps(state.stats()).encode())
        elif path == "/faults":
            changes = json.loads(body)
            state.faults = replace(state.faults, **changes)
            self.respond(200, b"{}")
        elif method == "GET":
            self.respond(200, b'{"object": "list", "data": [{"id": "any", "object": "model"}]}')
        else:
            await self.complete(json.loads(body))

    async def complete(self, request: dict[str, Any]) -> None:
        state, faults, loop = self.state, self.state.faults, asyncio.get_running_loop()
        state.requests += 1
        if state.is_refused(loop.time()):
            state.refused += 1
            self.refuse()
            return
        question = _question(request)
        state.busy += 1
        state.most = max(state.most, state.busy)
        state.asked[question] += 1
        try:
            if faults.slots is not None and state.busy > faults.slots:
                turn: asyncio.Future[None] = loop.create_future()
                state.queue.append(turn)
                await turn
            if faults.hang and state.chance.random() < faults.hang:
                await asyncio.sleep(3600)
            if faults.latency:
                await asyncio.sleep(faults.latency * state.chance.uniform(1 - faults.spread, 1 + faults.spread))
        finally:
            state.busy -= 1
            while state.queue:
                turn = state.queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    break
        if faults.fail and state.chance.random() < faults.fail:
            state.failed += 1
            self.respond(500, b'{"error": {"message": "internal error"}}')
            return
        kind, answer = _answer(request, question, faults)
        if faults.half and state.chance.random() < faults.half:
            state.failed += 1
            self.respond(200, answer, kind, cut=True)
            return
        state.answered += 1
        self.respond(200, answer, kind)

    def refuse(self) -> None:
        faults = self.state.faults
        if faults.quota:
            text = "You exceeded your current quota, please check your plan and billing details."
            error = {"message": text, "type": "insufficient_quota", "code": "insufficient_quota"}
        else:
            error = {"message": "Rate limit reached for requests", "code": "rate_limit_exceeded"}
        lines = {
            "seconds": f"retry-after: {round(faults.asks)}\r\n",
            "date": f"retry-after: {formatdate(_now() + faults.asks, usegmt=True)}\r\n",
            "ms": f"retry-after-ms: {round(faults.asks * 1000)}\r\n",
        }
        self.respond(faults.status, json.dumps({"error": error}).encode(), more=lines.get(faults.asks_as, ""))

    def respond(
        self, status: int, body: bytes, kind: str = "application/json", more: str = "", cut: bool = False
    ) -> None:
        faults = self.state.faults
        if faults.remaining and faults.rate:
            left = max(0, int(self.state.tokens))
            more += f"x-ratelimit-remaining-requests: {left}\r\nx-ratelimit-reset-requests: {1 / faults.rate:.3f}s\r\n"
        head = f"HTTP/1.1 {status} {_REASON}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
        self.transport.write(head.encode() + (body[: len(body) // 2] if cut else body))
        if cut:
            self.transport.close()


_REASON = "Said"


def _now() -> float:
    import time

    return time.time()


def _question(request: dict[str, Any]) -> str:
    """The last message of the user."""
    for message in reversed(request.get("messages", [])):
        if message["role"] == "user":
            content = message["content"]
            return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    return ""


def _answer(request: dict[str, Any], question: str, faults: Faults) -> tuple[str, bytes]:
    """The content type and the body of an answer."""
    message: dict[str, Any] = {"role": "assistant", "content": PREFIX + question}
    if faults.tool and request["messages"][-1]["role"] == "user":
        arguments = json.dumps({faults.argument: question})
        call = {"id": "call-1", "type": "function", "function": {"name": faults.tool, "arguments": arguments}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    if not request.get("stream"):
        choices: list[dict[str, Any]] = [{"index": 0, "message": message, "finish_reason": reason}]
        whole = {"id": "any", "object": "chat.completion", "model": "any", "choices": choices, "usage": usage}
        return "application/json", json.dumps(whole).encode()
    for index, call in enumerate(message.get("tool_calls", ())):
        call["index"] = index
    events = [
        {"id": "any", "choices": [{"index": 0, "delta": message, "finish_reason": None}]},
        {"id": "any", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
        {"id": "any", "choices": [], "usage": usage},
    ]
    return "text/event-stream", b"".join(b"data: %s\n\n" % json.dumps(each).encode() for each in events) + _DONE


_DONE = b"data: [DONE]\n\n"


async def _serve(faults: Faults, port: int) -> None:
    loop = asyncio.get_running_loop()
    state = _State(faults, random.Random(faults.seed), tokens=faults.burst, refilled=loop.time())
    server = await loop.create_server(lambda: _Connection(state), "127.0.0.1", port, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # until whoever has started it ends, or says so


@dataclass
class FaultyModel:
    """A running server. url: up to /v1."""

    url: str

    def stats(self) -> dict[str, Any]:
        """requests, answered, refused, failed; most: at once; busy; asked: how often each question was taken."""
        found: dict[str, Any] = self._ask("/stats", None)
        return found

    def change(self, **faults: Any) -> None:
        """Change what is wrong with it."""
        self._ask("/faults", json.dumps(faults).encode())

    def _ask(self, path: str, body: bytes | None) -> Any:
        url = self.url.removesuffix("/v1") + path
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, body, timeout=30) as response:
            return json.loads(response.read())


@contextmanager
def faulty_model(port: int = 0, **faults: Any) -> Iterator[FaultyModel]:
    """Run a server until the end of the block. port: 0 for a free one. faults: see `Faults`."""
    command = [sys.executable, "-m", "tests.support.faulty_model", json.dumps(faults), str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    with process, process.stdin:
        try:
            yield FaultyModel(process.stdout.readline().strip())
        finally:
            process.kill()


if __name__ == "__main__":
    made = Faults(**json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}"))
    asyncio.run(_serve(made, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
