"""Tools for models and servers that have none: their descriptions and calls travel as text (`Agent(tools_as=...)`).

The request has no `tools`: a system message describes them, exchanges made from their schemas show how they are used,
and where the server takes a JSON schema it constrains the reply to calls or an answer. The reply has ordinary calls, so
whatever stands around this wrapper, and the transcript, know nothing of it.
"""

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, cast
from weakref import WeakKeyDictionary

from agentkit._forking import freed_by_forks
from agentkit._lazy.records import dataclass, replace
from agentkit._text import in_a_line
from agentkit.backend import Backend, Capabilities, ReplyStream, Request, is_broken_off
from agentkit.event import Reply, ReplyDiscarded, TextDelta
from agentkit.limits import Usage
from agentkit.message import AWAITS_REPLY, Message
from agentkit.middleware.base import Middleware, spent_on, with_spent
from agentkit.net.learned import Learned
from agentkit.toolbox import Toolbox
from agentkit.transcript import Transcript

if TYPE_CHECKING:
    from agentkit.backends.text_reply import TextReply
    from agentkit.text.written_reply import WrittenReply

ToolsAs = Literal["auto", "native", "text"]

_REFUSED, _NO_SYSTEM = "refuses tools", "no system message"


@dataclass
class _Tried:
    """A request whose tools may not reach the model. spent: what it took, once it has to be sent again as text."""

    has_yielded: bool = False
    spent: Usage | None = None


@dataclass(frozen=True)
class _Sent:
    """A transcript as it is sent. tools: those that it describes. covered: how many messages of the original it has."""

    tools: Toolbox
    has_system: bool
    transcript: Transcript
    covered: int


class TextTools(Middleware):
    """Wraps any backend.

    tools_as: "text" always sends tools as text; "auto" does so on a server that is no hosted API and refuses tools, or
    whose chat template leaves them out.
    """

    stops_on_abort = True

    def __init__(self, backend: Backend, tools_as: ToolsAs = "auto") -> None:
        super().__init__(backend)
        self._tools_as = tools_as
        self._learned = Learned()
        self._conversations: WeakKeyDictionary[Transcript, _Sent] = WeakKeyDictionary()
        self._lock = freed_by_forks(threading.Lock())

    def capabilities(self, ask: bool = False) -> Capabilities:
        """See `agentkit.backend.Backend.capabilities`. A schema of the answer is one branch of the reply's."""
        known = self.backend.capabilities(ask)
        if known.schema == "text" and self._is_text(known):
            return replace(known, schema="always")
        return known

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        if self._is_text(self.backend.capabilities()):
            is_about_tools = request.tools or any("tool_calls" in message for message in request.transcript)
            return self._as_text(request) if is_about_tools else self.backend.reply(request)
        return self._tried(request) if request.tools else self.backend.reply(request)

    def _is_text(self, known: Capabilities) -> bool:
        if self._tools_as == "text":
            return True
        return known.tools is False or self._learned.value(_REFUSED) is not None

    def _tried(self, request: Request) -> ReplyStream:
        """The reply to a request with tools; where they are refused, or turn out not to have reached the model and the
        reply can be taken back, that to the same request as text."""
        tried = _Tried()
        try:
            yield from self._native(request, tried)
        except Exception as error:
            if tried.has_yielded or not self._learns_from(error, request):
                raise
            tried.spent = spent_on(error)
        if tried.spent is None:
            return
        if tried.has_yielded:
            yield ReplyDiscarded()
        try:
            with closing(self._as_text(request)) as deltas:
                for delta in deltas:
                    yield replace(delta, usage=tried.spent + delta.usage) if isinstance(delta, Reply) else delta
        except Exception as error:
            with_spent(error, tried.spent)
            raise

    def _native(self, request: Request, tried: "_Tried") -> ReplyStream:
        deltas = self.backend.reply(request)
        try:
            for delta in deltas:
                stands = tried.has_yielded and request.is_shown
                if isinstance(delta, Reply) and not stands and self._is_left_out(delta):
                    tried.spent = delta.usage
                    return
                tried.has_yielded = True
                yield delta
        finally:
            deltas.close()

    def _is_left_out(self, reply: Reply) -> bool:
        return not reply.message.get("tool_calls") and self.backend.capabilities().tools is False

    def _learns_from(self, error: Exception, request: Request) -> bool:
        """Whether a self-hosted server refuses tools as such."""
        from agentkit.backends.tool_arrival import refuses_tools
        from agentkit.net.hosted import is_hosted

        if is_hosted(self.backend.capabilities().base_url) or not refuses_tools(error, request.transcript):
            return False
        said = in_a_line(str(error), 200)
        self._learned.learn(_REFUSED, True, f"{self.backend!r} refuses tools: they are sent as text ({said})")
        return True

    def _as_text(self, request: Request) -> ReplyStream:
        deltas = self._read(request, self._sent_as(request))
        try:
            first = next(deltas, None)
        except Exception as error:
            if not self._has_no_system(error):
                raise
            deltas = self._read(request, self._sent_as(request))
            first = next(deltas, None)
        with closing(deltas):
            if first is not None:
                yield first
            yield from deltas

    def _has_no_system(self, error: Exception) -> bool:
        """Whether a chat template refuses system messages."""
        from agentkit.backends.tool_arrival import refuses_system

        if self._learned.value(_NO_SYSTEM) or not refuses_system(error):
            return False
        said = in_a_line(str(error), 200)
        self._learned.learn(_NO_SYSTEM, True, f"{self.backend!r} takes no system message with the tools ({said})")
        return True

    def _sent_as(self, request: Request) -> _Sent:
        """The transcript of a request as it is sent: what was sent of it before, and what is new."""
        given = request.transcript
        has_system = self._learned.value(_NO_SYSTEM) is None
        with self._lock:
            sent = self._conversations.get(given)
        if sent is not None and not request.tools:
            request = replace(request, tools=sent.tools)  # a last reply without calls, to the same prompt
        new = given[sent.covered :] if sent is not None else []
        is_same = sent is not None and sent.tools.encoded == request.tools.encoded and sent.has_system == has_system
        if sent is not None and is_same and (not new or new[0]["role"] == "assistant"):
            from agentkit.text.tools_as_text import as_text

            sent.transcript.extend(as_text(new))
            made = replace(sent, covered=len(given))
        else:
            made = _Sent(request.tools, has_system, _sent_anew(given, request.tools, has_system), len(given))
        with self._lock:
            self._conversations[given] = made
        return made

    def _read(self, request: Request, sent: _Sent) -> ReplyStream:
        """Request a reply, and read the calls in it."""
        choice = _Choice.of(request, self.backend.capabilities())
        is_begun = bool(request.transcript) and AWAITS_REPLY in request.transcript[-1]
        asked = replace(
            request,
            transcript=sent.transcript,
            conversation=request.said,
            tools=Toolbox(),
            begin=None,
            call_deltas=False,
            response_format=request.response_format if is_begun else choice.response_format,
        )
        reading = _Reading(request, choice, self.backend.capabilities().model)
        with closing(self.backend.reply(asked)) as deltas:
            for delta in deltas:
                yield from reading.read(delta)


def _sent_anew(given: Transcript, tools: Toolbox, has_system: bool) -> Transcript:
    from agentkit.text.tools_as_text import as_text, examples, heading, with_heading

    text, shown = (heading(tools.schemas), examples(tools.schemas)) if tools else ("", [])
    return Transcript(with_heading(as_text(given), text, shown, has_system=has_system))


@dataclass(frozen=True)
class _Choice:
    """What a reply may be. tools: those that it may call, also those that it is not told of. response_format: the
    schema that constrains it."""

    tools: Sequence[Mapping[str, Any]]
    typed: bool
    response_format: Mapping[str, Any] | None

    @classmethod
    def of(cls, request: Request, known: Capabilities) -> "_Choice":
        """The choice of a request, by its tool_choice."""
        from agentkit.tooling.reply_choice import reply_format

        sampling = {"tool_choice": known.tool_choice, **request.sampling}
        offered = request.tools.schemas
        tools, may_answer = _allowed(offered, sampling["tool_choice"])
        described = (request.response_format or {}).get("json_schema")
        typed = isinstance(described, Mapping)
        answer = described.get("schema", {}) if isinstance(described, Mapping) else {"type": "string"}
        several = sampling.get("parallel_tool_calls") is not False
        made = reply_format(tools, answer if may_answer else None, several=several)
        readable = request.tools.known_schemas if tools is offered else tools
        return cls(readable, typed, made if known.takes_schema(has_tools=False) else None)


def _allowed(tools: Sequence[Mapping[str, Any]], choice: Any) -> tuple[Sequence[Mapping[str, Any]], bool]:
    """The tools that a tool_choice allows, and whether it allows an answer too."""
    if choice == "none":
        return (), True
    if not tools or choice in (None, "auto"):
        return tools, True
    if not isinstance(choice, Mapping):
        return tools, choice not in ("required", "any")
    allowed = choice.get("allowed_tools") if choice.get("type") == "allowed_tools" else None
    listed = allowed.get("tools", ()) if isinstance(allowed, Mapping) else [choice]
    names = {(each.get("function") or each).get("name") for each in listed}
    found = [tool for tool in tools if tool["function"]["name"] in names]
    return found or tools, isinstance(allowed, Mapping) and allowed.get("mode") != "required"


class _Reading:
    """Reads the deltas of one reply."""

    def __init__(self, request: Request, choice: _Choice, model: str) -> None:
        self._request = request
        self._choice = choice
        self._model = model
        self._begin()

    def _begin(self) -> None:
        self._reader, self._made = self._new_reader(), self._new_reply()
        self._has_text = False

    def _new_reader(self) -> "WrittenReply":
        from agentkit.text.any_format import any_format_of
        from agentkit.text.parser import ReplyParser
        from agentkit.text.verbatim import CopyDetector
        from agentkit.text.written_reply import WrittenReply

        is_copy = CopyDetector(self._request.said).is_copy
        tools = self._choice.tools
        parser = ReplyParser(
            any_format_of(self._model), tools, stops=(), is_copy=is_copy, calls_last=True, keep_reasoning=True
        )
        names = [tool["function"]["name"] for tool in tools]
        return WrittenReply(names, parser, is_copy, typed=self._choice.typed)

    def _new_reply(self) -> "TextReply":
        from agentkit.backends.text_reply import TextReply

        request = self._request
        return TextReply(
            f"call_{len(request.transcript)}", request.begin, call_deltas=request.call_deltas, stream=request.stream
        )

    def read(self, delta: Any) -> ReplyStream:
        """Read a delta of the reply, or the reply; yield what is to be seen of it."""
        if isinstance(delta, TextDelta):
            self._has_text = True
            yield from self._made.add(self._reader.feed(delta.text))
        elif isinstance(delta, Reply):
            yield from self._finish(delta)
        else:
            if isinstance(delta, ReplyDiscarded):
                self._begin()
            yield delta

    def _finish(self, reply: Reply) -> ReplyStream:
        content = reply.message.get("content")
        if not isinstance(content, str):
            yield reply
            return
        if not self._has_text:
            yield from self._made.add(self._reader.feed(content))
        yield from self._made.add(self._reader.finish(cut_off=is_broken_off(reply.finish_reason)))
        made = self._made.reply(reply.finish_reason, reply.usage)
        message: dict[str, Any] = {**reply.message, **made.message}
        yield replace(reply, message=cast(Message, message), finish_reason=made.finish_reason)
