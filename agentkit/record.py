"""Events and results as JSON: one form for the command line's --json and every other entry point.

{"event": "tool_finished", "record": {"id": "call_1", "name": "search", ...}, "adds": [{"role": "tool", ...}]}
"""

import re
from dataclasses import asdict
from typing import Any

from agentkit.event import Event, Result


def event_record(event: Event) -> dict[str, Any]:
    """An event as a JSON object: its name in "event", then its fields; without "adds" when it adds no messages."""
    fields = asdict(event)
    if not fields["adds"]:
        del fields["adds"]
    return {"event": re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower(), **fields}


def result_record(result: Result) -> dict[str, Any]:
    """A result as a JSON object, with the fields of `Result`."""
    return asdict(result)
