"""Events, results, tool calls and usage as JSON: the one form of all entry points.

{"event": "tool_finished", "at": 2.731604, "record": {"id": "call_1", "name": "search", ...}, "adds": [...]}

The command line prints it with --json, HTTP and MQTT send it (with fields of their own beside it), and a session stores
usage in it. An object has the fields of the class it stands for (`question` of an open call only where it asks one).
What JSON can't represent becomes what pydantic makes of it (a model or a dataclass an object, a time ISO 8601, bytes
base64), NaN and infinity null, anything else its text.
"""

import functools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from agentkit.event import (
    CitationsChecked,
    Event,
    OpenCall,
    ReasoningDelta,
    Reply,
    ReplyDiscarded,
    Result,
    TextDelta,
    ToolFinished,
    ToolProgress,
    ToolRecord,
    ToolStarted,
)
from agentkit.evidence.citation import Citation
from agentkit.evidence.source import Source
from agentkit.limits import Usage

MAX_DEPTH = 100
"""Levels of lists and objects inside one value; a deeper one is replaced by "…", as is one that contains itself."""

_OBJECTS = (Event, OpenCall, Reply, Result, ToolRecord, Usage, Citation, Source)


def citation_records(citations: Iterable[Citation]) -> list[dict[str, Any]]:
    """Citations as JSON objects, with the fields of `Citation`."""
    return [_object(citation) for citation in citations]


def source_records(sources: Iterable[Source]) -> list[dict[str, Any]]:
    """Sources as JSON objects, with the fields of `Source` but their texts; `also` only where there is one."""
    return [_object(source) for source in sources]


def event_record(event: Event) -> dict[str, Any]:
    """An event as a JSON object: its name in "event", its time in "at" (seconds since the start of the run), then its
    fields; without "adds" when it adds no messages."""
    made = {**_object(event), "at": _json(round(event.at, 6))}
    if not made["adds"]:
        del made["adds"]
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    return {"event": name, "at": made.pop("at"), **made}


def result_record(result: Result) -> dict[str, Any]:
    """A result as a JSON object, with the fields of `Result`."""
    return _object(result)


def output_record(output: Any) -> Any:
    """The output of a run as JSON."""
    return _json(output)


def error_record(error: BaseException) -> dict[str, Any]:
    """A failed run as a JSON object: the error's text, and the valid transcript so far when the error carries it."""
    return {"error": str(error), "messages": _json(getattr(error, "messages", []))}


def usage_record(usage: Usage) -> dict[str, Any]:
    """Usage as a JSON object, with the fields of `Usage`; "cost" is null when it is not known."""
    return _object(usage)


def stored_usage(usage: Usage) -> dict[str, Any]:
    """Usage as a session stores it: `usage_record` without counts of 0 and without a cost that is not known."""
    made = usage_record(usage).items()
    return {name: value for name, value in made if value or (name == "cost" and value is not None)}


def usage_from(stored: Mapping[str, Any] | None) -> Usage:
    """The usage in a `usage_record` or `stored_usage`: a count that is absent or no number is 0, such a cost None."""
    from dataclasses import fields  # a run without sessions needs none of it

    found = {field.name: amount_of((stored or {}).get(field.name)) for field in fields(Usage)}
    counts = {name: int(value or 0) for name, value in found.items() if name not in ("cost", "seconds")}
    return Usage(**counts, cost=found["cost"], seconds=found["seconds"] or 0.0)


def amount_of(value: Any) -> float | None:
    """A number of at least 0 from JSON that a server or a store has written; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        amount = float(value)
    except OverflowError:
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None


def call_record(call: OpenCall | ToolRecord | ToolStarted, *, as_text: bool = False) -> dict[str, Any]:
    """A tool call (open, started or answered) as a JSON object, with the fields of its class.

    as_text: "arguments" is the same JSON text as "raw_arguments", as in chat completions, instead of an object.
    """
    made = _object(call)
    for of_the_event in ("adds", "at"):
        made.pop(of_the_event, None)
    return {**made, "arguments": made["raw_arguments"]} if as_text else made


def frame_of(event: Event) -> dict[str, Any] | None:
    """An event as a client that follows an answer is sent it, with one key that tells what it is; None for an event
    that such clients are not sent.

    {"content": text}, {"reasoning": text}, {"discarded": true}, and {"tool": call} with "state" in the call: "started",
    "running" (with "progress", a text) or "finished"; {"citations": list} behind an answer that was checked.
    """
    if isinstance(event, TextDelta):
        return {"content": event.text}
    if isinstance(event, ReasoningDelta):
        return {"reasoning": event.text}
    if isinstance(event, ToolStarted):
        return {"tool": {**call_record(event, as_text=True), "state": "started"}}
    if isinstance(event, ToolProgress):
        return {"tool": {"id": event.id, "progress": event.text, "state": "running"}}
    if isinstance(event, ToolFinished):
        return {"tool": {**call_record(event.record, as_text=True), "state": "finished"}}
    if isinstance(event, CitationsChecked):
        return {"citations": citation_records(event.citations)}
    return {"discarded": True} if isinstance(event, ReplyDiscarded) else None


def last_frame(usage: Usage, stopped: str) -> dict[str, Any]:
    """What follows the frames of an answer: what it took, and why the run ended."""
    return {"usage": usage_record(usage), "stopped": stopped}


def _object(value: Any) -> dict[str, Any]:
    made, kind = {}, value.__class__
    for name, shown in _fields_of(kind):
        each = getattr(value, name)
        if each or each is False or shown != "if any":
            made[name] = _json(each)
    return made


@functools.cache
def _fields_of(kind: type) -> tuple[tuple[str, Any], ...]:
    """The fields of such objects that their records have, each with True, or "if any" where it is left out while it is
    empty."""
    from dataclasses import fields

    named = ((field.name, field.metadata.get("in_json", True)) for field in fields(kind))
    return tuple((name, shown) for name, shown in named if shown)


def _json(value: Any, inside: tuple[int, ...] = ()) -> Any:
    """A value as JSON has it: str, int, float, bool, None, lists and dicts with string keys. inside: the ids of the
    lists and dicts around it."""
    kind = type(value)
    if value is None or kind in (str, int, bool):
        return value
    if kind is float:
        return value if math.isfinite(value) else None
    if isinstance(value, _OBJECTS):
        return _object(value)
    if len(inside) >= MAX_DEPTH or id(value) in inside:
        return "…"
    inside = (*inside, id(value))
    if kind in (list, tuple):
        return [_json(each, inside) for each in value]
    if kind is dict and all(type(key) is str for key in value):
        return {key: _json(each, inside) for key, each in value.items()}
    return _json(_plain(value), inside)


def _plain(value: Any) -> Any:
    from pydantic_core import to_jsonable_python  # most records have nothing for it

    try:
        return to_jsonable_python(value, bytes_mode="base64", fallback=_replacement)
    except Exception:  # noqa: BLE001 - of any serializer: a finished run is not lost for the form of its output
        return _text(value)


def _replacement(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else _text(value)


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - of a user's class
        return f"<{type(value).__name__}>"
