"""The parts of a content in OpenAI's form: those of Anthropic's, Bedrock's, Gemini's and the Responses API, and loose
values."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from agentkit._lazy.patterns import pattern
from agentkit.message import Part

_TEXTS = ("text", "input_text", "output_text", "summary_text")
_IMAGES = ("image_url", "input_image", "image")
_THOUGHTS = ("thinking", "redacted_thinking", "reasoning")
_AS_THEY_ARE = frozenset(
    (
        *("refusal", "input_audio", "audio", "audio_url", "video", "video_url", "document_url"),
        *("image_embeds", "audio_embeds"),
        *_THOUGHTS,
    )
)
_MEDIA_TYPES = {"iVBORw0KGgo": "image/png", "/9j/": "image/jpeg", "R0lGOD": "image/gif", "UklGR": "image/webp"}
"""How the base64 of an image file begins."""
_URL = pattern(r"[a-zA-Z][a-zA-Z0-9+.-]*:")


def chat_part(part: Any) -> Part:
    """A part in OpenAI's form; the same object when it has it. What has no such form becomes its JSON as text, so that
    nothing is lost."""
    if not isinstance(part, Mapping):
        return _text(part if isinstance(part, str) else _as_json(part))
    kind = part.get("type")
    if kind in _AS_THEY_ARE:
        return part if isinstance(part, dict) else dict(part)
    if isinstance(part.get("text"), str) and (kind in _TEXTS or kind not in (*_IMAGES, "file")):
        return part if kind == "text" and isinstance(part, dict) else _text(part["text"])
    found = _image(part) or _file(part)
    return found or _text(_as_json(part))


def is_shown(part: Mapping[str, Any]) -> bool:
    """Whether a part is neither text nor thought: images, sound and files, which only a user message may have."""
    return part.get("type") not in ("text", "refusal", *_THOUGHTS)


def is_content(value: Mapping[str, Any]) -> bool:
    """Whether a single object is a part, given without the list around it."""
    kind = value.get("type")
    return kind in (*_TEXTS, *_IMAGES) or kind in _AS_THEY_ARE or (kind is None and isinstance(value.get("text"), str))


def _as_json(part: Any) -> str:
    def of_other(value: Any) -> str:
        return f"({len(value):,} bytes)" if isinstance(value, bytes | bytearray | memoryview) else str(value)

    return json.dumps(part, ensure_ascii=False, default=of_other)


def _text(text: str) -> Part:
    return {"type": "text", "text": text}


def _image(part: Mapping[str, Any]) -> Part | None:
    """The part of an image, however its URL or its data are given."""
    given = next(
        (part[key] for key in ("image_url", "image", "source", "inline_data", "inlineData") if key in part), part
    )
    is_image = part.get("type") in (*_IMAGES, None)
    url = _url_of(given) if is_image else None
    if url is None:
        return None
    if part.get("type") == "image_url" and isinstance(given, Mapping) and given.get("url") == url:
        return part if isinstance(part, dict) else dict(part)
    detail = part.get("detail") or (given.get("detail") if isinstance(given, Mapping) else None)
    more = {"detail": detail} if isinstance(detail, str) else {}
    return {"type": "image_url", "image_url": {"url": url, **more}}


def _url_of(given: Any) -> str | None:
    if isinstance(given, str):
        return _as_url(given, None)
    if not isinstance(given, Mapping):
        return None
    media_type = next((given[key] for key in ("media_type", "mime_type", "mimeType") if key in given), None)
    if isinstance(source := given.get("source"), Mapping):  # of Bedrock and Strands
        media_type = f"image/{given['format']}" if isinstance(given.get("format"), str) else media_type
        given = source
    for key in ("url", "data", "base64", "bytes"):
        found = given.get(key)
        text = base64.b64encode(found).decode() if isinstance(found, bytes | bytearray) else found
        if isinstance(text, str):
            return _as_url(text, media_type if isinstance(media_type, str) else None)
    return None


def _as_url(text: str, media_type: str | None) -> str | None:
    if _URL.match(text):
        return text
    begun = next((kind for begin, kind in _MEDIA_TYPES.items() if text.startswith(begin)), media_type)
    return f"data:{begun};base64,{text}" if begun and text else None


def _file(part: Mapping[str, Any]) -> Part | None:
    if part.get("type") not in ("file", "input_file"):
        return None
    given = part.get("file") if isinstance(part.get("file"), Mapping) else part
    assert isinstance(given, Mapping)
    if not any(isinstance(given.get(key), str) for key in ("file_data", "file_id")):
        return None
    if part["type"] == "file" and given is not part:
        return part if isinstance(part, dict) else dict(part)
    names = ("file_data", "file_id", "filename")
    return {"type": "file", "file": {key: given[key] for key in names if isinstance(given.get(key), str)}}
