"""An index of passages in memory."""

import sqlite3
import threading
import weakref
from collections.abc import Iterable

from agentkit._closing import Closable
from agentkit._forking import awaited_by_forks
from agentkit.retrieval.tables import PassageTables
from agentkit.retrieval.words import Query, content_words, has_word, word_text


class PassageIndex(Closable):
    """An index of passages, numbered in the order in which they are added; shared by threads, kept in memory."""

    def __init__(self, passages: Iterable[str] = ()) -> None:
        self._lock = awaited_by_forks(threading.RLock())
        self._passages: dict[int, tuple[str, str]] = {}
        self._added = 0
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        weakref.finalize(self, self._database.close)  # no warning for one that is not closed
        self._tables = PassageTables(self._database)
        self._tables.create()
        for passage in passages:
            self.add(passage)

    def close(self) -> None:
        """Release the memory."""
        self._database.close()

    def add(self, text: str, title: str = "") -> int:
        """Add a passage. Returns its number, counted from 0."""
        text, title = _without_surrogates(text), _without_surrogates(title)
        with self._lock:
            number = self._added
            self._added += 1
            self._tables.add(number, text, title)
            self._passages[number] = text, title
        return number

    def remove(self, number: int) -> None:
        """Remove a passage; the numbers of the others stay."""
        with self._lock:
            self._tables.remove(number, *self._passages.pop(number))

    def best(self, question: str, *, least_words: int = 1, least_share: float = 0.5) -> list[int]:
        """The numbers of the passages that match a question, best first.

        A passage with less than `least_share` as many of the question's words as the best one does not match. None
        matches when the best has fewer than `least_words` of the words.
        """
        words = content_words(_without_surrogates(question))
        with self._lock:
            ranked = list(self._tables.best(Query.of(question)))
            covered = {number: cover(words, *self._passages[number]) for number in ranked}
        most = max(covered.values(), default=0)
        return [number for number in ranked if most >= least_words and covered[number] >= least_share * most]


def cover(words: Iterable[str], *texts: str) -> int:
    """How many of the words of a question occur in the texts, in any form that begins alike. words: as from
    `content_words`."""
    text = " ".join(map(word_text, texts))
    return sum(has_word(word, text) for word in words)


def _without_surrogates(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
