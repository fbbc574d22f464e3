"""Parameters as they are written into a request: the styles of OpenAPI 3 (a table of its specification).

Every character of a value that could end it is percent-encoded, so that no value changes the path, the host or another
parameter.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from agentkit._text import joined_surrogates, json_text
from agentkit.errors import ArgumentsError

RESERVED = ":/?@!$'()*,;=[]"
"""What `allowReserved` leaves as it is: the reserved characters but those that end a value in a query."""
MAX_NESTED = 20
"""Levels of objects in each other in a query."""
_SEPARATORS = {"form": ",", "simple": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C", "tabDelimited": "%09"}
_SLASH = re.compile(r"[/\\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Parameter:
    """A parameter. argument: its name for the model. name: its name in the request. place: "path", "query", "header" or
    "cookie"; "querystring" is the whole query. style, explode, reserved: see OpenAPI. is_json: whether its value is
    written as JSON."""

    argument: str
    name: str
    place: str
    style: str = "form"
    explode: bool = True
    reserved: bool = False
    is_json: bool = False


def text_of(value: Any) -> str:
    """A single value as text: a number and a boolean as in JSON."""
    if isinstance(value, str):
        return joined_surrogates(value)
    return "" if value is None else json_text(value)


def encoded(value: Any, safe: str = "") -> str:
    """A single value, percent-encoded."""
    return quote(text_of(value), safe=safe)


def in_path(parameter: Parameter, value: Any, slashes: bool = False) -> str:
    """The value of a parameter in a path. slashes: whether there may be some in it. Raises ArgumentsError for one that
    would lead to another path."""
    if parameter.is_json:
        value = json_text(value)
    pairs = _pairs(value)
    texts = [part for pair in pairs for part in pair] if isinstance(value, dict) else [each for _, each in pairs]
    for each in texts:
        _check_segment(parameter, text_of(each), slashes)
    if not texts:
        raise ArgumentsError(f"{parameter.argument} is empty: it is a part of the path, so it needs a value")
    return _PATH_STYLES.get(parameter.style, _simple)(parameter, value)


def _check_segment(parameter: Parameter, text: str, slashes: bool) -> None:
    """Look at a value also as a server sees it that decodes twice."""
    if not text:
        raise ArgumentsError(f"{parameter.argument} is empty: it is a part of the path, so it needs a value")
    pieces = [*_SLASH.split(text), *_SLASH.split(unquote(text))]
    if any(piece in (".", "..") for piece in pieces):
        raise ArgumentsError(f"{parameter.argument}: '.' and '..' can't be sent in a path: servers take them for steps")
    if len(pieces) > 2 and not slashes:
        raise ArgumentsError(
            f"{parameter.argument}: '/' and '\\' can't be sent in it, not as %2F either: it is one step of a path"
        )


def _simple(parameter: Parameter, value: Any) -> str:
    if isinstance(value, dict):
        glue = "=" if parameter.explode else ","
        return ",".join(f"{encoded(name)}{glue}{encoded(each)}" for name, each in _pairs(value))
    return ",".join(encoded(each) for _, each in _pairs(value))


def _label(parameter: Parameter, value: Any) -> str:
    separator = "." if parameter.explode else ","
    return "." + _simple(parameter, value).replace(",", separator)


def _matrix(parameter: Parameter, value: Any) -> str:
    name = quote(parameter.name, safe="")
    if not isinstance(value, dict | list) or not parameter.explode:
        return f";{name}={_simple(parameter, value)}"
    if isinstance(value, list):
        return "".join(f";{name}={encoded(each)}" for _, each in _pairs(value))
    return "".join(f";{encoded(key)}={encoded(each)}" for key, each in _pairs(value))


_PATH_STYLES = {"simple": _simple, "label": _label, "matrix": _matrix}


def in_query(parameter: Parameter, value: Any) -> list[str]:
    """The "name=value" of a parameter in a query; several where it is written as several."""
    safe = RESERVED if parameter.reserved else ""
    name = quote(parameter.name, safe="")
    if parameter.is_json:
        return [f"{name}={encoded(json_text(value), safe)}"]
    if parameter.place == "querystring" and isinstance(value, dict):
        return [f"{encoded(key)}={encoded(each)}" for key, inner in value.items() for _, each in _pairs(inner)]
    if parameter.style == "deepObject":
        return [f"{encoded(key)}={encoded(each, safe)}" for key, each in _deep(parameter.name, value)]
    if not isinstance(value, dict | list):
        return [f"{name}={encoded(value, safe)}"]
    separator = _SEPARATORS.get(parameter.style, ",")
    if isinstance(value, dict) and parameter.explode:
        return [f"{encoded(key)}={encoded(each, safe)}" for key, each in _pairs(value)]
    if isinstance(value, dict):
        return [name + "=" + separator.join(f"{encoded(key)}{separator}{encoded(each)}" for key, each in _pairs(value))]
    if parameter.explode:
        return [f"{name}={encoded(each, safe)}" for _, each in _pairs(value)]
    return [name + "=" + separator.join(encoded(each, safe.replace(",", "")) for _, each in _pairs(value))]


def _deep(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """`name[key]`, as OpenAPI has it; what it leaves open as PHP, Rails and qs read it: `name[key][inner]` for objects
    in objects, `name[]` for each of several values, `name[0][key]` for each of several objects."""
    if depth > MAX_NESTED:
        raise ArgumentsError(f"{name}: it is nested too deep to be sent in a query")
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _deep(f"{name}[{key}]", inner, depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            is_plain = not isinstance(inner, dict | list)
            yield from _deep(f"{name}[]" if is_plain else f"{name}[{index}]", inner, depth + 1)
    elif value is not None:
        yield name, value


def in_header(parameter: Parameter, value: Any) -> str | bytes:
    """The value of a header. Raises ArgumentsError for one that no header can have."""
    if parameter.is_json:
        text = json_text(value)
    elif isinstance(value, dict):
        glue = "=" if parameter.explode else ","
        text = ",".join(f"{text_of(name)}{glue}{text_of(each)}" for name, each in _pairs(value))
    else:
        text = ",".join(text_of(each) for _, each in _pairs(value))
    if _CONTROL.search(text):
        raise ArgumentsError(f"{parameter.argument}: a header can't have line breaks or other control characters")
    if text != text.strip():
        raise ArgumentsError(f"{parameter.argument}: a header can't begin or end with white space")
    return text if text.isascii() else text.encode()


def in_cookie(parameter: Parameter, value: Any) -> list[str]:
    """The "name=value" of a cookie; several where it is written as several."""
    return in_query(parameter, value)


def _pairs(value: Any) -> list[tuple[str, Any]]:
    """The parts of a value with their names (of a list: ""), those that have parts themselves as JSON."""
    if isinstance(value, dict):
        return [(name, _flat(each)) for name, each in value.items() if each is not None]
    return [("", _flat(each)) for each in value] if isinstance(value, list) else [("", value)]


def _flat(value: Any) -> Any:
    return json_text(value) if isinstance(value, dict | list) else value
