"""How a body is compressed: the codings that are asked for, and what a Content-Encoding header means."""

import importlib.util
import re
import zlib
from typing import Any

_COMPRESSIONS = frozenset(("gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress", "lzma", "xz", "bzip2"))
_COMPRESSIONS |= frozenset(("x-bzip2", "pack200-gzip", "exi", "sdch", "dcb", "dcz", "lz4", "snappy", "aes128gcm"))
_WITHOUT_LIBRARY = ("gzip", "x-gzip", "deflate")


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
    """Return the compressions of a body by its first bytes, where they show that the only named one is wrong: markup is
    not compressed, and gzip and deflate are told by their headers."""
    if len(names) != 1 or not first:
        return names
    if first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return []
    if first.startswith(b"\x1f\x8b\x08"):
        return ["gzip"]
    is_zlib = first[0] & 0x0F == 8 and len(first) > 1 and int.from_bytes(first[:2]) % 31 == 0
    return ["deflate"] if is_zlib and names[0] in ("gzip", "x-gzip") else names


def first_bytes(response: Any) -> bytes:
    """Return the first bytes of a body that was not yet read (`response`: of urllib3); b"" where they can't be seen."""
    source = getattr(response, "_fp", None)
    if response.chunked or source is None or source.isclosed() or response.length_remaining == 0:
        return b""
    return bytes(source.fp.peek(16)[:16])


def unpacked(content: bytes, max_bytes: int) -> bytes:
    """Return a body that was sent with gzip although no header says so, decompressed to at most one byte more than the
    limit; any other as it is."""
    if not content.startswith(b"\x1f\x8b\x08"):
        return content
    try:
        return zlib.decompressobj(31).decompress(content, max_bytes + 1)
    except zlib.error:
        return content


def ended_early(response: Any) -> bool:
    """Whether a compressed body that was read to its end lacks its own end (`response`: of urllib3)."""
    decoder = getattr(response, "_decoder", None)
    state = getattr(decoder, "_obj", None)
    fed = getattr(decoder, "_state", 0)  # gzip: in or behind a second member, where anything may follow
    return state is not None and getattr(state, "eof", True) is False and fed == 0
