"""Answers that are kept for the same question."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.serving.answer_cache import MAX_ANSWERS, MAX_BYTES, MemoryAnswers, RedisAnswers
from tests.support.http_service import LOOK_UP, Service, serve_http, settings_for
from tests.support.model_server import Answer, Asked, ModelServer, calls, delta, serve, streamed, whole
from tests.support.redis_server import serve_redis

CHAT = "/v1/chat/completions"


@pytest.fixture
def model() -> Iterator[ModelServer]:
    def answer(asked: Asked) -> Answer:
        last = asked.body["messages"][-1]
        if last["role"] == "user" and "look up" in last["content"]:
            return calls(("look_up", {"topic": "tides"}))
        if last["content"] == "much":
            return whole("cut of", finish_reason="length")
        usage = {"prompt_tokens": 10, "completion_tokens": 3}
        number = len(server.requests)
        if asked.body.get("stream"):
            return streamed(delta(content=f"answer {number}"), {**delta("stop"), "usage": usage})
        return whole(f"answer {number}", usage=usage)

    with serve(answer) as server:
        yield server


@pytest.fixture
def service(tmp_path: Path, model: ModelServer) -> Iterator[Service]:
    limited = {"llm_max_tokens": 512}  # set, so that it holds for all APIs of the service, which then ask the same
    settings = settings_for(tmp_path, model.url, agentkit_tools=(LOOK_UP,), agentkit_answer_cache_seconds=60, **limited)
    with serve_http(settings) as running:
        yield running


def said(service: Service, text: str = "Hello", **fields: Any) -> tuple[str, bool]:
    """What the answer to a text is, and whether it was kept."""
    body = {"messages": [{"role": "user", "content": text}], "temperature": 0, **fields}
    response = service.ask("POST", CHAT, body)
    assert response.status_code == 200, response.text
    made = response.json()
    if made.get("cached"):
        assert made["usage"]["total_tokens"] == 0
    return made["choices"][0]["message"]["content"], made.get("cached", False)


def test_the_same_question_at_temperature_0_is_answered_once(service: Service, model: ModelServer) -> None:
    assert said(service) == ("answer 1", False)
    assert said(service) == ("answer 1", True)
    body = {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0.0}
    stream = service.ask("POST", CHAT, {**body, "stream": True}).text
    frames = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]
    assert "".join(each["choices"][0]["delta"].get("content", "") for each in frames) == "answer 1"
    assert [each["choices"][0]["finish_reason"] for each in frames if each.get("cached")] == ["stop"]
    assert service.ask("POST", "/api/llm/chat", body).json()["cached"]
    assert len(model.requests) == 1
    assert "agentkit_cache_hits_total 3.0" in service.ask("GET", "/metrics").text


def test_whatever_the_model_is_sent_tells_questions_apart(service: Service) -> None:
    """Continuum-AI-Corp/OrcaRouter-Lite#84, theopenco/llmgateway#3747: limits, stops and tools were not part of it."""
    tool = {"type": "function", "function": {"name": "mine", "parameters": {"type": "object", "properties": {}}}}
    variants: list[dict[str, Any]] = [
        {},
        {"text": "Bye"},
        {"max_tokens": 5},
        {"seed": 1},
        {"stop": ["x"]},
        {"tools": [tool]},
        {"tool_choice": "none"},
        {"top_p": 0.1},
    ]
    first = [said(service, **fields) for fields in variants]
    assert [was_kept for _, was_kept in first] == [False] * len(variants)
    assert [said(service, **fields) for fields in variants] == [(text, True) for text, _ in first]


def test_no_other_answer_is_kept(service: Service, model: ModelServer) -> None:
    for fields in ({"temperature": 0.1}, {"temperature": None}, {"text": "much"}, {"text": "look up tides"}):
        before = len(model.requests)
        assert [said(service, **fields)[1] for _ in range(2)] == [False, False]
        asked = len(model.requests) - before
        assert asked == (4 if "look up" in str(fields) else 2)


def test_the_services_own_temperature_counts_where_a_request_has_none(tmp_path: Path, model: ModelServer) -> None:
    """Continuum-AI-Corp/OrcaRouter-Lite#84: a temperature that was omitted counted as 0."""
    with serve_http(settings_for(tmp_path, model.url, agentkit_answer_cache_seconds=60, llm_temperature=0)) as service:
        assert [said(service, temperature=None)[1] for _ in range(2)] == [False, True]
        assert [said(service, temperature=0.7)[1] for _ in range(2)] == [False, False]


def test_nothing_is_kept_unless_set(tmp_path: Path, model: ModelServer) -> None:
    with serve_http(settings_for(tmp_path, model.url)) as service:
        assert [said(service), said(service)] == [("answer 1", False), ("answer 2", False)]


def test_answers_in_memory_are_bounded_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryAnswers(60)
    for number in range(MAX_ANSWERS + 5):
        store.set(str(number), "x")
    assert (store.get("4"), store.get("5")) == (None, "x")
    for number in range(200):
        store.set(f"large {number}", "x" * 200_000)
    assert store._size <= MAX_BYTES
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    assert store.get("large 199") is None
    store.set("new", "y")
    assert (len(store._answers), store._size) == (1, 1)


def test_answers_in_redis_are_shared_and_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.serving.answer_cache.MAX_ANSWERS", 3)
    with serve_redis(tmp_path) as redis:
        one, two = RedisAnswers(60, redis.url), RedisAnswers(60, redis.url)
        for number in range(5):
            one.set(str(number), f"ö{number}")
        kept = [two.get(str(number)) for number in range(5)]
        assert (sum(each is not None for each in kept), two.get("none")) == (3, None)
        server = one._client.server
        assert all(0 < server.ttl(key) <= 60 for key in server.scan_iter("*answers*"))
    assert two.get("0") is None  # it is down: no answer, and no error
