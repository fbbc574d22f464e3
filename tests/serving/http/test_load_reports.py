"""What users of such services have reported of them under load and behind proxies, tried on this one."""

import gc
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from agentkit.serving.exchange import Answer, UserInput
from agentkit.serving.http import model_server
from agentkit.serving.http.keys import Keys
from agentkit.serving.http.sse import EventStream
from agentkit.serving.http.updates import Ending, Updates
from tests.support.http_service import Service, reply, serve_http, settings_for
from tests.support.model_server import Answer as ModelAnswer
from tests.support.model_server import Asked, serve
from tests.support.waiting import until

COMPLETIONS = "/v1/chat/completions"
POOL = 40
"""How many threads FastAPI has for what is not asynchronous."""


def answer(asked: Asked) -> ModelAnswer:
    text = str(asked.body["messages"][-1]["content"])
    return replace(reply(asked), delay=0.3) if text == "slow" else reply(asked)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serve(answer) as server, serve_http(settings_for(tmp_path_factory.mktemp("service"), server.url)) as made:
        yield made


def asked(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


@pytest.mark.parametrize("path", [COMPLETIONS, "/api/llm/chat/stream", "/v1/responses"])
def test_proxies_are_told_to_pass_a_stream_on_as_it_is(service: Service, path: str) -> None:
    """seaavey/SRouter#104, mattrobinsonsre/terrapod#71: those that compress what they pass on (Next.js, Express) hold
    back the first tokens until there is enough for a block."""
    body = {"input": "hi", "stream": True} if path == "/v1/responses" else asked("hi", stream=True)
    streamed = service.ask("POST", path, body, stream=True)
    assert {"no-cache", "no-transform"} <= set(streamed.headers["cache-control"].split(", "))
    assert streamed.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_nothing_of_an_answer_waits_for_the_garbage_collector(service: Service, stream: bool) -> None:
    """sysid/sse-starlette#142: responses referred to themselves, and stayed until it came."""
    kinds = (EventStream, Answer, UserInput, Updates, Ending, requests.Response)

    def kept() -> int:
        return sum(isinstance(each, kinds) for each in gc.get_objects())

    def ask() -> None:
        with service.ask("POST", COMPLETIONS, asked("hi", stream=stream)) as answered:
            assert answered.status_code == 200, answered.text

    ask()
    gc.collect()
    gc.disable()
    try:
        before = kept()
        for _ in range(10):
            ask()
        until(lambda: service.app.state.service.runs.count == 0)
        until(lambda: kept() <= before + 2)  # of the last one a thread may still know
    finally:
        gc.enable()


def test_a_store_that_hangs_leaves_the_service_alive_for_others(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """onyx-dot-app/onyx#8314: where all threads waited, the liveness probe did too, and the service was restarted."""
    goes_on = threading.Event()
    conversations = service.app.state.service.conversations
    monkeypatch.setattr(conversations, "list", lambda _: goes_on.wait(30) and [])
    lists = [threading.Thread(target=service.ask, args=("GET", "/api/llm/chat/sessions")) for _ in range(POOL + 10)]
    for each in lists:
        each.start()
    try:
        assert requests.get(f"{service.url}/livez", timeout=5).status_code == 200
        answered = requests.post(service.url + COMPLETIONS, json=asked("hi"), timeout=10)
        assert answered.status_code == 200
        streamed = requests.post(service.url + COMPLETIONS, json=asked("hi", stream=True), timeout=10)
        assert streamed.text.endswith("data: [DONE]\n\n")
    finally:
        goes_on.set()
        for each in lists:
            each.join()


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_clients_that_leave_before_the_response_begins_leave_no_place_taken(tmp_path: Path, stream: bool) -> None:
    """stemdeckapp/stemdeck#513: a generator that was never begun gave nothing back, and the places for streams ran out
    for all."""
    with serve(answer) as server, serve_http(settings_for(tmp_path, server.url, agentkit_max_runs=3)) as service:
        body = json.dumps(asked("slow", stream=stream)).encode()
        head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        sent = head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2])), 20) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not closed
                client.sendall(sent)
        until(lambda: service.ask("POST", COMPLETIONS, asked("hi", stream=stream)).status_code == 200)
        until(lambda: service.app.state.service.runs.count == 0)


def test_a_model_server_that_is_slow_to_list_its_models_fails_no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes waits one second for a probe (modelplaneai/modelplane#206)."""
    found: list[tuple[float, str | None]] = [(0.0, None), (2.0, "it hangs"), (0.0, None)]

    def check(url: str) -> str | None:
        seconds, problem = found.pop(0)
        time.sleep(seconds)
        return problem

    monkeypatch.setattr(model_server, "CACHE_SECONDS", 0.0)
    server = model_server.ModelServer("http://127.0.0.1:9/v1")
    monkeypatch.setattr(server, "_check", check)
    assert server.problem() is None
    began = time.monotonic()
    assert server.problem() is None, "what was found before, while it is asked"
    assert server.problem() is None
    assert time.monotonic() - began < 0.9
    until(lambda: not any(each.name == "agentkit-model" for each in threading.enumerate()))
    assert server._problem == "it hangs"
    assert server.problem() is None


def test_checks_of_a_model_server_that_hangs_leave_threads_to_others(tmp_path: Path) -> None:
    hung = socket.create_server(("127.0.0.1", 0), backlog=512)  # accepts, and never answers
    key = Keys(tmp_path / "keys.json").add("ann")
    with hung, serve_http(settings_for(tmp_path, f"http://127.0.0.1:{hung.getsockname()[1]}")) as service:
        with ThreadPoolExecutor(80) as checks:
            asked = [checks.submit(service.ask, "GET", "/readyz", key="") for _ in range(80)]
            until(lambda: service.app.state.service.limiters["checks"].statistics().tasks_waiting > 0)
            assert service.ask("GET", "/api/llm/chat/sessions", key=key).status_code == 200
            assert not all(each.done() for each in asked)
            assert {each.result().status_code for each in asked} == {503}
