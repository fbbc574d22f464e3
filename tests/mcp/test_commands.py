"""The commands of MCP servers: what can't work says so, and a server gets what programs need and no key."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import ConfigurationError
from agentkit.mcp.client import Client
from agentkit.mcp.command import Command
from agentkit.mcp.errors import Gone, MCPError
from agentkit.mcp.process import STDERR_BYTES
from agentkit.mcp.stdio import Stdio
from tests.mcp.servers import bad_command, client_of, text_of


def of_command(command: Command) -> Client:
    return Client(lambda heard: Stdio(command, heard), "bad", 20.0)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ([], "is empty"),
        ([""], "is empty"),
        ("npx 'unclosed", "can't be split"),
        (["npx", 3], "a text or a list of texts"),
        (None, "a text or a list of texts, not NoneType"),
        (b"npx", "not bytes"),
        (["a\0b"], "null character"),
    ],
    ids=repr,
)
def test_a_command_that_cannot_work_is_refused(command: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Command(command)


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"PORT": 80}, "env.*PORT.*not int"),
        ({"KEY": None}, "env.*KEY.*not NoneType"),
        ({3: "x"}, "env\\[3\\]"),
        ({"A=B": "x"}, "not the name or value"),
        ({"A": "x\0"}, "not the name or value"),
        ({"": "x"}, "not the name or value"),
        (["A=1"], "env is a dict"),
    ],
    ids=repr,
)
def test_variables_that_are_no_texts_are_refused(env: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:
        Command("npx", env)
    assert "None" not in str(caught.value).replace("NoneType", "")


@pytest.mark.parametrize("cwd", [3, ["a"]])
def test_a_working_directory_that_is_no_path_is_refused(cwd: Any) -> None:
    with pytest.raises(ConfigurationError, match="cwd="):
        Command("npx", cwd=cwd)


def test_a_program_that_is_not_installed_is_named() -> None:
    client = client_of(["no-such-program-of-anybody", "--key", "sk-secret"])
    for call in (client.server, lambda: client.call_tool("x", {})):
        with pytest.raises(ConfigurationError, match="'no-such-program-of-anybody' was not found in PATH") as caught:
            call()
        assert "sk-secret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="'/no/such/program' does not exist"):
        client_of(["/no/such/program"]).server()


def test_a_folder_that_is_missing_and_a_file_that_is_no_program_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"the working directory .*gone.* does not exist"):
        of_command(Command(bad_command(), cwd=tmp_path / "gone")).server()
    text = tmp_path / "text"
    text.write_text("hello")
    with pytest.raises(ConfigurationError, match="is not executable"):
        client_of([str(text)]).server()
    text.chmod(0o755)
    with pytest.raises(ConfigurationError, match="Exec format error"):
        client_of([str(text)]).server()
    text.write_text("#!/no/such/interpreter\n")
    with pytest.raises(ConfigurationError, match="No such file"):
        client_of([str(text)]).server()


def test_a_text_is_split_as_a_shell_does_and_a_list_is_taken_as_it_is(tmp_path: Path) -> None:
    assert Command("npx -y 'a b' \"c d\" e\\ f").words == ("npx", "-y", "a b", "c d", "e f")
    assert Command(["npx", "a b; rm -rf $HOME"]).words == ("npx", "a b; rm -rf $HOME")
    folder = tmp_path / "with spaces"
    folder.mkdir()
    os.symlink(bad_command()[-1], folder / "bad server.py")
    line = f"{sys.executable} -ISX utf8 '{folder}/bad server.py' --era 2025-11-25"
    with client_of(line) as client:
        assert client.server().version == "2025-11-25"


def test_a_server_runs_in_its_folder_and_its_program_may_be_relative_to_that(tmp_path: Path) -> None:
    program = tmp_path / "server"
    program.write_text('#!/bin/sh\nexec "$@"\n')
    program.chmod(0o755)
    with of_command(Command(["./server", *bad_command()], cwd=tmp_path)) as client:
        assert text_of(client.call_tool("cwd", {})) == str(tmp_path.resolve())


def test_a_server_gets_what_programs_need_its_own_variables_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-program")
    monkeypatch.setenv("LC_TIME", "C")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    with of_command(Command(bad_command(), {"GITHUB_TOKEN": "ghp-given", "LC_TIME": "nb_NO"})) as client:
        environment = json.loads(text_of(client.call_tool("environment", {})))
    assert environment["PATH"] == os.environ["PATH"]
    assert environment["GITHUB_TOKEN"] == "ghp-given"
    assert environment["LC_TIME"] == "nb_NO"
    assert environment["HTTPS_PROXY"] == "http://proxy:3128"
    assert "sk-of-the-program" not in environment.values()


def test_a_program_is_looked_for_in_the_path_that_the_server_gets(tmp_path: Path) -> None:
    program = tmp_path / "my-own-server"
    program.write_text('#!/bin/sh\nexec "$@"\n')
    program.chmod(0o755)
    command = Command(["my-own-server", *bad_command()], {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"})
    with of_command(command) as client:
        assert client.server().name == "bad-server"


def test_a_key_of_a_server_is_in_no_error_and_no_repr() -> None:
    shell = 'echo "cannot sign in with $TOKEN" >&2; exit 1'
    client = of_command(Command(["sh", "-c", shell], {"TOKEN": "tok-12345678"}))
    with pytest.raises(Gone, match="cannot sign in with \\*\\*\\*") as caught:
        client.server()
    assert "tok-12345678" not in caught.value.stderr
    assert "tok-12345678" not in repr((client, Command(["x", "--key", "tok-12345678"], {"TOKEN": "tok-12345678"})))


REPEATS = """
import json, os, sys
for line in sys.stdin:
    told = f"401: bad key {os.environ['TOKEN']} or {sys.argv[2]}"
    error = {"code": -32000, "message": told, "data": {"said": [told]}}
    print(json.dumps({"jsonrpc": "2.0", "id": json.loads(line)["id"], "error": error}), flush=True)
"""


def test_a_key_of_a_server_is_in_no_error_that_it_answers_with() -> None:
    command = Command([sys.executable, "-ISc", REPEATS, "--api-key", "key-87654321"], {"TOKEN": "tok-12345678"})
    with of_command(command) as client, pytest.raises(MCPError, match="401: bad key") as caught:
        client.server()
    assert str(caught.value).endswith("401: bad key *** or ***")
    assert caught.value.data == {"said": ["401: bad key *** or ***"]}


@pytest.mark.parametrize(
    "words",
    [
        ["--api-key=sesame99"],
        ["--token", "sesame99"],
        ["-e", "GITHUB_TOKEN=sesame99"],
        ["--header", "X-Own:sesame99"],
        ["--header", "Authorization: Bearer sesame99"],
        ["Bearer sesame99"],
        ["postgresql://user:sesame99@host/db"],
        ["https://host/mcp?api_key=sesame99"],
        ["sesame99sesame99sesame99"],
    ],
    ids=" ".join,
)
def test_a_key_among_the_arguments_is_masked(words: list[str]) -> None:
    assert "sesame" not in Command(["server", *words]).masked(f"cannot sign in with {words[-1]}")


def test_other_arguments_are_not_masked() -> None:
    words = ["-y", "@scope/server-files@2025.1.14", "--root", "/home/me/data-2025-01-02-03", "--level=debugging"]
    assert Command(["npx", *words]).masked(" ".join(words)) == " ".join(words)


def test_a_key_that_is_cut_in_half_is_masked() -> None:
    shell = f"import os, sys; os.write(2, b'x' * 8000 + sys.argv[2].encode() + b'y' * {STDERR_BYTES // 2 - 4} + b'.')"
    client = of_command(Command([sys.executable, "-ISc", shell, "--key", "tok-12345678"]))
    with pytest.raises(Gone) as caught:
        client.server()
    assert set(caught.value.stderr) == {"y", "."}
