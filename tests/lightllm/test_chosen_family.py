"""A model's prompt is that of its family, or of the template that is given or told; with neither, it is refused."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import openai
import pytest

from agentkit import Agent, LightLLMClient, tool
from agentkit.backends import LightLLMBackend
from agentkit.errors import ConfigurationError
from agentkit.providers import resolve
from tests.support.lightllm_server import LightLLMServer, serve_lightllm

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}[{{ message.role }}]{{ message.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
PROMPT = "<b>[user]Hi<e>[assistant]"
CONFIG = {"chat_template": TEMPLATE, "bos_token": "<b>", "eos_token": {"content": "<e>"}}


@contextmanager
def nameless(says: Any = ("Hello.",), **more_pages: Any) -> Iterator[LightLLMServer]:
    """A server whose model's name tells nothing."""
    with serve_lightllm(says, model="chat") as server:
        server.more_pages = {f"/{name}": page for name, page in more_pages.items()}
        yield server


def prompt_of(server: LightLLMServer, model: str = "my-model", **options: Any) -> str:
    with LightLLMClient("k", server.url, **options) as client:
        client.chat.completions.create(model, [{"role": "user", "content": "Hi"}])
    return server.requests[-1].prompt


def test_a_model_of_an_unknown_family_is_refused_before_any_request() -> None:
    with nameless() as server:
        for ask in (
            lambda: prompt_of(server),
            lambda: Agent(f"lightllm:my-model@{server.url}").run("Hi"),
            lambda: LightLLMClient("k", server.url).count_tokens([{"role": "user", "content": "Hi"}], model="my-model"),
        ):
            with pytest.raises(ConfigurationError, match=r"'my-model'.*template=.*family=.*LIGHTLLM_FAMILY"):
                ask()
        assert not server.requests


@pytest.mark.parametrize("model", ["Qwen4-8B", "deepseek-v5", "Llama-5-8B", "gemma-5-9b", "gpt-neo-125m", "Yi-34B"])
def test_a_version_that_is_not_known_is_not_taken_for_an_older_one(model: str) -> None:
    with nameless() as server, pytest.raises(ConfigurationError, match="belongs to no family"):
        prompt_of(server, model)


def test_the_error_names_the_families_of_the_same_makers() -> None:
    with nameless() as server, pytest.raises(ConfigurationError) as refused:
        prompt_of(server, "Kimi-X9-Instruct", template=None, family=None)
    assert "kimi" in str(refused.value)
    assert "qwen" not in str(refused.value)


def test_a_server_that_lists_models_of_several_families_does_not_tell_which_is_meant() -> None:
    models = {"data": [{"id": "Qwen3-8B"}, {"id": "Hermes-3-Llama-3.1-8B"}]}
    with nameless(**{"v1/models": models}) as server, pytest.raises(ConfigurationError, match="belongs to no family"):
        prompt_of(server)


def test_the_folder_of_the_servers_model_tells_its_family() -> None:
    info = {"model_dir": "/data/Qwen2.5-7B-Instruct/"}
    with serve_lightllm(model="chat", server_info=info) as server:
        assert "You are Qwen" in prompt_of(server)


@pytest.mark.parametrize("path", ["props", "tokenizer_config.json"])
def test_the_template_that_the_server_tells_is_used(path: str) -> None:
    with nameless(**{path: CONFIG}) as server:
        assert prompt_of(server) == PROMPT
        assert "<e>" in server.requests[-1].parameters["stop_sequences"]


def test_the_template_in_the_folder_that_the_name_is_is_used(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(CONFIG))
    with nameless() as server:
        assert prompt_of(server, str(tmp_path)) == PROMPT
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({**CONFIG, "chat_template": None}))
        (tmp_path / "chat_template.jinja").write_text(TEMPLATE)
        assert prompt_of(server, str(tmp_path)) == PROMPT
        assert prompt_of(server, template=tmp_path / "chat_template.jinja") == PROMPT
        assert prompt_of(server, template=tmp_path) == PROMPT


def test_environment_variables_give_the_family_or_the_template(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text(TEMPLATE)
    with nameless() as server:
        by_family = {"LIGHTLLM_BASE_URL": server.url, "LIGHTLLM_FAMILY": "qwen2.5"}
        assert Agent(resolve("lightllm:my-model", by_family)).run("Hi").output == "Hello."
        assert "You are Qwen" in server.requests[-1].prompt
        by_template = {"LIGHTLLM_BASE_URL": server.url, "LIGHTLLM_TEMPLATE": str(tmp_path)}
        assert Agent(resolve("lightllm:my-model", by_template)).run("Hi").output == "Hello."
        assert server.requests[-1].prompt == "[user]Hi[assistant]"


@tool
def now() -> str:
    """Tell the time."""
    return "12:00"


CALLS = {
    "hermes": '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>',
    "kimi": "<|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>{}<|tool_call_end|>",
    "deepseek": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
}


@pytest.mark.parametrize("written", CALLS)
@pytest.mark.parametrize("stream", [False, True])
def test_calls_of_any_family_are_read_where_only_the_template_is_known(written: str, stream: bool) -> None:
    with nameless([CALLS[written], "It is noon."], props=CONFIG) as server:
        agent = Agent(f"lightllm:my-model@{server.url}", tools=[now])
        if stream:
            run = agent.stream("Hi")
            assert list(run)
            result = run.result
        else:
            result = agent.run("Hi")
    assert result is not None
    assert [record.name for record in result.tool_calls] == ["now"]
    assert result.output == "It is noon."


def test_a_call_that_cannot_be_forced_is_an_error_that_says_so() -> None:
    with nameless(props=CONFIG) as server, LightLLMClient("k", server.url) as client:
        tools = [{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}]
        with pytest.raises(openai.BadRequestError, match="family="):
            client.chat.completions.create(
                "my-model", [{"role": "user", "content": "Hi"}], tools=tools, tool_choice="required"
            )


def test_a_server_that_renders_itself_needs_no_family() -> None:
    with serve_lightllm(model="chat") as server, LightLLMClient("k", server.url, mode="chat") as client:
        answer = client.chat.completions.create("my-model", [{"role": "user", "content": "Hi"}])
        assert answer.choices[0].message.content == "Hello."


@pytest.mark.parametrize(("status", "error"), [(401, openai.AuthenticationError), (503, openai.InternalServerError)])
def test_a_server_that_cannot_be_asked_raises_its_own_error(status: int, error: type[Exception]) -> None:
    with nameless(**{"v1/models": status}) as server, pytest.raises(error):
        Agent(LightLLMBackend("my-model", server.url, max_retries=0)).run("Hi")
    with pytest.raises(openai.APIConnectionError):
        Agent(LightLLMBackend("my-model", server.url, max_retries=0)).run("Hi")


def test_a_given_family_is_varied_by_the_models_name() -> None:
    with nameless() as server:
        made = prompt_of(server, "our-thinking-model", family="qwen3")
        assert made.endswith("<|im_start|>assistant\n<think>\n")
        assert not prompt_of(server, "our-model", family="qwen3").endswith("<think>\n")


def test_a_template_that_opens_the_thoughts_itself_opens_them_once(tmp_path: Path) -> None:
    path = tmp_path / "chat_template.jinja"
    path.write_text(TEMPLATE.replace("[assistant]", "[assistant]<think>\n"))
    with serve_lightllm(["Hm.</think>Yes."], model="QwQ-32B") as server:
        assert prompt_of(server, "QwQ-32B", template=path) == "[user]Hi[assistant]<think>\n"
        with LightLLMClient("k", server.url, template=path) as client:
            message = client.chat.completions.create("QwQ-32B", [{"role": "user", "content": "Hi"}]).choices[0].message
    assert (message.content, message["reasoning_content"]) == ("Yes.", "Hm.")


def test_the_day_of_a_prompt_is_that_of_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "t.jinja"
    path.write_text("{{ strftime_now('%d %b %Y') }} {{ messages[0].content }}")
    day = datetime(2031, 5, 4)
    with nameless() as server:
        backend = LightLLMBackend("my-model", server.url, template=path, clock=lambda: day)
        for wanted in ("04 May 2031 Hi", "05 Jun 2032 Hi"):
            Agent(backend).run("Hi")
            assert server.requests[-1].prompt == wanted
            day = datetime(2032, 6, 5)
        assert prompt_of(server, template=path, clock=lambda: day) == "05 Jun 2032 Hi"


def test_it_is_known_without_a_request_whether_a_template_shows_tools(tmp_path: Path) -> None:
    path = tmp_path / "t.jinja"
    path.write_text(TEMPLATE)
    assert LightLLMBackend("Qwen3-8B").capabilities().tools is True
    assert LightLLMBackend("my-model", template=path).capabilities().tools is False
    assert LightLLMBackend("my-model").capabilities().tools is None
    with nameless(props=CONFIG) as server:
        assert LightLLMBackend("my-model", server.url).capabilities(ask=True).tools is False
