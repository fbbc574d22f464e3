"""Standard streams that can be used, whatever the program was started with.

A stream may be missing (`pythonw`, `>&-`), closed, an object of another program with `write` alone, in an encoding that
lacks a letter of the answer, or a pipe that nobody reads any more. None of it may cost an answer.
"""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from agentkit._text import line_of
from agentkit.cli.unread_output import dropping_unread, lead_nowhere
from agentkit.errors import ConfigurationError

_SIZES = ("COLUMNS", "LINES")
_WRITE_ERRORS = (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF, errno.EFBIG)
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def codec_of(content: bytes) -> str | None:
    """The codec that a byte order mark names; None without one."""
    return next((marked for mark, marked in _MARKS if content.startswith(mark)), None)


def drop_empty_sizes() -> None:
    """Remove the size of a terminal that is none from the environment: containers and CI set COLUMNS=0, at which
    nothing would be shown."""
    for name in _SIZES:
        if os.environ.get(name, "").strip("0 ") == "":
            os.environ.pop(name, None)


@contextmanager
def usable_streams() -> Iterator[None]:
    """Make sys.stdin, sys.stdout and sys.stderr usable until the block ends.

    A letter that the encoding lacks is replaced. What can't be written to standard error is dropped: progress must not
    end a run. Nor must a reader that leaves: what is written to it afterwards is dropped. Another error in writing to
    standard output ends the program with status 1 and one sentence; the answer of a program without standard output
    goes to standard error.
    """
    before = sys.stdin, sys.stdout, sys.stderr
    handlers = [(stream, stream.errors) for stream in before if isinstance(stream, io.TextIOWrapper)]
    sys.stderr = _Lenient(sys.stderr, "backslashreplace", drops=True)
    if _is_gone(sys.stdout):
        sys.stdout = sys.stderr
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
        sys.stdout = dropping_unread(sys.stdout)
    else:
        sys.stdout = _Lenient(sys.stdout, "replace", drops=False)
    if _is_gone(sys.stdin):
        sys.stdin = io.StringIO()
    elif isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    made = sys.stdout
    try:
        yield
        _flush(made)
        _flush(before[1])
    except SystemExit:
        _flush(made)
        _flush(before[1])
        raise
    except OSError as error:
        if error.errno not in _WRITE_ERRORS:
            raise
        _end(made, error)
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
        _drop_rest(before[2])
        for stream, errors in handlers:
            with suppress(ValueError, OSError):
                stream.reconfigure(errors=errors)


def text_of_stdin(content: bytes | str) -> str:
    """Return the text that was read from standard input: UTF-8, UTF-16 or UTF-32, else in the encoding of the locale.

    Raises ConfigurationError when it is not a text in one of them.
    """
    try:
        text = content if isinstance(content, str) else _decoded(content, getattr(sys.stdin, "encoding", None))
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"standard input is neither UTF-8 nor UTF-16 (the byte 0x{error.object[error.start]:02X} in line "
            f"{line_of(error)}): convert it, as with iconv -f latin1 -t utf-8"
        ) from None
    if "\0" in text:
        raise ConfigurationError("standard input is not a text: it contains null characters")
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def text_of_argument(text: str) -> str:
    """Return a text of the command line, which Python has read in the encoding of the locale: in UTF-8 where that lacks
    its letters."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        with suppress(UnicodeError):
            return os.fsencode(text).decode("utf-8")
    return text


def _decoded(content: bytes, encoding: str | None) -> str:
    if marked := codec_of(content):
        return content.decode(marked)
    odd, even = content[1::2].count(0), content[0::2].count(0)
    codec = "utf-16-le" if odd > even else "utf-16-be"
    has_halves = max(odd, even) > 4 * min(odd, even)  # of ASCII letters in UTF-16 without a mark
    if has_halves and 3 * max(odd, even) > len(content):
        return content.decode(codec)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        if has_halves:
            return content.decode(codec)
        if (encoding or "ascii").lower().replace("_", "-") in ("utf-8", "utf8", "ascii", "us-ascii", "latin-1"):
            raise
        with suppress(UnicodeDecodeError, LookupError):
            return content.decode(encoding or "ascii")
        raise


def _is_gone(stream: Any) -> bool:
    return stream is None or bool(getattr(stream, "closed", False))


def _flush(stream: Any) -> None:
    """Write what a stream has buffered. Exits the program when that fails, but not where its reader has left."""
    if _is_gone(stream) or not hasattr(stream, "flush"):
        return
    try:
        stream.flush()
    except BrokenPipeError:
        lead_nowhere(stream)
    except OSError as error:
        _end(stream, error)


def _end(stdout: Any, error: OSError) -> None:
    """End the program: standard output can't be written to. Its rest goes nowhere, so that the interpreter does not
    report the error again. A pipe that was closed by its reader needs no message."""
    lead_nowhere(stdout)
    if error.errno != errno.EPIPE:
        print(f"agentkit: standard output can't be written: {error.strerror}", file=sys.stderr)
    raise SystemExit(1)


def _drop_rest(stderr: Any) -> None:
    """Drop what standard error has buffered and can't write: the interpreter would fail with it at its end."""
    try:
        if not _is_gone(stderr) and hasattr(stderr, "flush"):
            stderr.flush()
    except (OSError, ValueError):
        lead_nowhere(stderr)


class _Lenient(io.TextIOBase):
    """A text stream around an object that may have `write` alone. errors: how a letter that its encoding lacks is
    written. drops: whether what can't be written is dropped."""

    def __init__(self, stream: Any, errors: str, drops: bool) -> None:
        self._stream: Any = None if _is_gone(stream) else stream
        self._handler = errors
        self._drops = drops

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        try:
            return bool(self._stream.isatty()) if self._stream is not None else False
        except (AttributeError, ValueError, OSError):
            return False

    def fileno(self) -> int:
        if not hasattr(self._stream, "fileno"):
            raise io.UnsupportedOperation("fileno")
        return int(self._stream.fileno())

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._stream is None:
            return len(text)
        try:
            try:
                self._stream.write(text)
            except UnicodeEncodeError as error:
                self._stream.write(text.encode(error.encoding, self._handler).decode(error.encoding))
        except (OSError, ValueError):
            if not self._drops:
                raise
        return len(text)

    def flush(self) -> None:
        try:
            if hasattr(self._stream, "flush"):
                self._stream.flush()
        except (OSError, ValueError):
            if not self._drops:
                raise
