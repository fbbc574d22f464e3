"""Recorded exchanges with real servers give the same results when replayed (record mode none)."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import vcr
import vcr.errors
import yaml

from agentkit import Agent, LightLLMClient
from agentkit.backend import Request
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.event import Reply, RunFinished
from agentkit.testing import recorded
from agentkit_tools import page_visitor, web_search
from tests.backends.test_openai import read, told
from tests.support.make_cassettes import CASSETTES, HELLO, KEY, SITE, ask_of_pixel, look_up


def replayed(name: str) -> Any:
    return recorded(CASSETTES / f"{name}.yaml", mode="none")


@pytest.mark.parametrize("stream", [False, True])
def test_a_run_on_llama_cpp_is_replayed_to_the_same_answer(stream: bool) -> None:
    backend = OpenAIBackend("tiny", base_url="http://llama.test/v1")
    agent = Agent(backend, tools=[look_up], early_start=stream)
    with replayed("llama_streamed" if stream else "llama_whole") as cassette:
        if stream:
            *_, last = agent.stream("Look it up.")
            assert isinstance(last, RunFinished)
            result = last.result
        else:
            result = agent.run("Look it up.")
        assert cassette.all_played
    backend.close()
    assert (result.output, result.stopped) == ("Done.", "answer")
    assert [(record.name, record.response) for record in result.tool_calls] == [("look_up", "Found 1.")]
    assert result.usage.input_tokens > 500


@pytest.mark.parametrize("stream", [False, True])
def test_a_run_on_lightllm_is_replayed_to_the_same_answer(stream: bool) -> None:
    backend = LightLLMBackend("Qwen3-8B", "http://lightllm.test")
    agent = Agent(backend, tools=[look_up], early_start=stream)
    with replayed("lightllm_streamed" if stream else "lightllm_whole") as cassette:
        run = agent.stream("Look it up.")
        result = agent.run("Look it up.") if not stream else list(run)[-1].result  # type: ignore[attr-defined]
        assert cassette.all_played
    backend.close()
    assert (result.output, result.stopped) == ("Done.", "answer")
    assert [(record.name, record.response) for record in result.tool_calls] == [("look_up", "Found 1.")]
    assert result.messages[1]["reasoning_content"] == "I look."
    assert result.usage.output_tokens > 10
    asked = json.loads(cassette.requests[1].body)
    assert asked["inputs"].endswith("<tool_response>\nFound 1.\n</tool_response><|im_end|>\n<|im_start|>assistant\n")


def test_the_lightllm_client_is_replayed() -> None:
    with replayed("lightllm_client") as cassette, LightLLMClient("another-key", "http://lightllm.test") as client:
        count, whole, streamed = ask_of_pixel(client)
        assert cassette.all_played
    assert count > 64
    assert whole == streamed == "A pixel."


def test_pages_and_searches_are_replayed_through_the_real_fetch() -> None:
    visit = page_visitor(allow=["127.0.0.1"])
    with replayed("site") as cassette:
        for path in ("/redirect/2", "/gzip", "/pdf"):
            assert "31 metres" in visit([f"http://{SITE}{path}"], "the height of the lighthouse")
        hits = web_search("brave", base_url=f"http://{SITE}/brave", api_key="another")(["lighthouse"])
        assert f"source: http://{SITE}/article" in hits
        assert cassette.all_played


PROVIDERS = sorted(file.stem for file in CASSETTES.glob("provider_*.yaml"))


def test_every_provider_is_recorded() -> None:
    names = {re.sub(r"^provider_(.*)_(whole|streamed)$", r"\1", name) for name in PROVIDERS}
    assert {"openai", "groq", "openrouter", "mistral", "ollama", "deepseek", "together", "zai", "xai"} <= names


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_providers_answer_is_read_without_loss(name: str) -> None:
    (recorded,) = yaml.safe_load((CASSETTES / f"{name}.yaml").read_text(encoding="utf-8"))["interactions"]
    body = recorded["response"]["body"]["string"]
    text = body.decode() if isinstance(body, bytes) else body
    stream = name.endswith("_streamed")
    backend = OpenAIBackend("recorded", base_url=recorded["request"]["uri"].removesuffix("/chat/completions"))
    with replayed(name):
        *_, reply = backend.reply(Request(HELLO, stream=stream))
    backend.close()
    assert isinstance(reply, Reply)
    assert read(reply) == told({"response": {"body": text if stream else json.loads(text)}})


def test_a_request_that_was_not_recorded_is_not_sent() -> None:
    backend = OpenAIBackend("tiny", base_url="http://unknown.test/v1", max_retries=0)
    with replayed("llama_whole"), pytest.raises(vcr.errors.CannotOverwriteExistingCassetteException):
        Agent(backend).run("Hello")
    backend.close()


@pytest.mark.parametrize("file", sorted(CASSETTES.glob("*.yaml")), ids=lambda file: Path(file).stem)
def test_no_key_and_no_address_of_a_machine_is_in_a_cassette(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert KEY not in text
    assert "right-key" not in text
    assert not re.search(r"(?im)^\s*(authorization|x-subscription-token|x-api-key|set-cookie):", text)
    assert not re.search(r"127\.0\.0\.1:(?!8099)", text)
