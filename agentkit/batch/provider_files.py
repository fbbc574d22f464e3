"""Files of the providers' batch services (OpenAI's, and `vllm run-batch`), for questions that one reply answers: the
requests, and the records in what comes back."""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from agentkit._text import cut
from agentkit.backends.parsed_text import without_reasoning
from agentkit.backends.usage import usage_in, usage_of
from agentkit.batch.answer_lines import json_line
from agentkit.batch.item import Item, Record
from agentkit.batch.items import open_items
from agentkit.batch.text_lines import open_bytes
from agentkit.batch.whole_file import Out, whole_file
from agentkit.errors import ConfigurationError
from agentkit.record import usage_record

MOST_REQUESTS = 50_000
"""How many requests OpenAI takes in a file."""
URL = "/v1/chat/completions"
_MAX_LINE = 1 << 26
_STOPPED = {"stop": "answer", "length": "length", "content_filter": "content_filter"}
_INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}
"""Why a reply of the Responses API is not complete."""


def export_requests(
    questions: str | os.PathLike[str],
    out: Out,
    model: str,
    *,
    system: str = "",
    sampling: Mapping[str, Any] | None = None,
    question: str | None = None,
) -> int:
    """Write a file of requests in OpenAI's batch format, one for each question, and return how many they are. The
    model gets no tools: a service of this kind makes one request for a question.

    model: its name at the provider. system: instructions. sampling: other fields of the requests; those of a line come
    first. question: the field or column of the questions.

    Raises ConfigurationError for questions that can't be asked, by the numbers of their lines, and for files that can't
    be read or written.
    """
    items = open_items(questions, question=question)
    checked = items.check()
    if checked.bad_count:
        named = "; ".join(f"line {bad.line} {bad.reason}" for bad in checked.bad[:5])
        raise ConfigurationError(f"{items.name}: {checked.bad_count:,} lines can't be asked: {named}")
    count = 0
    with whole_file(out, questions) as file:
        for item in items:
            count += 1
            body = {"model": model, "messages": _messages(item, system), **(sampling or {}), **item.sampling}
            file.write(json_line({"custom_id": item.id, "method": "POST", "url": URL, "body": body}))
    return count


def _messages(item: Item, system: str) -> list[Mapping[str, Any]]:
    asked = list(item.messages) or [{"role": "user", "content": item.prompt}]
    return [{"role": "system", "content": system}, *asked] if system else asked


def read_replies(path: str | os.PathLike[str]) -> Iterator[Record]:
    """The records in a file that such a service gave back: of its replies, or of its errors. Raises ConfigurationError
    for a file that can't be read, and for a line that is none of such a file, with its number."""
    name = os.path.basename(path)
    with open_bytes(path) as file:
        number = 0
        while line := file.readline(_MAX_LINE):
            number += 1
            if line.isspace():
                continue
            try:
                yield _record(_line(line))
            except (ValueError, RecursionError) as error:
                raise ConfigurationError(
                    f"line {number} of {name} is none of a batch service's output ({cut(str(error), 200)})"
                ) from None


def _line(line: bytes) -> dict[str, Any]:
    value = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
    if not isinstance(value, dict) or not isinstance(value.get("custom_id"), str) or not value["custom_id"]:
        raise ValueError('it has no "custom_id"')
    if "response" not in value and "error" not in value:
        raise ValueError('it has neither a "response" nor an "error": is this the file of the requests?')
    return value


def _record(line: Mapping[str, Any]) -> Record:
    response = _mapping(line.get("response"))
    body, status = _mapping(response.get("body")), response.get("status_code")
    output, stopped = _answer(body)
    error = _error(line, body, status, output, stopped)
    usage = usage_record(usage_of(usage_in(body)))
    spent = {name: value for name, value in usage.items() if value and name not in ("cost", "seconds")}
    return {
        "id": line["custom_id"],
        "ok": error is None,
        "output": output if error is None else None,
        "stopped": stopped if error is None else "",
        "citations": [],
        "usage": spent if body else {},
        "cost": None,
        "seconds": 0.0,
        "attempts": 1,
        "refusals": 0,
        "error": error,
    }


def _error(
    line: Mapping[str, Any], body: Mapping[str, Any], status: Any, output: str, stopped: str
) -> dict[str, Any] | None:
    """Why there is no answer. OpenAI says it in "error", in the body of a response, or not at all: a status of 0 with
    an empty body."""
    code = status if isinstance(status, int) and not isinstance(status, bool) and status else None
    told = _mapping(line.get("error")) or _mapping(body.get("error"))
    if not told and isinstance(body.get("message"), str) and "choices" not in body:
        told = body  # of older versions of vLLM
    if not told and output.strip() and (code is None or code < 400):
        return None
    kind = told.get("code") or told.get("type") or (stopped if stopped not in ("", "answer") else "no_reply")
    message = told.get("message") or (f"the reply has no text ({stopped or 'no choices'})" if body else "no reply came")
    return {"type": str(kind), "message": str(message), "status": code}


def _answer(body: Mapping[str, Any]) -> tuple[str, str]:
    """The text of a reply, and why it ended; "" for neither."""
    if isinstance(body.get("output"), list):
        return _answer_of_responses(body)
    choices = body.get("choices")
    choice = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    message = _mapping(choice.get("message"))
    reason = choice.get("finish_reason")
    if message.get("tool_calls"):
        return "", "tool_calls"
    text = without_reasoning(_text(message.get("content"))) or _text(message.get("refusal"))
    return text, _STOPPED.get(str(reason), "answer") if choice else ""


def _answer_of_responses(body: Mapping[str, Any]) -> tuple[str, str]:
    """The same of a reply of the Responses API: the texts of all its messages."""
    items = [_mapping(each) for each in body["output"]]
    if any(item.get("type") == "function_call" for item in items):
        return "", "tool_calls"
    parts = [_mapping(part) for item in items if item.get("type") == "message" for part in item.get("content") or ()]
    text = "".join(_text(part.get("text")) or _text(part.get("refusal")) for part in parts)
    why = str(_mapping(body.get("incomplete_details")).get("reason"))
    return text, _INCOMPLETE.get(why, "answer") if parts else ""


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(_text(_mapping(part).get("text")) for part in content)
    return content if isinstance(content, str) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
