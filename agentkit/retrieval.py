"""Ranks passages by how well they match a question: BM25 by SQLite's FTS5, with Porter stemming.

index = PassageIndex(["Paris is in France.", "Oslo is in Norway."])
index.best("What is the capital of Norway?")  ->  [1]
"""

import re
import sqlite3
import threading
import weakref
from collections import Counter
from collections.abc import Iterable, Sequence

from agentkit._closing import Closable

_STOP_WORDS = """
a about after all also am an and any are as at be because been before being between both but by can could did do does
doing for from had has have having he her here him his how i if in into is it its just many me more most much my no
nor not of off on once only or other our out over own please same she should so some such tell than that the their
them then there these they this those through to too under until up us very was we were what when where which while
who whom whose why will with would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that carry no information on the subject of a question."""

_ABBREVIATIONS = (
    r"(?<!\bDr\.)(?<!\bMr\.)(?<!\bMrs\.)(?<!\bSt\.)(?<!\bNo\.)(?<!\bvs\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bc\.)"
)
_SENTENCE_END = re.compile(_ABBREVIATIONS + r"""(?<=[.!?…])["'”’)\]]*\s+(?=["'“‘(\[]?[A-Z0-9À-Þ])""")


def content_words(text: str) -> list[str]:
    """The distinct words of a question in lower case, without stop words unless there are no others."""
    words = list(dict.fromkeys(re.findall(r"[^\W_]+", re.sub(r"['’]s\b", "", text.lower()))))
    return [word for word in words if word not in STOP_WORDS] or words


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph, without line breaks."""
    return [sentence for sentence in _SENTENCE_END.split(" ".join(paragraph.split())) if sentence]


class PassageIndex(Closable):
    """An index of passages, numbered in the order in which they are added; shared by threads, kept in memory.

    A match in a passage's title counts half as much as one in its text.
    """

    def __init__(self, passages: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._added = 0
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        weakref.finalize(self, self._database.close)  # no warning for one that is not closed
        self._database.execute("CREATE VIRTUAL TABLE passage USING fts5(text, title, tokenize='porter unicode61')")
        for passage in passages:
            self.add(passage)

    def close(self) -> None:
        """Release the memory."""
        self._database.close()

    def add(self, text: str, title: str = "") -> int:
        """Add a passage. Returns its number, counted from 0."""
        with self._lock:
            number = self._added
            self._added += 1
            row = (number, _without_surrogates(text), _without_surrogates(title))
            self._database.execute("INSERT INTO passage (rowid, text, title) VALUES (?, ?, ?)", row)
        return number

    def remove(self, number: int) -> None:
        """Remove a passage; the numbers of the others stay."""
        with self._lock:
            self._database.execute("DELETE FROM passage WHERE rowid = ?", (number,))

    def best(self, question: str, *, least_words: int = 1) -> list[int]:
        """The numbers of the passages that match a question, best first.

        A passage with less than half as many of the question's words as the best one does not match. None matches when
        the best has fewer than `least_words` of the words.
        """
        words = content_words(_without_surrogates(question))
        if not words:
            return []
        with self._lock:
            covered = Counter(number for word in words for number in self._numbers([word], "rowid"))
            if not covered or max(covered.values()) < least_words:
                return []
            threshold = max(covered.values()) / 2
            ranked = self._numbers(words, "bm25(passage, 1.0, 0.5), rowid")
        return [number for number in ranked if covered[number] >= threshold]

    def _numbers(self, words: Sequence[str], order: str) -> list[int]:
        """The passages with any of the words; each word is quoted, so that nothing in it is an FTS5 operator."""
        expression = " OR ".join(f'"{word}"' for word in words)
        found = self._database.execute(
            f"SELECT rowid FROM passage WHERE passage MATCH ? ORDER BY {order}", (expression,)
        )
        return [number for (number,) in found]


def _without_surrogates(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
