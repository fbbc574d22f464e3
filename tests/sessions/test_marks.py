"""Marks: an entry that a mark names is found without reading the log, and is the one that the log says."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentkit.session import Sessions
from agentkit.sessions import MemorySessions, RedisSessions, SQLiteSessions
from agentkit.sessions.log import Marks, find_mark, write_entries
from tests.sessions.conftest import Store
from tests.support.redis_server import RedisServer

HELLO = {"role": "user", "content": "Hello"}
NAMES = ("view", "request:1", "request:2", "request:3")

KINDS = st.sampled_from(["message", "view", "1", "2", "3"])
APPENDS = st.lists(st.tuples(st.lists(KINDS, min_size=1, max_size=4), st.none() | st.integers(0, 12)), max_size=8)


def append(sessions: Sessions, session_id: str, kinds: list[str], dropped_from: int | None) -> None:
    """Append entries and their marks; with `dropped_from` the first is an undo that drops marks."""
    entries: list[dict[str, Any]] = [] if dropped_from is None else [{"undo": 0, "dropped_from": dropped_from}]
    places = {}
    for kind in kinds:
        if kind == "message":
            entries.append({"message": HELLO})
            continue
        places["view" if kind == "view" else f"request:{kind}"] = len(entries)
        entries.append({"view": {}} if kind == "view" else {"request": {"id": kind, "state": "begun"}})
    with sessions[session_id].hold() as writer:
        marks = Marks(places, dropped_from)
        sessions._append_marked(session_id, write_entries(entries), {}, writer._lock, marks)


@given(APPENDS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_a_mark_is_what_the_log_says(store: Store, appends: list[tuple[list[str], int | None]]) -> None:
    sessions = store()
    if "a" in sessions:
        sessions.delete("a")
    for number, (kinds, dropped_from) in enumerate(appends):
        append(sessions, "a", kinds, None if number == 0 else dropped_from)
    log = sessions["a"].entries()
    expected = [find_mark(log, name) for name in NAMES]
    assert [sessions._mark("a", name) for name in NAMES] == expected
    assert sessions._marks("a", NAMES) == expected
    places, texts = sessions._marks_and_log("a", NAMES)
    assert places == expected
    assert texts is None or expected[0] is not None or list(texts) == list(sessions._read("a", 0))


def test_marks_go_with_their_session(store: Store) -> None:
    sessions = store()
    append(sessions, "a", ["message", "view", "1"], None)
    sessions.rename("a", "b")
    assert (sessions._mark("a", "view"), sessions._mark("b", "view"), sessions._mark("b", "request:1")) == (None, 1, 2)
    sessions.delete("b")
    sessions["b"].append([HELLO])
    assert sessions._mark("b", "view") is None


@pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
def test_a_mark_is_found_without_reading_the_log(
    kind: str, tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: Sessions = MemorySessions()
    if kind == "sqlite":
        sessions = SQLiteSessions(tmp_path / "chat.db")
    elif kind == "redis":
        sessions = RedisSessions(redis.url, f"{tmp_path.name}:")
    append(sessions, "a", ["message", "view", "1"], None)

    def refuse(*_: Any) -> None:
        raise AssertionError("the log was read")

    monkeypatch.setattr(sessions, "_read", refuse)
    assert [sessions._mark("a", name) for name in ("view", "request:1", "request:2")] == [1, 2, None]
    assert sessions._mark("b", "view") is None
    sessions.close()


VERSION_1 = """
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, entries INTEGER NOT NULL, created REAL NOT NULL,
    updated REAL NOT NULL
);
CREATE TABLE entries (
    session INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE, place INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (session, place)
) WITHOUT ROWID;
CREATE TABLE blobs (
    session INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE, digest TEXT NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (session, digest)
);
PRAGMA user_version = 1;
"""


def test_a_file_of_an_earlier_version_is_brought_up_and_its_marks_are_found(tmp_path: Path) -> None:
    entries = write_entries([{"message": HELLO}, {"view": {}}, {"request": {"id": "1", "state": "begun"}}])
    connection = sqlite3.connect(tmp_path / "chat.db")
    connection.executescript(VERSION_1)
    connection.execute("INSERT INTO sessions VALUES (1, 'old', 3, 0, 0)")
    connection.executemany("INSERT INTO entries VALUES (1, ?, ?)", list(enumerate(entries)))
    connection.commit()
    connection.close()
    with SQLiteSessions(tmp_path / "chat.db") as sessions:
        assert (sessions._mark("old", "view"), sessions._mark("old", "request:1")) == (1, 2)
        append(sessions, "old", ["message", "1"], None)
        assert (sessions._mark("old", "view"), sessions._mark("old", "request:1")) == (1, 4)
        append(sessions, "new", ["1"], None)
        assert sessions._mark("new", "request:1") == 0


def test_a_session_in_redis_from_before_marks_is_searched(redis: RedisServer, tmp_path: Path) -> None:
    sessions = RedisSessions(redis.url, f"{tmp_path.name}:")
    append(sessions, "a", ["message", "view", "1"], None)
    server, prefix = sessions._client.server, tmp_path.name
    server.delete(f"{prefix}:session:a:marks", f"{prefix}:sessions-by-name")
    server.hdel(f"{prefix}:session:a:about", "marked")  # as an earlier agentkit left it
    assert (sessions._mark("a", "view"), sessions._mark("a", "request:1")) == (1, 2)
    assert [info.id for info in sessions.list("a")] == ["a"]
    append(sessions, "a", ["1"], None)
    assert (sessions._mark("a", "view"), sessions._mark("a", "request:1")) == (1, 3)
    sessions.close()


@pytest.mark.parametrize("lost", ["marks", "about", "entries"])
def test_a_request_is_known_although_redis_has_evicted_a_key_of_its_session(
    redis: RedisServer, tmp_path: Path, lost: str
) -> None:
    """A Redis with another policy than `noeviction` drops single keys when it is full: taskforcesh/bullmq#2737,
    redis/redis#8623."""
    sessions = RedisSessions(redis.url, f"{tmp_path.name}:")
    for name in ("1", "2"):
        append(sessions, "a", ["message", "view", name], None)
    sessions._client.server.delete(f"{tmp_path.name}:session:a:{lost}")
    known = (4, 2, 5) if lost != "entries" else (None, None, None)
    assert [sessions._mark("a", name) for name in ("view", "request:1", "request:2")] == [*known]
    append(sessions, "a", ["3"], None)
    append(sessions, "a", ["message"] * 5, None)
    found = [sessions._mark("a", name) for name in ("view", "request:1", "request:3")]
    assert found == ([4, 2, 6] if lost != "entries" else [None, None, 0])
    sessions.close()
