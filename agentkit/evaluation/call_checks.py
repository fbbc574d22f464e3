"""Checks of the tool calls of an answer.

Arguments are compared as the tool takes them: where it takes an integer, "3" is 3, and an argument that was left out is
its default. They are taken by the schema of the tool with agentkit's own coercion (`agentkit.tooling.coercion`).
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

from agentkit._text import canonical_json, in_a_line
from agentkit.batch.item import Record
from agentkit.errors import ArgumentsError, ConfigurationError, ToolDefinitionError
from agentkit.evaluation.json_checks import schema_fault
from agentkit.evaluation.score import CheckError, Grade, Grader, right
from agentkit.evaluation.words import normal
from agentkit.tooling.argument_readers import ArgumentsParser, schema_reader

Match = Literal["subset", "exact", "ignore"]
MATCHES: tuple[Match, ...] = ("subset", "exact", "ignore")
_NEEDS = frozenset({"tool_calls"})
_TIMES = re.compile(r"\s{0,9}(>=|<=|=)?\s{0,9}(\d{1,6})(?:\s{0,9}-\s{0,9}(\d{1,6}))?\s{0,9}")
_SCHEMAS = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
_REQUIRED = frozenset(("required", "minProperties", "dependentRequired"))
_PATTERNS = frozenset(("pattern", "patternProperties", "propertyNames"))
_NOTHING = object()
READERS = 512
"""How many tools have what reads their arguments kept."""


@dataclass(frozen=True)
class Times:
    """How often something is to happen. most: None: as often as one likes."""

    least: int = 1
    most: int | None = None

    @classmethod
    def read(cls, written: Any) -> "Times":
        """What is written as 2, "2", ">=2", "<=3" or "1-3". Raises ConfigurationError for anything else."""
        found = None if isinstance(written, bool) else _TIMES.fullmatch(str(written))
        if found is None or (found[1] and found[3]):
            raise ConfigurationError(f'times is a number, or a text as ">=1", "<=3" or "1-3", not {written!r}')
        number = int(found[2])
        if found[1] in (">=", "<="):
            return cls(number) if found[1] == ">=" else cls(0, number)
        made = cls(number, int(found[3] or number))
        if made.most is not None and made.most < made.least:
            raise ConfigurationError(f"times {written!r} begins above its end")
        return made

    def takes(self, count: int) -> bool:
        """Whether something has happened as often as it is to."""
        return self.least <= count and (self.most is None or count <= self.most)

    def __str__(self) -> str:
        if self.most is None:
            return f"at least {self.least}"
        return str(self.least) if self.least == self.most else f"{self.least} to {self.most}"


@dataclass(frozen=True)
class Arguments:
    """The arguments that a call is to have.

    tool: its name. schema: of its parameters; None where it is not known, and the arguments are compared as they are
    written. expected: by name. match: "subset": the call may have others, also inside of objects; "exact": it may not;
    "ignore": all calls fit. one_of: by name the values of which it may have one; None among them: it may be left out.
    loose: texts are compared by their words, as answers are.
    """

    tool: str
    schema: Mapping[str, Any] | None = None
    expected: Mapping[str, Any] = field(default_factory=dict)
    match: Match = "ignore"
    one_of: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    loose: bool = False

    def check(self) -> None:
        """Raises ConfigurationError for an argument that the tool does not take."""
        taken = self._taken
        for name, values in [*((name, [value]) for name, value in self.expected.items()), *self.one_of.items()]:
            if taken is not None and name not in taken:
                raise ConfigurationError(
                    f"{self.tool} takes no argument {name!r}; it takes {', '.join(taken) or 'none'}"
                )
            for value in values:
                try:
                    self._read({name: value} if value is not None or name in self.expected else {})
                except ArgumentsError as error:
                    raise ConfigurationError(f"the arguments don't fit {self.tool}: {error}") from None

    def fault(self, call: Mapping[str, Any]) -> str:
        """What of a call is not as expected; "" for nothing."""
        if self.match == "ignore":
            return ""
        given = call.get("raw_arguments")
        given = given if isinstance(given, str) else call.get("arguments")
        try:
            found = self._read(given if isinstance(given, str | Mapping) else {})
        except ArgumentsError as error:
            return f"its arguments don't fit: {in_a_line(str(error), 100)}"
        expected = self._read(self.expected)
        for name in [*expected, *self.one_of]:
            wrong = self._wrong(name, found, expected)
            if wrong:
                return wrong
        if self.match == "subset":
            return ""
        others = [name for name in found if name not in expected and name not in self.one_of]
        more = [name for name in others if found[name] != self._defaults.get(name, _NOTHING)]
        return f"{more[0]} is given too" if more else ""

    def _wrong(self, name: str, found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
        value = found.get(name, self._defaults.get(name, _NOTHING))
        if name in self.one_of:
            options = self.one_of[name]
            allowed = [self._read({name: each}).get(name) for each in options if each is not None]
            is_right = any(self._is_same(value, each) for each in allowed) or (None in options and name not in found)
        else:
            allowed = [expected[name]]
            is_right = self._is_same(value, expected[name])
        shown = "left out" if value is _NOTHING else in_a_line(json.dumps(value, ensure_ascii=False), 60)
        wanted = " or ".join(json.dumps(each, ensure_ascii=False) for each in allowed[:3])
        return "" if is_right else f"{name} is {shown}, not {in_a_line(wanted, 100)}"

    def _is_same(self, found: Any, expected: Any) -> bool:
        if isinstance(found, bool) or isinstance(expected, bool):
            return found is expected
        if isinstance(found, str) and isinstance(expected, str) and self.loose:
            return (normal(found) or found) == (normal(expected) or expected)
        if isinstance(found, Mapping) and isinstance(expected, Mapping):
            has_same = all(name in found and self._is_same(found[name], expected[name]) for name in expected)
            return has_same and (self.match == "subset" or found.keys() == expected.keys())
        if isinstance(found, list) and isinstance(expected, list):
            return len(found) == len(expected) and all(map(self._is_same, found, expected))
        return bool(found == expected)

    @cached_property
    def _taken(self) -> Collection[str] | None:
        """The names of the arguments, where there are no others."""
        if self.schema is None or self.schema.get("additionalProperties") not in (None, False):
            return None
        return tuple(self.schema.get("properties") or {})

    @cached_property
    def _defaults(self) -> Mapping[str, Any]:
        described = ((self.schema or {}).get("properties") or {}).items()
        return {name: each["default"] for name, each in described if isinstance(each, Mapping) and "default" in each}

    @cached_property
    def _reader(self) -> ArgumentsParser:
        try:
            return _reader_of(self.tool, canonical_json(self.schema or {}))
        except ToolDefinitionError as error:
            raise CheckError(f"the schema of {self.tool} can't be used: {error}") from None

    @cached_property
    def _full(self) -> Mapping[str, Any]:
        """The schema with its patterns; {} where it has none."""
        schema = _without(self.schema or {}, _REQUIRED)
        return {} if _without(schema, _PATTERNS) == schema else schema

    def _read(self, given: str | Mapping[str, Any]) -> dict[str, Any]:
        found = self._reader(given if isinstance(given, str) else json.dumps(given))[0]
        if self._full and (wrong := schema_fault(self._full, found)):
            raise ArgumentsError(wrong)
        return found


@dataclass(frozen=True)
class Called(Grader):
    """A tool was called with these arguments, so often."""

    arguments: Arguments
    times: Times = Times()
    needs = _NEEDS

    def grade(self, record: Record, answer: Any) -> Grade:
        calls = [call for call in _calls(record) if call.get("name") == self.arguments.tool]
        faults = [self.arguments.fault(call) for call in calls]
        fitting = faults.count("")
        if self.times.takes(fitting):
            return Grade(1.0)
        return right(False, self._why(record, fitting, [fault for fault in faults if fault]))

    def _why(self, record: Record, fitting: int, faults: Sequence[str]) -> str:
        tool = self.arguments.tool
        if faults and fitting < self.times.least:
            return f"{tool}: {faults[0]}"
        others = ", ".join(dict.fromkeys(str(call.get("name")) for call in _calls(record)))
        what = f"{tool} was called {fitting} times, not {self.times}"
        return what if fitting else f"{tool} was not called{f', but {others}' if others else ''}"


@dataclass(frozen=True)
class NotCalled(Grader):
    """None of these tools was called; none at all, where no tool is named."""

    tools: tuple[str, ...] = ()
    needs = _NEEDS

    def grade(self, record: Record, answer: Any) -> Grade:
        called = [name for name in names_of(record) if name in self.tools or not self.tools]
        return right(not called, f"{', '.join(dict.fromkeys(called))} was called")


@dataclass(frozen=True)
class CalledInOrder(Grader):
    """These tools were called in this order; other calls may stand between. The value is the share of them, from the
    first on, that were."""

    tools: tuple[str, ...]
    needs = _NEEDS

    def grade(self, record: Record, answer: Any) -> Grade:
        called, done = names_of(record), 0
        for name in called:
            done += done < len(self.tools) and name == self.tools[done]
        why = "" if done == len(self.tools) else f"{self.tools[done]} is missing in {', '.join(called) or 'no calls'}"
        return Grade(done / len(self.tools), in_a_line(why, 300))


@dataclass(frozen=True)
class OnlyCalled(Grader):
    """No other tool than these was called."""

    tools: tuple[str, ...]
    needs = _NEEDS

    def grade(self, record: Record, answer: Any) -> Grade:
        others = [name for name in names_of(record) if name not in self.tools]
        return right(not others, f"{', '.join(dict.fromkeys(others))} was called")


def names_of(record: Record) -> list[str]:
    """The names of the tools that were called, in their order."""
    return [str(call.get("name")) for call in _calls(record)]


def _calls(record: Record) -> list[Mapping[str, Any]]:
    calls = record.get("tool_calls")
    if not isinstance(calls, list):
        raise CheckError(
            "the tool calls of the answer were not kept: an evaluation that asks anew keeps them, and a batch with "
            "--keep tool_calls"
        )
    return [call for call in calls if isinstance(call, Mapping)]


@lru_cache(maxsize=READERS)
def _reader_of(tool: str, schema: str) -> ArgumentsParser:
    """What reads the arguments of a tool: it is made once for all checks of its calls, as that takes milliseconds. What
    a check expects is a part of the arguments, so that nothing has to be there; and a pattern may take hours for what a
    model has written, so that it is looked at apart."""
    return schema_reader({**_without(json.loads(schema), _REQUIRED | _PATTERNS), "type": "object"}, tool)


def _without(schema: Any, left_out: Collection[str]) -> Any:
    """A schema without some keywords. Where names have patterns, other names are not told apart without them."""
    if isinstance(schema, list):
        return [_without(each, left_out) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "patternProperties" in left_out and "patternProperties" in schema:
        left_out = {*left_out, "additionalProperties"}
    made = {}
    for name, value in schema.items():
        if name in left_out:
            continue
        if name in _SCHEMAS and isinstance(value, Mapping):
            made[name] = {each: _without(inner, left_out) for each, inner in value.items()}
        else:
            made[name] = value if name in ("enum", "const", "default", "examples") else _without(value, left_out)
    return made
