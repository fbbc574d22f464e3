"""The maze game: converts its state into a message to the model, and the model's tool calls into a hint."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from agentkit import Tool
from agentkit._text import json_text
from agentkit.message import ToolCall
from agentkit.tooling.arguments import as_json_object
from agentkit.tooling.json_repair import cleaned, loads

_CELL = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2, "description": "[x, y]"}
_CELLS = {"type": "array", "items": _CELL, "description": "[[x, y], ...]"}
_X = {"type": "integer", "description": "Column, from 0 at the left."}
_Y = {"type": "integer", "description": "Row, from 0 at the top."}


def _milliseconds(default: int) -> dict[str, Any]:
    return {"type": "integer", "description": "Duration in milliseconds.", "default": default}


FUNCTIONS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "break_wall": ("Break the wall at a position.", {"x": _X, "y": _Y}, ["x", "y"]),
    "break_walls": ("Break several walls.", {"walls": _CELLS}, ["walls"]),
    "speed_boost": ("Make the player faster for a while.", {"duration_ms": _milliseconds(1500)}, []),
    "slow_germs": ("Make the germs slower for a while.", {"duration_ms": _milliseconds(3000)}, []),
    "freeze_germs": ("Stop the germs for a while.", {"duration_ms": _milliseconds(3500)}, []),
    "teleport_player": ("Move the player to another position.", {"x": _X, "y": _Y}, ["x", "y"]),
    "spawn_oxygen": ("Place oxygen at several positions.", {"locations": _CELLS}, ["locations"]),
    "move_exit": ("Move the exit.", {"x": _X, "y": _Y}, ["x", "y"]),
    "highlight_zone": (
        "Highlight cells for a while.",
        {"cells": _CELLS, "duration_ms": _milliseconds(5000)},
        ["cells"],
    ),
    "reveal_map": ("Show or hide the whole map.", {"enabled": {"type": "boolean"}}, ["enabled"]),
}
"""The functions of the game: description, parameters (as JSON Schema properties), required parameters."""

STATE_FIELDS = frozenset(("player_pos", "exit_pos", "visible_map", "germs", "oxygenPellets", "oxygenCollected"))
"""Fields of a state of the game."""

REASONING_END = "</think>"

STUCK = (
    "The player is not making progress: the same state or the same answer was repeated. Give a hint that differs from "
    "the last ones, or call another function."
)


def tools() -> list[Tool[..., str]]:
    """The game's functions as tools. Calling one has no effect here but to end the run, since the game executes the
    calls, and their results are not sent to the model."""
    return [_tool(name, *described) for name, described in FUNCTIONS.items()]


def _tool(name: str, description: str, properties: dict[str, Any], required: list[str]) -> Tool[..., str]:
    def placeholder(**arguments: Any) -> str:
        return "handed to the game"

    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return Tool(name, description, schema, placeholder, ends_run=True)


def state_message(state: Mapping[str, Any], state_repeats: int = 0, answer_repeats: int = 0) -> str:
    """The message to the model for a state of the game.

    state_repeats, answer_repeats: how often the same state or the same answer was repeated immediately before.
    """
    content = {
        "player_pos": _cell(state.get("player_pos")),
        "exit_pos": _cell(state.get("exit_pos")),
        "visible_map": state.get("visible_map"),
        "germs": _cells(state.get("germs")),
        "oxygen": _cells(state.get("oxygenPellets")),
        "oxygen_collected": state.get("oxygenCollected", 0),
    }
    text = json_text(content)
    if not (state_repeats or answer_repeats):
        return text
    stuck = {
        "stuck": True,
        "state_repeat_count": state_repeats,
        "assistant_repeat_count": answer_repeats,
        "instruction": STUCK,
    }
    return f"{text}\n\nSTUCK_CONTEXT: {json.dumps(stuck, ensure_ascii=False)}"


def hint_payload(text: str, calls: Iterable[ToolCall]) -> dict[str, Any]:
    """The hint sent to the game: the reply's text, and a key for each called function. A text that is one JSON object
    is these keys of the hint, below those of the calls.

    A call with invalid arguments is ignored.
    """
    said = _object_in(text)
    made: dict[str, Any] = {}
    for call in calls:
        arguments = json.loads(as_json_object(call["function"]["arguments"]))
        _add(made, call["function"]["name"], arguments)
    if said is None:
        return {"hint": text, **made}
    return {**said, "hint": "" if said.get("hint") is None else said["hint"], **made}


def _object_in(text: str) -> dict[str, Any] | None:
    """The JSON object that a reply is, without reasoning before it and a code fence around it; None for another text.
    What JSON can't represent in it (NaN, half a surrogate pair) is text."""
    for candidate in (text, text.rpartition(REASONING_END)[2]):
        try:
            value = loads(_unfenced(candidate.strip()))
            if isinstance(value, dict):
                return {cleaned(key): cleaned(entry) for key, entry in value.items()}
        except (ValueError, RecursionError):
            continue
    return None


def _unfenced(text: str) -> str:
    """A text without the code fence around it, if its content begins with "{"."""
    mark = text[:1]
    if mark not in ("`", "~") or not text.endswith(mark):
        return text
    label, brace, content = text.strip(mark).partition("{")
    label = label.strip()
    return brace + content.rstrip() if not label or label.isalnum() else text


def _add(hint: dict[str, Any], name: str, arguments: Mapping[str, Any]) -> None:
    if name in ("break_wall", "teleport_player", "move_exit"):
        cell = _cell(arguments)
        if cell is not None:
            hint[name] = cell
    elif name in ("break_walls", "spawn_oxygen"):
        cells = _cells(arguments.get("walls" if name == "break_walls" else "locations"))
        if cells:
            hint[name] = hint.get(name, []) + cells
    elif name in ("speed_boost", "slow_germs", "freeze_germs"):
        hint[f"{name}_ms"] = _duration(name, arguments)
    elif name == "highlight_zone":
        cells = _cells(arguments.get("cells"))
        if cells:
            hint[name] = hint.get(name, []) + cells
            hint["highlight_ms"] = _duration(name, arguments)
    elif name == "reveal_map" and "enabled" in arguments:
        hint[name] = arguments["enabled"] in (True, "true", "True", 1)


def _duration(name: str, arguments: Mapping[str, Any]) -> int:
    default = int(FUNCTIONS[name][1]["duration_ms"]["default"])
    number = _integer(arguments.get("duration_ms"))
    return number if number is not None and number > 0 else default


def _cell(value: Any) -> list[int] | None:
    """Converts {"x": x, "y": y} or [x, y] to [x, y]; returns None when it is neither."""
    if isinstance(value, Mapping):
        value = [value.get("x"), value.get("y")]
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    x, y = map(_integer, value)
    return None if x is None or y is None else [x, y]


def _cells(value: Any) -> list[list[int]]:
    cells = map(_cell, value) if isinstance(value, list) else ()
    return [cell for cell in cells if cell is not None]


def _integer(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
        return int(number) if number == int(number) else None
    except (ValueError, OverflowError):
        return None
