"""The clients of `benchmarks.soak`: each kind sends its requests again and again, and checks every answer."""

import http.client
import json
import random
import re
import socket
import struct
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

JSON = {"Content-Type": "application/json"}
BROKEN = (
    (b'{"messages": [', 422),
    (b"\xff\xfe", 422),
    (b"{}", 422),
    (b"[" * 50_000, 422),
    (b'{"messages": "x"}', 422),
    (b'{"messages": [{"role": "user", "content": 5}]}', 422),
    (b'{"messages": [{"role": "robot", "content": "x"}]}', 422),
    (b'{"messages": [], "temperature": 99}', 422),
    (b" " * 1_100_000, 413),
)
"""Bodies that are refused, and with which status; the service of the soak takes 1,000,000 bytes."""


@dataclass
class Findings:
    """What the clients saw. Used by many threads."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def took(self, kind: str, seconds: float) -> None:
        with self.lock:
            self.seconds[kind].append(seconds)

    def found_wrong(self, what: str) -> None:
        with self.lock:
            self.wrong.append(what)

    def counted(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    @property
    def requests(self) -> int:
        with self.lock:
            return sum(map(len, self.seconds.values()))


class WrongError(Exception):
    """An answer is not the right one."""


class Client:
    """One connection to the service, with the key of a subject."""

    def __init__(self, port: int, key: str, found: Findings, name: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {key}"}
        self._found = found
        self.name = name
        self.number = 0
        self.random = random.Random(name)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def timed(self, kind: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._found.took(kind, time.perf_counter() - started)

    def next_id(self) -> str:
        """An id that no other message has."""
        self.number += 1
        return f"{self.name}-{self.number}"

    def send(self, method: str, path: str, body: Any = None, key: str | None = None) -> http.client.HTTPResponse:
        headers = {**JSON, **self._headers} if key is None else {**JSON, "Authorization": f"Bearer {key}"}
        content = body if isinstance(body, bytes) or body is None else json.dumps(body)
        self._connection.request(method, path, content, headers)
        return self._connection.getresponse()

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """The body of a response with status 200."""
        response = self.send(method, path, body)
        content = response.read()
        if response.status != 200:
            raise WrongError(f"{method} {path}: status {response.status}: {content[:200]!r}")
        return json.loads(content)

    def frames(self, path: str, body: Any) -> Iterator[tuple[float, Any]]:
        """The frames of a stream, each with the time at which it came."""
        response = self.send("POST", path, body)
        if response.status != 200:
            raise WrongError(f"POST {path}: status {response.status}: {response.read()[:200]!r}")
        while line := response.readline():
            if line.startswith(b"data: "):
                yield time.perf_counter(), line[6:].strip()
        response.read()

    def text(self, kind: str, path: str, body: Any) -> str:
        """The text of a stream of the chat API; its times are noted: until the first text, and until the end."""
        started, first, text, is_done = time.perf_counter(), 0.0, "", False
        for moment, data in self.frames(path, body):
            frame = json.loads(data)
            if "error" in frame:
                raise WrongError(f"{path}: {frame}")
            if frame.get("discarded"):
                text = ""
            text += frame.get("content") or ""
            first = first or (moment if text else 0.0)
            is_done = is_done or bool(frame.get("done"))
        if not is_done:
            raise WrongError(f"{path}: the stream ended without its last frame")
        self._found.took(f"{kind}, first text", first - started)
        self._found.took(kind, time.perf_counter() - started)
        return text

    def raw(self, path: str, body: Any, receive_buffer: int) -> socket.socket:
        """A connection on which a request was sent, and of which nothing was read."""
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
        head += f"Authorization: {self._headers['Authorization']}\r\nContent-Length: {len(content)}\r\n\r\n"
        connection = self.opened(receive_buffer)
        connection.sendall(head.encode() + content)
        return connection

    def opened(self, receive_buffer: int = 0) -> socket.socket:
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", self._port))
        return connection

    def did(self, what: str) -> None:
        self._found.counted(what)


def check(text: str, identity: str, session: str, count: int | None = None, found: bool = False) -> None:
    """Check an answer of the model: to this message, of this session alone, after this many messages."""
    said = dict(re.findall(r"(\w+)=(\S+)", text))
    wanted = {"id": identity, "session": session, "twice": "none"}
    wanted |= ({} if count is None else {"count": str(count)}) | ({"found": "True"} if found else {})
    wrong = {key: said.get(key) for key, value in wanted.items() if said.get(key) != value}
    if wrong or not text.endswith("end") or text.count("id=") != 1:
        raise WrongError(f"asked for {wanted}, the answer is {text[:200]!r}")


def conversation(client: Client, session: str, is_stream: bool, ask: str = "") -> None:
    """Some messages in one session, then its history, its name in the list, and its end."""
    ids: list[str] = []
    kind = "search in documents" if ask else f"session, {'streamed' if is_stream else 'whole'}"
    for _ in range(client.random.randint(1, 4)):
        ids.append(client.next_id())
        message = f"id={ids[-1]} session={session} words={client.random.choice((0, 10, 200))}{ask}"
        body = {"session_id": session, "message": message}
        if is_stream:
            text = client.text(kind, "/api/llm/chat/session/stream", body)
        else:
            with client.timed(kind):
                answer = client.json("POST", "/api/llm/chat/session", body)
            text = answer["response"]
            if answer["session_id"] != session:
                raise WrongError(f"session {answer['session_id']} instead of {session}")
        check(text, ids[-1], session, len(ids), found=bool(ask))
    with client.timed("history"):
        messages = client.json("GET", f"/api/llm/chat/session/{session}/history")["messages"]
    for role in ("user", "assistant"):
        kept = [re.findall(r"\bid=(\S+)", each["content"]) for each in messages if each["role"] == role]
        if [each for each in kept if each] != [[each] for each in ids]:
            raise WrongError(f"the history of {session} has {kept} of {role}, asked were {ids}")
    with client.timed("list of sessions"):
        listed = client.json("GET", "/api/llm/chat/sessions")["sessions"]
    if [each["session_id"] for each in listed].count(session) != 1:
        raise WrongError(f"{session} is not once in the list of {len(listed)} sessions")
    with client.timed("clear"):
        client.json("DELETE", f"/api/llm/chat/session/{session}")


def whole_sessions(client: Client, session: str) -> None:
    conversation(client, session, is_stream=False)


def streamed_sessions(client: Client, session: str) -> None:
    conversation(client, session, is_stream=True)


def searches(client: Client, session: str) -> None:
    conversation(client, session, is_stream=client.random.random() < 0.5, ask=" search")


def without_session(client: Client, session: str) -> None:
    identity = client.next_id()
    body = {"messages": [{"role": "user", "content": f"id={identity} session={session}"}]}
    with client.timed("chat without a session"):
        answer = client.json("POST", "/api/llm/chat", body)
    check(answer["response"], identity, session, 1)


def completions(client: Client, session: str) -> None:
    identity, is_stream = client.next_id(), client.random.random() < 0.5
    earlier = [{"role": "user", "content": f"id=0 session={session}"}, {"role": "assistant", "content": "Yes."}]
    asked = {"role": "user", "content": f"id={identity} session={session} words=50"}
    body = {"model": "agentkit", "messages": [*earlier, asked], "stream": is_stream}
    with client.timed(f"/v1/chat/completions, {'streamed' if is_stream else 'whole'}"):
        if not is_stream:
            text = client.json("POST", "/v1/chat/completions", body)["choices"][0]["message"]["content"]
        else:
            sent = [data for _, data in client.frames("/v1/chat/completions", body)]
            if sent[-1] != b"[DONE]":
                raise WrongError(f"/v1: the stream ended with {sent[-1]!r}")
            chunks = [json.loads(each) for each in sent[:-1]]
            deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
            text = "".join(each.get("content") or "" for each in deltas)
    check(text, identity, session, 2)


def sent_twice(client: Client, session: str) -> None:
    """One request, sent by two callers at once and once more afterwards: one answer."""
    identity = client.next_id()
    body = {"session_id": session, "message": f"id={identity} session={session}", "requestId": identity}
    with closing(client.raw("/api/llm/chat/session", body, 0)) as other:
        with client.timed("a request sent again"):
            first = client.json("POST", "/api/llm/chat/session", body)["response"]
        with closing(http.client.HTTPResponse(other)) as answered:
            answered.begin()
            second = json.loads(answered.read()).get("response")
    third = client.json("POST", "/api/llm/chat/session", body)["response"]
    if not first == second == third:
        raise WrongError(f"one request had the answers {first!r}, {second!r} and {third!r}")
    check(first, identity, session, 1)
    client.json("DELETE", f"/api/llm/chat/session/{session}")


def wrong_keys(client: Client, session: str) -> None:
    key = client.random.choice(("", "wrong", "a.b.c", "x" * 5_000))
    with client.timed("wrong key"):
        response = client.send("POST", "/api/llm/chat", {"messages": []}, key=key)
        response.read()
    if response.status != 401:
        raise WrongError(f"the key {key[:10]!r} has the status {response.status}")


def broken_bodies(client: Client, session: str) -> None:
    body, status = client.random.choice(BROKEN)
    try:
        with client.timed("broken body"):
            response = client.send("POST", "/api/llm/chat", body)
            content = response.read()
    except (BrokenPipeError, ConnectionResetError):  # the body was refused before all of it was sent
        client.close()
        return
    if response.status not in (status, 400) or b"Traceback" in content:
        raise WrongError(f"the body {body[:30]!r} has the status {response.status}: {content[:200]!r}")


def slow_readers(client: Client, session: str) -> None:
    """Reads a long answer in small pieces, slowly, to its end."""
    identity = client.next_id()
    body = {"session_id": session, "message": f"id={identity} session={session} words=1500"}
    with client.timed("slow reader"), closing(client.raw("/api/llm/chat/session/stream", body, 4096)) as connection:
        content = b""
        with closing(http.client.HTTPResponse(connection)) as response:
            response.begin()
            while piece := response.read(4096):
                content += piece
                time.sleep(0.02)
    frames = [json.loads(line[6:]) for line in content.splitlines() if line.startswith(b"data: ")]
    check("".join(each.get("content") or "" for each in frames), identity, session, 1)
    client.json("DELETE", f"/api/llm/chat/session/{session}")


def leaves(client: Client, session: str) -> None:
    """Leaves in the middle of a stream, having read a little or nothing, politely or with a reset."""
    body = {"session_id": session, "message": f"id={client.next_id()} session={session} words=300 gap=5"}
    connection = client.raw("/api/llm/chat/session/stream", body, 4096)
    if client.random.random() < 0.7:
        connection.recv(200)
    time.sleep(client.random.uniform(0, 0.3))
    if client.random.random() < 0.5:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    client.did("left in mid-stream")


def half_open(client: Client, session: str) -> None:
    """Twenty connections that begin a request and do not go on."""
    begun = [client.opened() for _ in range(20)]
    for connection in begun:
        connection.sendall(client.random.choice((b"", b"POST /api/llm/chat HT", b"GET / HTTP/1.1\r\nHost: a\r\nX: ")))
        client.did("connections left half open")
    time.sleep(1.0)
    for connection in begun:
        connection.close()


def probes(client: Client, session: str) -> None:
    for path in ("/livez", "/api/llm/health"):
        with client.timed(path):
            response = client.send("GET", path)
            content = response.read()
        if response.status != 200:
            raise WrongError(f"{path} has the status {response.status}: {content[:200]!r}")
    time.sleep(0.1)


KINDS: tuple[tuple[Callable[[Client, str], None], int], ...] = (
    (whole_sessions, 3),
    (streamed_sessions, 3),
    (searches, 2),
    (without_session, 1),
    (completions, 2),
    (sent_twice, 1),
    (wrong_keys, 1),
    (broken_bodies, 1),
    (slow_readers, 2),
    (leaves, 2),
    (half_open, 1),
    (probes, 1),
)
"""What clients do, and how many do it at once."""


def go_on(act: Callable[[Client, str], None], client: Client, found: Findings, end: float) -> None:
    """Do it until the end, with a short pause between."""
    number = 0
    while time.monotonic() < end:
        number += 1
        try:
            act(client, f"{client.name}.{number}")
        except (WrongError, OSError, http.client.HTTPException, ValueError, KeyError, IndexError) as error:
            found.found_wrong(f"{act.__name__}: {type(error).__name__}: {error}")
            client.close()  # it connects again
            time.sleep(0.2)
        time.sleep(client.random.uniform(0, 0.1))
    client.close()


def load(
    port: int, keys: list[str], found: Findings, seconds: float, only: Collection[str] = ()
) -> list[threading.Thread]:
    """Start the clients, all or those of these kinds; each subject has its share of them."""
    end = time.monotonic() + seconds
    threads: list[threading.Thread] = []
    for act, count in KINDS:
        if only and act.__name__ not in only:
            continue
        for number in range(count):
            client = Client(port, keys[len(threads) % len(keys)], found, f"{act.__name__}{number}")
            threads.append(threading.Thread(target=go_on, args=(act, client, found, end), daemon=True))
    for thread in threads:
        thread.start()
    return threads
