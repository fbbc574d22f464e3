"""Overhead of the chat service: requests per second and time to first token for 1, 32 and 200 clients.

    make bench        or        python -m benchmarks.http [duration of a model call in milliseconds]

Uses a model server with prepared answers, the service in a separate process with sessions in SQLite, and clients that
send requests one after another with http.client. All targets are measured in the same run; "direct" is the model server
itself. The first token of a stream is the first frame with content.
"""

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.ready_server import ready
from tests.support.ports import free_port, wait_for

ROOT = Path(__file__).parents[1]
SECONDS = 4.0
MESSAGES = [{"role": "user", "content": "Hello"}]


@contextmanager
def service(folder: Path, model: str) -> Iterator[str]:
    """Run the service, and yield its URL."""
    port = free_port()
    environment = {**os.environ, "LLM_SERVER_URL": model, "XDG_DATA_HOME": str(folder), "AGENTKIT_RATE": "1000000"}
    command = [sys.executable, "-m", "agentkit", "serve", "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, env={**environment, "PYTHONPATH": str(ROOT)})
    try:
        wait_for(port, "the service", seconds=20)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def measure(url: str, path: str, body: object, clients: int) -> tuple[float, float]:
    """Return the requests per second and the median time to the first token in seconds."""
    parts = urlsplit(url)
    seconds: list[float] = []
    end = time.perf_counter() + SECONDS

    def client() -> None:
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        while time.perf_counter() < end:
            started = time.perf_counter()
            headers = {"Content-Type": "application/json"}
            connection.request("POST", parts.path + path, json.dumps(body), headers)
            response = connection.getresponse()
            assert response.status == 200, response.read()
            line = b""
            while b'"content"' not in line:
                line = response.readline()
            seconds.append(time.perf_counter() - started)
            response.read()
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(seconds) / (time.perf_counter() - started), statistics.median(seconds)


def main() -> None:
    delay = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with ready() as port, tempfile.TemporaryDirectory() as folder:
        model = f"http://127.0.0.1:{port}/turns/0/ms/{delay}"
        with service(Path(folder), model) as url:
            stream = {"messages": MESSAGES, "stream": True, "model": "agentkit"}
            targets = {
                "direct": (model, "/v1/chat/completions", stream),
                "/v1/chat/completions": (url, "/v1/chat/completions", stream),
                "/api/llm/chat/stream": (url, "/api/llm/chat/stream", {"messages": MESSAGES}),
            }
            head = f"a call of {delay} ms"
            print(f"\n{'clients':>8} {head:>22} {'requests/s':>11} {'first token':>12} {'overhead':>9}")
            for clients in (1, 32, 200):
                baseline = 0.0
                for name, (target, path, body) in targets.items():
                    rate, token = measure(target, path, body, clients)
                    baseline = baseline or token
                    latency = f"{token * 1000:9.1f} ms {(token - baseline) * 1000:6.1f} ms"
                    print(f"{clients:>8} {name:>22} {rate:>11.0f} {latency}")


if __name__ == "__main__":
    main()
