"""Requests that do not grow: each has the question, the notes and the last results (docs/research.md).

A researcher's conversation goes on for hundreds of steps. What is sent of it begins anew where it would get too long: a
new round has the question, the notes with the numbers of their sources, and the last reply with its results. Within a
round each request begins with the bytes of the one before, as everywhere.
"""

import contextlib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import cast

from agentkit._text import json_bytes
from agentkit.backend import Backend, ReplyStream, Request
from agentkit.event import Reply
from agentkit.message import Message, response_of, tool_response, user, without_images
from agentkit.middleware.base import Middleware, replied_with_less
from agentkit.research.notes import Notebook
from agentkit.toolbox import Toolbox
from agentkit.transcript import Transcript

BYTES_PER_TOKEN = 3.0
"""Used until the server has counted the tokens of a request; of English it is about 4, of Chinese 3."""
FULL = 0.9
"""The part of the room from which on a new round begins."""
NOTES, RESULTS = 0.3, 0.4
"""The parts of the room that the notes and the last results take at most where a round begins."""
QUERY_FROM = 6_000
"""Bytes of a conversation from which on the server is asked for the size of the model's window."""
OF_THE_WINDOW = 0.75
"""The part of it that a request takes; the rest is for the reply."""
LEAST = 2_000
"""Bytes that a request has at least, whatever the model's window."""
MAX_SHORTER = 4
"""How often a request that the server rejects as too long is made half as long."""
SHORTER = "\n[… {count:,} more characters: read this source again with a narrower goal to see them]"
SO_FAR = (
    "Your notes so far, with the numbers of their sources (the pages themselves are no longer shown; don't read them "
    "again unless something is missing):"
)


class Rounds(Middleware):
    """Wraps the backend of one researcher.

    notes: taken so far; a round begins with them. tokens: of a request at most. leaves: called where a round begins,
    before the notes are read: all but the last results is no longer sent.
    """

    def __init__(
        self,
        backend: Backend,
        notes: Notebook,
        tokens: int,
        leaves: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(backend)
        self._notes = notes
        self._tokens = float(tokens)
        self._leaves = leaves
        self._per_token = BYTES_PER_TOKEN
        self._sent: Transcript | None = None
        self._covered = 0
        self._is_window_known = False

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        return replied_with_less(lambda: self._replied(request), MAX_SHORTER, self._shorten)

    def _shorten(self, error: Exception, limit: int) -> None:
        """The request was too long. limit: the tokens that the server says it takes, 0 where it does not say."""
        self._tokens = min(self._tokens / 2, limit or self._tokens)
        self._sent = None

    def _replied(self, request: Request) -> ReplyStream:
        sent = self._round_of(request.said, request.tools)
        made = replace(request, transcript=sent, conversation=request.said)
        with closing(self.backend.reply(made)) as deltas:
            for delta in deltas:
                if isinstance(delta, Reply) and delta.usage.input_tokens:
                    size = sent.size() + len(request.tools.encoded)
                    self._per_token = min(max(size / delta.usage.input_tokens, 1.0), 4.0)
                yield delta

    def _round_of(self, whole: Transcript, tools: Toolbox) -> Transcript:
        """What is sent of a conversation: what was sent before and what is new, or the beginning of a round."""
        self._learn_window(whole)
        room = int(self._tokens * self._per_token) - len(tools.encoded)
        if self._sent is not None:
            size = self._sent.size() + whole.size(self._covered)
            if size <= room * FULL:
                self._sent.extend(whole[self._covered :])
                self._covered = len(whole)
                return self._sent
        begin = _last_exchange(whole)
        self._leaves()
        self._sent, self._covered = Transcript(self._beginning(whole, begin, max(room, LEAST))), len(whole)
        return self._sent

    def _learn_window(self, whole: Transcript) -> None:
        """Ask the server for the size of the model's window, once a conversation is long."""
        if self._is_window_known or whole.size() < QUERY_FROM:
            return
        self._is_window_known = True
        with contextlib.suppress(Exception):  # the run goes on without knowing it
            window = self.backend.capabilities(ask=True).context_length
            self._tokens = min(self._tokens, OF_THE_WINDOW * (window or self._tokens / OF_THE_WINDOW))

    def _beginning(self, whole: Transcript, begin: int, room: int) -> list[Message]:
        asked = _question_at(whole)
        head = [*whole[:asked]]
        lines = self._notes.within(int(room * NOTES))
        text = "\n".join([str(whole[asked].get("content") or ""), *(["", SO_FAR, *lines] if lines else [])])
        rest = max(int(room * RESULTS), room * FULL - sum(map(_size, head)) - len(text.encode()) * 1.05 - 2_000)
        return [*head, user(text), *_within(whole[max(begin, asked + 1) :], int(rest))]


def _question_at(messages: Sequence[Message]) -> int:
    return next((index for index, message in enumerate(messages) if message["role"] == "user"), 0)


def _last_exchange(messages: Sequence[Message]) -> int:
    """The index of the last reply with calls, or of what follows the question."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index]["role"] == "assistant" and messages[index].get("tool_calls"):
            return index
    return _question_at(messages) + 1


def _size(message: Message) -> int:
    return len(json_bytes(message))


def _within(messages: Sequence[Message], room: int) -> list[Message]:
    """The last exchange in at most `room` bytes, as far as its results can be shortened: the longest first."""
    made = [without_images(message) for message in messages]
    sizes = [_size(message) for message in made]
    results = [index for index, message in enumerate(made) if message["role"] == "tool"]
    fixed = sum(size for index, size in enumerate(sizes) if index not in results)
    most = _fair_share([sizes[index] for index in results], max(0, room - fixed))
    for index in results:
        if sizes[index] > most:
            made[index] = _shorter(made[index], most / sizes[index])
    return made


def _fair_share(sizes: Sequence[int], room: int) -> int:
    """The largest size to which all are cut, so that together they fit."""
    left = sorted(sizes)
    while left and left[0] * len(left) <= room:
        room -= left.pop(0)
    return max(200, room // len(left)) if left else max(sizes, default=0)


def _shorter(message: Message, part: float) -> Message:
    text = response_of(message)
    kept = text[: max(100, int(len(text) * part) - 150)]
    shown = kept + SHORTER.format(count=len(text) - len(kept))
    return cast(Message, {**message, "content": tool_response(shown)})
