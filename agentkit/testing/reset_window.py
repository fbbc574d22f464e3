"""Which classes vcrpy puts back while it makes a connection: those of `http.client` and httplib2 alone.

vcrpy replaces the connections of the HTTP libraries by its own. While it makes, opens or uses a real one, it puts all
of the originals back, for all threads; what other threads send meanwhile goes to the server, and is not recorded
(kevin1024/vcrpy#212, #849, #1051). Only classes that name themselves when they are made
(`super(HTTPSConnection, self)`) need that. Those of urllib3, which requests, boto3 and agentkit's own transport use,
and the methods of httpx stay replaced here.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_OF_MODULES = ("http.client", "httplib2")


@contextmanager
def narrowed() -> Iterator[None]:
    """For the time of a recording, which has to end within it: have vcrpy put back no more than it has to."""
    import vcr.patch

    window = _ResetWindow()
    before, vcr.patch.force_reset = vcr.patch.force_reset, window.opened
    try:
        yield
    finally:
        vcr.patch.force_reset = before
        window.forget()


class _ResetWindow:
    """Stands in the place of vcrpy's `force_reset`: the originals are there from the first thread that needs them until
    the last one does not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._replaced: list[tuple[Any, str, Any]] = []

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Have the originals there for the body of a `with`."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                for module, name, original in _originals():
                    self._replaced.append((module, name, getattr(module, name)))
                    setattr(module, name, original)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                while self._replaced and not self._users:
                    setattr(*self._replaced.pop())

    def forget(self) -> None:
        """The recording has ended: a thread that was left in the middle of a request does not put its classes back."""
        with self._lock:
            self._replaced.clear()


def _originals() -> Iterator[tuple[Any, str, Any]]:
    """Modules, names in them, and what stood there before any recording."""
    from vcr.patch import reset_patchers

    for patcher in reset_patchers():
        target = patcher.getter()
        if getattr(target, "__name__", None) in _OF_MODULES:
            yield target, patcher.attribute, patcher.new
