"""The hooks of the services and the commands: what they answer is traced."""

import logging
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from agentkit.serving.chat_service import ChatService
from agentkit.serving.exchange import UserInput
from agentkit.serving.hook_loading import load_hooks
from agentkit.serving.http.app import create_app
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from tests.support.http_service import settings_for
from tests.support.model_server import serve, whole
from tests.support.mosquitto import EXECUTABLE, serve_mqtt
from tests.support.mqtt_games import Games, bridge
from tests.support.telemetry import Recorder, attributes

RECORDER = Recorder()
otel = RECORDER.otel("service")

PRINTED = """
import sys
from agentkit import Hook

class Printed(Hook):
    def before_model(self, request):
        print("asked", file=sys.stderr, flush=True)
"""


@pytest.fixture(autouse=True)
def nothing_ended() -> None:
    RECORDER.ended.clear()


def test_an_answer_of_the_chat_service_is_a_run_in_its_session() -> None:
    service = ChatService(ScriptedBackend("Noon."), MemorySessions(), hooks=[otel])
    service.answer(UserInput("When is high tide?", session="a"))
    assert RECORDER.tree() == [("invoke_agent service", ["chat"])]
    assert attributes(RECORDER.one("chat"))["gen_ai.conversation.id"] == "a"


@pytest.mark.parametrize("stream", [False, True])
def test_the_requests_of_the_http_service_are_traced(tmp_path: Path, stream: bool) -> None:
    """kagent-dev/kagent#917: agents that others serve were not traced."""
    with serve(lambda asked: whole("Noon.")) as server:
        settings = settings_for(tmp_path, server.url, agentkit_hooks=f"{__name__}:otel")
        with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
            messages = [{"role": "user", "content": "High tide?"}]
            body = {"model": "agentkit", "stream": stream, "messages": messages}
            assert "Noon." in client.post("/v1/chat/completions", json=body).text
            assert "Noon." in client.post("/api/llm/chat", json={"messages": messages}).text
    assert [span.name for span in RECORDER.named("invoke_agent")] == ["invoke_agent service"] * 2
    assert len(RECORDER.named("chat")) == 2
    assert RECORDER.open == []


@pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")
def test_the_bridge_has_hooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "printed_hook.py").write_text(PRINTED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    with serve_mqtt(tmp_path) as broker, serve(lambda asked: whole("Noon.")) as server:
        games = Games(broker)
        with bridge(tmp_path, broker, server.url, "--hook", "printed_hook:Printed"):
            games.ask("s", 1)
            assert games.wait(1, 20) == 1
        games.close()
    assert "asked" in (tmp_path / "bridge.log").read_text()


def test_a_hook_of_opentelemetry_that_sends_nothing_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """jeanibarz/knowledge-base-mcp-server#879"""
    caplog.set_level(logging.WARNING, "agentkit")
    load_hooks(["otel"])
    assert "opentelemetry-instrument" in caplog.text
    caplog.clear()
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    load_hooks(["otel"])
    monkeypatch.delenv("OTEL_SDK_DISABLED")
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider())
    load_hooks(["otel"])
    assert caplog.text == ""
