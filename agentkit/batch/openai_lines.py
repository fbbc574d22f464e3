"""Lines of OpenAI's batch format, which other servers read too (`vllm run-batch`)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from agentkit.batch.identity import KINDS, given_id
from agentkit.batch.question_lines import QUESTIONS, Question, asked_messages
from agentkit.batch.text_lines import LineError

_ENVELOPE = ("custom_id", "method", "url", "body")
_PATH = "/chat/completions"
USUAL_URL = f"/v1{_PATH}"
TOOLS = frozenset(("tools", "functions", "function_call", "tool_choice"))
_NOT_SAMPLING = frozenset(("model", "messages", "stream", "stream_options", "n", *TOOLS))


def is_request(value: object) -> bool:
    """Whether this is a line of that format: a body in an envelope, or an envelope without one."""
    if type(value) is not dict or not ("body" in value or "url" in value) or not value.keys().isdisjoint(QUESTIONS):
        return False
    if "body" in value:
        return "custom_id" in value or "method" in value
    return "custom_id" in value and "method" in value and "url" in value


def request_of(value: Mapping[str, Any]) -> Question:
    """What a line of that format asks. Raises LineError when it is no request for a reply of a chat model."""
    body = value.get("body")
    if not isinstance(body, (dict, Mapping)):  # a dict is known at once
        kind = "no body" if body is None else f"a body that is {KINDS.get(type(body), type(body).__name__)}"
        raise LineError(f"has {kind}: that of a request of OpenAI's batch format is an object with messages")
    _check_envelope(value)
    if not TOOLS.isdisjoint(body) and (tools := [name for name in body if name in TOOLS and body[name]]):
        raise LineError(f"has {tools[0]!r} in its body: give the agent its tools (--tools, --agent), not the line")
    if body.get("n") not in (None, 1):
        raise LineError("asks for more than one answer (n): write the line as often as it is to be asked")
    if "messages" not in body:
        raise LineError("has no messages in its body")
    model = body.get("model")
    if model is not None and not isinstance(model, str):
        raise LineError("has a model in its body that is no text")
    sampling = {name: each for name, each in body.items() if name not in _NOT_SAMPLING and each is not None}
    messages = asked_messages(body["messages"])
    given = value.get("custom_id")
    item_id = None if given is None else given_id(given)
    return Question(item_id, None, messages, sampling, value, _ENVELOPE, model or "")


def _check_envelope(value: Mapping[str, Any]) -> None:
    method, url = value.get("method", "POST"), value.get("url", _PATH)
    if method == "POST" and url == USUAL_URL:
        return
    if not isinstance(method, str) or method.upper() != "POST":
        raise LineError(f"has the method {str(method)[:40]!r}: it must be POST")
    try:
        path = urlsplit(url).path if isinstance(url, str) else ""
    except ValueError:
        path = ""
    if not path.rstrip("/").endswith(_PATH):
        raise LineError(f"has the url {str(url)[:80]!r}: only requests to /v1/chat/completions can be answered")
