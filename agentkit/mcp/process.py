"""The process of an MCP server: started in a session of its own, and ended with all that it has started.

One thread, its keeper, reads what the process writes, ends it, and closes its descriptors: none is closed while another
thread may use it.
"""

import atexit
import contextlib
import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable

from agentkit._forking import renewed_by_forks
from agentkit._lazy.logs import WARNING, logger_of
from agentkit._text import cut
from agentkit.errors import ConfigurationError
from agentkit.mcp.command import Command
from agentkit.mcp.errors import Gone
from agentkit.mcp.pipes import (
    CAN_POLL,
    Input,
    Outputs,
    PolledInput,
    PolledOutputs,
    Sink,
    ThreadedInput,
    ThreadedOutputs,
)
from agentkit.tooling.error_log import log_raised
from agentkit.tooling.error_text import without_paths

logger = logger_of("agentkit")

STDERR_BYTES = 16_000
"""How much of the end of the standard error is kept; half of it when more arrives."""
STDERR_LINES = 20
TOLD_LINES, TOLD_CHARACTERS = 4, 600
"""How much of that is told to a model."""
GRACE = 1.0
"""Seconds that a process has to end by itself, and again after SIGTERM."""
STATUS_SECONDS = 0.5
"""Seconds in which a process that has closed its output is expected to end."""
SILENT_SECONDS = 0.5
"""Seconds without output after which a process that has ended, but not its output, is taken as such."""
MISSING = (errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR, errno.E2BIG, errno.EPERM)
"""What is wrong with a command that can't be executed; not what is wrong with this machine at the moment."""


class Process:
    """A process and the pipes to it. on_output: is given what it writes to standard output. on_end: is given the error
    of all who still wait for it. Both are called by the keeper. noted_at: when it has last written to standard error
    (monotonic).

    Raises ConfigurationError for a command that can't be executed, Gone when no process can be started now.
    """

    def __init__(self, command: Command, on_output: Sink, on_end: Callable[[Gone], None]) -> None:
        self._command, self._on_output, self._on_end = command, on_output, on_end
        self._owner = os.getpid()
        self._stderr = bytearray()
        self._is_closing = self._is_cut = False
        self._last_output = self.noted_at = time.monotonic()
        self._popen = _started(command)
        try:
            self.input, self._outputs = self._pipes()
            self._keeper = threading.Thread(target=self._keep, name="agentkit-mcp", daemon=True)
            _LIVE.all.add(self)
            self._keeper.start()
        except (OSError, RuntimeError) as error:  # no more descriptors, or threads
            _LIVE.all.discard(self)
            self._abandon()
            raise Gone(f"the server can't be started: {error}", sent=False) from None

    def _pipes(self) -> tuple[Input, Outputs]:
        stdin, stdout, stderr = self._popen.stdin, self._popen.stdout, self._popen.stderr
        assert stdin is not None
        assert stdout is not None
        assert stderr is not None
        if CAN_POLL:
            return PolledInput(stdin), PolledOutputs(stdout, stderr, self._take, self._note)
        return ThreadedInput(stdin), ThreadedOutputs(stdout, stderr, self._take, self._note)

    def _abandon(self) -> None:
        """End a process that has no keeper."""
        self._popen.kill()
        self._popen.wait()
        if hasattr(self, "_outputs"):
            self._outputs.close()
        for stream in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if stream is not None:
                stream.close()

    def ask_to_end(self) -> None:
        """Let the keeper end the process; waits for nothing. Nothing in a forked child, which shares the pipes."""
        if os.getpid() == self._owner:
            self._is_closing = True  # no Event, whose lock the thread may hold in which a finalizer calls this
            self._outputs.wake()

    def end(self) -> None:
        """End the process, and wait until that is done."""
        self.ask_to_end()
        if threading.current_thread() is not self._keeper:
            self._keeper.join(4 * GRACE)

    def end_if_ended(self, is_slow: bool = False) -> None:
        """Notice that the process has ended where something that it has started keeps its output open: it failed, or
        (is_slow) an answer is overdue."""
        status = self._popen.poll()
        is_over = status is not None and (status != 0 or is_slow)
        if is_over and time.monotonic() > self._last_output + SILENT_SECONDS:
            self.ask_to_end()

    def leave(self) -> None:
        """In a forked child: leave the process to the parent. The child's copies of the pipes are closed, so that it
        reads the end of its input when the parent closes it."""
        self._popen.returncode = 0  # not waited for: it is no child of this process
        self._outputs.close()
        for stream in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    # what the keeper does

    def _keep(self) -> None:
        try:
            self._read()
        finally:
            try:
                self._on_end(self._gone())
            finally:
                self._end_process()
                _LIVE.all.discard(self)  # before its descriptors are closed, whose numbers may be used again then
                self._outputs.close()

    def _read(self) -> None:
        """Read until the output ends, or the process is to end."""
        while not self._outputs.is_over and not self._is_closing:
            self._outputs.next(None)
        if not self._is_closing:
            self._has_ended_within(STATUS_SECONDS)
            self._drain()

    def _take(self, data: bytes) -> None:
        self._last_output = time.monotonic()
        self._on_output(data)

    def _note(self, data: bytes) -> None:
        self.noted_at = time.monotonic()
        self._stderr += data
        if len(self._stderr) > STDERR_BYTES:
            del self._stderr[: -STDERR_BYTES // 2]
            self._is_cut = True

    def _has_ended_within(self, seconds: float) -> bool:
        """Wait until the process ends; it may write meanwhile."""
        end = time.monotonic() + seconds
        while self._popen.poll() is None:
            if time.monotonic() >= end:
                return False
            self._outputs.next(0.01)
        return True

    def _drain(self) -> None:
        """Read what is in the pipes."""
        end = time.monotonic() + STATUS_SECONDS
        while self._outputs.next(0.0) and time.monotonic() < end:
            pass

    def _gone(self) -> Gone:
        status = self._popen.poll()
        text = self._command.masked(bytes(self._stderr).decode("utf-8", "replace"), self._is_cut)
        lines = [line for line in text.splitlines() if line.strip()]
        if status is None and self._is_closing:
            what = "the connection to the server was closed"
        else:
            what = f"the server has ended ({_how(status)})"
        if lines and not (self._is_closing and status is None):
            told = "\n".join(lines[-TOLD_LINES:])
            what += f". The end of its standard error:\n{without_paths(cut(told[-TOLD_CHARACTERS:], TOLD_CHARACTERS))}"
        return Gone(what, status, "\n".join(lines[-STDERR_LINES:]))

    def _end_process(self) -> None:
        """The end of its input, SIGTERM, SIGKILL; then all that is left of its group."""
        self.input.close()
        if not self._has_ended_within(GRACE):
            self._signal("SIGTERM")
            self._has_ended_within(GRACE)
        self._signal("SIGKILL")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(GRACE)

    def _signal(self, name: str) -> None:
        if os.name == "nt":
            self._end_tree()
            return
        with contextlib.suppress(OSError):  # the group has ended
            os.killpg(self._popen.pid, signal.Signals[name])

    def _end_tree(self) -> None:
        """On Windows: end a process and those that it has started, while it can be asked for them."""
        if self._popen.poll() is None:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                command = ["taskkill", "/F", "/T", "/PID", str(self._popen.pid)]
                subprocess.run(command, capture_output=True, timeout=GRACE, check=False)
            self._popen.kill()


def _how(status: int | None) -> str:
    if status is None:
        return "it closed its output and still runs"
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _started(command: Command) -> subprocess.Popen[bytes]:
    arguments, environment = command.arguments(), command.environment()
    try:
        return subprocess.Popen(
            arguments,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=command.cwd,
            start_new_session=os.name != "nt",  # no terminal: nothing that it starts waits for a password there
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None)
        what = f"the MCP server {command.name} can't be started: {os.strerror(number) if number else error}"
        if number == errno.ENOEXEC:
            what += " (a script needs a first line such as #!/bin/sh)"
        if number is None or number in MISSING:
            raise ConfigurationError(what) from None
        raise Gone(what, sent=False) from None


class _Live:
    """All processes that have a keeper."""

    def __init__(self) -> None:
        self.all: set[Process] = set()
        renewed_by_forks(self)

    def end(self) -> None:
        """End all at once."""
        ended = list(self.all)
        for process in ended:
            process.ask_to_end()
        for process in ended:
            process.end()

    def renew_in_child(self) -> None:
        """In a forked child: leave them to the parent."""
        left, self.all = self.all, set()
        for process in left:
            try:
                process.leave()
            except Exception as error:  # noqa: BLE001 - the others are left, too
                log_raised(logger, WARNING, "leaving the process of an MCP server in a fork raised", error)


_LIVE = _Live()
atexit.register(_LIVE.end)
