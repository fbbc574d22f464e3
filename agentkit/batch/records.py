"""The record of an item: what came of its run, or why there is no answer."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from agentkit._lazy.records import parameters_of
from agentkit.batch.item import ERROR_TYPES, Item, Record
from agentkit.event import Result
from agentkit.limits import Usage
from agentkit.net.error_words import status_of
from agentkit.record import call_record, citation_records, output_record, result_record

KEPT = ("tool_calls", "messages")
"""What is kept of a run only where it is asked for."""
NOTHING = Usage(cost=0.0)
"""What is spent for an item before it is asked."""
NO_OUTCOME = ("cancelled",)
"""Why a run may have ended without being an outcome of its item, which is asked again."""
_UNFINISHED = {
    "approval": "a tool call waits for a person's approval, and nobody can give it in a batch",
    "empty": "the model's reply was empty",
}


def answered(
    item: Item, result: Result[Any], keep: Collection[str], spent: Usage, attempts: int, refusals: int
) -> Record:
    """The record of a run that has ended. spent: usage of this run and of those before it that failed."""
    output, stopped = result.output, result.stopped
    has_output = bool(output.strip()) if isinstance(output, str) else output is not None or stopped == "answer"
    is_ok = has_output and stopped not in _UNFINISHED
    error = None if is_ok else {"type": stopped, "message": _why(stopped), "status": None}
    found: _Found = (
        output if type(output) is str else output_record(output),
        stopped,
        citation_records(result.citations) if result.citations else [],
    )
    kept: dict[str, Any] = {}
    if keep:
        made = result_record(result)
        kept = {name: made[name] for name in KEPT if name in keep}
    if result.unknown_calls:
        kept["unknown_calls"] = [call_record(call) for call in result.unknown_calls]
    return _record(item, is_ok, found, spent, attempts, refusals, kept, error)


def failed(
    item: Item, error: BaseException, spent: Usage, attempts: int, refusals: int, keep: Collection[str]
) -> Record:
    """The record of a run that has raised an error."""
    found = {"type": type(error).__name__, "message": str(error), "status": status_of(error)}
    messages = getattr(error, "messages", None)
    kept = {"messages": messages} if "messages" in keep and isinstance(messages, list) else {}
    return _record(item, False, _NONE, spent, attempts, refusals, kept, found)


def not_run(item: Item, kind: str, why: str = "") -> Record:
    """The record of an item of which the batch itself knows that it has no answer. kind: one of ERROR_TYPES. why: its
    message, where that is not the usual one."""
    error = {"type": kind, "message": why or ERROR_TYPES[kind], "status": None}
    return _record(item, False, _NONE, NOTHING, 0, 0, {}, error)


def copied(item: Item, record: Mapping[str, Any]) -> Record:
    """The record of an item whose question is that of another, which has this record: nothing was spent for it."""
    nothing = {"usage": {}, "cost": 0.0, "seconds": 0.0, "attempts": 0, "refusals": 0}
    made = {name: value for name, value in record.items() if name != "item"} | {"id": item.id} | nothing
    return {**made, "same_as": record["id"], **({"item": dict(item.columns)} if item.columns else {})}


_Found = tuple[Any, str, Sequence[Any]]
"""The output of a run, why it has ended, and its citations."""
_NONE: _Found = (None, "", ())


def _record(
    item: Item,
    is_ok: bool,
    found: _Found,
    spent: Usage,
    attempts: int,
    refusals: int,
    kept: Mapping[str, Any],
    error: Mapping[str, Any] | None,
) -> Record:
    output, stopped, citations = found
    counts = vars(spent)
    made: Record = {
        "id": item.id,
        "ok": is_ok,
        "output": output,
        "stopped": stopped,
        "citations": citations,
        "usage": {name: counts[name] for name in _COUNTS if counts[name]},
        "cost": spent.cost,
        "seconds": round(spent.seconds, 3),
        "attempts": attempts,
        "refusals": refusals,
        **kept,
        "error": error,
    }
    if item.columns:
        made["item"] = dict(item.columns)
    return made


_COUNTS = [name for name in parameters_of(Usage) if name not in ("cost", "seconds")]
"""The fields of usage that a record has where they are not 0."""


def _why(stopped: str) -> str:
    return _UNFINISHED.get(stopped, f"the run ended without an answer: {stopped}")
