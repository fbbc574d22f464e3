"""Arguments of a tool that its server wants in HTTP headers too: `x-mcp-header` in the input schema (2026-07-28).

Gateways route by these headers. A tool whose declarations break a rule is left out, as the specification asks for.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from agentkit._text import joined_surrogates, short_repr

MARK = "x-mcp-header"
PREFIX = "Mcp-Param-"
MAX_DEPTH = 50
"""A parameter that is nested deeper has no header."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,200}")
_PLAIN = re.compile(r"[ -~]*")
_TYPES = ("string", "integer", "boolean")
_ONE = frozenset(
    (
        *("items", "contains", "unevaluatedItems", "additionalProperties", "propertyNames", "unevaluatedProperties"),
        *("not", "if", "then", "else", "contentSchema", "additionalItems"),
    )
)
_LIST = frozenset(("allOf", "anyOf", "oneOf", "prefixItems", "items"))
_MAP = frozenset(("patternProperties", "dependentSchemas", "$defs", "definitions"))
"""Keywords of JSON Schema that hold schemas: one, a list, or a mapping of them. `properties` is read apart."""

Path = tuple[str, ...]


def problem(tool: Mapping[str, Any]) -> str:
    """What is wrong with the declarations of a tool, for a warning; "" when they keep the rules."""
    seen: set[str] = set()
    for path, schema in _schemas(tool.get("inputSchema")):
        if MARK not in schema:
            continue
        if not path:
            return f"{MARK} stands where no parameter is"
        found = _problem_of(schema, seen)
        if found:
            return f"{MARK} of {short_repr('.'.join(path))} {found}"
    return ""


def _problem_of(schema: Mapping[str, Any], seen: set[str]) -> str:
    name, kind = schema[MARK], schema.get("type")
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        return "is not the name of a header"
    if not isinstance(kind, str) or kind not in _TYPES:
        return "is allowed for strings, integers and booleans only"
    if name.lower() in seen:
        return f"is used twice ({short_repr(name)})"
    seen.add(name.lower())
    return ""


def param_headers(tool: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, str]:
    """The headers of a call: a value that is missing or null has none.

    tool: as its server describes it, valid. arguments: of the call.
    """
    headers = {}
    for path, schema in _schemas(tool.get("inputSchema")):
        name = schema.get(MARK)
        value = _text_of(_value_at(path, arguments)) if path and isinstance(name, str) else None
        if value is not None:
            headers[f"{PREFIX}{name}"] = header_value(value)
    return headers


def header_value(text: str) -> str:
    """A text as the value of a header: as it is, or in Base64 between marks where it is no plain ASCII."""
    is_marked = text.startswith("=?base64?") and text.endswith("?=")
    if _PLAIN.fullmatch(text) and text == text.strip(" ") and not is_marked:
        return text
    return f"=?base64?{base64.b64encode(joined_surrogates(text).encode()).decode()}?="


def _schemas(root: object) -> Iterator[tuple[Path | None, Mapping[str, Any]]]:
    """Yield every schema within a schema, with the names of the properties that lead to it; None when it is reached in
    another way than by properties. References are not followed."""
    left: list[tuple[Path | None, object]] = [((), root)]
    while left:
        path, schema = left.pop()
        if not isinstance(schema, Mapping):
            continue
        yield path, schema
        for keyword, value in schema.items():
            left.extend(_within(path, keyword, value))


def _within(path: Path | None, keyword: str, value: object) -> Iterator[tuple[Path | None, object]]:
    if keyword == "properties" and isinstance(value, Mapping):
        for name, each in value.items():
            yield None if path is None or len(path) == MAX_DEPTH else (*path, name), each
    elif keyword in _MAP and isinstance(value, Mapping):
        yield from ((None, each) for each in value.values())
    elif keyword in _LIST and isinstance(value, list):
        yield from ((None, each) for each in value)
    elif keyword in _ONE:
        yield None, value


def _value_at(path: Path, arguments: object) -> object:
    for name in path:
        arguments = arguments.get(name) if isinstance(arguments, Mapping) else None
    return arguments


def _text_of(value: object) -> str | None:
    """A value as text; None for one that has no header."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int):
        return None
    try:
        return str(value)
    except ValueError:  # an integer of thousands of digits
        return None
