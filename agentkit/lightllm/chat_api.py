"""LightLLM's `/v1/chat/completions`, with workarounds for its known defects (as of commit 87881ae).

Calls have the index -1, arguments may be "" or encoded twice, reasoning is in the field `reasoning`, and markup stays
in the content when the server uses the wrong parser. Calls in reasoning that is never closed are part of the reasoning.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from agentkit._text import in_a_line
from agentkit.backend import is_broken_off
from agentkit.backends.text_reply import StreamDeltas, whole_message
from agentkit.lightllm.generate_api import TextServer, ended_early
from agentkit.lightllm.over_requests import checked_completion
from agentkit.lightllm.request import CreateRequest
from agentkit.net.api_errors import api_error
from agentkit.net.http_client import Events
from agentkit.text.parser import ReplyParser
from agentkit.text.prompt import PromptMaker
from agentkit.text.verbatim import CopyDetector
from agentkit.tooling.arguments import as_json_object

PATH = "/v1/chat/completions"


class ChatServer:
    """The chat endpoint of a LightLLM server."""

    def __init__(self, server: TextServer) -> None:
        self._server = server

    def whole(
        self, request: CreateRequest, *, query: str = "", **options: Any
    ) -> tuple[Mapping[str, str], dict[str, Any]]:
        """Return the headers of the response and the JSON of the reply. query: with its question mark. Raises the
        openai package's errors."""
        maker = self._server.maker(request.model, renders=False)
        headers, answer = self._server.transport.exchange(PATH + query, self._body(request, maker), **options)
        with _as_api_error(answer):
            for choice in checked_completion(answer)["choices"]:
                _repair(choice, maker, request.body)
        return headers, answer

    def streamed(
        self, request: CreateRequest, *, query: str = "", **options: Any
    ) -> tuple[Mapping[str, str], Iterator[dict[str, Any]]]:
        """Return the headers of the response and the JSON of the chunks. Raises the openai package's errors."""
        request.refuse_several_streams()
        maker = self._server.maker(request.model, renders=False)
        headers, events = self._server.transport.streamed(PATH + query, self._body(request, maker), **options)
        wants_usage = bool(request.stream_options.get("include_usage"))
        return headers, self._chunks(events, _ChunkRepair(maker, request.body), wants_usage)

    def _body(self, request: CreateRequest, maker: PromptMaker) -> dict[str, Any]:
        messages = [self._message(message, maker) for message in request.messages]
        return {**request.chat_body(), "messages": messages, "stream": request.stream}

    def _message(self, message: Mapping[str, Any], maker: PromptMaker) -> dict[str, Any]:
        """Convert a message for the server: images as data: URLs, no nulls, special tokens in its text escaped."""
        converted = {key: value for key, value in maker.neutral(message).items() if value is not None}
        if isinstance(converted.get("content"), list):
            converted["content"] = [self._part(part) for part in converted["content"]]
        if message.get("role") != "assistant":
            converted.setdefault("content", "")
        return converted

    def _part(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        image = part.get("image_url", part.get("image"))
        if part.get("type") not in ("image_url", "image") or image is None:
            return part
        address = image.get("url", "") if isinstance(image, Mapping) else str(image)
        return {"type": "image_url", "image_url": {"url": self._server.images.data_url(address)}}

    def _chunks(self, events: Events, repair: "_ChunkRepair", wants_usage: bool) -> Iterator[dict[str, Any]]:
        ends: list[bool] = []
        with closing(events):
            for event in _noting_end(events, ends):
                choices = event.get("choices")
                if isinstance(choices, list) and choices and isinstance(choices[0], dict):
                    yield from repair.all_of(event)
                elif event.get("usage") and wants_usage:
                    yield event
        if not repair.is_finished:
            if not any(ends):
                raise ended_early(self._server.transport.base_url + PATH)
            yield from repair.rest()


def _noting_end(events: Events, ends: list[bool]) -> Iterator[dict[str, Any]]:
    """The events; what they return is added to `ends`."""
    ends.append((yield from events))


@contextmanager
def _as_api_error(answer: object) -> Iterator[None]:
    """Have what the form of an answer causes be an error of the server."""
    try:
        yield
    except (AttributeError, KeyError, TypeError) as error:
        raise api_error(f"the server's response is not a chat completion: {in_a_line(str(answer), 200)}") from error


class _ChunkRepair:
    """Repairs the chunks of one stream: calls in the text become calls, and arguments are never empty."""

    def __init__(self, maker: PromptMaker, request: Mapping[str, Any]) -> None:
        self._parser = _parser(maker, request)
        self._deltas = StreamDeltas(maker.family.new_call_id)
        self._has_arguments: dict[int, bool] = {}
        self._last: Mapping[str, Any] = {}
        self.is_finished = False

    def all_of(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """What a chunk becomes. Raises APIError for one of an odd form."""
        with _as_api_error(event):
            return list(self.repaired(event))

    def rest(self) -> Iterator[dict[str, Any]]:
        """Yield what is behind the last chunk of a stream that has ended well without a finish reason."""
        yield from self.repaired({**self._last, "choices": [{"delta": {}, "finish_reason": "stop"}]})

    def repaired(self, event: dict[str, Any]) -> Iterator[dict[str, Any]]:
        choice = event["choices"][0]
        delta = dict(choice.get("delta") or {})
        if delta.get("reasoning"):
            delta["reasoning_content"] = delta.pop("reasoning")
        for call in delta.get("tool_calls") or ():
            index = call.get("index") or 0
            arguments = (call.get("function") or {}).get("arguments")
            self._has_arguments[index] = self._has_arguments.get(index, False) or bool(arguments)
        content = delta.get("content")
        segments = self._parser.feed(content) if isinstance(content, str) else []
        if content:
            delta.pop("content")
        reason, self._last = choice.get("finish_reason"), event
        if reason:
            self.is_finished = True
            segments += self._parser.finish(cut_off=is_broken_off(reason))
        if delta or not (reason or segments):
            yield self._event(event, delta)
        added = [*self._deltas.all_of(segments), *(self._calls() if reason else ())]
        yield from (self._event(event, each) for each in added)
        if reason:
            has_calls = self._has_arguments or (added and "tool_calls" in added[-1])
            yield self._event(event, {}, "tool_calls" if has_calls else reason)

    def _calls(self) -> Iterator[dict[str, Any]]:
        """Yield the arguments that the server's own calls lack, and the calls in the text."""
        for index, has_arguments in self._has_arguments.items():
            if not has_arguments:
                yield {"tool_calls": [{"index": index, "function": {"arguments": "{}"}}]}
        yield from self._deltas.calls(first=max(self._has_arguments, default=-1) + 1)

    @staticmethod
    def _event(event: Mapping[str, Any], delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "logprobs": None, "delta": delta, "finish_reason": reason}
        return {**event, "choices": [choice]}


def _repair(choice: dict[str, Any], maker: PromptMaker, request: Mapping[str, Any]) -> None:
    message: dict[str, Any] = choice.get("message") or {}
    choice["message"] = message
    reasoning = message.pop("reasoning", None) or message.get("reasoning_content")
    if reasoning:
        message["reasoning_content"] = reasoning
    calls = message.get("tool_calls") or []
    if not calls and isinstance(message.get("content"), str):
        cut_off = is_broken_off(choice.get("finish_reason") or "")
        calls = _calls_in_text(message, maker, _parser(maker, request), cut_off)
    for index, call in enumerate(calls):
        call["index"] = index
        call["function"]["arguments"] = as_json_object(call["function"].get("arguments"))
    message["tool_calls"] = calls or None
    if calls or choice.get("finish_reason") == "function_call":
        choice["finish_reason"] = "tool_calls"


def _parser(maker: PromptMaker, request: Mapping[str, Any]) -> ReplyParser:
    """Return a parser for calls that the server left in the content, limited to unambiguous markup."""
    form = replace(maker.format, starts=maker.format.marks)
    is_copy = CopyDetector(request["messages"]).is_copy
    return ReplyParser(form, request.get("tools"), is_copy=is_copy)


def _calls_in_text(message: dict[str, Any], maker: PromptMaker, parser: ReplyParser, cut_off: bool) -> Any:
    """Return the calls that the server left in the content; reasoning in it is moved to its field."""
    parsed = whole_message(parser, message["content"], maker.family.new_call_id, cut_off=cut_off)
    if "reasoning_content" in parsed:
        thoughts = (message.get("reasoning_content"), parsed["reasoning_content"])
        message["reasoning_content"] = "\n\n".join(filter(None, thoughts))
        message["content"] = parsed["content"]
    if "invalid_tool_calls" in parsed:
        message["invalid_tool_calls"] = parsed["invalid_tool_calls"]
    return parsed["tool_calls"] or []
