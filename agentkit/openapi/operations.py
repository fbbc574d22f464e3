"""The operations of an OpenAPI description, and the names that they have as tools."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentkit.errors import ConfigurationError
from agentkit.openapi.document import Document, UnresolvableError, items, mapping, words

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
SAFE_METHODS = ("GET", "HEAD")
"""The methods that change nothing."""
MAX_NAME = 64
_TOKEN = re.compile(r"[A-Za-z]{1,20}")


@dataclass(frozen=True)
class Operation:
    """An operation of an API. name: of its tool. method: in upper case. path: as it is declared ("/pets/{petId}").
    operation_id: as it is declared, "" for none. problem: why it can't become a tool, "" when it can."""

    name: str
    method: str
    path: str
    operation_id: str = ""
    tags: tuple[str, ...] = ()
    summary: str = ""
    description: str = ""
    deprecated: bool = False
    problem: str = field(default="", repr=False)
    item: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    source: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def read_only(self) -> bool:
        """Whether it changes nothing."""
        return self.method in SAFE_METHODS

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def operations_of(document: Document, prefix: str = "") -> list[Operation]:
    """All operations, in their order, those with the same name numbered. prefix: of their names. Raises
    ConfigurationError when the paths of the description are no object."""
    paths = document.root.get("paths", {})
    if not isinstance(paths, Mapping):
        raise ConfigurationError(
            f"the 'paths' of {document.origin} is a {type(paths).__name__}: it has to be an object of paths"
        )
    names = _Names(prefix)
    return [
        _operation(names, document, str(path), item, method, source)
        for path, item in paths.items()
        if not str(path).startswith("x-")
        for item, method, source in _methods(document, item)
    ]


def _methods(document: Document, item: Any) -> Iterator[tuple[Any, str, Any]]:
    """The operations of a path: the path's item, the method and the operation's source, a text where it is broken."""
    try:
        item = document.followed(item)[0]
    except UnresolvableError as error:
        yield {}, "any", str(error)
        return
    for method, source in mapping(item).items():
        if str(method).lower() in METHODS:
            yield item, str(method), source if isinstance(source, Mapping) else "it is no object"
    for method, source in mapping(mapping(item).get("additionalOperations")).items():
        if _TOKEN.fullmatch(str(method)):
            yield item, str(method), source if isinstance(source, Mapping) else "it is no object"


def _operation(
    names: "_Names", document: Document, path: str, item: Mapping[str, Any], method: str, source: Any
) -> Operation:
    problem = source if isinstance(source, str) else ""
    found = mapping(source)
    operation_id = words(found.get("operationId"))
    return Operation(
        name=names.new(operation_id or f"{method.lower()}_{path}"),
        method=method.upper(),
        path=path,
        operation_id=operation_id,
        tags=tuple(each for each in items(found.get("tags")) if isinstance(each, str)),
        summary=words(found.get("summary")) or words(item.get("summary")),
        description=words(found.get("description")) or words(item.get("description")),
        deprecated=found.get("deprecated") is True,
        problem=problem,
        item=item,
        source=found,
    )


class _Names:
    """Gives out names of tools, each once."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._taken: set[str] = set()
        self._counts: Counter[str] = Counter()

    def new(self, wanted: str) -> str:
        """A valid name that was not given out before; a number is behind the second of the same name."""
        base = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9_-]", "_", wanted[:1000])).strip("_") or "operation"
        base = (self._prefix + base)[:MAX_NAME]
        name = base
        while name in self._taken:
            self._counts[base] += 1
            end = f"_{self._counts[base] + 1}"
            name = base[: MAX_NAME - len(end)] + end
        self._taken.add(name)
        return name
