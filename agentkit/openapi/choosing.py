"""Which operations of a description become tools."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from agentkit._text import cut
from agentkit.errors import ConfigurationError
from agentkit.openapi.operations import Operation

Only = str | Iterable[str] | Callable[[Operation], object] | None
"""The operations that are wanted: names of tools, ids, tags, "METHOD /path", each with * and ?; or a function."""
MAX_SHOWN = 60
"""Names that an error lists."""


def chosen(operations: Sequence[Operation], only: Only, origin: str) -> list[Operation]:
    """The wanted operations, in their order. Raises ConfigurationError for what `only` names and there is not."""
    if only is None:
        return list(operations)
    if callable(only):
        return [each for each in operations if only(each)]
    wanted = [only] if isinstance(only, str) else list(only)
    if not all(isinstance(each, str) for each in wanted):
        raise ConfigurationError(f"only={cut(repr(only), 120)}: pass names, patterns or tags, or a function")
    found: set[str] = set()
    for pattern in wanted:
        matching = {each.name for each in operations if _matches(each, pattern.strip())}
        if not matching:
            raise ConfigurationError(_unknown(operations, pattern, origin))
        found |= matching
    return [each for each in operations if each.name in found]


def _matches(operation: Operation, pattern: str) -> bool:
    method, space, path = pattern.partition(" ")
    if space and path.lstrip().startswith("/"):
        return fnmatchcase(operation.method, method.upper()) and _is_path(operation.path, path.strip())
    if pattern.startswith("/"):
        return _is_path(operation.path, pattern)
    named = (operation.name, operation.operation_id, *operation.tags)
    return any(each == pattern or fnmatchcase(each, pattern) for each in named)


def _is_path(path: str, pattern: str) -> bool:
    return path == pattern or fnmatchcase(path, pattern)


def _unknown(operations: Sequence[Operation], pattern: str, origin: str) -> str:
    names = [each.name for each in operations]
    near = difflib.get_close_matches(pattern, names[:2000], n=1, cutoff=0.6)
    hint = f" (nearest: {near[0]!r})" if near else ""
    more = f" and {len(names) - MAX_SHOWN:,} more" if len(names) > MAX_SHOWN else ""
    tags = list(dict.fromkeys(tag for each in operations for tag in each.tags))[:MAX_SHOWN]
    there_is = f"its operations are {', '.join(names[:MAX_SHOWN]) or 'none'}{more}"
    there_is += f"; its tags are {', '.join(cut(tag, 80) for tag in tags)}" if tags else ""
    return f"only names {cut(pattern, 120)!r}, which {origin} does not have{hint}: {there_is}"
