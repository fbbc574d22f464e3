"""A call of a tool: run in a thread, with its progress, until it is done, cancelled or out of time."""

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from agentkit._lazy.logs import WARNING, logger_of
from agentkit._text import cut
from agentkit._threads import WORKERS
from agentkit.errors import ArgumentsError, ToolError
from agentkit.mcp.serving.forms import form_of
from agentkit.mcp.serving.protocol import Message
from agentkit.mcp.serving.questions import NeedsInput
from agentkit.tooling.error_log import log_raised
from agentkit.tooling.error_text import described
from agentkit.tooling.outcome import Outcome, failure
from agentkit.tooling.questions import Question
from agentkit.tooling.stop import Stop
from agentkit.tools import Context, Tool

logger = logger_of("agentkit.mcp")

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
    """Reports of progress as notifications. token: the client's; none are sent when it is neither text nor number."""

    def __init__(self, token: Any, notify: Notify) -> None:
        self._token, self._notify = token, notify
        self._count = 0
        self._is_over = not isinstance(token, str | int | float)
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


def run(tool: Tool[..., Any], arguments: str, context: ServedContext, place: ExitStack) -> Outcome | None:
    """Run a call; returns None when it was cancelled, perhaps before it began. A thread of a call that does not end
    goes on alone, with `ctx.cancelled`. arguments: JSON text. place: is closed when the tool has ended, or not begun.
    Raises NeedsInput."""
    cancel = context.cancel
    assert cancel is not None
    if cancel.is_set():
        return None
    ended = threading.Event()
    made: list[Outcome | Exception] = []
    kept = place.pop_all()

    def work() -> None:
        try:
            made.append(tool.answer(arguments, context))
        except Exception as error:  # noqa: BLE001 - raised again in the waiting thread
            made.append(error)
        except BaseException as error:  # noqa: BLE001 - of a tool: nothing but its call ends
            log_raised(logger, WARNING, f"tool {tool.name} raised", error, tool.function)
            made.append(failure(f"{tool.name} raised {described(error)}", error))
        finally:
            kept.close()
            ended.set()

    timeout = None if tool.options.isolate else tool.options.timeout or context.tool_timeout
    WORKERS.submit(work)
    try:
        Stop.of(tool.name, timeout, None, cancel).wait(ended.wait)
    except ToolError as error:
        if cancel.is_set():
            return None
        cancel.set()
        return failure(str(error), error)
    if cancel.is_set():
        return None
    if isinstance(made[0], Exception):
        raise made[0]
    return made[0]


APPROVAL, QUESTION = "approval", "question"
"""The keys of what a person is asked, and the states that come back with the answers."""


def check_approval(tool: Tool[..., Any], arguments: str, context: ServedContext) -> str:
    """Returns "" for a call that may run, else what its result is. Raises NeedsInput when a person has to be asked."""
    if context.state == QUESTION or not _has_to_be_asked(tool, arguments):  # it asks after it was approved
        return ""
    if context.capabilities is None:
        return (
            f"{tool.name} was not run: a person has to approve it, and this client can't be asked. One that has the "
            "capability elicitation can be: over HTTP of MCP 2026-07-28, else of any version."
        )
    action = _action(context, APPROVAL)
    if action is None:
        raise _asked(APPROVAL, f"Run {tool.name} with {cut(arguments, 2000)}?")
    return "" if action == "accept" else f"{tool.name} was not run: the user did not approve this call."


def answer_of(tool: Tool[..., Any], context: ServedContext) -> tuple[Any, str]:
    """What a person has answered to the question of a tool (`ctx.ask`), None when nothing; and what the result of the
    call is when it was refused, else ""."""
    action = _action(context, QUESTION)
    if action in (None, "accept"):
        content = context.inputs.get(QUESTION, {}).get("content")
        return (content or True) if action else None, ""
    return None, f"{tool.name} was not run: the user did not answer its question."


def asked_by(question: Question) -> NeedsInput:
    """The question of a tool to a person."""
    text = f"{question.text} ({question.problem})" if question.problem else question.text
    return _asked(QUESTION, text, question.schema or {})


def _asked(key: str, text: str, schema: Mapping[str, Any] = MappingProxyType({})) -> NeedsInput:
    params = {"mode": "form", "message": text, "requestedSchema": form_of(schema)}
    return NeedsInput({key: {"method": "elicitation/create", "params": params}}, state=key, once=True)


def _action(context: ServedContext, key: str) -> str | None:
    """What a person has done with a question: accept, decline or cancel; None when it was not asked."""
    action = context.inputs.get(key, {}).get("action") if context.state == key else None
    return action if action in ("accept", "decline", "cancel") else None


def _has_to_be_asked(tool: Tool[..., Any], arguments: str) -> bool:
    if tool.options.approve is False:
        return False
    try:
        tool.values(arguments)
    except ArgumentsError:  # such a call is never run
        return False
    return tool.needs_approval(arguments)
