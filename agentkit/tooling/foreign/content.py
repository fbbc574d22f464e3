"""The results of other frameworks' tools that consist of parts: texts, images, files."""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentkit.errors import FetchError
from agentkit.message import Image
from agentkit.net.image_bytes import MAX_BYTES
from agentkit.tooling.objects import get

NOTHING = object()
_TEXTS = frozenset(("text", "input_text", "output_text"))
_IMAGES = frozenset(("image", "image_url", "input_image"))
_OTHERS = frozenset(("audio", "video", "file", "document", "input_audio", "input_file"))
_DATA = (
    *("base64", "data", "source", "image", "image_url", "url", "path", "file_id"),
    *("file_data", "file_url", "file", "audio", "input_audio", "video"),
)
"""Where the data of a part may be. Without any of these it is some other object that has a type, such as an entry of a
folder."""


def shown_parts(value: Any, *, may_be_one: bool = True) -> Any:
    """The texts and images of a result that consists of parts; any other value as it is. may_be_one: whether a result
    that is no list may be a part."""
    if not isinstance(value, list | tuple):
        part = _part(value) if may_be_one else NOTHING
        return value if part is NOTHING else part
    parts = [each if isinstance(each, str) else _part(each) for each in value]
    if not parts or NOTHING in parts or all(isinstance(each, str) for each in value):
        return value
    return joined(parts)


def joined(parts: list[Any]) -> Any:
    """Texts and images as one result."""
    return parts if any(isinstance(each, Image) for each in parts) else "\n".join(map(str, parts))


def image_part(*, data: Any = None, url: Any = None, path: Any = None) -> Any:
    """An image by its bytes or Base64 text, its address or its file. Where it can't be shown, what it is: an address of
    the network is not fetched."""
    try:
        if data:
            return Image.from_bytes(_decoded(data) if isinstance(data, str) else data)
        if url and str(url)[:5].lower() == "data:":
            return Image.from_url(str(url))
        if url:
            return f"(an image: {url})"
        if path:
            return Image.from_file(Path(path))
    except (ValueError, OSError, FetchError) as error:
        return f"(an image that can't be shown: {error.strerror if isinstance(error, OSError) else error})"
    return "(an image without data)"


def _decoded(text: str) -> bytes:
    if len(text) > MAX_BYTES * 2:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
    try:
        return base64.b64decode(text, validate=False)
    except binascii.Error as error:
        raise ValueError(f"it is no Base64: {error}") from None


def _field(part: Any, *names: str) -> Any:
    if isinstance(part, Mapping):
        return next((part[name] for name in names if part.get(name) is not None), None)
    return get(part, *names)


def _part(part: Any) -> Any:
    """A part as a text or an image; NOTHING when it is none."""
    if part is None or isinstance(part, str | bytes | int | float | type):
        return NOTHING
    kind = _field(part, "type", "block_type")
    if not isinstance(kind, str):
        return NOTHING
    if kind in _TEXTS:
        text = _field(part, "text")
        return text if isinstance(text, str) else NOTHING
    if kind not in _IMAGES | _OTHERS or _field(part, *_DATA) is None:
        return NOTHING
    return _image(part) if kind in _IMAGES else _other(part, kind.removeprefix("input_"))


def _image(part: Any) -> Any:
    data, url = _field(part, "base64", "data"), _field(part, "image_url", "url")
    source, image = _field(part, "source"), _field(part, "image")
    if isinstance(url, Mapping):
        url = url.get("url")
    if isinstance(source, Mapping):
        data, url = data or source.get("data"), url or source.get("url")
    if isinstance(image, bytes):  # LlamaIndex keeps its Base64
        data = image.decode("ascii") if image.isascii() else image
    elif hasattr(image, "read"):
        data = image.read()
    elif isinstance(image, str):
        url = url or image
    # A dict may come from a server, which must not choose a file of this machine; an object is made by the tool.
    path = None if isinstance(part, Mapping) else get(part, "path")
    file_id = _field(part, "file_id")
    if file_id and not (data or url or path):
        return f"(an image: the file {file_id})"
    return image_part(data=data, url=url, path=path)


def _other(part: Any, kind: str) -> str:
    name = _field(part, "filename", "title", "file_url", "url", "path")
    named = f" {name}" if isinstance(name, str) and name[:5].lower() != "data:" else ""
    return f"({'an' if kind == 'audio' else 'a'} {kind}{named}, which can't be shown)"
