"""The OpenAI API of a service without a language model: what would change its answer is refused by name, and what
clients send of their own accord is taken."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.http_service import Service, serve_http, settings_for


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "tides.txt").write_text("Tides are caused by the moon.")
    settings = settings_for(folder, "http://127.0.0.1:1", agentkit_model="extractive", agentkit_docs=str(folder))
    with serve_http(settings) as running:
        yield running


WEATHER = {"type": "function", "function": {"name": "weather"}}
QUESTION = {"model": "agentkit", "messages": [{"role": "user", "content": "What causes tides?"}]}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"temperature": 0.2, "top_p": 1, "max_tokens": 9, "presence_penalty": 0.5}, id="sampling"),
        pytest.param({"user": "a", "store": False, "metadata": {}, "service_tier": "auto"}, id="about the request"),
        pytest.param({"stream_options": {"include_usage": True}, "parallel_tool_calls": False}, id="transport"),
        pytest.param({"reasoning_effort": "low", "verbosity": "low", "enable_thinking": False}, id="thinking"),
        pytest.param({"response_format": {"type": "text"}, "logprobs": False, "stop": None, "n": 2}, id="defaults"),
        pytest.param({"tool_choice": "auto", "tools": []}, id="free choice"),
        pytest.param({"tool_choice": "none"}, id="no tools"),
    ],
)
def test_what_every_client_sends_is_taken(fields: Any, service: Service) -> None:
    response = service.ask("POST", "/v1/chat/completions", {**QUESTION, **fields})
    assert response.status_code == 200, response.text
    assert ("moon" in response.text) is (fields != {"tool_choice": "none"})


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"seed": 1}, id="seed"),
        pytest.param({"stop": ["x"]}, id="stop"),
        pytest.param({"logprobs": True}, id="logprobs"),
        pytest.param({"logit_bias": {"1": 1}}, id="logit_bias"),
        pytest.param({"response_format": {"type": "json_object"}}, id="response_format"),
        pytest.param({"tool_choice": "required", "tools": [WEATHER]}, id="tool_choice"),
        pytest.param({"grammar": "root ::= x"}, id="a field of a model server"),
        pytest.param({"foo": 1}, id="an unknown field"),
    ],
)
def test_what_would_change_the_answer_is_a_400_that_names_it(fields: Any, service: Service) -> None:
    response = service.ask("POST", "/v1/chat/completions", {**QUESTION, **fields})
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, next(iter(fields)), "unsupported_parameter")


def test_the_responses_api_names_its_own_fields(service: Service) -> None:
    body = {"model": "agentkit", "input": "What causes tides?", "reasoning": {"effort": "low"}}
    assert "moon" in service.ask("POST", "/v1/responses", body).text
    refused = service.ask("POST", "/v1/responses", {**body, "text": {"format": {"type": "json_object"}}})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "text.format")
