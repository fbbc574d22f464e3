"""Answers items one by one in a process of their own, since one of them may be what kills the process it is in."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from agentkit._threads import WORKERS
from agentkit.batch.child import READY
from agentkit.batch.item import ERROR_TYPES, Item, Record
from agentkit.batch.job import Job
from agentkit.batch.records import not_run
from agentkit.errors import ConfigurationError

LATE_SECONDS = 30.0
"""Seconds over the limit of a run after which a process that says nothing is killed."""
_PROGRAM = "import sys; sys.path[:] = {path!r}; from agentkit.batch.child import main; main()"


class Quarantine:
    """One child process at a time, started when it is needed; a death is that of the item whose turn it was, and of no
    other. put: takes each record, in a thread."""

    def __init__(self, job: Job, put: Callable[[Item, Record], None]) -> None:
        self._job = job
        self._put = put
        self._changed = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._is_working = self._is_closed = False
        self._child: _Child | None = None

    def add(self, items: Sequence[Item]) -> None:
        """Have items answered, after those that are waiting. Returns at once."""
        with self._changed:
            self._waiting.extend(items)
            if self._is_working or self._is_closed:
                return
            self._is_working = True
        WORKERS.submit(self._work)

    def join(self, seconds: float | None) -> bool:
        """Wait until all are answered, or it is closed; False when they are not after that time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_closed or not self._is_working, seconds)

    def close(self) -> None:
        """End the process; what is in progress and what is waiting stays without a record."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            child = self._child
        if child is not None:
            child.kill()

    def _work(self) -> None:
        try:
            while (item := self._next()) is not None:
                record = self._answer(item)
                if not self._is_closed:
                    self._put(item, record)
        finally:
            with self._changed:
                self._is_working = False
                self._changed.notify_all()

    def _next(self) -> Item | None:
        """The item whose turn it is; without any, None, and the process is ended."""
        with self._changed:
            if self._waiting and not self._is_closed:
                return self._waiting.popleft()
            child, self._child, self._is_working = self._child, None, False
        if child is not None:
            child.kill()
        return None

    def _answer(self, item: Item) -> Record:
        try:
            child = self._living_child()
            seconds = self._job.run_seconds
        except (ConfigurationError, OSError) as error:
            return not_run(item, "process_died", f"{ERROR_TYPES['process_died']}, and it can't have another: {error}")
        answer = child.ask(item, None if seconds is None else seconds + LATE_SECONDS)
        record: Record | None = answer.get("record")
        return record if record is not None else not_run(item, answer.get("type", "process_died"), answer["problem"])

    def _living_child(self) -> "_Child":
        with self._changed:
            if self._child is not None and not self._child.is_alive:
                self._child.kill()  # closes its pipes
                self._child = None
            if self._child is None:
                self._child = _Child(self._job.to_json())
            return self._child


class _Child:
    """A process that runs child.py. It has a process group of its own: a Ctrl-C at the terminal is this program's, and
    would look like a death of the item."""

    def __init__(self, job: str) -> None:
        own_group: dict[str, Any] = (
            {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined]
            if sys.platform == "win32"
            else {"process_group": 0}
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            **own_group,
        )
        self._is_late = False
        self._send({"path": sys.path, "job": job})
        self._has_started = self._read() == READY

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, item: Item, seconds: float | None) -> dict[str, Any]:
        """Have an item answered: {"record": ...}, or {"problem": ...} when the process could not."""
        if not self._has_started:
            self.kill()
            return {"problem": f"a process for it could not be started with {sys.executable}: {self._ending()}"}
        timer = threading.Timer(seconds, self._kill_late) if seconds is not None else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        self._send(item.as_json())
        answer = self._read()
        if timer is not None:
            timer.cancel()
        if isinstance(answer, dict):
            return answer
        if self._is_late:
            return {"type": "timeout", "problem": f"its process did not answer in {seconds:.0f} s, and was killed"}
        return {"problem": f"the process that answered it died: {self._ending()}"}

    def _kill_late(self) -> None:
        self._is_late = True
        self.kill()

    def _ending(self) -> str:
        with contextlib.suppress(OSError):
            self._process.kill()
        code = self._process.wait()
        if code >= 0:
            return f"exit code {code}"
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"

    def _send(self, value: Any) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it has died, which the reading shows
            self._process.stdin.write(json.dumps(value) + "\n")
            self._process.stdin.flush()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            return json.loads(self._process.stdout.readline())
        return None

    def kill(self) -> None:
        """End the process, and wait for it."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError, ValueError):
                assert pipe is not None
                pipe.close()
