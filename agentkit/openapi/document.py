"""An OpenAPI description as it was written, and what its references lead to. Nothing outside of it is looked up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from agentkit._text import cut
from agentkit.errors import ConfigurationError

MAX_STEPS = 50
"""References that lead to a reference."""


class UnresolvableError(Exception):
    """A reference that leads nowhere, to another address, or to itself."""


@dataclass(frozen=True)
class Document:
    """A description. url: the address that it was fetched from, after redirects, "" for none. origin: what it is called
    in messages. given: the address that the user gave, "" for none."""

    root: Mapping[str, Any] = field(repr=False)
    url: str = ""
    origin: str = "the OpenAPI description"
    given: str = ""

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
        found: Any = self.root
        for step in reference.split("/")[1:]:
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


def mapping(value: Any) -> Mapping[str, Any]:
    """A value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[Any]:
    """A value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def words(value: Any) -> str:
    """A value if it is a text, else an empty one."""
    return value.strip() if isinstance(value, str) else ""
