"""The main program of the subprocess in which isolated tools run, started by subprocess_pool.py.

It reads jobs from standard input and writes outcomes to standard output, both pickled, each preceded by its length in
eight bytes (big-endian), after READY. The output of tools goes to standard error.
"""

import contextlib
import importlib
import io
import os
import pickle
import runpy
import select
import signal
import sys
import threading
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from agentkit.tooling.results import rendered
from agentkit.tooling.settling import called
from agentkit.tooling.stop import Stop

READY = b"agentkit"
"""What the program writes when it has started."""


@dataclass(frozen=True)
class MainProgram:
    """Where the code of a program is. module: its name for `python -m`. file: of a script, a folder or a zip file."""

    module: str | None
    file: str | None

    @classmethod
    def of_this_process(cls) -> "MainProgram":
        main = sys.modules.get("__main__")
        spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
        if spec is None or file is None or spec.origin != file:  # a script, or one that a debugger or profiler runs
            return cls(None, file)
        if spec.name == "__main__":  # of a folder or a zip file
            return cls(None, os.path.dirname(file))
        return cls(spec.name, file)

    def load(self) -> None:
        """Run the program as a module that is not the main one, as multiprocessing does, and put it in the place of
        `__main__`. Raises what the program raises."""
        if "__mp_main__" in sys.modules or not (self.module or self.file):
            return
        if self.module:
            found = runpy.run_module(self.module, run_name="__mp_main__", alter_sys=True)
        else:
            found = runpy.run_path(str(self.file), run_name="__mp_main__")
        loaded = type(sys)("__mp_main__")
        loaded.__dict__.update(found)
        sys.modules["__mp_main__"] = sys.modules["__main__"] = loaded


@dataclass(frozen=True)
class Surroundings:
    """What a function of a program sees around it."""

    arguments: list[str]
    path: list[str]
    folder: str | None
    environment: dict[str, str]

    @classmethod
    def of_this_process(cls) -> "Surroundings":
        folder = None
        with contextlib.suppress(OSError):  # it was deleted
            folder = os.getcwd()
        return cls(list(sys.argv), list(sys.path), folder, dict(os.environ))

    def restore(self) -> None:
        """Make this process see the same, whatever the tools before it changed. Raises OSError when it may not enter
        the folder."""
        sys.argv[:], sys.path[:] = self.arguments, self.path
        if self.folder is not None:
            os.chdir(self.folder)
        if os.environ != self.environment:
            for name in os.environ.keys() - self.environment.keys():
                del os.environ[name]
            os.environ.update(self.environment)


@dataclass(frozen=True)
class Job:
    """One call. values: the arguments by place and by name, pickled, since what they are made of may be of the main
    program, which is to be loaded first."""

    module: str
    qualname: str
    values: bytes
    around: Surroundings


def send(stream: IO[bytes], value: Any) -> None:
    """Write a pickled value to the stream."""
    send_pickled(stream, pickle.dumps(value))


def send_pickled(stream: IO[bytes], data: bytes) -> None:
    """Write what is pickled already to the stream."""
    stream.write(len(data).to_bytes(8, "big") + data)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read a pickled value from the stream. Raises EOFError when the other side has closed it."""
    head = stream.read(8)
    if len(head) < 8:
        raise EOFError
    size = int.from_bytes(head, "big")
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)


def main() -> None:
    """Run jobs until standard input is closed."""
    jobs, outcomes = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent process
    threading.Thread(target=_end_with_parent, args=(jobs.fileno(),), daemon=True).start()
    memory, program = receive(jobs)
    if memory:
        _limit_memory(memory)
    try:
        outcomes.write(READY)
        outcomes.flush()
    except OSError:  # the parent process has ended, or does not need it any more
        os._exit(0)
    while True:
        try:
            job = receive(jobs)
        except EOFError:
            return
        send_pickled(outcomes, _outcome(job, program))


def _end_with_parent(jobs: int) -> None:
    """End this process, whatever its tool does, when nobody is left who could write a job: the parent was killed."""
    if not hasattr(select, "poll"):  # Windows
        return
    waiting = select.poll()
    waiting.register(jobs, 0)  # waits for the other end to be closed, not for jobs
    waiting.poll()
    os._exit(1)


def _outcome(job: Job, program: MainProgram) -> bytes:
    """The pickled result and exception of a call, one of them None."""
    try:
        job.around.restore()
        if job.module == "__main__":
            program.load()
        by_place, named = _Arguments(io.BytesIO(job.values), program).load()
        call = partial(_function(job.module, job.qualname), *by_place, **named)
        value = called(call, Stop(job.qualname))
    except BaseException as error:  # noqa: BLE001 - raised again in the parent process
        return pickle.dumps((None, _picklable(error)))
    try:
        return _readable_again((value, None))
    except Exception:  # noqa: BLE001 - of any class
        return pickle.dumps((rendered(value)[0], None))


class _Arguments(pickle.Unpickler):
    """Reads the arguments of a call; loads the main program when one of them is of a class of it."""

    def __init__(self, values: io.BytesIO, program: MainProgram) -> None:
        super().__init__(values)
        self._program = program

    def find_class(self, module: str, name: str) -> Any:
        """Find a class by the name of its module and its own."""
        if module in ("__main__", "__mp_main__"):
            self._program.load()
        return super().find_class(module, name)


def _readable_again(outcome: tuple[Any, None]) -> bytes:
    """The pickled outcome, which can be read: that a class can't be is no failure of the call, which was done."""
    data = pickle.dumps(outcome)
    pickle.loads(data)
    return data


def _function(module: str, name: str) -> Any:
    """Import the function of a tool."""
    found: Any = sys.modules["__main__"] if module == "__main__" else importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return getattr(found, "function", found)


def _picklable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - an exception that can't be pickled
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _limit_memory(size: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    with contextlib.suppress(ValueError, OSError):  # macOS takes no such limit; or there is a lower one
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
