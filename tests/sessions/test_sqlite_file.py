"""The file of SQLiteSessions: where it is, who may read it, what happens when it goes; its locks and commits."""

import contextlib
import gc
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentkit import ConfigurationError, SessionError
from agentkit.errors import SessionBusyError
from agentkit.sessions import SQLiteSessions, open_sessions
from agentkit.sessions.group_commit import GroupCommit

HELLO = {"role": "user", "content": "Hello"}
HI = {"role": "assistant", "content": "Hi"}


def test_a_relative_path_stays_where_it_was_and_has_one_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    relative = SQLiteSessions("chat.db", wait=0.1)
    monkeypatch.chdir(tmp_path / "elsewhere")
    absolute = SQLiteSessions(tmp_path / "chat.db", wait=0.1)
    with relative["a"].hold() as writer:
        writer.append([HELLO])
        with pytest.raises(SessionBusyError):
            absolute["a"].append([HI])
    relative.close()
    relative["a"].append([HI])
    assert absolute["a"].messages == [HELLO, HI]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_symbolic_link_has_the_lock_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "other.db").symlink_to(tmp_path / "chat.db")
    one, other = SQLiteSessions(tmp_path / "chat.db"), SQLiteSessions(tmp_path / "links" / "other.db", wait=0.1)
    with one["a"].hold(), pytest.raises(SessionBusyError):
        other["a"].append([HI])
    other["a"].append([HI])
    assert one["a"].messages == [HI]
    assert [file.name for file in (tmp_path / "links").iterdir()] == ["other.db"]


@pytest.mark.parametrize(
    "path",
    [
        *(":memory:", "file:x.db", "FILE:x.db", "file:///x.db", "file:x.db?mode=memory", "x.db?mode=ro", "", " "),
        "x\0.db",
    ],
)
def test_what_is_no_path_is_refused(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError):
        SQLiteSessions(path)
    with pytest.raises(ConfigurationError):
        open_sessions(f"sqlite:{path}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["sqlite:x.db", "sqlite:///x.db", "redis://user:secret@localhost/0"])
def test_a_url_is_not_taken_for_a_path(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="is the scheme of a URL") as raised:
        SQLiteSessions(url)
    assert "secret" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_database_in_memory_is_named_as_what_it_is() -> None:
    with pytest.raises(ConfigurationError, match=r"MemorySessions\(\), or the URL memory:"):
        SQLiteSessions(":memory:")


def test_every_file_is_for_its_owner_only(tmp_path: Path) -> None:
    sessions = SQLiteSessions(tmp_path / "folder" / "chat.db")
    with sessions["a"].hold() as writer:
        writer.append([HELLO])
        files = list((tmp_path / "folder").rglob("*"))
        assert {file.name for file in files} >= {"chat.db", "chat.db-wal", "chat.db-shm", "chat.db-locks"}
        assert [file for file in files if stat.S_IMODE(file.stat().st_mode) & 0o077] == []


def remove(folder: Path) -> None:
    for name in ("chat.db", "chat.db-wal", "chat.db-shm"):
        (folder / name).unlink(missing_ok=True)


def replace(folder: Path) -> None:
    with SQLiteSessions(folder / "new.db") as new:
        new["other"].append([HI])
    remove(folder)
    (folder / "new.db").rename(folder / "chat.db")


# NousResearch/hermes-agent#101081: writes were acknowledged into a write-ahead log that had been removed.
def remove_log(folder: Path) -> None:
    (folder / "chat.db-wal").unlink()


@pytest.mark.parametrize("change", [remove, replace, remove_log])
def test_nothing_is_acknowledged_into_a_file_that_is_gone(change: Any, tmp_path: Path) -> None:
    sessions = SQLiteSessions(tmp_path / "chat.db")
    sessions["a"].append([HELLO])
    acknowledged = 0
    with sessions["a"].hold() as writer:
        writer.append([HELLO])
        change(tmp_path)
        try:
            writer.append([HI])
            acknowledged = 1
        except SessionError as error:
            assert "removed or replaced" in str(error)
    with SQLiteSessions(tmp_path / "chat.db") as other:
        assert sessions["a"].messages == other["a"].messages
        assert [message["content"] for message in sessions["a"].messages].count("Hi") == acknowledged
        sessions["a"].append([HI])
        assert other["a"].messages[-1] == HI
    sessions.close()


def test_a_file_that_is_removed_during_a_commit_is_noticed(tmp_path: Path) -> None:
    sessions = SQLiteSessions(tmp_path / "chat.db")
    sessions["a"].append([HELLO])
    check = sessions._writer.check_unmoved

    def removed() -> None:
        remove(tmp_path)
        check()

    sessions._commits._check = removed
    with pytest.raises(SessionError, match="removed or replaced"):
        sessions["a"].append([HI])
    sessions._commits._check = check
    sessions["a"].append([HI])
    assert sessions["a"].messages == [HI]


def test_the_lock_of_a_deleted_session_leaves_no_file_and_excludes_until_then(tmp_path: Path) -> None:
    sessions = SQLiteSessions(tmp_path / "chat.db")
    locks = tmp_path / "chat.db-locks"
    counter = [0, 0]

    def use(number: int) -> None:
        for turn in range(30):
            with SQLiteSessions(tmp_path / "chat.db")["a"].hold() as writer:
                counter[0] += 1
                assert counter[0] == 1
                writer.append([HELLO])
                counter[0] -= 1
                counter[1] += 1
            if turn % 5 == number % 5:
                try:
                    sessions.delete("a")
                except SessionError:
                    continue  # another thread was faster

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter == [0, 120]
    sessions["a"].append([HELLO])
    sessions.rename("a", "b")
    sessions.delete("b")
    assert list(locks.iterdir()) == []


def test_a_session_that_was_locked_and_never_written_leaves_no_file(tmp_path: Path) -> None:
    sessions = SQLiteSessions(tmp_path / "chat.db")
    assert not sessions["a"].is_held
    with sessions["a"].hold():
        assert sessions["a"].is_held
    with pytest.raises(ZeroDivisionError), sessions["a"].hold():
        _ = 1 / 0
    assert list((tmp_path / "chat.db-locks").iterdir()) == []
    sessions["a"].append([HELLO])
    assert not sessions["a"].is_held
    assert len(list((tmp_path / "chat.db-locks").iterdir())) == 1


def test_a_writer_whose_lock_file_was_removed_writes_nothing(tmp_path: Path) -> None:
    sessions = SQLiteSessions(tmp_path / "chat.db")
    with sessions["a"].hold() as writer:
        for file in (tmp_path / "chat.db-locks").iterdir():
            file.unlink()
        with pytest.raises(SessionError, match="no longer locked by this writer"):
            writer.append([HELLO])
    assert "a" not in sessions


def start_and_wait(threads: list[threading.Thread], sessions: SQLiteSessions) -> None:
    """Start writers, and return when all of them wait for the commit that goes on."""
    for thread in threads:
        thread.start()
    while len(sessions._commits._waiting) < len(threads):
        threading.Event().wait(0.001)


def test_writers_that_wait_at_the_same_time_share_a_commit(tmp_path: Path) -> None:
    sessions = SQLiteSessions(tmp_path / "chat.db")
    commits = []
    with sessions._using() as connection:
        connection.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
        threads = [threading.Thread(target=sessions[f"s{number}"].append, args=([HELLO],)) for number in range(8)]
        start_and_wait(threads, sessions)
    for thread in threads:
        thread.join()
    assert len(commits) == 1
    assert {info.id for info in sessions.list()} == {f"s{number}" for number in range(8)}


def test_a_write_that_fails_does_not_fail_the_others_of_its_commit(tmp_path: Path) -> None:
    sessions = SQLiteSessions(tmp_path / "chat.db")
    errors: list[tuple[str, str]] = []
    with sessions._using() as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)

        def write(session_id: str, text: str) -> None:
            try:
                sessions[session_id].append([{"role": "user", "content": text}])
            except SessionError as error:
                errors.append((session_id, str(error)))

        threads = [
            threading.Thread(target=write, args=(f"s{number}", "x" * (100_000 if number == 3 else 10)))
            for number in range(6)
        ]
        start_and_wait(threads, sessions)
    for thread in threads:
        thread.join()
    assert [(session_id, "too big" in reason) for session_id, reason in errors] == [("s3", True)]
    assert {info.id for info in sessions.list()} == {f"s{number}" for number in range(6) if number != 3}


@pytest.mark.parametrize("most", [10**6, 0], ids=["in one statement", "each alone"])
@given(
    appends=st.lists(
        st.lists(st.text().map(json.dumps) | st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=1)
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_entries_are_read_as_they_were_written(tmp_path: Path, most: int, appends: list[list[str]]) -> None:
    with SQLiteSessions(tmp_path / "chat.db") as sessions, pytest.MonkeyPatch.context() as patch:
        patch.setattr("agentkit.sessions.sqlite.MAX_JSON", most)
        if "a" in sessions:
            sessions.delete("a")
        with sessions["a"].hold() as writer:
            for entries in appends:
                sessions._append("a", entries, {}, writer._lock)
        written = [body for entries in appends for body in entries]
        for start, count in ((0, None), (1, None), (0, 1), (1, 2)):
            assert list(sessions._read("a", start, count)) == written[start : None if count is None else start + count]
        assert list(sessions._marks_and_log("a", ("view",))[1] or ()) == written
        assert [info.entries for info in sessions.list()] == ([len(written)] if written else [])


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_sessions_that_are_let_go_close_their_file(tmp_path: Path) -> None:
    """Python 3.13 and later warn of connections that are not closed."""
    sessions = SQLiteSessions(tmp_path / "chat.db")
    sessions["a"].append([HELLO])
    opened = sessions._writer._open
    assert opened is not None
    del sessions
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened.connection.execute("SELECT 1")


@pytest.mark.parametrize("damaged", ["{}\n{}", b"\xff", b'{"v": 1}', "\n"])
def test_what_another_program_has_written_harms_no_other_entry(damaged: str | bytes, tmp_path: Path) -> None:
    with SQLiteSessions(tmp_path / "chat.db") as sessions:
        sessions["a"].append([HELLO, HELLO, HI])
        with sessions._using() as connection:
            connection.execute("UPDATE entries SET body = ? WHERE place = 1", (damaged,))
        assert [entry.value for entry in sessions["a"].entries(skip_damaged=True)] == [HELLO, HI]
        for read in (sessions["a"].entries, lambda: sessions["a"].turn().__enter__()):
            with pytest.raises(SessionError, match="entry 1 "):
                read()


def test_an_append_to_a_session_that_another_thread_appends_to_in_the_same_commit(tmp_path: Path) -> None:
    sessions = SQLiteSessions(tmp_path / "chat.db")
    with sessions["a"].hold() as writer:
        with sessions._using():
            threads = [threading.Thread(target=writer.append, args=([HELLO] * number,)) for number in (1, 2, 3)]
            start_and_wait(threads, sessions)
        for thread in threads:
            thread.join()
    assert sessions["a"].messages == [HELLO] * 6
    sessions.close()


def in_turn(connection: sqlite3.Connection, writes: Sequence[Callable[[sqlite3.Connection], None]]) -> None:
    for write in writes:
        write(connection)


def test_an_interrupt_of_the_thread_that_commits_loses_no_write_of_another(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE written (number INTEGER)")
    guard, is_first, interrupted = threading.Lock(), [True], []

    @contextmanager
    def using() -> Iterator[sqlite3.Connection]:
        with guard:
            yield connection

    commits = GroupCommit(using, in_turn, lambda: None)

    def run(number: int) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO written VALUES (?)", (number,))
            if number == 3 and is_first.pop():
                is_first.append(False)
                raise KeyboardInterrupt

        try:
            commits.run(write)
        except KeyboardInterrupt:
            interrupted.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    with guard:
        for thread in threads:
            thread.start()
        while len(commits._waiting) < 6:
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join()
    written = [number for (number,) in connection.execute("SELECT number FROM written")]
    assert len(interrupted) == 1
    assert sorted(written + interrupted) == list(range(6))
    connection.close()


def test_many_threads_write_at_once_and_each_write_is_committed(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE written (number INTEGER UNIQUE)")
    guard, failed = threading.Lock(), []

    @contextmanager
    def using() -> Iterator[sqlite3.Connection]:
        with guard:
            yield connection

    commits = GroupCommit(using, in_turn, lambda: None)

    def insert(number: int, connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO written VALUES (?)", (number,))

    def run(first: int) -> None:
        for number in range(first, first + 100):
            write = partial(insert, number if number % 10 else 0)  # of every tenth it fails
            try:
                commits.run(write)
            except sqlite3.IntegrityError:
                failed.append(number)

    threads = [threading.Thread(target=run, args=(first,)) for first in range(0, 1_600, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    written = {number for (number,) in connection.execute("SELECT number FROM written")}
    assert written == {number for number in range(1_600) if number % 10} | {0}
    assert len(failed) == 159
    assert not commits._is_committing
    connection.close()


def test_one_subjects_list_reads_that_subjects_sessions_only(tmp_path: Path) -> None:
    sessions = SQLiteSessions(tmp_path / "chat.db")

    def steps_for(others: int) -> int:
        with sessions._using() as connection:
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT INTO sessions (id, entries, created, updated) VALUES (?, 1, 0, 0)",
                [(f"other:{others}:{number}",) for number in range(others)],
            )
            connection.execute("COMMIT")
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        with sessions._reader.using() as connection:
            connection.set_progress_handler(count, 1)
            assert [info.id for info in sessions.list("me:")] == ["me:1"]
            connection.set_progress_handler(None, 1)
        return steps

    sessions["me:1"].append([HELLO])
    sessions["mee"].append([HELLO])
    assert steps_for(10) == steps_for(20_000)
    assert sessions.list("_%") == sessions.list("\ud800") == []


WRITERS = """
import sys, threading
from agentkit.sessions import SQLiteSessions
sessions = SQLiteSessions(sys.argv[1])
def write(number):
    for turn in range(100_000):
        sessions[f"s{number}"].append([{"role": "user", "content": str(turn)}])
        sys.stdout.write(f"s{number} {turn}\\n")
        sys.stdout.flush()
for number in range(8):
    threading.Thread(target=write, args=(number,)).start()
"""


def test_what_a_shared_commit_acknowledged_outlives_a_killed_process(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    command = [sys.executable, "-c", WRITERS, str(tmp_path / "chat.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(400)]
        process.kill()
        lines += process.stdout.readlines()
    acknowledged = [line.split() for line in lines if line.endswith("\n")]
    with SQLiteSessions(tmp_path / "chat.db") as sessions:
        for number in range(8):
            said = [str(message["content"]) for message in sessions[f"s{number}"].messages]
            assert said == [str(turn) for turn in range(len(said))]
            assert {turn for session_id, turn in acknowledged if session_id == f"s{number}"} <= set(said)


def test_a_lock_is_released_when_the_look_whether_it_was_used_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with SQLiteSessions(tmp_path / "s.db", wait=0.2) as sessions:
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt), sessions["a"].hold():
            patched.setattr(sessions, "_read", interrupted)
        with sessions["a"].hold() as writer:
            writer.append([{"role": "user", "content": "Hello"}])


def test_a_new_store_that_another_process_is_just_making_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite does not wait for the write-ahead log: openai/openai-agents-python#4987."""
    other = sqlite3.connect(tmp_path / "chat.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("time.sleep", lambda seconds: other.execute("COMMIT"))
    store = SQLiteSessions(tmp_path / "chat.db")
    store["a"].append([HELLO])
    assert store["a"].messages == [HELLO]
    store.close()
    other.close()


READS = """
import sys
from agentkit import SessionError
from agentkit.sessions import SQLiteSessions

try:
    with SQLiteSessions(sys.argv[1]) as store:
        print([info.id for info in store.list()], len(store["a"].messages), len(store["a"].entries()))
        store["a"].append([{"role": "user", "content": "Hello"}])
except SessionError as error:
    print(error)
"""


def on_a_read_only_mount(folder: Path, path: Path) -> list[str]:
    """What a process says that reads a store and then appends to it, where the folder can't be written."""
    mount = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1"'
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount, "sh", folder], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody mount a folder for a process alone")
    command = ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$2" -c "$3" "$4"', "sh", folder, sys.executable, READS]
    done = subprocess.run([*map(str, command), str(path)], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.skipif(shutil.which("unshare") is None, reason="util-linux is not installed")
def test_a_store_that_cant_be_written_can_be_read(tmp_path: Path) -> None:
    """As a backup on a read-only mount: getagentseal/codeburn#1017, fr-ser/grafana-sqlite-datasource#168."""
    with SQLiteSessions(tmp_path / "chat.db") as store:
        store["a"].append([HELLO, HI])
    said = on_a_read_only_mount(tmp_path, tmp_path / "chat.db")
    assert said[0] == "['a'] 2 2"
    assert "can't be locked" in said[1]
    assert "Read-only file system" in said[1]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="util-linux is not installed")
def test_tables_of_an_older_version_that_cant_be_written_are_told(tmp_path: Path) -> None:
    with SQLiteSessions(tmp_path / "chat.db") as store:
        store["a"].append([HELLO, HI])
    with contextlib.closing(sqlite3.connect(tmp_path / "chat.db")) as database:
        database.execute("PRAGMA user_version = 1")
    (said,) = on_a_read_only_mount(tmp_path, tmp_path / "chat.db")
    assert "of an older agentkit (version 1): copy it to where it can be written" in said


@pytest.mark.skipif(shutil.which("unshare") is None, reason="util-linux is not installed")
def test_what_stands_in_a_write_ahead_log_that_cant_be_read_is_not_left_out(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with SQLiteSessions(tmp_path / "chat.db") as store:
        store["a"].append([HELLO, HI])
        for name in ("chat.db", "chat.db-wal"):
            shutil.copy(tmp_path / name, tmp_path / "copy" / name)
    (said,) = on_a_read_only_mount(tmp_path / "copy", tmp_path / "copy" / "chat.db")
    assert "unable to open database file" in said


def test_a_store_that_could_not_be_written_for_a_moment_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite can't open a file where a process has no descriptors left."""
    with SQLiteSessions(tmp_path / "chat.db") as store:
        store["a"].append([HELLO])
    connect = sqlite3.connect

    def without_descriptors(at: Any, **options: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(at if "mode=ro" in str(at) else tmp_path / "none" / "chat.db", **options)
        return made

    monkeypatch.setattr(sqlite3, "connect", without_descriptors)
    store = SQLiteSessions(tmp_path / "chat.db")
    assert store["a"].messages == [HELLO]
    monkeypatch.undo()
    store["a"].append([HI])
    assert store["a"].messages == [HELLO, HI]
    store.close()
