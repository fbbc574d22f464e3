"""Requests to /v1/chat/completions that are written as another API has them, as Cursor and others write them."""

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from agentkit.serving.http.openai.responses.as_chat import as_chat
from tests.serving.http.test_client_tools import WEATHER, user
from tests.support.http_service import LOOK_UP, Service
from tests.support.model_server import calls, delta, streamed, whole
from tests.support.scripted_agent import agent

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FLAT = {"type": "function", "name": "weather", "description": "The weather.", "parameters": SCHEMA, "strict": False}
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}
FLAT_CUSTOM = {"type": "custom", "name": "patch", "description": "Apply a patch.", "format": GRAMMAR}
CUSTOM = {"type": "custom", "custom": {"name": "patch", "format": {"type": "grammar", "grammar": GRAMMAR}}}


def ask(service: Service, **fields: Any) -> Any:
    return service.ask("POST", "/v1/chat/completions", {"model": "agentkit", **fields})


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "required"}, "required"),
        ({"type": "any"}, "required"),
        ("any", "required"),
        ({"type": "tool", "name": "weather"}, "required"),
    ],
)
def test_a_choice_of_tools_may_be_written_as_an_object(choice: Any, sent: str, tmp_path: Path) -> None:
    """BerriAI/litellm#12168: Cursor sends {"type": "auto"}, and was refused."""
    with agent(tmp_path, [whole("Hi")]) as (service, server):
        response = ask(service, messages=[user("x")], tools=[WEATHER], tool_choice=choice)
        assert response.status_code == 200, response.text
        assert server.requests[0].body["tool_choice"] == sent


def test_the_choice_none_as_an_object_takes_the_tools_away(tmp_path: Path) -> None:
    with agent(tmp_path, [whole("Hi")], agentkit_tools=(LOOK_UP,)) as (service, server):
        assert ask(service, messages=[user("x")], tools=[WEATHER], tool_choice={"type": "none"}).status_code == 200
        assert "tools" not in server.requests[0].body


@pytest.mark.parametrize("choice", [{"type": "sometimes"}, {}, {"type": ["auto"]}, "sometimes", True, {"type": None}])
def test_another_choice_is_still_refused(choice: Any, tmp_path: Path) -> None:
    with agent(tmp_path, [whole("Hi")]) as (service, server):
        response = ask(service, messages=[user("x")], tools=[WEATHER], tool_choice=choice)
        assert response.status_code == 400
        assert response.json()["error"]["param"] == "tool_choice"
        assert not server.requests


@pytest.mark.parametrize(
    "entry",
    [
        FLAT,
        {key: value for key, value in FLAT.items() if key != "type"},
        {"name": "weather", "description": "The weather.", "input_schema": SCHEMA},
        {"type": "custom", "name": "weather", "input_schema": SCHEMA},
    ],
    ids=["flat", "flat without a type", "Anthropic's", "Anthropic's with a type"],
)
def test_a_function_may_have_its_fields_beside_the_type(entry: Any, tmp_path: Path) -> None:
    """icebear0828/codex-proxy#507, router-for-me/CLIProxyAPI#658: refused, since `function` was missing."""
    with agent(tmp_path, [calls(("weather", {"city": "Rome"}))]) as (service, server):
        made = ask(service, messages=[user("x")], tools=[entry]).json()["choices"][0]
        sent = server.requests[0].body["tools"][0]
        assert (sent["type"], sent["function"]["name"], sent["function"]["parameters"]) == (
            "function",
            "weather",
            SCHEMA,
        )
        assert sent.keys() == {"type", "function"}
        (call,) = made["message"]["tool_calls"]
        assert (call["type"], call["function"]["name"]) == ("function", "weather")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("tool", [FLAT_CUSTOM, CUSTOM], ids=["flat", "nested"])
def test_a_custom_tool_is_called_with_a_text_and_its_result_comes_back(tool: Any, stream: bool, tmp_path: Path) -> None:
    """archestra-ai/archestra#7375, BerriAI/litellm#34029: Cursor's tool for patches was refused."""
    patch = "*** Begin Patch\n+é\n"
    answers = [calls(("look_up", {"topic": "x"})), calls(("patch", {"input": patch})), whole("Done.")]
    with (
        agent(tmp_path, answers, agentkit_tools=(LOOK_UP,)) as (service, server),
        openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client,
    ):
        messages: list[Any] = [user("Go.")]
        if stream:
            chunks = client.chat.completions.create(model="agentkit", messages=messages, tools=[tool], stream=True)
            raw = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
            made = [{key: value for key, value in call.model_dump().items() if key != "index"} for call in raw]
            made = [{key: value for key, value in call.items() if value is not None} for call in made]
        else:
            answer = client.chat.completions.create(model="agentkit", messages=messages, tools=[tool])
            made = [call.model_dump() for call in answer.choices[0].message.tool_calls or ()]
            assert answer.choices[0].finish_reason == "tool_calls"
        (call,) = made
        assert (call["type"], call["custom"]) == ("custom", {"name": "patch", "input": patch})
        function = server.requests[0].body["tools"][-1]["function"]
        assert "lark" in function["parameters"]["properties"]["input"]["description"]
        messages += [
            {"role": "assistant", "content": None, "tool_calls": made},
            {"role": "tool", "tool_call_id": call["id"], "content": "applied"},
        ]
        end = client.chat.completions.create(model="agentkit", messages=messages, tools=[tool])
        assert end.choices[0].message.content == "Done."
        sent = server.requests[-1].body["messages"]
        assert [message["role"] for message in sent] == ["user", "assistant", "tool", "assistant", "tool"]
        assert json.loads(sent[3]["tool_calls"][0]["function"]["arguments"]) == {"input": patch}


def test_a_request_of_the_responses_api_is_answered_as_a_chat_completion(tmp_path: Path) -> None:
    """codex-proxy#507, CLIProxyAPI#658, diegosouzapw/OmniRoute#1002, Soju06/codex-lb#833, Helicone/helicone#5629:
    Cursor sends `input` in the place of `messages`."""
    fields = {
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Weather in Rome?"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
            {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city": "Rome"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "Sunny"},
        ],
        "tools": [FLAT, {"type": "web_search"}],
        "tool_choice": "auto",
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"verbosity": "low", "format": {"type": "text"}},
        "max_output_tokens": 50,
        "include": ["reasoning.encrypted_content"],
        "store": False,
        "truncation": "auto",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    with agent(tmp_path, [streamed(delta(content="It is "), delta(content="sunny."), delta("stop"))]) as (
        service,
        server,
    ):
        response = ask(service, **fields)
        assert response.status_code == 200, response.text
        chunks = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
        text = "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])
        assert (text, chunks[-1]["choices"]) == ("It is sunny.", [])
        body = server.requests[0].body
        assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "tool"]
        assert [tool["function"]["name"] for tool in body["tools"]] == ["weather"]
        assert (body["reasoning_effort"], body["verbosity"], body["max_tokens"]) == ("low", "low", 50)
        assert not body.keys() & {"input", "instructions", "text", "reasoning", "include", "truncation", "store"}


def test_what_a_chat_completion_can_not_have_of_it_is_refused(tmp_path: Path) -> None:
    with agent(tmp_path, [whole("Hi")]) as (service, _):
        response = ask(service, input="Hi", previous_response_id="resp_1")
        assert (response.status_code, response.json()["error"]["param"]) == (400, "previous_response_id")
        response = ask(service, input=[{"type": "file_search_call"}])
        assert (response.status_code, response.json()["error"]["param"]) == (400, "input[0].type")
        assert ask(service, input=[]).json()["error"]["param"] == "messages"


@pytest.mark.parametrize("values", [{"messages": [user("x")], "input": "y"}, {"messages": []}, [], None, "x"])
def test_any_other_body_stays_as_it_is(values: Any) -> None:
    assert as_chat(values) is values


@pytest.mark.parametrize(
    "entry",
    [
        {key: value for key, value in FLAT.items() if key != "type"},
        {"function": {"name": "weather", "description": "The weather.", "parameters": SCHEMA}},
    ],
    ids=["flat", "nested"],
)
def test_a_tool_without_a_type_is_a_function_of_a_response_too(entry: Any, tmp_path: Path) -> None:
    with agent(tmp_path, [whole("Hi")]) as (service, server):
        response = service.ask("POST", "/v1/responses", {"input": "x", "tools": [entry]})
        assert response.status_code == 200, response.text
        (told,) = response.json()["tools"]
        assert (told["type"], told["name"], told["parameters"]) == ("function", "weather", SCHEMA)
        assert server.requests[0].body["tools"][0]["function"]["name"] == "weather"


PIXEL = "R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs="
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": PIXEL}}


def test_calls_and_results_in_the_form_of_anthropics_parts_are_those_of_a_chat(tmp_path: Path) -> None:
    """automazeio/vibeproxy#411, router-for-me/CLIProxyAPI#1165, zed-industries/zed#54958: the tools of Cursor and Zed
    failed after the first call of one."""
    messages = [
        user("Weather in Rome and Oslo?"),
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Two calls.", "signature": "x"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Rome"}},
                {"type": "tool_use", "id": "t2", "name": "weather", "input": {"city": "Oslo"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "Sunny"},
                {"type": "tool_result", "tool_use_id": "t2", "content": [{"type": "text", "text": "Snow"}]},
                {"type": "text", "text": "In Celsius."},
            ],
        },
    ]
    with agent(tmp_path, [whole("20 and -2.")]) as (service, server):
        response = ask(service, messages=messages, tools=[{"name": "weather", "input_schema": SCHEMA}])
        assert response.status_code == 200, response.text
        question, said, *results, last = server.requests[0].body["messages"]
    assert question["content"] == "Weather in Rome and Oslo?"
    assert "I look." in str(said["content"])
    made = [(call["id"], json.loads(call["function"]["arguments"])) for call in said["tool_calls"]]
    assert made == [("t1", {"city": "Rome"}), ("t2", {"city": "Oslo"})]
    assert [(each["role"], each["tool_call_id"]) for each in results] == [("tool", "t1"), ("tool", "t2")]
    assert ["Sunny" in str(results[0]["content"]), "Snow" in str(results[1]["content"])] == [True, True]
    assert (last["role"], "In Celsius." in str(last["content"])) == ("user", True)


def test_images_and_documents_in_the_form_of_anthropics_parts_are_sent_with_their_data(tmp_path: Path) -> None:
    pdf = {
        "type": "document",
        "title": "a.pdf",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
    }
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hello"}}
    with agent(tmp_path, [whole("Hi")]) as (service, server):
        response = ask(service, messages=[{"role": "user", "content": [IMAGE, pdf, text]}])
        assert response.status_code == 200, response.text
        image, file, plain = server.requests[0].body["messages"][0]["content"]
    assert image == {"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{PIXEL}"}}
    assert file["file"] == {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}
    assert plain == {"type": "text", "text": "Hello"}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image"},
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {"type": "document", "source": {"type": "url", "url": "http://10.0.0.1/a.pdf"}},
        {"type": "document", "source": {"type": "file", "file_id": "f"}},
        {"type": "tool_use", "id": 5, "name": None, "input": [1]},
        {"type": "tool_use", "id": "t1", "name": "weather", "input": {}},
        {"type": "tool_result", "tool_use_id": "t1", "content": {"a": 1}},
    ],
    ids=[
        "no source",
        "a stored image",
        "an address",
        "a stored file",
        "no call",
        "a call without a result",
        "no content",
    ],
)
def test_a_part_in_anthropics_form_that_can_not_be_met_is_refused(part: Any, tmp_path: Path) -> None:
    with agent(tmp_path, [whole("Hi")]) as (service, server):
        role = "assistant" if part["type"] == "tool_use" else "user"
        response = ask(service, messages=[user("x"), {"role": role, "content": [part]}])
        assert response.status_code == 400, response.text
        assert response.json()["error"]["type"] == "invalid_request_error"
        assert not server.requests
