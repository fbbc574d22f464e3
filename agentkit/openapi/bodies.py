"""Bodies of requests as bytes: JSON, forms, several parts, or text."""

import mimetypes
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from agentkit._text import joined_surrogates, json_bytes, json_text
from agentkit.errors import ArgumentsError
from agentkit.net.image_bytes import data_of, media_type
from agentkit.net.media_type import SAYS_NOTHING, content_type_of
from agentkit.openapi.styles import Parameter, encoded, in_query, text_of

JSON, FORM, PARTS, TEXT = "json", "form", "multipart", "text"
"""The kinds of bodies."""


@dataclass(frozen=True)
class Body:
    """The body of a request. content_type: as it is declared. kind: one of JSON, FORM, PARTS, TEXT. whole: the argument
    that is all of it, "" where each of `fields` is an argument. fields: the names of its properties by argument. more:
    whether it takes properties that are not declared. required: whether it is sent even when it is empty. files: the
    fields that are files. encodings: how fields are written in a form, where it is said. types: of several parts, their
    content types."""

    content_type: str
    kind: str
    whole: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    more: bool = False
    required: bool = False
    files: frozenset[str] = frozenset()
    encodings: Mapping[str, Parameter] = field(default_factory=dict, repr=False)
    types: Mapping[str, str] = field(default_factory=dict, repr=False)

    def made(self, arguments: Mapping[str, Any], known: frozenset[str]) -> tuple[bytes | None, str]:
        """The bytes, None for no body, and their content type. known: the arguments that are parameters. Raises
        ArgumentsError."""
        if self.whole:
            if self.whole not in arguments:
                return None, ""
            value = arguments[self.whole]
        else:
            value = {name: arguments[argument] for argument, name in self.fields.items() if argument in arguments}
            if self.more:
                value |= {
                    name: each for name, each in arguments.items() if name not in known and name not in self.fields
                }
            if not value and not self.required:
                return None, ""
        return self._encoded(value)

    def _encoded(self, value: Any) -> tuple[bytes, str]:
        if self.kind == JSON:
            return json_bytes(value), self.content_type
        if self.kind == TEXT:
            return content_of(value), self.content_type
        if not isinstance(value, dict):
            raise ArgumentsError(f"{self.whole} has to be an object: it is sent as a form")
        if self.kind == FORM:
            return "&".join(self._pairs(value)).encode("ascii"), self.content_type
        return self._parts(value)

    def _pairs(self, value: Mapping[str, Any]) -> list[str]:
        pairs: list[str] = []
        for name, each in value.items():
            if each is None:
                continue
            style = self.encodings.get(name)
            if style is not None:
                pairs += in_query(style, each)
            elif isinstance(each, list) and not any(isinstance(part, dict | list) for part in each):
                pairs += [f"{encoded(name)}={encoded(part)}" for part in each]
            else:
                text = json_text(each) if isinstance(each, dict | list) else each
                pairs.append(f"{encoded(name)}={encoded(text)}")
        return pairs

    def _parts(self, value: Mapping[str, Any]) -> tuple[bytes, str]:
        """Several parts (RFC 7578). A list of single values is a part for each."""
        boundary = uuid.uuid4().hex
        made = bytearray()
        for name, each in value.items():
            several = isinstance(each, list) and not any(isinstance(part, dict | list) for part in each)
            for part in each if several else [each]:
                if part is not None:
                    made += self._part(name, part, boundary)
        made += f"--{boundary}--\r\n".encode()
        return bytes(made), f"multipart/form-data; boundary={boundary}"

    def _part(self, name: str, value: Any, boundary: str) -> bytes:
        disposition = f'form-data; name="{_quoted(name)}"'
        kind = self.types.get(name, "")
        if name in self.files:
            content = content_of(value)
            kind = kind or media_type(content) or _named_type(value)
            kind = kind or ("text/plain" if _is_text(content) else "application/octet-stream")
            disposition += f'; filename="{_quoted(name)}{mimetypes.guess_extension(kind) or ""}"'
        elif isinstance(value, dict | list) or kind.endswith("json"):
            content, kind = json_bytes(value), kind or "application/json"
        else:
            content = text_of(value).encode()
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\n"
        head += f"Content-Type: {kind}\r\n\r\n" if kind else "\r\n"
        return head.encode() + content + b"\r\n"


def content_of(value: Any) -> bytes:
    """The content of a file or of a body that is no JSON: what a `data:` URL contains, or a text in UTF-8. Raises
    ArgumentsError."""
    if isinstance(value, str) and value.startswith("data:") and "," in value:
        try:
            return data_of(value)
        except ValueError as error:
            raise ArgumentsError(f"the data: URL {error}") from None
    return joined_surrogates(value).encode() if isinstance(value, str) else json_bytes(value)


def _named_type(value: Any) -> str:
    """The media type that a `data:` URL names; "" for none that says something."""
    if not isinstance(value, str) or not value.startswith("data:"):
        return ""
    kind = content_type_of(value[5:300].partition(",")[0])[0]
    return "" if kind in SAYS_NOTHING else kind


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _quoted(name: str) -> str:
    """A name in a header of a part, as browsers write it."""
    return joined_surrogates(name).translate({10: "%0A", 13: "%0D", 34: "%22"})


def in_url(text: str) -> str:
    """The fixed parts of a path as they stand in a URL."""
    return quote(text, safe="/:@!$&'()*+,;=~-._%")
