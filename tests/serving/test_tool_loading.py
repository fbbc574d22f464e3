"""Tools by name: those of the pack, of other packages, and `module:name`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import agentkit_tools
from agentkit import ConfigurationError, Tool
from agentkit.cli import app
from agentkit.serving.tool_loading import load, load_tools
from tests.support.package import write_package

TIDES = '''
from agentkit import tool

@tool(read_only=True)
def tide(place: str) -> str:
    """Say when it is high tide."""

def moon() -> str:
    """Say the phase of the moon."""

both = [tide, moon]
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"tide": "tides:tide", "sea": "tides:both", "lost": "tides:none", "number": "tides:__name__"}
    write_package(tmp_path, "tides", TIDES, {"agentkit.tools": names})
    monkeypatch.syspath_prepend(tmp_path)


def names(tools: list[object]) -> list[str]:
    return [each.name if isinstance(each, Tool) else each.__name__ for each in tools]  # type: ignore[attr-defined]


def test_the_tools_of_the_pack_have_names() -> None:
    assert load("search") == load("agentkit_tools:search") == [agentkit_tools.search]
    assert load_tools(["visit", "load_image"], None) == [agentkit_tools.visit, agentkit_tools.load_image]


@pytest.mark.usefixtures("package")
def test_tools_of_another_package_are_loaded_by_their_names() -> None:
    assert names([*load("tide")]) == ["tide"]
    assert names([*load("sea")]) == ["tide", "moon"]
    assert names([*load_tools(["tide", "tides:moon"], None)]) == ["tide", "moon"]


@pytest.mark.usefixtures("package")
def test_an_unknown_name_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'tied': there is no such tool.*search, visit.*sea, tide"):
        load("tied")
    with pytest.raises(ConfigurationError, match=r"'lost' of the package tides 1.0 can't be used"):
        load("lost")
    with pytest.raises(
        ConfigurationError, match=r"'number' of the package tides 1.0 can't be used.*neither a tool nor a fun"
    ):
        load("number")


@pytest.mark.parametrize("name", ["", ":", "a:", ":a"])
def test_half_a_name_is_no_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no such tool: write module:name"):
        load(name)


@pytest.mark.usefixtures("package")
def test_the_command_lists_the_tools_of_other_packages_and_reports_what_it_cannot_load() -> None:
    listed = CliRunner().invoke(app, ["tools"])
    assert listed.exit_code == 0, listed.output
    for line in ("search  (read-only)", "tide  (read-only)", "moon  (has effects)"):
        assert line in listed.stdout
    assert listed.stdout.count("tide  (read-only)") == 1
    assert "Names for --tool: search, visit, load_image, lost, number, sea, tide" in listed.stdout
    assert "'lost' of the package tides" in listed.stderr
    chosen = CliRunner().invoke(app, ["tools", "--tool", "sea", "--json"])
    assert chosen.stdout.count('"name"') == 2


@pytest.mark.usefixtures("package")
def test_the_services_load_them_too() -> None:
    from agentkit.serving.http.app import tools_of
    from agentkit.serving.http.settings import HttpSettings

    assert names([*tools_of(HttpSettings(agentkit_tools=("sea", "search")))]) == ["tide", "moon", "search"]
