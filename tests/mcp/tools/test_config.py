"""Configuration files of MCP servers, as Claude Desktop, Cursor and VS Code have them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, ConfigurationError
from agentkit.mcp import MCP, load_config
from agentkit.mcp.tools import ServerTools
from agentkit.testing import ScriptedBackend
from tests.mcp.tools.planned import SERVER, Planned, entry

ENVIRON = {"TOKEN": "sesame-open", "EMPTY": "", "HOST": "tools.example", "HOME": "/home/ada"}


def write(folder: Path, config: Any, name: str = "mcp.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(config if isinstance(config, str) else json.dumps(config), "utf-8")
    return path


def load(folder: Path, config: Any, **options: Any) -> list[ServerTools]:
    return load_config(write(folder, config), **{"environ": ENVIRON, **options})


def one(folder: Path, server: Any, **options: Any) -> Any:
    """The settings of the only server of a file."""
    (made,) = load(folder, {"mcpServers": {"files": server}}, **options)
    return made.connection.settings


def test_a_file_of_claude_desktop_and_cursor(tmp_path: Path) -> None:
    settings = one(tmp_path, {"command": "npx", "args": ["-y", "server", "/data"], "env": {"KEY": "x"}})
    assert settings.server == ("npx", "-y", "server", "/data")
    assert (settings.label, settings.env, settings.cwd, settings.is_trusted) == ("files", {"KEY": "x"}, None, True)


def test_a_file_of_vs_code(tmp_path: Path) -> None:
    config = {
        "inputs": [{"type": "promptString", "id": "key", "description": "API key", "password": True}],
        "servers": {
            "web": {"type": "http", "url": "https://tools.example/mcp", "headers": {"X-Key": "Bearer ${input:key}"}},
            "own": {
                "type": "stdio",
                "command": "${workspaceFolder}/run",
                "cwd": "${workspaceFolder}/x",
                "env": {"A": "${env:TOKEN}"},
            },
        },
    }
    asked = []

    def inputs(about: Any) -> str:
        asked.append(about)
        return "secret"

    web, own = load_config(write(tmp_path / ".vscode", config), inputs=inputs, environ=ENVIRON)
    assert web.connection.settings.headers == {"X-Key": "Bearer secret"}
    assert not web.connection.settings.is_trusted
    assert own.connection.settings.server == (f"{tmp_path}/run",)
    assert own.connection.settings.cwd == tmp_path / "x"
    assert own.connection.settings.env == {"A": "sesame-open"}
    assert [each["description"] for each in asked] == ["API key"]


def test_servers_in_the_settings_of_vs_code(tmp_path: Path) -> None:
    (made,) = load(tmp_path, {"mcp": {"servers": {"a": {"command": "x"}}}, "editor.fontSize": 12})
    assert made.label == "a"


def test_the_servers_of_a_file_work(tmp_path: Path, planned: Planned) -> None:
    planned.set(entry("a"))
    config = {
        "mcpServers": {
            "good": {"command": sys.executable, "args": ["-S", "-E", str(SERVER), "plan.json"], "cwd": "."},
            "bad": {"command": "no-such-command"},
            "off": {"command": "no-such-command", "disabled": True},
        }
    }
    servers = load(tmp_path, config)
    backend = ScriptedBackend(("a", {"n": 1}), "ok")
    result = Agent(backend, tools=servers).run("Go on.")
    assert result.tool_calls[0].response == '{"n": 1}'
    for each in servers:
        each.close()


def test_a_disabled_server_is_left_out(tmp_path: Path) -> None:
    config = {"a": {"command": "x", "disabled": True}, "b": {"command": "x", "enabled": False}, "c": {"command": "x"}}
    assert [each.label for each in load(tmp_path, {"mcpServers": config})] == ["c"]
    assert load(tmp_path, {"mcpServers": {}}) == []


VARIABLES = [
    ("${TOKEN}", "sesame-open"),
    ("${env:TOKEN}", "sesame-open"),
    ("a${TOKEN}b${HOST}", "asesame-openbtools.example"),
    ("${NONE:-x}", "x"),
    ("${NONE:-}", ""),
    ("${EMPTY:-x}", "x"),
    ("${EMPTY}", ""),
    ("${TOKEN:-x}", "sesame-open"),
    ("${NONE:-https://a/b?c}", "https://a/b?c"),
    ("${env:NONE:-x}", "x"),
    ("$TOKEN", "$TOKEN"),
    ("${}", "${}"),
    ("${a b}", "${a b}"),
    ("100%", "100%"),
]


@pytest.mark.parametrize(("written", "value"), VARIABLES)
@pytest.mark.parametrize("place", ["args", "env", "headers"])
def test_variables_are_replaced(tmp_path: Path, written: str, value: str, place: str) -> None:
    if place == "headers":
        assert one(tmp_path, {"url": "https://${HOST}/mcp", "headers": {"A": written}}).headers == {"A": value}
    elif place == "env":
        assert one(tmp_path, {"command": "x", "env": {"A": written}}).env == {"A": value}
    else:
        assert one(tmp_path, {"command": "x", "args": [written]}).server == ("x", value)


def test_the_variables_of_vs_code(tmp_path: Path) -> None:
    written = ["${workspaceFolder}", "${workspaceFolderBasename}", "${pathSeparator}", "${/}"]
    assert one(tmp_path, {"command": "x", "args": written}).server == ("x", str(tmp_path), tmp_path.name, "/", "/")


def test_variables_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "value")
    (made,) = load_config(str(write(tmp_path, {"mcpServers": {"a": {"command": "x", "args": ["${SOME_TOKEN}"]}}})))
    assert made.connection.settings.server == ("x", "value")


def test_the_value_of_a_variable_is_not_replaced_again(tmp_path: Path) -> None:
    environ = {"A": "${B}", "B": "x"}
    assert one(tmp_path, {"command": "x", "args": ["${A}"]}, environ=environ).server == ("x", "${B}")


def test_inputs_are_given_or_have_defaults(tmp_path: Path) -> None:
    config = {
        "inputs": [{"id": "a", "default": "x"}, {"id": "b"}],
        "servers": {"s": {"command": "c", "args": ["${input:a}", "${input:b}"]}},
    }
    (made,) = load(tmp_path, config, inputs={"b": "y"})
    assert made.connection.settings.server == ("c", "x", "y")


@pytest.mark.parametrize(
    ("command", "args", "words"),
    [
        ("npx -y server", None, ("npx", "-y", "server")),
        ("npx -y server", [], ("npx", "-y", "server")),
        ("npx", ["-y", "two words"], ("npx", "-y", "two words")),
        (["npx", "-y"], None, ("npx", "-y")),
        ("npx", [8080, True], ("npx", "8080", "true")),
    ],
)
def test_a_command_is_written_in_several_ways(tmp_path: Path, command: Any, args: Any, words: tuple[str, ...]) -> None:
    given = {"command": command} | ({} if args is None else {"args": args})
    assert one(tmp_path, given).server == words


def test_a_relative_command_leads_from_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "run me").touch()
    assert one(tmp_path, {"command": "./run me"}).server == (str(tmp_path / "run me"),)
    assert one(tmp_path, {"command": "bin/other"}).server == ("bin/other",)


def test_a_file_of_variables(tmp_path: Path) -> None:
    (tmp_path / "my.env").write_text("# keys\nexport A=1\nB = 'two words' # yes\nC=\"\"\n\nD=x # no\nA=2\n", "utf-8")
    settings = one(tmp_path, {"command": "x", "envFile": "${workspaceFolder}/my.env", "env": {"D": "own", "B": None}})
    assert settings.env == {"A": "2", "C": "", "D": "own"}


@pytest.mark.parametrize("kind", ["http", "streamable-http", "streamableHttp", None])
@pytest.mark.parametrize("key", ["url", "serverUrl", "httpUrl"])
def test_a_server_over_http(tmp_path: Path, kind: str | None, key: str) -> None:
    settings = one(tmp_path, {key: "https://tools.example/mcp", "type": kind, "trustHints": True})
    assert (settings.server, settings.is_trusted) == ("https://tools.example/mcp", True)


def test_a_server_of_http_with_sse(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert one(tmp_path, {"url": "https://tools.example/events", "type": "sse"}).sse
    assert not one(tmp_path, {"url": "https://tools.example/mcp", "transport": "http"}).sse
    assert not caplog.text


def test_a_server_that_is_to_be_spoken_to_as_an_older_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert one(tmp_path, {"command": "x", "handshake": True}).handshake
    assert not one(tmp_path, {"command": "x"}).handshake
    assert not caplog.text
    with pytest.raises(ConfigurationError, match="handshake"):
        one(tmp_path, {"command": "x", "handshake": "2025-11-25"})


@pytest.mark.parametrize(("timeout", "seconds"), [(60, 60), (0.5, 0.5), (30_000, 30)])
def test_a_timeout_is_in_seconds_or_milliseconds(tmp_path: Path, timeout: float, seconds: float) -> None:
    assert one(tmp_path, {"command": "x", "timeout": timeout}).timeout == seconds


def test_tools_are_chosen_in_the_file(tmp_path: Path, planned: Planned) -> None:
    planned.set(*map(entry, ("a", "b", "c")))
    given = {"command": planned.words()[0], "args": planned.words()[1:]}
    for chosen, names in (
        ({"includeTools": ["a", "b"]}, ["a", "b"]),
        ({"excludeTools": ["a"]}, ["b", "c"]),
        ({"disabledTools": ["a"], "includeTools": ["a", "c"]}, ["c"]),
    ):
        (made,) = load(tmp_path, {"mcpServers": {"files": {**given, **chosen}}})
        with made:
            assert [each.name for each in made.tools()] == names


# What is warned of

COMMENTED = """\
{
  // the servers
  "mcpServers": {
    /* two
       lines */
    "a": {"command": "x", "args": ["// no comment", "/* nor this */", "a,]", "\\"//"],},
  },
}
"""


def test_comments_and_last_commas_are_read_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (made,) = load(tmp_path, COMMENTED)
    assert made.connection.settings.server == ("x", "// no comment", "/* nor this */", "a,]", '"//')
    assert "has comments or commas behind the last value, which JSON has not" in caplog.text


def test_a_file_without_these_warns_of_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = {
        "$schema": "x",
        "globalShortcut": "",
        "mcpServers": {"a": {"command": "x", "autoApprove": ["b"], "_note": 1}},
    }
    load(tmp_path, config)
    assert caplog.text == ""


def test_unknown_keys_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(tmp_path, {"mcpServers": {"a": {"command": "x", "enviroment": {}, "arg": [], "xyz": 1}}})
    for what in ("key 'enviroment': ", "key 'arg': did you mean 'args'?", "key 'xyz': it is ignored"):
        assert f"server 'a': there is no {what}" in caplog.text


def test_a_server_that_is_written_twice_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (made,) = load(tmp_path, '{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}')
    assert made.connection.settings.server == ("y",)
    assert "'a' stands in one object twice" in caplog.text


# What is an error


def of_a(server: Any) -> dict[str, Any]:
    return {"mcpServers": {"a": server}}


BAD: dict[str, tuple[Any, str]] = {
    "no object": ([], "has no object"),
    "no servers": ({"mcpServer": {}}, "has no \"mcpServers\".*did you mean it with 'mcpServer'"),
    "servers in a list": ({"mcpServers": []}, "mcpServers has to be an object"),
    "no JSON": ('{"mcpServers": {"a": }', r"is not JSON: .*\(line 1, column 22\)"),
    "no JSON behind a comment": ('// servers\n{"mcpServers" 1}', r"is not JSON: .*\(line 2, column"),
    "deep": ("[" * 100_000, "is not JSON"),
    "an unset variable": (
        of_a({"command": "x", "env": {"A": "sesame${NONE}"}}),
        "env.A: the environment variable NONE",
    ),
    "an unknown variable": (of_a({"command": "x", "args": ["${command:c}"]}), r"args\[0\]: '\$\{command:c\}' is not"),
    "an input without a value": (
        {"inputs": [{"id": "k", "description": "Your key"}], **of_a({"command": "x", "args": ["${input:k}"]})},
        r"args\[0\]: the value of the input 'k' \(Your key\) is not known",
    ),
}
BAD_SERVERS: dict[str, tuple[Any, str]] = {
    "text": ("npx", "has to be an object"),
    "empty": ({}, "needs a command, or a url"),
    "both": ({"command": "x", "url": "http://a"}, "needs a command, or a url, and not both"),
    "empty command": ({"command": " "}, "the command .* is empty"),
    "command": ({"command": {}}, "command has to be a text, not an object"),
    "args": ({"command": "x", "args": "y"}, "args has to be a list"),
    "argument": ({"command": "x", "args": [None]}, r"args\[0\] has to be a text, not null"),
    "env": ({"command": "x", "env": ["A"]}, "env has to be an object"),
    "value": ({"command": "x", "env": {"A": ["sesame"]}}, "env.A has to be a text, not a list"),
    "headers": ({"url": "http://a", "headers": "x"}, "headers has to be an object"),
    "no scheme": ({"url": "tools.example/mcp"}, "write its scheme"),
    "another scheme": ({"url": "ws://tools.example"}, "http://"),
    "type of a command": ({"command": "x", "type": "http"}, "type 'http' does not fit a server with a command"),
    "unknown type": ({"url": "http://a", "type": "pigeon"}, "type 'pigeon' does not fit a server with a url"),
    "disabled": ({"command": "x", "disabled": "no"}, "disabled has to be true or false, not a text"),
    "timeout": ({"command": "x", "timeout": "30"}, "timeout has to be a number, not a text"),
    "timeout of 0": ({"command": "x", "timeout": 0}, "timeout=0"),
    "unknown input": ({"command": "x", "args": ["${input:k}"]}, "the value of the input 'k' is not known"),
    "envFile": ({"command": "x", "envFile": "none.env"}, "envFile .*none.env can't be read: no such file"),
    "includeTools": ({"command": "x", "includeTools": "b"}, "includeTools has to be a list"),
    "twice": ({"command": "x", "includeTools": ["b", "b"]}, "'b' is named twice"),
}


@pytest.mark.parametrize("name", BAD_SERVERS)
def test_a_server_that_can_not_be_used_is_an_error_that_names_it_and_the_key(name: str, tmp_path: Path) -> None:
    server, error = BAD_SERVERS[name]
    with pytest.raises(ConfigurationError, match=f"mcp.json: server 'a'.*{error}") as caught:
        load(tmp_path, of_a(server))
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_can_not_be_used_is_an_error(name: str, tmp_path: Path) -> None:
    config, error = BAD[name]
    with pytest.raises(ConfigurationError, match=error) as caught:
        load(tmp_path, config)
    assert str(tmp_path / "mcp.json") in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_an_envfile_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "my.env").write_text("A=1\nsesame\n", "utf-8")
    with pytest.raises(ConfigurationError, match=r"my\.env has no NAME=value in line 2$"):
        one(tmp_path, {"command": "x", "envFile": "my.env"})


def test_a_file_that_there_is_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.json can't be read: no such file"):
        load_config(tmp_path / "none.json")
    (tmp_path / "latin.json").write_bytes(b'{\n"\xe4": 1}')
    with pytest.raises(ConfigurationError, match=r"latin\.json is not UTF-8 \(line 2\)"):
        load_config(tmp_path / "latin.json")


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_bytes(b"\xef\xbb\xbf" + b'{"mcpServers": {"a": {"command": "x"}}}')
    (made,) = load_config(tmp_path / "mcp.json")
    assert isinstance(made, MCP)
