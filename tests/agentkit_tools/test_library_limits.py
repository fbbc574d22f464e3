"""A folder of documents where time, threads and the disk are short: what is indexed is found."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, Context, Limits, Tool, ToolError
from agentkit.testing import ScriptedBackend
from agentkit_tools import documents, folder, indexing, library
from agentkit_tools.file_text import FileText
from agentkit_tools.reader_process import NO_RUN, RunEndedError, is_over


class Reading:
    """Reads texts; those with "slow" in their path not before `go_on` is set."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.seconds = 0.0

    def __call__(self, path: str, content: bytes, context: Context[Any] = NO_RUN) -> FileText:
        self.read.append(path)
        end = time.monotonic() + self.seconds
        while ("slow" in path and not self.go_on.is_set()) or time.monotonic() < end:
            self.begun.set()
            if is_over(context):
                raise RunEndedError("the run ended before")
            time.sleep(0.01)
        return FileText("", content.decode())


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reading]:
    reading = Reading()
    monkeypatch.setattr(folder, "read_file", reading)
    yield reading
    reading.go_on.set()


def write(place: Path, *names: str) -> None:
    for name in names:
        (place / f"{name}.txt").write_text(f"The {name} whale eats krill.")


def within(seconds: float) -> Context[Any]:
    return Context(deadline=time.monotonic() + seconds)


def sources(found: str) -> list[str]:
    lines = found.splitlines()
    return sorted(line.removeprefix("source: ").removesuffix(".txt") for line in lines if line.startswith("source: "))


SLOW = "(slow.txt was not read: it takes longer to read than the run had time; it is tried again later)"


# Time


def test_a_document_that_takes_longer_than_a_run_has_blocks_no_other(tmp_path: Path, reading: Reading) -> None:
    write(tmp_path, "blue", "slow", "white")
    find, read = documents(tmp_path)
    begun = time.monotonic()
    found = find(["krill"], context=within(2.0))
    assert time.monotonic() - begun < 2.0
    assert SLOW in found
    assert sources(found) == ["blue"]
    assert "(1 document is not read yet: there was no time; search again)" in found
    assert sources(find(["krill"], context=within(2.0))) == ["blue", "white"]
    reading.read.clear()
    assert SLOW in find(["krill"], context=within(2.0))
    assert "was not read: it takes longer" in read(["slow.txt", "blue.txt"], "food", context=within(2.0))
    assert reading.read == []  # not in each search


def test_it_is_read_by_a_run_with_more_time(tmp_path: Path, reading: Reading) -> None:
    write(tmp_path, "slow")
    find = documents(tmp_path)[0]
    assert SLOW in find(["krill"], context=within(2.0))
    reading.go_on.set()
    assert SLOW in find(["krill"], context=within(2.0))
    assert sources(find(["krill"])) == ["slow"]


def test_it_is_tried_again_after_some_time(tmp_path: Path, reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "RETRY", 0.0)
    write(tmp_path, "slow")
    find = documents(tmp_path)[0]
    assert SLOW in find(["krill"], context=within(2.0))
    reading.go_on.set()
    assert sources(find(["krill"], context=within(2.0))) == ["slow"]


def test_the_next_process_reads_it_behind_all_others(tmp_path: Path, reading: Reading) -> None:
    write(tmp_path, "slow")
    assert SLOW in documents(tmp_path)[0](["krill"], context=within(2.0))
    write(tmp_path, "white")
    reading.read.clear()
    found = documents(tmp_path)[0](["krill"], context=within(2.0))
    assert sources(found) == ["white"]
    assert SLOW in found
    assert reading.read == ["white.txt", "slow.txt"]


def test_when_there_is_no_time_for_all_what_is_read_is_found(tmp_path: Path, reading: Reading) -> None:
    write(tmp_path, *"abcdef")
    reading.seconds = 0.1
    find, read = documents(tmp_path)
    found = find(["krill"], context=within(0.5))
    there = sources(found)
    assert 0 < len(there) < 5
    assert f"({6 - len(there)} documents are not read yet: there was no time; search again)" in found
    reading.seconds = 60.0
    with pytest.raises(ToolError, match="is not read yet: there was no time; try again"):
        read(["f.txt"], "food", context=within(0.2))
    reading.seconds = 0.0
    assert sources(find(["krill"], context=within(5.0))) == list("abcdef")


def test_a_long_text_for_which_there_is_no_time_blocks_no_other(
    tmp_path: Path, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(text: str) -> Iterator[str]:
        for part in text.split():
            time.sleep(0.01 if len(text) >= indexing.SIZE else 0.0)
            yield f"{part} "

    monkeypatch.setattr(indexing, "SIZE", 1_000)
    monkeypatch.setattr(indexing, "split_into_passages", slowly)
    write(tmp_path, "blue", "white")
    (tmp_path / "long.txt").write_text("krill " * 1_000)
    find = documents(tmp_path)[0]
    found = find(["krill"], context=within(2.0))
    assert sources(found) == ["blue"]
    assert "(long.txt was not read: it takes longer" in found
    assert sources(find(["krill"], context=within(2.0))) == ["blue", "white"]
    assert sources(find(["krill"])) == ["blue", "long", "white"]


def test_a_run_gets_what_is_found_within_its_seconds(tmp_path: Path, reading: Reading) -> None:
    write(tmp_path, "blue", "slow")
    backend = ScriptedBackend(("search_documents", {"query": ["krill"]}), "Done.")
    result = Agent(backend, tools=documents(tmp_path), limits=Limits(seconds=2)).run("Find.")
    assert sources(result.tool_calls[0].response) == ["blue"]
    assert result.output == "Done."


# Threads


@pytest.fixture
def busy(tmp_path: Path, reading: Reading) -> Iterator[list[Tool[Any, Any]]]:
    """Tools of a folder of which another thread is reading a slow document, without a limit."""
    write(tmp_path, "blue")
    tools = documents(tmp_path)
    tools[0](["krill"])
    write(tmp_path, "slow")
    thread = threading.Thread(target=tools[0], args=(["krill"],))
    thread.start()
    assert reading.begun.wait(10)
    yield tools
    reading.go_on.set()
    thread.join()


def test_other_threads_find_what_is_indexed_within_their_time(busy: list[Tool[Any, Any]]) -> None:
    begun = time.monotonic()
    found = busy[0](["krill"], context=within(2.0))
    assert time.monotonic() - begun < 2.0
    assert sources(found) == ["blue"]
    assert "(1 document is not read yet: there was no time; search again)" in found


def test_other_threads_can_be_cancelled(busy: list[Tool[Any, Any]]) -> None:
    cancel = threading.Event()
    threading.Timer(0.1, cancel.set).start()
    begun = time.monotonic()
    with pytest.raises(ToolError, match="the run ended before"):
        busy[0](["krill"], context=Context(cancel=cancel))
    assert time.monotonic() - begun < 2


def test_other_threads_without_a_limit_find_everything(busy: list[Tool[Any, Any]], reading: Reading) -> None:
    threading.Timer(0.3, reading.go_on.set).start()
    assert sources(busy[0](["krill"])) == ["blue", "slow"]
    assert reading.read == ["blue.txt", "slow.txt"]


def test_other_processes_are_not_kept_waiting(busy: list[Tool[Any, Any]], tmp_path: Path) -> None:
    code = (
        "import sys, time; from agentkit import Context; from agentkit_tools import documents\n"
        "begun = time.monotonic()\n"
        "print(documents(sys.argv[1])[0](['krill']))\n"
        "print(time.monotonic() - begun < 20)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert sources(done.stdout) == ["blue", "slow"]
    assert done.stdout.endswith("True\n")
    assert sources(busy[0](["krill"], context=within(2.0))) == ["blue", "slow"]


# The disk


FULL = """
import logging, pathlib, resource, signal, sys
from agentkit_tools import documents
logging.basicConfig(format="%(message)s")
folder = pathlib.Path(sys.argv[1])
find = documents(folder)[0]
find(["krill"])
for number in range(60):
    (folder / f"{number}.txt").write_text(f"Whale {number} eats krill number{number}. " * 200)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))  # as a full disk has it
for _ in range(2):
    print(find(["number7"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no sizes of files")
def test_where_the_disk_is_full_the_index_is_in_memory_and_the_file_stays(tmp_path: Path) -> None:
    write(tmp_path, "blue")
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.count("[1] 7.txt\nsource: 7.txt\n") == 2
    assert done.stderr.count("the index of the documents is kept in memory") == 1
    (index,) = Path(os.environ["AGENTKIT_CACHE"]).rglob("*.sqlite3")
    with contextlib.closing(sqlite3.connect(index)) as database, database:
        assert ("blue.txt",) in database.execute("SELECT path FROM file").fetchall()


def failing(kind: type[sqlite3.DatabaseError], code: int) -> Callable[..., Any]:
    def fail(*_: object) -> Any:
        error = kind("an error")
        error.sqlite_errorcode = code
        raise error

    return fail


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_READONLY_DBMOVED])
def test_an_error_of_the_disk_in_a_search_loses_no_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    write(tmp_path, "blue")
    find = documents(tmp_path)[0]
    find(["krill"])
    (index,) = Path(os.environ["AGENTKIT_CACHE"]).rglob("*.sqlite3")
    before = index.stat().st_ino
    with monkeypatch.context() as patch:
        patch.setattr("agentkit_tools.contents.Contents.hits", failing(sqlite3.OperationalError, code))
        with pytest.raises(ToolError, match="can't be kept"):
            find(["krill"])
    assert sources(find(["krill"])) == ["blue"]
    assert index.stat().st_ino == before


def test_an_index_that_is_moved_away_is_made_again(tmp_path: Path) -> None:
    write(tmp_path, "blue")
    find = documents(tmp_path)[0]
    find(["krill"])
    for each in Path(os.environ["AGENTKIT_CACHE"]).rglob("*.sqlite3*"):
        each.unlink()
    write(tmp_path, "white")
    assert sources(find(["krill"])) == ["blue", "white"]


def test_a_file_that_is_no_index_is_replaced(tmp_path: Path) -> None:
    write(tmp_path, "blue")
    documents(tmp_path)[0](["krill"])
    (index,) = Path(os.environ["AGENTKIT_CACHE"]).rglob("*.sqlite3")
    for end in ("-wal", "-shm"):
        Path(f"{index}{end}").unlink(missing_ok=True)
    index.write_bytes(b"garbage" * 1000)
    assert sources(documents(tmp_path)[0](["krill"])) == ["blue"]
    with contextlib.closing(sqlite3.connect(index)) as database, database:
        assert database.execute("SELECT path FROM file").fetchall() == [("blue.txt",)]
