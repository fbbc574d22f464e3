"""The lines of an answers file: records as JSON, each on a line of its own, `{"id":"...","ok":true,...}` at its front.

Of a file of millions of lines, only these two fields are read to know what is answered; a line that another program
wrote, with other fields in front, is read as a whole.
"""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from io import BytesIO
from itertools import islice
from typing import Any, BinaryIO

from agentkit._text import cut, json_text, utf8
from agentkit.batch.id_set import IdMap, digest
from agentkit.batch.item import Record
from agentkit.errors import ConfigurationError

OK, FAILED, UNKNOWN = 0, 1, 2
"""What a record says: answered, failed, or failed with an error of the type "unknown_effect"."""

STATE_BITS = 3
"""An index has a line's offset, shifted by so many bits, together with its state and MARK."""
MARK = 4

_HEAD = re.compile(rb'\{"id": ?"([^"\\]+)", ?"ok": ?(?:(true)|false)[,}]').match
_HEADS = re.compile(rb'^\{"id": ?"([^"\\\n]+)", ?"ok": ?(?:(true)|false)[,}].*\}\n', re.MULTILINE).finditer
_ENDS_LINES = re.compile("[\x85\u2028\u2029\ud800-\udfff]")
_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 16
_MAX_DEPTH = 100
_MAX_TAIL = 1 << 24
NOTHING = b"\0 \t\r\n"
"""What a power cut, or an editor, leaves behind the last line."""


class BrokenLineError(ValueError):
    """A line is no record; the message says why. is_json: whether it is JSON of another kind."""

    def __init__(self, reason: str, *, is_json: bool = False) -> None:
        super().__init__(reason)
        self.is_json = is_json


def line_of(record: Mapping[str, Any]) -> bytes:
    """The line of a record, with its end. What JSON has not becomes null (NaN) or text; characters at which other
    programs end a line (U+0085, U+2028, U+2029) and lone surrogates are escaped."""
    if [*islice(record, 2)] == ["id", "ok"] and type(record["ok"]) is bool:
        return json_line(record)
    first = {"id": record["id"], "ok": bool(record["ok"])}
    return json_line({**first, **{name: value for name, value in record.items() if name not in first}})


def json_line(value: object) -> bytes:
    """A value as JSON on a line, with its end; see `line_of`."""
    try:
        text = json_text(value)
    except (TypeError, ValueError, RecursionError):
        text = json_text(_plain(value))
    if not text.isascii():
        text = _ENDS_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text.encode() + b"\n"


def _plain(value: object, depth: int = 0) -> Any:
    """A value as JSON can represent it."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth >= _MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {str(name): _plain(each, depth + 1) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each, depth + 1) for each in value]
    return str(value)


def record_of(line: bytes) -> Record:
    """The record on a line. An id that is a number becomes text. Raises BrokenLineError for a line that has none."""
    try:
        found = json.loads(line.removeprefix(_BOM).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BrokenLineError(f"it can't be read as JSON ({cut(str(error), 200)})") from None
    if not isinstance(found, dict):
        raise BrokenLineError("it is not a JSON object", is_json=True)
    if isinstance(found.get("id"), int) and not isinstance(found["id"], bool):
        found["id"] = str(found["id"])
    for name, kind in (("id", str), ("ok", bool)):
        if not isinstance(found.get(name), kind):
            raise BrokenLineError(f'it is no record of a batch: its "{name}" is missing or wrong', is_json=True)
    return found


def state_of(record: Mapping[str, Any]) -> int:
    """What a record says: OK, FAILED or UNKNOWN."""
    error = record.get("error")
    is_unknown = isinstance(error, Mapping) and error.get("type") == "unknown_effect"
    return OK if record["ok"] else UNKNOWN if is_unknown else FAILED


def head_of(line: bytes) -> tuple[bytes, int]:
    """The id on a line, in UTF-8, and what its record says. Raises BrokenLineError for a line that is no record, as far
    as this can be seen without reading all of it: two that were torn and run together, null bytes, no end."""
    found = _HEAD(line)
    is_whole = line.endswith(b"}\n") and b"\0" not in line
    if found is None or not is_whole or line.find(b'"ok":', found.end()) >= 0:
        record = record_of(line)
        return utf8(record["id"]), state_of(record)
    if found.lastindex == 2:
        return found[1], OK
    return found[1], state_of(record_of(line)) if b'"unknown_effect"' in line else FAILED


def lines_of(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    """The lines of a file before the offset `end` that are not blank, each with its offset."""
    for begin, block in _blocks_of(file, end):
        yield from _lines_in(block, begin)


def _blocks_of(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    """The bytes of a file before the offset `end` in blocks of whole lines, each with its offset."""
    begin, rest = file.seek(0), b""
    while piece := file.read(min(max(_BLOCK, len(rest)), end - begin - len(rest))):
        data = rest + piece
        whole = data.rfind(b"\n") + 1
        if whole:
            yield begin, data[:whole]
        begin, rest = begin + whole, data[whole:]


def _lines_in(block: bytes, begin: int) -> Iterator[tuple[int, bytes]]:
    offset = begin
    for line in BytesIO(block):
        if not line.isspace():
            yield offset, line
        offset += len(line)


def index_of(file: BinaryIO, end: int, name: str) -> tuple[IdMap, int]:
    """Where the last line of each id begins, shifted by STATE_BITS, with its state; and how many lines are superseded
    by a later one. end: where the last whole line ends. Raises ConfigurationError with the number of a broken line."""
    index = IdMap()
    offset = 0
    try:
        for begin, block in _blocks_of(file, end):
            if (entries := _plain_entries(block, begin)) is not None:
                index.extend(entries)
                continue
            for offset, line in _lines_in(block, begin):
                id_, state = head_of(line)
                index.extend([(digest(id_), offset << STATE_BITS | state)])
    except BrokenLineError as error:
        raise broken_line(file, offset, name, error) from None
    return index, index.settle()


def _plain_entries(block: bytes, begin: int) -> list[tuple[int, int]] | None:
    """What `index_of` notes of the lines of a block, seen from their beginnings in a third of the time; None where
    `head_of` has to look at each."""
    heads = [*_HEADS(block)]
    are_all = len(heads) == block.count(b"\n") == block.count(b'"ok":')
    if not are_all or b"\0" in block or b'"unknown_effect"' in block:
        return None
    return [
        (digest(head[1]), begin + head.start() << STATE_BITS | (OK if head.lastindex == 2 else FAILED))
        for head in heads
    ]


def broken_line(file: BinaryIO, offset: int, name: str, error: BrokenLineError) -> ConfigurationError:
    """The error of a line that is no record. offset: where it begins. name: of the file."""
    file.seek(offset)
    beginning = file.read(60).split(b"\n")[0].decode("utf-8", "replace")
    advice = "remove the line, and its question is asked again"
    if offset == 0:
        advice = f"if it is no answers file, give another name: nothing in it was changed; else {advice}"
    return ConfigurationError(f"line {_number_of(file, offset)} of {name} is broken: {error}: {beginning!r}. {advice}")


def _number_of(file: BinaryIO, offset: int) -> int:
    file.seek(0)
    number = 1
    while offset > 0:
        block = file.read(min(_BLOCK, offset))
        if not block:
            break
        number += block.count(b"\n")
        offset -= len(block)
    return number


def end_of_whole_lines(file: BinaryIO, name: str, *, is_ours: bool) -> tuple[int, bytes]:
    """Where the last whole line of a file ends, and the torn line behind it (b"" for none; null bytes and blank lines
    don't count). A last line that can't be read is torn too, since an editor adds the end of a line.

    is_ours: whether it is known to be an answers file. Raises ConfigurationError when what is at its end was never the
    beginning of a record: then it is none, and must not be changed.
    """
    end = os.fstat(file.fileno()).st_size
    while end > 0:
        start = _line_start(file, end)
        file.seek(start)
        line = file.read(min(end - start, _MAX_TAIL))
        if not line.strip(NOTHING):
            end = start
            continue
        try:
            record_of(line.rstrip(NOTHING))
        except BrokenLineError as error:
            if not _may_be_torn(line, error, is_ours or start > 0):
                raise broken_line(file, start, name, error) from None
            return start, line.strip(NOTHING)
        return (end, b"") if line.endswith(b"\n") else (start, line.strip(NOTHING))
    return 0, b""


def _may_be_torn(line: bytes, error: BrokenLineError, is_ours: bool) -> bool:
    begins = line.lstrip(_BOM)[:7].strip(NOTHING)
    return not error.is_json and begins[:1] == b"{" and (is_ours or b'{"id":"'.startswith(begins))


def _line_start(file: BinaryIO, end: int) -> int:
    """Where the line begins whose end is at `end`."""
    position = end - 1
    while position > 0:
        start = max(0, position - _BLOCK)
        file.seek(start)
        found = file.read(position - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        position = start
    return 0


def read_records(path: str | os.PathLike[str]) -> Iterator[Record]:
    """The records of an answers file, in its order; the last one of each id, where a failed one was superseded.

    A torn last line is left out. What is written to the file meanwhile is not read. Raises ConfigurationError for a
    file that can't be read, and for a broken line, with its number. Needs 16 bytes of memory a record.
    """
    name = os.path.basename(path)
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below, when the last record is taken
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{name} can't be read: {getattr(error, 'strerror', None) or error}") from None
    with file:
        end, torn = end_of_whole_lines(file, name, is_ours=False)
        index, superseded = index_of(file, end, name)
        for offset, record in records_in(file, end, name):
            if not superseded or _is_last(index, record, offset):
                yield record
        yield from _record_without_end(torn)


def records_in(file: BinaryIO, end: int, name: str) -> Iterator[tuple[int, Record]]:
    """The records of the whole lines up to `end`, also those that are superseded, each with its offset. name: of the
    file. Raises ConfigurationError for a broken line, with its number."""
    for offset, line in lines_of(file, end):
        try:
            yield offset, record_of(line)
        except BrokenLineError as error:
            raise broken_line(file, offset, name, error) from None


def _is_last(index: IdMap, record: Record, offset: int) -> bool:
    return (index.get(digest(utf8(record["id"]))) or 0) >> STATE_BITS == offset


def _record_without_end(torn: bytes) -> Iterator[Record]:
    """The record of a last line that lacks only its end, as an editor may leave it."""
    try:
        yield record_of(torn)
    except BrokenLineError:
        return
