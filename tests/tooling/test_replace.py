"""A tool with another name, description or options: `Tool.replace`."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from agentkit import Agent, Context, Tool, tool
from agentkit.errors import ToolDefinitionError
from agentkit.testing import ScriptedBackend


@tool(timeout=20)
def double(x: int, factor: int = 2) -> int:
    """Double a number."""
    return factor * x


def triple(x: int) -> int:
    return 3 * x


written = Tool("written", "Triple.", [{"name": "x", "type": "int", "required": True}], triple)


class Shelf:
    def __init__(self, books: list[str]) -> None:
        self.books = books

    @tool
    def find(self, name: str) -> list[str]:
        """Find books."""
        return [book for book in self.books if name in book]

    look = find.replace(name="look", read_only=True)


COPIES: list[Callable[[Any], Any]] = [
    lambda made: made,
    copy.copy,
    copy.deepcopy,
    lambda m: pickle.loads(pickle.dumps(m)),
]
copied = pytest.mark.parametrize("copied", COPIES, ids=["itself", "copy", "deepcopy", "pickle"])


@copied
def test_a_replaced_tool_has_the_new_options_and_keeps_the_others(copied: Callable[[Any], Any]) -> None:
    made = copied(double.replace(name="twice", description="Twice.", read_only=True, cache=60, ends_run=True))
    assert (made.name, made.description) == ("twice", "Twice.")
    assert (made.options.read_only, made.options.cache, made.options.ends_run) == (True, 60, True)
    assert made.options.timeout == 20
    assert made.schema["function"]["name"] == "twice"
    assert made.answer('{"x": "4"}', Context()).text == "8"
    assert made(5) == 10
    assert (double.name, double.options.read_only, double.options.cache) == ("double", False, None)


@copied
def test_a_replaced_tool_with_a_written_schema_is_one(copied: Callable[[Any], Any]) -> None:
    made = copied(written.replace(approve=True, max_result=None))
    assert (made.options.approve, made.options.max_result, made.parameters) == (True, None, written.parameters)
    assert made.answer('{"x": 4.0}', Context()).text == "12"


@copied
def test_a_replaced_method_belongs_to_its_object(copied: Callable[[Any], Any]) -> None:
    shelf = Shelf(["Moby Dick", "Emma"])
    for made in (copied(shelf.find.replace(retries=2)), copied(shelf.look.replace(retries=2))):
        assert made.options.retries == 2
        assert made.answer('{"name": "Em"}', Context()).text == '["Emma"]'
    assert (copied(shelf.look).name, copied(shelf.look).options.read_only) == ("look", True)


def test_what_a_tool_with_effects_refuses_follows_the_option() -> None:
    arguments = '{"x": 1, "faktor": 3}'
    assert "it has no argument 'faktor'" in double.answer(arguments, Context()).text
    assert double.replace(read_only=True).answer(arguments, Context()).text.startswith("2\n(ignored")


def test_a_replaced_tool_keeps_its_own_results() -> None:
    asked: list[str] = []

    @tool(read_only=True, cache=60)
    def ask(what: str) -> str:
        """Ask."""
        asked.append(what)
        return what

    other = ask.replace(name="ask_too")
    backend = ScriptedBackend(("ask", {"what": "a"}), ("ask_too", {"what": "a"}), ("ask", {"what": "a"}), "Done.")
    Agent(backend, tools=[ask, other]).run("Go.")
    assert asked == ["a", "a"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"name": "a b"}, "tool 'a b': a name must be"),
        ({"description": " "}, "it has no docstring"),
        ({"timeout": 0}, "tool double: timeout=0 must be"),
        ({"cache": 5}, "tool double: cache"),
        ({"memory": 5}, "needs isolate=True"),
    ],
    ids=["name", "description", "timeout", "cache", "memory"],
)
def test_an_option_that_can_not_work_is_an_error(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ToolDefinitionError, match=why):
        double.replace(**options)
    with pytest.raises(TypeError, match="tool double: unexpected keyword argument 'readonly'"):
        double.replace(readonly=True)  # type: ignore[call-arg]
