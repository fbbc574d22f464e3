"""The OpenAI-compatible API, used with the openai package and curl."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.support.http_service import LOOK_UP, Service, serve_http, settings_for
from tests.support.model_server import Answer, ModelServer, serve
from tests.support.strict_messages import faults_of_request

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def service(tmp_path: Path, model: ModelServer) -> Iterator[Service]:
    with serve_http(settings_for(tmp_path, model.url, agentkit_tools=(LOOK_UP,))) as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_the_openai_package_gets_answers(client: openai.OpenAI, model: ModelServer) -> None:
    (found,) = client.models.list()
    done = client.chat.completions.create(
        model=found.id,
        messages=[{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        max_completion_tokens=9,
        seed=4,
    )
    assert done.choices[0].message.content == "Be brief.: Hello"
    assert done.choices[0].finish_reason == "stop"
    sent = model.requests[-1].body
    assert (sent["max_tokens"], sent["seed"]) == (9, 4)
    assert client.models.retrieve(found.id).id == found.id


def test_the_openai_package_streams(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="agentkit",
        messages=[{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said.endswith("Hello'}]")
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None


def test_tools_run_on_the_server(client: openai.OpenAI, model: ModelServer) -> None:
    client.chat.completions.create(model="agentkit", messages=[{"role": "user", "content": "look up tides"}])
    assert "all about tides" in str(model.requests[-1].body["messages"][-1]["content"])


def test_a_conversation_of_another_program_is_taken(client: openai.OpenAI, model: ModelServer) -> None:
    call = {"id": "i" * 60, "type": "function", "function": {"name": "functions.look", "arguments": '{"x": 1}'}}
    image = f"data:image/png;base64,{PNG}"
    history: Any = [
        {"role": "user", "content": [{"type": "input_text", "text": "What?"}], "name": "Jürgen M.", "id": 7},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "i" * 60, "content": [{"type": "image_url", "image_url": image}]},
        {"role": "assistant", "tool_calls": [{**call, "id": "open"}]},
        {"role": "user", "content": [{"type": "input_image", "image_url": image}, {"type": "text", "text": "And?"}]},
    ]
    client.chat.completions.create(model="agentkit", messages=history)
    sent = [message for message in model.requests[-1].body["messages"] if message["role"] != "system"]
    assert faults_of_request(sent) == []
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "user", "assistant", "tool", "user"]
    assert "interrupted" in sent[5]["content"]  # a call of a client is never run


def test_request_errors_have_the_openai_format(client: openai.OpenAI) -> None:
    hello: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="gpt-5", messages=hello)
    assert unknown.value.code == "model_not_found"
    twice: Any = [{"type": "function", "function": {"name": "mine"}}] * 2
    with pytest.raises(openai.BadRequestError, match="two tools are named"):
        client.chat.completions.create(model="agentkit", messages=hello, tools=twice)
    elsewhere: Any = [{"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest"}}]
    other: Any = [{"type": "input_image", "image_url": "http://169.254.169.254/latest"}]
    for part in (elsewhere, other):
        with pytest.raises(openai.BadRequestError, match="is not fetched"):
            client.chat.completions.create(model="agentkit", messages=[{"role": "user", "content": part}])
    with pytest.raises(openai.BadRequestError, match="messages"):
        client.chat.completions.create(model="agentkit", messages=[])


def test_model_server_errors_have_the_openai_format(tmp_path: Path) -> None:
    with serve([Answer(b'{"error": {"message": "no"}}', status=500)]) as server:
        with serve_http(settings_for(tmp_path, server.url)) as service:
            client = openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0)
            with pytest.raises(openai.InternalServerError, match="model server"):
                client.chat.completions.create(model="agentkit", messages=[{"role": "user", "content": "Hello"}])


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_works_as_documented(service: Service) -> None:
    body = {"model": "agentkit", "messages": [{"role": "user", "content": "Hello"}]}
    command = ["curl", "-s", f"{service.url}/v1/chat/completions", "-H", "Content-Type: application/json", "-d"]
    whole = subprocess.run([*command, json.dumps(body)], capture_output=True, text=True, check=True, timeout=30)
    assert json.loads(whole.stdout)["choices"][0]["message"]["content"] == "Hello: Hello"
    stream = subprocess.run(
        [*command, json.dumps({**body, "stream": True})], capture_output=True, text=True, check=True, timeout=30
    )
    assert stream.stdout.rstrip().endswith("data: [DONE]")
