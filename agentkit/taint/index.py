"""What stands in many texts, so that what they share with others is found quickly: each text is read once."""

from collections.abc import Iterator

from agentkit.taint.folding import DOT_WORDS, folded, forms
from agentkit.taint.names import above, domain_of, names_in
from agentkit.taint.shingles import Hashes, rows_of, words_of

_NO_QUOTES = {ord(mark): None for mark in "'\"`"}


class Index:
    """The rows of words and the addresses of texts, as hashes; and the texts themselves, folded when first needed.
    under: what is in it is in this one too."""

    def __init__(self, under: "Index | None" = None) -> None:
        self._under = under
        self._rows = Hashes()
        self._names = Hashes()
        self._texts: list[str] = []
        self._collapsed: list[str] = []
        self._spaced: list[str] = []

    def add(self, text: str) -> None:
        """Take in a text."""
        self._texts.append(text)
        for form in map(folded, forms(text)):
            for rows in rows_of(form):
                self._rows.update(rows)
            self._names.update(_names_of(form))

    def has_row(self, row: int) -> bool:
        """Whether a row of words, by its hash, stands in one of the texts."""
        return row in self._rows or (self._under is not None and self._under.has_row(row))

    def has(self, kind: str, value: str) -> bool:
        """Whether an address stands in one of the texts; a "part" is a URL or the beginning of one, a "domain" what one
        owner has of a host."""
        return hash((kind, value)) in self._names or (self._under is not None and self._under.has(kind, value))

    def collapsed(self) -> list[str]:
        """The texts, folded, with single spaces."""
        for text in self._texts[len(self._collapsed) :]:
            self._collapsed.append("\n".join(collapsed(form) for form in forms(text)))
        return self._collapsed if self._under is None else [*self._under.collapsed(), *self._collapsed]

    def spaced(self) -> list[str]:
        """The words of the texts between single spaces, without those that are read for a dot."""
        for text in self._texts[len(self._spaced) :]:
            words = (word for form in forms(text) for word in words_of(folded(form)) if word not in DOT_WORDS)
            self._spaced.append(f" {' '.join(words)} ")
        return self._spaced if self._under is None else [*self._under.spaced(), *self._spaced]

    def contains(self, text: str) -> bool:
        """Whether a text stands in one of these as it is, but for case and white space."""
        wanted = collapsed(text)
        return any(wanted in each for each in self.collapsed())


def collapsed(text: str) -> str:
    """A text, folded, with single spaces and without quotation marks, which a shell takes away."""
    return " ".join(folded(text).translate(_NO_QUOTES).split())


def _names_of(text: str) -> Iterator[int]:
    for name in names_in(text):
        yield hash((name.kind, name.value))
        if name.kind == "url":
            yield from (hash(("part", each)) for each in (name.value, *above(name.value)))
        if name.kind == "host":
            yield hash(("domain", domain_of(name.value)))
