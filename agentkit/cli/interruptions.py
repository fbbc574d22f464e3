"""Ctrl-C, SIGTERM and the end of the terminal, for a command that has something to finish, or has started programs."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from agentkit._forking import renewed_by_forks

INTERRUPTED = 130
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def exits_at_signals() -> Iterator[None]:
    """While it is entered, SIGTERM and SIGHUP raise SystemExit in the main thread, with 128 and their number: by
    default they end the program at once, and what it has started (MCP servers) goes on. A signal that is ignored, or
    that somebody else handles, stays so."""
    own, has_come = os.getpid(), False

    def exit_(number: int, frame: FrameType | None) -> None:
        nonlocal has_come
        if os.getpid() != own:  # a forked child, which has nothing to end
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif not has_come:  # the end of a terminal may send several
            has_come = True
            raise SystemExit(128 + number)

    handled = []
    if threading.current_thread() is threading.main_thread():
        numbers = (getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP"))
        handled = [each for each in numbers if each is not None and signal.getsignal(each) is signal.SIG_DFL]
    for each in handled:
        signal.signal(each, exit_)
    try:
        yield
    finally:
        for each in handled if not has_come else ():
            signal.signal(each, signal.SIG_DFL)


class Interruptions:
    """While it is entered, the signals that end a program call functions in place of that, in a thread of their own:
    whatever the main thread is waiting for, and whichever locks it holds. Until `call` names them, a signal raises
    KeyboardInterrupt in the main thread.

    A signal that the program was started to ignore (`nohup`, a job of a script in the background) stays ignored."""

    def __init__(self) -> None:
        self._first: Callable[[], None] | None = None
        self._second: Callable[[], None] | None = None
        self._before: dict[int, Any] = {}
        self._before_fd = -1
        self._writing: socket.socket | None = None
        self._count = 0

    @property
    def count(self) -> int:
        """How many have come since `call`."""
        return self._count

    def __enter__(self) -> "Interruptions":
        if threading.current_thread() is not threading.main_thread():
            return self  # signals are the main thread's
        reading, self._writing = socket.socketpair()
        self._writing.setblocking(False)
        self._before_fd = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._signalled)
        renewed_by_forks(self)
        threading.Thread(target=self._listen, args=(reading,), name="signals", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.renew_in_child()  # as it was before
        if self._writing is not None:
            self._writing.close()  # the thread reads its end
            self._writing = None

    def renew_in_child(self) -> None:
        """See `agentkit._forking.renewed_by_forks`: a child ends at a signal, and tells its parent nothing of it."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._writing is not None:
            signal.set_wakeup_fd(self._before_fd)
        self._before = {}

    def call(self, first: Callable[[], None], second: Callable[[], None]) -> None:
        """Call the one at the first signal from now on, the other at the second. A third ends the program at once."""
        self._second = second
        self._first = first

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if self._first is None:
            raise KeyboardInterrupt

    def _listen(self, reading: socket.socket) -> None:
        with reading:
            while numbers := reading.recv(16):
                for _ in filter(self._before.__contains__, numbers):
                    self._act()

    def _act(self) -> None:
        if self._first is None or self._second is None:
            return
        self._count += 1
        if self._count > 2:
            os._exit(INTERRUPTED)  # what is written is whole, and what is not is asked again
        (self._first if self._count == 1 else self._second)()
