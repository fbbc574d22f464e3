"""The stateless era (2026-07-28): what each request says of itself in `_meta`, and again in HTTP headers."""

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from agentkit._text import cut
from agentkit.mcp.serving.protocol import (
    CAPABILITIES_KEY,
    HEADER_MISMATCH,
    INVALID_PARAMS,
    STATELESS,
    UNSUPPORTED_VERSION,
    VERSION_KEY,
    Message,
    Refusal,
    meta_of,
)

VERSION_HEADER = "mcp-protocol-version"
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""The parameter that the header Mcp-Name repeats, by method."""

_BASE64 = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)
_DECIMAL = re.compile(r"-?[0-9]{1,400}(?:\.0*)?")
MAX_DEPTH = 20
"""How deep a schema is searched for parameters that headers repeat."""

Headers = Mapping[str, str]
"""The headers of an HTTP request, by their names in small letters, without white space around the values."""


def checked_envelope(message: Message, method: str, headers: Headers | None) -> Mapping[str, Any]:
    """The capabilities of the client. headers: None for a message that did not come over HTTP. Raises Refusal."""
    meta = meta_of(message)
    given = None if headers is None else headers.get(VERSION_HEADER)
    if not meta and given is not None and given not in STATELESS:
        raise unsupported(given)
    missing = [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in meta]
    if missing:
        raise Refusal(INVALID_PARAMS, f"params._meta lacks {' and '.join(missing)}")
    version, capabilities = meta[VERSION_KEY], meta[CAPABILITIES_KEY]
    if headers is not None:
        _check_headers(message, method, version, headers)
    if not isinstance(version, str) or not isinstance(capabilities, Mapping):
        raise Refusal(INVALID_PARAMS, f"{VERSION_KEY} must be a text, {CAPABILITIES_KEY} an object")
    if version not in STATELESS:
        raise unsupported(version)
    return capabilities


def unsupported(version: str) -> Refusal:
    """Of a version that this server does not know."""
    data = {"supported": list(STATELESS), "requested": cut(version, 100)}
    return Refusal(UNSUPPORTED_VERSION, "this protocol version is not supported", data)


def _check_headers(message: Message, method: str, version: Any, headers: Headers) -> None:
    if headers.get(VERSION_HEADER) != version:
        raise _mismatch("MCP-Protocol-Version", VERSION_KEY)
    if headers.get("mcp-method") != method:
        raise _mismatch("Mcp-Method", "method")
    key = NAMED_BY.get(method)
    value = None if key is None else message["params"].get(key)
    if isinstance(value, str) and _decoded(headers.get("mcp-name")) != value:
        raise _mismatch("Mcp-Name", f"params.{key}")


def _mismatch(header: str, where: str) -> Refusal:
    return Refusal(HEADER_MISMATCH, f"the header {header} is not what the message has in {where}")


def _decoded(value: str | None) -> str | None:
    """The value of a header; None for Base64 that can't be decoded."""
    found = None if value is None else _BASE64.fullmatch(value)
    if found is None:
        return value
    try:
        decoded = base64.b64decode(found[1], validate=True)
        return decoded.decode() if base64.b64encode(decoded).decode() == found[1] else None
    except ValueError:  # binascii.Error and UnicodeDecodeError are such too
        return None


def check_parameters(schema: Mapping[str, Any], arguments: Any, headers: Headers) -> None:
    """Compare the arguments of a call with the headers Mcp-Param-* that repeat them, where the schema of the tool says
    so (`x-mcp-header`). Raises Refusal."""
    for path, name, kind in _repeated(schema):
        given, value = headers.get(f"mcp-param-{name.lower()}"), arguments
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        written = _written(value)
        if (given is None) != (written is None) or (given is not None and not _fits(given, written, kind)):
            raise _mismatch(f"Mcp-Param-{name}", f"params.arguments.{'.'.join(path)}")


def _repeated(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """The path, the header and the type of each parameter that a header repeats."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping) or len(path) > MAX_DEPTH:
        return
    for key, each in properties.items():
        if not isinstance(each, Mapping):
            continue
        if isinstance(each.get("x-mcp-header"), str):
            yield (*path, key), each["x-mcp-header"], each.get("type")
        yield from _repeated(each, (*path, key))


def _written(value: Any) -> str | None:
    """A value as a header has it; None where there is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        return None
    try:
        return str(value)
    except ValueError:  # a number of thousands of digits
        return None


def _fits(given: str, written: str | None, kind: Any) -> bool:
    decoded = _decoded(given)
    if decoded is None or written is None:
        return False
    if kind == "integer" and _DECIMAL.fullmatch(decoded) and _DECIMAL.fullmatch(written):
        return int(decoded.partition(".")[0]) == int(written.partition(".")[0])
    return decoded == written
