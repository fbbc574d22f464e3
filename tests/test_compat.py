"""The modules of examples/compat: programs that were written against the first documents run with them on the path."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import flask
import pytest
import requests

from tests.serving.mqtt.test_bridge import Client
from tests.support import forked_cli
from tests.support.lightllm_server import serve_lightllm
from tests.support.model_server import Answer, Asked, calls, delta, serve, streamed, whole
from tests.support.mosquitto import EXECUTABLE, serve_mqtt
from tests.support.ports import free_port, wait_for
from tests.support.waiting import until

ROOT = Path(__file__).parents[1]
COMPAT = ROOT / "examples" / "compat"
OURS = ("app", "inference", "llamacpp_mqtt_deploy", "run_server", "vllm_test_client")

Load = Callable[[str], Any]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Imports a module with examples/compat on the path; it is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(COMPAT))
    yield importlib.import_module
    for name in [each for each in sys.modules if each.partition(".")[0] in OURS]:
        del sys.modules[name]


@contextmanager
def started(
    folder: Path, script: str, *arguments: str, fork: bool = True, **environment: str
) -> Iterator["subprocess.Popen[str]"]:
    """A script of examples/compat as a process in a folder; what it prints goes to log.txt. fork: whether the process
    is forked from one that has the modules imported: not for a test that examines it."""
    begin = forked_cli.command() if fork else (sys.executable, "-W", "error")
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tools")))
    with (folder / "log.txt").open("a") as log:
        process = subprocess.Popen(
            [*begin, str(COMPAT / script), *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": paths, "XDG_DATA_HOME": str(folder), **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            text=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


# ---- inference.openai_middleware

SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "parameters": {"type": "object", "properties": {"query": {"type": "array", "items": {"type": "string"}}}},
    },
}


def test_the_samples_of_the_drop_in_clients_run(load: Load) -> None:
    middleware = load("inference.openai_middleware")
    first = 'Let me look.\n<tool_call>\n{"name": "search", "arguments": {"query": ["Oslo"]}}\n</tool_call>'
    with serve_lightllm([first, "It is in Norway."]) as server:
        client = middleware.LightLLMClient(api_key="your_api_key", base_url=server.url, timeout=60.0)
        messages: list[Any] = [{"role": "user", "content": "Where is Oslo?"}]
        message = client.chat.completions.create(model="Qwen3-8B", messages=messages, tools=[SEARCH]).choices[0].message
        (call,) = message.tool_calls
        assert json.loads(call["function"]["arguments"]) == {"query": ["Oslo"]}
        messages.append({"role": "assistant", "content": message.content})
        messages.append({"role": "tool", "content": "<tool_response>\nNorway\n</tool_response>"})
        completions = middleware.lightllm_ChatCompletions("key", f"{server.url}/generate")
        answer = completions.create("Qwen3-8B", messages, tools=[SEARCH], temperature=0.6)
        assert answer.choices[0].message.content == "It is in Norway."


def test_the_errors_and_types_have_their_names(load: Load) -> None:
    middleware = load("inference.openai_middleware")
    with serve([whole("Hello.")]) as server:
        client = middleware.OpenAICompatibleClient(api_key="key", base_url=server.url, timeout=30.0)
        answer = client.chat.completions.create(model="any", messages=[{"role": "user", "content": "Hi"}])
        assert isinstance(answer, middleware.ChatCompletion)
    assert client.chat.completions.create is not None
    with pytest.raises(middleware.APIConnectionError):
        middleware.Chat("key", "http://127.0.0.1:9/v1").completions.create("any", [])
    assert issubclass(middleware.APITimeoutError, middleware.APIError)
    message = middleware.ChatCompletionMessage(content="Test", role="assistant")
    assert (message.content, message.role, message.tool_calls) == ("Test", "assistant", None)


# ---- app.services.llm_client


def echo(asked: Asked) -> Answer:
    """Says what it was asked; calls the game's functions for a maze; fails for "boom"."""
    last = asked.body["messages"][-1]["content"]
    if "boom" in last:
        return Answer(b'{"error": {"message": "out of order"}}', status=400)
    if "maze" in last and asked.body.get("tools"):
        return calls(("break_wall", {"x": 1, "y": 2}))
    said = " | ".join(f"{message['role'][0]}:{message['content']}" for message in asked.body["messages"])
    return streamed(delta(content=said), delta("stop")) if asked.body["stream"] else whole(said)


def test_a_handler_answers_with_the_sessions_of_the_portal(load: Load) -> None:
    portal = load("app.services.llm_client")
    with serve(echo) as server:
        portal.init_llm_service(server.url.removesuffix("/v1"), temperature=0.5)
        manager = portal.get_session_manager()
        app = flask.Flask("portal")

        @app.post("/chat")
        def chat() -> Any:
            try:
                return {"response": portal.get_session_manager().process_message(**flask.request.get_json())}
            except RuntimeError as error:
                return {"detail": str(error)}, 503

        def say(text: str, **options: Any) -> str:
            options = {"session_id": "s 1/ü", "system_prompt": "Be brief.", "use_tools": False, **options}
            answer = app.test_client().post("/chat", json={"user_message": text, **options})
            assert answer.status_code == (503 if "boom" in text else 200)
            return str(answer.get_json()["detail" if "boom" in text else "response"])

        assert say("one") == "s:Be brief. | u:one"
        assert say("two", system_prompt="Be long.", top_p=0.3, model="small").startswith("s:Be brief. | u:one | a:")
        assert server.requests[-1].body["model"] == "small"
        assert (server.requests[-1].body["temperature"], server.requests[-1].body["top_p"]) == (0.5, 0.3)
        assert "out of order" in say("boom")
        say("three", max_history_messages=2)
        asked = server.requests[-1].body["messages"]
        assert [message["role"] for message in asked] == ["system", "user", "assistant", "user"]
        assert (asked[1]["content"], asked[3]["content"]) == ("two", "three")
        assert say("alone", use_history=False) == "s:Be brief. | u:alone"
        history = manager.get_session_history("s 1/ü")
        assert [each["role"][0] for each in history] == ["s", "u", "a", "u", "a", "u", "a"]
        assert [each["content"] for each in history if each["role"] == "user"] == ["one", "two", "three"]
        manager.clear_session("s 1/ü")
        manager.clear_session("s 1/ü")
        assert manager.get_session_history("s 1/ü") is None


def test_the_functions_of_the_game_are_offered_and_returned(load: Load) -> None:
    portal = load("app.services.llm_client")
    hint = {"hint": "", "function_calls": [{"name": "break_wall", "arguments": {"x": 1, "y": 2}}]}
    with serve(echo) as server:
        portal.init_llm_service(server.url)
        service = load("app.services.llm_service").get_llm_service()
        for _ in range(2):
            answer = service.process_message(session_id="m", system_prompt="Guide.", user_message="maze")
            assert json.loads(answer) == hint
        asked = server.requests[-1].body
        assert [tool["function"]["name"] for tool in asked["tools"]] == [
            tool["function"]["name"] for tool in portal.MAZE_GAME_TOOLS
        ]
        assert [message["role"] for message in asked["messages"]] == ["system", "user", "assistant", "tool", "user"]
        assert json.loads(service.get_session_history("m")[2]["content"]) == hint
        question = [{"role": "user", "content": "maze"}]
        assert json.loads(service.generate(question, tools=portal.MAZE_GAME_TOOLS)) == hint


def test_a_limit_of_messages_cuts_no_call_from_its_result(load: Load) -> None:
    portal = load("app.services.llm_client")
    with serve(echo) as server:
        portal.init_llm_service(server.url)
        for pairs in (None, 0, 1, 2, 3):
            portal.get_session_manager().process_message("m", "Guide.", "maze", max_history_messages=pairs)
        roles = ["".join(each["role"][0] for each in asked.body["messages"]) for asked in server.requests]
    assert roles == ["su", "su", "su", "suatu", "suatuatu"]


def test_streams_end_with_an_error_text_that_is_not_kept(load: Load) -> None:
    portal = load("app.services.llm_client")
    with pytest.raises(RuntimeError, match="Call init_llm_service first"):
        portal.get_llm_client()
    with serve(echo) as server:
        portal.init_llm_service(server_url=server.url, skip_thinking=False)
        manager, client = portal.get_session_manager(), portal.get_llm_client()
        streamed = manager.process_message_stream(session_id="s", system_prompt="Be brief.", user_message="one")
        assert "".join(streamed) == "s:Be brief. | u:one"
        *_, last = manager.process_message_stream(session_id="s", system_prompt="", user_message="boom")
        assert last.startswith("\n\nError: ")
        left = manager.process_message_stream(session_id="s", system_prompt="", user_message="left")
        began = ThreadPoolExecutor(1).submit(next, left).result()  # web servers take each text in another thread
        left.close()
        history = [each["content"] for each in manager.get_session_history("s")]
        assert history == ["Be brief.", "one", "s:Be brief. | u:one", "left", began]
        assert "".join(client.generate_stream([{"role": "user", "content": "Hi"}])) == "u:Hi"
        assert server.requests[-1].body["chat_template_kwargs"] == {"enable_thinking": True}
        assert "".join(client.generate_stream([{"role": "user", "content": "boom"}])).startswith("Error: ")
        with pytest.raises(RuntimeError, match="out of order"):
            client.generate([{"role": "user", "content": "boom"}])
        portal.init_llm_service(server.url, backend_type="openai")
        portal.get_llm_client().generate([{"role": "user", "content": "Hi"}])
        portal.get_session_manager().process_message("s", "Be brief.", "Hi", use_tools=False)
        assert all("enable_thinking" not in asked.raw.decode() for asked in server.requests[-2:])


# ---- run_server.py


def test_the_samples_of_the_http_api_run_against_run_server(tmp_path: Path) -> None:
    port = free_port()
    address, token = f"http://localhost:{port}/api/llm", {"Authorization": "Bearer token"}
    with serve(echo) as model, started(tmp_path, "run_server.py", "--port", str(port), LLM_SERVER_URL=model.url):
        wait_for(port, "run_server.py")
        body: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "temperature": 0.7, "max_tokens": 100}
        assert requests.post(f"{address}/chat", json=body, headers=token, timeout=20).json()["response"] == "u:Hi"
        body = {"session_id": "my_session_123", "message": "I am Alice", "system_prompt": "Be kind."}
        answered = requests.post(f"{address}/chat/session", json=body, headers=token, timeout=20).json()
        assert answered["response"] == "s:Be kind. | u:I am Alice"
        history = requests.get(f"{address}/chat/session/my_session_123/history", headers=token, timeout=20).json()
        assert [each["role"] for each in history["messages"]] == ["user", "assistant"]
        assert requests.delete(f"{address}/chat/session/my_session_123", headers=token, timeout=20).json()["ok"] is True


# ---- the MQTT scripts


@pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")
def test_the_mqtt_scripts_hold_a_conversation(tmp_path: Path, load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    with ExitStack() as stack:
        model = stack.enter_context(serve(echo))
        broker = stack.enter_context(serve_mqtt(tmp_path))
        options = ["--projects", "maze", "general", "--server_url", model.url, "--mqtt_broker", "127.0.0.1"]
        options += [f"--mqtt_port={broker.port}", "--mqtt_username", "ann", "--mqtt_password", "sesame"]
        options += ["--skip_thinking", "False", "--num-workers", "2", "--max_tokens", "64"]
        bridge = stack.enter_context(started(tmp_path, "llamacpp_mqtt_deploy.py", *options, fork=False))
        until(lambda: "serving maze, general" in (tmp_path / "log.txt").read_text(), 30)
        assert "sesame" not in Path(f"/proc/{bridge.pid}/cmdline").read_text()

        client = load("vllm_test_client").vLLMClient("127.0.0.1", broker.port, min_request_interval=0.0)
        stack.callback(client.disconnect)
        assert client.connect()
        assert (
            client.send_message("general", "s", "Grüße", temperature=0.8, system_prompt="Kurz.") == "s:Kurz. | u:Grüße"
        )
        assert client.responses == {"s": ["s:Kurz. | u:Grüße"]}
        sent = model.requests[-1].body
        assert (sent["temperature"], sent["max_tokens"], sent["enable_thinking"]) == (0.8, 64, True)

        game = Client(broker, "maze/hint/#")
        game.publish("maze/state", {"sessionId": "m", "player_pos": [1, 1], "thinking_budget": 8})
        assert "break_wall" not in game.wait(1)[0][1]
        game.close()
    log = tmp_path / "debug_info.log"
    assert log.stat().st_mode & 0o077 == 0
    assert all(
        text in log.read_text() for text in ("Grüße", "s:Kurz. | u:Grüße", '"role": "system", "content": "Kurz."')
    )
    assert "Grüße" not in (tmp_path / "log.txt").read_text()
    assert "s:Kurz." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ([], ["--debug_log", "debug_info.log", "--projects", "general"]),
        (["maze", "--num-workers=3"], ["maze", "--num_workers", "3", "--debug_log", "debug_info.log"]),
        (["--skip-thinking", "--enable_debug_logging=no"], ["--skip_thinking", "True", "--projects", "general"]),
        (["--noskip_thinking", "--enable_debug_logging", "0"], ["--skip_thinking", "False", "--projects", "general"]),
        (["--enable_debug_logging", "--check"], ["--check", "--debug_log", "debug_info.log", "--projects", "general"]),
    ],
    ids=["nothing", "a word", "a bare switch", "no switches", "the log"],
)
def test_the_command_line_is_read_as_it_was(load: Load, given: list[str], read: list[str]) -> None:
    assert load("llamacpp_mqtt_deploy").arguments_of(given) == ["mqtt", *read]
