"""A session that is held by the run that waits for the tool which would write to it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, Context, SQLiteSessions, tool
from agentkit.testing import ScriptedBackend

LONG = 20.0
"""Seconds that nothing here may take."""


def told(work: Callable[[], Any], session: Any, **options: Any) -> str:
    """What the model reads of a tool that does this work, in a run of the session."""

    @tool(**options)
    def note() -> str:
        """Note something."""
        return str(work())

    return (
        Agent(ScriptedBackend(("note", {}), "Done."), tools=[note])
        .run("Note it.", session=session)
        .tool_calls[0]
        .response
    )


@pytest.mark.parametrize("options", [{}, {"read_only": True}, {"timeout": 60}, {"same_thread": True}])
def test_a_tool_is_told_at_once_that_it_would_wait_for_itself(tmp_path: Path, options: dict[str, Any]) -> None:
    session = SQLiteSessions(tmp_path / "s.db")["a"]
    started = time.monotonic()
    answer = told(lambda: session.append([{"role": "user", "content": "x"}]), session, **options)
    assert "session 'a' is that of the run which waits for this tool" in answer
    assert time.monotonic() - started < LONG
    assert [each["role"] for each in session.messages] == ["user", "assistant", "tool", "assistant"]


def test_an_agent_in_a_tool_needs_a_session_of_its_own(tmp_path: Path) -> None:
    sessions = SQLiteSessions(tmp_path / "s.db")
    inner = Agent(ScriptedBackend("Found.", "Found."))
    assert "needs a session of its own" in told(
        lambda: inner.run("Find it.", session=sessions["a"]).output, sessions["a"]
    )
    assert told(lambda: inner.run("Find it.", session=sessions["b"]).output, sessions["c"]) == "Found."


def test_what_a_tool_begins_elsewhere_waits_for_the_end_of_the_run(tmp_path: Path) -> None:
    session = SQLiteSessions(tmp_path / "s.db")["a"]
    later: list[threading.Thread] = []

    @tool
    def begin(ctx: Context) -> str:
        """Begin something."""
        later.append(threading.Thread(target=session.append, args=([{"role": "user", "content": "later"}],)))
        later[0].start()
        return "begun"

    Agent(ScriptedBackend(("begin", {}), "Done."), tools=[begin]).run("Begin.", session=session)
    later[0].join(LONG)
    assert session.messages[-1]["content"] == "later"


def test_a_tool_that_the_run_has_left_may_write_when_it_has_ended(tmp_path: Path) -> None:
    session = SQLiteSessions(tmp_path / "s.db")["a"]
    written = threading.Event()

    @tool(timeout=0.1)
    def slow() -> str:
        """Write late."""
        time.sleep(0.3)
        session.append([{"role": "user", "content": "late"}])
        written.set()
        return "written"

    Agent(ScriptedBackend(("slow", {}), "Done."), tools=[slow]).run("Write.", session=session)
    assert written.wait(LONG)
    assert session.messages[-1]["content"] == "late"
