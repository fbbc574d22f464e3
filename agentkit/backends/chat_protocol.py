"""OpenAI's chat completions as servers implement them in practice: encodes requests, and builds replies from chunks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from agentkit._text import joined_surrogates, json_bytes
from agentkit.backend import Begin, Request, is_broken_off
from agentkit.backends.usage import usage_in, usage_of
from agentkit.errors import ConfigurationError
from agentkit.event import CallDelta, ReasoningDelta, Reply, TextDelta
from agentkit.message import Message, Part, ToolCall
from agentkit.text.call_format import CUT_OFF
from agentkit.tooling.arguments import as_json_object, is_json_object, unreadable
from agentkit.tooling.json_scan import JsonScan

RESERVED = ("model", "messages", "stream", "stream_options", "tools")


def check_sampling(fields: Mapping[str, Any]) -> None:
    """Raises ConfigurationError for a field of a request that the agent sets itself."""
    for name in RESERVED:
        if name in fields:
            raise ConfigurationError(f"{name}=...: the agent sets this field of a request itself")


def merged_sampling(own: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """The sampling fields of a request over a backend's own; None omits a field. Raises as `check_sampling` does."""
    check_sampling(request.sampling)
    return {key: value for key, value in {**own, **request.sampling}.items() if value is not None}


def chat_completions_body(
    fields: Mapping[str, Any], request: Request, images: bool = True, escaped: bool = False
) -> bytes:
    """Encode a chat completions request as JSON, messages last, so that each request of a run begins with the bytes
    of the previous one.

    fields: everything but stream, tools and messages. images: False replaces each image by a sentence. escaped: whether
    special tokens in untrusted text are escaped, for a server that applies a chat template.
    """
    body = {**fields, "stream": request.stream}
    if request.response_format is not None:
        body["response_format"] = request.response_format
    if not request.tools:
        for name in ("tool_choice", "parallel_tool_calls"):  # servers reject these without tools
            body.pop(name, None)
    tools = b',"tools":' + request.tools.encoded if request.tools else b""
    messages = request.transcript.encoded(images=images, escaped=escaped)
    return b"".join((json_bytes(body)[:-1], tools, b',"messages":[', messages, b"]}"))


ECHOED_FIELDS = ("refusal", "reasoning_content", "reasoning", "reasoning_details", "extra_content", "thought_signature")
"""Fields of a reply that its server expects back in the next request; servers reject many others."""


class Accumulator:
    """Builds one reply from the chunks of a chat completions stream, or from a complete response as its only chunk.

    Tolerates deviations of servers (missing, empty or duplicate `id`s, missing `index`, repeated names, arguments as
    an object, content as null or a list of parts, usage in a chunk without choices). ids: a unique prefix for the ids
    generated for calls without one. begin: called for each call when its arguments are complete. call_deltas: whether
    `feed` yields the deltas of calls too.
    """

    def __init__(self, ids: str, begin: Begin | None = None, call_deltas: bool = False) -> None:
        self._ids = ids
        self._begin = begin
        self._call_deltas = call_deltas
        self._text: list[str] = []
        self._parts: list[Part] = []
        self._calls: list[_Call] = []
        self._strings: dict[str, list[str]] = {}
        self._kept: dict[str, Any] = {}
        self._extra: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self.finish_reason = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing of a reply has arrived."""
        return not (self.finish_reason or self._text or self._parts or self._calls or self._strings or self._kept)

    def feed(self, chunk: Mapping[str, Any]) -> Iterator[TextDelta | ReasoningDelta | CallDelta]:
        """Process one chunk of a stream, or a complete response; yield its deltas."""
        for name, value in usage_in(chunk).items():
            if value or name not in self._usage:  # counts are those of the reply so far: the last one stands
                self._usage[name] = value
        for choice in chunk.get("choices") or ():
            if choice is None or choice.get("index"):
                continue  # a second alternative, which was not requested
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            yield from self.feed_delta(choice.get("delta") or choice.get("message") or {}, is_whole="message" in choice)

    def reply(self) -> Reply:
        """Return the reply built from all chunks."""
        message: dict[str, Any] = {"role": "assistant", "content": self._content()}
        for key, parts in self._strings.items():
            message[key] = "".join(parts)
        message |= self._kept
        calls = self._tool_calls()
        if calls:
            message["tool_calls"] = calls
        return Reply(cast(Message, message), self.finish_reason, usage_of(self._usage), self._extra)

    def feed_delta(
        self, delta: Mapping[str, Any], is_whole: bool = False
    ) -> Iterator[TextDelta | ReasoningDelta | CallDelta]:
        """Process one delta; yield its deltas. is_whole: whether it is the message of a complete response."""
        for key, value in delta.items():
            if value is None or key == "role":
                continue
            if key == "content" and isinstance(value, str):
                if value:
                    self.add_text(value)
                    yield TextDelta(value)
            elif key == "content":
                yield from self._feed_content(value)
            elif key == "tool_calls":
                yield from self._feed_calls(value, is_whole)
            elif key == "function_call":  # the predecessor of `tool_calls`; some servers send it empty
                if value.get("name") or value.get("arguments"):
                    self._feed_call({"index": 0, "function": value}, is_new=False)
            elif key in ECHOED_FIELDS and isinstance(value, str):
                yield from self._feed_string(key, value)
            else:
                kept = self._kept if key in ECHOED_FIELDS else self._extra
                kept[key] = _merged(kept.get(key), value)

    def _feed_string(self, key: str, value: str) -> Iterator[ReasoningDelta]:
        if not value:
            return
        self._strings.setdefault(key, []).append(value)
        if key == "reasoning_content" or (key == "reasoning" and "reasoning_content" not in self._strings):
            yield ReasoningDelta(value)

    def _feed_content(self, content: list[Part]) -> Iterator[TextDelta | ReasoningDelta]:
        for part in content:
            text = _text_of_part(part)
            if text:
                yield ReasoningDelta(text) if part.get("type") == "thinking" else TextDelta(text)
            self._add_part(part)

    def add_text(self, text: str) -> None:
        """Add text of the answer, for a caller that has its delta already."""
        if self._parts:
            self._add_part({"type": "text", "text": text})
        else:
            self._text.append(text)

    def _add_part(self, part: Part) -> None:
        """Add a part; consecutive parts of one type are merged (Mistral streams its reasoning like this)."""
        if self._text:
            self._parts.append({"type": "text", "text": "".join(self._text)})
            self._text = []
        last = self._parts[-1] if self._parts else {}
        if part.get("type") == last.get("type") == "text":
            last["text"] += part.get("text") or ""
        elif part.get("type") == last.get("type") == "thinking" and not last.get("closed"):
            joined = _text_of_part(last) + _text_of_part(part)
            self._parts[-1] = {**last, **part, "thinking": [{"type": "text", "text": joined}]}
        else:
            self._parts.append(dict(part))

    def _content(self) -> str | list[Part] | None:
        if self._parts:
            return self._parts
        text = joined_surrogates("".join(self._text))
        return text or (None if self._calls else "")

    def _feed_calls(self, deltas: Sequence[Mapping[str, Any]], is_whole: bool) -> Iterator[CallDelta]:
        for position, part in enumerate(deltas):
            call = self._feed_call(part, is_new=is_whole or (position > 0 and part.get("index") is None))
            if self._call_deltas and call.arguments:
                yield CallDelta(call.name, call.arguments[-1])

    def _feed_call(self, delta: Mapping[str, Any], is_new: bool) -> "_Call":
        call = self._call_of(delta, is_new)
        custom = delta.get("custom")
        function = delta.get("function") or (
            {"name": custom.get("name"), "arguments": {"input": custom.get("input")}} if custom else {}
        )
        call.id = call.id or delta.get("id") or ""
        name = function.get("name")
        if name and name != call.name:
            call.name += name  # names may be streamed in parts; a repeated complete name is the same name
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            if call.add(arguments) and self._begin is not None:
                before = self._calls[: self._calls.index(call)]
                self._begin(call.name, as_json_object("".join(call.arguments)), [each.name for each in before])
        elif arguments is not None:
            call.value = arguments
        for key, value in delta.items():
            if key not in ("id", "index", "type", "function", "custom") and value is not None:
                call.extra[key] = _merged(call.extra.get(key), value)
        return call

    def _call_of(self, delta: Mapping[str, Any], is_new: bool) -> "_Call":
        """Return the call that a delta continues, or a new one."""
        index = delta.get("index")
        found = [call for call in self._calls if call.index == index] if index is not None else self._calls[-1:]
        last = found[-1] if found else None
        if is_new or last is None or self._begins_another(last, delta):
            last = _Call(index)
            self._calls.append(last)
        return last

    @staticmethod
    def _begins_another(last: "_Call", delta: Mapping[str, Any]) -> bool:
        """Whether a delta with the index of an earlier call (some servers send none, or 0 for all) is a new call.

        It is if it has a name, and either a different id (some servers send a new id with each delta) or the arguments
        before it are complete.
        """
        if not ((delta.get("function") or {}).get("name") or delta.get("custom")):
            return False
        call_id = delta.get("id")
        if call_id and last.id:
            return bool(call_id != last.id)
        function = delta.get("function") or {}
        if function.get("name") == last.name and not function.get("arguments"):
            return False  # a server that repeats the name in every delta
        return last.is_whole

    def _in_order(self) -> list["_Call"]:
        """Sort the calls by index if each has a unique one: deltas of several calls may be interleaved."""
        indexes = [call.index for call in self._calls if isinstance(call.index, int)]
        if len(set(indexes)) < len(self._calls):
            return self._calls
        return sorted(self._calls, key=lambda call: call.index or 0)

    def _tool_calls(self) -> list[ToolCall]:
        used_ids: set[str] = set()
        sent_ids = {call.id for call in self._calls}
        calls = []
        for position, call in enumerate(self._in_order()):
            if call.id in used_ids or not call.id:
                call.id = f"{self._ids}_{position}"
                while call.id in sent_ids:
                    call.id += "_"
            used_ids.add(call.id)
            calls.append(call.as_tool_call(cut_off=is_broken_off(self.finish_reason)))
        return calls


_JSON_SPACE = " \t\r\n"


@dataclass(eq=False)
class _Call:
    index: int | None
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    value: Any = None
    extra: dict[str, Any] = field(default_factory=dict)
    _scan: JsonScan | None = field(default_factory=JsonScan)
    _is_object: bool = False

    def add(self, arguments: str) -> bool:
        """Add a part of the arguments; return whether it completes them. They are decoded once, when the bracket that
        opened them is closed; text after that makes them invalid."""
        self.arguments.append(arguments)
        if self._scan is None:
            self._is_object = self._is_object and not arguments.strip(_JSON_SPACE)
            return False
        end = self._scan.feed(arguments)
        if end is None:
            return False
        self._scan = None
        self._is_object = not arguments[end:].strip(_JSON_SPACE) and is_json_object("".join(self.arguments))
        return self._is_object

    @property
    def is_whole(self) -> bool:
        """Whether the arguments received are complete, so that a name begins another call."""
        return self.value is not None or self._is_object

    def as_tool_call(self, cut_off: bool) -> ToolCall:
        written = self.value if self.value is not None else "".join(self.arguments)
        arguments = as_json_object(written)
        if cut_off and self.value is None and not is_json_object(str(written), strict=False):
            arguments = unreadable(str(written), CUT_OFF)  # not repaired: what is missing is unknown
        call = {
            "id": self.id,
            "type": "function",
            "function": {"name": self.name, "arguments": arguments},
        }
        return cast(ToolCall, {**call, **self.extra})


def _text_of_part(part: Part) -> str:
    if part.get("type") == "thinking":
        return "".join(each.get("text") or "" for each in part.get("thinking") or ())
    return (part.get("text") or "") if part.get("type") == "text" else ""


def _merged(before: Any, new: Any) -> Any:
    """Merge a field with its next delta: lists grow (deltas with the same index are one entry), dicts are merged,
    strings of entries are joined; any other value is replaced."""
    if isinstance(new, list):
        if not isinstance(before, list):
            return list(new)  # a copy, which grows in place
        for entry in new:
            same = before and isinstance(entry, dict) and _continues(before[-1], entry)
            before[-1:] = [_joined(before[-1], entry)] if same else [*before[-1:], entry]
        return before
    if isinstance(before, dict) and isinstance(new, dict):
        return {**before, **new}
    return new


def _continues(last: Any, entry: Mapping[str, Any]) -> bool:
    """Whether a delta continues the last entry: OpenRouter streams `reasoning_details` with one `index` and `type`."""
    if not isinstance(last, dict) or "index" not in entry:
        return False
    return bool(last.get("index") == entry["index"] and last.get("type") == entry.get("type"))


def _joined(last: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    joined = {**last, **{key: value for key, value in entry.items() if value is not None}}
    for key in ("text", "summary", "data"):
        if isinstance(last.get(key), str) and isinstance(entry.get(key), str):
            joined[key] = last[key] + entry[key]
    return joined


def context_length_in(models: Any, model: str) -> int | None:
    """Return the context length in a server's list of models, under the names that servers use for it.

    vLLM and LightLLM: max_model_len; OpenRouter: context_length; Groq: context_window; Mistral: max_context_length;
    llama.cpp: meta.n_ctx.
    """
    entries = models.get("data") if isinstance(models, dict) else None
    entries = [entry for entry in entries or () if isinstance(entry, dict)]
    named = [entry for entry in entries if entry.get("id") == model]
    for entry in named or (entries if len(entries) == 1 else []):
        meta = entry.get("meta") if isinstance(entry.get("meta"), dict) else {}
        names = ("max_model_len", "context_length", "context_window", "max_context_length")
        for value in (*(entry.get(name) for name in names), (meta or {}).get("n_ctx")):
            if isinstance(value, int) and value > 0:
                return value
    return None
