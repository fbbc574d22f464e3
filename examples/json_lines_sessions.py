"""A session store of one's own: a folder with a file of JSON lines for each session."""

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock

from agentkit import SessionError
from agentkit.sessions import SessionInfo, Sessions, busy


class JsonLinesSessions(Sessions):
    """Sessions in a folder. The first line of a file has the session's id, each further line is one append. A line
    without a line break at its end was written by a process that was killed, and does not count."""

    def __init__(self, url: str, wait: float = 30.0) -> None:
        super().__init__(wait)
        self.folder = Path(url.removeprefix("jsonl:"))
        with failures():
            self.folder.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Nothing is open between two calls."""

    def _append(self, session_id: str, entries: Sequence[str], blobs: Mapping[str, bytes], lock: Any) -> None:
        file, images = self._file(session_id), {key: base64.b64encode(data).decode() for key, data in blobs.items()}
        before = lines_of(file)
        head = [] if before else [{"id": session_id, "created": datetime.now(UTC).timestamp()}]
        if file.exists():
            os.truncate(file, sum(map(len, before)))  # removes a line that is not complete
        write(file, "ab", lines([*head, {"entries": list(entries), "images": images}]))

    def _read(self, session_id: str, start: int, count: int | None = None) -> Sequence[str]:
        entries = [entry for append in appends(self._file(session_id)) for entry in append["entries"]]
        return entries[start : None if count is None else start + count]

    def _blob(self, session_id: str, digest: str) -> bytes | None:
        images = [append["images"] for append in appends(self._file(session_id))]
        return next((base64.b64decode(each[digest]) for each in images if digest in each), None)

    def _list(self) -> Iterable[SessionInfo]:
        for file in self.folder.glob("*.jsonl"):
            entries = sum(len(append["entries"]) for append in appends(file))
            if entries:
                head, updated = json.loads(lines_of(file)[0]), file.stat().st_mtime
                yield SessionInfo(head["id"], entries, time_of(head["created"]), time_of(max(updated, head["created"])))

    def _delete(self, session_id: str) -> None:
        with failures():
            self._file(session_id).unlink()

    def _rename(self, session_id: str, new_id: str) -> None:
        head, *rest = lines_of(self._file(session_id))
        copy = self._file(new_id).with_suffix(".new")
        write(copy, "wb", lines([{**json.loads(head), "id": new_id}]) + b"".join(rest))
        with failures():
            copy.replace(self._file(new_id))
            self._file(session_id).unlink()

    @contextmanager
    def _lock(self, session_id: str, wait: float) -> Iterator[None]:
        lock = filelock.FileLock(self._file(session_id).with_suffix(".lock"), timeout=wait, thread_local=False)
        with failures():
            try:
                lock.acquire(poll_interval=0.02)
            except filelock.Timeout:
                raise busy(session_id, wait) from None
        try:
            yield
        finally:
            lock.release()  # the system does this for a process that is killed

    def _file(self, session_id: str) -> Path:
        return self.folder / f"{hashlib.sha256(session_id.encode()).hexdigest()}.jsonl"


@contextmanager
def failures() -> Iterator[None]:
    """Raises SessionError when the disk is full, the folder can't be written, ..."""
    try:
        yield
    except OSError as error:
        raise SessionError(f"the sessions can't be used: {error}") from error


def lines(values: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def lines_of(file: Path) -> list[bytes]:
    with failures():
        data = file.read_bytes() if file.exists() else b""
    return [line for line in data.splitlines(keepends=True) if line.endswith(b"\n")]


def appends(file: Path) -> list[Any]:
    return [json.loads(line) for line in lines_of(file)[1:]]


def write(file: Path, mode: str, data: bytes) -> None:
    """Write, and return when it is on the disk."""
    with failures(), open(file, mode) as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def time_of(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
