"""How a body is compressed: the codings that are asked for, and what a Content-Encoding header means."""

import importlib.util
import re
import zlib
from typing import Any

_COMPRESSIONS = frozenset(("gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress", "lzma", "xz", "bzip2"))
_COMPRESSIONS |= frozenset(("x-bzip2", "pack200-gzip", "exi", "sdch", "dcb", "dcz", "lz4", "snappy", "aes128gcm"))
_WITHOUT_LIBRARY = ("gzip", "x-gzip", "deflate")
_TEXT = frozenset(b"\t\r\n" + bytes(range(0x20, 0x7F)))

FIRST_BYTES = 16
"""How many bytes at the beginning of a body tell how it is compressed."""


def accepted() -> str:
    """Return the value of Accept-Encoding: Brotli only where its package is installed."""
    is_there = any(importlib.util.find_spec(name) is not None for name in ("brotli", "brotlicffi"))
    return "gzip, deflate, br" if is_there else "gzip, deflate"


def compressions(header: str) -> list[str]:
    """Return the compressions that a Content-Encoding header names, in their order. Other words, such as a charset or
    "none", compress nothing, and a body with them is read as it is, as browsers do."""
    words = (re.split(r"[;=]", word)[0].strip(" \t\"'").lower() for word in header[:1000].split(","))
    return [word for word in words if word in _COMPRESSIONS]


def is_readable(names: list[str]) -> bool:
    """Whether bodies with these compressions can be read."""
    asked = accepted().split(", ")
    return all(name in _WITHOUT_LIBRARY or name in asked for name in names)


def corrected(names: list[str], first: bytes) -> list[str]:
    """Return the compressions of a body by its first bytes, where they show that the only named one is wrong: markup
    and plain text are not compressed, and gzip and deflate are told by their headers."""
    if len(names) != 1 or not first:
        return names
    if first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return []
    if first.startswith(b"\x1f\x8b\x08"):
        return ["gzip"]
    is_zlib = first[0] & 0x0F == 8 and len(first) > 1 and int.from_bytes(first[:2]) % 31 == 0
    if is_zlib and names[0] in ("gzip", "x-gzip"):
        return ["deflate"]
    is_text = names[0] in _WITHOUT_LIBRARY and len(first) == FIRST_BYTES and _TEXT.issuperset(first)
    return [] if is_text else names


def first_bytes(response: Any) -> bytes:
    """Return the first bytes of a body that was not yet read (`response`: of urllib3); b"" where they can't be seen."""
    source = getattr(response, "_fp", None)
    if response.chunked or source is None or source.isclosed() or response.length_remaining == 0:
        return b""
    return bytes(source.fp.peek(FIRST_BYTES)[:FIRST_BYTES])


class _Salvaging:
    """A decompressor of zlib that returns what comes before a damaged place, or a wrong checksum, and then nothing."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._given = 0
        self.is_damaged = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def decompress(self, data: bytes, max_length: int = 0) -> bytes:
        """Raises zlib.error when nothing comes before the damaged place."""
        if self.is_damaged:
            return b""
        before = self._inner.copy()
        try:
            found: bytes = self._inner.decompress(data, max_length)
        except zlib.error:
            found = _before_damage(before, data, max_length)
            if not found and not self._given:
                raise
            self.is_damaged, self._inner = True, zlib.decompressobj()
        self._given += len(found)
        return found

    def flush(self) -> bytes:
        return b"" if self.is_damaged else bytes(self._inner.flush())


def _before_damage(decompressor: Any, data: bytes, max_length: int) -> bytes:
    found = bytearray()
    try:
        for each in data:
            left = max_length - len(found) if max_length else 0
            found += decompressor.decompress(decompressor.unconsumed_tail + bytes((each,)), left)
            if max_length and len(found) >= max_length:
                break
    except zlib.error:
        pass
    return bytes(found)


def salvage(response: Any, first: bytes) -> None:
    """Let a response of urllib3 that was not yet read give what comes before a damaged place of a body in gzip or zlib,
    or before a wrong checksum at its end, as browsers do; `ended_early` tells it. first: the first bytes of the
    body."""
    response._init_decoder()
    decoder = getattr(response, "_decoder", None)
    is_gzip = getattr(decoder, "_state", None) is not None
    is_zlib = hasattr(decoder, "_first_try") and first[:1] == b"\x78"
    if (is_gzip or is_zlib) and decoder is not None:
        decoder._obj = _Salvaging(decoder._obj)


def unpacked(content: bytes, max_bytes: int) -> tuple[bytes, bool]:
    """Return a body that was sent with gzip although no header says so, decompressed to at most one byte more than the
    limit, and whether it is damaged; any other as it is."""
    if not content.startswith(b"\x1f\x8b\x08"):
        return content, False
    decompressor = _Salvaging(zlib.decompressobj(31))
    try:
        return decompressor.decompress(content, max_bytes + 1), decompressor.is_damaged
    except zlib.error:
        return content, False


def ended_early(response: Any) -> bool:
    """Whether a compressed body that was read to its end lacks its own end, or is damaged (`response`: of urllib3)."""
    decoder = getattr(response, "_decoder", None)
    state = getattr(decoder, "_obj", None)
    fed = getattr(decoder, "_state", 0)  # gzip: in or behind a second member, where anything may follow
    return state is not None and getattr(state, "eof", True) is False and fed == 0
