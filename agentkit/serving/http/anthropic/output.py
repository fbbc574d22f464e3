"""The message of an answer, and the events that tell of it in a stream.

A stream and a whole message are made by the same code, so that they are the same. A block is begun and ended by its
events, and only one is open at a time: clients such as Claude Code end a stream in which it is otherwise.
"""

import json
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from agentkit.limits import Usage
from agentkit.message import ToolCall
from agentkit.serving.http.openai.answers import Delta
from agentkit.tooling.arguments import read_arguments

StreamEvent = dict[str, Any]

PING: StreamEvent = {"type": "ping"}

_REASONS = {"tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}
_BEGUN: dict[str, dict[str, Any]] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}


class Output:
    """Makes one message. model: its name, as the client wrote it. shows_thinking: whether the reasoning is part of
    it. Each method returns events."""

    def __init__(self, model: str, shows_thinking: bool) -> None:
        self._shows_thinking = shows_thinking
        self.message: dict[str, Any] = {
            "id": f"msg_{secrets.token_hex(12)}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_fields(Usage()),
        }
        self._texts: list[str] = []
        self._is_open = False

    @property
    def _blocks(self) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = self.message["content"]
        return blocks

    def begin(self) -> Iterator[StreamEvent]:
        """The message begins."""
        yield {"type": "message_start", "message": {**self.message, "content": []}}

    def take(self, delta: Delta) -> Iterator[StreamEvent]:
        """A part of the answer: its reasoning or its text."""
        if (text := delta.get("reasoning_content")) and self._shows_thinking:
            yield from self._say("thinking", text)
        if text := delta.get("content"):
            yield from self._say("text", text)

    def end(
        self, calls: Sequence[ToolCall], finish_reason: str, refusal: str | None, usage: Usage
    ) -> Iterator[StreamEvent]:
        """The answer is complete. calls: those that the client is to answer. refusal: the model's, where it is one."""
        if refusal is not None:
            yield from self._say("text", refusal)
        yield from self._close()
        for call in calls:
            yield from self._call(call)
        reason = "refusal" if refusal is not None else _REASONS.get(finish_reason, "end_turn")
        self.message |= {"stop_reason": reason, "usage": usage_fields(usage)}
        ending = {"stop_reason": reason, "stop_sequence": None}
        yield {"type": "message_delta", "delta": ending, "usage": self.message["usage"]}
        yield {"type": "message_stop"}

    def _say(self, kind: str, text: str) -> Iterator[StreamEvent]:
        if not self._is_open or self._blocks[-1]["type"] != kind:
            yield from self._close()
            text = text.lstrip()  # what separates the paragraphs of an answer
            yield from self._open(_BEGUN[kind])
            self._is_open = True
        self._texts.append(text)
        yield self._delta({"type": f"{kind}_delta", kind: text})

    def _close(self) -> Iterator[StreamEvent]:
        if not self._is_open:
            return
        kind = self._blocks[-1]["type"]
        self._blocks[-1][kind] = "".join(self._texts)
        if kind == "thinking":
            yield self._delta({"type": "signature_delta", "signature": ""})
        yield self._stop()
        self._texts, self._is_open = [], False

    def _call(self, call: ToolCall) -> Iterator[StreamEvent]:
        function = call["function"]
        block = {"type": "tool_use", "id": call["id"], "name": function["name"]}
        yield from self._open({**block, "input": {}})
        given = read_arguments(function["arguments"]) or {}  # models write JSON that not every client can read
        self._blocks[-1]["input"] = given
        yield self._delta({"type": "input_json_delta", "partial_json": json.dumps(given, ensure_ascii=False)})
        yield self._stop()

    def _open(self, block: dict[str, Any]) -> Iterator[StreamEvent]:
        self._blocks.append(dict(block))
        yield {"type": "content_block_start", "index": len(self._blocks) - 1, "content_block": dict(block)}

    def _delta(self, delta: dict[str, Any]) -> StreamEvent:
        return {"type": "content_block_delta", "index": len(self._blocks) - 1, "delta": delta}

    def _stop(self) -> StreamEvent:
        return {"type": "content_block_stop", "index": len(self._blocks) - 1}


def usage_fields(usage: Usage) -> dict[str, int]:
    """The usage of a run as this API counts it: tokens that were read from a cache beside the others."""
    return {
        "input_tokens": max(0, usage.input_tokens - usage.cached_tokens),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }
