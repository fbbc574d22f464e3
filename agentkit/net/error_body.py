"""Finds the error that a server reports in a body, under the names that servers and gateways have for it.

OpenAI's `{"error": {"message", "type", "code"}}`, a text as `error`, `{"object": "error", "message", "code"}` (vLLM),
`{"detail"}` (FastAPI), `{"code": 50505, "message"}` (SiliconFlow), `{"error_code", "error_msg"}` (Baidu),
`{"base_resp": {"status_code", "status_msg"}}` (MiniMax), `{"success": false, "errors": [...]}` (Cloudflare),
`choices[0].error` (OpenRouter).
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from agentkit._lazy.patterns import pattern
from agentkit._text import cut

MAX_MESSAGE_CHARACTERS = 1000
MAX_DEPTH = 6

_CONTENT = ("choices", "token", "generated_text", "text", "usage", "data", "ntokens")
"""Fields of what is no error."""
_MESSAGES = (
    *("error", "message", "detail", "errors", "msg", "error_msg", "error_message", "errorMessage", "errmsg"),
    *("err_msg", "status_msg", "error_description", "description", "reason", "title"),
)
_CODES = ("code", "status_code", "statusCode", "http_status", "error_code", "errorCode", "errcode", "status")
_WORDS = ("type", "error_type", "code", "error_code", "status")
_ENVELOPES = ("base_resp", "header", "result")
_BARE = frozenset(("message", "msg", "detail", "request_id", "requestId", "trace_id", "traceId", "timestamp", "path"))
"""The fields of an error that has nothing but its message."""
_CHUNK = "chat.completion.chunk"
_OF_A_USAGE = frozenset(("id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier"))
"""The fields of a chunk that says what a reply took, and can't say anything of an error."""
_SUCCESS = frozenset((0, 200, "", "0", "200", "ok", "success", "succeeded", "null", "none"))
_FAILED = frozenset(("error", "failed", "failure", "fail"))

_KINDS = (
    (429, r"rate.?limit|too.?many.?requests|resource.?exhausted|quota|throttl|tokens_per|requests_per"),
    (503, r"overload|unavailable|capacity|busy|try.?again"),
    (504, r"time.?out|deadline"),
    (401, r"invalid.?api.?key|authenticat|unauthori[sz]ed|invalid.?token"),
    (403, r"permission|forbidden"),
    (404, r"not.?found|no.?such.?model|does.?not.?exist"),
    (400, r"invalid.?request|bad.?request|invalid.?argument|invalid.?param|context.?length|content.?policy"),
    (500, r"internal|server.?error|api.?error|upstream|provider"),
)


def error_in(answer: Mapping[str, Any]) -> Any:
    """The error that a response with status 200, or an object of a stream, reports; None when it reports none."""
    if answer.get("token"):  # a stream of LightLLM
        return None
    error = answer.get("error")
    if error and not _is_success(error, answer):
        return answer
    choices = answer.get("choices")
    if choices:
        only = choices[0] if type(choices) is list and len(choices) == 1 else None
        if not error and type(only) is dict and "error" not in only:
            return None  # nearly always
        return next(filter(None, map(_error_of_choice, choices)), None) if isinstance(choices, list) else None
    if answer.get("usage") and answer.get("object") == _CHUNK and answer.keys() <= _OF_A_USAGE:
        return None  # the end of nearly every stream
    for name in _ENVELOPES:
        inner = answer.get(name)
        if isinstance(inner, Mapping) and _code_of(inner) is not None and _message(inner):
            return inner
    return answer if _is_error(answer) else None


def _error_of_choice(choice: Any) -> Any:
    error = choice.get("error") if isinstance(choice, dict) else None
    return None if not error or _is_success(error, {}) else {"error": error}


def _is_success(error: Any, answer: Mapping[str, Any]) -> bool:
    """Whether the field `error` of an answer says that there is none, or has nothing to say beside an answer."""
    if isinstance(error, Mapping):
        return not any(error.values()) or (bool(answer.get("choices")) and not _message(error) and not _code_of(error))
    return isinstance(error, str) and error.strip().lower() in _SUCCESS


def _is_error(answer: Mapping[str, Any]) -> bool:
    """Whether an object without a reply is an error, although it has no field `error`."""
    kinds = {str(answer.get(name)).lower() for name in ("object", "type", "status", "event")}
    if kinds & _FAILED or answer.get("success") is False:
        return True
    if not _message(answer) or any(answer.get(name) for name in _CONTENT):
        return False
    return _code_of(answer) is not None or answer.keys() <= _BARE


def _code_of(body: Mapping[str, Any]) -> Any:
    """The code of an error; None when there is none, or one that says that all is well."""
    for name in _CODES:
        value = body.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int) or (name == "status" and not _number(value)):
            continue
        if (value.strip().lower() if isinstance(value, str) else value) not in _SUCCESS:
            return value
    return None


def _number(value: Any) -> int:
    if isinstance(value, str) and len(value) < 10 and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) else 0


def status_of(error: Mapping[str, Any]) -> int | None:
    """The HTTP status that an error has or means: a number of 400 to 599, or a word for one; None when it has none."""
    errors = error.get("errors")
    inner = [error.get("error"), *(errors if isinstance(errors, list) else ())]
    bodies = [*(body for body in inner if isinstance(body, Mapping)), error]
    for body in bodies:
        for name in _CODES:
            if 400 <= (number := _number(body.get(name))) < 600:
                return number
    words = [error["error"]] if isinstance(error.get("error"), str) else []
    words += [str(body[name]) for body in bodies for name in _WORDS if isinstance(body.get(name), str)]
    text = " ".join(words)[:MAX_MESSAGE_CHARACTERS].lower()
    return next((status for status, pattern in _KINDS if re.search(pattern, text)), None)


def message_of(body: Any) -> str:
    """The message of an error body: OpenAI's `{"error": {"message"}}`, `{"message"}`, FastAPI's `{"detail"}`, and the
    names that other servers have for it."""
    return cut(_text_of(body, 0), MAX_MESSAGE_CHARACTERS)


def _text_of(body: Any, depth: int) -> str:
    if depth > MAX_DEPTH:
        return "…"
    if isinstance(body, Mapping):
        return _message(body, depth) or json.dumps(body, ensure_ascii=False)
    if isinstance(body, list):  # FastAPI's list of validation errors
        return "; ".join(_validation_error(each, depth) for each in body[:20])
    return str(body)


def _message(body: Mapping[str, Any], depth: int = 0) -> str:
    """The first message in an object; a gateway's own, and what it says of the server behind it."""
    found = next(_messages(body, depth), "")
    more = body.get("message") if isinstance(body.get("error"), str) else None
    if isinstance(more, str) and more and more not in found:
        found = f"{found}: {more}"
    metadata = body.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None  # OpenRouter's "Provider returned error"
    return f"{found}: {cut(raw, 500)}" if isinstance(raw, str) and raw and found else found


def _messages(body: Mapping[str, Any], depth: int) -> Iterator[str]:
    for name in _MESSAGES:
        value = body.get(name)
        if isinstance(value, str) and value.strip():
            yield value
        elif isinstance(value, Mapping | list) and value:
            yield _text_of(value, depth + 1)


def _validation_error(error: Any, depth: int) -> str:
    if isinstance(error, dict) and "msg" in error:
        where = ".".join(str(step) for step in error.get("loc") or ())
        return f"{where}: {error['msg']}" if where else str(error["msg"])
    return _text_of(error, depth + 1)


def page_text(content: bytes) -> str:
    """Return the plain text of an HTML error page, at most 300 characters."""
    text = _TAG.sub(" ", content[:20_000].decode("utf-8", "replace"))
    return cut(" ".join(text.split()), 300) or "(empty body)"


_TAG = pattern(r"<[^<>]*>")
