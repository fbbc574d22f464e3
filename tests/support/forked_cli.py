"""Starts `agentkit` in a process of its own, as `python -m agentkit` does, without the seconds of imports: a server,
started once, has the modules imported, and forks for each command.

    [*forked_cli.command(), "ask", ...]    instead of    [sys.executable, "-m", "agentkit", "ask", ...]
    [*forked_cli.command(), "-c", code]    instead of    [sys.executable, "-W", "error", "-c", code]
    [*forked_cli.command(), "path/to/program.py", ...]    likewise

The command is a small program (`forked_client`) that hands its folder, arguments, environment and standard streams to
the server, passes signals on, and ends as the forked process does. What depends on how the interpreter starts (closed
streams, PYTHONIOENCODING, Ctrl-C of a terminal, missing packages) is for a real process.
"""

import array
import atexit
import contextlib
import functools
import gc
import importlib
import io
import marshal
import os
import pkgutil
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from filelock import FileLock

ROOT = Path(__file__).parents[2]
CLIENT = Path(__file__).with_name("forked_client.py")
MODULES = ("httpcore2", "openai.resources.chat.completions", "protego", "pypdfium2", "trafilatura")
"""What the packages import when it is used; besides all of their own."""
UNUSED = ("agentkit.batch.dask", "agentkit.batch.ray")
"""Modules of packages that take seconds to import, or are not installed; a command that needs one imports it."""
OF_THE_START = ("LANG", "LC_ALL", "LC_CTYPE", "PYTHONIOENCODING", "PYTHONUNBUFFERED", "PYTHONWARNINGS", "PYTHONDEVMODE")
"""Variables that the interpreter reads when it starts: they have to be those of the server."""


shared: Path | None = None
"""A folder of this run of the tests: its processes use one server. None: this process has its own."""


@functools.cache
def shared_folder() -> str:
    """Make such a folder, in the process that starts those of the tests, with whose end the server ends."""
    folder = Path(tempfile.mkdtemp(prefix="agentkit-tests-"))
    os.mkfifo(folder / "end")
    writing = os.open(folder / "end", os.O_RDWR)  # opened for writing alone, it would wait for who reads

    def end() -> None:
        os.close(writing)
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return str(folder)


@functools.cache
def command() -> tuple[str, ...]:
    """The beginning of a command of `agentkit`. Starts the server, which ends with this process or with all of the
    tests'."""
    if not hasattr(os, "fork"):
        return (sys.executable, "-m", "agentkit")
    if shared is None:
        folder = Path(tempfile.mkdtemp(prefix="agentkit-tests-"))
        process = _start(str(folder / "socket"), subprocess.PIPE)
        atexit.register(_end, process, folder)
    else:
        folder = shared
        with FileLock(folder / "lock"):
            if not (folder / "socket").exists():
                with open(folder / "end", "rb", buffering=0) as ended:
                    STARTED.append(_start(str(folder / "socket"), ended.fileno()))
    return (sys.executable, "-I", "-S", str(CLIENT), str(folder / "socket"))


STARTED: "list[subprocess.Popen[bytes]]" = []
"""Servers that go on when this process ends."""


def _start(address: str, until: int) -> "subprocess.Popen[bytes]":
    """Start a server, which ends when the descriptor has been closed at its other end."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "tests.support.forked_cli", address]
    process = subprocess.Popen(command, cwd=ROOT, stdin=until, env=environment)
    end_of_wait = time.monotonic() + 100
    try:
        while not os.path.exists(address):
            assert process.poll() is None
            assert time.monotonic() < end_of_wait
            time.sleep(0.05)
    except BaseException:
        process.kill()
        raise
    return process


def _end(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait(10)
    shutil.rmtree(folder, ignore_errors=True)


def command_for(variables: Iterable[str]) -> tuple[str, ...]:
    """The same, or that of a real process if these variables, of which the values differ, need one."""
    return (sys.executable, "-m", "agentkit") if {*variables}.intersection(OF_THE_START) else command()


class Server:
    """Forks for each client until its standard input closes."""

    def __init__(self, address: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{address}.new")
        self._listener.listen(64)
        self._woken, self._waking = socket.socketpair()
        self._waking.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waking.fileno(), warn_on_full_buffer=False)
        self._selector = selectors.DefaultSelector()
        for each in (0, self._listener, self._woken):
            self._selector.register(each, selectors.EVENT_READ)
        self._clients: dict[int, socket.socket] = {}
        os.rename(f"{address}.new", address)

    def serve(self) -> bool:
        """Returns True in each forked process, and False in the end."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj == 0:
                    for pid in self._clients:
                        os.kill(pid, signal.SIGKILL)
                    return False
                if key.fileobj is self._listener:
                    if self._start(self._listener.accept()[0]):
                        return True
                elif key.fileobj is self._woken:
                    self._woken.recv(4096)
                    self._tell_ends()
                elif key.data in self._clients:  # the client was killed
                    os.kill(key.data, signal.SIGKILL)
                    self._selector.unregister(key.fileobj)

    def _start(self, client: socket.socket) -> bool:
        descriptors = array.array("i")
        length, ancillary, _, _ = client.recvmsg(8, socket.CMSG_SPACE(3 * descriptors.itemsize))
        for _, _, data in ancillary:
            descriptors.frombytes(data)
        with client.makefile("rb", buffering=0) as stream:
            given = b""
            while len(given) < int.from_bytes(length):
                given += stream.read(int.from_bytes(length) - len(given)) or b""
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._selector.close()
            for connection in (self._listener, self._woken, self._waking, client, *self._clients.values()):
                connection.close()
            folder, arguments, variables = marshal.loads(given)
            become(folder, arguments, variables, descriptors)
            return True
        for each in descriptors:
            os.close(each)
        with contextlib.suppress(OSError):  # the client was killed
            client.sendall(f"{pid}\n".encode())
        self._clients[pid] = client
        self._selector.register(client, selectors.EVENT_READ, pid)
        return False

    def _tell_ends(self) -> None:
        while self._clients:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            with self._clients.pop(pid) as client:
                if client.fileno() in self._selector.get_map():
                    self._selector.unregister(client)
                    with contextlib.suppress(OSError):
                        client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def become(folder: str, arguments: list[str], variables: dict[str, str], descriptors: "array.array[int]") -> None:
    """Take over what a client has: its folder, arguments, environment and streams."""
    differing = [name for name in OF_THE_START if variables.get(name) != os.environ.get(name)]
    for place, each in enumerate(descriptors):
        os.dup2(each, place)
        os.close(each)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv[1:] = arguments
    sys.path[:] = [folder, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *PATH]
    sys.stdin, sys.stdout, sys.stderr = (_stream(place) for place in range(3))
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]
    if differing:
        sys.exit(f"a forked process can't have other {', '.join(differing)} than its server")


def _stream(place: int) -> Any:
    """A standard stream, as the interpreter makes it."""
    raw = io.FileIO(place, "wb" if place else "rb", closefd=False)
    own = (sys.stdin, sys.stdout, sys.stderr)[place]
    unbuffered = bool(place) and not isinstance(own.buffer, io.BufferedWriter)
    return io.TextIOWrapper(
        raw if unbuffered else io.BufferedWriter(raw) if place else io.BufferedReader(raw),
        encoding=own.encoding,
        errors=own.errors,
        line_buffering=place == 2 or raw.isatty(),
        write_through=unbuffered,
    )


PATH = sys.path[1:]


def main() -> None:
    """Serve; in a forked process, run the command."""
    sys.path.insert(1, str(ROOT / "tools"))
    for root, package in ((ROOT, "agentkit"), (ROOT / "tools", "agentkit_tools")):
        for module in pkgutil.walk_packages([str(root / package)], f"{package}."):
            if not module.name.endswith("__main__") and module.name not in UNUSED:
                importlib.import_module(module.name)
    for name in MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is imported stays: no collection of a forked process looks at it
    if Server(sys.argv.pop(1)).serve():
        status: Any = None
        try:
            run()
        except SystemExit as left:
            status = left.code
        if status is None or isinstance(status, int):
            end(status or 0)
        sys.exit(status)


def run() -> None:
    """Run the command, in a forked process."""
    if sys.argv[1:2] == ["-c"]:
        run_code(sys.argv.pop(2))
    elif sys.argv[1:] and sys.argv[1].endswith(".py"):
        run_file()
    else:
        runpy.run_module("agentkit", run_name="__main__", alter_sys=True)


def end(status: int) -> None:
    """End the process as the interpreter does: wait for its threads, call what is to be called at exit, free the
    program's objects, write what is buffered. The modules stay: to take them down writes to all the memory that is
    shared with the server, which copies it, 0.2 s of CPU. Returns if the streams can't be written: the interpreter says
    so."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    program = vars(sys.modules["__main__"])
    if program is not globals():
        program.clear()
    gc.collect()
    try:
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):  # a program may have replaced its own
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return
    os._exit(status)


def run_file() -> None:
    """Run the program in a file; a warning is an error."""
    warnings.simplefilter("error")
    sys.argv = sys.argv[1:]
    sys.path[0] = os.path.dirname(sys.argv[0])
    runpy.run_path(sys.argv[0], run_name="__main__")


def run_code(code: str) -> None:
    """Run a program that was given as text; a warning is an error."""
    warnings.simplefilter("error")
    module = types.ModuleType("__main__")
    sys.modules["__main__"], sys.argv = module, sys.argv[1:]
    exec(compile(code, "<string>", "exec"), vars(module))  # noqa: S102


if __name__ == "__main__":
    main()
