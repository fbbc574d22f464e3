"""Lets middleware see the requests that are sent for a reply, and their responses, whichever HTTP library sends them.

A backend may send several requests for one reply: its HTTP client retries them, and what a server refuses is left out
of the next. Whoever looks on in the thread of the reply is told of each, may hold it back, and may give a response that
is kept in place of the server's.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from agentkit._lazy.records import dataclass
from agentkit._text import without_credentials

T = TypeVar("T")
Response = TypeVar("Response")


@dataclass(frozen=True)
class Sent:
    """A request as it is sent. url: without user name and password. body: the bytes; of a GET none."""

    url: str
    body: bytes


@dataclass(frozen=True)
class Stored:
    """A response that is kept. body: as it was read, decompressed."""

    status: int
    content_type: str
    body: bytes


class Onlooker:
    """Sees the requests of one reply. A subclass overrides what it needs. The methods are called in the thread that
    sends, in this order: `stored`; then `replayed`, or `sending` and then `answered` or `failed`; after `answered`
    `received` with each piece of the body, and `ended` or perhaps `broke`; `ended` after `broke` where all of the reply
    had arrived before. methods: which requests it sees."""

    methods: ClassVar[tuple[str, ...]] = ("POST",)

    def stored(self, sent: Sent) -> Stored | None:
        """The response that is to be used instead of sending the request, if there is one."""
        return None

    def replayed(self, sent: Sent) -> None:
        """A stored response is used instead."""

    def sending(self, sent: Sent) -> None:
        """The request is about to be sent; this may wait, and what it raises ends the request."""

    def failed(self, sent: Sent) -> None:
        """There is no response: the server can't be reached, or the request was ended."""

    def answered(self, sent: Sent, status: int, headers: Mapping[str, str]) -> None:
        """The server has responded; the body is not read yet. headers: their names in any case."""

    def received(self, chunk: bytes) -> None:
        """A piece of the body of the last response."""

    def broke(self) -> None:
        """The body of the last response broke off."""

    def ended(self) -> None:
        """The body of the last response was received to its end, or as far as the reply in it goes."""


class _Current(threading.local):
    """Who looks on in this thread."""

    onlookers: tuple[Onlooker, ...] = ()


_current = _Current()


class _Everywhere:
    """Who looks on at each exchange of this process, whoever sends it."""

    def __init__(self) -> None:
        self.makers: tuple[Callable[[], Onlooker], ...] = ()

    def added_to(self, onlookers: tuple[Onlooker, ...]) -> tuple[Onlooker, ...]:
        return (*onlookers, *(make() for make in self.makers)) if self.makers else onlookers


_everywhere = _Everywhere()


@contextmanager
def all_seen_by(make: Callable[[], Onlooker]) -> Iterator[None]:
    """Have each exchange of this process seen, in the block, by an onlooker that `make` makes for it alone."""
    _everywhere.makers = (*_everywhere.makers, make)
    try:
        yield
    finally:
        _everywhere.makers = tuple(each for each in _everywhere.makers if each is not make)


def seen_by(onlooker: Onlooker, steps: Generator[T, None, None]) -> Iterator[T]:
    """Yield what `steps` yields; `onlooker` sees what is sent meanwhile, in whatever thread that is, and nothing that
    happens between two steps."""
    while True:
        before = _current.onlookers
        _current.onlookers = (*before, onlooker)
        try:
            step = next(steps)
        except StopIteration:
            return
        finally:
            _current.onlookers = before
        yield step


def exchanged(
    method: str,
    url: object,
    body: Callable[[], bytes],
    send: Callable[[], Response],
    replay: Callable[[Stored], Response],
) -> Response:
    """The response to a request: the one that is stored, as `replay` makes it, else that of `send`."""
    onlookers = _everywhere.added_to(_current.onlookers)
    if onlookers:
        onlookers = tuple(each for each in onlookers if method in each.methods)
    if not onlookers:
        return send()
    sent = Sent(without_credentials(url), body())
    stored = next((found for each in reversed(onlookers) if (found := each.stored(sent)) is not None), None)
    if stored is not None:
        for each in onlookers:
            each.replayed(sent)
        return replay(stored)
    try:
        for each in onlookers:
            each.sending(sent)
        response: Any = send()
    except BaseException:
        for each in onlookers:
            each.failed(sent)
        raise
    for each in onlookers:
        each.answered(sent, response.status_code, response.headers)
    setattr(response, _ONLOOKERS, onlookers)
    return response  # type: ignore[no-any-return]


_ONLOOKERS = "agentkit_onlookers"


def heard(response: Any, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of the body of a response, which those who saw its request see too."""
    return _passed_on(response, chunks) if _onlookers_of(response) else iter(chunks)


def completed(response: Any) -> None:
    """The reply in a response has arrived: what is behind it, and when its body ends, does not matter to anybody."""
    onlookers = _onlookers_of(response)
    if onlookers:
        setattr(response, _ONLOOKERS, ())
        for each in onlookers:
            each.ended()


def _onlookers_of(response: Any) -> tuple[Onlooker, ...]:
    found: tuple[Onlooker, ...] = getattr(response, _ONLOOKERS, ())
    return found


def _passed_on(response: Any, chunks: Iterable[bytes]) -> Iterator[bytes]:
    try:
        for chunk in chunks:
            for each in _onlookers_of(response):
                each.received(chunk)
            yield chunk
    except Exception:
        for each in _onlookers_of(response):
            each.broke()
        raise
    completed(response)
