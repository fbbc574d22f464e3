"""A backend that plays given replies and records what it was asked: for tests, with no model."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentkit.backend import Begin, Pieces, Request
from agentkit.backends.chat_protocol import Accumulator
from agentkit.errors import ConfigurationError
from agentkit.event import Reply
from agentkit.limits import Usage
from agentkit.message import Message

ScriptedCall = tuple[str, Mapping[str, Any]]
Step = (
    str
    | ScriptedCall
    | Sequence[ScriptedCall]
    | Mapping[str, Any]
    | Reply
    | BaseException
    | Callable[[list[Message]], Any]
)
"""What to reply: a text; a call (name, arguments); a list of calls; an assistant message; a Reply; an exception to
raise; or a function of the messages that returns one of these."""


@dataclass(frozen=True)
class Recorded:
    """One request as the backend got it. body: the messages as they would go over the wire."""

    messages: list[Message]
    tools: list[dict[str, Any]]
    stream: bool
    body: bytes = field(repr=False)


class ScriptedBackend:
    """Plays its steps, one a request, and keeps the requests in `requests`.

    In a streamed run a text comes word by word. Raises ConfigurationError when it is asked more often than it has
    steps. Shared by threads, it gives each step once.
    """

    def __init__(self, *steps: Step) -> None:
        self.requests: list[Recorded] = []
        self.closed = False
        self._steps = steps
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"ScriptedBackend({len(self._steps)} steps)"

    def reply(self, request: Request) -> Pieces:
        """See `agentkit.backend.Backend.reply`."""
        messages = list(request.transcript)
        recorded = Recorded(messages, request.tools.schemas, request.stream, request.transcript.encoded())
        with self._lock:
            place = len(self.requests)
            self.requests.append(recorded)
        if place >= len(self._steps):
            raise ConfigurationError(
                f"the script has {len(self._steps)} replies, and this is request {place + 1}: its last message is "
                f"{messages[-1]!r:.200}"
            )
        step: Any = self._steps[place]
        if callable(step):
            step = step(messages)
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, Reply):
            yield step
            return
        yield from _played(_message(step), request.stream, f"call_{place + 1}", request.begin, request.call_deltas)

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


def _message(step: Any) -> dict[str, Any]:
    if isinstance(step, str):
        return {"role": "assistant", "content": step}
    if isinstance(step, Mapping):
        return {"role": "assistant", **step}
    calls = [step] if isinstance(step, tuple) and step and isinstance(step[0], str) else list(step)
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"function": {"name": name, "arguments": json.dumps(dict(arguments), ensure_ascii=False)}}
            for name, arguments in calls
        ],
    }


def _played(message: dict[str, Any], stream: bool, ids: str, begin: Begin | None, call_deltas: bool) -> Pieces:
    """A message through the one accumulator, in pieces or whole, as from a server."""
    accumulator = Accumulator(ids, begin, call_deltas)
    calls = message.get("tool_calls") or []
    indexed = [{**call, "index": place} for place, call in enumerate(calls)]
    whole = {**message, "tool_calls": indexed} if calls else message
    for delta in _pieces(whole) if stream else [whole]:
        told = list(accumulator.feed({"choices": [{"delta": delta}]}))
        if stream:
            yield from told
    list(accumulator.feed({"choices": [{"delta": {}, "finish_reason": "tool_calls" if calls else "stop"}]}))
    reply = accumulator.reply()
    yield Reply(reply.message, reply.finish_reason, Usage(requests=1), reply.extra)


def _pieces(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    content = message.get("content")
    rest = {key: value for key, value in message.items() if key != "content"}
    yield {key: value for key, value in rest.items() if key != "tool_calls"}
    if isinstance(content, str):
        for word in re.findall(r"\s*\S+|\s+", content):
            yield {"content": word}
    elif content:
        yield {"content": content}
    if "tool_calls" in rest:
        yield {"tool_calls": rest["tool_calls"]}
