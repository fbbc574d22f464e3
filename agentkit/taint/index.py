"""What stands in many texts, so that what they share with others is found quickly: each text is read once."""

from collections.abc import Callable, Iterator, Sequence

from agentkit.taint.borders import stands_whole
from agentkit.taint.folding import DOT_WORDS, folded, forms
from agentkit.taint.names import above, domain_of, host_of, names_in
from agentkit.taint.shingles import Hashes, rows_of, words_of

MIN_HOST = 10
"""Letters of a host that is looked for without regard to where words end."""

_NO_QUOTES = {ord(mark): None for mark in "'\"`"}


class Index:
    """The rows of words and the addresses of texts, as hashes; and the texts themselves, folded when first needed.
    under: what is in it is in this one too."""

    def __init__(self, under: "Index | None" = None) -> None:
        self._under = under
        self._rows = Hashes()
        self._names = Hashes()
        self._texts: list[str] = []
        self._asked: list[Index | None] = []
        self._collapsed: list[str] = []
        self._spaced: list[str] = []

    def add(self, text: str, asked: "Index | None" = None) -> None:
        """Take in a text. asked: what was written to get it, such as the arguments of a call of which it is the result:
        addresses, rows of words and commands that stand there already do not come from this text. What comes from
        another one still does."""
        self._texts.append(text)
        self._asked.append(asked)
        for form in map(folded, forms(text)):
            for rows in rows_of(form):
                self._rows.update(rows if asked is None else (row for row in rows if not asked.has_row(row)))
            self._names.update(_names_of(form, asked))

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
        return self._is_in_one(self.collapsed(), lambda each: wanted in each, lambda asked: asked.has_whole(text))

    def has_whole(self, text: str) -> bool:
        """The same, where it is no part of a longer word, address or path: who names /srv/app/tmp has not named
        /srv/app."""
        wanted = collapsed(text)
        return self._is_in_one(self.collapsed(), lambda each: stands_whole(wanted, each), lambda _: False)

    def spells(self, host: str) -> bool:
        """Whether a host stands in one of the texts in pieces: its labels in a row, or all of its letters."""
        labels = words_of(host)
        spaced, squeezed = f" {' '.join(labels)} ", "".join(labels)

        def is_in(text: str) -> bool:
            is_long = len(squeezed) >= MIN_HOST
            return (len(labels) > 1 and spaced in text) or (is_long and squeezed in text.replace(" ", ""))

        return self._is_in_one(self.spaced(), is_in, lambda asked: asked.has("host", host))

    def _is_in_one(
        self, texts: Sequence[str], is_in: Callable[[str], bool], is_asked: "Callable[[Index], bool]"
    ) -> bool:
        """Whether something stands in one of the texts, in a form of them, that was not written to get this text."""
        both = zip(texts, self._all_asked(), strict=True)
        return any(is_in(text) and (asked is None or not is_asked(asked)) for text, asked in both)

    def _all_asked(self) -> "list[Index | None]":
        return self._asked if self._under is None else [*self._under._all_asked(), *self._asked]


def collapsed(text: str) -> str:
    """A text, folded, with single spaces and without quotation marks, which a shell takes away."""
    return " ".join(folded(text).translate(_NO_QUOTES).split())


def _names_of(text: str, asked: Index | None) -> Iterator[int]:
    of_asked = ""  # the host of an address that was asked for: it follows that, and counts where it stands elsewhere
    for name in names_in(text):
        key = (name.kind, name.value)
        if name.kind == "url":
            yield from (hash(("part", each)) for each in (name.value, *above(name.value)))
        if name.kind == "host":
            if name.value != of_asked:
                yield hash(key)
                yield hash(("domain", domain_of(name.value)))
            continue
        is_asked = asked is not None and asked.has(*key)
        of_asked = host_of(name.host) if is_asked else ""
        if not is_asked:
            yield hash(key)
