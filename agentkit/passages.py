"""Which passages of a text match a question best: BM25 by SQLite's FTS5, with Porter stemming.

rank(["Paris is in France.", "Oslo is in Norway."], "What is the capital of Norway?")  ->  [1]
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing

_STOP_WORDS = """
a about after all also am an and any are as at be because been before being between both but by can could did do does
doing for from had has have having he her here him his how i if in into is it its just me more most my no nor not of
off on once only or other our out over own please same she should so some such tell than that the their them then there
these they this those through to too under until up us very was we were what when where which while who whom whose why
will with would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that say nothing of what a question is about."""

_ABBREVIATIONS = (
    r"(?<!\bDr\.)(?<!\bMr\.)(?<!\bMrs\.)(?<!\bSt\.)(?<!\bNo\.)(?<!\bvs\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bc\.)"
)
_SENTENCE_END = re.compile(_ABBREVIATIONS + r"""(?<=[.!?…])["'”’)\]]*\s+(?=["'“‘(\[]?[A-Z0-9À-Þ])""")


def content_words(text: str) -> list[str]:
    """The words of a question that say what it is about, lower case, each once; all of them when none does."""
    words = list(dict.fromkeys(re.findall(r"[^\W_]+", text.lower())))
    return [word for word in words if word not in STOP_WORDS] or words


def match_expression(words: Sequence[str]) -> str:
    """An FTS5 query for any of the words; quoted, so that nothing in them is an operator."""
    return " OR ".join(f'"{word}"' for word in words)


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph, their line breaks gone."""
    return [sentence for sentence in _SENTENCE_END.split(" ".join(paragraph.split())) if sentence]


def rank(passages: Sequence[str], question: str, *, titles: Sequence[str] = ()) -> list[int]:
    """The places of the passages that match the question, best first.

    titles: one a passage, which counts for a quarter. A passage that has few of the question's words beside one
    that has many is no match, nor is any when the best has less than a third of them.
    """
    words = content_words(question)
    if not words or not passages:
        return []
    with closing(_index(passages, titles or [""] * len(passages))) as database:
        covered = Counter(row for word in words for row in _rows(database, word))
        if not covered or max(covered.values()) * 3 < len(words):
            return []
        least = max(covered.values()) / 2
        found = database.execute(
            "SELECT rowid FROM passage WHERE passage MATCH ? ORDER BY bm25(passage, 1.0, 0.25), rowid",
            (match_expression(words),),
        )
        return [row for (row,) in found if covered[row] >= least]


def _index(passages: Sequence[str], titles: Sequence[str]) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE passage USING fts5(text, title, tokenize='porter unicode61')")
    rows = ((place, text, title) for place, (text, title) in enumerate(zip(passages, titles, strict=True)))
    database.executemany("INSERT INTO passage (rowid, text, title) VALUES (?, ?, ?)", rows)
    return database


def _rows(database: sqlite3.Connection, word: str) -> list[int]:
    found = database.execute("SELECT rowid FROM passage WHERE passage MATCH ?", (f'"{word}"',))
    return [row for (row,) in found]
