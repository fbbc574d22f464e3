"""Asks the next model when one fails, at the start of its reply or in the middle of it: `Agent([...])`.

The next one is sent the whole request and writes the whole reply: nothing of a broken one is continued, since a model
that is given the beginning of another's reply repeats it, or answers it. Deltas that were shown are taken back by
ReplyDiscarded. Calls that were started early for the broken reply are claimed by the same calls of the next one, and
are read-only; others start when a reply is complete.

- Moves on: a server that can't be reached, does not answer in time, breaks off, reports an error (401, 402, 403, 404,
  408, 409, 425, 429, 5xx, also inside of a 200), or sends what is no reply; a finish reason that says error; a reply
  that is empty twice; a conversation that is too long, when a next model has room for it. Not on other 400s, which are
  the caller's fault, and nothing that is the programmer's or the run's own (ConfigurationError, a deadline, closing).
- A model that has failed is not asked for as long as its server says (Retry-After), or half a minute. When none is left
  the others are asked anyway, in their order: the last error is raised, and has the others as notes.
- While another model is ready nobody waits for one: its HTTP client sends the request once. The last has its retries.
"""

import copy
import functools
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any

from agentkit._lazy.logs import logger_of
from agentkit._lazy.records import replace
from agentkit.backend import Backend, Capabilities, ReplyStream, Request, ending_of, is_empty
from agentkit.event import Reply, ReplyDiscarded
from agentkit.limits import NO_USAGE, Usage
from agentkit.message import Message
from agentkit.middleware.as_sent import AsSent, Origins
from agentkit.middleware.base import Balance, model_name, spent_on, stops_on_abort, with_spent
from agentkit.middleware.model_health import ModelHealth
from agentkit.middleware.server_placement import ServerPlacement
from agentkit.net.abort import is_aborted
from agentkit.net.attempts import with_retries
from agentkit.net.server_failures import OUT_SECONDS, Failure, failure_of

logger = logger_of("agentkit.run")

_END = object()


class Failover:
    """Several models as one backend, shared by the runs of an agent. backends: the first is preferred. balance:
    "sticky" for several servers of one model."""

    def __init__(
        self,
        backends: Sequence[Backend],
        balance: Balance | None = None,
    ) -> None:
        self.backends = tuple(backends)
        self.balance = balance
        known = [backend.capabilities() for backend in self.backends]
        self.models = _names([model_name(backend) for backend in self.backends], [bool(each.model) for each in known])
        self.health = ModelHealth(len(self.backends))
        urls = [each.base_url for each in known]
        servers = [url if url and urls.count(url) == 1 else f"{url} {place}" for place, url in enumerate(urls)]
        self.placement = ServerPlacement(servers) if balance is not None else None
        is_mixed = balance is None and len(set(self.models)) > 1
        origins = Origins() if is_mixed else None
        taken = [each.sampling for each in known]
        fields = None if None in taken else frozenset(name for each in taken for name in each or ())
        self.sent = [AsSent(model, origins, fields) for model in self.models]

    def __repr__(self) -> str:
        return f"Failover([{', '.join(map(repr, self.backends))}])"

    def around(self, backends: Sequence[Backend]) -> "Failover":
        """The same models, and what is known of them, with other backends: each wrapped for one run."""
        made = copy.copy(self)
        made.backends = tuple(backends)
        return made

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        moving = _Moving(self, request)
        try:
            yield from moving.deltas()
        finally:
            moving.end()

    def capabilities(self, ask: bool = False) -> Capabilities:
        """See `agentkit.backend.Backend.capabilities`: those of the first model; requests to others are made for
        theirs."""
        return self.backends[0].capabilities(ask)

    @property
    def stops_on_abort(self) -> bool:
        """See `agentkit.middleware.base.stops_on_abort`."""
        return all(map(stops_on_abort, self.backends))

    def close(self) -> None:
        """See `agentkit.backend.Backend.close`."""
        for backend in self.backends:
            backend.close()


def _names(given: Sequence[str], is_known: Sequence[bool]) -> list[str]:
    """The names of models; those that have none of their own are told apart."""
    nameless = [name for name, known in zip(given, is_known, strict=True) if not known]
    return [
        f"{name} {place + 1}" if not is_known[place] and nameless.count(name) > 1 else name
        for place, name in enumerate(given)
    ]


class _Moving:
    """One reply, from the first model that gives it."""

    def __init__(self, models: Failover, request: Request) -> None:
        self._models = models
        self._request = request
        self._has_yielded = False
        self._failures: list[tuple[int, Failure]] = []
        self._others: dict[str, Usage] = {}
        self._answered: Message | None = None
        self._ready = models.health.ready()
        self._order = [*self._ready, *(place for place in range(len(models.backends)) if place not in self._ready)]
        if models.placement is not None:
            self._place = models.placement.take(request.said, self._ready or tuple(self._order))
            self._order.sort(key=lambda place: place != self._place)

    def end(self) -> None:
        """The reply is over, in whatever way."""
        if self._models.placement is not None:
            self._models.placement.settle(self._request.said, self._place, self._answered)

    def deltas(self) -> ReplyStream:
        """The deltas of the reply; of those that failed as well, each followed by ReplyDiscarded."""
        waiting, crowded = self._order, list[int]()
        while waiting or crowded:
            is_second_time = not waiting
            place = crowded.pop(0) if is_second_time else self._taken_from(waiting)
            has_next = bool(waiting or crowded)
            may_cut = not has_next or is_second_time or self._models.placement is not None
            is_last_ready = not crowded and place in self._ready and not any(each in self._ready for each in waiting)
            request = replace(self._request, may_cut=may_cut)
            failure = yield from self._asked(place, request, is_last_ready or not has_next, has_next)
            if failure is None:
                return
            self._failures.append((place, failure))
            if failure.has_no_room and not may_cut:
                crowded.append(place)
            elif not has_next:
                raise self._error()
            logger.info("%s is not asked any more for this reply: %s", self._models.models[place], failure.reason)
            if self._has_yielded:
                self._has_yielded = False
                yield ReplyDiscarded(failure.reason, self._models.models[place])

    def _taken_from(self, waiting: list[int]) -> int:
        """The model that is asked next."""
        place = waiting[0]
        if self._failures and self._models.placement is not None:
            ready = [each for each in waiting if each in self._ready]
            place = self._place = self._models.placement.move(self._request.said, self._place, ready or waiting)
        waiting.remove(place)
        return place

    def _asked(
        self, place: int, request: Request, may_wait: bool, has_next: bool
    ) -> Generator[Any, None, Failure | None]:
        """Ask one model; returns why it has not answered, None when it has. may_wait: whether its client may wait to
        send the request again. has_next: whether there is another model to ask."""
        asking = self._models.health.begin(place)
        failure: Failure | None = None
        try:
            failure = yield from self._shown(place, request, None if may_wait else 0, has_next)
        except Exception as error:
            failure = None if is_aborted() else failure_of(error)
            self._count(place, spent_on(error))
            if failure is None:
                self._note_failures(error)
                raise
        finally:
            if failure is not None:
                asking.failed(failure.out)
            elif self._answered is not None:
                asking.answered()
            asking.end()
        return failure

    def _shown(
        self, place: int, request: Request, retries: int | None, has_next: bool
    ) -> Generator[Any, None, Failure | None]:
        """Yield the deltas of one model and its reply; returns why that is none."""
        backend, failure = self._models.backends[place], None
        request = self._models.sent[place].request(request, backend.capabilities())
        with closing(backend.reply(request)) as deltas:
            step: Callable[[], Any] = functools.partial(next, deltas, _END)
            while failure is None and (delta := with_retries(retries, step)) is not _END:
                if isinstance(delta, Reply):
                    failure = _failure_in(delta) if has_next else None
                    delta = self._finished(place, delta, failure)
                if failure is None:
                    self._has_yielded = True
                    yield delta
        return failure

    def _finished(self, place: int, reply: Reply, failure: Failure | None) -> Reply:
        """The reply as that of its model; what one took that is none is counted for the next."""
        if failure is not None:
            self._count(place, reply.usage)
            return reply
        self._models.sent[place].note(reply.message)
        self._answered = reply.message
        usage = sum(self._others.values(), NO_USAGE) + reply.usage if self._others else reply.usage
        return replace(reply, model=self._models.models[place], usage=usage, others=self._others)

    def _count(self, place: int, usage: Usage) -> None:
        """Count what a model took that has given no reply."""
        if usage is not NO_USAGE:
            name = self._models.models[place]
            self._others[name] = self._others.get(name, NO_USAGE) + usage

    def _error(self) -> Exception:
        """The last error, with the others as notes."""
        error = next(failure.error for _, failure in reversed(self._failures) if failure.error is not None)
        self._note_failures(error)
        return error

    def _note_failures(self, error: Exception) -> None:
        with_spent(error, sum(self._others.values(), NO_USAGE))
        for place, failure in self._failures:
            if failure.error is not error:
                error.add_note(f"(before that, {self._models.backends[place]!r} was asked: {failure.details})")


def _failure_in(reply: Reply) -> Failure | None:
    """Why a reply is none: it is empty, or its server broke it off."""
    if is_empty(reply):
        return Failure("its reply was empty twice", OUT_SECONDS)
    return Failure("its server broke the reply off", OUT_SECONDS) if ending_of(reply.finish_reason) == "error" else None
