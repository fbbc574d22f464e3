"""What a server asks a person in the middle of a call (elicitation), and what it is answered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agentkit._lazy.logs import WARNING, logger_of
from agentkit._text import json_text, shown
from agentkit.errors import ToolError
from agentkit.mcp.errors import METHOD_NOT_FOUND, MCPError
from agentkit.tooling.error_log import log_raised

logger = logger_of("agentkit")


@dataclass(frozen=True)
class Question:
    """What a server asks. server: its label. message: its words. schema: what an answer has to be, a JSON schema of an
    object with values that are no objects; None for a question that is answered at `url`, a page that a person has to
    open (only when they agree to that)."""

    server: str
    message: str
    schema: Mapping[str, Any] | None = None
    url: str | None = None


Answer = Mapping[str, Any] | bool | None
"""A mapping: the values that were asked for; what is missing has the default of the schema. True: yes, where no values
are asked for. None or False: declined."""

Ask = Callable[[Question], Answer]
"""Gets an answer. It is called in the thread of the call, or in one of agentkit's threads where an old server asks (up
to 2025-11-25); several questions may be open at once. The call ends with a ToolError that it raises, and with what is
no Exception; any other exception is logged, and the server told that the question was cancelled."""

CANCEL: Mapping[str, Any] = {"action": "cancel"}
DECLINE: Mapping[str, Any] = {"action": "decline"}


def answer_to(question: Question, ask: Ask | None) -> dict[str, Any]:
    """What a server is told: an `ElicitResult`. Raises ToolError, and what is no Exception, when `ask` does."""
    if ask is None:
        return dict(DECLINE)
    try:
        answer = ask(question)
        if answer is None or answer is False:
            return dict(DECLINE)
        if question.url is not None:
            return {"action": "accept"}
        given = answer if isinstance(answer, Mapping) else {}
        if answer is not True and not isinstance(answer, Mapping):
            raise TypeError(f"a dict, True, False or None is expected, not {type(answer).__name__}")
        content = {**_defaults(question.schema or {}), **given}
        json_text(content)  # raises for what is not JSON
    except ToolError:
        raise
    except Exception as error:  # noqa: BLE001 - a function of the user's
        log_raised(logger, WARNING, "ask, for a question of an MCP server, raised", error, ask)
        return dict(CANCEL)
    return {"action": "accept", "content": content}


def answer_to_request(
    request: Mapping[str, Any], server: str, answer: Callable[[Question], dict[str, Any]]
) -> dict[str, Any]:
    """The result of a request that a server makes of a client. answer: what it is told on a question. Raises MCPError
    for what clients of ours don't do, and what `answer` raises."""
    method, params = request.get("method"), request.get("params")
    if method == "ping":
        return {}
    if method != "elicitation/create":
        raise MCPError(
            f"the client does not support {method[:80] if isinstance(method, str) else shown(method, 80)}",
            METHOD_NOT_FOUND,
        )
    question = question_of(params if isinstance(params, dict) else {}, server)
    return dict(DECLINE) if question is None else answer(question)


def question_of(params: Mapping[str, Any], server: str) -> Question | None:
    """The question in the parameters of "elicitation/create"; None for an address that no browser should open."""
    message, schema, url = params.get("message"), params.get("requestedSchema"), params.get("url")
    words = message if isinstance(message, str) else ""
    if params.get("mode") != "url":
        return Question(server, words, schema if isinstance(schema, dict) else {})
    is_page = isinstance(url, str) and url.startswith(("https://", "http://"))
    return Question(server, words, url=url) if is_page else None


def _defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    fields = schema.get("properties")
    if not isinstance(fields, dict):
        return {}
    return {name: each["default"] for name, each in fields.items() if isinstance(each, dict) and "default" in each}
