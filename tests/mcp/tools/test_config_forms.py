"""The configuration files of other programs, as they are."""

import json
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import ConfigurationError
from agentkit.mcp import load_config
from agentkit.mcp.oauth.granting import Tokens
from agentkit.mcp.oauth.store import Store
from agentkit.mcp.settings import Settings
from tests.mcp.tools.planned import Planned, entry

ENVIRON = {"TOKEN": "sesame-open", "OTHER": "x"}


def load(file: Path, content: Any) -> dict[str, Settings]:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return {each.label: each.connection.settings for each in load_config(file, environ=ENVIRON)}


CODEX = """
model = "gpt-5"

[mcp_servers.files]
command = "npx"
args = ["-y", "server"]
env = { A = "1" }
env_vars = ["TOKEN"]
startup_timeout_sec = 20
tool_timeout_sec = 1200

[mcp_servers.web]
url = "https://tools.example/mcp"
bearer_token_env_var = "TOKEN"
http_headers = { X = "y" }
env_http_headers = { Z = "OTHER" }

[mcp_servers.old]
command = "x"
enabled = false
"""


def test_the_file_of_codex(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """openai/codex#3441"""
    found = load(tmp_path / ".codex" / "config.toml", CODEX)
    assert list(found) == ["files", "web"]
    assert (found["files"].server, found["files"].timeout) == (("npx", "-y", "server"), 1200)
    assert found["files"].env == {"A": "1", "TOKEN": "sesame-open"}
    assert found["web"].headers == {"Authorization": "Bearer sesame-open", "X": "y", "Z": "x"}
    assert not caplog.text
    with pytest.raises(ConfigurationError, match=r"config\.toml is not TOML"):
        load(tmp_path / "config.toml", '{"mcpServers": {}}')


def test_the_file_of_opencode(tmp_path: Path) -> None:
    """anomalyco/opencode#5739"""
    local = {"type": "local", "command": ["npx", "-y", "x"], "environment": {"K": "{env:TOKEN}", "L": "${env:TOKEN}"}}
    remote = {"type": "remote", "url": "https://tools.example/mcp", "headers": {"A": "Bearer {env:TOKEN}"}}
    found = load(tmp_path / "opencode.json", {"mcp": {"a": local, "b": remote, "c": {**remote, "enabled": False}}})
    assert list(found) == ["a", "b"]
    assert (found["a"].server, found["a"].env) == (("npx", "-y", "x"), {"K": "sesame-open", "L": "sesame-open"})
    assert found["b"].headers == {"A": "Bearer sesame-open"}
    with pytest.raises(ConfigurationError, match=r"env\.K: '\$\{file:key\}' is not known here"):
        load(tmp_path / "opencode.json", {"mcp": {"a": {**local, "environment": {"K": "{file:key}"}}}})
    braces = {"mcpServers": {"a": {"command": "x", "args": ["{env:TOKEN}"]}}}
    assert load(tmp_path / "mcp.json", braces)["a"].server == ("x", "{env:TOKEN}")


def test_the_file_of_zed(tmp_path: Path) -> None:
    first = {"command": {"path": "npx", "args": ["x"], "env": {"A": "1"}}}
    now = {"source": "custom", "command": "npx", "args": ["x"], "env": {"A": "1"}}
    found = load(tmp_path / "settings.json", {"theme": "One", "context_servers": {"first": first, "now": now}})
    assert [(each.server, each.env) for each in found.values()] == [(("npx", "x"), {"A": "1"})] * 2


def test_servers_without_anything_around_them(tmp_path: Path) -> None:
    found = load(tmp_path / ".mcp.json", {"a": {"command": "x"}, "b": {"url": "https://tools.example/mcp"}})
    assert list(found) == ["a", "b"]
    for other in ({"a": {"command": "x"}, "version": 1}, {"a": {"b": {"command": "x"}}}, {}):
        with pytest.raises(ConfigurationError, match="has no"):
            load(tmp_path / "mcp.json", other)


@pytest.mark.parametrize("folder", [".gemini", ".qwen"])
def test_variables_without_braces_are_replaced_where_their_program_does(tmp_path: Path, folder: str) -> None:
    """google-gemini/gemini-cli#18837, #28228"""
    servers = {"a": {"command": "$OTHER", "args": ["$TOKEN-1", "${TOKEN}", "5$"], "env": {"K": "Bearer $TOKEN"}}}
    found = load(tmp_path / folder / "settings.json", {"mcpServers": servers})["a"]
    assert (found.server, found.env) == (("x", "sesame-open-1", "sesame-open", "5$"), {"K": "Bearer sesame-open"})
    with pytest.raises(ConfigurationError, match=r"env\.K: the environment variable NONE is not set"):
        load(tmp_path / folder / "settings.json", {"mcpServers": {"a": {"command": "x", "env": {"K": "$NONE"}}}})


def test_a_variable_without_braces_is_told_where_it_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """QwenLM/qwen-code#11499: a 401 is no hint."""
    servers = {"a": {"url": "https://tools.example/mcp", "headers": {"A": "Bearer $TOKEN", "B": "pa$NONE"}}}
    found = load(tmp_path / "mcp.json", {"mcpServers": servers})["a"]
    assert found.headers == {"A": "Bearer $TOKEN", "B": "pa$NONE"}
    assert "headers.A has $TOKEN, which is not replaced: write ${TOKEN}" in caplog.text
    assert "NONE" not in caplog.text
    assert "sesame" not in caplog.text


def test_tools_that_copilot_is_told_to_offer(tmp_path: Path, planned: Planned) -> None:
    """github/copilot-cli#1403"""
    planned.set(*map(entry, ("a", "b", "c")))
    for tools, names in ((["*"], ["a", "b", "c"]), (["a", "c"], ["a", "c"]), ([], [])):
        file = tmp_path / "mcp-config.json"
        file.write_text(json.dumps({"mcpServers": {"s": {"command": planned.words(), "tools": tools}}}), "utf-8")
        (server,) = load_config(file)
        with server:
            assert [each.name for each in server] == names


@pytest.mark.parametrize(
    ("login", "advice"),
    [
        ({"oauth": {"clientId": "12.3", "callbackPort": 3118}}, "--client-id 12.3 --port 3118 --host localhost"),
        ({"oauth": {"client_id": "${OTHER}", "scope": "a b"}}, "--client-id x --scope 'a b'"),
        ({"auth": {"CLIENT_ID": "c", "scopes": ["a", "b"]}}, "--client-id c --scope 'a b'"),
        ({"oauth": {"clientId": "c", "clientSecret": "sesame-open"}}, "auth=OAuth(client_id="),
        ({"oauth": {}}, ""),
        ({"oauth": {"clientId": "c"}, "headers": {"Authorization": "x"}}, ""),
    ],
)
def test_what_a_file_says_of_a_login_is_told_as_the_command(
    login: dict[str, Any], advice: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """can1357/oh-my-pi#189, EdanStarfire/claudecode_webui#1109, 1mcp-app/agent#377: the official file of Slack."""
    load(tmp_path / "mcp.json", {"mcpServers": {"slack": {"url": "https://mcp.slack.example/mcp", **login}}})
    assert (advice in caplog.text, bool(caplog.text)) == (True, bool(advice))
    assert "sesame-open" not in caplog.text


def test_a_file_that_wants_no_login_gets_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """oauth: false, as opencode has it."""
    found = load(
        tmp_path / "a.json", {"mcp": {"a": {"type": "remote", "url": "https://a.example/mcp", "oauth": False}}}
    )
    assert (found["a"].auth, caplog.text) == (None, "")


def test_a_file_is_silent_where_somebody_has_logged_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    store = Store.of_user()
    store.keep_tokens("https://auth.example", "https://mcp.slack.example/mcp", Tokens("a-token-of-somebody"))
    oauth = {"clientId": "12.3"}
    load(tmp_path / "mcp.json", {"mcpServers": {"a": {"url": "https://mcp.slack.example/mcp", "oauth": oauth}}})
    assert caplog.text == ""
