"""Secrets in files: NAME_FILE names the file with NAME."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit import ConfigurationError
from agentkit.serving.environment import use_secret_files
from agentkit.serving.http.settings import HttpSettings
from tests.serving.mqtt.test_process import agentkit
from tests.support.model_server import Answer, Asked, serve, whole
from tests.support.mosquitto import EXECUTABLE, serve_mqtt

SECRET = "sesame-sesame-sesame-sesame-sesame"


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"\ufeff{SECRET}\r\n", encoding="utf-8")
    return path


@pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")
def test_the_password_of_the_broker_may_be_in_a_file(tmp_path: Path, file: Path) -> None:
    """emqx/emqx#10028, diebietse/invertergui#46, tsightler/ring-mqtt#132, hivemq/mqtt-cli#136"""
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "ann", SECRET], check=True, capture_output=True)
    passwords.chmod(0o644)
    with serve_mqtt(tmp_path, "allow_anonymous false", f"password_file {passwords}") as broker:
        check = ["mqtt", "--check", "--projects", "general", "--model", "extractive", "--store", "memory:"]
        check += ["--mqtt-port", str(broker.port), "--mqtt-username", "ann"]
        done = agentkit(*check, AGENTKIT_MQTT_PASSWORD_FILE=str(file))
        assert (done.returncode, "are working" in done.stdout) == (0, True), done.stderr
        assert agentkit(*check).returncode == 1
        missing = agentkit(*check, AGENTKIT_MQTT_PASSWORD_FILE=str(tmp_path / "none"))
    assert missing.returncode == 2
    assert "the password of the broker" in missing.stderr
    assert "no such file" in missing.stderr


def test_the_key_of_a_model_server_may_be_in_a_file(file: Path) -> None:
    keys: list[str] = []

    def reply(asked: Asked) -> Answer:
        keys.append(asked.headers.get("authorization", ""))
        return whole("Noon.")

    with serve(reply) as server:
        done = agentkit("ask", "High tide?", "-m", f"openai:any@{server.url}", "-q", OPENAI_API_KEY_FILE=str(file))
    assert done.stdout == "Noon.\n", done.stderr
    assert keys == [f"Bearer {SECRET}"]


def test_settings_of_the_service_may_be_in_files_that_the_environment_or_env_names(tmp_path: Path, file: Path) -> None:
    os.environ["AGENTKIT_JWT_AUDIENCE"] = "chat"
    os.environ["AGENTKIT_JWT_SECRET_FILE"] = str(file)
    (tmp_path / ".env").write_text(f"AGENTKIT_SESSIONS_FILE={file}\n")
    settings = HttpSettings(_env_file=tmp_path / ".env")
    assert settings.agentkit_jwt_secret is not None
    assert settings.agentkit_jwt_secret.get_secret_value() == settings.agentkit_sessions == SECRET


def test_a_file_comes_before_the_value_that_an_older_process_has_handed_on(file: Path) -> None:
    os.environ.pop("GROQ_API_KEY", None)
    os.environ.update(OPENAI_API_KEY="old", OPENAI_API_KEY_FILE=str(file), GROQ_API_KEY_FILE="")
    use_secret_files()
    use_secret_files()
    assert os.environ["OPENAI_API_KEY"] == SECRET
    assert "GROQ_API_KEY" not in os.environ


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"a\0b", b"x" * 100_001])
def test_a_file_without_a_secret_is_an_error_that_shows_none_of_it(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    os.environ["OPENAI_API_KEY_FILE"] = str(file)
    with pytest.raises(ConfigurationError, match=r"OPENAI_API_KEY_FILE: .*(no secret|not UTF-8)") as caught:
        use_secret_files()
    assert "xxx" not in str(caught.value)
