"""Reads the bytes of a payload as JSON or as text, in the forms in which games and devices write them.

A program in C may send the null character behind its text, or pad it with some; one in C# JSON in UTF-16; a graphical
flow JSON within a JSON text; one in GDScript each number with a fraction.
"""

import json
from collections.abc import Mapping
from typing import Any

from agentkit.errors import ArgumentsError
from agentkit.serving.mqtt.field_names import SESSION, plain
from agentkit.tooling.arguments import parse

MAX_BYTES = 1_000_000
"""Maximum size of a payload."""

_RECOGNIZED = frozenset(map(plain, ("message", SESSION)))
"""Fields by which a payload that is nearly JSON is told from a text."""


class BadPayloadError(ValueError):
    """An invalid topic or payload. The error message gives the reason and does not quote the payload."""


def json_of(payload: bytes) -> Any:
    """The parsed JSON of a payload; None when it is none. Raises BadPayloadError when it is too large, and for a
    decision within a JSON text, which may be what somebody has typed."""
    if len(payload) > MAX_BYTES:
        raise BadPayloadError(f"the payload has {len(payload):,} bytes; the limit is {MAX_BYTES:,}")
    found = _parsed(payload)
    if found is None and b"\0" in payload:  # not at once: UTF-16 ends in one too
        found = _parsed(payload.strip(b"\0"))
    if isinstance(found, str) and found.lstrip().startswith("{"):
        inner = _parsed(found.encode("utf-8", "surrogatepass"))
        return _undecided(inner) if isinstance(inner, dict) and _is_recognized(inner) else found
    return found


def _parsed(payload: bytes) -> Any:
    try:
        try:
            return json.loads(payload)
        except UnicodeDecodeError:  # a device that writes its letters as Latin-1 has a session and a message too
            return json.loads(payload.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def nearly_json_of(payload: bytes) -> Any:
    """The same, also of a payload that is nearly JSON."""
    fields = json_of(payload)
    return _repaired(payload) if fields is None else fields


def _repaired(payload: bytes) -> dict[str, Any] | None:
    """The fields of a payload that is nearly JSON, as small devices write it: single quotation marks, a comma too many.
    None for other text, which is a message itself. Raises BadPayloadError for a decision."""
    text = payload.strip(b"\0").decode("utf-8-sig", "replace").strip()
    if not (text.startswith("{") and text.endswith("}")):
        return None
    try:
        fields = parse(text)
    except (ArgumentsError, RecursionError):
        return None
    return _undecided(fields) if _is_recognized(fields) else None


def _is_recognized(fields: Mapping[str, Any]) -> bool:
    return not _RECOGNIZED.isdisjoint(map(plain, fields))


def _undecided(fields: dict[str, Any]) -> dict[str, Any]:
    """The same fields. Raises BadPayloadError for a decision: one that is misread would have an effect that nobody has
    allowed."""
    if "approve" in map(plain, fields):
        raise BadPayloadError("a decision (approve) is taken as valid JSON only")
    return fields


def text_of(payload: bytes) -> str:
    """The text of a payload that is no JSON. Raises BadPayloadError for one that is no text either."""
    text = payload.strip(b"\0").decode("utf-8-sig", "replace")
    if text.count("\ufffd") > len(text) // 4 or "\0" in text:
        raise BadPayloadError("the payload is neither valid JSON nor text")
    return text


def is_id(value: object) -> bool:
    """Whether a value may be the id of a session or a request: a text or a number."""
    return not isinstance(value, bool) and isinstance(value, str | int | float)


def id_text(value: object) -> str:
    """Such an id as text. A whole number is the same in any form, since some clients write all with a fraction."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()
