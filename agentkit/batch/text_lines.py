"""The lines of a file, read lazily as bytes: no line is in memory that is longer than a question may be."""

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count, repeat
from typing import Any, BinaryIO, cast

from agentkit.errors import ConfigurationError

MAX_BYTES = 1_000_000
"""Maximum size of one question with all that stands in its line or row."""
TOO_LONG = f"is longer than {MAX_BYTES:,} bytes"

_PIECE = 1 << 16
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OTHER_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_OTHER_KINDS = (
    (b"PK\x03\x04", "is a zip archive or an Excel workbook: unpack it, or save it as CSV"),
    (b"PAR1", "is a parquet file: give its name the suffix .parquet"),
    (b"%PDF-", "is a PDF"),
    (b"SQLite format 3\x00", "is an SQLite database"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd: unpack it, or compress it with gzip"),
    (b"BZh", "is compressed with bzip2: unpack it, or compress it with gzip"),
    (b"\xfd7zXZ\x00", "is compressed with xz: unpack it, or compress it with gzip"),
)
GZIP = b"\x1f\x8b"


class LineError(ValueError):
    """Why a line or row can't be asked, as the end of a sentence that begins with its number."""


Line = tuple[int, bytes, str]
"""A line of a file: its number, counted from 1; its bytes, without a byte order mark (of one that is too long, what
stands for it); why it can't be read, "" for nothing. There are millions of them: a named tuple takes longer."""

Entry = tuple[int, Any, bytes, str]
"""What may be a question: the number of its line or row, counted from 1; what it says; the bytes that it was read from,
of a file; why it can't be read, "" for nothing."""


def open_bytes(path: str | os.PathLike[str]) -> BinaryIO:
    """A file to be read, unpacked if it was compressed with gzip, whatever its name. Raises ConfigurationError."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - its user closes it
        if file.peek(2)[:2] != GZIP:
            return file
    except OSError as error:
        raise ConfigurationError(f"{os.fspath(path)}: can't be read: {error.strerror or error}") from None
    return cast(BinaryIO, io.BufferedReader(_Unpacked(file), _PIECE))


class _Unpacked(gzip.GzipFile):
    """A compressed file that closes the file below it."""

    def __init__(self, file: BinaryIO) -> None:
        self._below = file
        super().__init__(fileobj=file, mode="rb")

    def close(self) -> None:
        super().close()
        self._below.close()


def beginning(file: BinaryIO, name: str) -> bytes:
    """The first bytes of a file, which stay to be read. Raises ConfigurationError when it can't be read."""
    with _readable(name, [0]):
        return bytes(file.peek(16)[:16])  # type: ignore[attr-defined]


def lines_of(file: BinaryIO, name: str) -> Iterator[Line]:
    """The lines of a file that ends each with LF or CR LF. name: of the file. Raises ConfigurationError where the file
    can't be read any further."""
    last = [0]
    with _readable(name, last):
        for lines, problems in _blocks(file):
            yield from zip(count(last[0] + 1), lines, problems)
            last[0] += len(lines)


def _blocks(file: BinaryIO) -> Iterator[tuple[list[bytes], Iterable[str]]]:
    """The lines of a file, as many together as were read at once, and why each can't be read."""
    rest = b""
    while block := file.read1(_PIECE):  # type: ignore[attr-defined]
        data = rest + block
        lines = io.BytesIO(data).readlines()
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        yield (lines, repeat("")) if _is_usual(data) else _looked_at(lines)
        if len(rest) > MAX_BYTES + len(_BYTE_ORDER_MARK) + 1:  # CR
            digest, rest = _digest_of_rest(file, rest)
            yield [digest], [TOO_LONG]
    if rest:
        yield _looked_at(io.BytesIO(rest).readlines())


def _is_usual(data: bytes) -> bool:
    """Whether no line in it can be too long, or begin with a byte order mark: of the file, or of one that was appended
    to it."""
    return len(data) <= MAX_BYTES and _BYTE_ORDER_MARK not in data


def _looked_at(lines: list[bytes]) -> tuple[list[bytes], list[str]]:
    lines = [line.removeprefix(_BYTE_ORDER_MARK) for line in lines]
    problems = ["" if len(line.rstrip(b"\r\n")) <= MAX_BYTES else TOO_LONG for line in lines]
    return [_digest(line).digest() if bad else line for line, bad in zip(lines, problems, strict=True)], problems


def _digest_of_rest(file: BinaryIO, begin: bytes) -> tuple[bytes, bytes]:
    """Read to the end of a line that is too long. Returns a digest of it, and what was read behind it."""
    digest = _digest(begin.removeprefix(_BYTE_ORDER_MARK))
    while piece := file.read1(_PIECE):  # type: ignore[attr-defined]
        end = piece.find(b"\n") + 1
        digest.update(piece[:end] if end else piece)
        if end:
            return digest.digest(), piece[end:]
    return digest.digest(), b""


def _digest(line: bytes) -> "hashlib.blake2b":
    """What stands for a line that is too long."""
    return hashlib.blake2b(line, digest_size=16)


@contextmanager
def _readable(name: str, last: list[int]) -> Iterator[None]:
    """Tells errors of a file by its name and the last line that could be read."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ConfigurationError(
            f"{name}: is broken {_where(last[0])}, as a compressed file ({error}): copy or compress it again"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{name}: can't be read {_where(last[0])}: {error.strerror or error}") from None


def _where(last: int) -> str:
    return f"behind line {last}" if last else "at its beginning"


def decoded(content: bytes) -> str:
    """The text of a line. Raises LineError when it isn't UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        byte = content[error.start]
        raise LineError(f"is not UTF-8 (byte 0x{byte:02X} at position {error.start + 1}): convert the file") from None


def check_is_text(head: bytes, name: str) -> None:
    """Raises ConfigurationError when the first bytes of a file are those of another kind of file."""
    for mark, encoding in _OTHER_MARKS:
        if head.startswith(mark):
            raise ConfigurationError(f"{name}: line 1: is {encoding}: save the file as UTF-8")
    for begin, what in _OTHER_KINDS:
        if head.startswith(begin):
            raise ConfigurationError(f"{name}: line 1: {what}")
    pair = head[:2].replace(b"\x00", b"")
    if len(head) > 1 and len(pair) == 1 and pair.isascii():
        raise ConfigurationError(f"{name}: line 1: is UTF-16 or a binary file (it has NUL bytes): save it as UTF-8")
