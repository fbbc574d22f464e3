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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from weakref import WeakSet

from agentkit._forking import notice_fork, renewed_by_forks
from agentkit._threads import POLL_INTERVAL, WORKERS
from agentkit.errors import EndReason, IsolationError, ToolDefinitionError
from agentkit.tooling.subprocess_worker import READY, Job, MainProgram, Surroundings, receive, send

P = ParamSpec("P")
R = TypeVar("R")

MAX_IDLE = 4
_START = "from agentkit.tooling.subprocess_worker import main; main()"
_NEEDED = frozenset(
    [
        "PATH",
        "HOME",
        "USERPROFILE",
        "SYSTEMROOT",
        "WINDIR",
        "TEMP",
        "TMP",
        "TMPDIR",
        "LANG",
        "TZ",
        "LIBPATH",
        "SHLIB_PATH",
    ]
)
_NEEDED_BEGINNINGS = ("LC_", "LD_", "DYLD_", "PYTHON")
"""Environment variables that Python needs to start and to load its libraries."""


@dataclass(frozen=True)
class Isolated:
    """A function that runs in a subprocess. memory: the memory limit of the process in bytes, None for no limit. bare:
    it gets only the environment variables that Python needs, and its standard error is discarded."""

    name: str
    module: str
    qualname: str
    memory: int | None = None
    bare: bool = False

    @classmethod
    def of(cls, function: Callable[..., Any], name: str, memory: int | None, bare: bool = False) -> "Isolated":
        """Raises ToolDefinitionError for a function that the subprocess can't import."""
        module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
        if not module or not qualname or "<" in qualname or not _is_in_a_file(function, module):
            raise ToolDefinitionError(
                f"tool {name}: isolate=True runs it in another process, which has to import it by its name: define it "
                "at the top level of a module, in a file (not in a notebook, at a prompt or in exec)"
            )
        return cls(name, module, qualname, memory, bare)

    def call(
        self, by_place: list[Any], named: Mapping[str, Any], timeout: float | None, cancel: threading.Event | None
    ) -> Any:
        """Call the function with arguments by place and by name. timeout: in seconds. Raises what the function raises,
        and IsolationError when its process is killed, exits or can't be started."""
        try:
            process = PROCESSES.take(self.memory, self.bare)
        except OSError as failed:
            raise IsolationError(f"{self.name} could not start its process: {failed}.", "not started") from None
        watch = _Watchdog(process, timeout, cancel)
        try:
            process.wait_until_ready()
            around = Surroundings.of_this_process()
            if self.bare:
                around = replace(around, environment=_needed_environment())
            send(process.jobs, Job(self.module, self.qualname, pickle.dumps((by_place, dict(named))), around))
            value, error = receive(process.outcomes)
        except (EOFError, OSError):
            ended = watch.ended(self.name)
            process.kill()
            raise ended from None
        except BaseException:  # Ctrl-C, arguments that can't be pickled
            process.kill()
            raise
        finally:
            watch.stop()
            PROCESSES.give_back(process)
        if error is not None:
            raise error
        return value


def call_isolated(
    function: Callable[P, R],
    *arguments: Any,
    timeout: float | None = None,
    memory: int | None = None,
    cancel: threading.Event | None = None,
    bare: bool = False,
) -> R:
    """Call a function in another process, as a tool with `isolate=True` is called, and return what it returns.

    For the part of a tool that takes a Context which may hang, crash or use much memory. function: defined at the top
    level of a module. arguments: can be pickled. timeout: seconds, after which the process is killed. memory: its limit
    in bytes (not on Windows). cancel: it is killed when this is set (`Context.cancel`). bare: the process gets no
    environment variables but those that Python needs (no keys), and its standard error is discarded.

    Raises what the function raises; MemoryError at the memory limit, where Python notices it; IsolationError when the
    process is killed, exits or can't be started; ToolDefinitionError for a function that it can't import.
    """
    isolated = Isolated.of(function, getattr(function, "__name__", "the function"), memory, bare)
    found: R = isolated.call(list(arguments), {}, timeout, cancel)
    return found


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
    """Kills a process when the timeout expires or the run is cancelled, but not once it has been stopped: the process
    may run another call then."""

    def __init__(self, process: "_Process", timeout: float | None, cancel: threading.Event | None) -> None:
        self._process = process
        self._timeout = timeout
        self._cancel = cancel
        self._is_done = threading.Event()
        self._deciding = threading.Lock()
        self._why: tuple[str, EndReason] | None = None
        if timeout is not None or cancel is not None:
            WORKERS.submit(self._watch)

    def stop(self) -> None:
        """Stop watching: the call has ended. What is being killed is killed before this returns."""
        with self._deciding:
            self._is_done.set()

    def ended(self, name: str) -> IsolationError:
        """Returns why the process ended, as a sentence for the model."""
        if self._why is not None:
            return IsolationError(f"{name} {self._why[0]}", self._why[1])
        code = self._process.wait()
        how = f"by signal {-code}" if code < 0 else f"with the exit code {code}"
        if not self._process.is_ready:
            return IsolationError(f"{name} could not start its process: it ended {how}.", "not started")
        return IsolationError(f"{name} ended its process {how}.", "crashed")

    def _watch(self) -> None:
        deadline = float("inf") if self._timeout is None else time.monotonic() + self._timeout
        while True:
            remaining = deadline - time.monotonic()
            if self._is_done.wait(remaining if self._cancel is None else min(POLL_INTERVAL, remaining)):
                return
            with self._deciding:
                if self._is_done.is_set():
                    return
                if time.monotonic() >= deadline:
                    self._why = f"did not finish within {self._timeout:g} seconds, and was stopped.", "timeout"
                elif self._cancel is not None and self._cancel.is_set():
                    self._why = "was stopped: the run was cancelled.", "cancelled"
                if self._why is not None:
                    self._process.kill_with_children()
                    return


class _Process:
    """A subprocess and the two streams to it."""

    def __init__(self, memory: int | None, bare: bool) -> None:
        self.kind = memory, bare
        self.is_ready = False
        self._is_killed = False
        if not sys.executable:
            raise OSError("the Python interpreter is not known (sys.executable)")
        self._process = subprocess.Popen(
            [
                *(sys.executable, *subprocess._args_from_interpreter_flags()),  # type: ignore[attr-defined]  # -O, -W, -X
                *("-c", f"import sys; sys.path[:] = {sys.path!r}; {_START}"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if bare else None,
            env=_needed_environment() if bare else None,
            process_group=None if os.name == "nt" else 0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.jobs, self.outcomes = self._process.stdin, self._process.stdout
        sys.modules["__mp_main__"] = sys.modules["__main__"]  # what the program is called there
        try:
            send(self.jobs, (memory, MainProgram.of_this_process()))
        except OSError:  # it has ended already
            self.end()
            raise

    def wait_until_ready(self) -> None:
        """Wait until the program has started. Raises EOFError when it is another one: `sys.executable` is no Python
        where another program embeds it."""
        if not self.is_ready:
            if self.outcomes.read(len(READY)) != READY:
                self.kill()
                raise EOFError
            self.is_ready = True

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


def _needed_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _NEEDED or name.upper().startswith(_NEEDED_BEGINNINGS)
    }


class Processes:
    """The pool of idle subprocesses."""

    def __init__(self) -> None:
        self.idle: list[_Process] = []
        self.lock = threading.Lock()
        self._all: WeakSet[_Process] = WeakSet()
        renewed_by_forks(self)

    def take(self, memory: int | None, bare: bool) -> _Process:
        """Returns an idle subprocess of this kind, or a new one. Raises OSError when none can be started."""
        notice_fork()
        with self.lock:
            for process in self.idle:
                if process.kind == (memory, bare) and process.is_alive:
                    self.idle.remove(process)
                    return process
        process = _Process(memory, bare)
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
