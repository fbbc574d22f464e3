"""VLM Run: the openai package's own objects, against a real llama.cpp server behind VLM Run's path."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from agentkit import Agent, ConfigurationError, Image, VLMRun, tool
from agentkit.backends import OpenAIBackend
from agentkit.providers import resolve
from tests.support.llama_server import LlamaServer
from tests.support.model_server import delta, serve, streamed, whole
from tests.support.vlmrun_gate import KEY, Gate, vlmrun_before

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
PIXEL = b"\x89PNG\r\n\x1a\n" + b"\x00" * 16


class Verdict(BaseModel):
    value: int


@pytest.fixture
def gate(llama: LlamaServer) -> Iterator[Gate]:
    with vlmrun_before(llama.root) as running:
        yield running


def test_completions_are_the_openai_packages_own(gate: Gate) -> None:
    with VLMRun(api_key=KEY, base_url=gate.url) as client:
        assert client.agent.completions is client.openai.chat.completions
        answer = client.agent.completions.create(model="vlm-1", messages=HELLO)
        assert isinstance(answer, openai.types.chat.ChatCompletion)
        assert answer.choices[0].message.content == "Done."
    assert gate.seen == ["/v1/openai/chat/completions"]


def test_replies_are_streamed(gate: Gate) -> None:
    with VLMRun(api_key=KEY, base_url=gate.url) as client:
        chunks = list(client.agent.completions.create(model="vlm-1", messages=HELLO, stream=True))
        assert len(chunks) > 2
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Done."
        with client.agent.completions.stream(model="vlm-1", messages=HELLO) as events:
            assert events.get_final_completion().choices[0].message.content == "Done."


def test_chunks_arrive_as_the_server_sends_them() -> None:
    pieces = [delta(content=str(number)) for number in range(5)]
    size = len(f"data: {json.dumps(pieces[0])}\n\n")
    with (
        serve([streamed(*pieces, piece=size, pause=0.1)]) as server,
        VLMRun(api_key=KEY, base_url=server.url) as client,
    ):
        started = time.monotonic()
        chunks = client.agent.completions.create(model="vlm-1", messages=HELLO, stream=True)
        arrived = [time.monotonic() - started for _ in chunks]
    assert len(arrived) == 5
    assert arrived[-1] - arrived[0] > 0.3


def test_replies_are_parsed(gate: Gate) -> None:
    with VLMRun(api_key=KEY, base_url=gate.url) as client:
        answer = client.agent.completions.parse(model="vlm-1", messages=HELLO, response_format=Verdict)
        assert isinstance(answer.choices[0].message.parsed, Verdict)


def test_asyncio_is_supported(gate: Gate) -> None:
    async def ask() -> tuple[str | None, str, str | None, object]:
        client = VLMRun(api_key=KEY, base_url=gate.url)
        completions = client.agent.async_completions
        answer = await completions.create(model="vlm-1", messages=HELLO)
        stream = await completions.create(model="vlm-1", messages=HELLO, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
        async with completions.stream(model="vlm-1", messages=HELLO) as events:
            final = await events.get_final_completion()
        parsed = await completions.parse(model="vlm-1", messages=HELLO, response_format=Verdict)
        assert completions is client.async_openai.chat.completions
        await client.aclose()
        assert client.async_openai.is_closed()
        return (
            answer.choices[0].message.content,
            text,
            final.choices[0].message.content,
            parsed.choices[0].message.parsed,
        )

    *texts, parsed = asyncio.run(ask())
    assert texts == ["Done."] * 3
    assert isinstance(parsed, Verdict)
    assert gate.seen == ["/v1/openai/chat/completions"] * 4


def test_an_agent_is_made_from_the_name(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLMRUN_API_KEY", KEY)
    monkeypatch.setenv("VLMRUN_BASE_URL", gate.url)

    @tool(read_only=True)
    def look_up(query: list[str]) -> str:
        """Look something up."""
        return "found"

    with Agent("vlmrun:vlm-1", tools=[look_up]) as agent:
        result = agent.run("Look it up.")
    assert result.output == "Done."
    assert [record.name for record in result.tool_calls] == ["look_up"]
    with Agent(f"vlmrun:vlm-1@{gate.url}") as agent:
        assert agent.run("Hello").output == "Done."


def test_an_agent_shows_its_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLMRUN_API_KEY", KEY)
    with serve([whole("A pixel.")]) as server, Agent(f"vlmrun:vlm-1@{server.url}") as agent:
        assert agent.run(["What is this?", Image(PIXEL, "image/png")]).output == "A pixel."
        part = server.requests[0].body["messages"][0]["content"][1]
    assert part["image_url"]["url"].startswith("data:image/png;base64,")


@pytest.mark.parametrize(("attribute", "kind"), [("openai", "OpenAI"), ("async_openai", "AsyncOpenAI")])
def test_the_clients_are_made_once_however_many_threads_ask(
    attribute: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    real = getattr(openai, kind)

    def slowly(**options: Any) -> Any:
        made.append(options)
        time.sleep(0.05)  # so that the other threads start in between
        return real(**options)

    monkeypatch.setattr(openai, kind, slowly)
    with VLMRun(api_key=KEY) as client:
        assert made == []
        start = threading.Barrier(8)

        def first_use(_: int) -> int:
            start.wait()
            return id(getattr(client, attribute))

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(first_use, range(8)))) == 1
    assert len(made) == 1


def test_leaving_the_with_closes_the_client_that_was_made() -> None:
    with VLMRun(api_key=KEY) as client:
        assert not client.openai.is_closed()
    assert client.openai.is_closed()
    with VLMRun(api_key=KEY) as unused:
        pass
    assert "openai" not in vars(unused)


def test_the_clients_have_the_settings() -> None:
    with VLMRun(api_key=KEY, base_url="https://example.org/v1/", timeout=7.0, max_retries=5) as client:
        for each in (client.openai, client.async_openai):
            assert str(each.base_url) == "https://example.org/v1/openai/"
            assert (each.api_key, each.timeout, each.max_retries) == (KEY, 7.0, 5)


def test_key_and_address_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLMRUN_API_KEY", KEY)
    monkeypatch.setenv("VLMRUN_BASE_URL", "https://example.org/v2")
    with VLMRun() as client:
        assert str(client.openai.base_url) == "https://example.org/v2/openai/"
        assert client.openai.api_key == KEY
        assert KEY not in repr(client)
    assert VLMRun(base_url="https://given.example/v1").base_url == "https://given.example/v1"


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("https://example.org/v1", "https://example.org/v1/openai/"),
        ("https://example.org/v1/", "https://example.org/v1/openai/"),
        ("https://example.org/v1/openai", "https://example.org/v1/openai/"),
        ("https://example.org/v1/openai/", "https://example.org/v1/openai/"),
        ("http://openai", "http://openai/openai/"),
        ("http://openai/v1", "http://openai/v1/openai/"),
        (None, "https://agent.vlm.run/v1/openai/"),
    ],
)
def test_an_address_may_be_written_in_several_ways(
    given: str | None, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLMRUN_BASE_URL", raising=False)
    with VLMRun(api_key=KEY, base_url=given) as client:
        assert str(client.openai.base_url) == asked
    backend = resolve("vlmrun:vlm-1", {"VLMRUN_API_KEY": KEY, **({"VLMRUN_BASE_URL": given} if given else {})})
    assert isinstance(backend, OpenAIBackend)
    assert f"{backend.base_url}/" == asked


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1/openai"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1/openai"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1/openai"),
        ("http://127.0.0.1:8000/v1/openai/", "http://127.0.0.1:8000/v1/openai"),
        ("http://openai", "http://openai/v1/openai"),
    ],
)
def test_a_name_without_a_path_means_v1(given: str, asked: str) -> None:
    environment = {"VLMRUN_API_KEY": KEY, "VLMRUN_BASE_URL": "https://not-this.example/v1"}
    backend = resolve(f"vlmrun:vlm-1@{given}", environment)
    assert isinstance(backend, OpenAIBackend)
    assert (backend.model, backend.base_url) == ("vlm-1", asked)


def test_neither_key_nor_password_is_shown() -> None:
    client = VLMRun(api_key=KEY, base_url="https://someone:secret@example.org/v1")
    assert repr(client) == "VLMRun(base_url='https://example.org/v1')"


def test_without_a_key_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLMRUN_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="VLMRUN_API_KEY"):
        VLMRun()
    with pytest.raises(ConfigurationError, match="VLMRUN_API_KEY"):
        Agent("vlmrun:vlm-1")


def test_a_wrong_key_is_refused_and_not_repeated(gate: Gate) -> None:
    with VLMRun(api_key="wrong-key-9876", base_url=gate.url) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            client.agent.completions.create(model="vlm-1", messages=HELLO)
    assert "wrong-key-9876" not in str(caught.value)


def test_without_openai_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["openai"] = None
from agentkit import VLMRun
from agentkit.errors import DependencyError
from agentkit.providers import resolve
client = VLMRun(api_key="k")
for use in (
    lambda: client.openai,
    lambda: client.agent.completions,
    lambda: client.agent.async_completions,
    lambda: resolve("vlmrun:vlm-1", {"VLMRUN_API_KEY": "k"}),
):
    try:
        use()
    except DependencyError as error:
        assert isinstance(error, ImportError)
        print(error.error_type, "|", error.message, "|", error.suggestion)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    line = "missing_dependency | VLMRun needs the openai package | pip install openai\n"
    assert done.stdout == line * 4
