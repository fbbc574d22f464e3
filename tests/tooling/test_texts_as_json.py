"""Arguments in the wrong wrapping: JSON as an object where a tool takes its text, and an object around one argument."""

import json
from typing import Annotated, Any

import pytest
from pydantic import Field

from agentkit import Tool, tool
from tests.tooling.test_reports import answer

# QwenLM/qwen-code#535, continuedev/continue#8972, Kilo-Org/kilocode#4130, anthropics/claude-code#6690,
# earendil-works/pi#8757: JSON as an object, where a tool takes the text of a file


@tool
def write_file(path: str, content: str, mode: str | None = None) -> str:
    """Write a file."""
    return content


HAND_WRITTEN = Tool(
    "write_file",
    "Write a file.",
    {"type": "object", "properties": {"content": {"type": "string"}}, "required": ["content"]},
    lambda content: content,
)


@pytest.mark.parametrize(
    "content",
    [{"name": "x", "version": "1.0"}, {"scripts": {"build": "é"}}, [{"a": 1}], [{"a": 1}, {"b": [None, 2.5]}]],
)
def test_json_in_the_place_of_the_text_of_a_file_is_its_text(content: Any) -> None:
    assert json.loads(answer(write_file, {"path": "a.json", "content": content})) == content
    assert json.loads(answer(HAND_WRITTEN, {"content": content})) == content


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        ["a", "b"],
        {"query": "x"},
        {"type": "string", "value": "x"},
        {"description": "The text.", "type": "str"},  # crewAIInc/crewAI-tools#157
    ],
)
def test_what_stands_around_a_text_or_is_several_is_no_text(content: Any) -> None:
    assert "content: expected a valid string" in answer(write_file, {"path": "a.json", "content": content})
    assert "content" in answer(HAND_WRITTEN, {"content": content})


def test_texts_of_a_form_and_items_of_lists_are_not_made_of_objects() -> None:
    @tool
    def find(paths: list[str], code: Annotated[str, Field(pattern="^x")] = "x") -> str:
        """Find files."""
        return str(paths)

    assert "paths[0]: expected a valid string" in answer(find, {"paths": [{"path": "a", "line": 1}]})
    assert "code: expected a valid string" in answer(find, {"paths": [], "code": {"a": 1, "b": 2}})


# SAIL-Research-Lab/cheetahclaws#182: an argument inside of an object under its own name


def test_an_object_under_the_name_of_its_own_argument_is_taken_off() -> None:
    @tool
    def skill(args: str, count: int = 1, more: dict[str, Any] | None = None) -> str:
        """Use a skill."""
        return f"{args} {count} {more}"

    assert answer(skill, {"args": {"args": "--k 5"}, "count": {"count": "2"}}) == "--k 5 2 None"
    assert answer(skill, {"args": "x", "more": {"more": 1}}) == "x 1 {'more': 1}"
