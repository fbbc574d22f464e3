"""Tells charsets by the letters that their text would have, where a text is too short for statistics of bytes."""

import re
from collections import Counter
from collections.abc import Iterable
from unicodedata import combining

_WEST = (
    *("àâæçéèêëîïôœùûüÿ", "äöüßé", "áéíñóúü", "áâãàçéêíóôõúü", "àèéìíîòóùú", "åäöé", "æøåéóêòô"),
    *("éëïöüèêó", "àçèéíïòóúü"),
)
"""What French, German, Spanish, Portuguese, Italian, Swedish, Danish, Dutch and Catalan have beside ASCII."""

_CENTRAL = ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţșț", "čćđšž", "čšž", "áãâçëóđ")
_LATIN = (
    ("cp1252", 1.0, _WEST),
    ("cp1250", 0.97, _CENTRAL),
    ("iso8859-2", 0.965, _CENTRAL),
    ("cp1254", 0.97, ("çğıöşüâîû",)),
    ("cp1257", 0.96, ("ąčęėįšųūž", "āčēģīķļņšūž", "õäöüšž")),
    ("cp1258", 0.96, ("ăâđêôơưàáèéìíòóùúý\u0300\u0301\u0303\u0309\u0323",)),
    ("cp1252", 0.95, ("áðéíóúýþæö",)),
    ("iso8859-15", 0.95, _WEST),
    ("mac-roman", 0.93, _WEST),
    ("cp1252", 0.9, ("áàâãäåæçéèêëíìîïñóòôõöøœúùûüß",)),  # names of several languages
)
"""Codecs with their weights, and the letters of their languages, the likeliest first."""

_RUSSIAN = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"
_GREEK = "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ"
_OTHERS = (
    (
        "cp1251",
        1.0,
        (_RUSSIAN, "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя", "абвгдђежзијклљмнњопрстћуфхцчџшѓќѕ", _RUSSIAN + "ўі"),
    ),
    ("koi8-r", 0.99, (_RUSSIAN,)),
    ("koi8-u", 0.98, ("абвгґдеєжзиіїйклмнопрстуфхцчшщьюя",)),
    ("iso8859-5", 0.97, (_RUSSIAN, "абвгдђежзијклљмнњопрстћуфхцчџшѓќѕ")),
    ("cp866", 0.97, (_RUSSIAN,)),
    ("mac-cyrillic", 0.95, (_RUSSIAN,)),
    ("cp1253", 0.97, (_GREEK,)),
    ("iso8859-7", 0.965, (_GREEK,)),
)
_SYMBOLS = frozenset("“”‘’„‚–—…«»°©®™£€§·•¿¡ºª¹²³½¼¾×′″¢¥±µ†№\xa0\xad")
_OTHER = re.compile(r"[^\x00-\x7f]")
_MISPLACED = re.compile(r"(?<=[a-z])[¿¡¹]|(?<=[a-lo-z])[²³]", re.IGNORECASE)
"""Symbols where a letter is expected."""
_FOREIGN_WORD = re.compile(r"[^\W\d_\x00-\x7f]{4,}")


def latin(sample: bytes) -> str | None:
    """Return the codec of a text in a Latin script; None when no language has most of its letters."""
    return _best(sample, _LATIN, 0.85, _FOREIGN_WORD)


def cyrillic_or_greek(sample: bytes) -> str | None:
    """Return the codec of a text in Cyrillic or Greek letters; None when no language has most of its letters."""
    return _best(sample, _OTHERS, 0.7, None)


def _best(
    sample: bytes, table: Iterable[tuple[str, float, tuple[str, ...]]], least: float, wrong: re.Pattern[str] | None
) -> str | None:
    """wrong: matches what no text of these languages has."""
    scores: list[tuple[float, str]] = []
    for codec, weight, languages in table:
        text = sample.decode(codec, "replace")
        letters = _letters(text)
        letters[""] += 0 if wrong is None else sum(map(len, wrong.findall(text)))
        total = max(1, sum(letters.values()))
        plain = sum(count for each, count in letters.items() if each in _SYMBOLS)
        most = max(sum(letters[each] for each in language) for language in languages)
        scores.append((weight * (most + plain) / total, codec))
    score, codec = max(scores, key=lambda each: each[0])
    return codec if score >= least else None


def _letters(text: str) -> Counter[str]:
    """Count the characters that are not ASCII, in lower case; "" counts those that can't stand where they are: capitals
    behind small letters, symbols in words, accents behind no letter."""
    found: Counter[str] = Counter()
    for match in _OTHER.finditer(text):
        each, before = match[0], text[match.start() - 1 : match.start()]
        is_misplaced = (each.isupper() and before.islower()) or (combining(each) and not before.isalpha())
        found["" if is_misplaced else each.lower()] += 1
    found[""] += len(_MISPLACED.findall(text))
    return found


# East Asia

_CLEAR = 0.7
"""Least score of a text that is in a charset of East Asia."""

_JAPANESE = ("euc_jp", "cp932")
"""They weigh more: a text with kana is in no other charset, though others have characters of these bytes."""

_TWO = rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]"
_EAST = {
    codec: re.compile(
        rb"[\x00-\x7f]+|(?P<common>" + common + rb")|(?P<beside>" + beside + rb")|(?P<plain>" + plain + rb")|(?P<odd>"
        rb"" + odd + rb")|(?P<wrong>.)",
        re.DOTALL,
    )
    for codec, common, beside, plain, odd in (
        ("cp949", rb"[\xb0-\xc8][\xa1-\xfe]", rb"(?!)", rb"[\xa1-\xa3][\xa1-\xfe]", _TWO),
        ("gb18030", rb"[\xb0-\xd7][\xa1-\xfe]", rb"(?!)", rb"[\xa1-\xa3\xd8-\xf7][\xa1-\xfe]", _TWO),
        (
            "big5hkscs",
            rb"[\xa4-\xc6][\x40-\x7e\xa1-\xfe]",
            rb"(?!)",
            rb"[\xa1-\xa3\xc9-\xf9][\x40-\x7e\xa1-\xfe]",
            _TWO,
        ),
        (
            *("euc_jp", rb"[\xa4\xa5][\xa1-\xf6]", rb"[\xb0-\xcf][\xa1-\xfe]", rb"[\xa1-\xa3\xd0-\xf4][\xa1-\xfe]"),
            rb"\x8e[\xa1-\xdf]|\x8f[\xa1-\xfe]{2}|[\xa6-\xfe][\xa1-\xfe]",
        ),
        (
            *("cp932", rb"\x82[\x9f-\xf1]|\x83[\x40-\x7e\x80-\x96]", rb"[\x88-\x97][\x40-\x7e\x80-\xfc]"),
            *(rb"\x81[\x40-\x7e\x80-\xfc]", rb"[\xa1-\xdf]|[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xfc]"),
        ),
    )
}
"""The characters of a charset: its common ones, those that are common beside these (Chinese characters beside kana),
signs and others, those that a text in it hardly has, and bytes that are none."""


def east_asian(sample: bytes) -> str | None:
    """Return the codec of a text in Chinese, Japanese or Korean; None when it looks like none of them."""
    scores = [(_commonness(sample, codec) * (1.2 if codec in _JAPANESE else 1.0), codec) for codec in _EAST]
    score, codec = max(scores, key=lambda each: each[0])
    return codec if score >= _CLEAR else None


def contradicts(sample: bytes, codec: str) -> bool:
    """Whether a text that is declared to be in a charset of East Asia is clearly in another one of these."""
    if codec not in _EAST or len(sample) < 16:
        return False
    found = east_asian(sample)
    if found is None or found == codec:
        return False
    return _commonness(sample, codec, alone=True) < 0.4 or (found == "cp949" and _commonness(sample, found) > 0.95)


def _commonness(sample: bytes, codec: str, alone: bool = False) -> float:
    """Return the share of the common characters, less that of the odd ones.

    alone: whether characters that are common beside others count without these too.
    """
    kinds = Counter(each.lastgroup for each in _EAST[codec].finditer(sample))
    beside = kinds["beside"] if alone else min(kinds["beside"], 6 * kinds["common"])
    common = kinds["common"] + beside
    whole = common + kinds["plain"] / 2 + kinds["odd"] + kinds["wrong"] + kinds["beside"] - beside
    return (common - kinds["odd"] - 2 * kinds["wrong"]) / max(1, whole)
