"""An answers file written anew: without superseded lines, perhaps in another order, and in memory that does not grow
with the lines."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from agentkit.batch.answer_lines import MARK, STATE_BITS, head_of, lines_of
from agentkit.batch.id_set import IdMap, digest, digest_of
from agentkit.batch.replaced_file import move_into_place

_BUFFER = 1 << 20


class _Copy:
    """A copy of a file, line by line; as long as it is the same as the file, nothing is written."""

    def __init__(self, source: BinaryIO, path: Path) -> None:
        self._source = source
        self._path = path
        self._out: BinaryIO | None = None
        self.same = 0  # so many bytes of the file have their place

    def add(self, offset: int, line: bytes) -> None:
        if self._out is None and offset == self.same:
            self.same += len(line)
            return
        self.open().write(line)

    def open(self) -> BinaryIO:
        if self._out is None:
            self._out = open(self._path, "wb", buffering=_BUFFER)  # noqa: SIM115 - closed below
            with open(self._source.name, "rb") as beginning:
                _copy(beginning, self._out, self.same)
        return self._out

    def is_begun(self) -> bool:
        return self._out is not None

    def close(self) -> None:
        if self._out is not None:
            self._out.close()


def _copy(source: BinaryIO, out: BinaryIO, length: int) -> None:
    while length > 0:
        block = source.read(min(_BUFFER, length))
        out.write(block)
        length -= len(block)


def rewrite(path: Path, temporary: Path, index: IdMap, order: Iterable[str] | None) -> bool:
    """Write an answers file anew and put it in its place; returns whether that was needed. Killed at any moment, it
    leaves the old one or the new one.

    index: of the file's lines; those of which it has a later one are left out. order: ids, whose lines come first, in
    this order. Raises OSError, when the file stays as it was.
    """
    with open(path, "rb") as source:  # with a small buffer: the lines of an order may be far from each other
        copy = _Copy(source, temporary)
        try:
            count = _add_ordered(copy, source, index, order) if order is not None else 0
            end = os.fstat(source.fileno()).st_size
            if count < len(index):
                _add_others(copy, source, index, end)
            if copy.is_begun() or copy.same < end:
                copy.open()
                copy.close()
                _as_permitted(source, temporary)
        except BaseException:
            with suppress(OSError):
                copy.close()
            temporary.unlink(missing_ok=True)
            raise
    if copy.is_begun():
        move_into_place(temporary, path)
    return copy.is_begun()


def _add_ordered(copy: _Copy, source: BinaryIO, index: IdMap, order: Iterable[str]) -> int:
    count = 0
    for id_ in order:
        key = digest_of(id_)
        value = index.get(key)
        if value is None or value & MARK:
            continue
        index.put(key, value | MARK)
        source.seek(value >> STATE_BITS)
        copy.add(value >> STATE_BITS, source.readline())
        count += 1
    return count


def _add_others(copy: _Copy, source: BinaryIO, index: IdMap, end: int) -> None:
    for offset, line in lines_of(source, end):
        value = index.get(digest(head_of(line)[0]))
        if value is not None and value >> STATE_BITS == offset and not value & MARK:
            copy.add(offset, line)


def _as_permitted(source: BinaryIO, temporary: Path) -> None:
    """Give the new file the owner and the permissions of the old one, as far as this user may."""
    old = os.fstat(source.fileno())
    with suppress(OSError, AttributeError):
        shutil.copymode(source.name, temporary)
        os.chown(temporary, old.st_uid, old.st_gid)
