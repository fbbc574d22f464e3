"""The vectors of passages, kept in the index, and the passages nearest to a question."""

import heapq
import math
import sqlite3
import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import mul
from typing import Any

from agentkit import ToolError
from agentkit.retrieval import Embedder
from agentkit_tools.results import shortened

NEAREST = 30
"""Passages that are near a question."""

CANDIDATES = 100
"""Passages, matching by their words, that get vectors before all others."""

SECONDS = 20.0
"""Maximum time for the vectors of passages in one search, unless one batch takes longer; others get them later."""

BATCH = 32
"""Passages that get their vectors together."""

ALL_IN_PYTHON = 20_000
"""Passages that are compared to a question without numpy; of more, only the candidates."""

Vector = Sequence[float]


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Write all or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # when the disk is full, SQLite has ended it itself
            database.execute("ROLLBACK")
        raise


class VectorTable:
    """The vectors of passages in a database; those of each model are kept apart. Vectors have the length 1."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def create(self) -> None:
        """Create the table."""
        self._database.execute(
            "CREATE TABLE vector (passage INTEGER, model TEXT, data BLOB, PRIMARY KEY (passage, model))"
        )

    def remove(self, passages: Iterable[int]) -> None:
        """Remove the vectors of these passages."""
        self._database.executemany("DELETE FROM vector WHERE passage = ?", ((number,) for number in passages))

    def missing(
        self, model: str, size: int, limit: int, among: Iterable[int] | None = None
    ) -> list[tuple[int, str, str]]:
        """Passages without a vector of this model and size in bytes, with their titles and texts; of all or of some."""
        only = "" if among is None else f"AND passage.id IN ({','.join(map(str, among))})"
        return self._database.execute(
            "SELECT passage.id, title, text FROM passage JOIN file ON file.id = passage.file LEFT JOIN vector "
            "ON vector.passage = passage.id AND vector.model = ? AND length(data) = ? "
            f"WHERE vector.passage IS NULL {only} LIMIT ?",
            (model, size, limit),
        ).fetchall()

    def count_missing(self, model: str, size: int) -> int:
        """How many passages have no vector of this model and size in bytes."""
        found: tuple[int] = self._database.execute(
            "SELECT (SELECT count(*) FROM passage) - "
            "(SELECT count(*) FROM vector WHERE model = ? AND length(data) = ?)",
            (model, size),
        ).fetchone()
        return found[0]

    def keep(self, model: str, vectors: Iterable[tuple[int, str, bytes]]) -> None:
        """Keep the vectors of passages, given with their texts; not of those that another process has changed."""
        rows = [(model, data, number, text) for number, text, data in vectors]
        with transaction(self._database):
            self._database.executemany(
                "INSERT OR REPLACE INTO vector SELECT id, ?, ? FROM passage WHERE id = ? AND text = ?", rows
            )

    def all(self, model: str, size: int) -> list[tuple[int, bytes]]:
        """The vectors of a model that have this size in bytes, by the numbers of their passages."""
        return self._database.execute(
            "SELECT passage, data FROM vector WHERE model = ? AND length(data) = ?", (model, size)
        ).fetchall()

    def some(self, model: str, size: int, passages: Iterable[int]) -> list[tuple[int, bytes]]:
        """The same of these passages."""
        numbers = ",".join(map(str, passages))
        return self._database.execute(
            f"SELECT passage, data FROM vector WHERE model = ? AND length(data) = ? AND passage IN ({numbers})",
            (model, size),
        ).fetchall()

    def state(self) -> object:
        """Changes when vectors may have changed."""
        return (self._database, self._database.execute("PRAGMA data_version").fetchone(), self._database.total_changes)


class Meaning:
    """Finds passages by their meaning. Used by one thread at a time."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._model = str(getattr(embedder, "model", None) or type(embedder).__qualname__)
        self._known: tuple[object, list[int], Any] | None = None

    def nearest(
        self, table: VectorTable, queries: Sequence[str], candidates: Sequence[Sequence[int]]
    ) -> tuple[list[list[int]], list[str]]:
        """The passages nearest to each query, best first, and notes on what is missing; none when there is a failure.

        candidates: the passages that match each query by their words.
        """
        first = list(dict.fromkeys(number for some in candidates for number in some[:CANDIDATES]))
        try:
            embed = getattr(self._embedder, "embed_queries", self._embedder.embed)
            asked = _units(embed(list(queries)), len(queries))
            size = 4 * len(asked[0])
            missing = self._complete(table, size, first)
            found = [self._ranked(table, vector, size, first) for vector in asked]
        except sqlite3.DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001 - an embedder of the user's may raise anything
            why = str(error) if isinstance(error, ToolError) else type(error).__name__
            return [[] for _ in queries], [f"(found by words only: the embeddings failed: {shortened(why, 300)})"]
        return found, [f"({missing:,} passages have no embeddings yet)"] if missing else []

    def _complete(self, table: VectorTable, size: int, first: Sequence[int]) -> int:
        """Embed passages that have no vectors, the first ones first, for some time; returns how many are left."""
        end = time.monotonic() + SECONDS
        for among in (first, None):
            while rows := table.missing(self._model, size, BATCH, among):
                if among is None and time.monotonic() >= end:
                    return table.count_missing(self._model, size)
                vectors = _units(self._embedder.embed([f"{title}\n\n{text}" for _, title, text in rows]), len(rows))
                if 4 * len(vectors[0]) != size:
                    raise ToolError("the vectors of passages and of questions have different lengths")
                found = zip(rows, vectors, strict=True)
                table.keep(self._model, ((row[0], row[2], vector.tobytes()) for row, vector in found))
        return 0

    def _ranked(self, table: VectorTable, asked: "array[float]", size: int, first: Sequence[int]) -> list[int]:
        numbers, matrix = self._matrix(table, size, first)
        if not numbers:
            return []
        scores = _scores(matrix, asked)
        return [number for _, number in heapq.nlargest(NEAREST, zip(scores, numbers, strict=True))]

    def _matrix(self, table: VectorTable, size: int, first: Sequence[int]) -> tuple[list[int], Any]:
        """The numbers of passages and their vectors, kept until they change."""
        state = (table.state(), size)
        if self._known is None or self._known[0] != state:
            rows = table.all(self._model, size)
            if len(rows) > ALL_IN_PYTHON and _numpy() is None:
                rows = table.some(self._model, size, first)
                return [number for number, _ in rows], _matrix_of([data for _, data in rows])
            self._known = state, [number for number, _ in rows], _matrix_of([data for _, data in rows])
        return self._known[1], self._known[2]


def _units(vectors: Sequence[Vector], count: int) -> list["array[float]"]:
    """The vectors with the length 1, as 32-bit floats. Raises ToolError when they are not as many as the texts."""
    if len(vectors) != count or len({len(vector) for vector in vectors}) != 1 or len(vectors[0]) == 0:
        raise ToolError("the embedder did not return one vector of one length for each text")
    return [_unit(vector) for vector in vectors]


def _unit(vector: Vector) -> "array[float]":
    numbers = [float(each) for each in vector]
    length = math.sqrt(sum(map(mul, numbers, numbers)))
    if not math.isfinite(length):
        raise ToolError("the embedder returned a vector of no numbers")
    return array("f", (each / (length or 1.0) for each in numbers))


def _numpy() -> Any:
    try:
        import numpy
    except ImportError:
        return None
    return numpy


def _matrix_of(vectors: Sequence[bytes]) -> Any:
    """The vectors as one array of numpy, or as a list of arrays where it is not installed."""
    numpy = _numpy()
    if numpy is None or not vectors:
        return [array("f", data) for data in vectors]
    return numpy.frombuffer(b"".join(vectors), dtype=numpy.float32).reshape(len(vectors), -1)


def _scores(matrix: Any, asked: "array[float]") -> Iterable[float]:
    """The cosines of the angles between vectors and one other."""
    numpy = _numpy()
    if numpy is None or isinstance(matrix, list):
        return [sum(map(mul, vector, asked)) for vector in matrix]
    scores: list[float] = (matrix @ numpy.frombuffer(asked, dtype=numpy.float32)).tolist()
    return scores
