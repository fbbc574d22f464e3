"""Sessions: stored data is read back, with one writer at a time, in agentkit's stores and another package's."""

import json
import math
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import ConfigurationError, SessionError
from agentkit._text import json_bytes
from agentkit.errors import SessionBusyError
from agentkit.limits import Usage
from agentkit.session import Sessions
from agentkit.sessions import MemorySessions, RedisSessions, SQLiteSessions, open_sessions
from agentkit.sessions.views import last_view
from tests.sessions.conftest import Store
from tests.support.many_writers import write_many
from tests.support.redis_server import RedisServer, serve_redis
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
HELLO = {"role": "user", "content": "Hello"}
HI = {"role": "assistant", "content": "Hi"}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def test_what_is_written_is_read_again(store: Store) -> None:
    sessions = store()
    assert "alice" not in sessions
    assert sessions["alice"].messages == []
    sessions["alice"].append([HELLO])
    sessions["alice"].append([HI, HELLO])
    assert sessions["alice"].messages == [HELLO, HI, HELLO]
    assert sessions["bob"].messages == []
    assert "alice" in sessions
    assert store()["alice"].messages == [HELLO, HI, HELLO]


def test_sessions_are_listed_the_last_written_first(store: Store) -> None:
    sessions = store()
    for name in ("a", "b", "c"):
        sessions[name].append([HELLO])
        time.sleep(0.01)
    sessions["a"].append([HI])
    assert [(info.id, info.entries) for info in sessions.list()] == [("a", 2), ("c", 1), ("b", 1)]
    info = sessions.list()[0]
    assert info.created < info.updated


def test_a_session_is_deleted_with_its_images(store: Store) -> None:
    sessions = store()
    image_message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}
    sessions["a"].append([image_message])
    sessions.delete("a")
    assert "a" not in sessions
    assert sessions.list() == []
    with pytest.raises(SessionError, match="session 'a' not found"):
        sessions.delete("a")
    sessions["a"].append([HELLO])
    assert sessions["a"].messages == [HELLO]


@pytest.mark.parametrize("count", [0, -1])
def test_no_entries_are_read_where_none_are_asked_for(store: Store, count: int) -> None:
    session = store()["a"]
    session.append([HELLO, HI])
    assert session.entries(count=count) == []
    assert session.entries(1, count=count) == []
    with session.hold() as writer:
        assert writer.entries(0, 0) == []
    assert len(session.entries(-1)) == len(session.entries()) == 2


@pytest.mark.parametrize("wait", [math.inf, 1e12])
def test_a_writer_may_wait_without_end(store: Store, wait: float) -> None:
    sessions = store(wait=wait)
    with sessions["a"].hold():
        writer = threading.Thread(target=sessions["a"].append, args=([HELLO],))
        writer.start()
        writer.join(0.2)
        assert writer.is_alive()
    writer.join(10)
    assert sessions["a"].messages == [HELLO]


def test_a_session_is_renamed(store: Store) -> None:
    sessions = store()
    sessions["a"].append([HELLO, {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}])
    before = sessions["a"].messages
    sessions.rename("a", "b")
    assert sessions["b"].messages == before
    assert "a" not in sessions
    sessions["c"].append([HI])
    with pytest.raises(SessionError, match="already"):
        sessions.rename("b", "c")
    with pytest.raises(SessionError, match="session 'z' not found"):
        sessions.rename("z", "y")
    sessions.rename("b", "b")
    assert sessions["b"].messages == before


def test_a_session_is_forked_at_a_message(store: Store) -> None:
    sessions = store()
    sessions["a"].append([HELLO, HI, HELLO])
    fork = sessions.fork("a", "b", at=2)
    fork.append([{"role": "user", "content": "Other"}])
    assert [message["content"] for message in sessions["b"].messages] == ["Hello", "Hi", "Other"]
    assert len(sessions["a"].messages) == 3
    with pytest.raises(SessionError, match="already"):
        sessions.fork("a", "b")
    with pytest.raises(SessionError, match="at=9"):
        sessions.fork("a", "c", at=9)


def test_a_fork_keeps_times_and_usage_but_not_as_those_of_its_own_requests(store: Store) -> None:
    sessions = store()
    with sessions["a"].hold() as writer:
        writer.append([HELLO])
        writer.append([HI], Usage(requests=1, input_tokens=5))
        writer.append([HELLO])
    before = sessions["a"].entries()
    sessions.fork("a", "b", at=2)
    sessions.fork("b", "c")
    for name in ("b", "c"):
        copies = sessions[name].entries()
        assert [(each.at, each.usage, each.value) for each in copies] == [
            (each.at, each.usage, each.value) for each in before[:2]
        ]
        assert last_view(copies) == (None, None)  # the next request is estimated, and not by what `a` sent
    assert last_view(before)[1] == Usage(requests=1, input_tokens=5)


def test_a_session_that_was_written_to_since_it_was_listed_is_not_deleted(store: Store) -> None:
    sessions = store(wait=0.1)
    for name in ("a", "b"):
        sessions[name].append([HELLO])
    second, first = sessions.list()
    sessions["a"].append([HI])
    assert not sessions.delete_unchanged(first)
    with sessions["b"].hold():
        assert not sessions.delete_unchanged(second)
    assert sessions.delete_unchanged(second)
    assert not sessions.delete_unchanged(second)
    assert [info.id for info in sessions.list()] == ["a"]


def test_several_sessions_are_deleted_all_or_none(store: Store) -> None:
    sessions = store(wait=0.1)
    for name in ("a", "b", "c"):
        sessions[name].append([HELLO])
    with sessions["b"].hold(), pytest.raises(SessionBusyError):
        sessions.delete_all(["a", "b"])
    sessions.delete_all(["a", "b", "a", "none"], wait=0.0)
    assert [info.id for info in sessions.list()] == ["c"]
    with pytest.raises(SessionError, match="valid session id"):
        sessions.delete_all(["c", ".."])
    sessions["a"].append([HI])
    assert sessions["a"].messages == [HI]


def test_entries_are_read_without_their_images(store: Store) -> None:
    sessions = store()
    content = [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    sessions["a"].append([HELLO, {"role": "user", "content": content}])
    (entry,) = sessions["a"].entries(1, images=False)
    assert entry.value["content"] == [content[0], {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]


@pytest.mark.parametrize(
    "session_id", ["", "a/b", "a b", "../x", "a\0", "x" * 129, ".hidden", "+", "#", "a\n", 7, None]
)
def test_ids_are_checked(store: Store, session_id: Any) -> None:
    with pytest.raises(SessionError, match="is not a valid session id"):
        store()[session_id]


@pytest.mark.parametrize("session_id", ["a", "Zoë", "user:42@example.org", "x" * 128, "_", "2026-11-21.log", "a=b+c"])
def test_most_names_are_ids(store: Store, session_id: str) -> None:
    sessions = store()
    sessions[session_id].append([HELLO])
    assert sessions[session_id].messages == [HELLO]
    assert [info.id for info in sessions.list()] == [session_id]


@pytest.mark.parametrize("request_id", ["", "x" * 1001, 5, "1\ud83d"])
def test_a_request_id_that_some_store_cannot_keep_is_refused_by_each(store: Store, request_id: Any) -> None:
    with pytest.raises(SessionError, match="must be a text"), store()["s"].turn(request_id):
        pass


def test_images_are_stored_once_and_apart_from_the_messages(store: Store) -> None:
    sessions = store()
    part = {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}
    message = {"role": "user", "content": [{"type": "text", "text": "Look"}, part, part]}
    web = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}]}
    sessions["a"].append([message, web])
    assert sessions["a"].messages == [message, web]
    stored = "".join(sessions._read("a", 0))
    assert "base64" not in stored
    assert stored.count("agentkit-blob:sha256-") == 2


def test_what_is_stored_is_json_that_a_person_can_read(store: Store) -> None:
    sessions = store()
    sessions["a"].append([{"role": "user", "content": "Grüße"}])
    (entry,) = sessions._read("a", 0)
    assert "Grüße" in entry
    stored = json.loads(entry)
    assert (stored["v"], stored["message"]) == (1, {"role": "user", "content": "Grüße"})
    assert stored["at"].startswith("20")
    assert stored["at"].endswith("Z")


def test_an_entry_of_a_newer_format_is_rejected_with_the_reason(store: Store) -> None:
    sessions = store()
    with sessions["a"].hold() as writer:
        sessions._append("a", ['{"v": 3, "message": {}}'], {}, writer._lock)
    with pytest.raises(SessionError, match="format 3, but this agentkit reads up to 2"):
        sessions["a"].entries()


def test_a_second_writer_waits(store: Store) -> None:
    sessions, order = store(), []

    def second() -> None:
        store()["a"].append([HI])
        order.append("second")

    with sessions["a"].hold() as writer:
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
        writer.append([HELLO])
    thread.join(5)
    assert order == ["first", "second"]
    assert sessions["a"].messages == [HELLO, HI]


def test_a_second_writer_that_waits_too_long_gets_an_error(store: Store) -> None:
    sessions = store()
    with sessions["a"].hold():
        started = time.monotonic()
        with pytest.raises(SessionBusyError, match="is locked by another writer"):
            store(wait=0.2)["a"].append([HI])
        assert 0.15 < time.monotonic() - started < 2
        store(wait=0.2)["b"].append([HI])  # another session is not locked
    store(wait=5)["a"].append([HI])


def test_many_threads_write_without_losing_or_mixing(store: Store) -> None:
    def write(number: int) -> None:
        sessions = store()
        for turn in range(5):
            sessions["a"].append([{"role": "user", "content": f"{number} {turn}"}, {"role": "user", "content": "end"}])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = [str(message["content"]) for message in store()["a"].messages]
    assert said[1::2] == ["end"] * 40
    assert sorted(said[::2]) == sorted(f"{number} {turn}" for number in range(8) for turn in range(5))
    for number in range(8):
        assert [text for text in said[::2] if text.startswith(f"{number} ")] == [
            f"{number} {turn}" for turn in range(5)
        ]


def _url(kind: str, folder: Path, redis: RedisServer) -> str:
    return redis.url if kind == "redis" else f"{kind}:{folder / 'sessions'}"


@pytest.mark.parametrize("kind", ["sqlite", "redis", "jsonl"])
def test_processes_write_without_losing_or_mixing(kind: str, tmp_path: Path, redis: RedisServer, package: Path) -> None:
    from functools import partial

    make: Callable[[], Sessions]
    url = _url(kind, tmp_path, redis)
    make = partial(RedisSessions, url, "many:") if kind == "redis" else partial(open_sessions, url)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=write_many, args=(make, number)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    said = [message["content"] for message in make()["a"].messages]
    assert said[1::2] == ["end"] * 30
    assert len(set(said[::2])) == 30


HOLDER = """
import sys, time
from agentkit.sessions import RedisSessions, open_sessions
kind, where = sys.argv[1:]
sessions = RedisSessions(where, prefix="held:", lease=1.0) if kind == "redis" else open_sessions(where)
with sessions["a"].hold() as writer:
    writer.append([{"role": "user", "content": "before"}])
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["sqlite", "redis", "jsonl"])
def test_the_lock_of_a_killed_writer_is_freed(kind: str, tmp_path: Path, redis: RedisServer, package: Path) -> None:
    where = _url(kind, tmp_path, redis)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    command = [sys.executable, "-c", HOLDER, kind, where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        sessions = RedisSessions(where, prefix="held:") if kind == "redis" else open_sessions(where)
        sessions.wait = 0.2
        with pytest.raises(SessionBusyError):
            sessions["a"].append([HI])
        os.kill(holder.pid, signal.SIGKILL)
    sessions.wait = 5
    started = time.monotonic()
    sessions["a"].append([HI])
    assert time.monotonic() - started < 3
    assert [message["content"] for message in sessions["a"].messages] == ["before", "Hi"]
    sessions.close()


def test_a_writer_that_has_lost_its_lock_writes_nothing(redis: RedisServer) -> None:
    first, second = RedisSessions(redis.url, "lost:", lease=0.3), RedisSessions(redis.url, "lost:")
    with first["a"].hold() as writer:
        first._client.server.delete("lost:session:a:lock")  # as if its lock had expired
        with second["a"].hold() as other:
            other.append([HI])
            with pytest.raises(SessionError, match="has taken over this session"):
                writer.append([HELLO])
    assert second["a"].messages == [HI]


def test_a_slow_writer_keeps_its_session_by_renewing_its_lock(redis: RedisServer) -> None:
    with RedisSessions(redis.url, "slow:", lease=0.4)["a"].hold() as writer:
        time.sleep(1.2)
        with pytest.raises(SessionBusyError):
            RedisSessions(redis.url, "slow:", wait=0.1)["a"].append([HI])
        writer.append([HELLO])


def test_an_append_received_twice_by_redis_is_stored_once(redis: RedisServer) -> None:
    sessions = RedisSessions(redis.url, "twice:")
    with sessions["a"].hold() as writer:
        writer.append([HELLO])
        writer._lock.length -= 1  # as if the answer had been lost
        writer.append([HELLO])
        writer.append([HI])
    assert sessions["a"].messages == [HELLO, HI]


def test_an_unreachable_redis_is_a_clear_error_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    with serve_redis(tmp_path) as server:
        sessions = RedisSessions(server.url)
        sessions["a"].append([HELLO])
        server.kill()
        with pytest.raises(SessionError, match="can't be used"):
            sessions["a"].append([HI])
        server.start()
        sessions["a"].append([HI])
        assert sessions["a"].messages == [HELLO, HI]


def test_the_error_for_an_invalid_url_has_no_password() -> None:
    with pytest.raises(ConfigurationError, match="not a valid Redis URL") as caught:
        RedisSessions("nonsense://me:secret@host/0")
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(RedisSessions("redis://me:secret@localhost:1/0"))


def test_a_full_disk_is_a_clear_error_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    sessions = SQLiteSessions(tmp_path / "chat.db")
    sessions["a"].append([HELLO])
    with sessions._using() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SessionError, match="full"):
        sessions["a"].append([{"role": "user", "content": "x" * 100_000}])
    assert sessions["a"].messages == [HELLO]
    with sessions._using() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    sessions["a"].append([HI])
    assert sessions["a"].messages == [HELLO, HI]


def test_a_locked_database_is_a_clear_error(tmp_path: Path) -> None:
    sessions = SQLiteSessions(tmp_path / "chat.db")
    sessions["a"].append([HELLO])
    with sessions._using() as connection:
        connection.execute("PRAGMA busy_timeout = 100")
    other = sqlite3.connect(tmp_path / "chat.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(SessionError, match="locked"):
        sessions["a"].append([HI])
    other.execute("ROLLBACK")
    other.close()
    sessions["a"].append([HI])
    assert sessions["a"].messages == [HELLO, HI]


def test_an_invalid_or_newer_database_file_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("This is no database, but long enough to be looked at as one." * 20)
    with pytest.raises(SessionError, match="not a database"):
        SQLiteSessions(tmp_path / "text.db")
    SQLiteSessions(tmp_path / "new.db").close()
    connection = sqlite3.connect(tmp_path / "new.db")
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(SessionError, match="newer agentkit"):
        SQLiteSessions(tmp_path / "new.db")


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    SQLiteSessions(tmp_path / "folder" / "chat.db").close()
    assert (tmp_path / "folder" / "chat.db").stat().st_mode & 0o077 == 0


def test_appending_to_a_long_session_writes_as_much_as_to_a_short_one(tmp_path: Path) -> None:
    sessions = SQLiteSessions(tmp_path / "chat.db")
    changes = []
    for _ in range(3):
        with sessions._using() as connection:
            before = connection.total_changes
            sessions["a"].append([HELLO])
            changes.append(connection.total_changes - before)
        sessions["a"].append([HELLO] * 500)
    assert changes[0] >= changes[1] == changes[2]


VALUES = st.text() | st.integers(-(2**63), 2**64 - 1) | st.none()


@given(st.lists(st.dictionaries(st.text(max_size=8), VALUES, max_size=4), max_size=8))
@settings(max_examples=50, deadline=None)
def test_any_messages_are_kept_as_they_are(given: list[dict[str, Any]]) -> None:
    messages = [{**HELLO, **each, "role": "user"} for each in given]
    with MemorySessions() as sessions:
        sessions["a"].append(messages)
        assert sessions["a"].messages == json.loads(json_bytes(messages))


@pytest.mark.parametrize(
    "text",
    ["[]", "null", "7", '"text"', "{}", "not JSON", '{"v": 1, "message": 7}', '{"v": 1, "undo": []}', '{"v": 9}'],
)
def test_an_entry_of_a_wrong_shape_does_not_keep_a_session_from_being_listed_renamed_and_deleted(
    store: Store, text: str
) -> None:
    sessions = store()
    sessions["good"].append([HELLO])
    with sessions["bad"].hold() as writer:
        sessions._append("bad", [text], {}, writer._lock)
    assert {info.id for info in sessions.list()} == {"good", "bad"}
    assert [info.entries for info in sessions.list("bad")] == [1]
    assert "bad" in sessions
    sessions.rename("bad", "worse")
    assert list(sessions._read("worse", 0)) == [text]
    sessions.delete("worse")
    assert [info.id for info in sessions.list()] == ["good"]


def test_a_clock_that_is_set_back_an_hour_breaks_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = store(wait=0.2)
    sessions["a"].append([HELLO])
    before, clock = sessions.list()[0], time.time

    class Earlier(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Earlier":
            return cls.fromtimestamp(time.time(), tz)

    monkeypatch.setattr(time, "time", lambda: clock() - 3600)
    for module in ("memory", "sqlite"):
        monkeypatch.setattr(f"agentkit.sessions.{module}.datetime", Earlier)
    with sessions["a"].hold() as writer:
        writer.append([HI])
        with pytest.raises(SessionBusyError):
            store(wait=0.2)["a"].append([HELLO])
        writer.append([HELLO])
    sessions["new"].append([HELLO])
    infos = {info.id: info for info in sessions.list()}
    assert infos["a"].entries == 3
    assert infos["a"].created == before.created
    assert all(info.created <= info.updated for info in infos.values())
    sessions.delete("a")


def test_lists_are_of_the_prefix_only(store: Store) -> None:
    sessions = store()
    for session_id in ("ann", "ann:1", "ann:2", "anna", "Ann:3", "b", "Zoë", "Zoë2", "an_", "anx"):
        sessions[session_id].append([HELLO])

    def listed(prefix: str) -> set[str]:
        return {info.id for info in sessions.list(prefix)}

    assert listed("ann:") == {"ann:1", "ann:2"}
    assert listed("ann") == {"ann", "ann:1", "ann:2", "anna"}
    assert listed("Zoë") == {"Zoë", "Zoë2"}
    assert listed("an_") == {"an_"}
    assert listed("an%") == listed("c") == listed("\ud800") == listed("x" * 200) == set()
    sessions.rename("ann:1", "b:1")
    sessions.delete("ann:2")
    assert listed("ann:") == set()
    assert listed("b") == {"b", "b:1"}


def test_those_who_wait_for_a_session_get_it_in_the_order_in_which_they_came(store: Store) -> None:
    made, order = store(), list[int]()
    session = made["line"]

    def write(number: int) -> None:
        with session.hold(gives_up=(lambda: False) if number % 2 else None) as writer:
            order.append(number)
            writer.append([{"role": "user", "content": str(number)}])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    with session.hold():
        for place, thread in enumerate(threads, start=1):
            thread.start()
            until(lambda place=place: len(made._waiting._lines.get("line", ())) == place)  # type: ignore[misc]
        with pytest.raises(SessionBusyError), session.hold(wait=0.05):
            pass
        with pytest.raises(SessionBusyError, match="was cancelled"), session.hold(gives_up=lambda: True):
            pass
    for thread in threads:
        thread.join()
    assert order == list(range(8))
    assert [entry.value["content"] for entry in session.entries()] == [str(number) for number in range(8)]
    assert not made._waiting.has_some("line")
