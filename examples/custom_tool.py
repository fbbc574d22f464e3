"""A custom tool: a function with type annotations, a docstring and a decorator.

    python examples/custom_tool.py
    AGENTKIT_MODEL=openai:gpt-5-mini python examples/custom_tool.py

Without AGENTKIT_MODEL a scripted backend replaces the model, so that the calls and their results can be seen.
"""

import os
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from agentkit import Agent, Context, ToolError, tool
from agentkit.testing import ScriptedBackend

ROOMS = {"Amundsen": 8, "Nansen": 20}


@dataclass
class Booking:
    """A booking of a meeting room."""

    room: str
    day: date
    people: int


@tool(read_only=True)
def free_rooms(day: date, people: Annotated[int, Field(ge=1, le=50)], ctx: Context) -> list[str]:
    """List the meeting rooms that are free on a day.

    Args:
        day: The day of the meeting.
        people: Number of participants.
    """
    taken = {booking.room for booking in ctx.deps if booking.day == day}
    return [name for name, seats in ROOMS.items() if seats >= people and name not in taken]


@tool
def book(room: Literal["Amundsen", "Nansen"], day: date, people: int, ctx: Context) -> str:
    """Book a meeting room.

    Args:
        room: Name of the room.
        day: The day of the meeting.
        people: Number of participants.
    """
    if people > ROOMS[room]:
        raise ToolError(f"{room} has only {ROOMS[room]} seats.")
    ctx.deps.append(Booking(room, day, people))
    return f"{room} is booked for {day:%A, %d %B %Y}."


def main() -> None:
    script = ScriptedBackend(
        ("free_rooms", {"day": "2026-12-01", "people": 12}),
        ("book", {"room": "Nansen", "day": "2026-12-01", "people": 12}),
        "Nansen is yours on the first of December.",
    )
    bookings = [Booking("Amundsen", date(2026, 12, 1), 4)]
    with Agent(os.environ.get("AGENTKIT_MODEL") or script, tools=[free_rooms, book]) as agent:
        result = agent.run("Find a room for 12 people on 1 December 2026 and book it.", deps=bookings)
    for record in result.tool_calls:
        print(f"{record.name}({record.arguments}) -> {record.response}")
    print(result.output)
    print(bookings[-1])


if __name__ == "__main__":
    main()
