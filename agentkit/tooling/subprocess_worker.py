"""The main program of the subprocess in which isolated tools run, started by subprocess_pool.py.

It reads jobs from standard input and writes outcomes to standard output, both pickled, each preceded by its length in
eight bytes (big-endian), after READY. The output of tools goes to standard error.
"""

import importlib
import os
import pickle
import runpy
import signal
import sys
from contextlib import suppress
from functools import partial
from typing import IO, Any

from agentkit.tooling.results import rendered
from agentkit.tooling.settling import called
from agentkit.tooling.stop import Stop

READY = b"agentkit"
"""What the program writes when it has started."""


def send(stream: IO[bytes], value: Any) -> None:
    """Write a pickled value to the stream."""
    data = pickle.dumps(value)
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
    settings = receive(jobs)
    if settings["memory"]:
        _limit_memory(settings["memory"])
    try:
        outcomes.write(READY)
        outcomes.flush()
    except OSError:  # the parent process has ended, or does not need it any more
        os._exit(0)
    while True:
        try:
            module, name, by_place, named = receive(jobs)
        except EOFError:
            return
        send(outcomes, _outcome(module, name, by_place, named, settings["main"]))


def _outcome(
    module: str, name: str, by_place: list[Any], named: dict[str, Any], main_file: str | None
) -> tuple[Any, BaseException | None]:
    try:
        call = partial(_function(module, name, main_file), *by_place, **named)
        value = called(call, Stop(name))
    except BaseException as error:  # noqa: BLE001 - raised again in the parent process
        return None, _picklable(error)
    try:
        pickle.dumps(value)
    except Exception:  # noqa: BLE001 - of any class
        value = rendered(value)[0]
    return value, None


def _function(module: str, name: str, main_file: str | None) -> Any:
    """Import the function of a tool; the parent's main program is loaded without running its main block."""
    if module == "__main__" and main_file:
        if "__mp_main__" not in sys.modules:
            loaded = type(sys)("__mp_main__")
            sys.modules["__mp_main__"] = sys.modules["__main__"] = loaded
            loaded.__dict__.update(runpy.run_path(main_file, run_name="__mp_main__"))
        found: Any = sys.modules["__mp_main__"]
    else:
        found = importlib.import_module(module)
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
    with suppress(ValueError, OSError):  # macOS takes no such limit; or there is a lower one
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
