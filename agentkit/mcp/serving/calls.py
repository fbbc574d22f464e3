"""A call of a tool: run in a thread, with its progress, until it is done, cancelled or out of time."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentkit._text import cut
from agentkit._threads import WORKERS
from agentkit.errors import ArgumentsError, ToolError
from agentkit.mcp.serving.protocol import Message
from agentkit.mcp.serving.questions import NeedsInput
from agentkit.tooling.outcome import Outcome, failure
from agentkit.tooling.stop import Stop
from agentkit.tools import Context, Tool

MAX_PROGRESS = 2000
"""Characters of one report of progress."""

Notify = Callable[[Message], None]
"""Sends a notification to the client of a call."""


@dataclass(frozen=True)
class ServedContext(Context):
    """The context of a call that came from an MCP client. inputs: its answers to the questions of the call, by their
    keys. state: what the call asked to be sent back with them. capabilities: of the client; None for one that can't be
    asked."""

    inputs: Mapping[str, Any] = field(default_factory=dict)
    state: str | None = None
    capabilities: Mapping[str, Any] | None = None


class Progress:
    """Reports of progress as notifications. token: the client's; None when it wants none."""

    def __init__(self, token: Any, notify: Notify) -> None:
        self._token, self._notify = token, notify
        self._count = 0
        self._is_over = token is None
        self._lock = threading.Lock()

    def __call__(self, text: str) -> None:
        with self._lock:  # so that none is sent after the result
            if self._is_over:
                return
            self._count += 1
            params = {"progressToken": self._token, "progress": self._count, "message": cut(str(text), MAX_PROGRESS)}
            self._notify({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})

    def end(self) -> None:
        """Report no more."""
        with self._lock:
            self._is_over = True


def run(tool: Tool[..., Any], arguments: str, context: ServedContext) -> Outcome | None:
    """Run a call; returns None when it was cancelled. A thread of a call that does not end goes on alone, with
    `ctx.cancelled`. arguments: JSON text. Raises NeedsInput, and what is no Exception."""
    ended = threading.Event()
    made: list[Outcome | BaseException] = []

    def work() -> None:
        try:
            made.append(tool.answer(arguments, context))
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            made.append(error)
        finally:
            ended.set()

    timeout = None if tool.options.isolate else tool.options.timeout or context.tool_timeout
    WORKERS.submit(work)
    cancel = context.cancel
    assert cancel is not None
    try:
        Stop.of(tool.name, timeout, None, cancel).wait(ended.wait)
    except ToolError as error:
        if cancel.is_set():
            return None
        cancel.set()
        return failure(str(error), error)
    if cancel.is_set():
        return None
    if isinstance(made[0], BaseException):
        raise made[0]
    return made[0]


APPROVAL = "approval"


def check_approval(tool: Tool[..., Any], arguments: str, context: ServedContext, is_current: Callable[[], bool]) -> str:
    """Returns "" for a call that may run, else what its result is. is_current: whether the answer belongs to this call
    and was not used before. Raises NeedsInput when a person has to be asked."""
    if not _has_to_be_asked(tool, arguments):
        return ""
    if context.capabilities is None:
        return (
            f"{tool.name} was not run: a person has to approve it, and this client can't be asked. A client of MCP "
            "2026-07-28 with the capability elicitation can be."
        )
    answer = context.inputs.get(APPROVAL)
    if answer is None or answer.get("action") not in ("accept", "decline", "cancel") or not is_current():
        message = f"Run {tool.name} with {cut(arguments, 2000)}?"
        form = {"mode": "form", "message": message, "requestedSchema": {"type": "object", "properties": {}}}
        raise NeedsInput({APPROVAL: {"method": "elicitation/create", "params": form}}, once=True)
    return "" if answer["action"] == "accept" else f"{tool.name} was not run: the user did not approve this call."


def _has_to_be_asked(tool: Tool[..., Any], arguments: str) -> bool:
    if tool.options.approve is False:
        return False
    try:
        tool.values(arguments)
    except ArgumentsError:  # such a call is never run
        return False
    return tool.needs_approval(arguments)
