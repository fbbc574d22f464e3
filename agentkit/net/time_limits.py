"""The limits of time of one request: connecting, each read, and all of it."""

from typing import NamedTuple

CONNECT_TIMEOUT = 10.0
"""Seconds that connecting may take: a machine that is gone does not refuse."""

Timeout = float | tuple[float | None, float | None] | tuple[float | None, float | None, float | None]
"""Seconds: of each read (connecting takes at most CONNECT_TIMEOUT); or of connecting and of each read; or of these and
of one attempt as a whole. None: no limit."""


class Limits(NamedTuple):
    """Seconds; None: no limit. connecting: with the look-up of the host. reading: until something more arrives. all: of
    one attempt, from when it is connected until the body has ended."""

    connecting: float | None
    reading: float | None
    all: float | None


def limits_of(timeout: Timeout | None) -> Limits:
    """The limits that a timeout means; None: no limit but that of connecting."""
    if timeout is None:
        return Limits(CONNECT_TIMEOUT, None, None)
    if isinstance(timeout, tuple):
        connecting, reading, *more = timeout
        return Limits(connecting, reading, more[0] if more else None)
    return Limits(min(timeout, CONNECT_TIMEOUT), timeout, None)
