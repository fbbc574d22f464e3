"""Defaults and examples of a type's fields that JSON has no form for: the type works all the same."""

import json
import math
import warnings
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, Field

from agentkit import Agent, tool
from agentkit.testing import ScriptedBackend


class Infinite(BaseModel):
    limit: float = math.inf


class Unknown(BaseModel):
    limit: float = math.nan


@dataclass
class Range:
    low: float = -math.inf
    high: float = math.inf


class Bounds(BaseModel):
    inner: Infinite = Infinite()
    by_name: dict[str, float] = {"any": math.inf}
    shown: float = Field(1, examples=[math.inf])


class Raw(BaseModel):
    data: bytes = b"\xff"
    marker: Any = object()


KINDS = [Infinite, Unknown, Range, Bounds, Raw]


@pytest.fixture(autouse=True)
def _warnings_are_errors() -> Any:
    """As pytest's `filterwarnings = error` has it (strands-agents/harness-sdk#1914, griptape-ai/griptape#2026)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_typed_answer_may_have_defaults_that_json_has_no_form_for(kind: Any) -> None:
    """PrefectHQ/prefect#6439: "Out of range float values are not JSON compliant"."""
    result = Agent(ScriptedBackend(("final_answer", {}))).run("Go", output=kind)
    assert repr(result.output) == repr(kind())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_argument_may_have_defaults_that_json_has_no_form_for(kind: Any) -> None:
    got: list[Any] = []

    def look(options: Any) -> str:
        """Look it up."""
        got.append(options)
        return "Found."

    look.__annotations__["options"] = kind
    backend = ScriptedBackend(("look", {"options": {}}), "Done.")
    assert Agent(backend, tools=[tool(look)]).run("Go").output == "Done."
    assert [repr(each) for each in got] == [repr(kind())]
    json.dumps(tool(look).schema, allow_nan=False)


def test_the_model_is_told_no_default_that_would_not_be_valid() -> None:
    """JSON's null for infinity would be refused as an argument."""

    @tool
    def look(options: Bounds) -> str:
        """Look it up."""
        return str(options)

    fields = look.schema["function"]["parameters"]["$defs"]["Bounds"]["properties"]
    assert "default" not in fields["by_name"]
    assert fields["shown"] == {"type": "number", "default": 1}


def test_defaults_and_examples_with_a_json_form_stay() -> None:
    class Options(BaseModel):
        tags: set[str] = {"b", "a"}
        size: float = Field(1.5, examples=[2.5])
        default: int = 3

    backend = ScriptedBackend(("final_answer", {}))
    Agent(backend).run("Go", output=Options)
    fields = backend.requests[0].tools[-1]["function"]["parameters"]["properties"]
    assert fields["tags"]["default"] == ["a", "b"]
    assert fields["size"] == {"type": "number", "default": 1.5, "examples": [2.5]}
    assert fields["default"] == {"type": "integer", "default": 3}
