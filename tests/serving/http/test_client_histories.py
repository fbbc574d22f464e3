"""The messages of a client of the OpenAI-compatible API: they are sent whole, whatever their order, or refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit import tool
from tests.support.http_service import Service, serve_http, settings_for
from tests.support.llama_server import LlamaServer
from tests.support.model_server import Answer, Asked, ModelServer, calls, serve, whole

CALL = {"id": "a", "type": "function", "function": {"name": "mine", "arguments": '{"x": 1}'}}


@pytest.fixture(scope="module")
def echo() -> Iterator[ModelServer]:
    with serve([whole("Yes.")]) as server:
        yield server


@pytest.fixture(scope="module")
def service(echo: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serve_http(settings_for(tmp_path_factory.mktemp("echo"), echo.url, llm_max_history_tokens=100)) as running:
        yield running


def complete(service: Service, messages: list[Any], **fields: Any) -> Any:
    body = {"model": "agentkit", "messages": messages, **fields}
    return service.ask("POST", "/v1/chat/completions", body)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_a_long_history_is_sent_whole(service: Service, echo: ModelServer) -> None:
    messages = []
    for turn in range(60):
        messages += [user(f"{turn} " + "word " * 500), {"role": "assistant", "content": f"answer {turn}"}]
    messages.append(user("And?"))
    assert complete(service, messages).status_code == 200
    assert echo.requests[-1].body["messages"] == messages


HISTORIES: dict[str, list[Any]] = {
    "a system message at the end": [user("Hi"), {"role": "system", "content": "Be brief."}],
    "a system message in the middle": [user("Hi"), {"role": "system", "content": "Be brief."}, user("Now?")],
    "a system message behind an answer": [
        *(user("Hi"), {"role": "assistant", "content": "Hello"}),
        {"role": "system", "content": "Ask back."},
    ],
    "instructions alone": [{"role": "system", "content": "Greet the user."}],
    "an answer that is begun": [user("Count."), {"role": "assistant", "content": "One, two,"}],
    "results of tools": [
        user("Hi"),
        {"role": "assistant", "content": "I look.", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    ],
    "two questions in a row": [user("Hi"), user("Are you there?")],
}


@pytest.mark.parametrize("messages", HISTORIES.values(), ids=list(HISTORIES))
def test_a_history_reaches_the_model_server_as_it_is(messages: list[Any], service: Service, echo: ModelServer) -> None:
    response = complete(service, messages)
    assert response.status_code == 200, response.text
    assert response.json()["choices"][0]["message"]["content"] == "Yes."
    assert echo.requests[-1].body["messages"] == messages


@pytest.mark.parametrize("content", ["", None, []], ids=["text", "null", "list"])
def test_an_empty_answer_at_the_end_is_no_answer(content: Any, service: Service, echo: ModelServer) -> None:
    assert complete(service, [user("Hi"), {"role": "assistant", "content": content}]).status_code == 200
    assert echo.requests[-1].body["messages"] == [user("Hi")]
    alone = complete(service, [{"role": "assistant", "content": content}])
    assert (alone.status_code, alone.json()["error"]["param"]) == (400, "messages")


def test_the_deprecated_form_of_calls_is_taken(service: Service, echo: ModelServer) -> None:
    old = {"role": "assistant", "content": None, "function_call": CALL["function"]}
    messages = [user("Hi"), old, {"role": "function", "name": "mine", "content": "1"}, user("And?")]
    assert complete(service, messages).status_code == 200
    assert [each["role"] for each in echo.requests[-1].body["messages"]] == ["user", "assistant", "tool", "user"]


def test_what_the_model_server_finds_too_long_is_a_400_with_its_code(tmp_path: Path) -> None:
    words = b'{"error": {"message": "This model\'s maximum context length is 4096 tokens", "code": 400}}'
    with serve([Answer(words, status=400)]) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        for stream in (False, True):
            response = complete(service, [user("Hi")], stream=stream)
            assert response.status_code == 400
            assert response.json()["error"]["code"] == "context_length_exceeded"
        assert len(server.requests) == 2


def test_a_real_model_server_continues_an_answer_and_refuses_what_is_too_long(
    llama: LlamaServer, tmp_path: Path
) -> None:
    with serve_http(settings_for(tmp_path, llama.url)) as service:
        begun = [user("Hello"), {"role": "assistant", "content": "Well"}]
        assert complete(service, begun, max_tokens=4).status_code == 200
        refused = complete(service, [user("word " * 20_000)])
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "context_length_exceeded")


def test_results_of_the_services_tools_are_shortened_before_the_history_is_refused(tmp_path: Path) -> None:
    words = b'{"error": {"message": "This model\'s maximum context length is 4096 tokens", "code": 400}}'
    messages = [user("word " * 600), {"role": "assistant", "content": "Yes"}, user("Look up")]

    def answer(asked: Asked) -> Answer:
        if len(asked.raw) > 9000:
            return Answer(words, status=400)
        made = sum(each["role"] == "tool" for each in asked.body["messages"])
        return calls(("long", {"number": made})) if made < 3 else whole("Done.")

    tools = ("tests.serving.http.test_client_histories:long",)
    with serve(answer) as server, serve_http(settings_for(tmp_path, server.url, agentkit_tools=tools)) as service:
        response = complete(service, messages)
        assert response.json()["choices"][0]["message"]["content"] == "Done."
        assert server.requests[-1].body["messages"][:3] == messages
        assert "left out to save space" in str(server.requests[-1].body["messages"])


@tool(read_only=True)
def long(number: int) -> str:
    """Give a long text.

    Args:
        number: Which.
    """
    return f"{number} " + "text " * 500
