"""The base class of middleware: a backend that wraps another one and forwards what it does not change."""

from collections.abc import Callable
from typing import Any, Literal

from agentkit.backend import Backend, Capabilities, ReplyStream, Request
from agentkit.event import Reply
from agentkit.limits import NO_USAGE, Usage
from agentkit.net.overflow import too_long

Balance = Literal["sticky"]
"""How conversations are distributed over several servers of one model: each stays on its server."""


class Middleware:
    """Forwards every member of the `Backend` protocol; a subclass overrides `reply`.

    It yields deltas and then exactly one Reply, and closes the stream that it reads when its own is closed.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def __repr__(self) -> str:
        return repr(self.backend)

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        return self.backend.reply(request)

    def close(self) -> None:
        """See `agentkit.backend.Backend.close`."""
        self.backend.close()

    def capabilities(self, ask: bool = False) -> Capabilities:
        """See `agentkit.backend.Backend.capabilities`."""
        return self.backend.capabilities(ask)


def stops_on_abort(backend: Backend) -> bool:
    """Whether a reply of this backend ends soon after the request of its thread was aborted (`agentkit.net.abort`),
    whatever it waits for; then it needs no thread that can be left.

    A class says so with the attribute `stops_on_abort`; a middleware of itself, without the backend inside. What it
    inherits does not count: a subclass may wait in a way of its own. It is asked for each reply.
    """
    inner: Any = backend
    while "stops_on_abort" in type(inner).__dict__ and inner.stops_on_abort:
        if getattr(inner.reply, "__func__", None) is not type(inner).reply:  # put in the place of its own
            return False
        if not isinstance(inner, Middleware):
            return True
        inner = inner.backend
    return False


def replied_with_less(
    reply: Callable[[], ReplyStream],
    times: int,
    shorten: Callable[[Exception, int], object],
    noted: Callable[[Reply], Reply] = lambda reply: reply,
) -> ReplyStream:
    """The reply to a request that may be too long: after each refusal that says so, before anything was yielded, it is
    made shorter and sent again, `times` times at most. shorten: gets the error, and the tokens that it names (0: none);
    it raises when nothing can be left out. noted: makes the last item of the reply what is yielded."""
    for left in reversed(range(times + 1)):
        deltas, has_yielded = None, False
        try:
            deltas = reply()
            for delta in deltas:
                has_yielded = True
                yield noted(delta) if isinstance(delta, Reply) else delta
            return
        except Exception as error:
            limit = too_long(error)
            if has_yielded or limit is None or not left:
                raise
            shorten(error, limit)
        finally:
            if deltas is not None:
                deltas.close()


def with_spent(error: Exception, usage: Usage) -> Exception:
    """The error, with what the replies took that were discarded before it was raised: no reply counts them any more."""
    if usage is not NO_USAGE:
        error.agentkit_spent = getattr(error, "agentkit_spent", NO_USAGE) + usage  # type: ignore[attr-defined]
    return error


def spent_on(error: Exception) -> Usage:
    """Take what was spent from an error (`with_spent`): it is counted once."""
    spent: Usage = vars(error).pop("agentkit_spent", NO_USAGE)
    return spent


class NoCapabilities(Middleware):
    """Completes a backend that has `reply` and `close` alone: nothing is known of it."""

    stops_on_abort = True

    def capabilities(self, ask: bool = False) -> Capabilities:
        """See `agentkit.backend.Backend.capabilities`."""
        return Capabilities()


def model_name(backend: Backend) -> str:
    """The name of a backend's model; of one without a name, that of its class."""
    name = backend.capabilities().model
    while not name and isinstance(backend, Middleware):
        backend = backend.backend
    return name or type(backend).__name__
