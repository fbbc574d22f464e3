"""Decodes web pages: what is valid UTF-8 is UTF-8, else the declared character set, else a detected one."""

import codecs
import itertools
import re

_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_DECLARED = re.compile(
    rb"""(?:^\s*+<\?xml[^>]*?\sencoding|<meta[^>]{0,1000}?[\s;"']charset)\s*+=\s*+["']?\s*+([A-Za-z0-9_:.-]{1,40})""",
    re.IGNORECASE,
)
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_CUT_CHARACTER = re.compile(rb"(?:[\xc2-\xf4]|[\xe0-\xf4][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{2})\Z")
_BETWEEN_TAGS = re.compile(rb"[^<>]{1,2000}")
_LABELS = {
    label: codec
    for codec, labels in (
        ("cp932", ("x-sjis", "windows-31j")),
        ("gb18030", ("x-gbk", "gb_2312-80", "csgb2312")),
        ("big5hkscs", ("x-x-big5", "cn-big5")),
        ("euc_jp", ("x-euc-jp",)),
        ("cp949", ("windows-949",)),
        ("cp874", ("windows-874", "dos-874")),
        ("iso8859-8", ("iso-8859-8-i", "visual", "logical")),
        ("koi8-r", ("koi8", "koi")),
        ("koi8-u", ("koi8-ru",)),
        ("mac-roman", ("x-mac-roman",)),
        ("mac-cyrillic", ("x-mac-cyrillic", "x-mac-ukrainian")),
        ("utf-8", ("unicode-1-1-utf-8", "unicode11utf8", "x-unicode20utf8")),
        ("utf-16-le", ("ucs-2", "unicode", "csunicode")),
        ("utf-16-be", ("unicodefffe",)),
        *((f"cp{number}", (f"x-cp{number}",)) for number in range(1250, 1259)),
    )
    for label in labels
}
"""Charset labels that Python does not know, mapped to its codecs."""
_READ_AS = {
    subset: superset
    for superset, subsets in (
        ("cp1252", ("ascii", "iso8859-1")),
        ("cp1254", ("iso8859-9",)),
        ("cp874", ("iso8859-11", "tis-620")),
        ("gb18030", ("gb2312", "gbk")),
        ("big5hkscs", ("big5",)),
        ("cp932", ("shift_jis",)),
        ("cp949", ("euc_kr",)),
        ("utf-16-le", ("utf-16",)),
        ("utf-8", ("utf-8-sig",)),
    )
    for subset in subsets
}
"""The superset that browsers decode instead of a declared charset (the WHATWG encoding standard)."""
_CODECS = frozenset(
    (
        *("utf-8", "utf-16-le", "utf-16-be", "gb18030", "big5hkscs", "cp932", "cp949", "euc_jp", "iso2022_jp"),
        *("cp866", "cp874", "koi8-r", "koi8-u", "mac-roman", "mac-cyrillic"),
        *(f"cp{number}" for number in range(1250, 1259)),
        *(f"iso8859-{number}" for number in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
    )
)
"""Python's names of the charsets used on the web. Its other codecs (punycode, utf-7, ...) are not accepted."""

_LATIN = frozenset(
    (
        *("cp1250", "cp1252", "cp1254", "cp1257", "cp1258", "mac-roman"),
        *(f"iso8859-{number}" for number in (2, 3, 4, 10, 13, 14, 15, 16)),
    )
)
_CYRILLIC = frozenset(("cp1251", "koi8-r", "koi8-u", "iso8859-5", "cp866", "mac-cyrillic"))
_OF_ASCII_BYTES = ("iso2022_jp", "utf-16-le", "utf-16-be")
"""Charsets whose text may be of ASCII bytes alone and yet not ASCII."""


def decode(content: bytes, charset: str | None = None) -> str:
    """Decode bytes by byte order mark, as UTF-8 if they are, by `charset` (of the header), the charset the document
    declares, or detection; never raises."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if b"\0" in content[:200] and (wide := _wide(content[:200])):
        return content.decode(wide, "replace")
    if _is_utf8(content):
        return content.decode("utf-8", "replace")
    declared = _declared_codecs(content, charset)
    for encoding in declared:
        text = content.decode(encoding, "replace")
        is_likely = encoding not in _LATIN or not _is_foreign(content)
        if is_likely and _error_percentage(text) <= 1:  # a truncated page may end within a character
            return text
    if content.isascii():
        return content.decode("ascii")
    return content.decode(_detected(content) or (declared[0] if declared else "utf-8"), "replace")


def _wide(head: bytes) -> str:
    """Return the codec of text in UTF-16 that has no byte order mark but begins with ASCII; "" for other bytes."""
    half = len(head) // 2
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd > 0.7 * half and even < 0.1 * half:
        return "utf-16-le"
    return "utf-16-be" if even > 0.7 * half and odd < 0.1 * half else ""


def _is_utf8(content: bytes) -> bool:
    """Whether bytes are UTF-8, whatever label they carry: other charsets with non-ASCII characters hardly ever look
    like it. A long page with a few damaged characters, or with its last one cut, counts as UTF-8 too."""
    if content.isascii():
        return False  # may be ISO-2022-JP
    text = content.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    if not damaged:
        return True
    if _CUT_CHARACTER.search(content[-3:]) and damaged == 1:
        damaged = 0
    whole = len(_SEQUENCE.findall(content))
    return whole > 20 * damaged


def _declared_codecs(content: bytes, charset: str | None) -> list[str]:
    """Return the codecs of the charsets that the header and the document declare, if they are known; the likelier one
    first: servers add Latin-1 to every page, whatever the page says of itself."""
    header = _codec(charset)
    declared = _DECLARED.search(_COMMENT.sub(b"", content[:16_384]))
    own = _codec(declared[1].decode("ascii")) if declared else None
    if own is not None and own.startswith("utf-16"):
        own = "utf-8"  # the declaration itself was readable as ASCII, so it can't be UTF-16
    both = (own, header) if header in _LATIN else (header, own)
    named = [codec for codec in both if codec is not None]
    if content.isascii():
        return [codec for codec in named if codec in _OF_ASCII_BYTES] or _undeclared(content)
    if len({*named}) == 2 and _CYRILLIC.issuperset(named):  # each reads the other's text, with its cases swapped
        named.sort(key=lambda codec: sum(map(str.isupper, content.decode(codec, "replace"))))
    return named


def _undeclared(content: bytes) -> list[str]:
    return ["iso2022_jp"] if re.search(rb"\x1b\$[@B]", content) else []


def _codec(label: str | None) -> str | None:
    """Return Python's codec for a charset label; None when it is not a charset of the web."""
    name = (label or "").strip().lower()
    if not re.fullmatch(r"[a-z0-9_:.-]{1,40}", name):
        return None
    try:
        found = codecs.lookup(_LABELS.get(name, name)).name
    except (LookupError, ValueError):
        return None
    found = _READ_AS.get(found, found)
    return found if found in _CODECS else None


def _error_percentage(text: str) -> float:
    """Return the percentage of characters that could not be decoded; texts under 100 characters count as 100."""
    return 100 * text.count("\ufffd") / max(len(text), 100)


def _detected(content: bytes) -> str | None:
    """Detect the codec of a text from its parts that are not ASCII; None when nothing fits."""
    import charset_normalizer

    best = charset_normalizer.from_bytes(_telling(content), cp_isolation=list(_CODECS)).best()
    return best.encoding if best else None


def _telling(content: bytes) -> bytes:
    """Return the parts of a page that are not ASCII, as far as they are needed to tell its charset."""
    pieces = (each[0] for each in _BETWEEN_TAGS.finditer(content, 0, 2_000_000))
    return b" ".join(itertools.islice((each for each in pieces if not each.isascii()), 400))[:20_000]


def _is_foreign(content: bytes) -> bool:
    """Whether so many letters are not ASCII that a text can't be in a Latin script."""
    telling = _telling(content)
    high = len(telling.translate(None, bytes(range(128))))
    return high > 20 and high > len(re.findall(rb"[A-Za-z]", telling))
