"""The tools of one MCP server as they are now, read in a thread of agentkit's."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agentkit._forking import freed_by_forks
from agentkit._lazy.logs import logger_of
from agentkit._text import in_a_line
from agentkit._threads import POLL_INTERVAL, WORKERS
from agentkit.errors import AgentkitError
from agentkit.mcp.connection import Connection
from agentkit.mcp.errors import Gone, Slow
from agentkit.mcp.listing import Lister
from agentkit.mcp.server_tool import ServerTool
from agentkit.tooling.error_text import message_of
from agentkit.tooling.toolset import GIVES_UP

logger = logger_of("agentkit")

LEAST_FRESH = 5.0
"""Seconds for which a list is fresh, also where its server says less."""
RETRY_SECONDS = 1.0
"""After a failed start none follows for that long, or for as long as it took."""
REPEAT_SECONDS = 60.0
"""The same warning is logged once in that time."""
REFRESH_SECONDS = 5.0
"""How long a list that is known is waited for to be read anew."""
LATE_SECONDS = 1.0
"""How long after its end a reading may say what went wrong."""

Tools = Sequence[ServerTool]


@dataclass
class _Reading:
    """The list while it is read. changes: how often it had changed before. end: the `time.monotonic()` at which it is
    given up. process: where it is read; a forked child has no thread that does."""

    changes: int
    end: float
    process: int = field(default_factory=os.getpid)
    begun: float = field(default_factory=lambda: time.monotonic())
    ended: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None

    @property
    def is_going_on(self) -> bool:
        return not self.ended.is_set() and self.process == os.getpid()

    def wait(self, seconds: float, gives_up: Callable[[], bool] | None) -> None:
        """Wait until it has ended, as long as nobody gives up."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not (gives_up is not None and gives_up()):
            if self.ended.wait(left if gives_up is None else min(left, POLL_INTERVAL)):
                return


class ToolList:
    """The tools of a server. They are read when they are first asked for, when the server says that they have changed,
    when the time is over for which it says that they are fresh, and when it does not know one of them any more."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lister = Lister(connection.settings)
        self._lock = freed_by_forks(threading.Lock())
        self._reading: _Reading | None = None
        self._tools: Tools | None = None
        self._next = 0.0
        self._warned: tuple[str, float] = ("", 0.0)

    def begin(self) -> None:
        """Begin to read the tools where that is due, without waiting."""
        self._due()

    def now(self) -> Tools:
        """The tools as they are now; the same object as long as nothing has changed. Waits for the first ones: none are
        returned when the run that asks for them is over before. Where the server can't be used there are none, and a
        warning was logged; with `strict` what went wrong is raised."""
        try:
            return self.now_or_error()
        except AgentkitError:
            if self.connection.settings.strict:
                raise
            return ()

    def now_or_error(self) -> Tools:
        """The same; raises what went wrong with the first list."""
        reading, gives_up = self._due(), GIVES_UP.get()
        if reading is not None:
            first = reading.end + LATE_SECONDS - time.monotonic()
            reading.wait(first if self._tools is None else REFRESH_SECONDS, gives_up)
        if self._tools is not None:
            return self._tools
        if reading is not None and reading.error is not None:
            raise reading.error
        if reading is None or reading.ended.is_set() or (gives_up is not None and gives_up()):
            return ()
        raise Slow(f"MCP server {self.connection.settings.label}: its tools can't be read in time", sent=False)

    def _due(self) -> _Reading | None:
        """The reading that is going on, or is begun now since it is due. None where there is no need. The last one
        where it failed, and it is too early for the next."""
        changes = self.connection.changes.count
        with self._lock:
            reading, now = self._reading, time.monotonic()
            if reading is not None and reading.is_going_on:
                return reading
            is_changed = reading is None or (reading.changes != changes and self._tools is not None)
            if not is_changed and now < self._next:
                return reading if self._tools is None else None
            reading = self._reading = _Reading(changes, now + self.connection.listing_seconds)
        try:
            WORKERS.submit(lambda: self._read(reading))
        except RuntimeError as error:  # no thread can be started now
            self._note_failure(reading, Gone(f"its tools can't be read: {error}", sent=False))
            reading.ended.set()
        return reading

    def _read(self, reading: _Reading) -> None:
        if reading.ended.is_set():  # it was given up, as no thread could be started
            return
        try:
            tools, fresh = self._lister.read(self.connection, self._tools or (), reading.end)
            seconds = float("inf") if fresh is None else max(LEAST_FRESH, fresh)
            seconds = seconds if tools else LEAST_FRESH  # some servers begin before their tools are there
            with self._lock:
                self._tools, self._next = tools, time.monotonic() + seconds
        except BaseException as error:  # noqa: BLE001 - raised where the list is waited for
            self._note_failure(reading, error)
        finally:
            reading.ended.set()

    def _note_failure(self, reading: _Reading, error: BaseException) -> None:
        now, is_known = time.monotonic(), self._tools is not None
        reading.error = error
        self._next = now + max(now - reading.begun, LEAST_FRESH if is_known else RETRY_SECONDS)
        settings = self.connection.settings
        why = in_a_line(message_of(error).removeprefix(f"MCP server {settings.label}: "), 1_000)
        if is_known:
            self._warn(f"its list of tools can't be read anew, the known ones are used: {why}", now)
        elif not settings.strict:
            self._warn(f"it can't be used, and its tools are missing: {why}", now)

    def _warn(self, what: str, now: float) -> None:
        last, at = self._warned
        if what != last or now > at + REPEAT_SECONDS:
            self._warned = what, now
            logger.warning("MCP server %s: %s", self.connection.settings.label, what)
