"""Full-text tables of passages in an SQLite database, and the ranking of their passages for a question.

A question is asked in two or three ways: its words as they are (Porter's stems), the beginnings of its words, and,
unless the question and the passages are English, the trigrams of its words. The BM25 scores of each way are divided by
the best one, weighted, and added up. No single way is good in all languages: words miss the endings of Russian,
beginnings the articles of Arabic; trigrams are weaker than words in English, and say nothing new in Chinese
(benchmarks/retrieval.py).
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from agentkit.retrieval.words import Query, has_other_letters, indexed, spelled, with_whole_words

WORDS, WORDS_BESIDE_TRIGRAMS, BEGINNINGS, TRIGRAMS = 1.0, 0.5, 1.0, 1.5
"""The weights of the ways to ask."""

TITLE = 1.0
"""The weight of a match in the title; one in the text has 1."""

CANDIDATES = 400
"""Passages that each way contributes."""

MAX_MATCHES = 50_000
"""Matches that are scored for a question in each way, so that a common word does not cost seconds in large tables."""

_WORDS_BY = "porter unicode61 remove_diacritics 2 categories 'L* N* Co M*'"


class PassageTables:
    """The full-text tables of one kind of text; without the text itself, which has to be given to `remove` again.

    name: of the tables, unique in the database. The caller begins and ends transactions.
    """

    def __init__(self, database: sqlite3.Connection, name: str = "passage") -> None:
        self._database = database
        self._words, self._trigrams = f"{name}_words", f"{name}_trigrams"

    def create(self) -> None:
        """Create the tables."""
        self._database.execute(
            f"CREATE VIRTUAL TABLE {self._words} USING "
            f"fts5(text, title, content='', prefix='5', tokenize=\"{_WORDS_BY}\")"
        )
        self._database.execute(
            f"CREATE VIRTUAL TABLE {self._trigrams} USING fts5(text, content='', tokenize='trigram')"
        )

    def add(self, number: int, text: str, title: str = "") -> None:
        """Add a passage under a number that no other one has."""
        self._database.execute(
            f"INSERT INTO {self._words} (rowid, text, title) VALUES (?, ?, ?)", (number, *_words_of(text, title))
        )
        if has_other_letters(text):
            self._database.execute(f"INSERT INTO {self._trigrams} (rowid, text) VALUES (?, ?)", (number, spelled(text)))

    def remove(self, number: int, text: str, title: str = "") -> None:
        """Remove a passage, given as it was added."""
        self._database.execute(
            f"INSERT INTO {self._words} ({self._words}, rowid, text, title) VALUES ('delete', ?, ?, ?)",
            (number, *_words_of(text, title)),
        )
        if has_other_letters(text):
            self._database.execute(
                f"INSERT INTO {self._trigrams} ({self._trigrams}, rowid, text) VALUES ('delete', ?, ?)",
                (number, spelled(text)),
            )

    def best(self, query: Query) -> dict[int, float]:
        """The passages that match a query, with their scores, best first; up to CANDIDATES of each way to ask."""
        return fused(self.ways(query))

    def ways(self, query: Query) -> list["Way"]:
        """The passages that match a query in each of the ways to ask, for `fused`."""
        uses_trigrams = self._trigrams_are_of_use(query)
        words = self._scored(self._words, query.words, f"1.0, {TITLE}")
        beginnings = self._scored(self._words, query.beginnings, f"1.0, {TITLE}")
        if not uses_trigrams:
            return [(WORDS, words), (BEGINNINGS, beginnings)]
        trigrams = self._scored(self._trigrams, query.trigrams, "1.0")
        return [(WORDS_BESIDE_TRIGRAMS, words), (BEGINNINGS, beginnings), (TRIGRAMS, trigrams)]

    def _trigrams_are_of_use(self, query: Query) -> bool:
        return not query.is_ascii or 2 * self._count(self._trigrams) > self._count(self._words)

    def _count(self, table: str) -> int:
        found: tuple[int] = self._database.execute(f"SELECT count(*) FROM {table}_docsize").fetchone()
        return found[0]

    def _scored(self, table: str, terms: Sequence[str], weights: str) -> list[tuple[int, float]]:
        terms = self._rarest(table, terms)
        if not terms:
            return []
        return self._database.execute(
            f"SELECT rowid, -bm25({table}, {weights}) AS score FROM {table} WHERE {table} MATCH ? "
            "ORDER BY score DESC LIMIT ?",
            (" OR ".join(terms), CANDIDATES),
        ).fetchall()

    def _rarest(self, table: str, terms: Sequence[str]) -> Sequence[str]:
        """The terms, in a large table only the rarest: those that say most."""
        if self._count(table) * len(terms) <= MAX_MATCHES:
            return terms
        counts = {term: self._matches(table, term) for term in terms}
        kept: list[str] = []
        sum_of_counts = 0
        for term in sorted((term for term in terms if counts[term]), key=counts.__getitem__):
            sum_of_counts += counts[term]
            if kept and sum_of_counts > MAX_MATCHES:
                break
            kept.append(term)
        return kept

    def _matches(self, table: str, term: str) -> int:
        found: tuple[int] = self._database.execute(
            f"SELECT count(*) FROM {table} WHERE {table} MATCH ?", (term,)
        ).fetchone()
        return found[0]


def _words_of(*texts: str) -> Iterator[str]:
    return (indexed(with_whole_words(text)) for text in texts)


Way = tuple[float, Sequence[tuple[int, float]]]
"""A ranking: its weight, and numbers with their scores, best first."""


def fused(ways: Iterable[Way]) -> dict[int, float]:
    """Add up rankings, each relative to its best score. Returns the sums by number, best first."""
    sums: dict[int, float] = defaultdict(float)
    for weight, scored in ways:
        best = scored[0][1] if scored else 1.0
        for number, score in scored:
            sums[number] += weight * score / best
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))
