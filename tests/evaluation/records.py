"""Records of a batch, as checks get them."""

from typing import Any

from agentkit.batch.item import Record


def answered(output: Any, **fields: Any) -> Record:
    """The record of an answer."""
    made = {"id": "q-1", "ok": True, "output": output, "stopped": "answer", "citations": [], "usage": {"requests": 1}}
    return {**made, "cost": 0.01, "seconds": 1.5, "attempts": 1, "refusals": 0, "error": None, **fields}


def unanswered(kind: str = "timeout") -> Record:
    """The record of an item without an answer."""
    error = {"type": kind, "message": "it did not end in time", "status": None}
    return answered(None, ok=False, stopped="", error=error)


def call(name: str, arguments: Any = None, **fields: Any) -> dict[str, Any]:
    """A tool call of a record."""
    return {"id": "call_1", "name": name, "arguments": arguments or {}, "response": "ok", "error": None, **fields}
