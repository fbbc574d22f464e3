"""What an agent does with a real model: a small one, so what it says is not looked at, but how it arrives."""

import threading
from typing import Literal

from pydantic import BaseModel

from agentkit import Agent, tool
from agentkit.backend import Backend
from agentkit.backends.tool_arrival import check_arrival
from agentkit.event import OutputDelta, TextDelta
from agentkit.middleware.context_window import Window
from tests.model.conftest import CONTEXT
from tests.support.llama_server import LlamaServer


@tool
def get_weather(city: str) -> str:
    """Get the current weather in a city.

    Args:
        city: Name of the city.
    """
    return f"It is 12 degrees in {city}, with light rain."


@tool
def set_timer(minutes: int) -> str:
    """Set a kitchen timer.

    Args:
        minutes: Minutes until it rings.
    """
    return f"It rings in {minutes} minutes."


class Animal(BaseModel):
    name: str
    legs: int
    lives_in: Literal["water", "land"]


def test_it_answers_and_is_told_what_was_said(smol: Backend) -> None:
    agent = Agent(smol)
    first = agent.run("Tell me about cats.", sampling={"max_tokens": 20})
    assert "cat" in first.output.lower()
    assert first.stopped == "length"
    second = agent.run("And about dogs?", messages=first.messages, sampling={"max_tokens": 20})
    assert second.output
    assert second.usage.input_tokens > first.usage.input_tokens + 20
    again = agent.run("Tell me about cats.", sampling={"max_tokens": 20})
    assert again.output == first.output


def test_it_streams_what_it_says(smol: Backend) -> None:
    run = Agent(smol).stream("Tell me about cats.", sampling={"max_tokens": 20})
    pieces = [event.text for event in run if isinstance(event, TextDelta)]
    assert run.result is not None
    assert "".join(pieces) == run.result.output
    assert len(pieces) > 3


def test_it_fills_a_type(smol: Backend) -> None:
    run = Agent(smol).stream("Describe a spider.", output=Animal)
    partial = [event.value for event in run if isinstance(event, OutputDelta)]
    assert run.result is not None
    assert isinstance(run.result.output, Animal)
    assert len(partial) > 2


def test_it_calls_tools_that_its_template_leaves_out(smol: Backend) -> None:
    result = Agent(smol, tools=[get_weather, set_timer]).run("Set a timer for 10 minutes.")
    (record,) = result.tool_calls[:1]
    assert (record.name, record.arguments) == ("set_timer", {"minutes": 10})
    assert result.output.strip()
    assert not result.output.lstrip().startswith("{")


def test_it_calls_tools_from_the_first_word_of_a_stream_where_they_are_sent_as_text(smol: Backend) -> None:
    run = Agent(smol, tools=[get_weather, set_timer], tools_as="text").stream("Set a timer for 10 minutes.")
    pieces = [event.text for event in run if isinstance(event, TextDelta)]
    assert run.result is not None
    assert [(each.name, each.arguments) for each in run.result.tool_calls][:1] == [("set_timer", {"minutes": 10})]
    assert not any(word in "".join(pieces) for word in ('"tool"', '"answer"', '{"'))


def test_it_fills_a_type_after_it_has_called_a_tool(smol: Backend) -> None:
    class Weather(BaseModel):
        city: str
        degrees: int

    agent = Agent(smol, tools=[get_weather], tools_as="text")
    result = agent.run("What is the weather in Oslo?", output=Weather, sampling={"tool_choice": "required"})
    assert [record.name for record in result.tool_calls][:1] == ["get_weather"]
    assert isinstance(result.output, Weather)


def test_a_long_conversation_is_cut_to_its_window(smol: Backend) -> None:
    told = "The museum of clocks opens at nine, and its oldest clock was built in the year 1386. " * 12
    agent = Agent(smol, window=Window(last_turns=1), instructions="Answer in one sentence.")
    messages: list[dict[str, object]] = []
    for number in range(12):
        messages += [{"role": "user", "content": f"({number}) {told}"}, {"role": "assistant", "content": "I see."}]
    result = agent.run("What is the capital of France?", messages=messages, sampling={"max_tokens": 20})
    assert len(result.messages) == len(messages) + 3
    assert 0 < result.usage.input_tokens < CONTEXT
    assert result.output.strip()


def test_it_stops_when_it_is_cancelled(smol: Backend) -> None:
    cancel = threading.Event()
    agent = Agent(smol)
    for event in (run := agent.stream("Tell me a long story.", cancel=cancel, sampling={"max_tokens": 2000})):
        if isinstance(event, TextDelta):
            cancel.set()
    assert run.result is not None
    assert run.result.stopped == "cancelled"
    assert agent.run("Tell me about cats.", sampling={"max_tokens": 5}).output  # it is free again


def test_the_doctor_says_that_its_tools_do_not_arrive(smol: Backend) -> None:
    found = check_arrival(smol)
    assert found.reach is False
    assert "leaves" in found.detail


def test_the_doctor_passes_its_server(smollm_server: LlamaServer) -> None:
    from typer.testing import CliRunner

    from agentkit.cli import app

    done = CliRunner().invoke(app, ["doctor", f"openai:smollm2@{smollm_server.url}"])
    assert "leaves" in done.output
    assert "Traceback" not in done.output
