"""Tools for `tool_calls.jsonl`: they have schemas, and do nothing. A call that fits its tool ends the run.

    agentkit eval examples/eval/tool_calls.jsonl --agent examples/eval/tools.py:make_agent

The model is AGENTKIT_MODEL. What is compared is which tools it calls, with which arguments.
"""

import datetime
import os
from typing import Any, Literal

from agentkit import Agent, Limits, Tool, tool

Room = Literal["kitchen", "living room", "bedroom", "bathroom"]
DONE = "done"


@tool(ends_run=True)
def get_weather(city: str, day: datetime.date | None = None, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
    """The weather forecast for a city.

    city: without the country. day: today if it is left out.
    """
    return DONE


@tool(ends_run=True)
def convert_currency(amount: float, source: str, target: str) -> str:
    """Convert an amount of money.

    source, target: currencies as three letters, such as EUR.
    """
    return DONE


@tool(ends_run=True)
def set_timer(minutes: float, label: str = "") -> str:
    """Start a kitchen timer. label: what it is for."""
    return DONE


@tool(ends_run=True)
def switch_light(room: Room, on: bool) -> str:
    """Turn the light of a room on or off."""
    return DONE


@tool(ends_run=True)
def set_temperature(room: Room, degrees: float) -> str:
    """Set the thermostat of a room, in degrees Celsius."""
    return DONE


@tool(ends_run=True)
def send_message(to: list[str], text: str, urgent: bool = False) -> str:
    """Send a text message to people, given by their first names."""
    return DONE


@tool(ends_run=True)
def find_trains(start: str, destination: str, after: datetime.time | None = None, changes: int | None = None) -> str:
    """Find trains between two cities.

    after: the earliest departure. changes: how often one changes trains at most.
    """
    return DONE


@tool(ends_run=True)
def book_table(restaurant: str, people: int, at: datetime.datetime, outside: bool = False) -> str:
    """Book a table at a restaurant."""
    return DONE


@tool(ends_run=True)
def add_to_list(items: list[str], name: Literal["shopping", "tasks"] = "shopping") -> str:
    """Add items to a list."""
    return DONE


@tool(ends_run=True)
def translate(text: str, language: str) -> str:
    """Translate a text. language: an ISO 639-1 code, such as de."""
    return DONE


TOOLS: list[Tool[..., Any]] = [
    *(get_weather, convert_currency, set_timer, switch_light, set_temperature),
    *(send_message, find_trains, book_table, add_to_list, translate),
]
INSTRUCTIONS = "Call the tools that the user's request needs, all in one reply. If none fits, answer without a tool."


def make_agent() -> Agent:
    """An agent with the tools, which answers with one reply."""
    model = os.environ.get("AGENTKIT_MODEL", "extractive")
    return Agent(model, tools=TOOLS, instructions=INSTRUCTIONS, limits=Limits(turns=1))
