"""Runs that are stored as they happen, and resumed however they ended."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, Context, Image, Limits, Session, SessionError, tool
from agentkit.errors import SessionBusyError, TranscriptError
from agentkit.event import TextDelta, ToolFinished, ToolStarted
from agentkit.sessions import MemorySessions, RedisSessions, SQLiteSessions
from agentkit.testing import ScriptedBackend
from tests.support.redis_server import serve_redis

ROOT = Path(__file__).parents[2]


@pytest.fixture
def session() -> Iterator[Session]:
    with MemorySessions(wait=0.2) as sessions:
        yield sessions["a"]


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look something up."""
    return f"All about {topic}."


@tool
def send(to: str) -> str:
    """Send a message."""
    return f"sent to {to}"


def roles(session: Session) -> list[str]:
    return [message["role"] for message in session.messages]


def test_a_conversation_continues_from_its_session(session: Session) -> None:
    backend = ScriptedBackend("Hello Ann.", "You are Ann.")
    agent = Agent(backend, instructions="Be brief.")
    agent.run("I am Ann.", session=session)
    result = agent.run("Who am I?", session=session)
    assert result.output == "You are Ann."
    assert [message["content"] for message in backend.requests[1].messages] == [
        "Be brief.",
        "I am Ann.",
        "Hello Ann.",
        "Who am I?",
    ]
    assert roles(session) == [
        "user",
        "assistant",
        "user",
        "assistant",
    ]  # the instructions belong to the agent and are not stored


def test_everything_is_stored_before_it_is_emitted(session: Session) -> None:
    backend = ScriptedBackend(("look_up", {"topic": "x"}), "Done.")
    for event in Agent(backend, tools=[look_up]).stream("Go.", session=session):
        for message in event.adds:
            assert message in session.messages
    assert roles(session) == ["user", "assistant", "tool", "assistant"]


def test_only_calls_with_effects_have_a_started_entry(session: Session) -> None:
    @tool
    def send(text: str) -> str:
        """Send."""
        kinds.append([entry.kind for entry in session.entries()])
        return "sent"

    kinds: list[list[str]] = []
    backend = ScriptedBackend([("look_up", {"topic": "x"}), ("send", {"text": "y"})], "Done.")
    Agent(backend, tools=[look_up, send]).run("Go.", session=session)
    assert kinds == [["message", "message", "message", "started"]]


def test_usage_is_stored_with_each_reply(session: Session) -> None:
    from agentkit import Usage
    from agentkit.event import Reply

    reply = Reply({"role": "assistant", "content": "Hi"}, "stop", Usage(1, 12, 0, 3))
    Agent(ScriptedBackend(reply)).run("Go.", session=session)
    assert session.entries()[-1].usage == {"requests": 1, "input_tokens": 12, "output_tokens": 3}


def abandoned(session: Session, at: type, tools: list[Any], *steps: Any) -> None:
    """A run that is abandoned at an event, as by a crash."""
    run = Agent(ScriptedBackend(*steps), tools=tools).stream("Go.", session=session)
    for event in run:
        if isinstance(event, at):
            break
    run.close()


def test_a_run_abandoned_before_a_call_runs_it_when_resumed(session: Session) -> None:
    from agentkit.event import ReplyFinished

    abandoned(session, ReplyFinished, [look_up], ("look_up", {"topic": "x"}))
    result = Agent(ScriptedBackend("Done."), tools=[look_up]).resume(session)
    assert result.output == "Done."
    assert [record.response for record in result.tool_calls] == ["All about x."]
    assert result.unknown_calls == []


def test_a_started_call_is_not_run_again_but_reported_as_unknown(session: Session) -> None:
    ran = []

    @tool
    def send(text: str) -> str:
        """Send."""
        ran.append(text)
        return "sent"

    abandoned(session, ToolStarted, [send], [("send", {"text": "a"}), ("send", {"text": "b"})])
    result = Agent(ScriptedBackend("Done."), tools=[send]).resume(session)
    assert ran == ["b"]
    assert [(call.name, call.arguments) for call in result.unknown_calls] == [("send", {"text": "a"})]
    reported = [message["content"] for message in result.messages if message["role"] == "tool"]
    assert "It is not known whether this call had its effect" in str(reported[0])
    assert "sent" in str(reported[1])
    again = Agent(ScriptedBackend("More."), tools=[send]).run("More?", session=session)
    assert again.unknown_calls == []


def test_a_read_only_call_that_was_started_is_run_again(session: Session) -> None:
    abandoned(session, ToolStarted, [look_up], ("look_up", {"topic": "x"}))
    result = Agent(ScriptedBackend("Done."), tools=[look_up]).resume(session)
    assert [record.response for record in result.tool_calls] == ["All about x."]


def test_a_call_with_a_result_is_not_run_again(session: Session) -> None:
    ran = []

    @tool
    def send(text: str) -> str:
        """Send."""
        ran.append(text)
        return "sent"

    abandoned(session, ToolFinished, [send], [("send", {"text": "a"}), ("send", {"text": "b"})])
    Agent(ScriptedBackend("Done."), tools=[send]).resume(session)
    assert ran == ["a", "b"]


def test_started_entries_of_earlier_replies_do_not_count_though_servers_repeat_ids(session: Session) -> None:
    ran = []

    @tool
    def send(text: str) -> str:
        """Send."""
        ran.append(text)
        return "sent"

    def call(text: str) -> Any:
        function = {"name": "send", "arguments": json.dumps({"text": text})}
        return {"content": None, "tool_calls": [{"id": "call_0", "type": "function", "function": function}]}

    from agentkit.event import ReplyFinished

    seen = []
    run = Agent(ScriptedBackend(call("a"), call("b")), tools=[send]).stream("Go.", session=session)
    for event in run:
        seen.append(event)
        if sum(isinstance(each, ReplyFinished) for each in seen) == 2:
            break
    run.close()
    result = Agent(ScriptedBackend("Done."), tools=[send]).resume(session)
    assert ran == ["a", "b"]
    assert result.unknown_calls == []


def test_a_new_prompt_closes_what_was_open(session: Session) -> None:
    @tool
    def send(text: str) -> str:
        """Send."""
        return "sent"

    abandoned(session, ToolStarted, [send], [("send", {"text": "a"}), ("send", {"text": "b"})])
    result = Agent(ScriptedBackend("Never mind."), tools=[send]).run("Stop that.", session=session)
    assert result.output == "Never mind."
    assert [call.arguments["text"] for call in result.unknown_calls] == ["a"]
    assert roles(session) == ["user", "assistant", "tool", "tool", "user", "assistant"]


def test_a_finished_session_resumes_to_its_answer(session: Session) -> None:
    agent = Agent(ScriptedBackend("Done."))
    agent.run("Go.", session=session)
    assert agent.resume(session).output == "Done."


def test_resuming_works_on_plain_messages_too() -> None:
    run = Agent(ScriptedBackend(("look_up", {"topic": "x"})), tools=[look_up]).stream("Go.")
    for event in run:
        if isinstance(event, ToolStarted):
            break
    run.close()
    assert Agent(ScriptedBackend("Done."), tools=[look_up]).resume(run.messages).output == "Done."


def test_nothing_to_resume_is_an_error(session: Session) -> None:
    with pytest.raises(TranscriptError, match="nothing to answer"):
        Agent(ScriptedBackend("x")).resume(session)
    with pytest.raises(TranscriptError, match="not both"):
        Agent(ScriptedBackend("x")).run("Go.", session=session, messages=[{"role": "user", "content": "x"}])
    Agent(ScriptedBackend("x")).run("Go.", session=session)  # and the session is not locked


def test_two_runs_of_one_session_do_not_mix(session: Session) -> None:
    agent = Agent(ScriptedBackend("One.", "Two."))
    run = agent.stream("First.", session=session)
    with pytest.raises(SessionBusyError):
        agent.run("Second.", session=session)
    list(run)
    assert agent.run("Second.", session=session).output == "Two."


@pytest.mark.parametrize("how", ["closed", "dropped", "never begun"])
def test_an_abandoned_run_releases_its_session(session: Session, how: str) -> None:
    agent = Agent(ScriptedBackend("One.", "Two."))
    run = agent.stream("First.", session=session)
    if how != "never begun":
        next(run)
    if how == "closed":
        run.close()
    del run
    agent.run("Second.", session=session)


def test_a_run_that_fails_before_an_effect_leaves_no_trace(session: Session) -> None:
    backend = ScriptedBackend("Hello.", ("look_up", {"topic": "x"}), ValueError("no server"), "Done.")
    agent = Agent(backend, tools=[look_up])
    agent.run("Hi.", session=session)
    with pytest.raises(ValueError, match="no server") as caught:
        agent.run("Go.", session=session)
    assert roles(session) == ["user", "assistant"]
    assert [message["role"] for message in caught.value.messages][2:] == ["user", "assistant", "tool"]  # type: ignore[attr-defined]
    assert agent.run("Go.", session=session).output == "Done."
    assert [each["content"] for each in session.messages] == ["Hi.", "Hello.", "Go.", "Done."]


def test_a_run_that_fails_after_an_effect_keeps_the_call_and_its_result(session: Session) -> None:
    backend = ScriptedBackend(("send", {"to": "x"}), ValueError("no server"), "Done.")
    agent = Agent(backend, tools=[send])
    with pytest.raises(ValueError, match="no server"):
        agent.run("Go.", session=session)
    assert roles(session) == ["user", "assistant", "tool"]
    assert agent.resume(session).output == "Done."


def test_a_store_that_fails_in_mid_run_is_a_clear_error_and_keeps_what_it_had(tmp_path: Path) -> None:
    sessions = SQLiteSessions(tmp_path / "chat.db")

    @tool
    def fill(topic: str) -> str:
        """Fill the disk."""
        with sessions._using() as connection:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")
        return topic * 100_000

    agent = Agent(ScriptedBackend(("fill", {"topic": "x"}), "Done."), tools=[fill])
    with pytest.raises(SessionError, match="full") as caught:
        agent.run("Go.", session=sessions["a"])
    assert roles(sessions["a"]) == ["user", "assistant"]
    assert caught.value.messages[-1]["role"] == "tool"  # type: ignore[attr-defined]
    with sessions._using() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    result = agent.resume(sessions["a"])
    assert (result.output, [call.name for call in result.unknown_calls]) == ("Done.", ["fill"])
    sessions.close()


def test_losing_redis_during_a_run_loses_nothing_stored(tmp_path: Path) -> None:
    with serve_redis(tmp_path) as server, RedisSessions(server.url, lease=0.3) as sessions:

        @tool
        def pull_the_plug(topic: str) -> str:
            """Pull the plug."""
            server.kill()
            return topic

        agent = Agent(ScriptedBackend(("pull_the_plug", {"topic": "x"}), "Done."), tools=[pull_the_plug])
        with pytest.raises(SessionError, match="can't be used") as caught:
            agent.run("Go.", session=sessions["a"])
        assert caught.value.messages[-1]["role"] == "tool"  # type: ignore[attr-defined]
        server.start()
        assert roles(sessions["a"]) == ["user", "assistant"]
        result = agent.resume(sessions["a"])
        assert (result.output, [call.name for call in result.unknown_calls]) == ("Done.", ["pull_the_plug"])


def test_a_database_that_is_locked_in_mid_run_is_a_clear_error(tmp_path: Path) -> None:
    with SQLiteSessions(tmp_path / "chat.db") as sessions:
        other = sqlite3.connect(tmp_path / "chat.db", isolation_level=None)

        @tool(read_only=True)
        def lock(topic: str) -> str:
            """Lock the database."""
            with sessions._using() as connection:
                connection.execute("PRAGMA busy_timeout = 50")
            other.execute("BEGIN IMMEDIATE")
            return topic

        agent = Agent(ScriptedBackend(("lock", {"topic": "x"}), "Done."), tools=[lock], early_start=False)
        with pytest.raises(SessionError, match="locked"):
            agent.run("Go.", session=sessions["a"])
        other.execute("ROLLBACK")
        other.close()
        assert roles(sessions["a"]) == ["user", "assistant"]


def test_images_of_tools_are_shown_again_after_a_crash_between_two_results(session: Session) -> None:
    @tool
    def photo(name: str) -> Image:
        """Take a photo."""
        return Image(b"\x89PNG" + name.encode(), "image/png", name)

    abandoned(session, ToolFinished, [photo], [("photo", {"name": "a"}), ("photo", {"name": "b"})])
    backend = ScriptedBackend("Done.")
    result = Agent(backend, tools=[photo]).resume(session)
    expected = ["user", "assistant", "tool", "tool", "user", "user", "assistant"]
    assert [message["role"] for message in result.messages] == expected
    assert roles(session) == expected
    assert result.repairs == []
    assert "image_url" in json.dumps(backend.requests[0].messages[-1])


def test_a_tool_knows_its_session(session: Session) -> None:
    @tool
    def where(ctx: Context) -> str:
        """Tell."""
        return str(ctx.session)

    result = Agent(ScriptedBackend(("where", {}), "Done."), tools=[where]).run("Go.", session=session)
    assert result.tool_calls[0].response == "a"


def test_a_limit_reached_is_stored_too(session: Session) -> None:
    agent = Agent(ScriptedBackend(("look_up", {"topic": "x"}), "Best."), tools=[look_up], limits=Limits(turns=1))
    assert agent.run("Go.", session=session).stopped == "turns"
    assert session.messages[-1]["content"] == "Best."
    assert "No more tool calls" in str(session.messages[-2]["content"])


def test_a_stream_is_stored_when_its_reply_is_complete(session: Session) -> None:
    run = Agent(ScriptedBackend("A long answer.")).stream("Go.", session=session)
    for event in run:
        if isinstance(event, TextDelta):
            break
    run.close()
    assert roles(session) == ["user"]


# ---- killed at random moments


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
@pytest.mark.timeout(120)
def test_after_two_hundred_kills_every_effect_happened_once_or_is_reported(kind: str, tmp_path: Path) -> None:
    with serve_redis(tmp_path) as server:
        where = str(tmp_path / "chat.db") if kind == "sqlite" else server.url
        command = [sys.executable, "-m", "tests.support.durable_run", kind, where, str(tmp_path), "200"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["kills"] >= 200
    for run in outcome["runs"]:
        effects = run["effects"]
        assert len(set(effects)) == len(effects), "an effect was had twice"
        assert set(range(20)) - set(effects) <= set(run["unknown"]), "an effect is missing and was not reported"
        assert run["reported"][::2] == [f"seen {step}" for step in range(20)]
        assert run["roles"] == ["user", *["assistant", "tool", "tool"] * 20, "assistant"]
    assert sum(len(run["unknown"]) for run in outcome["runs"]) > 0  # the kills did hit running calls
