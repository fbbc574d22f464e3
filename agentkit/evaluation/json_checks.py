"""The check of an answer that is to be JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentkit._text import in_a_line
from agentkit.batch.item import Record
from agentkit.errors import ConfigurationError, IsolationError, ToolDefinitionError
from agentkit.evaluation.score import CheckError, Grade, Grader, right
from agentkit.tooling.argument_readers import validator_of
from agentkit.tooling.subprocess_pool import call_isolated

MOST_SECONDS = 10.0
DEEP = 32
"""Levels of JSON; a schema takes several calls for each."""
_SLOW = ('"pattern', '"uniqueItems"')
"""What may take longer than linear time over a value, and so is looked at in another process."""
_NOTHING = object()
_HOLDERS: Mapping[type, Any] = {int: list, str: Mapping}


@dataclass(frozen=True)
class Json(Grader):
    """The answer is JSON. schema: a JSON schema that it has to fit; {} for any. paths: by their names ("a.b[0]") what
    stands there. equals: whether it has to be the item's answer. The value is the share of paths that are right."""

    schema: Mapping[str, Any] = field(default_factory=dict)
    paths: Mapping[str, Any] = field(default_factory=dict)
    equals: bool = False

    @property
    def reads_answer(self) -> bool:  # type: ignore[override]
        return self.equals

    def accept(self, answer: Any) -> None:
        if answer is None or (isinstance(answer, str) and not answer.strip()):
            raise ConfigurationError("the item has no answer that is JSON")

    def grade(self, record: Record, answer: Any) -> Grade:
        try:
            value = self._value(record)
        except (ValueError, RecursionError) as error:
            return right(False, f"is no JSON: {error}")
        try:
            return self._grade(value, answer)
        except RecursionError:
            if not _is_deep(value):  # it is the schema that never ends
                raise
            return right(False, "is nested too deeply")

    def _grade(self, value: Any, answer: Any) -> Grade:
        wrong = schema_fault(self.schema, value) if self.schema else ""
        if wrong:
            return right(False, wrong)
        if self.equals:
            same = any(is_same(value, each) for each in _meant(answer))
            return right(same, "is another value than the right answer")
        faults = [why for path, expected in self.paths.items() if (why := _fault_at(path, value, expected))]
        return Grade(1 - len(faults) / max(1, len(self.paths)), in_a_line("; ".join(faults), 300))

    @staticmethod
    def _value(record: Record) -> Any:
        output = record.get("output")
        return json.loads(_unfenced(output), parse_constant=_no_json) if isinstance(output, str) else output


def _is_deep(value: Any) -> bool:
    """Whether lists and objects are nested so deeply that looking at them may come to an end too early."""
    level = [value]
    for _ in range(DEEP):
        level = [
            inner
            for each in level
            if isinstance(each, Mapping | list)
            for inner in (each.values() if isinstance(each, Mapping) else each)
        ]
    return bool(level)


def check_schema(schema: Any) -> Mapping[str, Any]:
    """A JSON schema. Raises ConfigurationError for one that is invalid, or that refers to what it has not."""
    if not isinstance(schema, Mapping):
        raise ConfigurationError(f"a schema is a JSON object, not {in_a_line(repr(schema), 60)}")
    try:
        validator_of(schema, False)
    except ToolDefinitionError as error:
        raise ConfigurationError(str(error).replace("parameters is", "schema is")) from None
    unknown = _unresolved(schema)
    if unknown:
        raise ConfigurationError(f"the schema refers to {in_a_line(repr(unknown), 80)}, which it does not have")
    return schema


def _unresolved(schema: Mapping[str, Any]) -> str:
    """A reference of a schema that leads to nothing; "" for none. Nothing is fetched."""
    import referencing.exceptions
    import referencing.jsonschema
    from jsonschema_specifications import REGISTRY

    default = referencing.jsonschema.DRAFT202012
    root = referencing.Resource.from_contents(schema, default_specification=default)
    found = [(root, REGISTRY.with_resource(root.id() or "", root).resolver(root.id() or ""))]
    while found:
        resource, resolver = found.pop()
        for reference in _references(resource.contents):
            try:
                resolver.lookup(reference)
            except (referencing.exceptions.Unresolvable, ValueError):
                return reference
        found += [(each, resolver.in_subresource(each)) for each in resource.subresources()]
    return ""


def _references(schema: Any) -> list[str]:
    given = [schema.get(name) for name in ("$ref", "$dynamicRef")] if isinstance(schema, Mapping) else []
    return [each for each in given if isinstance(each, str)]


def _meant(answer: Any) -> list[Any]:
    """What a right answer may mean: a text, as it stands in a table, is JSON if it can be read as such."""
    try:
        return [answer, json.loads(answer, parse_constant=_no_json)] if isinstance(answer, str) else [answer]
    except (ValueError, RecursionError):
        return [answer]


def check_paths(paths: Any) -> Mapping[str, Any]:
    """The paths of a check. Raises ConfigurationError for one that can't be read."""
    if not isinstance(paths, Mapping) or not paths:
        raise ConfigurationError('paths is an object such as {"city.name": "Oslo", "years[0]": 1990}')
    for path in paths:
        steps_of(path)
    return paths


def steps_of(path: str) -> list[str | int]:
    """The steps of a path such as "a.b[0].c", "$.a" or "[-1]". Raises ConfigurationError for another text."""
    steps: list[str | int] = []
    for part in path.removeprefix("$").removeprefix(".").split("."):
        name, *places = part.split("[")
        if name or not places:
            steps.append(name)
        for place in places:
            inside = place.removesuffix("]").strip()
            if not place.endswith("]") or not inside.removeprefix("-").isdecimal():
                raise ConfigurationError(f'{path!r} is no path: write "name.other[0]"')
            steps.append(int(inside))
    if "" in steps:
        raise ConfigurationError(f'{path!r} is no path: write "name.other[0]"')
    return steps


def is_same(found: Any, expected: Any) -> bool:
    """Whether two JSON values are equal: 3 and 3.0 are, 1 and true are not."""
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        return found.keys() == expected.keys() and all(is_same(found[name], expected[name]) for name in expected)
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(is_same, found, expected))
    return bool(found == expected)


def _fault_at(path: str, value: Any, expected: Any) -> str:
    for step in steps_of(path):
        try:
            value = value[step] if isinstance(value, _HOLDERS[type(step)]) else _NOTHING
        except (KeyError, IndexError):
            value = _NOTHING
        if value is _NOTHING:
            return f"{path} is not there"
    if is_same(value, expected):
        return ""
    return f"{path} is {_shown(value)}, not {_shown(expected)}"


def _no_json(constant: str) -> Any:
    raise ValueError(f"{constant} is no value of JSON")


def _shown(value: Any) -> str:
    return in_a_line(json.dumps(value, ensure_ascii=False), 60)


def _unfenced(text: str) -> str:
    """The JSON of an answer that has it in a block of Markdown, and nothing else."""
    text = text.strip().removeprefix("\ufeff").strip()
    if text.startswith("```") and text.endswith("```") and len(text) > 6:
        first, _, rest = text[3:-3].partition("\n")
        return rest if first.strip().lower() in ("json", "json5", "") else text
    return text


def schema_fault(schema: Mapping[str, Any], value: Any) -> str:
    """What in a value does not fit a schema; "" for nothing. Raises CheckError where that takes more than ten seconds:
    a pattern may take hours for a text made for it."""
    written = json.dumps(schema)
    if not any(sign in written for sign in _SLOW):
        return _fault(written, value)
    try:
        return call_isolated(_fault, written, value, timeout=MOST_SECONDS, bare=True)
    except IsolationError as error:
        raise CheckError(f"the schema could not be checked in {MOST_SECONDS:g} s ({error.reason})") from None


def _fault(schema: str, value: Any) -> str:
    try:
        for error in validator_of(json.loads(schema), True).iter_errors(value):
            return in_a_line(f"{error.json_path}: {error.message}", 200)
    except (ArithmeticError, ValueError) as error:  # of a value that can't be calculated with: the model has written it
        return in_a_line(f"can't be compared with the schema: {error}", 200)
    return ""
