"""The numbers and months in a text, as they are compared: `1,234.5`, `1.234,5` and `１２３４.5` are one number."""

import functools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agentkit._text import beyond_ascii, utf8
from agentkit.evidence.month_names import month_of
from agentkit.retrieval.words import folded

_NUMBER = re.compile(
    r"(?<![\d.,])(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?!\.?\d)"
    r"|(?<![\d.,])(?P<one>\d{1,2})[-/.](?P<other>\d{1,2})[-/.](?P<last>\d{4})(?!\.?\d)"
    r"|(?<![\d.,])(?P<spaced>\d{1,3}(?:[ \u00a0\u202f\u2009]\d{3}){1,9}"
    r"(?:[.,٫]\d{1,40}(?![.,]?\d|[ \u00a0\u202f\u2009]\d{3}(?!\d)))?)(?!\d)"
    r"|(?P<number>\d{1,40}(?:[.,٫٬·'’]\d{1,40}){0,20})"
)
"""A date in numbers, of which each part is a number; a number with spaces between thousands, and decimals; another
one."""
_DIGITS = re.compile(r"\d{1,40}")
_DIGIT = re.compile(r"\d")
_MOST_DIGITS = 40
_ONLY_DIGITS = bytes(code if chr(code).isdecimal() else 32 for code in range(256))
"""Spaces for all but digits of ASCII, in UTF-8."""
_SEPARATORS = frozenset(" \u00a0\u202f\u2009.,٫٬·'’-/")
"""What is a part of a number, with digits before and behind it."""
_NO_PART = frozenset(
    f"{sign}{other}"
    for sign in " .,;:)'\n"
    for other in map(chr, range(128))
    if not other.isdigit() and other not in "mMtTbBlLcC"
)
"""What most numbers have behind them, and is neither a part nor the scale nor the range of one."""
_SCALE = re.compile(
    r"[ \u00a0-]?(?:([^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7ff]{1,12})|([百千万萬亿億兆만억]{1,2}))"
)
_RANGE_END = re.compile(r"[–—/-](\d\d)(?!\d)")
_EAST_DAY, _EAST_MONTH = re.compile(r"\d{1,2} ?[日号號일]"), re.compile(r"\d{1,2} ?[月월]")
"""The day of a date in East Asian languages, and its month."""
_CLOSE_BEFORE = re.compile(r"[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7ff]$|[:：./–-]$")
_CLOSE = re.compile(r" ?[:：月日年分秒时時点點]|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7ff]|[./–-]\w")
"""What stands before or behind a number that nobody writes as a word."""
_BEFORE_MONTH, _BEHIND_MONTH = 16, 20
"""How many characters before and behind digits `_MONTH` looks at."""
_MONTH = re.compile(
    r"\d{1,4}(?:st|nd|rd|th|er|[.º°ª])?,?[ \u00a0](?:de[ \u00a0]|of[ \u00a0])?(?P<behind>[^\W\d_]{3,12})"
    r"|(?<![^\W\d_])(?P<before>[^\W\d_]{3,12})\.?,?[ \u00a0](?=\d{1,4}(?!\d))|(?P<east>\d{1,2})[月월]"
)
_SCALES = {
    exponent: frozenset(words.split())
    for exponent, words in {
        3: "thousand tausend mille mil mila тыс тысяч тысяча тысячи الف",
        5: "lakh lakhs",
        6: "million millions millionen mio mln millon millones milhao milhoes milione milioni м миллион миллиона "
        "миллионов млн مليون ملايين",
        7: "crore crores",
        9: "billion billions bn milliard milliards milliarden mrd miliardi miliardo bilhao bilhoes миллиард миллиарда "
        "миллиардов млрд مليار",
        12: "trillion trillions triliones трлн триллион триллиона триллионов",
    }.items()
}
_EXPONENTS = {word: exponent for exponent, words in _SCALES.items() for word in words}
_INITIALS = frozenset(letter for word in _EXPONENTS for letter in (word[0], word[0].upper()) if letter.isascii())
_EASTERN = {"百": 2, "千": 3, "万": 4, "萬": 4, "만": 4, "亿": 8, "億": 8, "억": 8, "兆": 12}
_NUMBER_WORDS = (  # from 2: "one" is often no number
    ("two", "zwei", "deux", "dos", "два", "две", "二", "两", "兩", "اثنان"),
    ("three", "drei", "trois", "tres", "три", "трех", "三", "ثلاث"),
    ("four", "vier", "quatre", "cuatro", "четыр", "四", "اربع"),
    ("five", "funf", "cinq", "cinco", "пять", "пяти", "五", "خمس"),
    ("six", "sechs", "seis", "шест", "六", "ست"),
    ("seven", "sieben", "sept", "siete", "сем", "七", "سبع"),
    ("eight", "acht", "huit", "ocho", "восемь", "восьм", "восем", "八", "ثمان"),
    ("nine", "neun", "neuf", "nueve", "девят", "九", "تسع"),
    ("ten", "zehn", "dix", "diez", "десят", "十", "عشر"),
    ("eleven", "elf", "onze", "once", "одиннадцат", "十一", "احد عشر"),
    ("twelve", "zwolf", "douze", "doce", "двенадцат", "十二", "اثنا عشر"),
)


@dataclass(frozen=True)
class Number:
    """A number of a text. written: as it stands there, `start` its place. values: what it may mean, `1,234` two things;
    with its scale, such as "million". plain: the same without the scale. ends: the year in which "1620–21" ends.
    is_alone: whether it is no part of a time, a date or a name. month: which one
    it may be as a part of a date in numbers; 0 for none. is_day: whether it is the day of a date, as "3日"."""

    written: str
    start: int
    values: frozenset[str]
    plain: frozenset[str]
    ends: frozenset[str] = frozenset()
    is_alone: bool = False
    month: int = 0
    is_day: bool = False


def numbers(text: str) -> Iterator[Number]:
    """Yield the numbers of a text."""
    for start, end, date in _found(text):
        if date:
            yield from _of_date(date)
        else:
            written = text[start:end]
            values, plain = _values(written, _exponent(text, end)), _values(written, 0)
            is_alone = not (_CLOSE_BEFORE.search(text, max(0, start - 2), start) or _CLOSE.match(text, end))
            is_day = _EAST_DAY.match(text, start) is not None
            yield Number(written, start, values, plain, _range_end(text, start, end), is_alone, is_day=is_day)


@dataclass(frozen=True)
class NumberPlaces:
    """The numbers of a text. values: where each stands, by what it may mean with and without its scale and as the end
    of a range. months: those of its dates in numbers."""

    values: Mapping[str, Sequence[int]]
    months: frozenset[int]

    @classmethod
    def of(cls, text: str) -> "NumberPlaces":
        """The numbers of a text: the same as `numbers`, in a third of the time."""
        values, months = defaultdict[str, list[int]](list), set[int]()
        for start, end, date in _found(text):
            written = text[start:end]
            if date:
                for part in _of_date(date):
                    months.add(part.month)
                    _note(part.start, part.values, values)
            elif text[end : end + 2] in _NO_PART and written.isdecimal() and written.isascii() and written[0] != "0":
                values[written].append(start)
            else:
                meant = _values(written, _exponent(text, end)) | _values(written, 0) | _range_end(text, start, end)
                _note(start, meant, values)
        return cls(dict(values), frozenset(months))


def _note(start: int, meant: Iterable[str], values: Mapping[str, list[int]]) -> None:
    for value in meant:
        values[value].append(start)


def _range_end(text: str, start: int, end: int) -> frozenset[str]:
    if end - start != 4 or not text[start:end].isdigit():
        return frozenset()
    last = _RANGE_END.match(text, end)
    return frozenset({text[start : start + 2] + last[1]}) if last else frozenset()


def _found(text: str) -> Iterator[tuple[int, int, re.Match[str] | None]]:
    """Yield the places of the numbers of a text, and each that is a date as it was found."""
    searched = 0
    for start, end in _digits_in(text):
        if start < searched:
            continue
        behind = text[end : end + 2]
        if behind not in _NO_PART and behind[:1] in _SEPARATORS and behind[1:].isdecimal():
            found = _NUMBER.match(text, start)
            if found:
                searched = found.end()
                yield start, searched, found if found["year"] or found["last"] else None
        else:
            yield start, end, None


def _digits_in(text: str) -> list[tuple[int, int]]:
    """Where digits stand in a text, up to 40 at once. Most texts have only those of ASCII, which are found ten times as
    quickly."""
    encoded = utf8(text)
    written = encoded.translate(_ONLY_DIGITS).decode("ascii").split()
    if (
        _DIGIT.search(beyond_ascii(encoded).decode("utf-8", "surrogatepass"))
        or max(map(len, written), default=0) > _MOST_DIGITS
    ):
        return [digits.span() for digits in _DIGITS.finditer(text)]
    end = 0
    found = []
    for digits in written:
        start = text.find(digits, end)
        end = start + len(digits)
        found.append((start, end))
    return found


def _of_date(date: re.Match[str]) -> Iterator[Number]:
    if date["year"]:
        return _of_parts(date, ("year", "month", "day"), ("month",))
    return _of_parts(date, ("one", "other", "last"), ("one", "other"))


def _of_parts(found: re.Match[str], parts: tuple[str, ...], months: tuple[str, ...]) -> Iterator[Number]:
    for part in parts:
        value = frozenset({_scaled((_digits(found[part]), ""), 0)})
        month = int(found[part]) if part in months and int(found[part]) <= 12 else 0
        yield Number(found[part], found.start(part), value, value, month=month)


@functools.lru_cache(2_048)
def _values(written: str, exponent: int) -> frozenset[str]:
    """What a number may mean. exponent: of its scale."""
    if written.isdecimal() and not exponent:
        return frozenset((_digits(written).lstrip("0") or "0",))
    return frozenset(_scaled(each, exponent) for each in _plain(written))


def _plain(written: str) -> set[tuple[str, str]]:
    """The digits before the decimal point and behind it, for each way to read a number."""
    if written.isdigit():
        return {(_digits(written), "")}
    groups = [_digits(each) for each in re.split(r"\D", written)]
    separators = set(re.findall(r"\D", written))
    found = set()
    if len(groups) == 1 or all(len(group) == 3 for group in groups[1:]) or _is_indian(groups):
        found.add(("".join(groups), ""))
    if len(groups) == 2 or (len(groups) > 2 and len(separators) == 2):
        found.add(("".join(groups[:-1]), groups[-1]))
    return found or {(".".join(groups), "")}


def _digits(written: str) -> str:
    return written if written.isascii() else "".join(str(int(digit)) for digit in written)


def _is_indian(groups: list[str]) -> bool:
    return len(groups) > 2 and len(groups[-1]) == 3 and all(len(group) == 2 for group in groups[1:-1])


def _scaled(number: tuple[str, str], exponent: int) -> str:
    whole, decimals = number
    if not whole.isdigit():
        return whole
    moved = decimals[:exponent].ljust(exponent, "0")
    whole = (whole + moved).lstrip("0") or "0"
    decimals = decimals[exponent:].rstrip("0")
    return f"{whole}.{decimals}" if decimals else whole


def _exponent(text: str, end: int) -> int:
    """The power of ten that the word behind a number names."""
    first = text[end : end + 2].lstrip(" \u00a0-")[:1]
    if first not in _INITIALS and first.isascii():
        return 0
    found = _SCALE.match(text, end)
    if found is None:
        return 0
    if found[2]:
        return sum(_EASTERN[each] for each in found[2])
    return _EXPONENTS.get(folded(found[1]), 0)


def is_other_part(text: str, place: int, is_day: bool) -> bool:
    """Whether the number at a place is the month of an East Asian date, where a day is meant, or its day."""
    return (_EAST_MONTH if is_day else _EAST_DAY).match(text, place) is not None


def words_of(value: str) -> tuple[str, ...]:
    """The words for a small number, folded, in some languages; () for others."""
    return _NUMBER_WORDS[int(value) - 2] if value.isdigit() and len(value) < 3 and 2 <= int(value) <= 12 else ()


def months(text: str) -> dict[int, str]:
    """The months that a text names beside numbers, 1 to 12, and how, folded."""
    found: dict[int, str] = {}
    for begin, end in _beside_digits(text):
        for each in _MONTH.finditer(text, begin, end):
            written = folded(each["behind"] or each["before"] or "")
            number = int(each["east"]) if each["east"] else month_of(written)
            if 0 < number <= 12:
                found.setdefault(number, written)
    return found


def _beside_digits(text: str) -> Iterator[tuple[int, int]]:
    """Yield the parts of a text in which `_MONTH` may find anything. None has digits within its last characters."""
    begin, end = 0, -_BEFORE_MONTH - 1
    for start, behind in _digits_in(text):
        if start - _BEFORE_MONTH > end:
            if end > 0:
                yield begin, end
            begin = max(0, start - _BEFORE_MONTH)
        end = behind + _BEHIND_MONTH
    if end > 0:
        yield begin, end
