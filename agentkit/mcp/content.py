"""The result of a tool call or of a resource that is read, as a value that a tool returns: a text, or texts and images.

Whatever a server sends has a text: what can't be shown is named, with its type and size.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from agentkit._text import cut, in_a_line, joined_surrogates, shown
from agentkit.errors import ToolError
from agentkit.message import Image
from agentkit.net.image_bytes import MAX_BYTES, data_of

MAX_PARTS = 1_000
"""Maximum parts of one result that are shown."""
MAX_CHARACTERS = 10_000_000
"""Maximum characters of one result."""
MAX_IMAGES = 20
"""Maximum images of one result."""
MAX_LINE = 300
"""Maximum characters of a name, an address or a description in a note."""
MAX_COMPARED = 1_000_000
"""Maximum characters of a text that is compared with the structured content, and maximum characters and values of
that."""

_TEXT_TYPES = re.compile(r"text/|.*[/+](?:json|xml|yaml|toml|javascript|typescript|sql|x-sh|x-yaml)\Z", re.IGNORECASE)
_WORD = re.compile(r"-?\d+(?:\.\d+)?|[^\W_\d]+|[^\w\s]")
"""A number with its sign, a word, a symbol."""
_NUMBER = re.compile(r"[-+]?[\d.,]{1,40}")
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f]")


def value_of(result: Any, name: str) -> Any:
    """What the result of `tools/call` says: a text; the structured content where it says all; or a list of texts and
    images. name: what images are called.

    Raises ToolError with what the server says when it calls the result an error.
    """
    if not isinstance(result, Mapping):
        return f"(the server sent no result, but {shown(result, MAX_LINE)})"
    parts = _Parts(name)
    parts.add_all(result.get("content"))
    structured = result.get("structuredContent")
    if result.get("isError") in (True, "true"):
        raise ToolError(_error_text(parts, structured))
    if structured is None or _is_content(structured, result.get("content")):
        return parts.value()
    return _with_structured(parts, _without_files(structured, _files_in(result.get("content"))))


def resource_value(result: Any, uri: str) -> Any:
    """What the result of `resources/read` says: a text, or a list of texts and images."""
    contents = result.get("contents") if isinstance(result, Mapping) else None
    if isinstance(contents, Mapping):
        contents = [contents]
    if not isinstance(contents, list):
        return f"(the server sent no contents of {in_a_line(uri, MAX_LINE)}, but {shown(result, MAX_LINE)})"
    parts = _Parts(_base_name(uri) or "image")
    for each in contents[:MAX_PARTS]:
        has_heading = isinstance(each, Mapping) and each.get("uri") not in (None, uri)
        parts.add_resource(each, with_heading=has_heading or len(contents) > 1)
    parts.note_rest(len(contents))
    return parts.value()


class _Parts:
    """The parts of a result that were read so far: texts and images in order. name: what the images are called."""

    def __init__(self, name: str) -> None:
        self.given: list[str | Image] = []
        self.only_texts = True
        self._name = name
        self._images = 0
        self._left = MAX_CHARACTERS

    @property
    def texts(self) -> list[str]:
        return [part for part in self.given if isinstance(part, str)]

    def value(self) -> Any:
        if self._images:
            return list(self.given)
        return "\n".join(self.texts) or "(done; there is no output)"

    def add_all(self, content: Any) -> None:
        """Add the parts of a content, which should be a list."""
        if content is None:
            return
        parts = content if isinstance(content, list) else [content]
        for part in parts[:MAX_PARTS]:
            self._add(part)
        self.note_rest(len(parts))

    def note_rest(self, count: int) -> None:
        """Say how many parts of these are left out."""
        if count > MAX_PARTS:
            self._note(f"{count - MAX_PARTS:,} more parts are not shown")

    def _add(self, part: Any) -> None:
        if isinstance(part, str):
            self._text(part)
        elif not isinstance(part, Mapping):
            self._note(f"a part that is no content: {shown(part, MAX_LINE)}")
        elif part.get("type") == "text":
            self._text(part.get("text"))
        elif part.get("type") == "image":
            self._image(part.get("data"), part.get("mimeType"), self._name)
        elif part.get("type") == "audio":
            self._note(f"audio, {_said(part.get('mimeType'))}, {_size_of(part.get('data'))}")
        elif part.get("type") == "resource":
            self.add_resource(part.get("resource"), with_heading=True)
        elif part.get("type") == "resource_link":
            self._put(_link(part))
        elif isinstance(part.get("text"), str):
            self._text(part["text"])
        else:
            self._note(f"content of type {_said(part.get('type'))}, which can't be shown")

    def add_resource(self, resource: Any, with_heading: bool) -> None:
        """Add the contents of a resource."""
        if not isinstance(resource, Mapping):
            self._note(f"a resource that has no contents: {shown(resource, MAX_LINE)}")
            return
        uri, kind = in_a_line(words_of(resource.get("uri")), MAX_LINE), resource.get("mimeType")
        heading = f"[{uri}]\n" if with_heading and uri else ""
        if isinstance(resource.get("text"), str):
            self._text(heading + resource["text"])
        elif isinstance(resource.get("blob"), str):
            self._blob(resource["blob"], kind, uri, heading)
        else:
            self._note(f"the resource {uri}, without contents")

    def _blob(self, blob: str, kind: Any, uri: str, heading: str) -> None:
        data = _decoded(blob)
        text = None if data is None else _as_text(data, kind)
        if text is not None:
            self._text(heading + text)
        else:
            self._image(blob, kind, _base_name(uri) or self._name, f"{_said(kind)} of {uri or 'a resource'}")

    def _image(self, data: Any, kind: Any, name: str, otherwise: str = "") -> None:
        """Add an image; where it is none, a note. otherwise: what it is called then."""
        self.only_texts = False
        what = otherwise or f"an image, {_said(kind)}"
        read = _decoded(data)
        if read is None:
            self._note(f"{what}, {_size_of(data)}, {_why_unread(data)}")
            return
        if self._images >= MAX_IMAGES:
            self._note(f"{what}, {len(read):,} bytes; {MAX_IMAGES} images of a result are shown")
            return
        number = f"-{self._images + 1}" if self._images else ""
        try:
            image = Image.from_bytes(read, name + number)
        except ValueError:
            self._note(f"{what}, {len(read):,} bytes, which can't be shown")
            return
        self._images += 1
        self.given.append(image)

    def _text(self, text: Any) -> None:
        """Add a text; a value that should be one is shown as JSON."""
        self._put(text if isinstance(text, str) else shown(text, self._left))

    def _note(self, text: str) -> None:
        self.only_texts = False
        self._put(f"[{text}]")

    def _put(self, text: str) -> None:
        if self._left > 0:
            self.given.append(joined_surrogates(cut(text, self._left)))
        self._left -= len(text)


def _error_text(parts: _Parts, structured: Any) -> str:
    text = "\n".join(parts.texts).strip().removeprefix("Error: ")
    if not text and structured is not None:
        text = shown(structured, MAX_CHARACTERS)
    return text or "the tool failed, and the server does not say why"


def _with_structured(parts: _Parts, structured: Any) -> Any:
    """The content and the structured content; where both say the same, that once."""
    text = "\n".join(parts.texts)
    if not text.strip() and parts.only_texts:
        return structured
    if len(text) <= MAX_COMPARED:
        if parts.only_texts and _is_text_of(parts.texts, structured):
            return text
        leaves = _leaves(structured)
        if leaves is not None and parts.only_texts and _is_json_of(parts.texts, structured):
            return structured
        if leaves is not None and _says_all(text, leaves, structured):
            return parts.value()
    parts.add_all(_as_json(structured))
    return parts.value()


def _is_content(structured: Any, content: Any) -> bool:
    """Whether the structured content is nothing but the content once more, as older servers make it of a tool that
    returns parts: the images would be read as text."""
    forms = [structured, *(structured.values() if isinstance(structured, Mapping) and len(structured) == 1 else ())]
    try:
        parts = _without_nulls(content)
        return bool(parts) and any(found in (parts, parts[0:1]) for found in map(_without_nulls, map(_list, forms)))
    except (RecursionError, TypeError):
        return False


def _list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _files_in(content: Any) -> frozenset[str]:
    """The data, in base64, of the images, sounds and files of a content."""
    parts = [part for part in _list(content)[:MAX_PARTS] if isinstance(part, Mapping)]
    resources = [part["resource"] for part in parts if isinstance(part.get("resource"), Mapping)]
    found = [*(part.get("data") for part in parts), *(each.get("blob") for each in resources)]
    return frozenset(each for each in found if isinstance(each, str) and each)


def _without_files(value: Any, files: frozenset[str]) -> Any:
    """A value without the data of files that the content has, too."""
    if not files:
        return value
    try:
        return _replaced(value, files)
    except RecursionError:
        return value


def _replaced(value: Any, files: frozenset[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _replaced(each, files) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, files) for each in value]
    is_file = isinstance(value, str) and (value in files or value.rpartition(";base64,")[2] in files)
    return "(in the content)" if is_file else value


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return "(a value that is nested too deeply to be shown)"


def _is_text_of(texts: list[str], structured: Any) -> bool:
    """Whether the structured content is nothing but the text under a key: it is easier to read without."""
    return isinstance(structured, Mapping) and list(structured.values()) == texts


def _is_json_of(texts: list[str], structured: Any) -> bool:
    """Whether the texts are the JSON of the structured content, or that of what stands in it under its only key, which
    is how servers wrap a value that is no object."""
    forms = [structured]
    if isinstance(structured, Mapping) and len(structured) == 1:
        forms += structured.values()
    read = [_json(text) for text in texts]
    try:
        return any(read == [form] or read == form for form in forms)
    except RecursionError:
        return False


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _says_all(text: str, leaves: list[str], structured: Any) -> bool:
    """Whether each word of the values stands in the text, as often: the text is a form of them for people. Numbers
    count with their signs, symbols as words. Where there are several values of a kind (numbers, words), the words of
    the keys have to be there too, which say what is what."""
    words = Counter(_WORD.findall(text.casefold()))
    needed = Counter(word for leaf in leaves for word in _WORD.findall(leaf.casefold()))
    numbers = sum(_NUMBER.fullmatch(leaf) is not None for leaf in leaves)
    if numbers > 1 or len(leaves) - numbers > 1:
        needed |= Counter(set(_WORD.findall(" ".join(_keys(structured)).casefold())))
    return bool(needed) and all(words[word] >= count for word, count in needed.items())


def _keys(value: Any) -> Iterator[str]:
    """The names in a value, which is not large."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            yield from map(str, each)
        if isinstance(each, Mapping | list):
            waiting += each.values() if isinstance(each, Mapping) else each


def _leaves(value: Any) -> list[str] | None:
    """The values that hold no others, as texts; None when that is too much to be compared with a text."""
    left, waiting, found = MAX_COMPARED, [value], []
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping | list):
            waiting += each.values() if isinstance(each, Mapping) else each
        else:
            found.append(each if isinstance(each, str) else json.dumps(each))
            left -= len(found[-1])
        left -= 1
        if left < len(waiting):
            return None
    return found


def _link(part: Mapping[str, Any]) -> str:
    """A link to a resource as a line."""
    name = part.get("title") or part.get("name")
    about = [_said(part["mimeType"])] if part.get("mimeType") else []
    about += [f"{part['size']:,} bytes"] if isinstance(part.get("size"), int | float) else []
    line = f"{_said(name)}: {_said(part.get('uri'))}" if name else _said(part.get("uri"))
    line += f" ({', '.join(about)})" if about else ""
    return f"[{line}: {_said(part['description'])}]" if part.get("description") else f"[{line}]"


def _decoded(data: Any) -> bytes | None:
    """The bytes of a text in base64, or of a `data:` URL; None for what is none, and for what is too large."""
    if not isinstance(data, str) or not data or len(data) > 4 * MAX_BYTES // 3 + 100:
        return None
    try:
        return data_of(data if data.startswith("data:") else f"data:;base64,{data}")
    except ValueError:
        return None


def _why_unread(data: Any) -> str:
    is_large = isinstance(data, str) and len(data) > MAX_BYTES
    return f"more than {MAX_BYTES // 1_000_000} MB, which are not shown" if is_large else "which is not valid base64"


def _as_text(data: bytes, kind: Any) -> str | None:
    """The text in a file; None when it is none. kind: the media type that the server declares."""
    is_text = isinstance(kind, str) and _TEXT_TYPES.match(kind.partition(";")[0].strip()[:MAX_LINE])
    if kind and not is_text:
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode(errors="replace") if is_text else None
    return text if is_text or not _NO_TEXT.search(text) else None


def _size_of(data: Any) -> str:
    if not isinstance(data, str):
        return "without data"
    return f"{len(data) * 3 // 4 - data[-2:].count('='):,} bytes"


def _said(value: Any) -> str:
    """A value of the server as a part of a line."""
    return in_a_line(words_of(value), MAX_LINE) if value is not None else "of no type"


def words_of(value: Any) -> str:
    """A value of the server that should be a text, as one; "" for none."""
    return value if isinstance(value, str) else "" if value is None else shown(value, MAX_LINE)


def _base_name(uri: str) -> str:
    return re.split(r"[/\\?#]", uri.rstrip("/")[-MAX_LINE:])[-1][-80:]
