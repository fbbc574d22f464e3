"""OpenAI's chat completions as servers implement them in practice: encodes requests, and builds replies from chunks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from agentkit._text import joined_surrogates, json_bytes
from agentkit.backend import Begin, Request, ending_of, is_broken_off
from agentkit.backends.merged_fields import MergedFields
from agentkit.backends.message_form import PLAIN_FORM, MessageForm
from agentkit.backends.plain_chunks import plain_text
from agentkit.backends.plain_replies import end_of, plain_reply
from agentkit.backends.streamed_calls import FUNCTION_CALL, StreamedCalls
from agentkit.backends.streamed_parts import THOUGHTS, StreamedParts, parts_of, text_of_part, thought_in
from agentkit.backends.streamed_text import StreamedText
from agentkit.backends.usage import usage_in, usage_of
from agentkit.errors import ConfigurationError
from agentkit.event import CallDelta, ReasoningDelta, Reply, TextDelta
from agentkit.message import PROVIDER_FIELDS, REASONING_FIELDS, Message, Part
from agentkit.tooling.schema_dialects import Dialect, response_format_for

Delta = TextDelta | ReasoningDelta | CallDelta

RESERVED = ("model", "messages", "stream", "stream_options", "tools")


def check_sampling(fields: Mapping[str, Any]) -> None:
    """Raises ConfigurationError for a field of a request that the agent sets itself, and for what is no JSON."""
    for name, value in fields.items():
        if name in RESERVED:
            raise ConfigurationError(f"{name}=...: the agent sets this field of a request itself")
        try:
            json_bytes(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"{name}=...: its value can't be sent as JSON: {error}") from None


def merged_sampling(own: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """The sampling fields of a request over a backend's own, as `laid_over` has them; None omits a field. A request
    that says itself whether the model thinks brings all variables of the template. Raises as `check_sampling` does."""
    given = request.sampling
    check_sampling(given)
    merged = {**own, **given} if "enable_thinking" in given else laid_over(own, given)
    return {key: value for key, value in merged.items() if value is not None}


def laid_over(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a request over those that hold otherwise. Variables of a chat template are added to the others: a model
    that was told not to think would think without its variable."""
    fields, name = {**own, **given}, "chat_template_kwargs"
    if isinstance(own.get(name), Mapping) and isinstance(given.get(name), Mapping):
        fields[name] = {**own[name], **given[name]}
    return fields


OF_TOOLS = ("tool_choice", "parallel_tool_calls")
"""Fields that servers reject without tools."""


def chat_completions_body(
    fields: Mapping[str, Any],
    request: Request,
    images: bool = True,
    escaped: bool = False,
    dialect: Dialect = Dialect.AS_IS,
    form: MessageForm = PLAIN_FORM,
) -> bytes:
    """Encode a chat completions request as JSON, messages last, so that the prompt of each request of a run begins with
    the bytes of the previous one.

    fields: everything but stream, tools and messages. images: False replaces each image by a sentence. escaped: whether
    special tokens in untrusted text are escaped, for a server that applies a chat template. dialect: of the schemas
    that the server takes. form: what the server takes of messages.
    """
    messages = request.transcript.encoded(images=images, escaped=escaped, form=form)
    offered = request.tools.encoded_for(dialect) if request.tools else b""
    return encoded_body(with_format(fields, request, dialect), request, offered, b"messages", messages)


def with_format(fields: Mapping[str, Any], request: Request, dialect: Dialect) -> dict[str, Any]:
    """The fields of a request, with the schema of its answer if it is to have one."""
    if request.response_format is None:
        return {**fields}
    return {**fields, "response_format": response_format_for(dialect, request.response_format)}


def encoded_body(fields: Mapping[str, Any], request: Request, tools: bytes, name: bytes, conversation: bytes) -> bytes:
    """Encode a request as JSON: fields, tools (as JSON; b"" for none), and last the conversation, the inside of a JSON
    array, under its name."""
    body = {**fields, "stream": request.stream}
    for each in () if tools else OF_TOOLS:
        body.pop(each, None)
    named = b',"tools":' + tools if tools else b""
    return b"".join((json_bytes(body)[:-1], named, b',"', name, b'":[', conversation, b"]}"))


ECHOED_FIELDS = ("refusal", *PROVIDER_FIELDS)
"""Fields of a reply that its server expects back in the next request; servers reject many others."""
CALL_FIELDS = ("tool_calls", "function_call")


_NAMES = ("model", "id")


class Accumulator:
    """Builds one reply from the chunks of a chat completions stream, or from a complete response as its only chunk.

    Tolerates deviations of servers: those of calls (`StreamedCalls`) and of texts (`StreamedText`), a complete message
    behind the deltas that it repeats, calls in another choice than the text, content as null or a list of parts, usage
    in a chunk without choices. ids: a unique prefix for the ids generated for calls without one. begin: called for each
    call when its arguments are complete. call_deltas: whether `feed` yields the deltas of calls too.
    """

    def __init__(self, ids: str, begin: Begin | None = None, call_deltas: bool = False) -> None:
        self._ids = ids
        self._text = StreamedText()
        self._parts: StreamedParts | None = None  # made with the first: for each token it is asked whether there is one
        self._calls = StreamedCalls(ids, begin, deltas=call_deltas)
        self._strings: dict[str, StreamedText] = {}
        self._kept = MergedFields()
        self._extra = MergedFields()
        self._logprobs = MergedFields()
        self._usage: dict[str, Any] = {}
        self._choice: object = None
        self._alternatives: dict[object, Accumulator] = {}
        self._has_deltas = False
        self._names: dict[str, str] = {}
        self._reads_pieces = begin is not None or call_deltas
        self._whole: tuple[Mapping[str, Any], Reply] | None = None
        self.finish_reason = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing of a reply has arrived."""
        if self.finish_reason:
            return False
        has_content = self._text or self._parts or self._calls or self._strings or self._kept or self._alternatives
        return not has_content

    def feed(self, chunk: Mapping[str, Any]) -> Iterator[Delta]:
        """Process one chunk of a stream, or a complete response; return its deltas, to be iterated to the end."""
        if not self._reads_pieces or self._whole is not None:
            return self._feed_first(chunk)
        plain = plain_text(chunk, self._choice) if self._has_deltas and not self._parts else ""
        if not plain:
            return self._feed_any(chunk)
        if len(self._names) < len(_NAMES):
            self._note_names(chunk)
        text = self._text.add(plain)
        return iter((TextDelta(text),) if text else ())

    def _feed_first(self, chunk: Mapping[str, Any]) -> Iterator[Delta]:
        """Process the first chunk, or one behind a complete response that was taken as it stood."""
        whole, self._whole, self._reads_pieces = self._whole, None, True
        if whole is not None:
            for _ in self._feed_any(whole[0]):
                pass
            return self.feed(chunk)
        reply = plain_reply(chunk) if "choices" in chunk else None
        if reply is None:
            return self._feed_any(chunk)
        self._whole, self.finish_reason = (chunk, reply), reply.finish_reason
        text = chunk["choices"][0]["message"].get("content")
        return iter((TextDelta(text),) if text else ())

    def _feed_any(self, chunk: Mapping[str, Any]) -> Iterator[Delta]:
        for name, value in usage_in(chunk).items():
            if value or name not in self._usage:  # counts are those of the reply so far: the last one stands
                self._usage[name] = value
        self._note_names(chunk)
        choices = chunk.get("choices") or ()
        for place, choice in enumerate(choices):
            if choice is None or (choice.get("index") != self._choice and self._is_alternative(choice, place)):
                continue
            reason = end_of(choice)
            if reason:
                self._note_end(reason)
            if choice.get("logprobs"):
                self._note_logprobs(choice["logprobs"])
            delta = choice.get("delta") or _of_completion(choice)
            if delta:
                self._has_deltas = True
                yield from self._feed(delta, self._text.add)
            if "message" in choice:
                yield from self._feed_message(choice["message"] or {})
            if reason:
                yield from self.rest()

    def rest(self) -> Iterator[TextDelta | ReasoningDelta]:
        """Yield what was held back: the stream has ended. A finish reason is an end too."""
        if self._whole is not None:
            return
        for key, held in self._strings.items():
            reasoning = held.end()
            if reasoning and self._is_reasoning(key):
                yield ReasoningDelta(reasoning)
        text = self._text.end()
        if text:
            yield TextDelta(text)

    def reply(self) -> Reply:
        """Return the reply built from all chunks. Where it has no calls, those of another choice are its own: some
        gateways put the text and the calls of one reply into two."""
        if self._whole is not None:
            return self._whole[1]
        calls, reason = self._calls.finished(self.finish_reason), self.finish_reason
        if not calls:
            other = next((other for other in self._alternatives.values() if other._calls), None)
            if other is not None:
                calls, reason = other._calls.finished(other.finish_reason), other.finish_reason or reason
        message: dict[str, Any] = {"role": "assistant", "content": self._content(has_calls=bool(calls))}
        for key, text in self._strings.items():
            message[key] = str(text)
        message |= self._kept.values()
        if calls:
            message["tool_calls"] = calls
        logprobs = {"logprobs": self._logprobs.values()} if self._logprobs else {}
        extra, said = {**self._extra.values(), **logprobs}, self._names
        usage = usage_of(self._usage)
        return Reply(
            cast(Message, message),
            reason,
            usage,
            extra,
            response_model=said.get("model", ""),
            response_id=said.get("id", ""),
        )

    def feed_delta(self, delta: Mapping[str, Any]) -> Iterator[Delta]:
        """Process one delta that repeats no other: of a text that was parsed here; yield its deltas."""
        self._calls.may_repeat, self._reads_pieces = False, True
        return self._feed(delta, self._appended)

    def _appended(self, text: str) -> str:
        self.add_text(text)
        return text

    def _is_alternative(self, choice: Mapping[str, Any], place: int) -> bool:
        """Whether a choice is another one than the reply's, which is the first that arrives; its calls are kept.
        place: its index in the chunk, for one that has none itself."""
        number = choice.get("index")
        number = place if number is None else number
        if self._choice is None:
            self._choice = number
        if number == self._choice:
            return False
        other = self._alternatives.setdefault(number, Accumulator(self._ids))
        for _ in other._feed_any({"choices": [{**choice, "index": 0}]}):
            pass
        return True

    def _note_logprobs(self, logprobs: Any) -> None:
        """Take the log probabilities of a choice: lists of tokens (`content`, `refusal`), or null for none."""
        for name, value in logprobs.items() if isinstance(logprobs, Mapping) else ():
            if value is not None or name not in self._logprobs:
                self._logprobs.add(name, value)

    def _note_names(self, chunk: Mapping[str, Any]) -> None:
        """Take what the server calls the model and the reply."""
        if len(self._names) == len(_NAMES):
            return
        for name in _NAMES:
            if chunk.get(name) and isinstance(chunk[name], str):
                self._names[name] = chunk[name]

    def _note_end(self, reason: object) -> None:
        """Take a finish reason, if it says anything. That the reply was broken off remains, whatever follows."""
        reason = reason if isinstance(reason, str) else str(reason)
        if ending_of(reason) is not None and not is_broken_off(self.finish_reason):
            self.finish_reason = reason

    def _feed(self, delta: Mapping[str, Any], add_text: Callable[[str], str]) -> Iterator[Delta]:
        for key, value in delta.items():
            if key == "content" and isinstance(value, str):
                text = self._appended(value) if self._parts or not value else add_text(value)
                if text:
                    yield TextDelta(text)
            elif value is None or key == "role":
                continue
            elif key in CALL_FIELDS:
                yield from self._calls.feed(_as_calls(key, value), at_end=bool(self.finish_reason))
            elif key == "content":
                yield from self._feed_content(value)
            else:
                yield from self._feed_field(key, self._plain(key, value))

    def _feed_field(self, key: str, value: Any) -> Iterator[Delta]:
        if key in ECHOED_FIELDS and isinstance(value, str):
            text = self._string(key).add(value) if value else ""
            if text and self._is_reasoning(key):
                yield ReasoningDelta(text)
        else:
            (self._kept if key in ECHOED_FIELDS else self._extra).add(key, value)

    def _plain(self, key: str, value: Any) -> Any:
        """The value of a field: reasoning as a text, whatever its form (Bedrock's are objects)."""
        if key not in REASONING_FIELDS or isinstance(value, str):
            return value
        text, more = thought_in(value)
        if more:
            self._extra.add(key, more)
        return text

    def _feed_message(self, message: Mapping[str, Any]) -> Iterator[Delta]:
        """Process a complete message; what was streamed of it before is not added again."""
        for key, value in message.items():
            if not value or key == "role":
                continue
            if key == "content":
                yield from self._restated_content(value)
            elif key in CALL_FIELDS:
                yield from self._calls.feed_whole(_as_calls(key, value))
            elif key in ECHOED_FIELDS and isinstance(value := self._plain(key, value), str):
                yield from self._restated_string(key, value)
            elif key not in self._kept and key not in self._extra:
                (self._kept if key in ECHOED_FIELDS else self._extra).put(key, value)

    def _restated_string(self, key: str, value: str) -> Iterator[ReasoningDelta]:
        if any(str(text) == value for other, text in self._strings.items() if other != key):
            return  # reasoning under another name than in the stream
        text = self._string(key).restate(value, is_message=self._has_deltas)
        if text and self._is_reasoning(key):
            yield ReasoningDelta(text)

    def _restated_content(self, content: Any) -> Iterator[TextDelta | ReasoningDelta]:
        if isinstance(content, str) and not self._parts:
            text = self._text.restate(content, is_message=self._has_deltas)
            if text:
                yield TextDelta(text)
        elif not self._has_deltas or not (self._text or self._parts):
            yield from self._feed_content(content)

    def _string(self, key: str) -> StreamedText:
        found = self._strings.get(key)
        if found is None:
            found = self._strings[key] = StreamedText()
        return found

    def _is_reasoning(self, key: str) -> bool:
        """Whether a field is the reasoning that is shown: the first of its names that the reply has."""
        return key in REASONING_FIELDS and key == next(name for name in REASONING_FIELDS if name in self._strings)

    def _feed_content(self, content: Any) -> Iterator[TextDelta | ReasoningDelta]:
        for part in parts_of(content):
            if part["type"] == "refusal":
                self._string("refusal").add(str(part.get("refusal") or ""))
                continue
            text = text_of_part(part)
            if text:
                yield ReasoningDelta(text) if part["type"] in THOUGHTS else TextDelta(text)
            self._add_part(part)

    def add_text(self, text: str) -> None:
        """Add text of the answer, for a caller that has its delta already."""
        if self._parts:
            self._add_part({"type": "text", "text": text})
        else:
            self._text.append(text)

    def _add_part(self, part: Part) -> None:
        """Add a part, behind the text so far."""
        parts = self._parts = self._parts or StreamedParts()
        if self._text:
            parts.add({"type": "text", "text": str(self._text)})
            self._text = StreamedText()
        parts.add(part)

    def _content(self, *, has_calls: bool) -> str | list[Part] | None:
        if self._parts:
            return self._parts.value
        text = joined_surrogates(str(self._text))
        return text or (None if has_calls else "")


def _of_completion(choice: Mapping[str, Any]) -> dict[str, Any]:
    """What a choice in the form of a completion, which is no chat, would have as its delta."""
    return {"content": choice["text"]} if choice.get("text") and not choice.get("message") else {}


def _as_calls(key: str, value: Any) -> Sequence[Mapping[str, Any]]:
    """The entries of `tool_calls`, or of its predecessor `function_call`, which some servers send empty."""
    if key == "tool_calls":
        return [_nested(each) for each in ([value] if isinstance(value, Mapping) else value)]
    has_content = value.get("name") or value.get("arguments")
    return [{"index": FUNCTION_CALL, "function": value}] if has_content else []


def _nested(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """A call whose name and arguments stand in its `function`, and not beside its id."""
    if "function" in call or not ("name" in call or "arguments" in call):
        return call
    function = {key: call[key] for key in ("name", "arguments") if key in call}
    return {**{key: value for key, value in call.items() if key not in function}, "function": function}
