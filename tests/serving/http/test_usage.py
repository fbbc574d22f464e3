"""What each subject spends: in /metrics, in its own history, and in that of its sessions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.limits import Usage
from agentkit.serving.http.keys import Keys
from agentkit.serving.http.metrics import MAX_SUBJECTS, OTHERS, Metrics
from tests.serving.http.test_auth import SECRET, token
from tests.support.http_service import Service, serve_http, settings_for, talk
from tests.support.model_server import ModelServer, serve, whole

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
