"""What is known of a request and its reply, as attributes without content."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from agentkit._text import cut, joined_surrogates
from agentkit.backend import Backend, Request, ending_of
from agentkit.event import Reply
from agentkit.limits import Usage
from agentkit.message import Message
from agentkit.middleware.base import Middleware
from agentkit.telemetry import names
from agentkit.tooling.outcome import class_name

MAX_NAME = 200
"""Characters of a name."""

_WORD = re.compile(r"[A-Za-z0-9_.\-]{1,40}")
_IDENTIFIER = re.compile(r"[\w./:@+\-]{1,200}")


def name_of(text: str) -> str:
    """A name of the program's as it is sent."""
    return cut(joined_surrogates(text).replace("\0", "\ufffd"), MAX_NAME)


def attributes_of_request(backend: Backend, request: Request) -> dict[str, Any]:
    """The attributes that are known before a request is sent."""
    known = backend.capabilities()
    found = dict(_of_a_model(_innermost(backend), known.base_url, known.model))
    if request.stream:
        found[names.REQUEST_STREAM] = True
    if request.response_format:
        found[names.OUTPUT_TYPE] = "json"
    if request.sampling:
        found.update(_sampling(request.sampling))
    return found


def _innermost(backend: Backend) -> type:
    """The class of the backend that sends the requests."""
    found: Any = backend
    while isinstance(found, Middleware):
        found = found.backend
    return type(found)


@lru_cache(256)
def _of_a_model(kind: type, base_url: str | None, model: str) -> Mapping[str, Any]:
    found = {names.OPERATION_NAME: names.CHAT, names.PROVIDER_NAME: _provider(kind, base_url), **_server(base_url)}
    return {**found, names.REQUEST_MODEL: _model(model)} if model else found


def _model(name: str) -> str:
    """The name of a model; that of a file without the folder, which names the machine's users."""
    is_file = name.lower().endswith(".gguf")
    return name_of(re.split(r"[/\\]", name)[-1] if is_file else name)


def _provider(kind: type, base_url: str | None) -> str:
    parts = _host(base_url).split(".")
    for start in range(max(0, len(parts) - 4), len(parts)):
        found = names.PROVIDERS.get(".".join(parts[start:]))
        if found:
            return found
    return name_of(kind.__name__.removesuffix("Backend").lower() or names.UNKNOWN)


def _host(base_url: str | None) -> str:
    try:
        return (urlsplit(base_url or "").hostname or "").lower()
    except ValueError:
        return ""


def _server(base_url: str | None) -> dict[str, Any]:
    host = _host(base_url)
    if not host:
        return {}
    parts = urlsplit(base_url or "")
    try:
        port = parts.port
    except ValueError:
        port = None
    return {names.SERVER_ADDRESS: host, names.SERVER_PORT: port or (80 if parts.scheme == "http" else 443)}


def _sampling(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a request. A text among them may be content, but for the reasoning effort, which is a word."""
    found: dict[str, Any] = {}
    for field, name in names.INT_PARAMETERS.items():
        value = given.get(field)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
            found[name] = value
    for field, name in names.FLOAT_PARAMETERS.items():
        value = given.get(field)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = float(value)
    if found.get(names.REQUEST_CHOICES) == 1:
        del found[names.REQUEST_CHOICES]
    effort = given.get("reasoning_effort")
    if isinstance(effort, str) and _WORD.fullmatch(effort):
        found[names.REQUEST_REASONING] = effort
    return found


def attributes_of_reply(reply: Reply) -> dict[str, Any]:
    """The attributes of a reply. What a server has written is left out unless it has the form of a word or a name."""
    found: dict[str, Any] = {}
    reason, usage = finish_reason(reply.finish_reason), reply.usage
    if reason:
        found[names.FINISH_REASONS] = [reason]
    if usage.input_tokens or usage.output_tokens:
        found[names.INPUT_TOKENS] = sendable_count(usage.input_tokens)
        found[names.OUTPUT_TOKENS] = sendable_count(usage.output_tokens)
    if usage.cached_tokens:
        found[names.CACHED_TOKENS] = sendable_count(usage.cached_tokens)
    if usage.reasoning_tokens:
        found[names.REASONING_TOKENS] = sendable_count(usage.reasoning_tokens)
    if usage.cost is not None:
        found[names.COST] = usage.cost
    if _IDENTIFIER.fullmatch(reply.response_model):
        found[names.RESPONSE_MODEL] = _model(reply.response_model)
    if _IDENTIFIER.fullmatch(reply.response_id):
        found[names.RESPONSE_ID] = reply.response_id
    return found


def finish_reason(reason: str) -> str:
    """Why a reply ended, in the server's word if it is one; "" when it did not say."""
    return reason if _WORD.fullmatch(reason) else ending_of(reason) or ""


def sendable_count(count: int) -> int:
    """A number of tokens as it is sent: a server may claim more than 64 bits hold, with which nothing would arrive."""
    return min(count, 2**63 - 1)


def call_of(messages: Sequence[Message], name: str, arguments: str, number: int) -> str:
    """The id of the newest reply's call with this name and these arguments, if the reply is complete; "" if there is
    none. number: which of several such calls, from 1; what is beyond them is the last one, run again."""
    reply = next((each for each in reversed(messages) if each["role"] != "tool"), None)
    calls = [(call["id"], call["function"]) for call in (reply or {}).get("tool_calls") or ()]
    found = [each for each, called in calls if called["name"] == name and called["arguments"] == arguments]
    call_id = found[min(number, len(found)) - 1] if found else ""
    return str(call_id) if _IDENTIFIER.fullmatch(call_id) else ""


def attributes_of_run(usage: Usage) -> dict[str, Any]:
    """The attributes of what a run has spent, with the runs inside of it."""
    found = {
        names.AGGREGATED_INPUT_TOKENS: usage.input_tokens,
        names.AGGREGATED_OUTPUT_TOKENS: usage.output_tokens,
        names.AGGREGATED_CACHED_TOKENS: usage.cached_tokens,
        names.AGGREGATED_REASONING_TOKENS: usage.reasoning_tokens,
    }
    return {name: sendable_count(count) for name, count in found.items() if count}


def error_type(error: BaseException) -> str:
    """What kind of error it is: the status of an HTTP response, or the name of the exception's class."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and not isinstance(status, bool):
        return str(status)
    return name_of(class_name(error))
