"""`agentkit serve` as a process: settings from .env, embedded MQTT, several workers, graceful shutdown."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
import requests

from tests.support import forked_cli
from tests.support.http_service import reply
from tests.support.model_server import Asked, serve, whole
from tests.support.mosquitto import EXECUTABLE, serve_mqtt
from tests.support.mqtt_games import Games
from tests.support.ports import free_port
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]


def started(folder: Path, *options: str, **environment: str) -> "subprocess.Popen[str]":
    """Start the service, whose output is in `serve.log`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTKIT_", "LLM_"))}
    with (folder / "serve.log").open("a") as log:
        return subprocess.Popen(
            [*forked_cli.command(), "serve", *options],
            cwd=folder,
            env={**clean, "XDG_DATA_HOME": str(folder), "PYTHONPATH": str(ROOT), **environment},
            stdout=log,
            stderr=log,
            text=True,
        )


@contextmanager
def served(folder: Path, *options: str, **environment: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Run the service; yields its URL and its process."""
    port = free_port()
    process = started(folder, "--port", str(port), *options, **environment)
    url = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 60  # two workers import everything again, on a busy machine
    while time.monotonic() < end:
        assert process.poll() is None, (folder / "serve.log").read_text()
        try:
            requests.get(f"{url}/livez", timeout=1)
            break
        except requests.RequestException:
            time.sleep(0.05)
    try:
        yield url, process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(30)


def say(url: str, session: str, message: str) -> Any:
    body = {"session_id": session, "message": message}
    return requests.post(f"{url}/api/llm/chat/session", json=body, timeout=30).json()


def respond(url: str, text: str, **options: Any) -> Any:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        return client.responses.create(model="agentkit", input=text, **options)


def test_settings_are_read_from_a_file_and_sessions_survive_a_restart(tmp_path: Path) -> None:
    with serve(reply) as server:
        (tmp_path / ".env").write_text(f"LLM_SERVER_URL={server.url}\nLLM_TEMPERATURE=0.1\nLLM_MAX_TOKENS=\n")
        with served(tmp_path) as (url, process):
            assert say(url, "s", "one")["response"] == "You are a: one"
            first = respond(url, "Hello", instructions="Be brief.")
            assert first.output_text == "Be brief.: Hello"
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        with served(tmp_path) as (url, _):
            assert say(url, "s", "two")["response"] == "You are a: one | two"
            assert respond(url, "again", previous_response_id=first.id).output_text == "Hello: Hello | again"
        assert (server.requests[-1].body["temperature"], server.requests[-1].body["max_tokens"]) == (0.1, 512)
    log = (tmp_path / "serve.log").read_text()
    assert "one" not in log
    assert '"POST /api/llm/chat/session HTTP/1.1" 200\n' in log
    assert "turn 1: default replied in " in log


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_unix_socket_is_listened_on_and_removed_in_the_end(tmp_path: Path, workers: str) -> None:
    """vllm-project/vllm#13907, Kludex/uvicorn#428: with several workers it was another address."""
    with tempfile.TemporaryDirectory() as folder:  # a short path: that of a socket has some hundred characters
        path = f"{folder}/a.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)  # as after kill -9: nobody listens there any more
        options = ["--host", f"unix:{path}", "--model", "extractive", "--workers", workers]
        process = started(tmp_path, *options)
        try:
            until(lambda: asked_at(path).startswith(b"HTTP/1.1 200 ") or process.poll() is not None, 60)
            again = started(tmp_path, *options)
            assert again.wait(60) == 1
            assert "address already in use" in (tmp_path / "serve.log").read_text()
            assert asked_at(path).endswith(b"ok")
        finally:
            process.terminate()
            process.wait(30)
        assert not Path(path).exists()


def asked_at(path: str) -> bytes:
    """The response of the service at a Unix socket; empty while there is none."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        try:
            client.connect(path)
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b"".join(iter(lambda: client.recv(4096), b""))
        except OSError:
            return b""


@pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")
def test_embedded_mqtt_uses_the_same_sessions_and_model(tmp_path: Path) -> None:
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        settings = {"LLM_SERVER_URL": server.url, "AGENTKIT_MQTT_PORT": str(broker.port)}
        games = Games(broker)
        with served(tmp_path, "--mqtt", "--projects", "general", **settings) as (url, _):
            end = time.monotonic() + 10
            while not games.got and time.monotonic() < end:
                games.ask("m", 1)
                games.wait(1, 1)
            assert games.of("m")[0].endswith(": m 1")
            assert say(url, "s", "one")["response"] == "You are a: one"
            assert requests.get(f"{url}/readyz", timeout=10).json() == {"status": "ok"}
            broker.stop()
            assert say(url, "s", "two")["response"] == "You are a: one | two"
            ready = requests.get(
                f"{url}/readyz", timeout=10
            )  # its own routes are answered: no reason to send no requests
            assert (ready.status_code, ready.json()["status"], "mqtt" in ready.json()) == (200, "degraded", True)
            broker.start()
        games.close()


def test_workers_share_sessions_and_metrics(tmp_path: Path) -> None:
    def numbered(asked: Asked) -> Any:
        return whole(str(sum(message["role"] == "user" for message in asked.body["messages"])))

    with serve(numbered) as server:
        with served(tmp_path, "--workers", "2", LLM_SERVER_URL=server.url) as (url, _):
            answers = [say(url, "s", f"message {number}")["response"] for number in range(12)]
            metrics = requests.get(f"{url}/metrics", timeout=5).text
    assert 'agentkit_answers_total{stopped="answer"} 12.0' in metrics
    assert "agentkit_runs 0.0" in metrics
    assert answers == [str(number) for number in range(1, 13)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_progress_finish_before_the_process_exits(tmp_path: Path, number: int) -> None:
    def slow(asked: Asked) -> Any:
        return replace(reply(asked), delay=1.0)

    answers_received: list[Any] = []
    with serve(slow) as server, served(tmp_path, LLM_SERVER_URL=server.url) as (url, process):
        asking = threading.Thread(target=lambda: answers_received.append(say(url, "s", "one")))
        asking.start()
        until(lambda: server.requests)
        process.send_signal(number)
        assert process.wait(30) == 0
        asking.join()
    assert answers_received[0]["response"] == "You are a: one"


@pytest.mark.parametrize("listens", [True, False], ids=["listening", "bound"])
def test_a_port_in_use_ends_the_program_before_it_says_that_it_serves(tmp_path: Path, listens: bool) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(listens))
        other.bind(("127.0.0.1", 0))
        if listens:
            other.listen()
        port = str(other.getsockname()[1])
        command = [*forked_cli.command(), "serve", "--model", "extractive", "--port", port]
        environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env=environment, cwd=tmp_path, check=False
        )
    assert done.returncode == 1
    assert done.stderr == f"agentkit: can't listen on 127.0.0.1:{port}: address already in use\n"


def test_the_embedded_model_needs_no_model_server(tmp_path: Path) -> None:
    (tmp_path / "facts.md").write_text("# Tides\n\nThe tides of the North Sea follow the moon.\n")
    with served(tmp_path, "--model", "extractive", "--docs", str(tmp_path)) as (url, _):
        assert requests.get(f"{url}/api/llm/health", timeout=5).json()["status"] == "ok"
        answer = say(url, "s", "What do the tides of the North Sea follow?")
    assert "follow the moon" in answer["response"], json.dumps(answer)
