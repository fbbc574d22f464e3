"""The operator's commands: their options, their sentences, and their exit codes."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from typer.testing import CliRunner

from agentkit.cli import app
from agentkit.serving.mqtt.embedded import serve_until
from tests.support.model_server import Answer, running, serve, whole
from tests.support.mosquitto import EXECUTABLE, serve_mqtt
from tests.support.mqtt_games import Games


@pytest.fixture(autouse=True)
def _logging_as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Commands configure the log of their process, and set the environment of its children."""
    monkeypatch.setattr(os, "environ", {**os.environ, "XDG_DATA_HOME": str(tmp_path)})
    monkeypatch.chdir(tmp_path)
    loggers = [
        logging.getLogger(name) for name in (None, "agentkit", "agentkit.run", "agentkit.access", "agentkit.mqtt")
    ]
    before = [(each.handlers[:], each.level, each.propagate) for each in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


def run(*arguments: str) -> tuple[int, str, str]:
    """Returns the exit code, standard output and standard error."""
    done = CliRunner().invoke(app, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, done.stdout, done.stderr


def said(*arguments: str, code: int) -> str:
    """The one sentence with which a command ends."""
    status, out, err = run(*arguments)
    assert (status, out, err.count("\n")) == (code, "", 1), err
    return err


@pytest.mark.parametrize("command", ["mqtt", "mqtt-chat", "serve", "doctor"])
def test_options_have_dashes(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _, out, _ = run(command, "--help")
    options = {word.strip(",│") for word in out.split() if word.startswith("--")}
    assert "--help" in options
    assert not [option for option in options if "_" in option]


@pytest.mark.parametrize("option", ["--debug-log", "--debug_log"])
def test_an_option_may_be_written_with_underscores_as_the_old_script_had_it(tmp_path: Path, option: str) -> None:
    log = tmp_path / "no" / "such" / "folder"
    for given in ([option, str(log)], [f"{option}={log}"]):
        assert "--debug-log " in said("mqtt", "maze_1", *given, "--model", "extractive", "--check", code=2)


@pytest.mark.parametrize(("value", "is_written"), [("True", True), ("False", False)])
def test_the_switch_of_the_old_script_logs_to_debug_info_log(tmp_path: Path, value: str, is_written: bool) -> None:
    given = ("--enable_debug_logging", value, "--model", "extractive", "--mqtt-port", "9", "--check")
    said("mqtt", "maze", *given, code=1)
    log = tmp_path / "debug_info.log"
    assert log.exists() is is_written
    assert not is_written or log.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["mqtt", "maze", "--model", "nonsense:m"], 2, "there is no model provider"),
        (["mqtt", "maze", "--model", "extractive", "--server-url", "http://h"], 2, "can't be combined with --model"),
        (["mqtt", "maze", "--model", "extractive", "--docs", "/no/folder"], 2, "the folder does not exist"),
        (["mqtt", "maze", "--model", "extractive", "--tool", "nope"], 2, "there is no such tool"),
        (["mqtt", "maze", "--server-url", "localhost:8080"], 2, "such as http://localhost:8080"),
        (["mqtt", "maze", "--model", "extractive", "--mqtt-port", "9", "--check"], 1, "the broker localhost:9"),
        (["mqtt", "maze", "--model", "extractive", "--key-file", "k.pem", "--check"], 2, "--cert-file"),
        (["mqtt-chat", "--cert-file", "c.pem"], 2, "can't use the client certificate in c.pem"),
        (["mqtt-chat", "--mqtt-port", "9"], 1, "the broker localhost:9"),
        (["serve", "--model", "openai:m@http://[bad"], 2, "'http://[bad' is not a valid URL"),
        (["serve", "--host", "no such host"], 1, "can't listen on no such host:8000"),
        (["serve", "--model", "extractive", "--root-path", "https://h/a"], 2, "AGENTKIT_ROOT_PATH: it must be a path"),
        (["doctor", "--no-faults"], 2, "there is nothing to check"),
        (["doctor", "http://127.0.0.1:9"], 1, "http://127.0.0.1:9 can't be reached"),
        (["doctor", "http://127.0.0.1:99999"], 2, "is not a valid URL"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_can_not_work_is_one_sentence(arguments: list[str], code: int, sentence: str) -> None:
    assert sentence in said(*arguments, code=code)


def test_a_key_file_that_can_not_be_read_is_known_before_there_are_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys.json").write_text('{"keys": 3}')
    monkeypatch.setenv("AGENTKIT_KEYS_FILE", str(tmp_path / "keys.json"))
    for command in (["serve", "--model", "extractive", "--port", "0"], ["serve", "keys", "list"]):
        assert "keys.json can't be read: it is not one that" in said(*command, code=2)


class Listing(BaseHTTPRequestHandler):
    """A server whose path is its list of models."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(unquote(self.path.split("/")[1]).encode())

    def log_message(self, *_: Any) -> None:
        pass


def test_a_server_that_lists_no_models_is_bad_usage_of_doctor() -> None:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Listing)
    with running(http):
        for models in ("html", "[1, 2]", '{"data": ["m"]}', '{"data": [{"id": null}]}', '{"data": []}'):
            url = f"http://127.0.0.1:{http.server_port}/{quote(models)}"
            assert f"lists no models: specify one as openai:NAME@{url}" in said("doctor", url, "--no-faults", code=2)


def test_doctor_is_not_cut_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("FORCE_COLOR", "1")
    url = f"http://127.0.0.1:9/{'long/' * 40}v1"
    status, out, _ = run("doctor", f"openai:m@{url}", "--no-faults")
    assert status == 1
    assert f"{url}/chat/completions (is the server running?)" in out
    assert "…" not in out


@pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")
def test_a_bridge_answers_with_a_model_by_name_and_a_folder_of_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").mkdir()
    asked: list[Any] = []

    def answer(request: Any) -> Answer:
        asked.append(request.body)
        return whole("Zaphod")

    def end_after_the_answer() -> None:
        for _ in range(60):  # a broker keeps nothing for a bridge that has not subscribed yet; it knows a request again
            games.ask("s", 1)
            if games.wait(1, 0.5):
                break
        os.kill(os.getpid(), signal.SIGTERM)

    def begin(*arguments: Any, **options: Any) -> None:
        threading.Timer(0.05, end_after_the_answer).start()
        serve_until(*arguments, **options)

    monkeypatch.setattr("agentkit.serving.mqtt.embedded.serve_until", begin)
    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setenv("AGENTKIT_MQTT_PROJECTS", "general")
    with serve_mqtt(tmp_path) as broker, serve(answer) as server:
        games = Games(broker)
        model = ["--model", f"openai:m@{server.url}", "--temperature", "0.1", "--docs", "docs"]
        status, _, log = run("mqtt", *model, "--mqtt_port", str(broker.port), "--log-level", "DEBUG")
        games.close()
    for each, handler in handlers.items():
        signal.signal(each, handler)
    assert (status, games.got[0][1]) == (0, "Zaphod")
    assert (asked[-1]["temperature"], "top_p" in asked[-1]) == (0.1, False)
    assert [each["function"]["name"] for each in asked[-1]["tools"]] == ["search_documents", "read_document"]
    assert "turn 1: m replied in " in log
    assert "Zaphod" not in log
