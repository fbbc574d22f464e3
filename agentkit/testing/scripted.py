"""A backend that returns scripted replies and records its requests, for tests without a model."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from agentkit._forking import freed_by_forks
from agentkit._lazy.records import dataclass, field
from agentkit.backend import Begin, Capabilities, ReplyStream, Request
from agentkit.backends.chat_protocol import Accumulator
from agentkit.errors import ConfigurationError
from agentkit.event import Reply
from agentkit.limits import Usage
from agentkit.message import Message

ScriptedCall = tuple[str, Mapping[str, Any] | str]
Step = (
    str
    | ScriptedCall
    | Sequence[ScriptedCall]
    | Mapping[str, Any]
    | Reply
    | BaseException
    | Callable[[list[Message]], Any]
)
"""One scripted reply: a text; a call (name, arguments), the arguments as a dict, or as the JSON text of a model; a list
of calls; an assistant message; a Reply; an exception to raise; or a function that takes the messages and returns one of
these."""


@dataclass(frozen=True)
class Recorded:
    """One request as the backend received it. body: the encoded messages as they would be sent."""

    messages: list[Message]
    tools: list[dict[str, Any]]
    stream: bool
    body: bytes = field(repr=False)


class ScriptedBackend:
    """Replies with its steps, one per request, and stores the requests in `requests`.

    In a streamed run, text is streamed word by word. Raises ConfigurationError when there are more requests than steps,
    and for a step that is none. Thread-safe: each step is used once.
    """

    def __init__(self, *steps: Step) -> None:
        is_scripted = type(self).reply is ScriptedBackend.reply  # another one may have steps of its own kind
        for number, step in enumerate(steps if is_scripted else (), 1):
            _check(step, f"step {number}")
        self.requests: list[Recorded] = []
        self.closed = False
        self._steps = steps
        self._lock = freed_by_forks(threading.Lock())

    def __repr__(self) -> str:
        return f"ScriptedBackend({len(self._steps)} steps)"

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            return {**self.__dict__, "requests": list(self.requests), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=freed_by_forks(threading.Lock()))

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        messages = list(request.transcript)
        recorded = Recorded(messages, request.tools.schemas, request.stream, request.transcript.encoded())
        with self._lock:
            index = len(self.requests)
            self.requests.append(recorded)
        if index >= len(self._steps):
            raise ConfigurationError(
                f"the script has {len(self._steps)} replies, but this is request {index + 1}: its last message is "
                f"{messages[-1]!r:.200}"
            )
        step: Any = self._steps[index]
        if callable(step):
            step = step(messages)
            _check(step, f"what the function of step {index + 1} returned")
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, Reply):
            yield step
            return
        yield from _events(_message(step), request.stream, f"call_{index + 1}", request.begin, request.call_deltas)

    def capabilities(self, ask: bool = False) -> Capabilities:
        """See `agentkit.backend.Backend.capabilities`."""
        return Capabilities()

    @property
    def stops_on_abort(self) -> bool:
        """Whether it waits for nothing: none of its steps is a function (`agentkit.middleware.base.stops_on_abort`)."""
        return not any(map(callable, self._steps))

    def close(self) -> None:
        """Set `closed`."""
        self.closed = True


def _check(step: Any, what: str) -> None:
    """Raise ConfigurationError for what is no step. what: its name in the message."""
    if callable(step) or isinstance(step, str | Mapping | Reply | BaseException) or _is_call(step):
        return
    is_list = isinstance(step, Sequence) and not isinstance(step, bytes)
    if is_list and all(isinstance(each, tuple | list) and _is_call(tuple(each)) for each in step):
        return
    instead = ""
    if isinstance(step, list) and all(isinstance(each, str) for each in step):
        instead = f"; of several replies pass each by itself: ScriptedBackend({repr(step)[1:-1]:.60})"
    raise ConfigurationError(
        f"ScriptedBackend: {what} is {step!r:.80}: pass a text, a call (name, arguments), a list of calls, an "
        f"assistant message, a Reply, an exception, or a function of the messages{instead}"
    )


def _is_call(given: Any) -> bool:
    is_pair = isinstance(given, tuple) and len(given) == 2
    return is_pair and isinstance(given[0], str) and isinstance(given[1], Mapping | str)


def _message(step: Any) -> dict[str, Any]:
    if isinstance(step, str):
        return {"role": "assistant", "content": step}
    if isinstance(step, Mapping):
        return {"role": "assistant", **step}
    calls = [step] if _is_call(step) else list(step)
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"function": {"name": name, "arguments": _written(arguments)}} for name, arguments in calls],
    }


def _written(arguments: Mapping[str, Any] | str) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(dict(arguments), ensure_ascii=False)


def _events(message: dict[str, Any], stream: bool, ids: str, begin: Begin | None, call_deltas: bool) -> ReplyStream:
    """Feed a message to the accumulator, in deltas or whole, as if a server had sent it, and yield its events."""
    accumulator = Accumulator(ids, begin, call_deltas)
    calls = message.get("tool_calls") or []
    indexed = [{**call, "index": index} for index, call in enumerate(calls)]
    whole = {**message, "tool_calls": indexed} if calls else message
    for delta in _deltas(whole) if stream else [whole]:
        events = list(accumulator.feed({"choices": [{"delta": delta}]}))
        if stream:
            yield from events
    rest = list(accumulator.feed({"choices": [{"delta": {}, "finish_reason": "tool_calls" if calls else "stop"}]}))
    if stream:
        yield from rest
    reply = accumulator.reply()
    yield Reply(reply.message, reply.finish_reason, Usage(requests=1), reply.extra)


def _deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
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
