"""What the chat service costs beside a bare FastAPI proxy of the same model server, measured in the same run.

    make bench        or        python -m benchmarks.http [--quick] [duration of a model call in milliseconds]

Printed are: CPU of a request that is not streamed, of the service and of the proxy, as a ratio; memory and threads of a
stream that waits for the model; requests per second and the time to the first token for 1, 32 and 200 clients, beside
the model server itself ("direct") and the proxy. The service runs in a process of its own, with sessions in SQLite; the
model server has prepared answers, and the clients send requests one after another with http.client. CPU times are those
that Linux counts for the processes. The first token of a stream is the first frame with content.
"""

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.ready_server import ready
from tests.support.ports import free_port, wait_for

ROOT = Path(__file__).parents[1]
MESSAGES = [{"role": "user", "content": "Hello"}]
COMPLETIONS = "/v1/chat/completions"
GOAL_CPU, GOAL_KB, GOAL_THREADS = 2.5, 80.0, 1.0
WAITING = 25_000
"""Milliseconds of a model call while streams wait; more than all of them take to be opened."""


@dataclass(frozen=True)
class Running:
    """A server process at a URL."""

    url: str
    process: int

    @property
    def cpu(self) -> float:
        """Seconds of CPU that it has taken."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory_and_threads(self) -> tuple[int, int]:
        """Memory in KB (resident set size), and the number of threads."""
        lines = Path(f"/proc/{self.process}/status").read_text().splitlines()
        found = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
        return int(found["VmRSS"][0]), int(found["Threads"][0])


@contextmanager
def running(folder: Path, *module: str, port: int, **environment: str) -> Iterator[Running]:
    """Run a module of Python that listens on a port."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, **environment},
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(port, module[0], seconds=60)
        yield Running(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def service(folder: Path, model: str) -> Iterator[Running]:
    """Run the service."""
    port = free_port()
    settings = {"LLM_SERVER_URL": model, "XDG_DATA_HOME": str(folder), "AGENTKIT_RATE": "1000000000"}
    more = {"AGENTKIT_MAX_RUNS": "1000"}
    with running(folder, "agentkit", "serve", "--port", str(port), port=port, **settings, **more) as made:
        yield made


@contextmanager
def proxy(folder: Path, model: str) -> Iterator[Running]:
    """Run the bare proxy."""
    port = free_port()
    with running(folder, "benchmarks.bare_proxy", str(port), model, port=port) as made:
        yield made


class Client:
    """Sends requests to one path, one after another."""

    def __init__(self, url: str, path: str, body: object) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        self._path, self._body = parts.path + path, json.dumps(body)

    def ask(self) -> http.client.HTTPResponse:
        """Send a request; the body of the response is for the caller to read."""
        self._connection.request("POST", self._path, self._body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        assert response.status == 200, response.read()
        return response


def cpu_of(server: Running, path: str, body: object, requests: int, clients: int) -> float:
    """Milliseconds of CPU that a request takes in a server."""

    def client() -> None:
        asking = Client(server.url, path, body)
        for _ in range(requests // clients):
            asking.ask().read()

    began = server.cpu
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (server.cpu - began) / requests * 1000


def compare_cpu(folder: Path, port: int, requests: int, rounds: int) -> None:
    model = f"http://127.0.0.1:{port}/turns/0/ms/0"
    asked = {"messages": MESSAGES, "model": "agentkit"}
    with service(folder, model) as ours, proxy(folder, model) as bare:
        targets = {
            "bare proxy": (bare, COMPLETIONS, asked),
            COMPLETIONS: (ours, COMPLETIONS, asked),
            "/api/llm/chat": (ours, "/api/llm/chat", {"messages": MESSAGES}),
            "the same, streamed": (ours, COMPLETIONS, {**asked, "stream": True}),
        }
        spent: dict[tuple[str, int], list[float]] = defaultdict(list)
        for each in range(rounds + 1):  # in turn, since other programs come and go; the first one warms up
            for clients in (1, 8):
                for name, (server, path, body) in targets.items():
                    took = cpu_of(server, path, body, requests if each else 40, clients)
                    spent[name, clients] += [took] if each else []
    print(f"\n{'CPU of a request':>22} {'1 client':>16} {'8 clients':>16}   goal: {GOAL_CPU} x")
    for name in targets:
        print(f"{name:>22} {beside(spent, name, 1):>16} {beside(spent, name, 8):>16}")


def beside(spent: Mapping[tuple[str, int], list[float]], name: str, clients: int) -> str:
    """The least CPU of a target, and the median of its ratios to the proxy's in the same round."""
    mine, bare = spent[name, clients], spent["bare proxy", clients]
    ratio = statistics.median(one / other for one, other in zip(mine, bare, strict=True))
    return f"{min(mine):6.2f} ms {ratio:4.1f} x"


def weigh_streams(folder: Path, port: int, count: int) -> None:
    """Print what a stream takes whose model has not said anything yet."""
    body = json.dumps({"messages": MESSAGES, "stream": True}).encode()
    head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    request = head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)

    def opened(number: int) -> list[socket.socket]:
        made = [socket.create_connection(("127.0.0.1", int(urlsplit(ours.url).port or 0)), 60) for _ in range(number)]
        for each in made:
            each.sendall(request)
        for each in made:
            assert each.recv(100).startswith(b"HTTP/1.1 200 ")  # the head is sent when nothing has come for a while
        return made

    with service(folder, f"http://127.0.0.1:{port}/turns/0/ms/{WAITING}") as ours:
        streams = opened(10)
        memory, threads = ours.memory_and_threads
        streams += opened(count)
        time.sleep(0.5)
        more_memory, more_threads = ours.memory_and_threads
        for each in streams:
            each.close()
    took, ran = (more_memory - memory) / count, (more_threads - threads) / count
    print(f"\na waiting stream: {took:.0f} KB, {ran:.2f} threads; goals: {GOAL_KB:.0f} KB, {GOAL_THREADS:.0f} thread")


def measure(url: str, path: str, body: object, clients: int, seconds: float) -> tuple[float, float]:
    """Return the requests per second and the median time to the first token in seconds."""
    tokens: list[float] = []
    end = time.perf_counter() + seconds

    def client() -> None:
        asking = Client(url, path, body)
        while time.perf_counter() < end:
            started = time.perf_counter()
            response = asking.ask()
            line = b""
            while b'"content"' not in line:
                line = response.readline()
                assert line, "a stream without a token"
            tokens.append(time.perf_counter() - started)
            response.read()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(tokens) / (time.perf_counter() - started), statistics.median(tokens)


def compare_first_tokens(folder: Path, port: int, delay: int, seconds: float) -> None:
    model = f"http://127.0.0.1:{port}/turns/0/ms/{delay}"
    with service(folder, model) as ours, proxy(folder, model) as bare:
        stream = {"messages": MESSAGES, "stream": True, "model": "agentkit"}
        targets = {
            "direct": (model, COMPLETIONS, stream),
            "bare proxy": (bare.url, COMPLETIONS, stream),
            COMPLETIONS: (ours.url, COMPLETIONS, stream),
            "/api/llm/chat/stream": (ours.url, "/api/llm/chat/stream", {"messages": MESSAGES}),
        }
        head = f"a call of {delay} ms"
        measure(*targets[COMPLETIONS], clients=8, seconds=0.5)  # the first requests load modules
        print(f"\n{'clients':>8} {head:>22} {'requests/s':>11} {'first token':>12} {'added':>9}")
        for clients in (1, 32, 200):
            baseline = 0.0
            for name, (target, path, body) in targets.items():
                rate, token = measure(target, path, body, clients, seconds)
                baseline = baseline or token
                latency = f"{token * 1000:9.1f} ms {(token - baseline) * 1000:6.1f} ms"
                print(f"{clients:>8} {name:>22} {rate:>11.0f} {latency}")


def main() -> None:
    given = sys.argv[1:]
    is_quick = "--quick" in given
    delay = next((int(each) for each in given if each.isdecimal()), 100)
    with ready() as port, tempfile.TemporaryDirectory() as folder:
        compare_cpu(Path(folder), port, requests=160, rounds=3 if is_quick else 11)
        weigh_streams(Path(folder), port, count=40 if is_quick else 200)
        compare_first_tokens(Path(folder), port, delay, seconds=1.5 if is_quick else 4.0)


if __name__ == "__main__":
    main()
