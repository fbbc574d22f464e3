"""LightLLM's own `/v1/chat/completions`, with its known faults mended (as seen at commit 87881ae).

Calls are numbered -1, arguments may be "" or encoded twice, reasoning is called `reasoning`, and markup stays in the
content when the server has the wrong parser. Calls in reasoning that is never closed are thoughts.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

from agentkit.backend import is_broken_off
from agentkit.lightllm.generate_api import TextServer
from agentkit.net.api_errors import api_error, message_of
from agentkit.net.http_client import Events
from agentkit.text.call_format import BadCall, Call, LateReasoning, Text, Thought, resolve_reasoning
from agentkit.text.parser import ReplyParser
from agentkit.text.prompt import PromptMaker
from agentkit.text.verbatim import CopyDetector
from agentkit.tooling.arguments import as_json_object

PATH = "/v1/chat/completions"


class ChatServer:
    """The chat endpoint of a LightLLM server."""

    def __init__(self, server: TextServer) -> None:
        self._server = server

    def create(
        self, body: dict[str, Any], options: Mapping[str, Any], stream: bool
    ) -> dict[str, Any] | Iterator[dict[str, Any]]:
        """The JSON of a reply, or of its chunks. Raises the openai package's errors."""
        maker = self._server.maker(str(body["model"]))
        given = body
        body = {**body, "messages": [self._message(message, maker) for message in body["messages"]], "stream": stream}
        if not stream:
            answer = told_message(self._server.transport.post(PATH, body, **options))
            for choice in answer["choices"]:
                _mend(choice, maker, given)
            return answer
        wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        return self._chunks(self._server.transport.events(PATH, body, **options), _Chunks(maker, given), wants_usage)

    def _message(self, message: Mapping[str, Any], maker: PromptMaker) -> dict[str, Any]:
        """A message as the server takes it: pictures as data, no nulls, and nothing forged in its texts."""
        sent = {key: value for key, value in maker.neutral(message).items() if value is not None}
        if isinstance(sent.get("content"), list):
            sent["content"] = [self._part(part) for part in sent["content"]]
        if message.get("role") != "assistant":
            sent.setdefault("content", "")
        return sent

    def _part(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        given = part.get("image_url", part.get("image"))
        if part.get("type") not in ("image_url", "image") or given is None:
            return part
        address = given.get("url", "") if isinstance(given, Mapping) else str(given)
        return {"type": "image_url", "image_url": {"url": self._server.pictures.data_url(address)}}

    @staticmethod
    def _chunks(events: Events, reading: "_Chunks", wants_usage: bool) -> Iterator[dict[str, Any]]:
        with closing(events):
            for event in events:
                if event.get("choices"):
                    yield from reading.mended(event)
                elif event.get("usage") and wants_usage:
                    yield event


class _Chunks:
    """Mends the chunks of one stream: calls that came as text are calls, and arguments are never empty."""

    def __init__(self, maker: PromptMaker, asked: Mapping[str, Any]) -> None:
        self._reader = _reader(maker, asked)
        self._calls: dict[int, str] = {}
        self._in_text: list[Call] = []

    def mended(self, event: dict[str, Any]) -> Iterator[dict[str, Any]]:
        choice = event["choices"][0]
        delta = dict(choice.get("delta") or {})
        if delta.get("reasoning"):
            delta["reasoning_content"] = delta.pop("reasoning")
        for call in delta.get("tool_calls") or ():
            place = call.get("index") or 0
            self._calls[place] = self._calls.get(place, "") + ((call.get("function") or {}).get("arguments") or "")
        content = delta.get("content")
        pieces = self._reader.feed(content) if isinstance(content, str) else []
        if content:
            delta.pop("content")
        reason = choice.get("finish_reason")
        if reason:
            pieces += self._reader.finish(cut_off=is_broken_off(reason))
        if delta or not (reason or pieces):
            yield self._event(event, delta)
        for piece in pieces:
            if isinstance(piece, Call):  # given last: what was read so far may turn out to be reasoning
                self._in_text.append(piece)
            else:
                yield self._event(event, self._delta(piece))
        if reason:
            yield from (self._event(event, self._call_delta(call)) for call in self._in_text)
            yield from (self._event(event, each) for each in self._missing_arguments())
            yield self._event(event, {}, "tool_calls" if self._calls else reason)

    def _call_delta(self, call: Call) -> dict[str, Any]:
        place = max(self._calls, default=-1) + 1
        self._calls[place] = call.arguments
        return {"tool_calls": [_call(call, place)]}

    def _delta(self, piece: Text | Thought | BadCall | LateReasoning) -> dict[str, Any]:
        if isinstance(piece, BadCall):
            return {"content": piece.text, "invalid_tool_calls": [invalid_call(piece)]}
        if isinstance(piece, LateReasoning):
            self._in_text.clear()
        return {"content" if isinstance(piece, Text) else "reasoning_content": piece.text}

    def _missing_arguments(self) -> Iterator[dict[str, Any]]:
        for place, arguments in self._calls.items():
            if not arguments:
                yield {"tool_calls": [{"index": place, "function": {"arguments": "{}"}}]}

    @staticmethod
    def _event(event: Mapping[str, Any], delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "logprobs": None, "delta": delta, "finish_reason": reason}
        return {**event, "choices": [choice]}


def told_message(answer: Any) -> dict[str, Any]:
    """A whole answer of a chat completions server. Raises APIError when it is none, or an error with status 200."""
    if isinstance(answer, dict) and answer.get("error"):
        raise api_error(message_of(answer), answer)
    if not isinstance(answer, dict) or not isinstance(answer.get("choices"), list) or not answer["choices"]:
        raise api_error(f"the server's answer is no chat completion: {str(answer)[:200]}", answer)
    return answer


def _mend(choice: dict[str, Any], maker: PromptMaker, asked: Mapping[str, Any]) -> None:
    message: dict[str, Any] = choice.get("message") or {}
    choice["message"] = message
    reasoning = message.pop("reasoning", None) or message.get("reasoning_content")
    if reasoning:
        message["reasoning_content"] = reasoning
    calls = message.get("tool_calls") or []
    if not calls and isinstance(message.get("content"), str):
        calls = _calls_in_text(message, _reader(maker, asked), is_broken_off(choice.get("finish_reason") or ""))
    for place, call in enumerate(calls):
        call["index"] = place
        call["function"]["arguments"] = as_json_object(call["function"].get("arguments"))
    message["tool_calls"] = calls or None
    if calls or choice.get("finish_reason") == "function_call":
        choice["finish_reason"] = "tool_calls"


def _reader(maker: PromptMaker, asked: Mapping[str, Any]) -> ReplyParser:
    """Reads what the server left in the content: markup of calls that text can't be confused with."""
    form = maker.format
    starts = tuple(start for start in form.starts if len(start) > 1)
    is_copy = CopyDetector(asked["messages"]).is_copy
    return ReplyParser(replace(form, starts=starts), asked.get("tools"), is_copy=is_copy)


def _calls_in_text(message: dict[str, Any], reader: ReplyParser, cut_off: bool) -> list[dict[str, Any]]:
    """Calls that the server left in the content; what is reasoning there is moved to its field."""
    pieces = resolve_reasoning([*reader.feed(message["content"]), *reader.finish(cut_off=cut_off)])
    thoughts = "".join(piece.text for piece in pieces if isinstance(piece, Thought))
    if thoughts:
        message["reasoning_content"] = "\n\n".join(filter(None, (message.get("reasoning_content"), thoughts)))
        message["content"] = reader.raw_answer
    bad = [invalid_call(piece) for piece in pieces if isinstance(piece, BadCall)]
    if bad:
        message["invalid_tool_calls"] = bad
    return [_call(piece, place) for place, piece in enumerate(each for each in pieces if isinstance(each, Call))]


def invalid_call(bad: BadCall) -> dict[str, Any]:
    """An entry of `invalid_tool_calls`."""
    return {"text": bad.text, "error": bad.reason, "name": bad.name}


def _call(call: Call, place: int) -> dict[str, Any]:
    return {
        "index": place,
        "id": call.id or f"call_{uuid.uuid4().hex[:24]}",
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
