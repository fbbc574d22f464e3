"""Cuts a history that is close to the size of the model's context in one step to well below it.

Dropping a message at every turn would change the beginning of each request, so that the server would have to process
the whole prompt again each time. So nothing is cut until the window is nearly full; then a large part is cut at once,
and from there on each request is again a prefix of the next. The transcript and the session keep everything: only what
is sent is cut.

The order: large results of old calls are replaced by a line each, which says how to read them again; then the oldest
turns are left out, calls together with their results; then the oldest calls of the remaining turns. The system message
and the last turns are kept.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from agentkit._lazy.logs import INFO, WARNING, logger_of
from agentkit._lazy.records import dataclass, field, replace
from agentkit.backend import Backend, ReplyStream, Request
from agentkit.errors import ConfigurationError
from agentkit.event import Reply
from agentkit.limits import NO_USAGE, Budget, Usage
from agentkit.message import Message, text_of, user
from agentkit.middleware.base import Middleware, replied_with_less, with_spent
from agentkit.middleware.history_cut import TrimmedHistory, as_text, cut, size_of
from agentkit.net.error_words import explain
from agentkit.net.learned import Learned
from agentkit.net.overflow import NoRoomError, tokens_counted
from agentkit.toolbox import Toolbox
from agentkit.tooling.earlier_result import EARLIER_RESULT, earlier_result_tool
from agentkit.tooling.error_log import log_raised
from agentkit.tooling.interrupts import stops_the_run
from agentkit.tooling.number_ranges import NumberRanges
from agentkit.transcript import Transcript

logger = logger_of("agentkit")

BYTES_PER_TOKEN = 3.5
"""Used until the server has reported the tokens of a request of known size."""

QUERY_FROM = 3000
"""Expected tokens of a request from which the server is queried for the size of its window."""

MAX_QUERIES = 3
"""How often a server is asked for the size of its window: Ollama and LM Studio report it once the model is loaded,
after the first request, and several runs may begin with that."""

MAX_CUTS = 4
"""How often a rejected prompt is cut and sent again: many servers do not say by how much it is too long, and each cut
halves it."""

UNCUTTABLE = (
    "nothing more of this conversation can be left out: shorten the question, offer fewer tools, or use a model with a "
    "larger context"
)

TOO_SMALL = (
    "a request takes about %d tokens, and the context of %r has %d: the server may leave out its beginning "
    "(instructions, tools) without a word. Use a larger context (Ollama: OLLAMA_CONTEXT_LENGTH), or offer fewer tools"
)

NO_ROOM = "the conversation is close to the size of the model's context, or larger"

SUMMARISE = (
    "Summarise the conversation below for the assistant that will continue it: what was asked, what was found (with "
    "numbers, names and sources), what was decided, and what is still open. At most 300 words."
)

_NO_TOOLS = Toolbox()
MAX_VIEWS = 256
"""Number of conversations whose views an agent remembers."""


@dataclass(frozen=True)
class Window:
    """How much of a long history is sent, relative to the model's context.

    tokens: the size of the context in tokens; None queries the server when the history gets long, and learns from its
    rejections. full: the fraction of the context at which the history is cut. keep: the fraction that remains then.
    last_turns: the number of last turns that are kept. compaction: "drop", or "summarise" to have the model summarise
    the turns that are left out. keeps_given: whether the messages that a run begins with are sent as they are: only
    results of the calls that it makes are shortened, and what is still too long raises the server's error. Raises
    ConfigurationError for invalid values.
    """

    tokens: int | None = None
    full: float = 0.85
    keep: float = 0.5
    last_turns: int = 2
    compaction: Literal["drop", "summarise"] = "drop"
    keeps_given: bool = False

    def __post_init__(self) -> None:
        if self.tokens is not None and self.tokens < 1:
            raise ConfigurationError(f"Window(tokens={self.tokens}): must be a number of tokens above 0, or None")
        if not 0 < self.keep < self.full <= 1:
            raise ConfigurationError(f"Window(full={self.full}, keep={self.keep}): must satisfy 0 < keep < full <= 1")
        if self.last_turns < 1:
            raise ConfigurationError(f"Window(last_turns={self.last_turns}): must be at least 1, the question itself")
        if self.compaction not in ("drop", "summarise"):
            raise ConfigurationError(f'Window(compaction={self.compaction!r}): must be "drop" or "summarise"')


@dataclass
class ContextSize:
    """What is known about the context window of a backend; shared by the runs of an agent.

    known: its size in tokens as it was given, or as the server reported it when it was asked; None while unknown.
    queries: how often it was asked. has_warned: whether it was logged that it is too small. learned: "tokens" is the
    size that a refusal taught. views: the views of earlier conversations, by a digest of the
    transcript."""

    known: int | None
    queries: int = 0
    has_warned: bool = False
    bytes_per_token: float = BYTES_PER_TOKEN
    views: "OrderedDict[bytes, TrimmedHistory]" = field(default_factory=OrderedDict)
    learned: Learned = field(default_factory=Learned)

    @property
    def tokens(self) -> int | None:
        """The size in tokens; None while unknown."""
        sizes = [size for size in (self.known, self.learned.value("tokens")) if size is not None]
        return min(sizes, default=None)

    def remember(self, digest: bytes, view: "TrimmedHistory") -> None:
        """Keep a view for later runs that continue the transcript of this digest by `messages=`."""
        self.views[digest] = view
        while len(self.views) > MAX_VIEWS:
            self.views.popitem(last=False)

    def recall(self, transcript: Transcript) -> "TrimmedHistory | None":
        """The last view of a transcript that this one continues."""
        found: TrimmedHistory | None = None
        if self.views:
            for digest in Digests().of(transcript):
                found = self.views.get(digest, found)  # in one step: other runs push views out meanwhile
        return found

    def query(self, backend: Backend) -> int | None:
        """The window in tokens, from the server where it reports it."""
        if self.tokens is None and self.queries < MAX_QUERIES:
            self.queries += 1
            try:
                self.known = backend.capabilities(ask=True).context_length
            except Exception as error:
                if stops_the_run(error):
                    raise
                log_raised(logger, INFO, "the size of the model's context could not be queried:", error)
        return self.tokens


class Digests:
    """The digests of the prefixes of a transcript, each message of which is read once."""

    def __init__(self) -> None:
        self._transcript: Transcript | None = None
        self._digest: Any = None  # until the first is asked for
        self._count = 0

    def of(self, transcript: Transcript) -> Iterator[bytes]:
        """A digest of each prefix that is longer than the longest before. One is read to its end, or never again."""
        if transcript is not self._transcript:
            import hashlib

            self._transcript, self._digest, self._count = transcript, hashlib.blake2b(digest_size=16), 0
        for message in transcript.each_encoded(self._count):
            self._digest.update(message)
            self._count += 1
            yield self._digest.digest()

    def of_all(self, transcript: Transcript) -> bytes:
        """The digest of the whole transcript."""
        for _ in self.of(transcript):
            pass
        made: bytes = self._digest.digest()
        return made


class FitToContext(Middleware):
    """Wraps any backend for one run, and sends as much of the transcript as fits.

    budget: the run's. offset: see `TrimmedHistory`. view: the view of an earlier run of the session. spent: what its
    last reply took. changed: called with each new view and the transcript. given: with how many messages the run
    begins. summaries: what is asked for a summary, if not `backend`.
    """

    stops_on_abort = True

    def __init__(
        self,
        backend: Backend,
        window: Window,
        size: ContextSize,
        budget: Budget,
        offset: int = 0,
        view: TrimmedHistory | None = None,
        spent: Usage | None = None,
        changed: Callable[[TrimmedHistory, Transcript], object] = lambda view, transcript: None,
        given: int = 0,
        summaries: Backend | None = None,
    ) -> None:
        super().__init__(backend)
        self._summaries = backend if summaries is None else summaries
        self._window = window
        self._size = size
        self._budget = budget
        self._tools = _NO_TOOLS
        self._offset = offset
        self._view = view
        self._changed = changed
        self._sent: Transcript | None = None
        self._covered = 0
        self._tokens = 0 if spent is None else spent.input_tokens + spent.output_tokens
        self._counted = 0
        self._before = NO_USAGE
        self._is_restored = spent is not None
        self._given = given if window.keeps_given else 0
        self._digests = Digests()

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        transcript, self._tools = request.transcript, request.tools
        is_nearly_full = self._is_nearly_full(transcript)
        if not request.may_cut and (is_nearly_full or self._view is not None):
            raise NoRoomError(NO_ROOM)
        if is_nearly_full:
            self._cut(transcript)
            self._check_room(transcript)

        def shorten(error: Exception, limit: int) -> None:
            if not request.may_cut:
                self._learn(error, limit, transcript)
                raise error
            if not self._shrunk_after(error, limit, transcript):
                explain(error, UNCUTTABLE)
                raise error

        def noted(reply: Reply) -> Reply:
            self._count(reply.usage, transcript, self._sent_of(transcript))
            before, self._before = self._before, NO_USAGE
            return replace(reply, usage=before + reply.usage) if before.requests else reply  # a summary was requested

        try:
            yield from replied_with_less(lambda: self._replied(request), MAX_CUTS, shorten, noted)
        except Exception as error:
            before, self._before = self._before, NO_USAGE
            with_spent(error, before)
            raise

    def _replied(self, request: Request) -> ReplyStream:
        sent = self._sent_of(request.transcript)
        if sent is not request.transcript:
            request = replace(request, transcript=sent, conversation=request.transcript, tools=self._tools)
        return self.backend.reply(request)

    def _sent_of(self, transcript: Transcript) -> Transcript:
        """The transcript to send; the one sent before is a prefix of it, unless there is a new view."""
        if self._view is None:
            return transcript
        if self._sent is None:
            self._sent, self._covered = Transcript(), 0
        for index, message in self._view.sent(transcript, self._covered):
            if message is transcript[index]:
                self._sent.take(transcript, index)
            else:
                self._sent.extend([message])
        self._covered = len(transcript)
        if self._view.stubs and self._budget.ending is None and self._tools.get(EARLIER_RESULT) is None:
            self._tools = self._tools.plus(earlier_result_tool())
        return self._sent

    def _count(self, usage: Usage, transcript: Transcript, sent: Transcript) -> None:
        if not usage.input_tokens:
            return
        self._size.bytes_per_token = min(self._bytes_sent(sent) / usage.input_tokens, 8.0)
        self._tokens = usage.input_tokens + usage.output_tokens
        self._counted = len(transcript) + 1  # including the reply itself

    def _bytes_sent(self, sent: Transcript) -> int:
        """The size of a request: its messages and its tools."""
        return _bytes_of(sent, 0) + len(self._tools.encoded)

    def _is_nearly_full(self, transcript: Transcript) -> bool:
        if self._is_restored:  # `spent` is for all but the last message, which is the new prompt
            self._is_restored, self._counted = False, len(transcript) - 1
            size = self._bytes_sent(self._sent_of(transcript)) - _bytes_of(transcript, self._counted)
            self._size.bytes_per_token = min(self._size.bytes_per_token, max(size, 1) / max(self._tokens, 1))
        if self._view is None and not self._counted:
            self._view = self._size.recall(transcript)
        if self._view is not None and not self._counted:
            self._counted = len(transcript)
            self._tokens = int(self._bytes_sent(self._sent_of(transcript)) / self._size.bytes_per_token)
        start = min(self._counted, len(transcript))
        expected = self._tokens + _bytes_of(transcript, start) / self._size.bytes_per_token
        if expected < QUERY_FROM and self._window.tokens is None:
            return False
        limit = self._size.query(self.backend)
        return limit is not None and expected > limit * self._window.full

    def _check_room(self, transcript: Transcript) -> None:
        """Log that what is left after a cut is too long, which servers refuse or cut themselves."""
        expected = int(self._bytes_sent(self._sent_of(transcript)) / self._size.bytes_per_token)
        limit = self._size.tokens
        if limit is not None and expected > limit and not self._size.has_warned:
            self._size.has_warned = True
            logger.warning(TOO_SMALL, expected, self.backend, limit)

    def _shrunk_after(self, error: Exception, limit: int, transcript: Transcript) -> bool:
        """Cut the history after the server rejected a prompt as too long. Returns whether there was something to cut.
        limit: the size of the window that the error reports, or 0."""
        self._learn(error, limit, transcript)
        log_raised(logger, INFO, "the history is cut, since it was rejected as too long with", error)
        return self._cut(transcript)

    def _learn(self, error: Exception, limit: int, transcript: Transcript) -> None:
        """Remember the size of the window after the server rejected a prompt as too long."""
        size = self._bytes_sent(self._sent_of(transcript))
        known = self._size.tokens
        if limit and (known is None or limit < known):
            known = limit
        tokens = known or max(256, int(size / self._size.bytes_per_token))  # the real one is smaller
        self._size.learned.learn("tokens", tokens)
        counted = tokens_counted(error, limit, size) or tokens
        self._size.bytes_per_token = min(self._size.bytes_per_token, size / counted)

    def _cut(self, transcript: Transcript) -> bool:
        """Make a new view, well below the window. Returns whether it differs from the one before."""
        limit = self._size.tokens
        assert limit is not None
        max_bytes = int(limit * self._window.keep * self._size.bytes_per_token) - len(self._tools.encoded)
        view = cut(
            transcript,
            self._view or TrimmedHistory(offset=self._offset),
            max(0, max_bytes),
            self._window.last_turns,
            self._given,
        )
        if view == self._view or view == TrimmedHistory():
            return False
        before = self._view.left_out if self._view else NumberRanges()
        removed = [index for index in before.missing(0, len(transcript)) if index in view.left_out]
        if removed:
            view.note = self._note([transcript[index] for index in removed], self._view)
        self._view, self._sent = view, None
        size = self._bytes_sent(self._sent_of(transcript))
        self._tokens, self._counted = int(size / self._size.bytes_per_token), len(transcript)
        self._size.remember(self._digests.of_all(transcript), view)
        self._changed(view, transcript)
        return True

    def _note(self, removed: Sequence[Message], before: TrimmedHistory | None) -> str:
        left_out = f"({len(removed)} earlier messages of this conversation are left out.)"
        earlier = before.note if before is not None else ""
        if self._window.compaction == "drop":
            return earlier or "(Earlier messages of this conversation are left out.)"
        text = "\n".join(f"{message['role']}: {as_text(message)}" for message in removed)
        max_bytes = int((self._size.tokens or 4096) * self._window.keep * self._size.bytes_per_token)
        prompt = Transcript([user(f"{SUMMARISE}\n\n{earlier}\n{text[-max_bytes:]}")])
        try:
            *_, reply = self._summaries.reply(Request(prompt))
        except Exception as error:
            if stops_the_run(error):
                raise
            log_raised(logger, WARNING, "the summary of the turns that are left out failed with", error)
            return earlier or left_out
        assert isinstance(reply, Reply)
        self._before += reply.usage
        return f"(Summary of the earlier conversation: {text_of(reply.message).strip()})"


def _bytes_of(transcript: Transcript, start: int) -> int:
    """The size in bytes of the messages from index `start` on, in which an image counts as one of a fixed size."""
    if not transcript.has_images:
        return transcript.size(start)
    with_images = transcript.with_images[bisect_left(transcript.with_images, start) :]
    shown = sum(size_of(transcript[index]) - transcript.size(index, index + 1) for index in with_images)
    return transcript.size(start) + shown
