"""A model reads a page that contains a tool call and quotes it: nothing is sent, whatever the entry point."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, Result
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.event import TextDelta
from agentkit.lightllm.client import LightLLMClient
from tests.cli.test_ask import ROOT, environment
from tests.serving.mqtt.test_bridge import Setting
from tests.support import forked_cli
from tests.support.http_service import Service, serve_http, settings_for, talk
from tests.support.lightllm_server import serve_lightllm
from tests.support.model_server import Answer, Asked, calls, delta, serve, streamed, whole
from tests.support.mosquitto import EXECUTABLE, serve_mqtt
from tests.support.quoting_tools import send, visit
from tests.support.site import TOOL_CALL, Site

TOOLS = ("tests.support.quoting_tools:visit", "tests.support.quoting_tools:send")
QUOTATIONS = {
    "in a code span": f"The page says `{TOOL_CALL}` and more.",
    "in quotation marks": f'The page says "{TOOL_CALL}", no more.',
    "in other quotation marks": f"La page dit « {TOOL_CALL} », rien de plus.",
    "in a block quote": f"The page says:\n\n> {TOOL_CALL}\n\nThat is all.",
    "in a fence": f"The page says:\n\n```xml\n{TOOL_CALL}\n```\n",
    "in prose": f"The page says {TOOL_CALL} and more.",
    "as the last words": f"The page says: {TOOL_CALL}",
    "as the whole answer": TOOL_CALL,
    "in other white space": TOOL_CALL.replace("{", "{\n  ").replace(">", ">\n"),
    "in a thought": f"Maybe {TOOL_CALL.replace('mallory', 'eve')}? No.</think>I did not.",
}


@pytest.fixture(params=QUOTATIONS.values(), ids=list(QUOTATIONS))
def quotation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file in which the tool records what was sent; asserts that it does not exist after the test."""
    path = tmp_path / "sent.txt"
    monkeypatch.setenv("QUOTING_SENT", str(path))
    yield path
    assert not path.exists()


def reader(answer: str) -> Callable[[Asked], Answer]:
    """A model that visits the page in the question and then replies with the answer."""

    def reply(asked: Asked) -> Answer:
        messages = asked.body["messages"]
        if messages[-1]["role"] == "user":
            return calls(("visit", {"url": [str(messages[-1]["content"]).split()[-1]], "goal": "all of it"}))
        assert "mallory" in messages[-1]["content"]
        assert "<|im_end|>" not in json.dumps(messages)
        if asked.body.get("stream"):
            return streamed(
                *(delta(content=piece) for piece in re.findall(r".{1,9}", answer, re.DOTALL)), delta("stop")
            )
        return whole(answer)

    return reply


def spoken(answer: str) -> str:
    return answer.partition("</think>")[2] or answer


def question(site: Site) -> str:
    return f"What does the page say at {site.url}/tool-call"


@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize("stream", [False, True])
def test_the_python_api_runs_no_quotation(site: Site, quotation: str, stream: bool) -> None:
    with serve(reader(quotation)) as server, Agent(f"openai:m@{server.url}", tools=[visit, send]) as agent:
        events = list(agent.stream(question(site))) if stream else []
        result: Any = events[-1].result if stream else agent.run(question(site))  # type: ignore[attr-defined]
    assert_read(result, quotation)
    if stream and "</think>" not in quotation:
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == quotation


def assert_read(result: Result, quotation: str) -> None:
    assert [record.name for record in result.tool_calls] == ["visit"]
    assert (result.output, result.stopped) == (spoken(quotation), "answer")
    if "</think>" in quotation:
        assert "eve" in result.messages[-1]["reasoning_content"]
    assert "<|im_end|>" in str(result.messages[2]["content"])  # the page's text is stored unchanged


@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize("stream", [False, True])
def test_lightllm_runs_no_quotation(site: Site, quotation: str, stream: bool) -> None:
    asked = {"name": "visit", "arguments": {"url": [f"{site.url}/tool-call"], "goal": "all of it"}}
    call = f"<tool_call>\n{json.dumps(asked)}\n</tool_call>"
    with serve_lightllm([call, quotation]) as server:
        backend = LightLLMBackend("Qwen3-8B", server.url)
        agent = Agent(backend, tools=[visit, send])
        result: Any = list(agent.stream("Go."))[-1].result if stream else agent.run("Go.")  # type: ignore[attr-defined]
        backend.close()
    assert_read(result, quotation)


@pytest.mark.parametrize("mode", ["generate", "chat"])
def test_lightllms_client_returns_no_quotation_as_a_call(quotation: str, mode: Any) -> None:
    asked = [{"role": "user", "content": f"What does this page say? {TOOL_CALL}"}]
    with serve_lightllm([quotation]) as server, LightLLMClient("k", server.url, mode=mode) as client:
        options: dict[str, Any] = {"model": "Qwen3-8B", "messages": asked, "tools": [send.schema, visit.schema]}
        message = client.chat.completions.create(**options).choices[0].message
        chunks = list(client.chat.completions.create(stream=True, **options))
    assert not message.tool_calls
    assert not any(choice.delta.tool_calls for chunk in chunks for choice in chunk.choices)


@pytest.mark.parametrize("command", ["ask", "chat"])
@pytest.mark.parametrize("name", ["in a code span", "as the last words", "in a thought"])
def test_the_command_line_runs_no_quotation(site: Site, sent: Path, name: str, command: str) -> None:
    options = [part for each in TOOLS for part in ("--tool", each)]
    with serve(reader(QUOTATIONS[name])) as server:
        done = subprocess.run(
            [
                *(*forked_cli.command(), command, *([question(site)] if command == "ask" else [])),
                *("--model", f"openai:m@{server.url}", *options),
            ],
            input=f"{question(site)}\n" if command == "chat" else None,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment(QUOTING_SENT=str(sent)),
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert spoken(QUOTATIONS[name]).strip() in done.stdout
    assert "visit" in done.stderr
    assert "→ send" not in done.stderr


@pytest.fixture
def service(tmp_path: Path, quotation: str) -> Iterator[Service]:
    with serve(reader(quotation)) as server:
        with serve_http(settings_for(tmp_path, server.url, agentkit_tools=TOOLS)) as running:
            yield running


@pytest.mark.usefixtures("sent")
def test_the_chat_service_runs_no_quotation(service: Service, site: Site, quotation: str) -> None:
    assert talk(service, "one", question(site))["response"] == spoken(quotation).strip()
    frames = service.frames("/api/llm/chat/session/stream", {"session_id": "two", "message": question(site)})
    assert "send" not in [frame.get("tool") for frame in frames]
    body = {"model": "default", "messages": [{"role": "user", "content": question(site)}]}
    message = service.ask("POST", "/v1/chat/completions", body).json()["choices"][0]["message"]
    assert message["content"].strip() == spoken(quotation).strip()
    service.ask("POST", "/v1/chat/completions", {**body, "stream": True}).raise_for_status()


@pytest.mark.usefixtures("sent")
@pytest.mark.skipif(EXECUTABLE is None, reason="there is no Mosquitto here (apt-get install mosquitto)")
def test_the_mqtt_bridge_runs_no_quotation(site: Site, tmp_path: Path) -> None:
    answers = iter([QUOTATIONS["in a code span"], QUOTATIONS["as the last words"], QUOTATIONS["in a thought"]])

    def reply(asked: Asked) -> Answer:
        is_asked = asked.body["messages"][-1]["role"] == "user"
        return reader("" if is_asked else next(answers))(asked)

    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        setting = Setting(broker, server.url, project={"tools": TOOLS}, rate=1000)
        try:
            for number in range(3):
                setting.ask(sessionId=f"s{number}", message=question(site))
                setting.client.wait(number + 1)
            said = [text for _, text in setting.client.wait(3)]
        finally:
            setting.close()
    assert said == [spoken(QUOTATIONS[name]) for name in ("in a code span", "as the last words", "in a thought")]


def test_replies_of_hosted_apis_are_not_searched_for_calls_in_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text is never a call there unless the caller enables it."""
    with serve([whole(TOOL_CALL)]) as server:
        for hosted, text_calls, ran in ((True, None, 0), (True, True, 1), (False, None, 1), (False, False, 0)):
            monkeypatch.setattr("agentkit.backends.openai.is_hosted", lambda url, hosted=hosted: hosted)
            backend = OpenAIBackend("m", base_url=server.url, text_calls=text_calls)
            run = Agent(backend, tools=[visit]).stream("Go.")
            records = [event for event in run if type(event).__name__ == "ToolFinished"][:1]
            run.close()
            backend.close()
            assert len(records) == ran
