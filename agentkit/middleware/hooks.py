"""The hooks of a run around its requests and replies.

Each hook is a wrapper of its own; the first of an agent is the outermost. They are called with the same values whether
the run streams or not: with the request as it was meant, and with the whole reply.
"""

import copy
import functools
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from agentkit._lazy.records import replace
from agentkit.backend import Backend, ReplyStream, Request
from agentkit.errors import HookError, TranscriptError
from agentkit.event import CallDelta, ReasoningDelta, Reply, ReplyDiscarded, TextDelta
from agentkit.hooks import Hook, Streamed, WrongTypeError, with_json_texts
from agentkit.message import Message, ToolCall
from agentkit.middleware.base import Middleware
from agentkit.toolbox import Toolbox
from agentkit.tooling.interrupts import stops_the_run
from agentkit.tooling.read_only import read_only
from agentkit.transcript import ReadOnlyTranscript, Transcript

T = TypeVar("T")


def guarded(hook: Hook, method: str, call: Callable[[], T]) -> T:
    """What a hook returns. Raises HookError for what it raises."""
    try:
        return call()
    except WrongTypeError:
        raise
    except Exception as error:
        if stops_the_run(error):
            raise
        raise HookError(f"{type(hook).__name__}.{method} raised {type(error).__name__}: {error}") from error


class SentMessages:
    """What hooks make of the messages of a run; each message is shown to them once, by one thread at a time: that of a
    request for which nobody waits any more may still be asking."""

    def __init__(self, hooks: Sequence[Hook]) -> None:
        self._hooks = hooks
        self._lock = threading.Lock()
        self._made: dict[tuple[bytes, int], Mapping[str, Any]] = {}
        self._added: dict[bytes, Mapping[str, Any]] = {}
        self._own: set[bytes] = set()
        self._transcripts: WeakKeyDictionary[Transcript, _Sent] = WeakKeyDictionary()

    def of(self, given: Transcript) -> Transcript:
        """The transcript to send; that of the same transcript, grown, is the same one, grown."""
        with self._lock:
            return self._of(given)

    def _of(self, given: Transcript) -> Transcript:
        sent = self._transcripts.setdefault(given, _Sent())
        start = len(sent.transcript)
        for message, digest in zip(given[start:], _digests(given, start), strict=True):
            sent.counts[digest] += 1
            key = digest, sent.counts[digest]
            if key not in self._made:
                self._made[key] = self._asked(message)
            self._add(sent.transcript, self._made[key])
        self._own.update(_digests(sent.transcript, start))
        return sent.transcript

    def added(self, request: Request, given: Request) -> Request:
        """A request that a hook has made, with what it added to the messages of the `given` one as it is sent."""
        if request.transcript is given.transcript:
            return request
        if not self._hooks:
            return replace(request, conversation=None)
        with self._lock:
            return replace(request, transcript=self._with_added(request.transcript), conversation=None)

    def _with_added(self, given: Transcript) -> Transcript:
        made: dict[int, Mapping[str, Any]] = {}
        for place, digest in enumerate(_digests(given, 0)):
            if digest not in self._own:
                if digest not in self._added:
                    self._added[digest] = self._asked(given[place])
                made[place] = self._added[digest]
        if all(given[place] == message for place, message in made.items()):
            return given
        sent = Transcript()
        for place, message in enumerate(ReadOnlyTranscript(given)):
            self._add(sent, made.get(place, message))
        self._own.update(_digests(sent, 0))
        return sent

    def _asked(self, message: Message) -> Mapping[str, Any]:
        made: Any = message
        for hook in self._hooks:
            made = _outgoing(hook, copy.deepcopy(made))
        return cast(Mapping[str, Any], made)

    def _add(self, transcript: Transcript, message: Mapping[str, Any]) -> None:
        try:
            transcript.extend([message])
        except TranscriptError as error:
            names = ", ".join(type(hook).__name__ for hook in self._hooks)
            raise HookError(f"what outgoing of {names} made of a message can't be sent: {error}") from error


class _Sent:
    """What was sent of one transcript. counts: how often each message stands in it."""

    def __init__(self) -> None:
        self.transcript = Transcript()
        self.counts: Counter[bytes] = Counter()


def _digests(transcript: Transcript, start: int) -> Iterator[bytes]:
    """A digest of each message from index `start` on."""
    import hashlib

    return (hashlib.blake2b(each, digest_size=16).digest() for each in islice(transcript.each_encoded(), start, None))


def _outgoing(hook: Hook, message: Message) -> object:
    """What a hook makes of a message: what it returns, or the message as it leaves it."""
    role = message["role"]
    made: object = guarded(hook, "outgoing", lambda: hook.outgoing(message))
    made = message if made is None else made
    if isinstance(made, Mapping) and made.get("role") == role:
        return made
    raise WrongTypeError(hook, "outgoing", made, f"a message of the role {role!r}, or None")


class Outgoing(Middleware):
    """Wraps any backend for one run, and sends what hooks make of its messages."""

    def __init__(self, backend: Backend, sent: SentMessages) -> None:
        super().__init__(backend)
        self._sent = sent

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        return self.backend.reply(replace(request, transcript=self._sent.of(request.transcript), conversation=None))


class BeforeModel(Middleware):
    """Wraps any backend for one run, and asks a hook before each request."""

    def __init__(self, backend: Backend, hook: Hook, sent: SentMessages) -> None:
        super().__init__(backend)
        self._hook = hook
        self._sent = sent

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        views = {
            "transcript": ReadOnlyTranscript(request.transcript),
            "response_format": read_only(request.response_format),
        }
        given: Request = replace(request, stream=False, is_shown=True, begin=None, call_deltas=False, **views)
        given = replace(given, sampling=copy.deepcopy(dict(request.sampling)))
        made: object = guarded(self._hook, "before_model", lambda: self._hook.before_model(given))
        if isinstance(made, Reply):
            _check_message(self._hook, "before_model", made)
            yield from shown(made, request)
            return
        if made is None:
            made = given
        if not isinstance(made, Request):
            raise WrongTypeError(self._hook, "before_model", made, "a Request, a Reply (Reply.text(...)) or None")
        kept = {name: getattr(request, name) for name in ("stream", "is_shown", "begin", "call_deltas")}
        kept |= {name: getattr(request, name) for name, view in views.items() if getattr(made, name) is view}
        yield from self.backend.reply(self._sent.added(replace(made, **kept), request))


class AfterModel(Middleware):
    """Wraps any backend for one run, and asks a hook about each reply; until it agrees, nothing of the reply passes."""

    def __init__(self, backend: Backend, hook: Hook) -> None:
        super().__init__(backend)
        self._hook = hook

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        asked = replace(request, stream=False, is_shown=False, begin=None, call_deltas=False)
        with closing(self.backend.reply(asked)) as deltas:
            replies = [delta for delta in deltas if isinstance(delta, Reply)]
        for reply in replies:
            yield from shown(agreed(self._hook, reply), request)


def agreed(hook: Hook, reply: Reply) -> Reply:
    """The reply as a hook lets it pass. What was spent on it stays, and by whom."""
    given = replace(reply, message=copy.deepcopy(reply.message), extra=copy.deepcopy(reply.extra))
    made: object = guarded(hook, "after_model", lambda: hook.after_model(given))
    if made is None:
        if given == reply:
            return reply
        made = given  # which the hook has changed in place
    if isinstance(made, str):
        made = Reply.text(made)
    if not isinstance(made, Reply):
        raise WrongTypeError(hook, "after_model", made, "a Reply, a str or None")
    _check_message(hook, "after_model", made)
    return replace(made, usage=reply.usage, model=reply.model, others=reply.others)


def _check_message(hook: Hook, method: str, reply: Reply) -> None:
    if not isinstance(reply.message, Mapping) or reply.message.get("role") != "assistant":
        raise WrongTypeError(hook, method, reply, "a Reply whose message has the role 'assistant': Reply.text(...)")
    try:
        Transcript([reply.message])
    except TranscriptError as error:
        raise WrongTypeError(hook, method, reply, f"a Reply that can be sent ({error})") from None


def shown(reply: Reply, request: Request) -> Iterator[Any]:
    """A reply that is there at once, as the stream that was requested."""
    message = reply.message
    if request.stream:
        thoughts = message.get("reasoning_content")
        if isinstance(thoughts, str) and thoughts:
            yield ReasoningDelta(thoughts)
        if _spoken(reply):
            yield TextDelta(_spoken(reply))
    if request.stream and request.call_deltas:
        for call in message.get("tool_calls") or ():
            yield CallDelta(call["function"]["name"], call["function"]["arguments"])
    yield reply


class Filtering(Middleware):
    """Wraps any backend for one run, and filters the text of its replies while they stream."""

    def __init__(self, backend: Backend, hook: Streamed) -> None:
        super().__init__(backend)
        self._hook = hook

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        answers = _answers_in(request.tools)
        text, thoughts = _Lookback(self._hook), _Lookback(self._hook)
        with closing(self.backend.reply(request)) as deltas:
            for delta in deltas:
                if isinstance(delta, TextDelta):
                    yield from map(ReasoningDelta, thoughts.finish())  # which has ended
                    yield from map(TextDelta, text.feed(delta.text))
                elif isinstance(delta, ReasoningDelta):
                    yield from map(ReasoningDelta, thoughts.feed(delta.text))
                elif isinstance(delta, Reply):
                    made = _with_answers(agreed(self._hook, delta), answers, self._hook)
                    yield from _unshown(made, text, thoughts) if request.stream else ()
                    yield from _call_deltas(made, answers) if request.stream and request.call_deltas else ()
                    yield made
                elif not (isinstance(delta, CallDelta) and delta.name in answers):
                    yield delta
                if isinstance(delta, ReplyDiscarded):
                    text, thoughts = _Lookback(self._hook), _Lookback(self._hook)


def _answers_in(tools: Toolbox) -> frozenset[str]:
    """The names of the tools whose call is an answer, which is shown, and no act."""
    return frozenset(tool.name for tool in tools if tool.options.ends_run and not tool.has_hooks)


def _with_answers(reply: Reply, answers: Collection[str], hook: Streamed) -> Reply:
    """The reply with the answers that it gives by calls filtered."""
    calls = reply.message.get("tool_calls")
    if not calls or not any(call["function"]["name"] in answers for call in calls):
        return reply
    made = [_filtered_call(call, hook) if call["function"]["name"] in answers else call for call in calls]
    return replace(reply, message=cast(Message, {**reply.message, "tool_calls": made}))


def _filtered_call(call: ToolCall, hook: Streamed) -> ToolCall:
    function = call["function"]
    arguments = guarded(hook, "after_model", lambda: with_json_texts(function["arguments"], hook.filtered))
    return {**call, "function": {**function, "arguments": arguments}}


def _call_deltas(reply: Reply, names: Collection[str]) -> Iterator[CallDelta]:
    for call in reply.message.get("tool_calls") or ():
        if call["function"]["name"] in names:
            yield CallDelta(call["function"]["name"], call["function"]["arguments"])


def _unshown(made: Reply, text: "_Lookback", thoughts: "_Lookback") -> Iterator[Any]:
    """What of a filtered reply was not shown yet; all of it where something else was shown."""
    has_shown = bool(text.shown or thoughts.shown)
    rest = [*map(ReasoningDelta, thoughts.finish()), *map(TextDelta, text.finish())]
    if text.shown.strip() == _spoken(made).strip() and thoughts.shown == thoughts.whole:
        yield from rest
        return
    if has_shown:
        yield ReplyDiscarded()
    yield from map(ReasoningDelta, filter(None, [thoughts.whole]))
    yield from map(TextDelta, filter(None, [_spoken(made)]))


def _spoken(reply: Reply) -> str:
    """The text of a reply, or of its refusal."""
    return reply.text or reply.message.get("refusal") or ""


class _Lookback:
    """The text of a stream, filtered: what is shown of it so far, and what may still change.

    A piece is shown when the filter makes the same of it and of the rest apart as of both together: then nothing that
    it changes lies across the border, nor begins before it and is still incomplete.
    """

    def __init__(self, hook: Streamed) -> None:
        self._hook = hook
        self._held = ""
        self._tried_at = hook.lookback
        self._given: list[str] = []
        self._shown: list[str] = []

    @property
    def shown(self) -> str:
        """All that was shown."""
        return "".join(self._shown)

    @functools.cached_property
    def whole(self) -> str:
        """What the filter makes of all of the text."""
        given = "".join(self._given)
        return self._filtered(given) if given else ""

    def feed(self, text: str) -> list[str]:
        """Add to the text; returns what can be shown now."""
        self._given.append(text)
        self._held += text
        if len(self._held) <= self._tried_at:
            return []
        last = len(self._held) - self._hook.lookback
        whole = self._filtered(self._held)
        for end in range(last, max(0, last - self._hook.lookback - 1), -1):
            head = self._filtered(self._held[:end])
            if head + self._filtered(self._held[end:]) == whole:
                self._held, self._tried_at = self._held[end:], self._hook.lookback
                return self._noted(head)
        self._tried_at = len(self._held) + len(self._held) // 2
        return []

    def finish(self) -> list[str]:
        """Returns the rest."""
        held, self._held, self._tried_at = self._held, "", self._hook.lookback
        return self._noted(self._filtered(held)) if held else []

    def _filtered(self, text: str) -> str:
        return guarded(self._hook, "after_model", lambda: self._hook.filtered(text))

    def _noted(self, text: str) -> list[str]:
        if not text:
            return []
        self._shown.append(text)
        return [text]


def around_model(hooks: Sequence[Hook], backend: Backend) -> Backend:
    """The backend with hooks around it, the first outermost; `outgoing` of all of them goes before the others."""
    sent = SentMessages([hook for hook in hooks if overrides(hook, "outgoing")])
    for hook in reversed(hooks):
        if isinstance(hook, Streamed):
            backend = Filtering(backend, hook)
        elif overrides(hook, "after_model"):
            backend = AfterModel(backend, hook)
        if overrides(hook, "before_model"):
            backend = BeforeModel(backend, hook, sent)
    return Outgoing(backend, sent) if any(overrides(hook, "outgoing") for hook in hooks) else backend


def overrides(hook: Hook, method: str) -> bool:
    """Whether a hook has a method of its own."""
    return getattr(type(hook), method) is not getattr(Hook, method) or method in vars(hook)
