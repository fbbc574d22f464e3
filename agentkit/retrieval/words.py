"""The words of a text in any script, as they are indexed and as a question is matched with them.

- Words keep the combining marks that are letters (Hindi's vowel signs), and lose those that writers leave out: accents
  of Latin, Greek and Cyrillic letters, vowel marks of Arabic and Hebrew.
- Scripts that set no spaces between words (Chinese, Japanese, Thai), and Korean, whose particles are written together
  with their words, are indexed by pairs of adjacent characters, which finds as much as a dictionary of words does (Nie,
  Gao, Zhang and Zhou 2000, "On the use of words and n-grams for Chinese information retrieval").
- Other forms of a word are found by its beginning, and by the trigrams that they have in common.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from agentkit.retrieval.chinese import simplified
from agentkit.retrieval.stop_words import NO_SUBJECT, STOP_WORDS

PREFIX = 5
"""Length of the beginning of a word, in characters, that stands for its other forms."""

_PAIRED = (
    r"\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff"
    r"\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Chinese characters, Kana, Hangul."""
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Thai, Lao, Burmese, Khmer: alphabets without spaces between words."""
_MARKED = r"\u0900-\u0963\u0966-\u0df3\u0f00-\u0fff\u1a00-\u1cff\ua8e0-\uabff"
"""Indic and other alphabets, whose vowel signs are combining marks, which `\\w` does not include."""

_CHINESE = re.compile("[\u4e00-\u9fff]")
_RUN = re.compile(f"[{_PAIRED}{_UNSPACED}]+")
_WORD = re.compile(rf"[{_PAIRED}{_UNSPACED}]+|(?:(?![{_PAIRED}{_UNSPACED}])(?:[^\W_]|[{_MARKED}]))+")
_ASCII_WORD = re.compile("[a-z0-9]+")
_NO_WORD = re.compile(rf"(?:(?![{_MARKED}{_UNSPACED}])[\W_{_PAIRED}])+")
_NEITHER = re.compile(rf"(?:(?![{_MARKED}{_UNSPACED}])[\W_])+")
_OTHER_LETTERS = re.compile(r"(?:[^\W_\x00-\x7f])+")
_VOWEL_MARKS = re.compile("[\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0640]+")
_ACCENTS = re.compile("[\u0300-\u036f]+")
_POSSESSIVE = re.compile(r"['’]s\b")
_ARABIC_ARTICLE = re.compile(r"(?<!\w)(?:[وف]?[بك]?ال|[وف]?لل|و)(?=\w{3})")
"""The Arabic article and the words that are written together with it (light stemming, Larkey and others 2002)."""
_SAME_LETTERS = str.maketrans(
    {
        **dict(zip("أإآٱىیё", "ااااييе", strict=True)),
        **dict(zip("ıłøđħŧðɨ", "ilodhtdi", strict=True)),
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
    }
)
"""Letters that people write in several ways, and those with a stroke or of two letters, which lose no accent."""
_UNSEEN = re.compile("[\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff]+")
"""Soft hyphens, joiners and other signs within words that nobody sees or types."""
_IN_PIECES = re.compile(
    r"(?<![\w+#])(?P<letter>[A-Za-z])(?P<signs>\+\+|#)(?![\w+#])"
    r"|(?<![\d.,])\d{1,3}(?:[,.'’\u00a0\u202f]\d{3})+(?!\d)"
    r"|(?P<begin>[^\W\d_]{2,40})[-\u2010\u00ad]\r?\n[ \t]*(?P<end>[^\W\d_]{2,40})"
)
_SIGN = re.compile(
    "[-\u2010\u00ad,.'’\u00a0\u202f+#]"
    r"(?:(?=\d{3})(?<=[,.'’\u00a0\u202f])|(?=\r?\n)(?<=[-\u2010\u00ad])|(?<=[+#])(?:(?<=\+)\+|(?<=#))(?![\w+#]))"
)
"""A sign that may stand in a word of `_IN_PIECES`, behind its first letters or digits: signs are rare, letters are not,
so that the longer pattern is tried only where one of these stands."""
_MOST_BEFORE = {"+": 1, "#": 1, "-": 40, "\u2010": 40, "\u00ad": 40}
"""How many letters may stand before a sign; before those in numbers three digits."""
_SIGNS = {"++": "plusplus", "#": "sharp"}


def folded(text: str) -> str:
    """The text in lower case, without accents and vowel marks, with one form of alef and yeh, simplified Chinese
    characters for traditional ones, and characters of normal width: the ways in which people write the same word."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFD", _visible(text))
    text = unicodedata.normalize("NFC", _ACCENTS.sub("", text)).translate(_SAME_LETTERS)  # Ǿ is Ø with an accent
    return text.translate(simplified()) if _CHINESE.search(text) else text


def _with_accents(text: str) -> str:
    return _visible(text).translate(_SAME_LETTERS)


def _visible(text: str) -> str:
    return _VOWEL_MARKS.sub("", unicodedata.normalize("NFKC", _UNSEEN.sub("", text)).casefold())


_FOLDED_STOP_WORDS = frozenset(map(folded, STOP_WORDS))


def indexed(text: str) -> str:
    """The text as its words are indexed: `folded`, with spaces between pairs where a script sets none."""
    text = folded(text)
    return text if text.isascii() else _RUN.sub(lambda run: f" {' '.join(_pairs(run.group()))} ", text)


def with_whole_words(text: str) -> str:
    """The text, with the words behind their pieces that are one word though signs stand in them: C++ and C#, numbers in
    groups (1,234,567), and words that are divided at the end of a line."""
    pieces: list[str] = []
    done = 0
    for found in _in_pieces(text):
        pieces += (text[done : found.end()], f" {_whole(found)} ")
        done = found.end()
    return "".join((*pieces, text[done:])) if pieces else text


def _in_pieces(text: str) -> Iterator[re.Match[str]]:
    """Yield the same matches as `_IN_PIECES.finditer`, in a tenth of the time."""
    done = 0
    for sign in _SIGN.finditer(text):
        start = _beginning(text, sign.start(), done)
        if start < sign.start() and (found := _IN_PIECES.match(text, start)):
            done = found.end()
            yield found


def _beginning(text: str, place: int, least: int) -> int:
    """Where the letters or digits begin that stand before the sign at this place."""
    letters_before = _MOST_BEFORE.get(text[place], 0)
    least = max(least, place - (letters_before or 3))
    while place > least and text[place - 1].isalnum() and text[place - 1].isdecimal() is not bool(letters_before):
        place -= 1
    return place


def _whole(found: re.Match[str]) -> str:
    if found["letter"]:
        return f"{found['letter']}{_SIGNS[found['signs']]}"
    return f"{found['begin']}{found['end']}" if found["begin"] else "".join(filter(str.isdigit, found.group()))


def word_text(text: str) -> str:
    """The text as `indexed`, with one space around each word, and nothing else; without Arabic articles."""
    return f" {without_articles(_NEITHER.sub(' ', indexed(text))).strip()} "


def letters(text: str) -> str:
    """The text `folded`, with spaces for what belongs to no word: punctuation and other signs."""
    return _NEITHER.sub(" ", folded(text))


def without_articles(text: str) -> str:
    """The text without the Arabic article and the words that are written together with it. text: `folded`."""
    return text if text.isascii() else _ARABIC_ARTICLE.sub("", text)


def _pairs(run: str) -> Iterator[str]:
    """The pairs of adjacent characters, and the last character: so each one begins an entry, by which it is found."""
    return (run[place : place + 2] for place in range(len(run)))


def spelled(text: str) -> str:
    """The text as its trigrams are indexed: words in lower case between single spaces, with their accents. Without
    Chinese and the like, of which pairs are indexed: a trigram would say no more."""
    return f" {_NO_WORD.sub(' ', _with_accents(text)).strip()} "


def has_other_letters(text: str) -> bool:
    """Whether more than one in 200 of the characters are letters beyond ASCII, so that the text is hardly English."""
    if text.isascii():
        return False
    return 200 * sum(map(len, _OTHER_LETTERS.findall(unicodedata.normalize("NFC", text)))) > len(text)


def content_words(text: str) -> list[str]:
    """The distinct words of a question that say what it is about, `folded`; pairs of characters in scripts without
    spaces, Arabic words without their article. Without stop words, unless there are no others."""
    words = _content(text if text.isascii() else NO_SUBJECT.sub(" ", text)) or _content(text)
    return list(dict.fromkeys(map(without_articles, words)))


def all_words(text: str) -> list[str]:
    """The words of a text, each as often as it stands there, in the form that `content_words` has; no stop words."""
    if text.isascii():
        return [word for word in _ASCII_WORD.findall(text.lower()) if word not in _FOLDED_STOP_WORDS]
    return [without_articles(word) for word in _words(folded(text)) if word not in _FOLDED_STOP_WORDS]


def _content(text: str) -> list[str]:
    words = list(dict.fromkeys(_words(folded(_POSSESSIVE.sub("", text)))))
    return [word for word in words if word not in _FOLDED_STOP_WORDS] or words


def has_word(word: str, text: str) -> bool:
    """Whether a text has a word, or one that begins alike. word: as from `content_words`. text: as from `word_text`."""
    return f" {word[:PREFIX]}" in text if _stands_for_others(word) else f" {word} " in text


def _stands_for_others(word: str) -> bool:
    """Whether the beginning of a word stands for it: of a long one, and of a single character in a script without
    spaces, which is indexed by the pair that it begins."""
    return len(word) > 3 or (len(word) == 1 and is_unspaced(word))


def _words(text: str) -> Iterator[str]:
    """Yield the words of a text that is `folded`, and the pairs of characters of a script without spaces."""
    if text.isascii():
        yield from _ASCII_WORD.findall(text)
        return
    for found in _WORD.finditer(text):
        word = found.group()
        if len(word) > 2 and _RUN.match(word):
            yield from (word[place : place + 2] for place in range(len(word) - 1))
        else:
            yield word


def is_unspaced(word: str) -> bool:
    """Whether a word is of a script without spaces, and so one of its pairs of characters."""
    return not word.isascii() and _RUN.match(word) is not None


@dataclass(frozen=True)
class Query:
    """A question as terms of FTS5; each is quoted, so that nothing in it is an operator.

    words: distinct, with those that begin alike counted once in `beginnings`. trigrams: of the words as written.
    is_ascii: whether it may be English.
    """

    words: tuple[str, ...]
    beginnings: tuple[str, ...]
    trigrams: tuple[str, ...]
    is_ascii: bool

    @classmethod
    def of(cls, question: str) -> "Query":
        """The query for a question in natural language."""
        question = question.encode("utf-8", "replace").decode("utf-8")
        whole = [folded(_whole(found)) for found in _in_pieces(question)]
        words = dict.fromkeys([*_content(question), *whole])  # in Chinese all pairs: what is rare says what it means
        written = [word for word in spelled(question).split() if word not in STOP_WORDS]
        return cls(
            tuple(f'"{word}"' for word in words),
            tuple(dict.fromkeys(f'"{word[:PREFIX]}"*' if _stands_for_others(word) else f'"{word}"' for word in words)),
            tuple(dict.fromkeys(f'"{each}"' for word in written for each in _trigrams(f" {word} "))),
            question.isascii(),
        )


def _trigrams(text: str) -> Iterator[str]:
    return (text[place : place + 3] for place in range(len(text) - 2))
