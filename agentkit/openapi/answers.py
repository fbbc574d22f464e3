"""Responses of an API as the model reads them."""

import json
import re
from collections.abc import Callable
from http import HTTPStatus

from agentkit._lazy.patterns import pattern
from agentkit._text import cut, json_text
from agentkit.errors import ToolError
from agentkit.message import Image
from agentkit.net.api_call import ApiResponse
from agentkit.net.charset import decode
from agentkit.net.error_body import page_text
from agentkit.net.image_bytes import SUPPORTED, media_type
from agentkit.net.media_type import content_type_of, read_as
from agentkit.net.rate_headers import told_by
from agentkit.net.url_guard import shown_url

MAX_ERROR = 2000
"""Characters of the body of an error that the model reads."""
_SHOWN_HEADERS = ("content-type", "content-length", "last-modified", "etag")
_TEXT = ("text/", "application/xml", "application/javascript", "application/x-ndjson", "application/yaml")
_TEXT_ENDS = ("+xml", "+yaml", "json", "+text", "json-seq", "jsonl", "/xml", "/yaml", "x-www-form-urlencoded", "/csv")

_STRING_OR_SPACE = pattern(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)|\s++')

Blotting = Callable[[str], str]
"""Returns a text without what is secret."""


def answer_of(response: ApiResponse, where: str, is_head: bool, blot: Blotting) -> str | Image:
    """What the model reads of a response. where: the operation. Raises ToolError for an error and a redirect."""
    status = response.status
    if status >= 400:
        raise ToolError(_error(response, where, blot))
    if status >= 300:
        raise ToolError(_redirect(response, where, blot))
    if is_head:
        shown = [f"{name}: {response.headers[name]}" for name in _SHOWN_HEADERS if name in response.headers]
        return blot(f"{_named(status)}\n" + "\n".join(shown))
    if not response.content:
        location = response.headers.get("location", "")
        return blot(f"done ({_named(status)}{f', see {_without_query(location)}' if location else ''})")
    return _content(response, blot)


def _content(response: ApiResponse, blot: Blotting) -> str | Image:
    content = response.content
    declared, charset = content_type_of(response.headers.get("content-type", ""))
    kind = read_as(declared, content)
    note = f"\n(cut: it has more than {len(content):,} bytes)" if response.truncated else ""
    if kind.endswith("json") and not note:
        text = _compact(content, charset)
        return blot(text)
    if kind.startswith(_TEXT) or kind.endswith(_TEXT_ENDS):
        return blot(decode(content, charset)) + note
    image = media_type(content)
    if image in SUPPORTED and not note:
        return Image.from_bytes(content)
    size = f"more than {len(content):,}" if note else f"{len(content):,}"
    return f"done ({_named(response.status)}): {size} bytes of {kind or 'an unknown type'}, which can't be shown."


def _compact(content: bytes, charset: str | None) -> str:
    """JSON without white space and escaped letters, its numbers as they are written; what can't be read, as it is."""
    text = decode(content, charset)
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return _STRING_OR_SPACE.sub(_shortened, text)


def _shortened(found: "re.Match[str]") -> str:
    part = found[0]
    return "" if part.isspace() else json_text(json.loads(part)) if "\\" in part else part


def _error(response: ApiResponse, where: str, blot: Blotting) -> str:
    declared, charset = content_type_of(response.headers.get("content-type", ""))
    kind = read_as(declared, response.content)
    if "html" in kind:
        body = page_text(blot(decode(response.content, charset)).encode("utf-8", "replace"))
    elif kind.startswith(_TEXT) or kind.endswith(_TEXT_ENDS):
        body = cut(blot(decode(response.content[: 8 * MAX_ERROR], charset)).strip(), MAX_ERROR)
    else:
        body = f"({len(response.content):,} bytes of {kind or 'an unknown type'})" if response.content else ""
    wait = told_by(response.headers).retry_after if response.status in (429, 503) else None
    retry = f" It can be called again in {wait:g} seconds." if wait else ""
    return blot(f"{where} answered {_named(response.status)}{f': {body}' if body else ''}{retry}")


def _redirect(response: ApiResponse, where: str, blot: Blotting) -> str:
    location = response.headers.get("location", "")
    to = f" It leads to {_without_query(location)}, where the call was not sent." if location else ""
    return blot(f"{where} answered {_named(response.status)}.{to}")


def _without_query(location: str) -> str:
    return shown_url(location.partition("?")[0])


def _named(status: int) -> str:
    """A status with the phrase of the standard, and not the server's."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
