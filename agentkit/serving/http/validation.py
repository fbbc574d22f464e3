"""What is wrong with a request that does not match its schema, in the words of its fields and not of the code here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit._text import in_a_line

Path = tuple[str | int, ...]

MAX_PROBLEMS = 5
"""How many problems are told of one request."""

_EXPECTED = {
    "string_type": "must be a string",
    "string_unicode": "must be valid Unicode",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "mapping_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dataclass_type": "must be an object",
    "missing": "is required",
}
"""Texts for the kinds of problems whose own texts name types of the code."""

_CODES = {
    "missing": "missing_required_parameter",
    "extra_forbidden": "unknown_parameter",
    "too_short": "empty_array",
    "too_long": "array_above_max_length",
    "string_too_short": "string_below_min_length",
    "string_too_long": "string_above_max_length",
    "json_invalid": "invalid_json",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a request. path: of the field, () for the whole body. kind: pydantic's name."""

    path: Path
    text: str
    kind: str

    @property
    def param(self) -> str | None:
        """The field as the OpenAI API writes it: `messages[0].content`; None for the whole body."""
        written = ""
        for step in self.path:
            written += f"[{step}]" if isinstance(step, int) else f".{step}" if written else str(step)
        return in_a_line(written, 200) or None

    @property
    def dotted(self) -> str:
        """The field as a path with dots: `messages.0.content`; "body" for the whole body."""
        return ".".join(map(str, self.path)) or "body"

    @property
    def code(self) -> str:
        """The code that the OpenAI API has for such a problem."""
        if self.kind in _CODES:
            return _CODES[self.kind]
        return "invalid_type" if self.kind.endswith(("_type", "_parsing", "int_from_float")) else "invalid_value"


def problems_of(errors: Iterable[Mapping[str, Any]], body: Any) -> list[Problem]:
    """The problems of a request, at least one. errors: as pydantic lists them. body: of the request, as JSON values.

    Where a value may have one of several forms, the form that it nearly has counts: the one of which a deeper field is
    wrong.
    """
    found = [_problem(error, body) for error in errors]
    inner = {problem.path[:depth] for problem in found for depth in range(len(problem.path))}
    kept = [problem for problem in found if problem.path not in inner] or found
    texts: dict[Path, list[Problem]] = {}
    for problem in kept:
        same = texts.setdefault(problem.path, [])
        if all(problem.text != other.text for other in same):
            same.append(problem)
    return [_joined(alternatives) for alternatives in list(texts.values())[:MAX_PROBLEMS]]


def _joined(alternatives: Sequence[Problem]) -> Problem:
    first = alternatives[0]
    rest = [each.text.removeprefix("must be ") for each in alternatives[1:]]
    return Problem(first.path, " or ".join([first.text, *rest]), first.kind)


def _problem(error: Mapping[str, Any], body: Any) -> Problem:
    kind = str(error["type"])
    place, *location = error["loc"]
    if kind == "json_invalid":
        return Problem((), "the body is not valid JSON", kind)
    path = _path(location, body, is_missing=kind == "missing") if place == "body" else tuple(location)
    text = _EXPECTED.get(kind) or str(error["msg"]).removeprefix("Value error, ")
    text = text.replace("Input should be", "must be", 1)
    return Problem(path, in_a_line(text, 300), kind)


def _path(location: Sequence[Any], value: Any, *, is_missing: bool) -> Path:
    """The steps of a location that are in the body: pydantic puts names of types between them."""
    made: list[str | int] = []
    for place, step in enumerate(location):
        if _has(value, step):
            value = value[step]
        elif not (is_missing and place == len(location) - 1):
            continue
        made.append(step)
    return tuple(made)


def _has(value: Any, step: Any) -> bool:
    if isinstance(value, Mapping):
        return step in value
    return isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value)
