"""A tool in a process of its own, which is killed when it takes too long or too much.

The processes are kept for the next call. A tool that loops for ever, blocks in C, takes all memory, calls os._exit or
crashes the interpreter ends as an error of that call and of nothing else.
"""

import atexit
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agentkit._threads import POLL_INTERVAL, WORKERS
from agentkit.errors import ToolDefinitionError, ToolError
from agentkit.tooling.subprocess_worker import receive, send

MAX_IDLE = 4
_START = "from agentkit.tooling.subprocess_worker import main; main()"


@dataclass(frozen=True)
class Isolated:
    """A function that runs in another process. memory: bytes that the process may take, None for no limit.

    Raises ToolDefinitionError for a function that another process can't find.
    """

    name: str
    module: str
    qualname: str
    memory: int | None = None

    @classmethod
    def of(cls, function: Callable[..., Any], name: str, memory: int | None) -> "Isolated":
        module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
        if not module or "<" in qualname:
            raise ToolDefinitionError(
                f"tool {name}: isolate=True runs it in another process, which has to find it by its name: define it at "
                "the top of a module"
            )
        return cls(name, module, qualname, memory)

    def call(self, values: dict[str, Any], timeout: float | None, cancel: threading.Event | None) -> Any:
        """Call the function. Raises what it raises, and ToolError when its process is killed or dies."""
        process = PROCESSES.take(self.memory)
        watch = _Watchdog(process, timeout, cancel)
        try:
            send(process.jobs, (self.module, self.qualname, values))
            value, error = receive(process.outcomes)
        except (EOFError, OSError):
            verdict = watch.verdict(self.name)
            process.kill()
            raise ToolError(verdict) from None
        except BaseException:  # Ctrl-C, arguments that can't be sent
            process.kill()
            raise
        finally:
            watch.over()
            PROCESSES.give_back(process)
        if error is not None:
            raise error
        return value


class _Watchdog:
    """Kills a process when the time is up or the run is cancelled."""

    def __init__(self, process: "_Process", timeout: float | None, cancel: threading.Event | None) -> None:
        self._process = process
        self._timeout = timeout
        self._cancel = cancel
        self._over = threading.Event()
        self._why = ""
        if timeout is not None or cancel is not None:
            WORKERS.submit(self._work)

    def over(self) -> None:
        """The call has ended."""
        self._over.set()

    def verdict(self, name: str) -> str:
        """Why the process is gone, for the model."""
        if self._why:
            return f"{name} {self._why}"
        code = self._process.wait()
        how = f"by signal {-code}" if code < 0 else f"with the exit code {code}"
        return f"{name} ended its process {how}."

    def _work(self) -> None:
        deadline = float("inf") if self._timeout is None else time.monotonic() + self._timeout
        while True:
            patience = deadline - time.monotonic()
            if self._over.wait(patience if self._cancel is None else min(POLL_INTERVAL, patience)):
                return
            if time.monotonic() >= deadline:
                self._why = f"did not finish within {self._timeout:g} seconds, and was stopped."
            elif self._cancel is not None and self._cancel.is_set():
                self._why = "was stopped: the run was cancelled."
            if self._why:
                self._process.kill()
                return


class _Process:
    """One process and the two streams to it."""

    def __init__(self, memory: int | None) -> None:
        self.memory = memory
        self._is_killed = False
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {_START}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.jobs, self.outcomes = self._process.stdin, self._process.stdout
        main = sys.modules.get("__main__")
        settings = {"memory": memory, "main": getattr(main, "__file__", None)}
        send(self.jobs, settings)

    @property
    def is_alive(self) -> bool:
        return not self._is_killed and self._process.poll() is None

    def kill(self) -> None:
        self._is_killed = True  # it takes a moment until it is gone
        self._process.kill()

    def wait(self) -> int:
        """The exit code; negative for a signal. One that has closed its streams and stays is killed."""
        try:
            return self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def end(self) -> None:
        """Kill it and give back its streams."""
        self.kill()
        for stream in (self.jobs, self.outcomes):
            with contextlib.suppress(OSError):
                stream.close()
        self._process.wait()


@dataclass
class Processes:
    """The processes that wait for a call."""

    idle: list[_Process] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, memory: int | None) -> _Process:
        """One that waits, or a new one."""
        with self.lock:
            for process in self.idle:
                if process.memory == memory and process.is_alive:
                    self.idle.remove(process)
                    return process
        return _Process(memory)

    def give_back(self, process: _Process) -> None:
        """Keep it for the next call, if it is still there and there are not enough."""
        with self.lock:
            keeps = process.is_alive and len(self.idle) < MAX_IDLE
            if keeps:
                self.idle.append(process)
        if not keeps:
            process.end()

    def end(self) -> None:
        """End those that wait."""
        with self.lock:
            ended, self.idle = self.idle, []
        for process in ended:
            process.end()


PROCESSES = Processes()
atexit.register(PROCESSES.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PROCESSES.__init__)  # type: ignore[misc]  # those are the parent's
