"""A history that has outgrown the model's context, cut down in one step to well under it.

Cutting a message at every turn would change the beginning of each request, and the server would have to read the whole
prompt anew each time. So nothing is cut until the window is nearly full; then a good part at once, and from there on
requests are again beginnings of each other. The transcript and the session keep everything: only what is sent is cut.

In this order: bulky results of old calls become a line each, which tells how to read them again; then the oldest turns
go, calls together with their results; then the oldest calls of the turns that are left. The system message and the last
turns stay.
"""

import hashlib
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Literal

from agentkit.backend import Backend, Pieces, Request
from agentkit.errors import ConfigurationError
from agentkit.event import Reply
from agentkit.limits import Usage
from agentkit.message import Message, response_of, text_of, user
from agentkit.middleware.history_cut import TrimmedHistory, cut, in_words, size_of
from agentkit.toolbox import RunToolbox
from agentkit.tools import Tool
from agentkit.transcript import Transcript

logger = logging.getLogger("agentkit")

BYTES_A_TOKEN = 3.5
"""Until the server has told what a request of so many bytes came to."""

ASKED_FROM = 3000
"""Tokens from which on the server is asked for the size of its window."""

MAX_CUTS = 2
"""So often is a refused prompt cut and sent again: what it counts in tokens is only known after the first time."""

AT_A_TIME = 4000
"""Characters of an earlier result that are read again by one call."""

SUMMARISE = (
    "Summarise the conversation below for the assistant who will go on with it: what was asked, what was found (with "
    "numbers, names and sources), what was decided, and what is still open. At most 300 words."
)

MAX_VIEWS = 256
"""So many conversations are remembered by what is sent of them."""


@dataclass(frozen=True)
class Window:
    """How long a history is sent, in tokens of the model's context.

    tokens: the context; None asks the server when the history gets long, and learns from its refusals. full: the part
    of it at which the history is cut, keep: the part that is left then. last_turns: so many stay. compaction: "drop",
    or "summarise" to have the model sum up the turns that go. Raises ConfigurationError for what makes no sense.
    """

    tokens: int | None = None
    full: float = 0.85
    keep: float = 0.5
    last_turns: int = 2
    compaction: Literal["drop", "summarise"] = "drop"

    def __post_init__(self) -> None:
        if self.tokens is not None and self.tokens < 1:
            raise ConfigurationError(f"Window(tokens={self.tokens}): it is a number of tokens above 0, or None")
        if not 0 < self.keep < self.full <= 1:
            raise ConfigurationError(f"Window(full={self.full}, keep={self.keep}): 0 < keep < full <= 1")
        if self.last_turns < 1:
            raise ConfigurationError(f"Window(last_turns={self.last_turns}): at least 1, the question itself")
        if self.compaction not in ("drop", "summarise"):
            raise ConfigurationError(f'Window(compaction={self.compaction!r}): it is "drop" or "summarise"')


@dataclass
class Size:
    """What is known of the window of a backend; shared by the runs of an agent."""

    tokens: int | None
    was_asked: bool = False
    bytes_a_token: float = BYTES_A_TOKEN
    views: "OrderedDict[bytes, TrimmedHistory]" = field(default_factory=OrderedDict)

    def remember(self, transcript: Transcript, view: "TrimmedHistory") -> None:
        """Keep a view for later runs that go on from this transcript by `messages=`."""
        *_, digest = _digests(transcript)
        self.views[digest] = view
        while len(self.views) > MAX_VIEWS:
            self.views.popitem(last=False)

    def recall(self, transcript: Transcript) -> "TrimmedHistory | None":
        """The last view of a transcript that this one goes on from."""
        if not self.views:
            return None
        found = [digest for digest in _digests(transcript) if digest in self.views]
        return self.views[found[-1]] if found else None

    def ask(self, backend: Backend) -> int | None:
        """The window, from the server where it tells; it is asked once."""
        if self.tokens is None and not self.was_asked:
            self.was_asked = True
            ask: Callable[[], int | None] | None = getattr(backend, "context_length", None)
            try:
                self.tokens = ask() if ask is not None else None
            except Exception as error:  # noqa: BLE001 - it is a question beside the run, which goes on without
                logger.info("the size of the model's window is not known: %s", error)
        return self.tokens


class FitToContext:
    """Wraps any backend for one run, and sends as much of the transcript as fits.

    view: from an earlier run of the session. spent: what its last reply took. changed: told of each new view.
    """

    def __init__(
        self,
        backend: Backend,
        window: Window,
        size: Size,
        toolbox: RunToolbox,
        asked: Backend,
        view: TrimmedHistory | None = None,
        spent: Usage | None = None,
        changed: Callable[[TrimmedHistory], object] = lambda view: None,
    ) -> None:
        self._backend = backend
        self._window = window
        self._size = size
        self._toolbox = toolbox
        self._asked = asked
        self._view = view
        self._changed = changed
        self._sent: Transcript | None = None
        self._covered = 0
        self._tokens = 0 if spent is None else spent.input_tokens + spent.output_tokens
        self._counted = 0
        self._before = Usage()
        self._is_restored = spent is not None

    def __repr__(self) -> str:
        return repr(self._backend)

    def close(self) -> None:
        """See `agentkit.backend.Backend.close`."""
        self._backend.close()

    def reply(self, request: Request) -> Pieces:
        """See `agentkit.backend.Backend.reply`."""
        transcript = request.transcript
        if self._is_nearly_full(transcript):
            self._cut(transcript)
        for _ in range(MAX_CUTS):
            told = False
            try:
                for piece in self._replied(request):
                    told = True
                    yield piece
                return
            except Exception as error:
                limit = too_long(error)
                if told or limit is None or not self._shrunk_after(error, limit, transcript):
                    raise
        yield from self._replied(request)

    def _replied(self, request: Request) -> Pieces:
        sent = self._sent_of(request.transcript)
        asked = (
            request
            if sent is request.transcript
            else replace(request, transcript=sent, conversation=request.transcript)
        )
        with closing(self._backend.reply(asked)) as pieces:
            for piece in pieces:
                if isinstance(piece, Reply):
                    self._count(piece.usage, request.transcript, sent)
                    if self._before.requests:  # a summary was asked for
                        piece = replace(piece, usage=self._before + piece.usage)
                        self._before = Usage()
                yield piece

    def _sent_of(self, transcript: Transcript) -> Transcript:
        """What is sent; what was sent before is a beginning of it, unless there is a new view."""
        if self._view is None:
            return transcript
        if self._sent is None:
            self._sent = Transcript(self._view.messages(transcript))
            if self._view.stubs:
                self._toolbox.add(_reader_of(transcript))
        else:
            self._sent.extend(self._view.messages(transcript, self._covered))
        self._covered = len(transcript)
        return self._sent

    def _count(self, usage: Usage, transcript: Transcript, sent: Transcript) -> None:
        if not usage.input_tokens:
            return
        self._size.bytes_a_token = min(self._bytes_sent(sent) / usage.input_tokens, 8.0)
        self._tokens = usage.input_tokens + usage.output_tokens
        self._counted = len(transcript) + 1  # with the reply itself

    def _bytes_sent(self, sent: Transcript) -> int:
        """The size of a request: its messages and its tools."""
        return _bytes_of(sent, 0) + len(self._toolbox.encoded)

    def _is_nearly_full(self, transcript: Transcript) -> bool:
        if self._is_restored:  # what was spent was for all but the last message, which is the new prompt
            self._is_restored, self._counted = False, len(transcript) - 1
            size = self._bytes_sent(self._sent_of(transcript)) - _bytes_of(transcript, self._counted)
            self._size.bytes_a_token = min(self._size.bytes_a_token, max(size, 1) / max(self._tokens, 1))
        if self._view is None and not self._counted:
            self._view = self._size.recall(transcript)
        if self._view is not None and not self._counted:
            self._counted = len(transcript)
            self._tokens = int(self._bytes_sent(self._sent_of(transcript)) / self._size.bytes_a_token)
        start = min(self._counted, len(transcript))
        expected = self._tokens + _bytes_of(transcript, start) / self._size.bytes_a_token
        if expected < ASKED_FROM and self._window.tokens is None:
            return False
        limit = self._size.ask(self._asked)
        return limit is not None and expected > limit * self._window.full

    def _shrunk_after(self, error: Exception, limit: int, transcript: Transcript) -> bool:
        """Cut down after the server has refused a prompt; whether there was something to cut. limit: what it said of
        its window, or 0."""
        size = self._bytes_sent(self._sent_of(transcript))
        known = self._size.tokens
        if limit and (known is None or limit < known):
            known = limit
        self._size.tokens = known or max(256, int(size / self._size.bytes_a_token))  # it is smaller than this
        self._size.bytes_a_token = min(self._size.bytes_a_token, size / (_counted_by(error) or self._size.tokens))
        logger.info("the history is cut down, since the server refused it: %s", error)
        return self._cut(transcript)

    def _cut(self, transcript: Transcript) -> bool:
        """Make a new view, well under the window; whether it is another than before."""
        limit = self._size.tokens
        assert limit is not None
        max_bytes = int(limit * self._window.keep * self._size.bytes_a_token) - len(self._toolbox.encoded)
        view = cut(transcript, self._view or TrimmedHistory(), max(0, max_bytes), self._window.last_turns)
        if view == self._view or view == TrimmedHistory():
            return False
        gone = view.left_out - (self._view.left_out if self._view else set())
        if gone:
            view.note = self._note([transcript[place] for place in sorted(gone)], self._view)
        self._view, self._sent = view, None
        size = self._bytes_sent(self._sent_of(transcript))
        self._tokens, self._counted = int(size / self._size.bytes_a_token), len(transcript)
        self._size.remember(transcript, view)
        self._changed(view)
        return True

    def _note(self, gone: Sequence[Message], before: TrimmedHistory | None) -> str:
        left_out = f"({len(gone)} earlier messages of this conversation are left out.)"
        earlier = before.note if before is not None else ""
        if self._window.compaction == "drop":
            return earlier or "(Earlier messages of this conversation are left out.)"
        told = "\n".join(f"{message['role']}: {in_words(message)}" for message in gone)
        max_bytes = int((self._size.tokens or 4096) * self._window.keep * self._size.bytes_a_token)
        asked = Transcript([user(f"{SUMMARISE}\n\n{earlier}\n{told[-max_bytes:]}")])
        try:
            *_, reply = self._backend.reply(Request(asked))
        except Exception as error:  # noqa: BLE001 - without a summary the run goes on as with "drop"
            logger.warning("the turns that were left out could not be summed up: %s", error)
            return earlier or left_out
        assert isinstance(reply, Reply)
        self._before += reply.usage
        return f"(Summary of the earlier conversation: {text_of(reply.message).strip()})"


def _reader_of(transcript: Transcript) -> Tool[..., str]:
    """The tool that reads the result of an earlier call again."""

    def earlier_result(number: int, start: int = 0) -> str:
        if not 0 <= number < len(transcript) or transcript[number]["role"] != "tool":
            return f"there is no earlier result with the number {number}"
        text = response_of(transcript[number])
        rest = len(text) - start - AT_A_TIME
        more = f"\n({rest:,} more characters: start={start + AT_A_TIME})" if rest > 0 else ""
        return text[max(0, start) : max(0, start) + AT_A_TIME] + more

    number = {"type": "integer", "description": "The number that stands in the place of the result."}
    start = {"type": "integer", "description": "The character to begin at.", "default": 0}
    schema = {"type": "object", "properties": {"number": number, "start": start}, "required": ["number"]}
    said = "Read the result of an earlier call again, which was left out of the conversation to save space."
    return Tool("earlier_result", said, schema, earlier_result, read_only=True)


def _digests(transcript: Transcript) -> Iterator[bytes]:
    """A digest of each beginning of a transcript."""
    digest = hashlib.blake2b(digest_size=16)
    for message in transcript.each_encoded():
        digest.update(message)
        yield digest.copy().digest()


def _bytes_of(transcript: Transcript, start: int) -> int:
    if not transcript.has_images:
        return transcript.size(start)
    return sum(size_of(transcript[place]) for place in range(start, len(transcript)))


def too_long(error: Exception) -> int | None:
    """What a server says of its window when it refuses a prompt as too long; 0 when it says no number, None for
    any other error. OpenAI: code context_length_exceeded; llama.cpp: type exceed_context_size_error with n_ctx;
    vLLM, LightLLM and others say it in words."""
    status = getattr(error, "status_code", None)
    if status not in (400, 413, 422, 500):
        return None
    body = getattr(error, "body", None)
    if isinstance(body, Mapping) and isinstance(body.get("n_ctx"), int):
        return int(body["n_ctx"])
    said = f"{error} {body}".lower()
    if not re.search(
        r"context[ _](length|size|window)|exceed_context|maximum context|(prompt|input).{0,60}too (long|large)|"
        r"too many tokens|token len|character limit",
        said,
    ):
        return None
    found = re.search(r"maximum context length (?:is|of) (\d+)|context (?:length|size|window) (?:is|of) (\d+)", said)
    return int(next(group for group in found.groups() if group)) if found else 0


def _counted_by(error: Exception) -> int | None:
    """The tokens that a server counted in a prompt which it refused, where it says so (llama.cpp)."""
    body = getattr(error, "body", None)
    counted = body.get("n_prompt_tokens") if isinstance(body, Mapping) else None
    return counted if isinstance(counted, int) and counted > 0 else None
