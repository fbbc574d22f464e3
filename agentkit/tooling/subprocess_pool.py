"""Runs tools in subprocesses, which are killed when they take too long or use too much memory.

The subprocesses are reused for later calls. A tool that loops forever, blocks in C, uses all memory, calls os._exit or
crashes the interpreter fails only its own call.
"""

import atexit
import contextlib
import inspect
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakSet

from agentkit._forking import notice_fork, renewed_by_forks
from agentkit._threads import POLL_INTERVAL, WORKERS
from agentkit.errors import ToolDefinitionError, ToolError
from agentkit.tooling.subprocess_worker import Job, MainProgram, Surroundings, receive, send

MAX_IDLE = 4
_START = "from agentkit.tooling.subprocess_worker import main; main()"


@dataclass(frozen=True)
class Isolated:
    """A function that runs in a subprocess. memory: the memory limit of the process in bytes, None for no limit.

    Raises ToolDefinitionError for a function that the subprocess can't import.
    """

    name: str
    module: str
    qualname: str
    memory: int | None = None

    @classmethod
    def of(cls, function: Callable[..., Any], name: str, memory: int | None) -> "Isolated":
        module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
        if not module or "<" in qualname or not _is_in_a_file(function, module):
            raise ToolDefinitionError(
                f"tool {name}: isolate=True runs it in another process, which has to import it by its name: define it "
                "at the top level of a module, in a file (not in a notebook, at a prompt or in exec)"
            )
        return cls(name, module, qualname, memory)

    def call(
        self, by_place: list[Any], named: Mapping[str, Any], timeout: float | None, cancel: threading.Event | None
    ) -> Any:
        """Call the function with arguments by place and by name. timeout: in seconds. Raises what the function raises,
        and ToolError when its process is killed or exits."""
        process = PROCESSES.take(self.memory)
        watch = _Watchdog(process, timeout, cancel)
        try:
            values = pickle.dumps((by_place, dict(named)))
            send(process.jobs, Job(self.module, self.qualname, values, Surroundings.of_this_process()))
            value, error = receive(process.outcomes)
        except (EOFError, OSError):
            reason = watch.reason(self.name)
            process.kill()
            raise ToolError(reason) from None
        except BaseException:  # Ctrl-C, arguments that can't be pickled
            process.kill()
            raise
        finally:
            watch.stop()
            PROCESSES.give_back(process)
        if error is not None:
            raise error
        return value


def _is_in_a_file(function: Callable[..., Any], module: str) -> bool:
    """Whether another process can import a function: it is not of a cell, a prompt or `exec`, nor of a frozen program,
    whose executable is no interpreter."""
    defined_in = getattr(getattr(inspect.unwrap(function), "__code__", None), "co_filename", "")
    if defined_in.startswith("<") or getattr(sys, "frozen", False):
        return False
    if module != "__main__":
        return True
    program = getattr(sys.modules["__main__"], "__file__", None) or ""
    return bool(program) and (not defined_in or Path(defined_in).stem == Path(program).stem)


class _Watchdog:
    """Kills a process when the timeout expires or the run is cancelled."""

    def __init__(self, process: "_Process", timeout: float | None, cancel: threading.Event | None) -> None:
        self._process = process
        self._timeout = timeout
        self._cancel = cancel
        self._is_done = threading.Event()
        self._reason = ""
        if timeout is not None or cancel is not None:
            WORKERS.submit(self._watch)

    def stop(self) -> None:
        """Stop watching: the call has ended."""
        self._is_done.set()

    def reason(self, name: str) -> str:
        """Returns why the process ended, as a sentence for the model."""
        if self._reason:
            return f"{name} {self._reason}"
        code = self._process.wait()
        how = f"by signal {-code}" if code < 0 else f"with the exit code {code}"
        return f"{name} ended its process {how}."

    def _watch(self) -> None:
        deadline = float("inf") if self._timeout is None else time.monotonic() + self._timeout
        while True:
            remaining = deadline - time.monotonic()
            if self._is_done.wait(remaining if self._cancel is None else min(POLL_INTERVAL, remaining)):
                return
            if time.monotonic() >= deadline:
                self._reason = f"did not finish within {self._timeout:g} seconds, and was stopped."
            elif self._cancel is not None and self._cancel.is_set():
                self._reason = "was stopped: the run was cancelled."
            if self._reason:
                self._process.kill_with_children()
                return


class _Process:
    """A subprocess and the two streams to it."""

    def __init__(self, memory: int | None) -> None:
        self.memory = memory
        self._is_killed = False
        self._process = subprocess.Popen(
            [
                *(sys.executable, *subprocess._args_from_interpreter_flags()),  # type: ignore[attr-defined]  # -O, -W, -X
                *("-c", f"import sys; sys.path[:] = {sys.path!r}; {_START}"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=None if os.name == "nt" else 0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.jobs, self.outcomes = self._process.stdin, self._process.stdout
        sys.modules["__mp_main__"] = sys.modules["__main__"]  # what the program is called there
        send(self.jobs, (memory, MainProgram.of_this_process()))

    @property
    def is_alive(self) -> bool:
        return not self._is_killed and self._process.poll() is None

    def kill(self) -> None:
        self._is_killed = True  # poll() reports the exit only after a moment
        self._process.kill()

    def kill_with_children(self) -> None:
        """Kill the process and the programs that the tool started in it and waits for."""
        self._is_killed = True
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg") and self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def wait(self) -> int:
        """Returns the exit code; negative for a signal. Kills a process that closed its streams but does not end within
        one second."""
        try:
            return self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def leave(self) -> None:
        """In a forked child: leave the process to the parent. The raw streams are closed, so that it ends with the
        parent; what another thread was writing is not written a second time."""
        self._is_killed = True
        self._process.returncode = 0  # not waited for: it is no child of this process
        for stream in (self.jobs, self.outcomes):
            with contextlib.suppress(OSError):
                stream.raw.close()  # type: ignore[attr-defined]

    def end(self) -> None:
        """Kill the process and close its streams."""
        self.kill()
        for stream in (self.jobs, self.outcomes):
            with contextlib.suppress(OSError):
                stream.close()
        self._process.wait()


class Processes:
    """The pool of idle subprocesses."""

    def __init__(self) -> None:
        self.idle: list[_Process] = []
        self.lock = threading.Lock()
        self._all: WeakSet[_Process] = WeakSet()
        renewed_by_forks(self)

    def take(self, memory: int | None) -> _Process:
        """Returns an idle subprocess with this memory limit, or a new one."""
        notice_fork()
        with self.lock:
            for process in self.idle:
                if process.memory == memory and process.is_alive:
                    self.idle.remove(process)
                    return process
        process = _Process(memory)
        self._all.add(process)
        return process

    def give_back(self, process: _Process) -> None:
        """Keep a subprocess for the next call if it is alive and fewer than MAX_IDLE are idle, else end it."""
        with self.lock:
            keeps = process.is_alive and len(self.idle) < MAX_IDLE
            if keeps:
                self.idle.append(process)
        if not keeps:
            process.end()

    def end(self) -> None:
        """End all idle subprocesses."""
        with self.lock:
            ended, self.idle = self.idle, []
        for process in ended:
            process.end()

    def renew_in_child(self) -> None:
        """In a child: begin without processes."""
        for process in self._all:
            process.leave()
        self.idle, self.lock, self._all = [], threading.Lock(), WeakSet()


PROCESSES = Processes()
atexit.register(PROCESSES.end)
