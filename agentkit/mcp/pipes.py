"""The pipes to the process of an MCP server: no write and no read waits for longer than it may.

Two kinds of each: pipes that can be polled, and those of Windows, which threads write and read.
"""

import contextlib
import os
import queue
import select
import threading
from collections.abc import Callable
from typing import IO, Protocol

from agentkit._forking import freed_by_forks
from agentkit._threads import POLL_INTERVAL, WORKERS
from agentkit.mcp.channel import Patience
from agentkit.mcp.errors import Gone, Slow

READ_SIZE = 1 << 16
CAN_POLL = hasattr(select, "poll")
MAX_UNSENT = 1 << 20
"""The most bytes after which a message that nobody waits for is dropped, where the server does not read."""
NOT_READ = "the server does not read what it is sent"

Sink = Callable[[bytes], None]


def came(wait: Callable[[float], object], patience: Patience) -> bool:
    """Wait until something comes, as long as there is patience; tried at least once. wait: for at most that many
    seconds."""
    if wait(0.0):
        return True
    while (left := patience.left) > 0:
        if wait(min(left, POLL_INTERVAL)):
            return True
    return False


class Input(Protocol):
    """The standard input of a process."""

    def write(self, line: bytes, patience: Patience) -> None:
        """Write a line. Raises Gone when the process does not read any more (`sent` is False: it has not read the
        whole line), Slow when it reads too slowly."""
        ...

    def write_soon(self, line: bytes) -> None:
        """Write a line now, or with the next one; drop it where too much waits already. Raises nothing."""
        ...

    def close(self) -> None:
        """Close it, so that the process reads the end. Waits for no writer for longer than a moment."""
        ...


class PolledInput:
    """An input that does not block."""

    def __init__(self, stream: IO[bytes]) -> None:
        os.set_blocking(stream.fileno(), False)
        self._stream = stream
        self._lock = threading.Lock()
        self._unsent = b""  # of a line that was begun: the next one has to come after it
        self._is_closing = False

    def write(self, line: bytes, patience: Patience) -> None:
        if not self._lock.acquire(blocking=False) and not came(
            lambda seconds: self._lock.acquire(timeout=seconds), patience
        ):
            raise Slow(f"{NOT_READ}; the request was not sent", sent=False)
        try:
            if self._unsent:
                self._unsent = self._rest_of(self._unsent, patience)
            rest = line if self._unsent else self._rest_of(line, patience)
            if 0 < len(rest) < len(line):
                self._unsent = rest
                raise Slow(f"{NOT_READ} to its end")
            if rest:
                raise Slow(f"{NOT_READ}; the request was not sent", sent=False)
        finally:
            self._lock.release()

    def write_soon(self, line: bytes) -> None:
        if not self._lock.acquire(timeout=POLL_INTERVAL):
            return
        try:
            with contextlib.suppress(Gone):
                if len(self._unsent) < MAX_UNSENT:
                    self._unsent = self._rest_of(self._unsent + line, Patience(0.0))
        finally:
            self._lock.release()

    def close(self) -> None:
        self._is_closing = True
        with self._lock:  # a writer looks at the flag
            self._stream.close()

    def _rest_of(self, data: bytes, patience: Patience) -> bytes:
        """Write; returns what could not be written in time."""
        written = 0
        while written < len(data):
            if self._is_closing:
                raise Gone("the connection was closed before the request was sent", sent=False)
            try:
                written += os.write(self._stream.fileno(), memoryview(data)[written:] if written else data)
            except BlockingIOError:
                if not came(self._wait, patience):
                    break
            except OSError:
                raise Gone("the server has ended before the request was sent", sent=False) from None
        return data[written:]

    def _wait(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._stream.fileno(), select.POLLOUT)
        return bool(poll.poll(seconds * 1000)) or self._is_closing


class ThreadedInput:
    """An input that may block: each line is written by a thread."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._is_closing = False

    def write(self, line: bytes, patience: Patience) -> None:
        if not came(lambda seconds: self._lock.acquire(timeout=seconds), patience):
            raise Slow(f"{NOT_READ}; the request was not sent", sent=False)
        written: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._submit(line, written)  # releases the lock, perhaps long after this call
        results: list[bool] = []

        def wait(seconds: float) -> bool:
            with contextlib.suppress(queue.Empty):
                results.append(written.get(timeout=seconds))
            return bool(results)

        if not came(wait, patience):
            raise Slow(f"{NOT_READ} to its end")
        if not results[0]:
            raise Gone("the server has ended before the request was sent", sent=False)

    def write_soon(self, line: bytes) -> None:
        if self._lock.acquire(timeout=POLL_INTERVAL):
            with contextlib.suppress(Gone):
                self._submit(line, queue.SimpleQueue())

    def _submit(self, line: bytes, written: "queue.SimpleQueue[bool]") -> None:
        """Have a thread write a line, and then release the lock. Raises Gone where there is none."""
        job = [line]

        def write() -> None:
            with contextlib.suppress(IndexError):
                self._write(job.pop(), written)

        try:
            WORKERS.submit(write)
        except RuntimeError:  # no thread can be started now
            if _is_taken(job):  # by one that has become free
                return
            self._finish()
            raise Gone("there is no thread that can send the request", sent=False) from None

    def close(self) -> None:
        self._is_closing = True
        if self._lock.acquire(timeout=2 * POLL_INTERVAL):  # else it is closed by the thread that writes
            self._finish()

    def _write(self, line: bytes, written: "queue.SimpleQueue[bool]") -> None:
        left = memoryview(line)
        with contextlib.suppress(OSError, ValueError):
            while left and not self._is_closing:
                left = left[os.write(self._stream.fileno(), left) :]
        self._finish()
        written.put(not left)

    def _finish(self) -> None:
        if self._is_closing:
            with contextlib.suppress(OSError):
                self._stream.close()
        self._lock.release()


def _is_taken(job: list[bytes]) -> bool:
    try:
        job.pop()
    except IndexError:
        return True
    return False


class Outputs(Protocol):
    """The standard output and standard error of a process. is_over: whether the standard output has ended."""

    is_over: bool

    def next(self, seconds: float | None) -> bool:
        """Wait at most this long (None: for ever), and hand on what has come; returns whether anything has."""
        ...

    def wake(self) -> None:
        """Let `next` return, in whatever thread it waits. Waits for nothing."""
        ...

    def close(self) -> None:
        """Close them; called in the thread that reads, or in a forked child."""
        ...


class PolledOutputs:
    """Outputs that can be waited for together."""

    def __init__(self, stdout: IO[bytes], stderr: IO[bytes], on_stdout: Sink, on_stderr: Sink) -> None:
        self.is_over = False
        self._lock = freed_by_forks(threading.RLock())  # a finalizer may wake it in the middle of `close`
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        self._streams = stdout, stderr
        self._sinks = {stdout.fileno(): on_stdout, stderr.fileno(): on_stderr}
        self._stdout = stdout.fileno()
        self._poll = select.poll()
        for number in (*self._sinks, self._woken):
            os.set_blocking(number, False)
            self._poll.register(number, select.POLLIN)

    def next(self, seconds: float | None) -> bool:
        ready = self._poll.poll(None if seconds is None else seconds * 1000)
        for number, _ in ready:
            try:
                data = os.read(number, READ_SIZE)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if number == self._woken:
                continue
            if data:
                self._sinks[number](data)
                continue
            self._poll.unregister(number)  # it has ended
            self.is_over = self.is_over or number == self._stdout
        return bool(ready)

    def wake(self) -> None:
        with self._lock, contextlib.suppress(OSError):  # the pipe is full
            if self._waker >= 0:  # a number that was closed may be that of another file
                os.write(self._waker, b".")

    def close(self) -> None:
        with self._lock:
            numbers = [each for each in (self._woken, self._waker) if each >= 0]
            self._woken = self._waker = -1
            for number in numbers:
                with contextlib.suppress(OSError):
                    os.close(number)
        for stream in self._streams:
            with contextlib.suppress(OSError):
                stream.close()


class ThreadedOutputs:
    """Outputs that may block: each is read by a thread, and closed by it."""

    def __init__(self, stdout: IO[bytes], stderr: IO[bytes], on_stdout: Sink, on_stderr: Sink) -> None:
        self.is_over = False
        self._is_closed = False
        self._on_stdout = on_stdout
        self._read: queue.Queue[tuple[Sink, bytes] | None] = queue.Queue(maxsize=16)
        for stream, sink in ((stdout, on_stdout), (stderr, on_stderr)):
            threading.Thread(target=self._keep_reading, args=(stream, sink), name="agentkit-mcp", daemon=True).start()

    def _keep_reading(self, stream: IO[bytes], sink: Sink) -> None:
        data = b"."
        while data:
            try:
                data = os.read(stream.fileno(), READ_SIZE)
            except (OSError, ValueError):
                data = b""
            self._hand_on(sink, data)
        stream.close()

    def _hand_on(self, sink: Sink, data: bytes) -> None:
        """Let `next` have a piece; nobody has it once this is closed."""
        while not self._is_closed:
            with contextlib.suppress(queue.Full):
                self._read.put((sink, data), timeout=POLL_INTERVAL)
                return

    def next(self, seconds: float | None) -> bool:
        try:
            item = self._read.get(timeout=seconds) if seconds is None or seconds > 0 else self._read.get_nowait()
        except queue.Empty:
            return False
        if item is None:
            return True
        sink, data = item
        if data:
            sink(data)
        elif sink == self._on_stdout:
            self.is_over = True
        return True

    def wake(self) -> None:
        with contextlib.suppress(queue.Full):  # then it does not wait
            self._read.put_nowait(None)

    def close(self) -> None:
        self._is_closed = True
