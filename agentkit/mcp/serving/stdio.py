"""The server on standard input and output: a message a line."""

import io
import os
import select
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from agentkit._lazy.logs import ERROR, logger_of
from agentkit._threads import POLL_INTERVAL, WORKERS
from agentkit.mcp.serving.answering import Server
from agentkit.mcp.serving.link import Link, Session
from agentkit.mcp.serving.protocol import INVALID_REQUEST, Refusal, Reply, encoded, is_request, parsed
from agentkit.tooling.error_log import log_raised

logger = logger_of("agentkit.mcp")

MAX_LINE = 64_000_000
"""Maximum bytes of a message."""
END_SECONDS = 10.0
"""For how long calls that are running are waited for when the input has ended and somebody still reads the output."""


def serve_stdio(server: Server, source: int, sink: int) -> bool:
    """Answer the messages of one client until the input ends or nobody reads the output; returns whether calls are
    still running then, which are cancelled. source, sink: descriptors."""
    client = _Client(server, sink)
    with io.BufferedReader(io.FileIO(source, closefd=False), 1 << 16) as lines:
        while (line := lines.readline(MAX_LINE + 1)) and not client.is_gone:
            if len(line) > MAX_LINE and not line.endswith(b"\n"):
                _skip_line(lines)
                client.refuse(Refusal(INVALID_REQUEST, f"a message has at most {MAX_LINE:,} bytes"))
            elif line.strip(b"\xef\xbb\xbf \t\r\n"):
                client.take(line)
    return client.end()


def _skip_line(lines: io.BufferedIOBase) -> None:
    while (rest := lines.readline(1 << 16)) and not rest.endswith(b"\n"):
        pass


class _Client:
    """The one client. is_gone: whether nobody reads what is written."""

    def __init__(self, server: Server, sink: int) -> None:
        self._server, self._sink = server, sink
        self._session = Session()
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._is_idle = threading.Condition()
        self._running = 0
        self.is_gone = False
        self._writer = threading.Thread(target=self._write, name="agentkit-mcp-writer", daemon=True)
        self._writer.start()

    def take(self, line: bytes) -> None:
        """Answer a line. What takes time is done in another thread."""
        try:
            message = parsed(line)
        except Refusal as refusal:
            self.refuse(refusal)
            return
        answer = self._server.begin(message, self._link())
        if isinstance(message, list) or (is_request(message) and message["method"] == "tools/call"):
            with self._is_idle:
                self._running += 1
            WORKERS.submit(lambda: self._answer(answer))
        else:
            self._send(answer())

    def _link(self) -> Link:
        return Link(self._session, lambda message: self._waiting.put(encoded(message)), asks=True)

    def refuse(self, refusal: Refusal) -> None:
        """Answer what is no message."""
        self._waiting.put(encoded(refusal.answer()))

    def _answer(self, answer: Callable[[], Reply]) -> None:
        try:
            self._send(answer())
        finally:
            with self._is_idle:
                self._running -= 1
                self._is_idle.notify_all()

    def _send(self, reply: Reply) -> None:
        if reply.content:
            self._waiting.put(reply.content)

    def _write(self) -> None:
        try:
            while (content := self._waiting.get()) is not None:
                _write_all(self._sink, content + b"\n")
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody gets an answer any more
            self.is_gone = True
            self._session.close()
            if not isinstance(error, OSError):
                log_raised(logger, ERROR, "writing an answer raised", error)

    def end(self) -> bool:
        """The input has ended: wait for what is running while somebody reads, then cancel it; returns whether there is
        such."""
        end = time.monotonic() + END_SECONDS
        with self._is_idle:
            while self._running and time.monotonic() < end and not self.is_gone and _is_read(self._sink):
                self._is_idle.wait(POLL_INTERVAL)
        self._session.close()
        self._waiting.put(None)
        self._writer.join(1.0)
        return self._running > 0


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _is_read(descriptor: int) -> bool:
    """Whether somebody may still read what is written there."""
    if not hasattr(select, "poll"):  # Windows
        return True
    poll = select.poll()
    poll.register(descriptor, 0)
    return not any(event & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, event in poll.poll(0))
