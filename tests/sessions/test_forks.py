"""Forks: a child of `os.fork` neither holds the locks of its parent nor waits for those of threads that it lacks."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agentkit import SessionError
from agentkit.errors import SessionBusyError
from agentkit.session import Sessions
from agentkit.sessions import MemorySessions, RedisSessions, SQLiteSessions
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
HELLO = {"role": "user", "content": "Hello"}
HI = {"role": "assistant", "content": "Hi"}


# tox-dev/filelock#657 and dolthub/doltlite#1205: a child keeps, or gives back, the lock that its parent holds.
@pytest.fixture(params=["memory", "sqlite", "redis"])
def sessions(request: pytest.FixtureRequest, tmp_path: Path, redis: RedisServer) -> Sessions:
    if request.param == "memory":
        return MemorySessions()
    if request.param == "sqlite":
        return SQLiteSessions(tmp_path / "chat.db")
    return RedisSessions(redis.url, f"{tmp_path.name}:", lease=2.0)


def in_child(action: Callable[[], None]) -> int:
    """Run something in a fork; its exit status, -9 when it hung."""
    child = multiprocessing.get_context("fork").Process(target=action)
    child.start()
    child.join(15)
    if child.is_alive():
        child.kill()
        child.join()
    assert child.exitcode is not None
    return child.exitcode


def test_children_use_the_store_while_threads_of_the_parent_write(sessions: Sessions) -> None:
    sessions.wait = 10.0
    stopped = threading.Event()

    def write(number: int) -> None:
        while not stopped.wait(0.001):  # else the sessions grow too long for a child on a busy machine
            sessions[f"s{number % 4}"].append([HELLO])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    try:

        def child() -> None:
            sessions["s0"].append([HI])
            assert sessions["s0"].messages
            sessions["child"].append([HI])
            sessions.list()

        assert [in_child(child) for _ in range(8)] == [0] * 8
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    sessions["s0"].append([HELLO])
    if not isinstance(sessions, MemorySessions):  # of which a child has a copy
        assert sessions["child"].messages == [HI] * 8
    sessions.close()


def test_a_child_does_not_hold_its_parents_lock_and_does_not_release_it(sessions: Sessions) -> None:
    if isinstance(sessions, MemorySessions):
        pytest.skip("a child has a copy of the sessions")
    with sessions["a"].hold() as writer:
        writer.append([HELLO])

        def child() -> None:
            try:
                writer.append([HI])
            except SessionError:
                return
            raise AssertionError("the child wrote")

        assert in_child(child) == 0
        assert in_child(sessions.close) == 0
        leave_block_in_child(sessions)
        sessions.wait = 0.2
        with pytest.raises(SessionBusyError):
            sessions["a"].append([HI])
        writer.append([HELLO])
    sessions["a"].append([HI])
    assert sessions["a"].messages == [HELLO, HELLO, HI]
    sessions.close()


def leave_block_in_child(sessions: Sessions) -> None:
    """Fork inside of a `hold` whose block the child leaves."""
    pid = 0
    with sessions["b"].hold():
        pid = os.fork()
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def test_the_lock_of_a_parent_that_is_killed_is_not_kept_by_its_child(tmp_path: Path) -> None:
    started, ended = multiprocessing.get_context("fork").Event(), multiprocessing.get_context("fork").Event()
    pid = os.fork()
    if pid == 0:
        with SQLiteSessions(tmp_path / "chat.db")["a"].hold():
            if os.fork() == 0:
                started.set()
                ended.wait(30)
                os._exit(0)
            time.sleep(30)
        os._exit(0)
    assert started.wait(10)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    with SQLiteSessions(tmp_path / "chat.db", wait=5.0) as sessions:
        sessions["a"].append([HELLO])  # the grandchild is alive, and has the file of the lock open
    ended.set()
