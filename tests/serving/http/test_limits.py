"""What an attacker, a slow client or an operator does to `agentkit serve`, tried on one real process."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from agentkit.serving.http.keys import Keys
from tests.serving.http.test_auth import SECRET, token
from tests.support.model_server import running
from tests.support.ports import free_port
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
ORIGIN = "https://portal.example"
CHAT, COMPLETIONS = "/api/llm/chat", "/v1/chat/completions"
HALF_HEAD = b"GET /livez HTTP/1.1\r\nHost: local"
PIECE = b'data: {"choices": [{"index": 0, "delta": {"content": "word "}}]}\n\n'
LONG = PIECE.replace(b"word", b"word" * 500)
JSON: dict[str, Any] = {"headers": {"Content-Type": "application/json"}}


class Model(BaseHTTPRequestHandler):
    """Streams words: endlessly, slowly, or 10,000 at once, as the last message says."""

    streams = 0

    def do_POST(self) -> None:
        last = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"][-1]["content"]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        Model.streams += 1
        try:
            for _ in range({"endless": 10**9, "slow": 10**4, "fast": 10}.get(last, 1)):
                self.wfile.write(
                    {"slow": PIECE, "endless": PIECE.replace(b"word", b"word" * 500)}.get(last, PIECE * 1000)
                )
                time.sleep(0.02 if last == "slow" else 0)
            self.wfile.write(b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n')
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            pass
        finally:
            Model.streams -= 1

    def log_message(self, *_: Any) -> None:
        """Do not log."""


@dataclass
class Process:
    """A running service. key: an API key. log: file of what it prints."""

    port: int
    key: str
    log: Path
    process: "subprocess.Popen[bytes]"

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {key or self.key}", "Origin": ORIGIN, **options.pop("headers", {})}
        url = f"http://127.0.0.1:{self.port}{path}"
        return requests.request(method, url, json=body, headers=headers, timeout=30, **options)

    def send(self, content: bytes) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        client.sendall(content)
        return client

    def post(self, path: str, body: bytes, length: int | None = None, key: str | None = None) -> socket.socket:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key or self.key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {length or len(body)}\r\n\r\n"
        return self.send(head.encode() + body)

    @property
    def memory(self) -> int:
        """Memory of the process in MB."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())
        assert found is not None
        return int(found[1]) // 1024


def said(text: str) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text}], "stream": True}).encode()


def received(client: socket.socket) -> bytes:
    """Everything until the other side closes the connection."""
    with client:
        return b"".join(iter(lambda: client.recv(1 << 16), b""))


@contextmanager
def served(folder: Path, *options: str, descriptors: int = 256, **settings: str) -> Iterator[Process]:
    """Run the service with an API key, and few descriptors."""
    key, port = Keys(folder / "agentkit" / "keys.json").add("ann"), free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTKIT_", "LLM_"))}
    environment = {
        **clean,
        "XDG_DATA_HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "AGENTKIT_RATE": "10000",
        "OPENAI_API_KEY": "x",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "agentkit", "serve", "--port", str(port), *options],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors)),
            env={**environment, **settings},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    made = Process(port, key, folder / "log", process)
    try:
        until(lambda: made.process.poll() is not None or is_alive(made), 60)
        yield made
    finally:
        process.kill()
        process.wait()


def is_alive(service: Process) -> bool:
    try:
        return bool(service.ask("GET", "/livez").status_code == 200)
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    """The name of the model, with a password in its URL."""
    web = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    web.daemon_threads = True
    with running(web):
        yield f"openai:m@http://user:PASSWORD@127.0.0.1:{web.server_port}/v1"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, model: str) -> Iterator[Process]:
    settings: dict[str, Any] = {
        "AGENTKIT_CORS": ORIGIN,
        "AGENTKIT_HEAD_SECONDS": "0.4",
        "AGENTKIT_BODY_SECONDS": "0.6",
        "AGENTKIT_SEND_SECONDS": "0.5",
        "AGENTKIT_JWT_SECRET": SECRET,
        "AGENTKIT_JWT_AUDIENCE": "chat",
    }
    with served(tmp_path_factory.mktemp("served"), "--model", model, **settings) as made:
        yield made


def test_a_body_without_a_key_is_not_read(service: Process) -> None:
    large = said("x" * 9_600_000)
    before = service.memory
    for path in (CHAT, COMPLETIONS):
        refused = service.ask("POST", path, data=large, key="wrong", headers={"Content-Type": "application/json"})
        assert refused.status_code == 401
        assert "Could not validate credentials" in refused.text
    pieces = iter([b"x" * 100_000] * 96)
    assert service.ask("POST", CHAT, data=pieces, key="wrong").status_code == 401
    assert service.memory - before < 9


def test_a_large_body_gets_json_that_a_web_page_can_read(service: Process) -> None:
    for data in (b"x" * 10_000_001, iter([b"x" * 1_000_000] * 11)):
        for path in (CHAT, COMPLETIONS):
            refused = service.ask("POST", path, data=data, headers={"Content-Type": "application/json"})
            if isinstance(data, bytes) or path == CHAT:
                assert refused.status_code == 413
                assert "larger than 10000000 bytes" in str(refused.json())
                assert path == CHAT or refused.json()["error"]["code"] == "request_too_large"
                assert refused.headers["access-control-allow-origin"] == ORIGIN
                assert refused.headers["x-content-type-options"] == "nosniff"


def test_head_is_get_without_a_body(service: Process) -> None:
    for path in ("/", "/docs", "/livez", "/readyz", "/metrics", "/openapi.json", "/v1/models", "/api/llm/prompts"):
        got, head = service.ask("GET", path), service.ask("HEAD", path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        if path != "/metrics":
            assert head.headers["content-length"] == got.headers["content-length"]
    assert service.ask("HEAD", CHAT).status_code == 405


def test_a_preflight_may_name_the_headers_of_retries_and_sdks(service: Process) -> None:
    headers = {"Access-Control-Request-Method": "POST"}
    for names in ("authorization,content-type,idempotency-key", "x-stainless-os,x-stainless-retry-count,traceparent"):
        allowed = service.ask("OPTIONS", CHAT, headers={**headers, "Access-Control-Request-Headers": names})
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == ORIGIN


def test_a_body_that_is_not_json_is_refused_with_what_to_send(service: Process) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
        refused = service.ask("POST", CHAT, data=said("x"), headers={"Content-Type": kind})
        assert (refused.status_code, "application/json" in refused.json()["detail"]) == (415, True)
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert service.ask("POST", CHAT, data=b"x", headers=packed).status_code == 415


def test_clients_of_other_gateways_are_answered_or_told(service: Process) -> None:
    body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": -1, "stream": True}
    assert service.ask("POST", COMPLETIONS, body).status_code == 200
    for path in ("/chat/completions", "/models", "/api/v1/chat/completions", "/v1/engines/x/completions"):
        told = service.ask("POST", path, body)
        assert (told.status_code, "ends in /v1" in told.json()["error"]["message"]) == (404, True)


def test_clocks_may_differ_by_some_seconds(service: Process) -> None:
    now = time.time()
    cases: list[tuple[dict[str, Any], int]] = [
        ({"iat": now + 2}, 200),
        ({"nbf": now + 2}, 200),
        ({"exp": now - 1}, 200),
        ({"exp": now - 30}, 401),
        ({"iat": now + 60}, 401),
    ]
    for claims, status in cases:
        assert service.ask("GET", "/v1/models", key=token(**claims)).status_code == status


def test_a_password_in_an_option_is_not_in_the_process_list(service: Process) -> None:
    shown = Path(f"/proc/{service.process.pid}/cmdline").read_bytes()
    assert b"***@127.0.0.1" in shown
    assert b"PASSWORD" not in shown + service.log.read_bytes()


def test_a_request_that_is_not_complete_in_time_is_closed(service: Process) -> None:
    assert received(service.send(b"")) == b""
    assert received(service.send(HALF_HEAD)).startswith(b"HTTP/1.1 408 ")
    answer = received(service.post(CHAT, b"{", length=100))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b'{"detail": "the request was not complete in time"}')
    assert received(service.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000)).startswith(b"HTTP/1.1 431 ")


def test_a_kept_connection_is_not_closed_like_a_slow_one(service: Process) -> None:
    client = service.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\nok"):
        answer += client.recv(1000)
    client.settimeout(0.45)  # longer than a head may take
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(20.0)
    client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert received(client).startswith(b"HTTP/1.1 200 ")


def test_half_open_connections_do_not_keep_others_out(service: Process) -> None:
    opened = []
    for number in range(400):
        opened.append(service.send(HALF_HEAD))
        if number % 40 == 0:
            assert is_alive(service)
    assert is_alive(service)
    for each in opened:
        each.close()


def test_refused_requests_do_not_fill_the_log(service: Process) -> None:
    before = service.log.stat().st_size
    for _ in range(100):
        received(service.send(b"no request at all\r\n\r\n"))
        service.send(b"GET /livez HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n").close()
    assert service.log.stat().st_size - before < 3000


def test_a_fast_stream_comes_in_few_frames(service: Process) -> None:
    with service.ask("POST", CHAT + "/stream", data=said("fast"), stream=True, **JSON) as response:
        frames = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith(b"data: ")]
    assert "".join(frame.get("content", "") for frame in frames) == "word " * 10_000
    assert len(frames) < 2500


def test_a_client_that_does_not_read_ends_its_run(service: Process) -> None:
    before = service.memory
    client = service.post(CHAT + "/stream", said("endless"))
    until(lambda: Model.streams == 1)
    until(lambda: Model.streams == 0, 60)
    assert service.memory - before < 30
    client.close()


def test_a_stop_ends_in_time_with_an_end_of_each_stream(tmp_path: Path, model: str) -> None:
    with served(tmp_path, "--model", model, "--stop-seconds", "1.5") as service:
        streams = [service.post(path, said("slow")) for path in (CHAT + "/stream", COMPLETIONS)]
        for each in streams:
            each.recv(1)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        first, second = (received(each) for each in streams)
        assert service.process.wait(30) == 0
        assert time.monotonic() - began < 4  # on a busy machine
    assert first.rstrip().endswith(b'data: {"done": true}\n\n\r\n0')
    assert b"the service is stopping" in first
    assert b"the service is stopping" in second
    assert "Traceback" not in service.log.read_text()
