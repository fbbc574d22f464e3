"""Names that other packages add by entry points: backends, and the rules for all of them."""

from pathlib import Path

import pytest

from agentkit import Agent, ConfigurationError
from agentkit._lazy import Registry
from agentkit.providers import PROVIDERS
from tests.support.package import write_package

BACKEND = """
from agentkit.testing import ScriptedBackend
def from_name(provider, model, url, environment):
    return ScriptedBackend(f"I am {model} at {url}.")
"""


def test_a_backend_of_another_package_is_used_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry_points = {"agentkit.backends": {"mine": "my_backend:from_name"}}
    write_package(tmp_path, "my_backend", BACKEND, entry_points)
    monkeypatch.syspath_prepend(tmp_path)
    assert Agent("mine:small@http://host:1").run("Who are you?").output == "I am small at http://host:1."
    with pytest.raises(ConfigurationError, match=r"no model provider 'other'; use one of openai.*, mine"):
        Agent("other:small")


def test_a_package_cannot_replace_a_name_of_agentkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_package(tmp_path, "replacing", "raise SystemExit", {"agentkit.backends": {"openai": "replacing:from_name"}})
    monkeypatch.syspath_prepend(tmp_path)
    assert PROVIDERS.find("openai").__module__ == "agentkit.backends.openai"
    assert PROVIDERS.names().count("openai") == 1


def test_names_are_in_the_order_of_the_table_and_then_of_the_alphabet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_package(tmp_path, "letters", "a = b = 1", {"agentkit.letters": {"b": "letters:b", "a": "letters:a"}})
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry("agentkit.letters", {"z": "json:dumps", "y": "json:loads"})
    assert registry.names() == ["z", "y", "a", "b"]
    assert registry.find("a") == 1
    assert registry.find("c") is None
