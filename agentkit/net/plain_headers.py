"""The headers of a response, as `http.client` returns them, without Python's parser of e-mail where they are plain
lines: it takes half of what `http.client` needs for a response."""

import http.client
import io
import re
from types import FunctionType
from typing import Any

_PLAIN = re.compile(rb"[!-9;-~]+:[^\r\n]*\r?\n")
"""A header in a line: a name, which the parser of e-mail takes for one, and a value that has no other line."""


class Headers(http.client.HTTPMessage):
    """Headers whose values are found as they stand: they come from bytes, so that e-mail's policy has nothing to
    replace in them."""

    def get(self, name: str, failobj: Any = None) -> Any:
        """The first value of a header; `failobj` where there is none."""
        wanted = name.lower()
        for each, value in vars(self)["_headers"]:
            if each.lower() == wanted:
                return value
        return failobj


def parse_headers(fp: Any, *arguments: Any, **options: Any) -> http.client.HTTPMessage:
    """Do what `http.client.parse_headers` does, and raise what it raises."""
    lines: list[bytes] = http.client._read_headers(fp)  # type: ignore[attr-defined]
    if not lines[-1] or not all(map(_PLAIN.fullmatch, lines[:-1])):
        usual: http.client.HTTPMessage = http.client.parse_headers(io.BytesIO(b"".join(lines)), *arguments, **options)
        return usual
    made = Headers()
    for line in lines[:-1]:
        name, _, value = line.decode("iso-8859-1").partition(":")
        made.set_raw(name, value.lstrip(" \t").rstrip("\r\n"))
    return made


def _begin() -> Any:
    """`http.client.HTTPResponse.begin`, which calls the `parse_headers` of its module, with this one in its place. The
    module itself is left as it is: other programs use it."""
    own = http.client.HTTPResponse.begin
    made = FunctionType(own.__code__, {**vars(http.client), "parse_headers": parse_headers}, own.__name__)
    made.__kwdefaults__ = own.__kwdefaults__
    return made


begin = _begin()
"""Reads the status and the headers of a response; see `http.client.HTTPResponse.begin`."""
