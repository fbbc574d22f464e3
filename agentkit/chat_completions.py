"""LightLLM's own `/v1/chat/completions`, with its known faults mended (as seen at commit 87881ae).

Calls are numbered -1, arguments may be "" or encoded twice, reasoning is called `reasoning`, calls stay in the
reasoning when that is never closed, and markup stays in the content when the server has the wrong parser.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from agentkit.arguments import as_json_object
from agentkit.format import BadCall, Call, Piece, Reader, Text
from agentkit.generate import TextServer
from agentkit.prompt import PromptMaker
from agentkit.transport import Events, api_error, message_of

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
        body = {**body, "messages": [self._message(message, maker) for message in body["messages"]], "stream": stream}
        if not stream:
            answer = told_message(self._server.transport.post(PATH, body, **options))
            for choice in answer["choices"]:
                _mend(choice, maker)
            return answer
        wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        return self._chunks(self._server.transport.events(PATH, body, **options), maker, wants_usage)

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
    def _chunks(events: Events, maker: PromptMaker, wants_usage: bool) -> Iterator[dict[str, Any]]:
        reading = _Chunks(maker)
        with closing(events):
            for event in events:
                if event.get("choices"):
                    yield from reading.mended(event)
                elif event.get("usage") and wants_usage:
                    yield event


class _Chunks:
    """Mends the chunks of one stream: calls that came as text are calls, and arguments are never empty."""

    def __init__(self, maker: PromptMaker) -> None:
        self._reader = Reader(maker.format)
        self._calls: dict[int, str] = {}

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
            pieces += self._reader.finish()
        if delta or not (reason or pieces):
            yield self._event(event, delta)
        for piece in pieces:
            yield self._event(event, self._delta(piece))
        if reason:
            yield from (self._event(event, each) for each in self._missing_arguments())
            yield self._event(event, {}, "tool_calls" if self._calls else reason)

    def _delta(self, piece: Piece) -> dict[str, Any]:
        if isinstance(piece, Call):
            place = max(self._calls, default=-1) + 1
            self._calls[place] = piece.arguments
            return {"tool_calls": [_call(piece, place)]}
        if isinstance(piece, BadCall):
            told = {"text": piece.text, "error": piece.reason, "name": piece.name}
            return {"content": piece.text, "invalid_tool_calls": [told]}
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


def _mend(choice: dict[str, Any], maker: PromptMaker) -> None:
    message: dict[str, Any] = choice.get("message") or {}
    choice["message"] = message
    reasoning = message.pop("reasoning", None) or message.get("reasoning_content")
    if reasoning:
        message["reasoning_content"] = reasoning
    calls = message.get("tool_calls") or []
    if not calls:
        calls = _calls_in_text(message, maker)
    for place, call in enumerate(calls):
        call["index"] = place
        call["function"]["arguments"] = as_json_object(call["function"].get("arguments"))
    message["tool_calls"] = calls or None
    if calls or choice.get("finish_reason") == "function_call":
        choice["finish_reason"] = "tool_calls"


def _calls_in_text(message: dict[str, Any], maker: PromptMaker) -> list[dict[str, Any]]:
    """Calls that the server left in the content, or in reasoning that was never closed."""
    content, reasoning = message.get("content"), message.get("reasoning_content")
    text = content if isinstance(content, str) and content else reasoning if isinstance(reasoning, str) else ""
    if not any(mark in text for mark in maker.format.starts) or maker.format.bare:
        return []
    reader = Reader(maker.format)
    pieces = [*reader.feed(text), *reader.finish()]
    bad = [piece for piece in pieces if isinstance(piece, BadCall)]
    if bad:
        message["invalid_tool_calls"] = [{"text": each.text, "error": each.reason, "name": each.name} for each in bad]
    return [_call(piece, place) for place, piece in enumerate(each for each in pieces if isinstance(each, Call))]


def _call(call: Call, place: int) -> dict[str, Any]:
    return {
        "index": place,
        "id": call.id or f"call_{uuid.uuid4().hex[:24]}",
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
