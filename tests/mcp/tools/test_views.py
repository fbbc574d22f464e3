"""What is chosen of a server's tools, and copies of it."""

import copy
import pickle
from typing import Any

import pytest
from requests.auth import HTTPBasicAuth

from agentkit import Agent, ConfigurationError
from agentkit.mcp import MCP
from agentkit.testing import ScriptedBackend
from tests.mcp.tools.planned import Make, Planned, answer, entry, text, until

FILES = [entry(name) for name in ("delete_file", "read_file", "read_folder", "write_file")]


def names(tools: Any) -> list[str]:
    return [each.name for each in tools.tools()]


def test_tools_are_chosen_by_name(server: Make, planned: Planned) -> None:
    files = server(*FILES)
    assert names(files["read_file"]) == ["read_file"]
    assert names(files.only("read_*", "write_file")) == ["read_file", "read_folder", "write_file"]
    assert names(files.without("*_file")) == ["read_folder"]
    assert names(files.prefixed("fs_")) == ["fs_delete_file", "fs_read_file", "fs_read_folder", "fs_write_file"]
    assert names(files.only("read_*").without("read_folder").prefixed("my-")) == ["my-read_file"]
    assert len(planned.starts) == 1


def test_a_tool_behind_a_prefix_is_called_by_the_name_that_its_server_knows(server: Make, planned: Planned) -> None:
    files = server(*FILES, results={"read_file": text("Hello")})
    backend = ScriptedBackend(("fs_read_file", {}), "ok")
    result = Agent(backend, tools=[files.prefixed("fs_")]).run("Read.")
    assert [each.response for each in result.tool_calls] == ["Hello"]
    assert planned.requests("tools/call")[0]["params"]["name"] == "read_file"


def test_a_name_of_the_server_that_models_do_not_take_may_be_chosen(server: Make) -> None:
    tools = server(entry("a.b"), entry("a.c"))
    assert names(tools["a.b"]) == ["a_b"]
    assert names(tools.without("a.b")) == ["a_c"]


def test_the_tools_can_be_looked_through(server: Make) -> None:
    files = server(*FILES)
    assert [each.name for each in files] == names(files)
    assert "read_file" in files
    assert "read_files" not in files


def test_one_tool_has_other_options_and_another_name(server: Make, planned: Planned) -> None:
    files = server(*FILES, results={"read_file": text("Hello")})
    (tool,) = files["read_file"].tools()
    careful = tool.replace(name="look", description="Look.", approve=True, timeout=9.0)
    agent = Agent(ScriptedBackend(("look", {}), "ok"), tools=[careful])
    waiting = agent.run("Look.")
    result = agent.resume(waiting.messages, approve={waiting.pending[0].id: True})
    assert [each.response for each in result.tool_calls] == ["Hello"]
    assert planned.requests("tools/call")[0]["params"]["name"] == "read_file"
    assert (careful.options.timeout, tool.options.timeout) == (9.0, None)


def test_a_choice_is_the_same_object_as_long_as_nothing_has_changed(server: Make) -> None:
    files = server(*FILES)
    for chosen in (files.only("read_*"), files.prefixed("x_"), files.replace(timeout=3)):
        assert chosen.tools() is chosen.tools()


def test_a_choice_that_a_change_leaves_as_it_is_stays_the_same_object(server: Make) -> None:
    changes = {"changes": {"tools": [*FILES, entry("more")]}}
    files = server(*FILES, results={"read_file": {**text(""), **changes}})
    chosen = files.only("read_*").prefixed("x_")
    first = chosen.tools()
    answer(files, "read_file")
    until(lambda: len(files.tools()) != 4)
    assert chosen.tools() is first


@pytest.mark.parametrize("call", ["only", "without", "replace"])
def test_a_name_that_the_server_does_not_have_is_an_error_with_the_nearest(server: Make, call: str) -> None:
    files = server(*FILES)
    options: Any = {"timeout": 3} if call == "replace" else {}
    chosen = getattr(files, call)("raed_file", **options)
    with pytest.raises(
        ConfigurationError, match=rf"{call}\('raed_file'\): good has no such tool: did you mean 'read_file'"
    ):
        chosen.tools()


def test_a_name_that_is_like_none_is_an_error_with_all(server: Make) -> None:
    with pytest.raises(ConfigurationError, match="it has delete_file, read_file, read_folder, write_file"):
        server(*FILES)["xyz"].tools()


def test_a_tool_that_goes_later_is_no_error(server: Make, planned: Planned) -> None:
    files = server(*FILES, results={"read_file": {**text(""), "changes": {"tools": FILES[1:]}}})
    chosen = files.only("read_file", "delete_file")
    assert names(chosen) == ["delete_file", "read_file"]
    answer(files, "read_file")
    until(lambda: len(files.tools()) != 4)
    assert names(chosen) == ["read_file"]


BAD: dict[str, Any] = {
    "twice": (lambda files: files.only("a", "a"), "'a' is named twice"),
    "none": (lambda files: files.only(), "name the tools"),
    "empty": (lambda files: files.without(""), "the name of a tool"),
    "a list": (lambda files: files.only(["a"]), "the name of a tool"),
    "an empty prefix": (lambda files: files.prefixed(""), "1 to 40 letters"),
    "a dotted prefix": (lambda files: files.prefixed("fs."), "1 to 40 letters"),
    "a long prefix": (lambda files: files.prefixed("x" * 41), "1 to 40 letters"),
    "no options": (lambda files: files.replace("a"), "give the options"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_can_not_be_chosen_is_an_error_at_once(name: str) -> None:
    choose, error = BAD[name]
    with pytest.raises(ConfigurationError, match=error):
        choose(MCP("some-server"))


def test_several_agents_share_a_connection(server: Make, planned: Planned) -> None:
    files = server(*FILES)
    agents = [Agent(ScriptedBackend(("read_file", {}), "ok"), tools=[files.only("read_*")]) for _ in range(3)]
    assert [each.run("Read.").output for each in agents] == ["ok", "ok", "ok"]
    assert len(planned.starts) == 1


@pytest.mark.parametrize(
    "how", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))], ids=["copied", "pickled"]
)
def test_a_copy_has_a_connection_of_its_own(
    server: Make, planned: Planned, how: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILES_TOKEN", "sesame-open")
    files = server(*FILES, options={"timeout": 7.0, "env": {"TOKEN": "sesame-open"}})
    made, chosen = how((files, files.only("read_*").prefixed("x_")))
    with made:
        assert names(made) == names(files)
        assert names(chosen) == ["x_read_file", "x_read_folder"]
        assert made.connection is chosen.connection is not files.connection
        assert made.connection.settings == files.connection.settings
    assert len(planned.starts) == 2


def test_a_tool_is_copied_with_its_server(server: Make) -> None:
    (tool,) = server(entry("a"), results={"a": text("Hello")})
    made = pickle.loads(pickle.dumps(tool))
    assert made() == "Hello"
    made.function.server.close()


def test_an_agent_is_pickled_with_its_servers(server: Make) -> None:
    agent = Agent(ScriptedBackend("ok"), tools=[server(*FILES).only("read_*")])
    made = pickle.loads(pickle.dumps(agent))
    assert [each.name for each in made.tools] == ["read_file", "read_folder"]


KEYS: list[tuple[Any, dict[str, Any]]] = [
    ("https://tools.example/mcp", {"headers": {"Authorization": "Bearer sesame-open-1"}}),
    ("https://me:sesame-open-1@tools.example/mcp", {}),
    ("https://tools.example/mcp?api_key=sesame-open-1", {}),
    (["python", "-m", "files", "--token", "sesame-open-1"], {}),
    (["python", "-m", "files"], {"env": {"FILES_API_KEY": "sesame-open-1"}}),
]


@pytest.mark.parametrize(("given", "options"), KEYS)
def test_a_key_is_pickled_as_the_name_of_the_variable_that_has_it(
    given: Any, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = MCP(given, **options)
    with pytest.raises(pickle.PicklingError, match=r"^MCP \w+: it has a key: put the key into") as caught:
        pickle.dumps(tools)
    assert "sesame" not in str(caught.value)
    monkeypatch.setenv("THE_KEY", "sesame-open-1")
    stored = pickle.dumps(tools)
    assert b"sesame" not in stored
    assert pickle.loads(stored).connection.settings == tools.connection.settings
    monkeypatch.delenv("THE_KEY")
    with pytest.raises(ConfigurationError, match="THE_KEY is not set in this process"):
        pickle.loads(stored)


def test_a_login_with_a_password_is_not_pickled() -> None:
    tools = MCP("https://tools.example/mcp", auth=HTTPBasicAuth("me", "sesame-open"))
    with pytest.raises(pickle.PicklingError, match="it has a key, as password"):
        pickle.dumps(tools)


@pytest.mark.parametrize("part", ["ask", "auth"])
def test_a_part_that_can_not_be_pickled_is_named(part: str) -> None:
    given: Any = {part: lambda each: each}
    tools = MCP("https://tools.example/mcp", name="tools", **given)
    with pytest.raises(pickle.PicklingError, match=f"MCP tools: {part} can't be pickled"):
        pickle.dumps(tools.only("a"))
    assert copy.deepcopy(tools).connection.settings == tools.connection.settings


SHOWN = [
    (MCP(["npx", "-y", "server", "--key", "sesame"], env={"KEY": "sesame"}), "MCP(server: npx)"),
    (MCP("https://user:sesame@tools.example/mcp?key=sesame#sesame", headers={"A": "sesame"}), "MCP(example: https://tools.example/mcp)"),
    (MCP("some-server").only("a").prefixed("b_"), "MCP(some: some-server).only('a').prefixed('b_')"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(SHOWN)))
def test_nothing_secret_is_shown(number: int) -> None:
    given, expected = SHOWN[number]
    assert repr(given) == expected
    assert "sesame" not in repr(given.connection.settings)
