"""The process in which isolated tools run, started by isolation.py.

It reads jobs from its standard input and writes outcomes to its standard output, pickled, each after its length in
eight bytes. What a tool prints goes to standard error.
"""

import asyncio
import importlib
import inspect
import os
import pickle
import runpy
import signal
import sys
from typing import IO, Any


def send(stream: IO[bytes], value: Any) -> None:
    """Write a value."""
    data = pickle.dumps(value)
    stream.write(len(data).to_bytes(8, "big") + data)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read a value. Raises EOFError when the other side has gone."""
    head = stream.read(8)
    if len(head) < 8:
        raise EOFError
    size = int.from_bytes(head, "big")
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)


def main() -> None:
    """Answer jobs until there are no more."""
    jobs, outcomes = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program that started this
    settings = receive(jobs)
    if settings["memory"]:
        _limit_memory(settings["memory"])
    while True:
        try:
            module, name, values = receive(jobs)
        except EOFError:
            return
        send(outcomes, _outcome(module, name, values, settings["main"]))


def _outcome(module: str, name: str, values: dict[str, Any], main_file: str | None) -> tuple[Any, BaseException | None]:
    try:
        value = _function(module, name, main_file)(**values)
        if inspect.isawaitable(value):
            value = asyncio.run(_awaited(value))
        pickle.dumps(value)
    except BaseException as error:  # noqa: BLE001 - told to the program that waits
        return None, _sendable(error)
    return value, None


async def _awaited(value: Any) -> Any:
    return await value


def _function(module: str, name: str, main_file: str | None) -> Any:
    """The function of a tool, by where it is defined; the main program is loaded without being run."""
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


def _sendable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - an exception of a kind that can't be sent
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _limit_memory(size: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
