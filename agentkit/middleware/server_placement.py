"""On which of several servers of one model a conversation stays, so that its server has the prompt in its cache.

Within a run it is known by its transcript; in later runs by a digest of its messages up to the first reply. A new one
goes to the server with the fewest requests in flight; among equals its first messages decide, the same in any process.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import takewhile
from weakref import WeakKeyDictionary

from agentkit._forking import freed_by_forks, renewed_by_forks
from agentkit._text import json_bytes
from agentkit.message import Message
from agentkit.transcript import Transcript

MAX_CONVERSATIONS = 10_000
"""Conversations whose server is remembered."""


class ServerPlacement:
    """The servers of conversations, by their index; shared by threads. names: of the servers, the same in all
    processes. In a forked child nothing is in flight."""

    def __init__(self, names: Sequence[str]) -> None:
        self._keys = [hashlib.blake2b(name.encode(), digest_size=32).digest() for name in names]
        self._in_flight = [0] * len(names)
        self._of_runs: WeakKeyDictionary[Transcript, tuple[int, bytes]] = WeakKeyDictionary()
        self._of_beginnings: OrderedDict[bytes, int] = OrderedDict()
        self._lock = freed_by_forks(threading.Lock())
        renewed_by_forks(self)

    def renew_in_child(self) -> None:
        """In a child: what is in flight is its parent's."""
        self._in_flight = [0] * len(self._in_flight)

    def take(self, said: Transcript, ready: Sequence[int]) -> int:
        """The server for the next reply of a conversation, which counts as in flight there until `settle`. ready: the
        servers that can be asked, at least one."""
        with self._lock:
            known = self._of_runs.get(said)
        if known is None:
            beginning = _beginning(said)
            with self._lock:
                place = self._of_beginnings.get(beginning, -1)
        else:
            place = known[0]
        return self._begun(said, [place] if place in ready else ready)

    def move(self, said: Transcript, before: int, ready: Sequence[int]) -> int:
        """The same when the server `before` has failed: the one that is asked for the reply instead."""
        with self._lock:
            self._end(before)
        return self._begun(said, ready)

    def _begun(self, said: Transcript, ready: Sequence[int]) -> int:
        """The server of these with the fewest requests in flight, which has one more from now on."""
        first = _digest(takewhile(_is_not_a_reply, said)) if len(ready) > 1 else b""
        with self._lock:
            place = min(ready, key=lambda each: (self._in_flight[each], self._rank(each, first)))
            self._in_flight[place] += 1
        return place

    def settle(self, said: Transcript, place: int, reply: Message | None) -> None:
        """The reply is over. place: the server that was asked last. reply: the message of its reply, None when it gave
        none."""
        with self._lock:
            self._end(place)
            known = self._of_runs.get(said, (-1, b""))
        if reply is None or (known[0] == place and known[1]):
            return
        beginning = known[1] or _beginning(said) or _beginning([*said, reply])
        with self._lock:
            self._of_runs[said] = (place, beginning)
            self._of_beginnings[beginning] = place
            self._of_beginnings.move_to_end(beginning)
            if len(self._of_beginnings) > MAX_CONVERSATIONS:
                self._of_beginnings.popitem(last=False)

    def _end(self, place: int) -> None:
        self._in_flight[place] = max(0, self._in_flight[place] - 1)  # a child may go on with what its parent has begun

    def _rank(self, place: int, first: bytes) -> bytes:
        return hashlib.blake2b(first, key=self._keys[place], digest_size=16).digest()


def _is_not_a_reply(message: Message) -> bool:
    return message["role"] != "assistant"


def _beginning(messages: Sequence[Message]) -> bytes:
    """A digest of a conversation up to its first reply; empty before there is one."""
    for index, message in enumerate(messages):
        if message["role"] == "assistant":
            return _digest(messages[: index + 1])
    return b""


def _digest(messages: Iterable[Message]) -> bytes:
    """A digest of what was said, without instructions: a function may give others in each run."""
    digest = hashlib.blake2b(digest_size=16)
    for message in messages:
        if message["role"] not in ("system", "developer"):
            called = [call["function"] for call in message.get("tool_calls") or ()]
            digest.update(json_bytes([message["role"], message.get("content") or "", called]))
    return digest.digest()
