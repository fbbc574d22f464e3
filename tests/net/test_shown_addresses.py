"""No repr and no error shows the password of an address, or a key in its query."""

from collections.abc import Callable
from typing import Any

import openai
import pytest

from agentkit import Agent
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.backends.vlmrun import VLMRun
from agentkit.retrieval.embeddings import OpenAIEmbedder
from tests.support.lightllm_server import Says, serve_lightllm
from tests.support.model_server import Answer, delta, serve, streamed, whole

SECRET = "hunter2secret"


def with_secrets(url: str, query: bool = True) -> str:
    address = url.replace("://", f"://bob:{SECRET}@")
    return f"{address}?key={SECRET}" if query else address


@pytest.mark.parametrize(
    "made",
    [
        lambda url: OpenAIBackend("m", base_url=url),
        lambda url: LightLLMBackend("Qwen3-8B", url),
        lambda url: VLMRun(base_url=url, api_key="x"),
        lambda url: OpenAIEmbedder("m", base_url=url),
    ],
)
@pytest.mark.parametrize("query", [False, True])
def test_a_repr_has_no_secrets_of_the_address(made: Callable[[str], Any], query: bool) -> None:
    try:
        shown = repr(made(with_secrets("http://127.0.0.1:9/v1", query)))
    except Exception as error:  # noqa: BLE001 - an address that is refused is shown in its error
        shown = str(error)
    assert SECRET not in shown
    assert "127.0.0.1:9" in shown or query


@pytest.mark.parametrize("has_client", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        streamed(delta(content="Hello"), done=False),
        Answer(b"<html>", content_type="text/html"),
        Answer(b'{"error": {"message": "bad"}}', status=503),
        Answer(b"", drop=True),
    ],
)
def test_an_error_has_no_secrets_of_the_address(answer: Answer, has_client: bool) -> None:
    with serve([answer]) as server:
        url = f"{server.url}?key={SECRET}"
        client: Any = None
        if has_client:
            client = openai.OpenAI(base_url=server.url, default_query={"key": SECRET}, api_key="x", max_retries=0)
        backend = OpenAIBackend("m", client=client) if client else OpenAIBackend("m", base_url=url, max_retries=0)
        with pytest.raises(openai.APIError) as raised:
            list(Agent(backend).stream("Go."))
    assert SECRET not in f"{raised.value} {getattr(raised.value, '__notes__', '')} {backend!r}"


def test_the_notes_of_failover_have_no_secrets() -> None:
    with serve_lightllm([Says("", status=503)]) as first, serve([Answer(b"no", status=503)]) as second:
        backends: list[Any] = [LightLLMBackend("Qwen3-8B", with_secrets(first.url, query=False))]
        backends.append(OpenAIBackend("b", base_url=second.url, max_retries=0))
        with pytest.raises(openai.APIError) as raised:
            Agent(backends).run("Go.")
    notes = " ".join(raised.value.__notes__)
    assert "LightLLMBackend" in notes
    assert SECRET not in notes


def test_the_request_of_a_stream_that_ended_early_has_no_secrets() -> None:
    with serve_lightllm([Says("Hello you", pieces=["Hello", " you"], cut_after=1)]) as server:
        backend = LightLLMBackend("Qwen3-8B", with_secrets(server.url, query=False), max_retries=0)
        with pytest.raises(openai.APIError) as raised:
            list(Agent(backend).stream("Go."))
    assert SECRET not in f"{raised.value} {raised.value.request.url}"


def test_a_reply_is_unchanged() -> None:
    with serve([whole("Done.")]) as server:
        assert Agent(OpenAIBackend("m", base_url=f"{server.url}?key={SECRET}")).run("Go.").output == "Done."
        assert SECRET in server.requests[0].path
