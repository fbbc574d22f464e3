"""What a result, an agent and their parts show of themselves; the messages of one run."""

from dataclasses import dataclass
from typing import Any

import pytest

from agentkit import Agent, ConfigurationError, Image, Limits, MemorySessions, tool
from agentkit.testing import ScriptedBackend
from agentkit.transcript import Transcript


@dataclass
class City:
    name: str
    note: str = ""


@tool(read_only=True)
def look(topic: str) -> str:
    """Look something up."""
    return topic


def roles(messages: list[Any]) -> list[str]:
    return [message["role"] for message in messages]


def test_new_messages_are_those_of_this_run_alone() -> None:
    backend = ScriptedBackend("One.", ("look", {"topic": "x"}), "Two.", "Three.")
    agent = Agent(backend, tools=[look], instructions="Be brief.")
    first = agent.run("First?")
    assert first.new_messages == [{"role": "user", "content": "First?"}, {"role": "assistant", "content": "One."}]
    second = agent.run("Second?", messages=first.messages)
    assert roles(second.new_messages) == ["user", "assistant", "tool", "assistant"]
    assert second.messages == [*first.messages, *second.new_messages]
    handed = [*second.messages, {"role": "user", "content": "Third?"}]
    assert agent.run(messages=handed).new_messages == [{"role": "assistant", "content": "Three."}]


def test_new_messages_of_a_session_are_those_of_its_last_run() -> None:
    backend = ScriptedBackend("One.", "Two.", "Three.")
    agent = Agent(backend, instructions="Be brief.")
    with MemorySessions() as sessions:
        agent.run("First?", session=sessions["a"])
        second = agent.run("Second?", session=sessions["a"], request_id="r2")
        third = agent.run("Third?", session=sessions["a"])
        again = agent.run("Second?", session=sessions["a"], request_id="r2")
    assert second.new_messages == [{"role": "user", "content": "Second?"}, {"role": "assistant", "content": "Two."}]
    assert third.new_messages[0]["content"] == "Third?"
    assert again.replayed
    assert again.new_messages == second.new_messages


def test_new_messages_stand_behind_a_history_of_which_only_the_end_was_read() -> None:
    agent = Agent(ScriptedBackend(*["word " * 300] * 12), instructions="Be brief.", window=2000)
    with MemorySessions() as sessions:
        for number in range(12):
            result = agent.run(f"Question {number}? " + "word " * 200, session=sessions["a"])
            assert len(result.new_messages) == 2
            assert str(result.new_messages[0]["content"]).startswith(f"Question {number}?")
        assert len(result.messages) == 25


def test_new_messages_are_not_a_part_of_the_json_form() -> None:
    from agentkit.record import result_record

    assert "new_messages" not in result_record(Agent(ScriptedBackend("Hi.")).run("x"))


def test_what_things_show_of_themselves_is_short_and_has_no_key() -> None:
    long = "x" * 5000
    agent = Agent(f"openai:{long}@http://user:sk-secret@localhost:1/v1", tools=[look], instructions=long)
    result = Agent(ScriptedBackend(long)).run(long)
    image = Image.from_bytes(b"\x89PNG\r\n\x1a\n" + bytes(5000), long)
    transcript = Transcript(result.messages)
    with MemorySessions() as sessions:
        shown = list(map(repr, (agent, result, transcript, look, image, sessions["a"], agent.stream(long))))
    assert all(len(each) < 500 and "secret" not in each for each in shown), shown
    assert shown[1].startswith("Result('xxx")
    assert shown[2:4] == ["Transcript(2 messages, due: nothing)", "Tool('look')"]
    assert (
        repr(Agent(ScriptedBackend("Hi.")).run("x"))
        == "Result('Hi.', stopped='answer', tool_calls=0, usage=0+0 tokens)"
    )


def test_a_notebook_shows_a_text_as_markdown_and_a_value_as_code() -> None:
    assert Agent(ScriptedBackend("# Oslo\n*fine*")).run("x")._repr_markdown_() == "# Oslo\n*fine*"
    backend = ScriptedBackend(("final_answer", {"name": "Oslo", "note": "```"}))
    assert Agent(backend).run("x", output=City)._repr_markdown_() == "````python\nCity(name='Oslo', note='```')\n````"
    backend = ScriptedBackend(("look", {"topic": "x"}), "Perhaps Oslo.")
    result = Agent(backend, tools=[look], limits=Limits(turns=1)).run("x")
    assert result._repr_markdown_() == "Perhaps Oslo.\n\n*(stopped: turns)*"


def test_the_text_of_an_answer_comes_in_pieces() -> None:
    calls = [{"function": {"name": "look", "arguments": '{"topic": "x"}'}}]
    backend = ScriptedBackend("It is Oslo.", {"content": "Let me see.", "tool_calls": calls}, "It is Bergen.")
    agent = Agent(backend, tools=[look])
    assert list(agent.stream_text("Which?")) == ["It", " is", " Oslo."]
    assert "".join(agent.stream_text("Which?")) == "Let me see.\n\nIt is Bergen."


def test_whoever_stops_reading_the_text_closes_the_run() -> None:
    agent = Agent(ScriptedBackend("It is Oslo.", "It is Bergen."))
    with MemorySessions() as sessions:
        pieces = agent.stream_text("Which?", session=sessions["a"])
        assert next(pieces) == "It"
        assert sessions["a"].is_held
        pieces.close()
        assert not sessions["a"].is_held
        assert roles(sessions["a"].messages) == ["user"]
    with pytest.raises(ConfigurationError, match=r"use agent\.stream\(prompt, output=\.\.\.\)"):
        agent.stream_text("Which?", output=City)
    with pytest.raises(TypeError, match=r"Agent\.stream_text\(\): unexpected keyword argument 'sesion'"):
        agent.stream_text("Which?", sesion=None)
