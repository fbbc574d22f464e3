"""The hooks of a run around its requests and replies.

Each hook is a wrapper of its own; the first of an agent is the outermost. They are called with the same values whether
the run streams or not: with the request as it was meant, and with the whole reply.
"""

import copy
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any, NoReturn, TypeVar, cast
from weakref import WeakKeyDictionary

from agentkit.backend import Backend, ReplyStream, Request
from agentkit.errors import HookError, TranscriptError
from agentkit.event import CallDelta, ReasoningDelta, Reply, ReplyDiscarded, TextDelta
from agentkit.hooks import Hook, Streamed, WrongTypeError
from agentkit.message import Message
from agentkit.middleware.base import Middleware
from agentkit.transcript import Transcript

T = TypeVar("T")


def guarded(hook: Hook, method: str, call: Callable[[], T]) -> T:
    """What a hook returns. Raises HookError for what it raises."""
    try:
        return call()
    except WrongTypeError:
        raise
    except Exception as error:
        raise HookError(f"{type(hook).__name__}.{method} raised {type(error).__name__}: {error}") from error


def wrong_type(hook: Hook, method: str, made: object, instead: str) -> NoReturn:
    """Raise TypeError for what a hook has returned."""
    raise WrongTypeError(hook, method, made, instead)


class SentMessages:
    """What hooks make of the messages of a run; each message is shown to them once."""

    def __init__(self, hooks: Sequence[Hook]) -> None:
        self._hooks = hooks
        self._made: dict[tuple[bytes, int], Mapping[str, Any]] = {}
        self._own: set[bytes] = set()
        self._transcripts: WeakKeyDictionary[Transcript, _Sent] = WeakKeyDictionary()

    def of(self, given: Transcript) -> Transcript:
        """The transcript to send; that of the same transcript, grown, is the same one, grown."""
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
        sent = Transcript()
        for message, digest in zip(request.transcript, _digests(request.transcript, 0), strict=True):
            self._add(sent, message if digest in self._own else self._asked(message))
        return replace(request, transcript=sent, conversation=None)

    def _asked(self, message: Message) -> Mapping[str, Any]:
        made: Any = message
        for hook in self._hooks:
            answer = _outgoing(hook, copy.deepcopy(made))
            made = made if answer is None else answer
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
    return (hashlib.blake2b(each, digest_size=16).digest() for each in islice(transcript.each_encoded(), start, None))


def _outgoing(hook: Hook, message: Message) -> object:
    role = message["role"]
    made: object = guarded(hook, "outgoing", lambda: hook.outgoing(message))
    if made is None or (isinstance(made, Mapping) and made.get("role") == role):
        return made
    wrong_type(hook, "outgoing", made, f"a message of the role {role!r}, or None")


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
        given = replace(request, stream=False, is_shown=True, begin=None, call_deltas=False)
        made: object = guarded(self._hook, "before_model", lambda: self._hook.before_model(given))
        if isinstance(made, Reply):
            _check_message(self._hook, "before_model", made)
            yield from shown(made, request)
            return
        if made is None:
            made = given
        if not isinstance(made, Request):
            wrong_type(self._hook, "before_model", made, "a Request, a Reply (Reply.text(...)) or None")
        kept = {name: getattr(request, name) for name in ("stream", "is_shown", "begin", "call_deltas")}
        yield from self.backend.reply(self._sent.added(replace(made, **kept), given))


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
    """The reply as a hook lets it pass. What was spent on it stays."""
    made: object = guarded(hook, "after_model", lambda: hook.after_model(reply))
    if made is None:
        return reply
    if isinstance(made, str):
        made = Reply.text(made)
    if not isinstance(made, Reply):
        wrong_type(hook, "after_model", made, "a Reply, a str or None")
    _check_message(hook, "after_model", made)
    return replace(made, usage=reply.usage)


def _check_message(hook: Hook, method: str, reply: Reply) -> None:
    if not isinstance(reply.message, Mapping) or reply.message.get("role") != "assistant":
        wrong_type(hook, method, reply, "a Reply whose message has the role 'assistant': Reply.text(...)")
    try:
        Transcript([reply.message])
    except TranscriptError as error:
        wrong_type(hook, method, reply, f"a Reply that can be sent ({error})")


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
        text, thoughts = _Lookback(self._hook), _Lookback(self._hook)
        with closing(self.backend.reply(request)) as deltas:
            for delta in deltas:
                if isinstance(delta, TextDelta):
                    yield from map(TextDelta, text.feed(delta.text))
                elif isinstance(delta, ReasoningDelta):
                    yield from map(ReasoningDelta, thoughts.feed(delta.text))
                elif isinstance(delta, Reply):
                    yield from _rest(agreed(self._hook, delta), text, thoughts, request.stream)
                else:
                    yield delta
                if isinstance(delta, ReplyDiscarded):
                    text, thoughts = _Lookback(self._hook), _Lookback(self._hook)


def _rest(made: Reply, text: "_Lookback", thoughts: "_Lookback", stream: bool) -> Iterator[Any]:
    """What of a filtered reply was not shown yet, all of it where something else was shown; and the reply."""
    yield from _unshown(made, text, thoughts) if stream else ()
    yield made


def _unshown(made: Reply, text: "_Lookback", thoughts: "_Lookback") -> Iterator[Any]:
    yield from map(ReasoningDelta, thoughts.finish())
    rest = list(text.finish())
    if text.shown.strip() == _spoken(made).strip():
        yield from map(TextDelta, rest)
        return
    if text.shown != "".join(rest):  # else none of it has been shown
        yield ReplyDiscarded()
        yield from map(ReasoningDelta, filter(None, [thoughts.shown]))
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
        self._shown: list[str] = []

    @property
    def shown(self) -> str:
        """All that was shown."""
        return "".join(self._shown)

    def feed(self, text: str) -> list[str]:
        """Add to the text; returns what can be shown now."""
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
        held, self._held = self._held, ""
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
