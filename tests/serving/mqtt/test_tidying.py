"""Histories that are idle or too many are dropped, and those of conversations that go on are not."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.serving.chat_service import ChatService
from agentkit.serving.mqtt.idle import IdleTimes
from agentkit.serving.mqtt.projects import Project
from agentkit.serving.mqtt.responder import Responder
from agentkit.session import Sessions
from agentkit.sessions import MemorySessions, RedisSessions, SQLiteSessions
from agentkit.testing import ScriptedBackend
from tests.support.redis_server import serve_redis

PROJECT = Project.named("p")
HOUR = 3600.0


@pytest.fixture(params=["memory", "sqlite", "redis"])
def sessions(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sessions]:
    if request.param == "redis":
        with serve_redis(tmp_path) as server, RedisSessions(server.url) as store:
            yield store
    else:
        with MemorySessions() if request.param == "memory" else SQLiteSessions(tmp_path / "s.db") as store:
            yield store


def say(sessions: Sessions, session: str, text: str) -> None:
    sessions[f"p:{session}"].append([{"role": "user", "content": text}])


def test_a_history_that_is_written_to_while_others_are_dropped_stays(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each was deleted as soon as the lock of the one before it was free, whatever was said in it since."""
    responder = Responder(ChatService(ScriptedBackend(), sessions))
    for session in ("a", "b", "c", "c2", "d"):
        say(sessions, session, "first")
    listed = sessions.list("p:")
    monkeypatch.setattr(responder, "_session_infos", lambda project: listed)
    say(sessions, "b", "second")
    sessions.delete("p:d")
    say(sessions, "d", "begun anew")
    with sessions["p:a"].hold():
        began = time.monotonic()
        responder.tidy(PROJECT, 0, HOUR)  # all are too many
        responder.tidy(PROJECT, 100, -1)  # all are idle
        assert time.monotonic() - began < 5  # nothing was waited for
    assert sorted(info.id for info in sessions.list()) == ["p:a", "p:b", "p:d"]


def test_no_history_is_dropped_because_the_clock_is_set_forward() -> None:
    sessions, ahead, passed = MemorySessions(), 0.0, 0.0
    responder = Responder(ChatService(ScriptedBackend(), sessions))
    responder.idle_times = IdleTimes(lambda: time.time() + passed + ahead, lambda: time.monotonic() + passed)
    say(sessions, "a", "Hello")
    ahead = 12 * HOUR
    responder.tidy(PROJECT, 100, HOUR)
    passed = 0.9 * HOUR
    responder.tidy(PROJECT, 100, HOUR)
    assert "p:a" in sessions
    passed = 1.1 * HOUR
    responder.tidy(PROJECT, 100, HOUR)
    assert "p:a" not in sessions


def test_an_idle_history_is_dropped_also_where_the_clock_was_never_set() -> None:
    sessions, passed = MemorySessions(), 0.0
    responder = Responder(ChatService(ScriptedBackend(), sessions))
    responder.idle_times = IdleTimes(lambda: time.time() + passed, lambda: time.monotonic() + passed)
    say(sessions, "a", "Hello")
    for _ in range(3):
        assert "p:a" in sessions
        passed += 0.4 * HOUR
        responder.tidy(PROJECT, 100, HOUR)
    assert "p:a" not in sessions
