"""What an answer quotes word for word, and whether a text has it."""

import re
from collections.abc import Iterator

from agentkit._text import beyond_ascii
from agentkit.evidence.folding import words_in
from agentkit.evidence.marks import MARK
from agentkit.retrieval.words import is_unspaced

LEAST_WORDS, LEAST_UNSPACED = 3, 5
"""How many words, or characters in scripts without spaces, a quotation has at least; less is a term or a title."""

_QUOTED = re.compile(
    r"“([^“”\n]{1,2000})”|„([^„“”\n]{1,2000})[“”]|«([^«»\n]{1,2000})»|»([^«»\n]{1,2000})«|「([^「」\n]{1,2000})」"
    r"|『([^『』\n]{1,2000})』|(?<![\w\"])\"([^\"\n]{1,2000})\"(?![\w\"])|＂([^＂\n]{1,2000})＂"
)
_OMITTED = re.compile(r"\.{3,9}|…{1,9}|[\[(（][^\[\]()（）]{0,60}[\])）]")
"""What a quotation leaves out, or adds in brackets."""
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u30ff\u3400-\u9fff"
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_GAP = re.compile(f"(?<=[{_UNSPACED}]) | (?=[{_UNSPACED}])")
"""A space beside a character of a script without spaces: some set one before Latin letters, others none."""
_PAGE_NUMBER = re.compile(r"\n[ \t]{0,40}[-–]?[ \t]?\d{1,4}[ \t]?[-–]?[ \t]{0,40}\r?(?=[\n\f])")
"""A number in a line of its own: a page ends there, and its last sentence goes on behind it."""
_HYPHEN = re.compile(r"(?<=[^\W\d_])[-\u2010\u00ad](?:\r?[\n\f][ \t]{0,20}){1,4}(?=[^\W\d_])")
"""Where a word goes on in the next line, as in texts that were typeset."""
_BRACKETS = re.compile(r"\[\s?(?:\d{1,3}(?:\s?[,–-]\s?\d{1,3}){0,20}|[a-z]|citation needed|来源请求)\s?\]")


def quotations(sentence: str) -> list[str]:
    """What a sentence quotes, without the quotation marks."""
    found = (next(filter(None, groups)).strip() for groups in _QUOTED.findall(sentence))
    return [each for each in found if _is_long(each)]


def quoted_places(text: str) -> list[tuple[int, int]]:
    """Where a text has quotations, in their order."""
    return [found.span() for found in _QUOTED.finditer(text)]


def _is_long(quoted: str) -> bool:
    return len(quoted.split()) >= LEAST_WORDS or sum(map(is_unspaced, quoted)) >= LEAST_UNSPACED


class QuotedText:
    """A text in which quotations are looked for. Letters, digits and their order count; case, accents, white space,
    punctuation and the marks of the text's own footnotes do not."""

    def __init__(self, text: str) -> None:
        self._text = _words_only(_BRACKETS.sub("", text))
        joined = _HYPHEN.sub("", _PAGE_NUMBER.sub("", text))
        self._joined = QuotedText(joined) if joined != text else None
        self._has_gaps = not _IS_UNSPACED.search(beyond_ascii(self._text).decode("utf-8", "surrogatepass"))

    def has(self, quoted: str) -> bool:
        """Whether the text has a quotation: each of its pieces, in their order."""
        place = 0
        for piece in _pieces(quoted):
            place = self._text.find(piece if self._has_gaps else piece.strip(), place)
            if place < 0:
                return self._joined is not None and self._joined.has(quoted)
        return True


def _pieces(quoted: str) -> Iterator[str]:
    for piece in _OMITTED.split(MARK.sub("", quoted)):
        words = _words_only(piece)
        if words.strip():
            yield words


def _words_only(text: str) -> str:
    """The words of a text, each with one space before it; characters of scripts without spaces have none between."""
    words = words_in(text)
    return words if words.isascii() else _GAP.sub("", words)
