"""Embeddings and completions of a text, which the model server answers itself."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.serving.http.openai.passed_through import _Named
from tests.support.http_service import Service, serve_http, settings_for
from tests.support.model_server import Answer, ModelServer, serve, streamed
from tests.support.waiting import until

VECTORS = {
    "object": "list",
    "model": "tiny",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
    "usage": {"prompt_tokens": 2, "total_tokens": 2},
}
TEXT = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "tiny",
    "choices": [{"index": 0, "text": " time", "finish_reason": "stop", "logprobs": None}],
}
KEY = "sk-secret-0123456789abcdef"


def sent(body: Any, status: int = 200, **more: Any) -> Answer:
    return Answer(json.dumps(body).encode(), status, **more)


@contextmanager
def served(folder: Path, answers: Any, **settings: Any) -> Iterator[tuple[openai.OpenAI, ModelServer, Service]]:
    with serve(answers) as server, serve_http(settings_for(folder, server.url, **settings)) as service:
        with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:
            yield client, server, service


def test_embeddings_and_completions_are_the_model_servers(tmp_path: Path) -> None:
    def answer(asked: Any) -> Answer:
        if "input" in asked.body:
            return sent(VECTORS)
        return streamed(TEXT, TEXT) if asked.body.get("stream") else sent(TEXT)

    with served(tmp_path, answer) as (client, server, _):
        made = client.embeddings.create(model="agentkit", input="Hello", extra_body={"pooling": "mean"})
        assert (made.data[0].embedding, made.model) == ([0.5, -0.25], "agentkit")
        body = server.requests[0].body
        assert (body["model"], body["input"], body["pooling"]) == ("default", "Hello", "mean")
        client.embeddings.create(model="other-model", input=["a", "b"])
        assert server.requests[1].body["model"] == "other-model"
        done = client.completions.create(model="agentkit", prompt="Once upon a", max_tokens=3, echo=True)
        assert done.choices[0].text == " time"
        assert {"prompt": "Once upon a", "max_tokens": 3, "echo": True}.items() <= server.requests[2].body.items()
        assert "temperature" not in server.requests[2].body
        chunks = list(client.completions.create(model="agentkit", prompt="Once", stream=True))
        assert [(chunk.choices[0].text, chunk.model) for chunk in chunks] == [(" time", "agentkit")] * 2


@given(st.lists(st.binary(max_size=30) | st.just(b'{"model":"/a \\"b\\"",\n'), max_size=6), st.integers(1, 9))
def test_a_stream_has_the_name_that_the_client_knows_wherever_it_is_cut(parts: list[bytes], length: int) -> None:
    body, named = b"".join(parts), _Named("mine")
    pieces = [body[start : start + length] for start in range(0, len(body), length)]
    assert b"".join([*map(named.take, pieces), named.rest()]) == named.replaced(body)


REFUSALS: list[tuple[str, int, int, str | None]] = [
    ("not there", 404, 404, "unsupported_endpoint"),
    ("not allowed", 405, 404, "unsupported_endpoint"),
    ("not enabled", 501, 404, "unsupported_endpoint"),
    ("wrong", 400, 400, None),
    ("unprocessable", 422, 400, None),
    ("key", 401, 502, None),
    ("down", 500, 503, None),
]


def test_what_the_model_server_refuses_is_told_in_the_form_of_openai_without_its_key(tmp_path: Path) -> None:
    statuses = iter(status for _, status, _, _ in REFUSALS)

    def answer(asked: Any) -> Answer:
        said = f"no embeddings here, {asked.headers.get('authorization')}"
        return sent({"error": {"message": said, "type": "x", "code": None}}, next(statuses))

    with serve(answer) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        settings = settings_for(tmp_path, server.url, agentkit_model=f"openai:tiny@{server.url}")
        with serve_http(settings) as service:
            for name, _, status, code in REFUSALS:
                response = service.ask("POST", "/v1/embeddings", {"input": "Hello"})
                error = response.json()["error"]
                assert response.status_code == status, (name, error)
                assert code in (None, error["code"]), name
                assert KEY not in response.text, name
            assert len(server.requests) == len(REFUSALS)


def test_a_model_without_such_a_server_and_a_request_without_input_are_refused(tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "a.txt").write_text("A text.")
    settings = settings_for(tmp_path, "unused", agentkit_model="extractive", agentkit_docs=str(documents))
    with serve_http(settings) as service:
        for path, body in (("embeddings", {"input": "a"}), ("completions", {"prompt": "a"})):
            response = service.ask("POST", f"/v1/{path}", body)
            assert (response.status_code, response.json()["error"]["code"]) == (404, "unsupported_endpoint")
            named = service.ask("POST", "/v1/completions", {"prompt": "a", "model": "gpt-5"})
            assert (named.status_code, named.json()["error"]["code"]) == (404, "model_not_found")
            assert service.ask("POST", f"/v1/{path}", {}).json()["error"]["type"] == "invalid_request_error"


def test_a_stream_that_breaks_ends_with_an_error(tmp_path: Path) -> None:
    with served(tmp_path, [streamed(TEXT, done=False, cut=True)]) as (client, _, _):
        stream = client.completions.create(model="agentkit", prompt="Once", stream=True)
        assert next(stream).choices[0].text == " time"
        with pytest.raises(openai.APIError, match="broke"):
            next(stream)


def test_a_client_that_leaves_ends_the_request_to_the_model_server(tmp_path: Path) -> None:
    slow = streamed(*([TEXT] * 500), piece=150, pause=0.02)
    with served(tmp_path, [slow]) as (client, server, service):
        stream = client.completions.create(model="agentkit", prompt="Once", stream=True)
        next(stream)
        stream.close()
        until(lambda: server.left == 1)
        upstream = service.app.state.service.upstream
        until(lambda: upstream._count == 0)


def test_what_they_take_counts_for_their_subject(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 1}}

    def answer(asked: Any) -> Answer:
        if "input" in asked.body:
            return sent(VECTORS)
        return streamed(TEXT, {**TEXT, "usage": usage}) if asked.body.get("stream") else sent({**TEXT, "usage": usage})

    with served(tmp_path, answer) as (client, _, service):
        client.embeddings.create(model="agentkit", input="Hello")
        client.completions.create(model="agentkit", prompt="Once")
        list(client.completions.create(model="agentkit", prompt="Once", stream=True))
        total = service.ask("GET", "/api/llm/usage").json()["total"]
        assert (total["usage"]["input_tokens"], total["usage"]["output_tokens"]) == (8, 8)
