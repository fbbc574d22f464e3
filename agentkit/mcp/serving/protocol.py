"""JSON-RPC messages of the Model Context Protocol, as a server reads and writes them.

Two eras: up to 2025-11-25 a client begins with `initialize` (the handshake); since 2026-07-28 each request says in its
`_meta` which version it is of (stateless).
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentkit._text import joined_surrogates
from agentkit.errors import Remade

HANDSHAKE = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""The versions that begin with `initialize`, oldest first."""
STATELESS = ("2026-07-28",)
"""The versions whose requests stand for themselves."""
WITH_BATCHES = ("", "2024-11-05", "2025-03-26")
"""The versions in which a message may be a list of messages; "" where none was agreed on yet."""
DEFAULT_VERSION = "2025-03-26"
"""What a request is of that says nothing."""

_PREFIX = "io.modelcontextprotocol/"
VERSION_KEY = f"{_PREFIX}protocolVersion"
CAPABILITIES_KEY = f"{_PREFIX}clientCapabilities"
SERVER_KEY = f"{_PREFIX}serverInfo"

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
SESSION_NOT_FOUND = -32001
RESOURCE_NOT_FOUND = -32002
NO_ROOM = -32000
HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022

_STATUS = {METHOD_NOT_FOUND: 404, INTERNAL_ERROR: 500}

Message = dict[str, Any]


class Refusal(Remade, Exception):
    """A request that is answered with an error. code: of JSON-RPC. data: for programs."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data

    @property
    def status(self) -> int:
        """The status of the HTTP response that carries it."""
        return _STATUS.get(self.code, 400)

    def answer(self, number: Any = None) -> Message:
        """The error message. number: the id of the request."""
        error: Message = {"code": self.code, "message": str(self)}
        if self.data is not None:
            error["data"] = self.data
        return {"jsonrpc": "2.0", "id": number, "error": error}


@dataclass(frozen=True)
class Reply:
    """What a message is answered with. content: in one line; empty for a message that gets no answer, as a cancelled
    request does. status: of the HTTP response. session: the id of the session that an `initialize` has begun."""

    content: bytes = b""
    status: int = 200
    session: str = ""


def parsed(content: bytes) -> Any:
    """The JSON value of a message. Raises Refusal."""
    try:
        return json.loads(content.decode("utf-8-sig"), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):  # UnicodeDecodeError and numbers of thousands of digits are ValueErrors
        raise Refusal(PARSE_ERROR, "this is not JSON in UTF-8") from None


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number


def encoded(message: Any) -> bytes:
    """A message in one line, without its end. Raises TypeError, ValueError or RecursionError for what is not JSON."""
    text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a character, of an emoji that was cut in two
        return joined_surrogates(text).encode("utf-8", "replace")


def is_id(value: Any) -> bool:
    """Whether a value can be the id of a request."""
    return isinstance(value, int | str) and not isinstance(value, bool)


def id_of(message: Any) -> Any:
    """The id of a request; None when there is none that can be one."""
    found = message.get("id") if isinstance(message, Mapping) else None
    return found if is_id(found) else None


def is_request(message: Any) -> bool:
    """Whether a message is owed an answer."""
    return isinstance(message, Mapping) and "id" in message and "method" in message


def meta_of(message: Any) -> Mapping[str, Any]:
    """The `_meta` of a request; empty when there is none."""
    params = message.get("params") if isinstance(message, Mapping) else None
    meta = params.get("_meta") if isinstance(params, Mapping) else None
    return meta if isinstance(meta, Mapping) else {}


def checked(message: Any) -> tuple[str, Message]:
    """The method and the parameters of a request or notification. Raises Refusal."""
    if not isinstance(message, Mapping) or message.get("jsonrpc") != "2.0":
        raise Refusal(INVALID_REQUEST, 'a message is a JSON object with "jsonrpc": "2.0"')
    if "id" in message and not is_id(message["id"]):
        raise Refusal(INVALID_REQUEST, "the id of a request is a text or a whole number")
    method, params = message.get("method"), message.get("params")
    if not isinstance(method, str):
        raise Refusal(INVALID_REQUEST, "a request has a method, a text")
    if not isinstance(params, dict | None):
        raise Refusal(INVALID_PARAMS, "params must be an object")
    return method, params or {}
