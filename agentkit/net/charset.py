"""Decodes web pages, detecting the character set as browsers do."""

import codecs
import contextlib
import re


def content_type_of(header: str) -> tuple[str, str | None]:
    """Return the media type, in lower case, and the charset of a Content-Type header."""
    kind, _, parameters = header.partition(";")
    charset = re.search(r"""charset\s*=\s*["']?([^\s"';]+)""", parameters, re.IGNORECASE)
    return kind.strip().lower(), charset.group(1) if charset else None


_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_DECLARED = re.compile(
    rb"""(?:^\s*<\?xml[^>]*?\sencoding|<meta[^>]*?[\s;"']charset)\s*=\s*["']?\s*([A-Za-z0-9_:.-]{1,40})""",
    re.IGNORECASE,
)
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


def decode(content: bytes, charset: str | None = None) -> str:
    """Decode bytes by byte order mark, `charset`, the charset the document declares, or detection; never raises."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    declared = _declared_codecs(content, charset)
    for encoding in declared:
        text = content.decode(encoding, "replace")
        if _error_percentage(text) <= 1:  # a truncated page may end within a character
            return text
    with contextlib.suppress(UnicodeError):
        return content.decode("utf-8")
    return content.decode(declared[0] if declared else _detected(content), "replace")


def _declared_codecs(content: bytes, charset: str | None) -> list[str]:
    """Return the codecs of the charsets that the header and the document declare, if they are known."""
    header = _codec(charset)
    declared = _DECLARED.search(content[:2048])
    own = _codec(declared[1].decode("ascii")) if declared else None
    if own is not None and own.startswith("utf-16"):
        own = "utf-8"  # the declaration itself was readable as ASCII, so it can't be UTF-16
    return [codec for codec in (header, own) if codec is not None]


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


def _detected(content: bytes) -> str:
    """Detect the codec of a text. A long UTF-8 page with a few invalid bytes counts as UTF-8."""
    if _error_percentage(content.decode("utf-8", "replace")) < 1 and len(content) > 1000:
        return "utf-8"
    import charset_normalizer

    best = charset_normalizer.from_bytes(content[:20_000]).best()
    return best.encoding if best else "utf-8"
