"""Decodes web pages: what is valid UTF-8 is UTF-8, else the declared character set, else a detected one."""

import codecs
import itertools
import re

from agentkit.net import charset_guess

_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_DECLARED = re.compile(
    rb"""(?:^\s*+<\?xml[^>]*?\sencoding|<meta[^<>]{0,1000}?[\s;"']charset)\s*+=\s*+["']?\s*+([A-Za-z0-9_:.-]{1,40})""",
    re.IGNORECASE,
)
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_CUT_CHARACTER = re.compile(rb"(?:[\xc2-\xf4]|[\xe0-\xf4][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{2})\Z")
_HZ = re.compile(rb"~\{((?:[\x21-\x77][\x21-\x7e]){1,500})~\}")
"""Chinese characters in text of ASCII bytes (RFC 1843)."""
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
        ("hz", ("hz-gb-2312",)),
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
        *(
            "utf-8",
            "utf-16-le",
            "utf-16-be",
            "gb18030",
            "big5hkscs",
            "cp932",
            "cp949",
            "euc_jp",
            "iso2022_jp",
            "iso2022_kr",
            "hz",
        ),
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
_OF_ASCII_BYTES = ("iso2022_jp", "iso2022_kr", "hz", "utf-16-le", "utf-16-be")
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
        text = _decoded(content, encoding)
        if (
            _is_likely(content, encoding) and _error_percentage(text) <= 1
        ):  # a truncated page may end within a character
            return text
    if content.isascii():
        return content.decode("ascii")
    return _decoded(content, _detected(content) or (declared[0] if declared else "utf-8"))


def _decoded(content: bytes, codec: str) -> str:
    if codec == "hz":  # Python's codec takes the ~ of an address for an escape
        return _HZ.sub(lambda found: bytes(each | 0x80 for each in found[1]), content).decode("gb18030", "replace")
    text = content.decode(codec, "replace")
    if codec == "euc_jp" and "\ufffd" in text:  # ① and others that only Windows has in this charset
        text = min(text, content.decode("euc_jis_2004", "replace"), key=lambda each: each.count("\ufffd"))
    return text


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
    if own is not None and _is_wide(own):
        own = "utf-8"  # the declaration itself was readable as ASCII, so it can't be UTF-16
    both = (own, header) if header in _LATIN else (header, own)
    named = [codec for codec in both if codec is not None and not (_is_wide(codec) and _is_narrow(content))]
    if content.isascii():
        return [codec for codec in named if codec in _OF_ASCII_BYTES] or _undeclared(content)
    if len({*named}) == 2 and _CYRILLIC.issuperset(named):  # each reads the other's text, with its cases swapped
        named.sort(key=lambda codec: sum(map(str.isupper, content.decode(codec, "replace"))))
    return named


def _is_wide(codec: str) -> bool:
    return codec.startswith("utf-16")


def _is_narrow(content: bytes) -> bool:
    """Whether bytes can't be UTF-16, which has zeros in spaces, markup and line ends."""
    return b"\0" not in content and (content.isascii() or content.lstrip().startswith(b"<"))


def _undeclared(content: bytes) -> list[str]:
    if re.search(rb"\x1b\$[@B]", content):
        return ["iso2022_jp"]
    if b"\x1b$)C" in content and b"\x0e" in content:
        return ["iso2022_kr"]
    pairs = b"".join(_HZ.findall(content))
    common = sum(0x30 <= each <= 0x57 for each in pairs[::2])
    return ["hz"] if common > len(pairs) / 3 else []  # other texts with such braces hardly have common characters


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
    telling = _telling(content)
    letters, others = len(re.findall(rb"[A-Za-z]", telling)), len(telling.translate(None, bytes(range(128))))
    guesses = [charset_guess.latin, charset_guess.east_asian]
    if 2 * others > letters:
        guesses = [charset_guess.east_asian, *([charset_guess.latin] if others <= letters else [])]
    found = next(filter(None, (guess(telling) for guess in guesses)), None)
    if found is not None:
        return found
    import charset_normalizer

    best = charset_normalizer.from_bytes(telling, cp_isolation=list(_CODECS)).best()
    if best is None:
        return None
    codec = codecs.lookup(best.encoding).name
    if codec in _CYRILLIC or codec in ("cp1253", "iso8859-7"):
        return charset_guess.cyrillic_or_greek(telling) or codec
    return (charset_guess.latin(telling) if codec in _LATIN else None) or codec


def _telling(content: bytes) -> bytes:
    """Return the parts of a page that are not ASCII, as far as they are needed to tell its charset."""
    pieces = (each[0] for each in _BETWEEN_TAGS.finditer(content, 0, 2_000_000))
    return b" ".join(itertools.islice((each for each in pieces if not each.isascii()), 400))[:20_000]


def _is_likely(content: bytes, codec: str) -> bool:
    """Whether a text may be in the charset that it is declared to be in."""
    if codec in _LATIN:
        return not _is_foreign(content)
    return not charset_guess.contradicts(_telling(content), codec)


def _is_foreign(content: bytes) -> bool:
    """Whether so many letters are not ASCII that a text can't be in a Latin script."""
    telling = _telling(content)
    high = len(telling.translate(None, bytes(range(128))))
    return high > 20 and high > len(re.findall(rb"[A-Za-z]", telling))
