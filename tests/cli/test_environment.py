"""The commands in odd environments, run as subprocesses: they work, or say in one sentence what to change."""

import subprocess
from pathlib import Path

import pytest

from tests.cli.test_ask import agentkit
from tests.support.model_server import serve, whole

SOCKS = "socks://127.0.0.1:1/"


def said(done: "subprocess.CompletedProcess[str]") -> str:
    """The one sentence on standard error."""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "variables",
    [
        {"ALL_PROXY": "socks5://127.0.0.1:1", "NO_PROXY": "localhost,127.0.0.1"},
        {"http_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.0/8"},
        {"SSL_CERT_FILE": "/nonexistent/ca.pem", "SSLKEYLOGFILE": "/nonexistent/keys"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_what_a_model_server_on_loopback_does_not_need_does_not_matter(variables: dict[str, str]) -> None:
    with serve([whole("Fine.")]) as server:
        done = agentkit(
            "ask", "x", "-q", "--model", f"openai:m@{server.url}", cwd=None, stdin=None, fork=False, **variables
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Fine.\n", "")


@pytest.mark.parametrize(
    "command",
    [
        ["ask", "x", "--model", "openai:m@http://127.0.0.1:9/v1"],
        ["chat", "--model", "llamacpp:@http://127.0.0.1:9"],
        ["mqtt", "maze", "--server_url", "http://127.0.0.1:9", "--check"],
        ["doctor", "http://127.0.0.1:9", "--no-faults"],
        ["serve", "--model", "lightllm:m@http://127.0.0.1:9"],
        ["serve"],
    ],
    ids=lambda command: " ".join(command[:1]),
)
def test_a_socks_proxy_is_one_sentence_of_every_command(tmp_path: Path, command: list[str]) -> None:
    store = ["--store", str(tmp_path / "x.db")] if command[0] == "serve" else []
    done = agentkit(*command, *store, cwd=tmp_path, ALL_PROXY=SOCKS)
    assert done.returncode == 2
    assert "ALL_PROXY names a SOCKS proxy" in said(done)


@pytest.mark.parametrize("value", ["Maybe", ""])
def test_an_option_that_is_neither_true_nor_false_is_an_error(value: str) -> None:
    done = agentkit("mqtt", "maze", "--check", "--skip_thinking", value)
    assert done.returncode == 2
    assert f"--skip-thinking {value!r} is neither True nor False" in said(done)


def test_a_setting_that_is_neither_true_nor_false_is_an_error(tmp_path: Path) -> None:
    done = agentkit("serve", "--store", str(tmp_path / "x.db"), cwd=tmp_path, LLM_SKIP_THINKING="Maybe")
    assert done.returncode == 2
    assert "LLM_SKIP_THINKING: " in said(done)


@pytest.mark.parametrize("command", [["serve"], ["serve", "keys", "list"]], ids=" ".join)
def test_a_dotenv_of_another_encoding_is_named_with_its_line(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / ".env").write_bytes("A=1\n# Schlüssel\n".encode("latin-1"))
    done = agentkit(*command, cwd=tmp_path)
    assert done.returncode == 2
    assert "the file .env is not UTF-8 (the byte 0xFC in line 2)" in said(done)
