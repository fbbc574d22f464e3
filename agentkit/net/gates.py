"""Holds requests back where they are sent, until the gate of their server lets them through, for whoever runs the code
that sends them: the runs of a batch.

A gate sees each request to a model server that is sent by the code within `Gates`, also in the threads of `WORKERS`
that it starts, and each one that is sent again. A refusal because of the server's load is waited out there: the request
takes another turn.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import Any, Protocol, Self, TypeVar

Response = TypeVar("Response")

REFUSALS = frozenset({429, 503, 529})
"""Statuses with which a server refuses a request because of its load."""


class Turn(Protocol):
    """One request that is sent, or was."""

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """The server has responded; the body is not read yet."""

    def failed(self, error: BaseException) -> None:
        """There is no response."""

    def ended(self) -> None:
        """The body of the response has ended, or nobody reads it any more. May be called several times, by a finalizer
        too."""

    def hold(self, seconds: float) -> None:
        """The server asks in its body to wait that long."""

    def is_waited_out(self) -> bool:
        """Whether the request was refused because of the server's load, and is to be sent again in another turn."""


class Gates:
    """The gates of servers, as a context manager: what is sent within the block waits at these, and at no others."""

    _before: "Token[Gates | None]"

    def turn(self, url: str) -> Turn:
        """Wait until a request may be sent to a URL. Raises Aborted when it is aborted meanwhile."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._before = _GATES.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        _GATES.reset(self._before)


_GATES: ContextVar[Gates | None] = ContextVar("gates", default=None)


def gates_here() -> Gates | None:
    """The gates at which the requests of this thread wait."""
    return _GATES.get()


def in_turn(gates: Gates, url: str, send: Callable[[], Response]) -> tuple[Turn, Response]:
    """Send a request when its turn has come; returns that turn, which has to be told when the body has ended. An error
    has its turn as its attribute `turn`."""
    turn = gates.turn(url)
    try:
        response: Any = send()
    except BaseException as error:
        turn.failed(error)
        error.turn = turn  # type: ignore[attr-defined]
        raise
    turn.answered(response.status_code, response.headers)
    return turn, response
