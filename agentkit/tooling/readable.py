"""Documents of other packages and responses of HTTP servers as texts."""

import base64
import io
import re
import types
from collections.abc import Mapping
from datetime import date, time
from enum import Enum
from typing import Any, NamedTuple

from agentkit._lazy.patterns import pattern
from agentkit.message import Image
from agentkit.tooling.objects import get, has, has_own_text, is_described, public_fields

MAX_BYTES = 1_000_000
"""Bytes that are read of a response that was not read before."""


class Readable(NamedTuple):
    """A document or a response. heading: what comes before its text, or "". about: what else is known of it."""

    heading: str
    text: str
    about: dict[str, Any]


def readable_of(value: Any) -> Readable | None:
    """A document or a response as its text; None for anything else."""
    if value is None or isinstance(value, _NEVER_READABLE):
        return None
    try:
        return _response(value) or _document(value)
    except Exception:  # noqa: BLE001 - of any class
        return None


_NEVER_READABLE = (
    *(str, int, float, bytes, list, tuple, dict, set, frozenset),
    *(Enum, Image, type, date, time, types.ModuleType),
)


def _document(value: Any) -> Readable | None:
    """LangChain, LlamaIndex and Haystack have documents with a text and what is known of it; so have others."""
    about = get(value, "metadata", "meta", "extra_info")
    known: dict[str, Any] = dict(about) if isinstance(about, Mapping) else {}
    text = get(value, "page_content")
    if not isinstance(text, str) and has(value, "get_content"):
        text = value.get_content()
    is_plain = not is_described(value) and not has_own_text(value) and hasattr(value, "__dict__")
    if is_plain or (not isinstance(text, str) and isinstance(about, Mapping)):
        text = text if isinstance(text, str) else get(value, "text", "content")
        fields = public_fields(value)
        known = {name: each for name, each in fields.items() if _says_more(name, each, text, about)} | known
    if not isinstance(text, str):
        return None
    score = get(value, "score")
    if isinstance(score, float):
        known["score"] = score
    return Readable("", text, known)


def _says_more(name: str, value: Any, text: Any, about: Any) -> bool:
    """Whether a field of a document is worth showing beside its text."""
    is_text = isinstance(value, str) and value == text
    return not is_text and value is not about and value is not None and "embedding" not in name


def _response(value: Any) -> Readable | None:
    status = get(value, "status_code", "status")
    if isinstance(status, bool) or not isinstance(status, int) or get(value, "headers") is None:
        return None
    reason = get(value, "reason_phrase", "reason")
    heading = f"HTTP {int(status)} {reason if isinstance(reason, str) else ''}".strip()
    return Readable(heading, _body(value), {})


_TEXT_TYPES = pattern(r"text/|json|xml|javascript|yaml|csv|html|urlencoded|^$", re.IGNORECASE)


def _body(response: Any) -> str:
    kind = str(get(response, "content_type") or response.headers.get("content-type") or "")
    data = get(response, "content", "body", "_body", "data")
    if not isinstance(data, bytes) and has(response, "read") and not isinstance(get(response, "text"), str):
        data = response.read(MAX_BYTES) if isinstance(response, io.IOBase) else None
    if isinstance(data, bytes) and not _TEXT_TYPES.search(kind.partition(";")[0]):
        return f"({len(data):,} bytes of {kind})"
    text = get(response, "text")
    if isinstance(text, str):
        return text
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else "(its body was not read)"


def contents_of(value: Any) -> list[Any] | None:
    """The texts and images of a result of the Model Context Protocol; None for anything else."""
    contents = None if isinstance(value, _NEVER_READABLE) else get(value, "content")
    failed = get(value, "isError", "is_error") if isinstance(contents, list) else None
    if not isinstance(contents, list) or not isinstance(failed, bool):
        return None
    structured = get(value, "structuredContent", "structured_content")
    parts = [_content(part) for part in contents] or ([structured] if structured is not None else [])
    return ["(The server reports an error.)", *parts] if failed else parts


def _content(part: Any) -> Any:
    kind, text, data = get(part, "type"), get(part, "text"), get(part, "data")
    if kind == "text" and isinstance(text, str):
        return text
    if kind == "image" and isinstance(data, str):
        return Image(base64.b64decode(data), str(get(part, "mimeType", "mime_type") or "image/png"))
    return part
