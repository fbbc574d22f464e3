"""What the arguments of a call share with the texts from outside, and not with what a user has written."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any

from agentkit.taint.folding import folded, forms
from agentkit.taint.index import Index, collapsed
from agentkit.taint.leaks import is_from_outside, leaves_beside, put_together
from agentkit.taint.names import Name, names_in
from agentkit.taint.pieces import FEW_WORDS, Piece
from agentkit.taint.shingles import row_hashes, rows_of, words_of

MAX_JOINED = 100_000
"""Characters of the arguments that are looked at without their borders."""
MIN_COMMAND_WORDS = 3
MAX_COMMANDS = 64
"""Commands of a call that are looked for one by one; of a longer script, eight words in a row are found."""
MAX_GROUPS = 16
"""Lists of a call whose items are looked at as one text."""
MAX_PIECES = 2_000
"""Texts of a call of which it is looked whether a user has written them as they are."""

_BETWEEN_COMMANDS = re.compile(r"[\n;|&]+")

WORDS, COMMAND, URL_MADE = "words", "command", "url made"
_KINDS = {
    WORDS: "eight or more words in a row",
    COMMAND: "a command",
    URL_MADE: "a URL that may carry data to a host which only such results name, or no one",
    "url": "a URL",
    "host": "the name of a host",
    "mail": "a mail address",
    "path": "a path",
}


@dataclass(frozen=True)
class Finding:
    """What an argument shares with texts from outside. argument: "" for several together. kind: of `_KINDS`. key: by
    which the text is found that it comes from: the hash of a row, an address, or a text."""

    argument: str
    kind: str
    key: Any = None

    @property
    def what(self) -> str:
        """What it is, in words of agentkit's own."""
        return _KINDS[self.kind]

    def is_in(self, text: str) -> bool:
        """Whether it comes from this text."""
        if self.kind == WORDS:
            return any(self.key in rows for form in forms(text) for rows in rows_of(folded(form)))
        alone = Index()
        alone.add(text)
        if self.kind == COMMAND:
            return alone.contains(self.key)
        return self.key is not None and alone.has(*self.key)


@dataclass(frozen=True)
class Matcher:
    """Compares the arguments of calls with texts. outside: those from outside. given: those of users. last: what a user
    has said last."""

    outside: Index
    given: Index
    last: str = ""

    def found(self, pieces: Sequence[Piece], *, reads_only: bool) -> Finding | None:
        """What the first of these pieces shares with the texts from outside only. reads_only: the tool changes nothing,
        so that only URLs count that carry data."""
        own = [piece for at, piece in enumerate(pieces) if at >= MAX_PIECES or not self.given.has_whole(piece.text)]
        if reads_only:
            leak = next((found for piece in own if (found := self._leak(piece, reads_only=True))), None)
            return leak or (self._leak_beside(pieces) if own else None)
        for piece in own:
            found = self._name(piece) or self._leak(piece, reads_only=False) or self._words(piece.text)
            if found is not None:
                return Finding(piece.argument, found.kind, found.key)
        return self._command(own) or self._joined(pieces, own)

    def _words(self, text: str) -> Finding | None:
        found = self._row(row for form in forms(text) for rows in rows_of(folded(form)) for row in rows)
        return None if found is None or self.given.contains(text) else found

    def _row(self, rows: Iterable[int]) -> Finding | None:
        shared = next((row for row in rows if self.outside.has_row(row) and not self.given.has_row(row)), None)
        return None if shared is None else Finding("", WORDS, shared)

    def _name(self, piece: Piece) -> Finding | None:
        is_expected = piece.is_path or piece.is_command
        for name in (name for form in forms(piece.text) for name in names_in(folded(form))):
            if (name.is_certain or is_expected) and (key := self._key_of(name, is_alone=piece.is_short)):
                return Finding("", name.kind, key)
        return None

    def _key_of(self, name: Name, *, is_alone: bool) -> tuple[str, str] | None:
        """Under what an address is known from outside, and from no user; None where it is not. is_alone: it is not in a
        longer text, so that its host counts as well."""
        key = (name.kind, name.value)
        if self.given.has(*key):
            return None
        if self.outside.has(*key):
            return key
        is_mail = name.kind == "mail" and is_alone
        if is_mail and is_from_outside(name.host, self.outside, self.given):
            return "host", name.host
        return None

    def _command(self, pieces: Iterable[Piece]) -> Finding | None:
        for piece, command in islice(_commands_in(pieces), MAX_COMMANDS):
            if self.outside.contains(command) and not self.given.has_whole(command):
                return Finding(piece.argument, COMMAND, command)
        return None

    def _leak(self, piece: Piece, *, reads_only: bool) -> Finding | None:
        if not (reads_only or piece.is_short or piece.is_command):
            return None
        texts = (piece.text, self.outside, self.given, self.last)
        is_leak = put_together(*texts, reads_only=reads_only, hosts=piece.is_path)
        return Finding(piece.argument, URL_MADE) if is_leak else None

    def _leak_beside(self, pieces: Sequence[Piece]) -> Finding | None:
        texts = [piece.text for piece in pieces[:MAX_PIECES]]
        has_leak = len(texts) > 1 and leaves_beside(texts, self.outside, self.given, self.last)
        return Finding("", URL_MADE) if has_leak else None

    def _joined(self, pieces: Sequence[Piece], own: Sequence[Piece]) -> Finding | None:
        """What is only seen where the borders between texts are not: in a list of words, or of pieces of an address."""
        if not own or len(pieces) < 2 or sum(len(piece.text) for piece in pieces) > MAX_JOINED:
            return None
        kept = {id(piece) for piece in own if not self.given.contains(piece.text)}
        values = [piece for piece in pieces if not piece.is_key]  # the keys of objects stand between their values
        for several in (pieces, values) if len(values) < len(pieces) else (pieces,):
            found = self._row({row for words in self._rows(several, kept) for row in row_hashes(words)})
            if found is not None:
                return found
        return self._in_lists(pieces)

    def _rows(self, pieces: Sequence[Piece], kept: Collection[int]) -> list[list[str]]:
        """The words of pieces in their order; what the user has written ends a row. kept: the `id` of those that are
        the model's."""
        rows: list[list[str]] = [[]]
        for piece in pieces:
            words = words_of(folded(piece.text))
            if id(piece) not in kept and len(words) >= FEW_WORDS:
                rows.append([])
            else:
                rows[-1] += words
        return rows

    def _in_lists(self, pieces: Sequence[Piece]) -> Finding | None:
        values = [piece for piece in pieces if not piece.is_key]
        by_argument, by_list = _groups(pieces, attrgetter("argument")), _groups(values, attrgetter("group"))
        together = {tuple(map(id, each)): each for each in (pieces, values, *by_argument, *by_list)}
        for several in together.values():
            is_path, is_command = (all(map(attrgetter(name), several)) for name in ("is_path", "is_command"))
            texts = [piece.text for piece in several]
            for text in ("".join(texts), " ".join(texts)):
                piece = Piece("", text, is_path, is_command)
                found = self._name(piece) or self._command([piece])
                if found is not None:
                    return found
        return None


def _groups(pieces: Sequence[Piece], key: Callable[[Piece], Any]) -> list[list[Piece]]:
    """The first groups of pieces that have the same key, of two or more."""
    found: dict[Any, list[Piece]] = {}
    for piece in pieces:
        found.setdefault(key(piece), []).append(piece)
    return [each for each in found.values() if len(each) > 1][:MAX_GROUPS]


def _commands_in(pieces: Iterable[Piece]) -> Iterator[tuple[Piece, str]]:
    """The commands of three words or more in the pieces that are commands, each once."""
    for piece in (each for each in pieces if each.is_command):
        written = (command for form in forms(piece.text) for command in (form, *_BETWEEN_COMMANDS.split(form)))
        for command in dict.fromkeys(map(collapsed, written)):
            if len(command.split(None, MIN_COMMAND_WORDS)) >= MIN_COMMAND_WORDS:
                yield piece, command
