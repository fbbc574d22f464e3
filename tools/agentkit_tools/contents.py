"""The documents of a folder as its index has them: found by a question, or by their paths.

A document is found by its passages and as a whole (Callan 1994, "Passage-level evidence in document retrieval": the two
together are better than either), each with its title and its path.
"""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.retrieval import PassageTables, Query, Way, content_words, cover, fused
from agentkit_tools.page_marks import PAGE
from agentkit_tools.vectors import VectorTable

RANK = 60
"""What is added to a rank before it is inverted (Cormack 2009, "Reciprocal rank fusion")."""

AT_LEAST = 0.5
"""What a document needs of the best one's score, or of its words, to be a hit."""


@dataclass(frozen=True)
class Document:
    """A document that could be read."""

    path: str
    title: str
    text: str


@dataclass(frozen=True)
class Hit:
    """A document that was found, and its best passage."""

    path: str
    title: str
    passage: str


class Contents:
    """The documents of a library at one moment. expected: the paths of the files, when some may not be read yet."""

    def __init__(self, database: sqlite3.Connection, expected: Collection[str] = ()) -> None:
        self._database = database
        known = database.execute("SELECT path FROM file") if expected else ()
        self.waiting = frozenset(expected).difference(path for (path,) in known)
        """The paths of files for which there was no time yet."""
        self.vectors = VectorTable(database)

    def matching(self, question: str) -> list[int]:
        """The numbers of the passages whose words match a question, best first."""
        return list(fused(PassageTables(self._database, "passage").ways(Query.of(question))))

    def hits(self, question: str, limit: int, meant: Sequence[int] = ()) -> list[Hit]:
        """The documents that match a question, best first, at most `limit`.

        meant: the numbers of passages that match it by their meaning, best first. With them, documents are ranked by
        both, and need no word of the question.
        """
        query, words = Query.of(question), content_words(question)
        passages = PassageTables(self._database, "passage").ways(query)
        owners = _owners(self._database, {number for _, scored in passages for number, _ in scored}.union(meant))
        by_meaning = _by_rank(number for number in meant if number in owners)
        best: dict[int, int] = {}
        for number in fused([_by_rank(fused(passages)), by_meaning]) if meant else fused(passages):
            best.setdefault(owners[number], number)
        whole = PassageTables(self._database, "document").ways(query) if _has_long_documents(self._database) else ()
        ranked = fused([*(_by_file(way, owners) for way in passages), *whole])
        if meant:
            nearest = dict.fromkeys(owners[number] for number, _ in by_meaning[1])
            both = fused([_by_rank(ranked), _by_rank(nearest)])
            return [_hit(self._database, file, best.get(file)) for file in list(both)[:limit]]
        found: list[tuple[float, int, Hit]] = []
        for file, score in list(ranked.items())[: 2 * limit]:
            hit = _hit(self._database, file, best.get(file))
            found.append((score, cover(words, hit.title, hit.path, hit.passage), hit))
        least = AT_LEAST * found[0][0] if found else 0.0
        least_words = max(1, AT_LEAST * max((covered for _, covered, _ in found), default=0))
        return [hit for score, covered, hit in found if score >= least or covered >= least_words][:limit]

    def document(self, path: str) -> Document | None:
        """The document at a path as in a hit; None when there is none."""
        row = self._database.execute("SELECT id, title FROM file WHERE path = ? AND why IS NULL", (path,)).fetchone()
        if row is None:
            return None
        return Document(path, row[1], "".join(passages_of(self._database, row[0])).strip(" \t\n"))  # pages are counted

    def unread(self) -> dict[str, str]:
        """Why a file could not be read, by its path, in their order."""
        return dict(self._database.execute("SELECT path, why FROM file WHERE why IS NOT NULL ORDER BY path"))

    def count(self) -> int:
        """How many documents there are."""
        found: tuple[int] = self._database.execute("SELECT count(*) FROM file WHERE why IS NULL").fetchone()
        return found[0]

    def titled(self, title: str) -> list[str]:
        """The paths of the documents with this title."""
        return [
            path
            for (path,) in self._database.execute("SELECT path FROM file WHERE title = ? AND why IS NULL", (title,))
        ]

    def paths(self) -> list[str]:
        """The paths of all documents."""
        return [path for (path,) in self._database.execute("SELECT path FROM file WHERE why IS NULL ORDER BY path")]


def passages_of(database: sqlite3.Connection, file: int) -> list[str]:
    """The passages of a document by its number, in their order; joined they are its text."""
    rows = database.execute("SELECT text FROM passage WHERE file = ? ORDER BY id", (file,))
    return [text for (text,) in rows]


def _has_long_documents(database: sqlite3.Connection) -> bool:
    """Whether documents say more than their passages: most have several."""
    passages, documents = (
        database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("passage", "file")
    )
    return bool(2 * passages > 3 * documents)


def _owners(database: sqlite3.Connection, passages: set[int]) -> dict[int, int]:
    """The file of each passage."""
    numbers = ",".join(map(str, passages))
    return dict(database.execute(f"SELECT id, file FROM passage WHERE id IN ({numbers})"))


def _by_rank(ranked: Iterable[int]) -> Way:
    return 1.0, [(number, 1 / (RANK + rank)) for rank, number in enumerate(ranked, 1)]


def _by_file(way: Way, owners: Mapping[int, int]) -> Way:
    """A ranking of files by their best passages."""
    weight, scored = way
    best: dict[int, float] = {}
    for number, score in scored:
        best.setdefault(owners[number], score)
    return weight, list(best.items())


def _hit(database: sqlite3.Connection, file: int, passage: int | None) -> Hit:
    path, title = database.execute("SELECT path, title FROM file WHERE id = ?", (file,)).fetchone()
    which: tuple[str, Any] = ("file = ? ORDER BY id LIMIT 1", file) if passage is None else ("id = ?", passage)
    row = database.execute(f"SELECT text FROM passage WHERE {which[0]}", (which[1],)).fetchone()
    return Hit(path, title, row[0].replace(PAGE, "").strip() if row else "")
