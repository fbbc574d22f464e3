"""Tools that a chat template leaves out, and a tool_choice without effect, are noticed."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, tool
from agentkit.backend import Backend, Request
from agentkit.backends import GGUFBackend, OpenAIBackend
from agentkit.backends.tool_arrival import check_arrival
from agentkit.testing import ScriptedBackend
from agentkit.toolbox import Toolbox
from agentkit.transcript import Transcript
from tests.support.http_service import LOOK_UP, serve_http, settings_for
from tests.support.llama_server import LlamaServer, serve_llama
from tests.support.model_server import Answer, Asked, calls, delta, serve, streamed, whole
from tests.support.tiny_model import write_tiny_model

WITHOUT_TOOLS = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
    "{% endif %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""The chat template of SmolLM2, which knows no tools."""


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look a topic up in an encyclopedia of everything that anybody may ever have wanted to know about anything.

    Args:
        topic: The topic to look up, in a few words, in the language of the encyclopedia, without any article.
    """
    return f"All about {topic}."


EXPERTS = [Agent(ScriptedBackend()).as_tool(f"expert_{number}", look_up.description) for number in range(4)]
"""More tools: a byte is a token of the tiny model, so that a single one is shorter than its prompt."""


@pytest.fixture(scope="module")
def untooled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("untooled") / "tiny.gguf", template=WITHOUT_TOOLS)


@pytest.fixture(scope="module")
def untooled_llama(untooled: Path) -> Iterator[LlamaServer]:
    with serve_llama(untooled, slots=1) as server:
        yield server


def counted(asked: Asked, shows_tools: bool, text: str = "I just know.") -> Answer:
    tokens = 20 + len(json.dumps(asked.body["messages"])) // 4
    tokens += len(json.dumps(asked.body.get("tools", []))) // 4 if shows_tools else 0
    usage = {"prompt_tokens": tokens, "completion_tokens": 3}
    if not asked.body["stream"]:
        return whole(text, usage=usage)
    return streamed(delta(content=text), delta("stop"), {"choices": [], "usage": usage})


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_tools_that_do_not_reach_the_model_are_logged_once(
    untooled_llama: LlamaServer, caplog: pytest.LogCaptureFixture
) -> None:
    with Agent(OpenAIBackend("tiny", untooled_llama.url), tools=[look_up, *EXPERTS]) as agent:
        for _ in range(2):
            agent.run("What is a newt?")
    (line,) = warnings(caplog)
    assert "the tools do not reach the model" in line
    assert "agentkit doctor" in line


def test_a_template_with_tools_is_no_reason_for_a_warning(llama: LlamaServer, caplog: pytest.LogCaptureFixture) -> None:
    with Agent(OpenAIBackend("tiny", llama.url, chat_template_kwargs={"results": 0}), tools=[look_up]) as agent:
        agent.run("What is a newt?")
    assert warnings(caplog) == []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("shows_tools", [True, False])
def test_a_prompt_that_is_shorter_than_its_tools_is_logged(
    shows_tools: bool, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(lambda asked: counted(asked, shows_tools)) as server:
        with Agent(OpenAIBackend("m", server.url), tools=[look_up, *EXPERTS]) as agent:
            list(agent.stream("What is a newt?")) if stream else agent.run("What is a newt?")
    assert len(server.requests) == 1  # it costs no request
    assert len(warnings(caplog)) == (0 if shows_tools else 1)


def test_the_tools_of_a_hosted_api_are_not_doubted() -> None:
    backend = OpenAIBackend("gpt-5-mini", api_key="sk-none")
    assert not backend._is_self_hosted
    backend.close()


@pytest.mark.parametrize(
    ("answer", "reach", "detail"),
    [
        (lambda asked: counted(asked, shows_tools=True), True, "prompt tokens without a tool"),
        (lambda asked: counted(asked, shows_tools=False), False, "the chat template leaves tools out"),
        (lambda asked: whole("Hi."), None, "not counted"),
        (
            lambda asked: (
                Answer(b'{"error": {"message": "model does not support tools"}}', 400)
                if "tools" in asked.body
                else counted(asked, shows_tools=True)
            ),
            False,
            "refuses tools",
        ),
        (lambda asked: Answer(b'{"error": {"message": "no such model"}}', 404), None, "no such model"),
    ],
    ids=["shown", "left out", "uncounted", "refused", "failed"],
)
def test_one_question_with_and_without_a_tool_shows_whether_they_arrive(
    answer: Callable[[Asked], Answer], reach: bool | None, detail: str
) -> None:
    with serve(answer) as server:
        backend = OpenAIBackend("m", server.url, max_retries=0, tool_choice="required")
        found = check_arrival(backend)
        backend.close()
    assert found.reach is reach
    assert detail in found.detail
    assert all(asked.body["max_tokens"] == 1 for asked in server.requests)
    assert all("tool_choice" not in asked.body for asked in server.requests)


def test_a_real_server_and_a_model_in_this_process_are_asked(
    llama: LlamaServer, untooled_llama: LlamaServer, untooled: Path
) -> None:
    found = {}
    backends: dict[str, Backend] = {
        "tools": OpenAIBackend("tiny", llama.url),
        "no tools": OpenAIBackend("tiny", untooled_llama.url),
        "no tools here": GGUFBackend(untooled, threads=1),
    }
    for name, backend in backends.items():
        found[name] = check_arrival(backend).reach
        backend.close()
    assert found == {"tools": True, "no tools": False, "no tools here": False}


def test_a_service_whose_tools_do_not_reach_the_model_is_degraded(tmp_path: Path, untooled_llama: LlamaServer) -> None:
    with serve_http(settings_for(tmp_path, untooled_llama.root, agentkit_tools=(LOOK_UP,))) as service:
        health = service.ask("GET", "/api/llm/health")
        assert health.status_code == 200
        assert health.json()["status"] == "degraded"
        assert "tools do not reach the model" in health.json()["detail"]
        assert service.ask("GET", "/readyz").status_code == 200  # it answers
    with serve_http(settings_for(tmp_path, untooled_llama.root)) as service:
        assert service.ask("GET", "/api/llm/health").json()["status"] == "ok"  # it has no tools


def test_the_health_of_a_service_does_not_wait_for_a_slow_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentkit.serving.http import model_server

    monkeypatch.setattr(model_server, "ARRIVAL_PATIENCE", 0.05)

    def slow(asked: Asked) -> Answer:
        answer = counted(asked, shows_tools=False)
        return Answer(answer.body, delay=0.3)

    with serve(slow) as server, serve_http(settings_for(tmp_path, server.url, agentkit_tools=(LOOK_UP,))) as service:
        assert service.ask("GET", "/api/llm/health").json()["status"] == "ok"
        monkeypatch.setattr(model_server, "ARRIVAL_PATIENCE", 5.0)
        assert service.ask("GET", "/api/llm/health").json()["status"] == "degraded"
        for _ in range(3):
            service.ask("GET", "/api/llm/health")
        assert len(server.requests) == 2  # it is found out once


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "look_up"}}], ids=str)
def test_a_required_call_that_does_not_come_is_logged_and_the_answer_stands(
    choice: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with serve([whole("Hello!")]) as server, Agent(OpenAIBackend("m", server.url), tools=[look_up]) as agent:
        for _ in range(2):
            assert agent.run("Say hello.", sampling={"tool_choice": choice}).output == "Hello!"
    (line,) = warnings(caplog)
    assert "tool_choice" in line
    assert "required" in line


def test_a_required_call_that_comes_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with serve([calls(("look_up", {"topic": "newts"}))]) as server:
        backend = OpenAIBackend("m", server.url, tool_choice="required")
        list(backend.reply(Request(Transcript([{"role": "user", "content": "What is a newt?"}]), Toolbox([look_up]))))
        backend.close()
    assert warnings(caplog) == []
