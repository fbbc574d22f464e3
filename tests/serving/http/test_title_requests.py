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

QUESTIONS = (
    "Create a Jira ticket from this conversation with a short title and a description.",
    "Give me the title of the most cited paper on dialogue systems, only the title.",
    "Create a calendar event from the following message with a short title: Lunch with Ann tomorrow at 12.",
    "Generate a title for this text and post it to the CMS; keep it short.",
    "Return only the titles of all documents about conversations with suppliers.",
    "Write a short title for this conversation and email the summary to Bob.",
    "Find the brief title of the session on dialogue at the conference.",
    "Open an issue with a brief title for the question in this thread.",
    "Create a concise page title for the chat widget on our site",
    "Give a brief title of the thread in the forum about tides",
    "Write only the title of the exchange-traded fund",
    "Give me only the title of the first question in the exam paper",
)
INSTRUCTIONS = (
    "You help with our documents. Give each new conversation a short title as its first line.",
    "You are helpful. Start with a short title for the conversation and then answer the question.",
)


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
            got = service.ask("POST", "/v1/chat/completions", body)
            assert got.status_code == 200
            assert got.headers["X-Tools-Not-Offered"] == "all"
            (sent,) = model.requests[before:]
            assert "tools" not in sent.body
    before = len(model.requests)
    body = {"messages": CASES["after a title"]["messages"], "tools": [], "tool_choice": "auto"}
    got = service.ask("POST", "/v1/chat/completions", body)
    assert got.status_code == 200
    assert "X-Tools-Not-Offered" not in got.headers
    assert len(model.requests) - before == 2


def test_where_it_is_switched_off_tools_are_offered_for_a_title_too(folder: Path, model: ModelServer) -> None:
    settings = settings_for(folder, model.url, agentkit_tools=(LOOK_UP,), agentkit_title_requests=False)
    with serve_http(settings) as service:
        body = {"messages": CASES["librechat"]["messages"]}
        got = service.ask("POST", "/v1/chat/completions", body)
    assert got.status_code == 200
    assert "X-Tools-Not-Offered" not in got.headers
    assert model.requests[0].body["tools"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_about_titles_is_no_request_for_that_of_the_conversation(question: str) -> None:
    assert not is_title_request([{"role": "user", "content": question}])


@pytest.mark.parametrize("told", INSTRUCTIONS)
def test_instructions_that_mention_titles_take_no_tools(told: str) -> None:
    question = {"role": "user", "content": "How many people live in Oslo? Look it up."}
    assert not is_title_request([{"role": "system", "content": told}, question])


@pytest.mark.parametrize("piece", ["title ", "1 ", "\n \n", "analyze this conversation and provide:  "], ids=range(4))
def test_a_hostile_text_is_read_in_linear_time(piece: str) -> None:
    assert_linear(lambda size: is_title_request([{"role": "user", "content": piece * size}]), 20_000)
