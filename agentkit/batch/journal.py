"""The answers file of a batch: what is answered already, and one line for each record that comes.

What the file promises: an item has one line, written at once and as a whole; a program that is killed at any moment
loses none that is there. After a power cut, what was written in the last second or two may be missing: records, and
notes of what was begun.
"""

import os
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from agentkit.batch.answer_lines import (
    FAILED,
    OK,
    STATE_BITS,
    UNKNOWN,
    BrokenLineError,
    broken_line,
    end_of_whole_lines,
    head_of,
    index_of,
    line_of,
    lines_of,
    read_records,
    record_of,
    records_in,
    state_of,
)
from agentkit.batch.answers_path import answers_path
from agentkit.batch.append_file import AppendFile
from agentkit.batch.begun import NEVER, Begun
from agentkit.batch.budget import Spent
from agentkit.batch.id_set import IdMap, digest, digest_of
from agentkit.batch.item import Record
from agentkit.batch.replaced_file import move_into_place, sync_folder
from agentkit.batch.rewritten import rewrite
from agentkit.batch.spent_file import SpentFile
from agentkit.batch.state_folder import NAME, StateFolder
from agentkit.errors import AgentkitError, ConfigurationError

__all__ = ["Journal", "JournalError", "read_records", "replace_answers"]

SYNC_SECONDS = 1.0
"""How often what was written is made to reach the disk."""
_STATE = (1 << (STATE_BITS - 1)) - 1


class JournalError(AgentkitError):
    """A record can't be written; `__cause__` is the error of the system. The file has all records written before."""


class Journal:
    """An answers file that is open for records. Made by `Journal.open`; the methods may be called in any thread."""

    def __init__(self, path: Path, folder: StateFolder, retried: frozenset[int]) -> None:
        self.path = path
        self._folder = folder
        self._retried = retried
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._failure: OSError | None = None
        self._syncing: threading.Thread | None = None
        self._begun = Begun(folder.path / "begun")
        self._spent = SpentFile(folder.path / "spent", path.stat().st_size if path.exists() else 0)
        if not path.exists():  # what is noted is of a file that was removed
            self._begun.notes.clear()
            self._spent.forget()
            (folder.path / NAME).unlink(missing_ok=True)
        self._file = AppendFile(path, 0o666)
        self._index = IdMap()
        self._superseded = 0
        self._before = 0
        self._without_end = b""
        self._retried_before = 0
        self.in_flight: list[str] = []
        """The ids of items that an earlier start had begun, and of which there is no record."""
        self.answered = 0
        """How many items have a record; those that are to be asked again do not count."""
        self.failed = 0
        """How many of them failed."""

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        fingerprint: Mapping[str, Any] | None,
        *,
        anyway: bool = False,
        retry_failed: bool = False,
        retry_unknown: bool = False,
        retry_new: bool = False,
        questions: object = None,
    ) -> "Journal":
        """Open an answers file, which is created when there is none, to go on with it.

        fingerprint: with what the answers are made, short texts by name; None for answers that were made elsewhere.
        anyway: accept another fingerprint than that of the answers in the file. retry_failed: records that failed count
        as unanswered, but for those of the type "unknown_effect"; retry_unknown: those do. retry_new: so do records
        that are written from now on. questions: the input, where it is a path: it can't be the same file.

        Raises ConfigurationError when the file can't be used: no answers file, or a line in it is broken; written by
        another program at the moment; made with another fingerprint; not a file, or in a folder that can't be written.
        """
        place = answers_path(path, questions)
        retried = frozenset([FAILED] * retry_failed + [UNKNOWN] * retry_unknown)
        folder = StateFolder(place)
        journal = None
        try:
            try:
                journal = cls(place, folder, retried)
                journal._load(retry_new)
                if fingerprint is not None:
                    folder.check_fingerprint(dict(fingerprint), has_answers=len(journal._index) > 0, anyway=anyway)
                journal._begin()
            except OSError as error:
                raise ConfigurationError(f"{place.name} can't be written: {error.strerror or error}") from None
        except BaseException:
            if journal is not None:
                journal._file.close()
            folder.release(discard=True)
            raise
        return journal

    def _load(self, retry_new: bool) -> None:
        """Read what is answered. Changes nothing."""
        is_ours = (self._folder.path / "job.json").exists()
        with open(self.path, "rb", buffering=1 << 20) as file:
            self._before, torn = end_of_whole_lines(file, self.path.name, is_ours=is_ours)
            self._index, self._superseded = index_of(file, self._before, self.path.name)
        with suppress(BrokenLineError):
            self._take_without_end(torn)
        self._retried_before = NEVER if retry_new else self._before + len(self._without_end)
        failures = (value for values in self._index.values for value in values if value & _STATE != OK)
        self.answered = len(self._index)
        for value in failures:
            self.answered -= 1
            self._count(value)

    def _take_without_end(self, torn: bytes) -> None:
        """Take a last line that lacks only its end (an editor has trimmed it): half a record is no JSON object. Raises
        BrokenLineError for half a record."""
        record = record_of(torn)
        self._without_end = torn + b"\n"
        key = digest_of(record["id"])
        self._superseded += self._index.get(key) is not None
        self._index.put(key, self._before << STATE_BITS | state_of(record))

    def _count(self, value: int) -> None:
        if not self._is_asked_again(value):
            self.answered += 1
            self.failed += value & _STATE != OK

    def _is_asked_again(self, value: int) -> bool:
        return value & _STATE in self._retried and value >> STATE_BITS < self._retried_before

    def _begin(self) -> None:
        """Begin to write: from here on the file is changed."""
        (self._folder.path / "rewritten").unlink(missing_ok=True)
        if self._file.size > self._before:
            self._file.truncate(self._before)
        if self._without_end:
            self._file.append(self._without_end)
            self._before = self._file.size
        sync_folder(self.path.parent)
        open_ = _open_notes(self._begun.notes, self._index)
        self._begun.keep(dict.fromkeys(open_, self._before))
        self.in_flight = [id_ for id_ in open_ if not self.is_answered(id_)]
        self._syncing = threading.Thread(target=self._keep_synced, name="agentkit-journal", daemon=True)
        self._syncing.start()

    @property
    def state(self) -> Path:
        """The folder of what is noted beside the answers."""
        return self._folder.path

    def is_answered(self, id_: str) -> bool:
        """Whether an item has a record, and is not to be asked again."""
        return self.state_of(id_) is not None

    def state_of(self, id_: str) -> int | None:
        """What the record of an item says: `OK`, `FAILED` or `UNKNOWN`; None where it is not answered."""
        key = digest_of(id_)
        with self._lock:
            value = self._index.get(key)
        return None if value is None or (self._retried and self._is_asked_again(value)) else value & _STATE

    def begin(self, ids: Collection[str]) -> None:
        """Note that these items are about to be sent: a later start finds them in `in_flight`, unless they have a
        record by then. Raises JournalError when that can't be written."""
        if not ids:
            return
        with self._lock:
            self._check()
            try:
                self._begun.begin(ids, self._file.size)
            except OSError as error:
                raise self._error(error) from error

    def forget(self, ids: Collection[str]) -> None:
        """Items that were begun were stopped before they had an effect: a later start finds them as any other."""
        with self._lock:
            if not self._ending.is_set():
                with suppress(OSError):  # at worst they are taken for items in flight
                    self._begun.forget(ids)

    def write(self, record: Record) -> bool:
        """Write the line of a record; False when the item has one already, and nothing was written. Raises JournalError
        when there is no room for it, or the file was removed."""
        line = line_of(record)
        key = digest_of(record["id"])
        with self._lock:
            self._check()
            before = self._index.get(key)
            if before is not None and not self._is_asked_again(before):
                return False
            try:
                offset = self._file.append(line)
            except OSError as error:
                raise self._error(error) from error
            value = offset << STATE_BITS | state_of(record)
            self._index.put(key, value)
            self._superseded += before is not None
            self._count(value)
            self._begun.done(record["id"])
        return True

    def _check(self) -> None:
        if self._ending.is_set():
            raise JournalError(f"{self.path.name} is closed")
        if self._failure is not None:
            raise self._error(self._failure) from self._failure

    def _error(self, error: OSError | BrokenLineError) -> JournalError:
        reason = getattr(error, "strerror", None) or error
        advice = "All records so far are in it; start again to go on when there is room for it"
        if isinstance(error, FileNotFoundError):
            advice = "Put it back, and start again to go on; without it all is asked anew"
        return JournalError(f"{self.path} can't be written: {reason}. {advice}")

    def _keep_synced(self) -> None:
        while not self._ending.wait(SYNC_SECONDS):
            try:
                if not self._file.is_at_path():
                    raise FileNotFoundError(None, "it was removed or replaced while it was written to")
                self._folder.keep()
                self._file.sync()
                self._begun.sync()
                self._keep_spent()
            except OSError as error:
                self._failure = error
                return

    @property
    def lost(self) -> Spent:
        """What was spent for which there is no record."""
        return self._spent.lost

    def lose(self, record: Record) -> None:
        """A run was stopped: it has no record, and what it has spent is kept."""
        with self._lock:
            self._spent.lost.count(record)

    def all_records(self) -> Iterator[Record]:
        """The records in the file, also those that are superseded. Raises ConfigurationError for a broken line."""
        with open(self.path, "rb") as file:
            yield from (record for _, record in records_in(file, os.fstat(file.fileno()).st_size, self.path.name))

    def _keep_spent(self) -> None:
        with self._lock:
            self._spent.keep()

    def find(self, ids: Collection[str]) -> Iterator[Record]:
        """The records of items, the latest of each, in the order of the ids; those without one are left out. Raises
        ConfigurationError for a broken line."""
        with open(self.path, "rb") as file:
            for id_ in ids:
                with self._lock:
                    value = self._index.get(digest_of(id_))
                if value is None:
                    continue
                file.seek(value >> STATE_BITS)
                try:
                    yield record_of(file.readline())
                except BrokenLineError as error:
                    raise broken_line(file, value >> STATE_BITS, self.path.name, error) from None

    def close(self, order: Iterable[str] | None = None) -> None:
        """Have all records reach the disk, remove those that are superseded, and let others write the file. order: ids,
        in the order of which the file is written anew; records of other items are behind them.

        Raises JournalError when that fails; the records are in the file nevertheless. Further calls do nothing.
        """
        with self._lock:
            if self._ending.is_set():
                return
            self._ending.set()
        if self._syncing is not None:
            self._syncing.join()
        try:
            self._end(order)
        except (OSError, BrokenLineError) as error:
            raise self._error(error) from error
        finally:
            self._begun.close()
            self._file.close()
            self._folder.release()

    def _end(self, order: Iterable[str] | None) -> None:
        self._file.sync()
        self._file.close()  # Windows replaces no open file
        if self._failure is not None:
            raise self._failure
        notes = self._begun.notes
        if self._superseded:
            self._spent.begin_rewriting(self._superseded_spent(), self.path.stat().st_size)
        if self._superseded or order is not None:
            self._begun.keep(dict.fromkeys(notes, NEVER))  # the offsets of their records change
            rewrite(self.path, self._folder.path / "rewritten", self._index, order)
            self._begun.keep(dict.fromkeys(notes, self.path.stat().st_size))
        elif not notes:
            self._begun.keep({})
        self._keep_spent()

    def _superseded_spent(self) -> Spent:
        """What the records have spent that are superseded."""
        spent = Spent()
        with open(self.path, "rb") as file:
            for offset, line in lines_of(file, os.fstat(file.fileno()).st_size):
                value = self._index.get(digest(head_of(line)[0]))
                if value is not None and value >> STATE_BITS != offset:
                    _count(spent, record_of(line))
        return spent

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def replace_answers(path: Path, new: Path, folder: StateFolder) -> None:
    """Have a file with the same records, written anew, take the place of an answers file that nobody else writes.
    folder: its own, held. What was begun without a record stays noted, though the records have other places. Raises
    OSError, and ConfigurationError for a broken line."""
    begun = Begun(folder.path / "begun")
    notes: list[str] = []
    if begun.notes:
        with open(path, "rb") as file:
            end, _ = end_of_whole_lines(file, path.name, is_ours=True)
            notes = _open_notes(begun.notes, index_of(file, end, path.name)[0])
        begun.keep(dict.fromkeys(notes, NEVER))
    move_into_place(new, path)
    if notes:
        begun.keep(dict.fromkeys(notes, path.stat().st_size))


def _open_notes(notes: Mapping[str, int], index: IdMap) -> list[str]:
    """The ids of what was begun and has no record since."""

    def is_open(id_: str, offset: int) -> bool:
        value = index.get(digest_of(id_))
        return value is None or (value & _STATE != OK and value >> STATE_BITS < offset)

    return [id_ for id_, offset in notes.items() if is_open(id_, offset)]


def _count(spent: Spent, record: Record) -> None:
    with suppress(TypeError, AttributeError):  # another program has written it
        spent.count(record)
