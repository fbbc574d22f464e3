"""Tools as people write them: any signature is described, and called as it has to be."""

from __future__ import annotations

import functools
import json
import math
import os
import subprocess
import sys
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Optional, TypedDict, TypeVar

import pytest
from pydantic import BaseModel, Field, model_validator

from agentkit import Agent, Tool, tool
from agentkit.errors import ToolDefinitionError
from agentkit.testing import ScriptedBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    import agentkit as ak
    from agentkit import Context

    class Deps: ...

    class Elsewhere: ...


ROOT = Path(__file__).parents[2]
T = TypeVar("T")
P = typing.ParamSpec("P")


def answer(function: Any, arguments: dict[str, Any], **options: Any) -> str:
    made = function if isinstance(function, Tool) else tool(function)
    result = Agent(ScriptedBackend((made.name, arguments), "Done."), tools=[made]).run("Go.", **options)
    return result.tool_calls[0].response


# What is there only for type checkers


def by_name(x: int, ctx: Context) -> Elsewhere:
    """Look."""
    return typing.cast("Elsewhere", type(ctx).__name__)


def of_deps(x: int, ctx: Context[Deps]) -> str:
    """Look."""
    return type(ctx).__name__


def quoted(x: int, ctx: "Context[Deps]") -> str:  # noqa: UP037
    """Look."""
    return type(ctx).__name__


def optional(x: int, ctx: Context | None = None) -> str:
    """Look."""
    return type(ctx).__name__


def optional_of(x: int, ctx: Optional[Context[Deps]] = None) -> str:  # noqa: UP045
    """Look."""
    return type(ctx).__name__


def of_module(x: int, ctx: ak.Context[Deps]) -> str:
    """Look."""
    return type(ctx).__name__


def keyword_only(x: int, *, ctx: Context) -> str:
    """Look."""
    return type(ctx).__name__


def first(ctx: Context, /, x: int, *more: int) -> str:
    """Look."""
    return type(ctx).__name__


@pytest.mark.parametrize(
    "function",
    [by_name, of_deps, quoted, optional, optional_of, of_module, keyword_only, first],
    ids=lambda f: f.__name__,
)
def test_the_context_may_be_imported_for_type_checkers_only(function: Any) -> None:
    """google/adk-python#6488, langchain#39602, pydantic-ai#5358."""
    assert "ctx" not in tool(function).parameters["properties"]
    assert answer(function, {"x": 1}) == "Context"


def test_another_type_that_is_there_for_type_checkers_only_is_named() -> None:
    def look(x: int, where: list[Elsewhere] | None = None) -> str:
        """Look."""
        return ""

    with pytest.raises(ToolDefinitionError, match=r"tool look: .*parameter 'where' names Elsewhere.*TYPE_CHECKING"):
        tool(look)


def test_classes_of_the_function_around_are_found_by_a_plain_function_too() -> None:
    class City(BaseModel):
        name: str

    def look(city: City, more: list[City]) -> City:
        """Look."""
        return typing.cast("City", city.name + more[0].name)

    agent = Agent(ScriptedBackend(("look", {"city": {"name": "a"}, "more": [{"name": "b"}]}), "Done."), tools=[look])
    assert agent.run("Go.").tool_calls[0].response == "ab"


AS_WRITTEN = """
from typing import TYPE_CHECKING
from agentkit import tool
if TYPE_CHECKING:
    from agentkit import Context
    from elsewhere import Elsewhere

def by_name(x: int, ctx: Context) -> Elsewhere:
    "Look."
    return type(ctx).__name__

def optional(x: int, ctx: Context | None = None) -> dict[str, Elsewhere]:
    "Look."
    return type(ctx).__name__

def missing(x: int, where: list[Elsewhere]) -> str:
    "Look."

def around():
    class City:
        def __init__(self, name: str) -> None:
            self.name = name

    def look(x: int, ctx: Context, at: dict[City, Elsewhere]) -> str:
        "Look."
    return look
"""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are evaluated where they are defined")
def test_the_context_may_be_imported_for_type_checkers_only_without_the_future_import() -> None:
    """What Python 3.14 allows (PEP 649): the NameError of the annotation was all that there was of the tool."""
    namespace: dict[str, Any] = {"__name__": "written"}
    exec(compile(AS_WRITTEN, "written.py", "exec", dont_inherit=True), namespace)  # noqa: S102
    for name in ("by_name", "optional"):
        assert list(tool(namespace[name]).parameters["properties"]) == ["x"]
        assert answer(namespace[name], {"x": 1}) == "Context"
    for function in (namespace["missing"], namespace["around"]()):
        with pytest.raises(ToolDefinitionError, match=r"parameter '(where|at)' names Elsewhere.*TYPE_CHECKING"):
            tool(function)


@pytest.mark.skipif(sys.version_info < (3, 15), reason="there are no lazy imports")
def test_a_type_may_be_imported_lazily(tmp_path: Path) -> None:
    (tmp_path / "lazily.py").write_text(
        "from __future__ import annotations\nfrom agentkit import tool\nlazy from decimal import Decimal\n\n"
        "@tool\ndef add(a: Decimal, b: list[Decimal]) -> str:\n    'Add.'\n    return str(a)\n\nprint(add.parameters)\n"
    )
    done = subprocess.run(
        [sys.executable, str(tmp_path / "lazily.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert "LazyImport" not in done.stdout


def test_a_function_of_exec_or_a_notebook_is_a_tool() -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    code = "def look(x: 'int | None', y: list['str'] = []) -> 'City':\n    'Look.'\n    return repr((x, y))"
    exec(code, namespace)  # noqa: S102
    assert answer(namespace["look"], {"x": 1}) == "(1, [])"


# Defaults, and what has no annotation


def test_a_field_may_be_the_default() -> None:
    """llama_index#17324, fastmcp#3036: the function got the FieldInfo."""

    def look(
        city: str = Field(..., description="The city."),
        days: int = Field(5, ge=1, le=9),
        tags: list[str] = Field(default_factory=list),  # noqa: B008 - what is tested
        unit: Literal["c", "f"] = Field("c", alias="unit of degrees"),
    ) -> str:
        """Look."""
        return repr((city, days, tags, unit))

    made = tool(look)
    assert made.parameters["required"] == ["city"]
    assert made.parameters["properties"]["days"] == {"type": "integer", "minimum": 1, "maximum": 9, "default": 5}
    assert made.parameters["properties"]["city"]["description"] == "The city."
    assert "unit of degrees" in made.parameters["properties"]
    assert answer(made, {"city": "Oslo"}) == "('Oslo', 5, [], 'c')"
    assert answer(made, {"city": "Oslo", "days": "3", "unit of degrees": "f"}) == "('Oslo', 3, [], 'f')"
    assert answer(made, {"city": "Oslo", "unit": "f"}) == "('Oslo', 5, [], 'f')"
    assert "days: expected greater than or equal to 1" in answer(made, {"city": "Oslo", "days": 0})
    assert "city: is missing" in answer(made, {})


def test_a_field_in_the_annotation_may_have_a_default_and_an_alias() -> None:
    def look(days: Annotated[int, Field(alias="Days")] = 3, size: Annotated[int, Field(default=4)] = 4) -> str:
        """Look."""
        return repr((days, size))

    assert tool(look).parameters["properties"]["Days"] == {"type": "integer", "default": 3}
    assert answer(look, {}) == "(3, 4)"
    assert answer(look, {"Days": 5}) == "(5, 4)"


@pytest.mark.parametrize("value", ["a", 1, 2.5, None, True, [1, {"a": None}], {"a": [1]}])
def test_a_parameter_without_annotation_takes_any_json(value: Any) -> None:
    def look(x, y=3):  # type: ignore[no-untyped-def]
        """Look."""
        return json.dumps([x, y])

    assert tool(look).parameters["properties"] == {"x": {}, "y": {"default": 3}}
    assert answer(look, {"x": value}) == json.dumps([value, 3])


# How it is called


def test_any_number_of_arguments_is_a_list() -> None:
    def total(first: int, second: int = 2, *rest: int, key: str = "k") -> str:
        """Add up.

        Args:
            *rest: More numbers.
        """
        return repr((first, second, rest, key))

    made = tool(total)
    assert made.parameters["properties"]["rest"] == {
        "type": "array",
        "items": {"type": "integer"},
        "description": "More numbers.",
    }
    assert made.parameters["required"] == ["first"]
    assert answer(made, {"first": 1}) == "(1, 2, (), 'k')"
    assert answer(made, {"first": 1, "rest": ["3", 4], "key": "z"}) == "(1, 2, (3, 4), 'z')"
    assert answer(made, {"first": 1, "second": 5, "rest": [6]}) == "(1, 5, (6,), 'k')"
    assert "rest[0]: expected a valid integer" in answer(made, {"first": 1, "rest": ["x"]})


def test_any_named_arguments_are_passed_on() -> None:
    def find(query: str, **filters: int) -> str:
        """Find.

        Args:
            **filters: Exact values.
        """
        return repr((query, filters))

    made = tool(find)
    assert made.parameters["additionalProperties"] == {"type": "integer", "description": "Exact values."}
    assert answer(made, {"query": "q", "year": "2020", "month": 3}) == "('q', {'year': 2020, 'month': 3})"
    assert answer(made, {"query": "q"}) == "('q', {})"
    assert "year: expected a valid integer" in answer(made, {"query": "q", "year": "x"})


def test_the_keys_of_unpacked_arguments_are_arguments() -> None:
    class Filters(TypedDict, total=False):
        year: int
        city: typing.Required[str]

    def find(**filters: typing.Unpack[Filters]) -> str:
        """Find."""
        return repr(filters)

    made = tool(find)
    assert made.parameters["required"] == ["city"]
    assert made.parameters["additionalProperties"] is False
    assert answer(made, {"city": "Oslo", "year": "3"}) == "{'year': 3, 'city': 'Oslo'}"
    assert "city: is missing" in answer(made, {})


def test_positional_only_parameters_are_passed_by_place() -> None:
    """anthropic-sdk-python#1912: the tool could never be called."""

    def look(a: int, b: int = 2, /, c: int = 3, **more: Any) -> str:
        """Look."""
        return repr((a, b, c, more))

    assert answer(look, {"a": 1}) == "(1, 2, 3, {})"
    assert answer(look, {"a": 1, "b": 5, "c": 6, "d": 7}) == "(1, 5, 6, {'d': 7})"

    def late(a: int = 1, b: int = 2, /) -> str:
        """Look."""
        return repr((a, b))

    assert answer(late, {"b": 5}) == "(1, 5)"


def test_functions_of_the_standard_library_lambdas_and_generic_functions_are_tools() -> None:
    def twice(value: T, others: list[T]) -> str:
        """Look."""
        return repr((value, others))

    def logged(function: Callable[P, str]) -> Callable[P, str]:
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> str:
            """Look."""
            return function(*args, **kwargs)

        return wrapper

    @functools.wraps(twice)
    def wrapped(*args: Any, **kwargs: Any) -> str:
        return twice(*args, **kwargs)

    double: Any = lambda x: x * 2  # noqa: E731 - a lambda is what is tested
    assert answer(tool(name="double", description="Double.")(double), {"x": 4}) == "8"
    assert answer(math.gcd, {"integers": [4, 6]}) == "2"
    assert answer(math.cos, {"x": 0.0}) == "1.0"
    assert answer(twice, {"value": 1, "others": ["a"]}) == "(1, ['a'])"
    assert answer(wrapped, {"value": 1, "others": []}) == "(1, [])"
    shout: Any = logged(str.upper)
    assert answer(shout, {"args": ["a"]}) == "A"


def test_a_classmethod_object_says_in_which_order_to_decorate() -> None:
    with pytest.raises(ToolDefinitionError, match="write @classmethod above @tool"):
        tool(classmethod(lambda cls: None))  # type: ignore[call-overload]


def test_a_long_or_foreign_name_is_refused_with_the_way_out() -> None:
    def поиск(x: int) -> None:
        """Look."""

    for function in (поиск, lambda x: x):
        with pytest.raises(ToolDefinitionError, match=r"1 to 64 letters.*name="):
            tool(description="Look.")(function)
    assert tool(name="search")(поиск).name == "search"

    def _search(x: int) -> None:
        """Look."""

    assert tool(_search).name == "_search"


# Classes


class Weather(BaseModel):
    """Get the weather.

    Attributes:
        city: Which city.
    """

    city: str
    days: int = Field(1, ge=1, description="How many.")
    unit: Literal["c", "f"] = Field("c", alias="Unit")

    @model_validator(mode="after")
    def not_atlantis(self) -> Weather:
        if self.city == "Atlantis":
            raise ValueError("there is no Atlantis")
        return self


def test_a_pydantic_class_is_a_tool_whose_result_is_the_validated_instance() -> None:
    made = tool(Weather)
    assert (made.name, made.description) == ("Weather", "Get the weather.")
    assert made.parameters["required"] == ["city"]
    assert made.parameters["properties"]["city"] == {"type": "string", "description": "Which city."}
    assert made.parameters["additionalProperties"] is False
    assert json.loads(answer(Weather, {"city": "Oslo", "days": "2"})) == {"city": "Oslo", "days": 2, "Unit": "c"}
    assert "days: expected greater than or equal to 1" in answer(Weather, {"city": "Oslo", "days": 0})
    assert "there is no Atlantis" in answer(Weather, {"city": "Atlantis"})
    assert made.function(city="Oslo").city == "Oslo"  # type: ignore[call-arg]  # pydantic has defaults


def test_a_pydantic_class_that_ends_the_run_is_its_output() -> None:
    made = tool(ends_run=True)(Weather)

    def run(output: Any) -> Any:
        return Agent(ScriptedBackend(("Weather", {"city": "Oslo"})), tools=[made]).run("Go.", output=output).output

    assert json.loads(run(str))["city"] == "Oslo"
    assert run(Weather) == Weather(city="Oslo")  # type: ignore[call-arg]  # pydantic has defaults


def test_a_pydantic_class_asks_for_approval_with_its_fields() -> None:
    seen: list[dict[str, Any]] = []

    def approve(values: dict[str, Any]) -> bool:
        seen.append(values)
        return False

    made = tool(approve=approve)(Weather)
    assert "Oslo" in answer(made, {"city": "Oslo"})
    assert seen[0]["city"] == "Oslo"


def test_a_tree_a_dataclass_and_a_typed_dict_are_tools() -> None:
    assert json.loads(answer(Tree, {"children": [{"children": []}]})) == {"children": [{"children": []}]}
    assert json.loads(answer(Point, {"x": "1"})) == {"x": 1, "y": 0}
    assert json.loads(answer(Film, {"title": "Up"})) == {"title": "Up"}
    with pytest.raises(ToolDefinitionError, match="it has no docstring"):
        tool(Bare)


class Tree(BaseModel):
    """Plant a tree."""

    children: list[Tree] = []


@dataclass
class Point:
    """Draw a point."""

    x: int
    y: int = 0


class Film(TypedDict, total=False):
    """Watch a film."""

    title: typing.Required[str]
    year: int


class Bare(BaseModel):
    x: int


class Pair(NamedTuple):
    left: int
    right: str


def test_models_as_parameters_stay_nested() -> None:
    def look(point: Point, film: Film, pair: Pair, weather: Weather) -> str:
        """Look."""
        return repr((point, film, pair, weather.city))

    arguments = {"point": {"x": 1}, "film": {"title": "Up"}, "pair": [1, "a"], "weather": {"city": "Oslo"}}
    expected = "(Point(x=1, y=0), {'title': 'Up'}, Pair(left=1, right='a'), 'Oslo')"
    assert answer(look, arguments) == expected


# Parameters that another framework hides from the model


def of(module: str, name: str, *bases: type) -> Any:
    """A class as another framework has it."""
    return types.new_class(name, bases, exec_body=lambda namespace: namespace.update(__module__=module))


InjectedToolArg = of("langchain_core.tools.base", "InjectedToolArg")
InjectedState = of("langgraph.prebuilt.tool_node", "InjectedState", InjectedToolArg)
Depends = of("fastapi.params", "Depends")
HIDDEN: list[tuple[Any, Any]] = [
    (Annotated[str, InjectedToolArg], None),
    (Annotated[dict, InjectedState()], None),
    (Annotated[str, of("langchain_core.tools.base", "InjectedToolCallId", InjectedToolArg)()], None),
    (Optional[Annotated[str, InjectedToolArg()]], None),  # noqa: UP045
    (of("langchain_core.runnables.config", "RunnableConfig", dict), None),
    (of("langchain.tools", "ToolRuntime", typing.Generic[T])[int], None),  # type: ignore[index]
    (of("agents.run_context", "RunContextWrapper", typing.Generic[T])[str], None),  # type: ignore[index]
    (of("pydantic_ai._run_context", "RunContext"), None),
    (of("google.adk.tools.tool_context", "ToolContext"), None),
    (of("autogen_core", "CancellationToken"), None),
    (of("llama_index.core.workflow", "Context"), None),
    (of("fastmcp.server.context", "Context"), None),
    (of("mcp.server.fastmcp.server", "Context"), None),
    (of("agno.agent.agent", "Agent"), None),
    (of("starlette.requests", "Request"), None),
    (str, Depends()),
    (Annotated[str, Depends()], None),
    (str, of("fastmcp.server.dependencies", "_CurrentContext")()),
    ("RunContextWrapper[Anything]", None),
    ("pydantic_ai.RunContext[Anything]", None),
]


@pytest.mark.parametrize(("hint", "default"), HIDDEN)
def test_a_parameter_that_another_framework_hides_is_refused(hint: Any, default: Any) -> None:
    def look(query: str, user_id: Any = default) -> str:
        """Look."""
        return ""

    look.__annotations__["user_id"] = hint
    with pytest.raises(ToolDefinitionError, match=r"tool look: the parameter 'user_id' .*agentkit\.Context"):
        tool(look)


@pytest.mark.parametrize("name", ["agent", "run_context", "tool_context", "team"])
@pytest.mark.parametrize("annotation", ["", ": object", ": dict", ": dict[str, str]", ": 'Unheard'", ": Any"])
def test_a_name_by_which_a_framework_passes_something_is_refused(name: str, annotation: str) -> None:
    namespace: dict[str, Any] = {"Any": Any}
    exec(f"def look({name}{annotation}, query: str):\n    'Look.'", namespace)  # noqa: S102
    with pytest.raises(ToolDefinitionError, match=rf"tool look: the parameter '{name}' .*agentkit\.Context"):
        tool(namespace["look"])


def test_an_agent_that_the_model_is_to_name_is_an_argument() -> None:
    def delegate(agent: str, task: str) -> str:
        """Delegate."""
        return f"{agent}: {task}"

    assert answer(delegate, {"agent": "anna", "task": "x"}) == "anna: x"
