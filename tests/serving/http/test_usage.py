"""What each subject spends: in /metrics, in its own history, and in that of its sessions."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import SessionError
from agentkit.limits import Usage
from agentkit.serving.http.keys import Keys
from agentkit.serving.http.metrics import MAX_SUBJECTS, OTHERS, Metrics
from agentkit.serving.usage_history import UsageHistory
from agentkit.sessions import MemorySessions
from tests.serving.http.test_auth import SECRET, token
from tests.support.http_service import LOOK_UP, Service, serve_http, settings_for, talk
from tests.support.model_server import Answer, Asked, ModelServer, calls, delta, serve, streamed, whole

USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13, "cost": 0.25}
HELLO = {"messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with serve(lambda asked: whole("Hi", usage=USAGE)) as server:
        yield server


def lines(service: Service, key: str, start: str = "agentkit_subject_") -> list[str]:
    text = service.ask("GET", "/metrics", key=key).text
    return [line for line in text.splitlines() if line.startswith(start) and "_created" not in line]


def test_usage_and_cost_are_told_by_subject(tmp_path: Path, model: ModelServer) -> None:
    keys = Keys(tmp_path / "keys.json")
    ann, bob = keys.add("ann"), keys.add("bob")
    jwt = {"agentkit_jwt_secret": SECRET, "agentkit_jwt_audience": "chat"}
    with serve_http(settings_for(tmp_path, model.url, **jwt)) as service:
        cid = token(sub="cid")
        for key, path in (
            (ann, "/v1/chat/completions"),
            (ann, "/api/llm/chat"),
            (bob, "/api/llm/chat"),
            (cid, "/api/llm/chat"),
        ):
            assert service.ask("POST", path, HELLO, key=key).status_code == 200
        service.key = bob
        talk(service, "s", "Hello")
        found = lines(service, ann)
        assert 'agentkit_subject_tokens_total{kind="input",subject="key:ann"} 20.0' in found
        assert 'agentkit_subject_tokens_total{kind="output",subject="key:bob"} 6.0' in found
        assert 'agentkit_subject_cost_total{subject="key:ann"} 0.5' in found
        assert 'agentkit_subject_answers_total{subject="jwt:cid"} 1.0' in found
        assert not [line for line in lines(service, cid) if "key:" in line]
        assert 'agentkit_subject_answers_total{subject="jwt:cid"} 1.0' in lines(service, cid)
        assert not [line for line in lines(service, ann, "") if ann in line or cid in line]
        history = service.ask("GET", "/api/llm/chat/session/s/history").json()
        assert (history["usage"]["input_tokens"], history["usage"]["cost"]) == (10, 0.25)
    with serve_http(settings_for(tmp_path, model.url)) as service:  # it outlives the process
        service.ask("POST", "/v1/chat/completions", HELLO, key=ann)
        spent: Any = service.ask("GET", "/api/llm/usage", key=ann).json()
        assert (spent["subject"], spent["total"]["answers"], spent["total"]["usage"]["cost"]) == ("key:ann", 3, 0.75)
        assert sum(day["usage"]["input_tokens"] for day in spent["days"]) == 30
        assert service.ask("GET", "/api/llm/usage", key=bob).json()["total"]["answers"] == 2


def test_the_number_of_subjects_in_metrics_is_bounded(tmp_path: Path, model: ModelServer) -> None:
    with serve_http(settings_for(tmp_path, model.url)) as service:
        metrics: Metrics = service.app.state.service.metrics
        for number in range(MAX_SUBJECTS + 50):
            metrics.note_usage(Usage(), f"jwt:{number}")
        text = metrics.text().decode()
        assert text.count("agentkit_subject_answers_total{") == MAX_SUBJECTS + 1
        assert f'agentkit_subject_answers_total{{subject="{OTHERS}"}} 50.0' in text
        assert metrics._label_of("jwt:0") == "jwt:0"


def test_metrics_are_read_with_all_that_was_counted_before(tmp_path: Path, model: ModelServer) -> None:
    """Also by several readers at once, and where a backend of a program counts backwards."""
    with serve_http(settings_for(tmp_path, model.url)) as service:
        metrics: Metrics = service.app.state.service.metrics
        counted = 0.0

        def count() -> None:
            for _ in range(500):
                metrics.note_usage(Usage(1, 3, output_tokens=-1, cost=0.5), "key:ann")

        counting = [threading.Thread(target=count) for _ in range(4)]
        for each in counting:
            each.start()
        while any(each.is_alive() for each in counting):
            (line,) = lines_of(metrics, 'agentkit_subject_tokens_total{kind="input",subject="key:ann"}')
            now = float(line.split()[1])
            assert now >= counted
            counted = now
        for name, value in (
            ('agentkit_subject_tokens_total{kind="input",subject="key:ann"}', 6000.0),
            ('agentkit_subject_tokens_total{kind="output",subject="key:ann"}', 0.0),
            ('agentkit_tokens_total{kind="input"}', 6000.0),
            ('agentkit_subject_answers_total{subject="key:ann"}', 2000.0),
            ('agentkit_subject_cost_total{subject="key:ann"}', 1000.0),
        ):
            assert lines_of(metrics, name) == [f"{name} {value}"]


def lines_of(metrics: Metrics, start: str) -> list[str]:
    return [line for line in metrics.text().decode().splitlines() if line.startswith(start)] or [f"{start} 0"]


def test_usage_waits_while_the_store_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    history = UsageHistory(MemorySessions())

    def fail(*_: Any) -> None:
        raise SessionError("it is down")

    with monkeypatch.context() as patch:
        patch.setattr(MemorySessions, "_append_marked", fail)
        history.note("key:ann", Usage(1, 10, cost=0.25))
        history.write()
    history.note("key:ann", Usage(1, 10, cost=0.5))
    history.note("key:bob", Usage(1, 5))
    (spent,) = history.of("key:ann").values()
    assert (spent.answers, spent.usage.input_tokens, spent.usage.cost) == (2, 20, 0.75)
    assert history.of("key:cid") == {}


def test_what_a_client_spent_before_it_left_is_counted(tmp_path: Path) -> None:
    """theopenco/llmgateway#3331: a stream that was closed before its end was free."""
    arrived = threading.Event()

    def answer(asked: Asked) -> Answer:
        if asked.body["messages"][-1]["role"] == "user":
            return calls(("look_up", {"topic": "tides"}), usage=USAGE)
        arrived.set()
        return streamed(*(delta(content="word ") for _ in range(2000)), piece=200, pause=0.02)

    key = Keys(tmp_path / "keys.json").add("ann")
    with serve(answer) as server, serve_http(settings_for(tmp_path, server.url, agentkit_tools=(LOOK_UP,))) as service:
        body = {**HELLO, "stream": True}
        with service.ask("POST", "/v1/chat/completions", body, key=key, stream=True):
            assert arrived.wait(10)
        end = time.monotonic() + 10
        while not (found := lines(service, key, "agentkit_subject_answers")) and time.monotonic() < end:
            time.sleep(0.05)
        assert found == ['agentkit_subject_answers_total{subject="key:ann"} 1.0']
        assert 'agentkit_subject_tokens_total{kind="input",subject="key:ann"} 10.0' in lines(service, key)
