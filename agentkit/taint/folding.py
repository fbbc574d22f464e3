"""A text in the one form in which it is compared, whatever an attacker has written it in.

`forms` takes encodings away: HTML entities, percent-encoding, escapes of JSON, base64, hexadecimal digits, addresses
that are spelled out ("evil dot example"). `folded` takes away what a reader does not see or does not mind: case, width,
accents, characters without width. Both take time in proportion to the text.
"""

import base64
import binascii
import functools
import html
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

MAX_ROUNDS = 3
"""How many encodings around one another are taken away."""
MAX_DECODED = 4_000_000
"""Characters of one encoded piece that are decoded; one that is longer is no text for a model to read."""

_ENTITY = re.compile(r"&(?:#[xX][0-9a-fA-F]{1,8};?|#[0-9]{1,8};?|[A-Za-z][A-Za-z0-9]{1,31};)")
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}")
_TAG = re.compile(r"<[^<>]*+>")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([nrtbf\"'/\\]))")
_BASE64 = re.compile(
    r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{12,}+(?:\s{1,2}[A-Za-z0-9+/_-]{12,}+)*+(?:\s{1,2}[A-Za-z0-9+/_-]{1,11}(?==))?"
)
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

_AT_WORDS, _DOT_WORDS = "at|arroba|собака", "dot|punkt|point|punto|точка|点|نقطة"
DOT_WORDS = frozenset(_DOT_WORDS.split("|"))
"""Words that are read for a dot."""
_IN_BRACKETS = re.compile(rf"[(\[{{]\s?(?:(?P<at>{_AT_WORDS}|@)|{_DOT_WORDS}|\.)\s?[)\]}}]", re.IGNORECASE)
_AS_WORDS = re.compile(rf"\s(?:(?P<at>{_AT_WORDS})|{_DOT_WORDS})(?=\s)|点", re.IGNORECASE)
_MARKS = {True: "\ue000", False: "\ue001"}
_MARKED = str.maketrans("\ue000\ue001", "@.")


@functools.cache
def _unseen() -> dict[int, str | None]:
    """What is left out: characters without width, marks on letters, controls of direction. Tag characters, which no
    reader sees and models read as ASCII, become ASCII."""
    codes = (*range(0x80, 0x20000), *range(0xE0000, 0xE01F0))
    made: dict[int, str | None] = {
        code: None for code in codes if unicodedata.category(chr(code)) in ("Cf", "Mn", "Mc", "Me")
    }
    return made | {0xE0000 + code: chr(code) for code in range(0x20, 0x7F)}


def folded(text: str) -> str:
    """The text in lower case, without accents and what has no width, with characters of normal width."""
    if text.isascii():
        return text.lower()
    text = text.translate(_unseen())  # first: a long row of marks is sorted in quadratic time
    return unicodedata.normalize("NFKD", text).translate(_unseen()).casefold()


def forms(text: str, rounds: int = MAX_ROUNDS) -> Iterator[str]:
    """The text without encodings, and what else stands in it for those who decode it. rounds: how many encodings around
    one another are taken away."""
    plain = unescaped(text)
    yield plain
    if "%" in text and (encoded := _without_entities(text)) != plain:  # in which an address has no spaces
        yield encoded
    if "<" in plain and (without_tags := _TAG.sub(" ", plain)) != plain:
        yield without_tags
    if "\\" in plain and (read := _ESCAPE.sub(_character, plain)) != plain:
        yield read
    if spelled := " ".join(spelled_out(plain)):
        yield spelled
    if rounds > 1:
        for piece in decoded(plain):
            yield from forms(piece, rounds - 1)


def unescaped(text: str) -> str:
    """The text without HTML entities and percent-encoding."""
    for _ in range(MAX_ROUNDS):
        made = _without_entities(text)
        made = unquote(made) if _PERCENT.search(made) else made
        if made == text:
            return text
        text = made
    return text


def _without_entities(text: str) -> str:
    return _ENTITY.sub(lambda found: html.unescape(found.group()), text) if "&" in text else text


def _character(found: re.Match[str]) -> str:
    code, letter = found[1] or found[2], found[3]
    if code:
        return chr(int(code, 16))
    return letter if letter in "\"'/\\" else " "


def spelled_out(text: str) -> Iterator[str]:
    """The addresses that are written with words or brackets in place of their dots and at signs, as they are meant."""
    marked = _AS_WORDS.sub(_mark, text)
    marked = _IN_BRACKETS.sub(_mark, marked)
    if marked == text:
        return
    for mark in _MARKS.values():
        marked = marked.replace(f" {mark}", mark).replace(f"{mark} ", mark)
    for chunk in marked.split():
        if _MARKS[True] in chunk or _MARKS[False] in chunk:
            yield chunk.translate(_MARKED)


def _mark(found: re.Match[str]) -> str:
    return _MARKS[found["at"] is not None]


def decoded(text: str) -> Iterator[str]:
    """The texts that stand in a text in base64 or as hexadecimal digits."""
    for found in _BASE64.finditer(text):
        piece = found.group()
        if len(piece) > MAX_DECODED:
            continue
        lines = piece.split()
        parts = [each for line in lines if "/" in line for each in line.split("/") if len(each) >= 12]
        for each in dict.fromkeys(["".join(lines), *(lines if len(lines) > 1 else ()), *parts]):
            made = _text_in(each)
            if made is not None:
                yield made


def _text_in(piece: str) -> str | None:
    """The text that a piece encodes; None where it is none."""
    for data in _bytes_in(piece):
        try:
            made = data.decode("utf-8")
        except UnicodeDecodeError:
            continue
        if len(made) > 3 and not _CONTROLS.search(made):
            return made
    return None


_USUAL = str.maketrans("-_", "+/")
"""From the alphabet of Base64 for URLs to the usual one; a text may have both."""


def _bytes_in(piece: str) -> Iterator[bytes]:
    if len(piece) % 2 == 0 and _HEX.fullmatch(piece):
        yield bytes.fromhex(piece)
    try:
        yield base64.b64decode(piece.translate(_USUAL) + "=" * (-len(piece) % 4))
    except (binascii.Error, ValueError):
        return
