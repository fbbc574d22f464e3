"""What chat front ends ask beside a conversation costs one model call: no tool of the service is offered for it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.serving.http.openai.title_requests import is_title_request
from tests.support.growth import assert_linear
from tests.support.http_service import LOOK_UP, Service, serve_http, settings_for
from tests.support.model_server import Answer, Asked, ModelServer, calls, delta, serve, streamed, whole

CASES = {
    case["name"]: case
    for case in map(
        json.loads, (Path(__file__).parents[2] / "cases" / "front_ends.jsonl").read_text("utf-8").splitlines()
    )
}
"""Requests that front ends send beside a conversation ("aside"), and questions that look a little like them."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("titles")


@pytest.fixture
def model() -> Iterator[ModelServer]:
    """A model that calls a tool for whatever it is asked, if it has one."""

    def answer(asked: Asked) -> Answer:
        if asked.body.get("tools") and asked.body["messages"][-1]["role"] == "user":
            return calls(("look_up", {"topic": "tides"}))
        return streamed(delta(content="Tides"), delta("stop")) if asked.body.get("stream") else whole("Tides")

    with serve(answer) as server:
        yield server


@pytest.fixture
def service(folder: Path, model: ModelServer) -> Iterator[Service]:
    with serve_http(settings_for(folder, model.url, agentkit_tools=(LOOK_UP,))) as running:
        yield running


@pytest.mark.parametrize("name", CASES)
def test_a_request_of_a_front_end_is_told_from_a_question(name: str) -> None:
    assert is_title_request(CASES[name]["messages"]) is CASES[name]["aside"]


def test_such_a_request_costs_one_model_call_and_a_question_runs_tools(service: Service, model: ModelServer) -> None:
    for stream in (False, True):
        for name in ("open-webui title", "librechat", "lobechat"):
            before = len(model.requests)
            body = {"messages": CASES[name]["messages"], "stream": stream, "max_tokens": 50}
            assert service.ask("POST", "/v1/chat/completions", body).status_code == 200
            (sent,) = model.requests[before:]
            assert "tools" not in sent.body
    before = len(model.requests)
    body = {"messages": CASES["after a title"]["messages"], "tools": [], "tool_choice": "auto"}
    assert service.ask("POST", "/v1/chat/completions", body).status_code == 200
    assert len(model.requests) - before == 2


@pytest.mark.parametrize("piece", ["title ", "1 ", "\n \n", "analyze this conversation and provide:  "], ids=range(4))
def test_a_hostile_text_is_read_in_linear_time(piece: str) -> None:
    assert_linear(lambda size: is_title_request([{"role": "user", "content": piece * size}]), 20_000)
