"""An OpenAPI description as it was written, and what its references lead to. Nothing outside of it is looked up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from agentkit._text import cut
from agentkit.errors import ConfigurationError

MAX_STEPS = 50
"""References that lead to a reference."""
MAX_COMPARED = 20_000
"""Parts and characters up to which two definitions of one name are compared."""
_DEFINITIONS = ("$defs", "definitions")
"""Where a schema has the definitions to which it refers."""


class UnresolvableError(Exception):
    """A reference that leads nowhere, to another address, or to itself."""


@dataclass(frozen=True)
class Document:
    """A description. url: the address that it was fetched from, after redirects, "" for none. origin: what it is called
    in messages. given: the address that the user gave, "" for none. within, outer: see `of_operation`."""

    root: Mapping[str, Any] = field(repr=False)
    url: str = ""
    origin: str = "the OpenAPI description"
    given: str = ""
    within: Any = field(default=None, repr=False)
    outer: "Document | None" = field(default=None, repr=False)

    def __post_init__(self) -> None:
        given = self.root.get("openapi") or self.root.get("swagger") or ""
        version = str(given) if isinstance(given, str | int | float) else type(given).__name__
        if not version:
            raise ConfigurationError(
                f"{self.origin} has neither 'openapi' nor 'swagger': it is no OpenAPI description (its keys are "
                f"{cut(', '.join(map(str, self.root)), 200) or 'none'})"
            )
        if not (version.startswith("3.") or version in ("3", "2.0", "2")):
            raise ConfigurationError(
                f"{self.origin} is of version {cut(version, 20)!r}: OpenAPI 3 and Swagger 2.0 can be read"
            )

    @property
    def is_swagger(self) -> bool:
        """Whether it is of version 2.0, which was called Swagger."""
        return "openapi" not in self.root

    def followed(self, value: Any) -> tuple[Any, str]:
        """What a value is once its references are followed, and the last of these, "" for none. Raises
        UnresolvableError."""
        reference = ""
        seen: set[str] = set()
        while isinstance(value, Mapping) and isinstance(value.get("$ref"), str):
            reference = value["$ref"]
            if reference in seen or len(seen) == MAX_STEPS:
                raise UnresolvableError(f"the reference {cut(reference, 120)!r} leads to itself")
            seen.add(reference)
            value = self.target(reference)
        return value, reference

    def target(self, reference: str) -> Any:
        """What a reference leads to. Raises UnresolvableError."""
        if not reference.startswith("#"):
            raise UnresolvableError(
                f"the reference {cut(reference, 120)!r} leads out of the description, where nothing is looked up"
            )
        if reference != "#" and not reference.startswith("#/"):
            raise UnresolvableError(f"the reference {cut(reference, 120)!r} is no path in the description")
        steps = reference.split("/")[1:]
        try:
            return self._at(self.root, steps, reference)
        except UnresolvableError:
            if len(steps) < 2 or steps[0] not in _DEFINITIONS:
                raise
            own = self._defined_within.get(unquote(steps[1]), [])
            if not own and self.outer is not None:
                return self.outer.target(reference)
            if len(own) != 1:
                raise
            return self._at(own[0], steps[2:], reference)

    def of_operation(self, source: Mapping[str, Any]) -> "Document":
        """The same for one operation: what is defined within it comes first."""
        return replace(self, within=source, outer=self)

    @cached_property
    def _defined_within(self) -> dict[str, list[Any]]:
        """The definitions that stand within schemas, by name, each that differs once: programs that put a whole JSON
        Schema into a description leave its references as they are, which lead nowhere there."""
        found: dict[str, list[Any]] = {}
        for name, schema in _definitions_in(self.root if self.outer is None else self.within):
            known = found.setdefault(name, [])
            if len(known) < 2 and not any(_is_same(schema, one) for one in known):
                known.append(schema)
        return found

    def _at(self, found: Any, steps: list[str], reference: str) -> Any:
        for step in steps:
            found = self._below(found, step, reference)
        return found

    @staticmethod
    def _below(value: Any, step: str, reference: str) -> Any:
        for name in dict.fromkeys((unquote(step), step)):
            name = name.replace("~1", "/").replace("~0", "~")
            if isinstance(value, Mapping):
                found = value.get(name, value.get(int(name)) if name.isdecimal() and len(name) < 10 else None)
                if found is not None:
                    return found
            elif isinstance(value, list) and name.isdecimal() and len(name) < 10 and int(name) < len(value):
                return value[int(name)]
        raise UnresolvableError(f"the reference {cut(reference, 120)!r} leads to nothing")


def _definitions_in(value: Any) -> Iterator[tuple[str, Any]]:
    """The definitions of all schemas in a value, by name."""
    waiting = [value]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen or not isinstance(each, Mapping | list):
            continue
        seen.add(id(each))
        for key in _DEFINITIONS:
            yield from ((str(name), schema) for name, schema in mapping(mapping(each).get(key)).items())
        waiting += each.values() if isinstance(each, Mapping) else each


def _is_same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return is_within(one, MAX_COMPARED) and is_within(other, MAX_COMPARED) and bool(one == other)
    except RecursionError:
        return False


def is_within(value: Any, count: int) -> bool:
    """Whether a value has at most so many parts and characters: to write out one of YAML, where the same object may be
    in many places, could take for ever."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        count -= 1 + (len(each) if isinstance(each, str | list | Mapping) else 0)
        if count < 0:
            return False
        if isinstance(each, Mapping):
            waiting += [*each, *each.values()]
        elif isinstance(each, list):
            waiting += each
    return True


def mapping(value: Any) -> Mapping[str, Any]:
    """A value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[Any]:
    """A value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def words(value: Any) -> str:
    """A value if it is a text, else an empty one."""
    return value.strip() if isinstance(value, str) else ""
