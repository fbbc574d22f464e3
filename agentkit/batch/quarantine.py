"""Answers items one by one in a process of their own, since one of them may be what kills the process it is in."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agentkit._lazy.logs import logger_of
from agentkit._threads import WORKERS
from agentkit.batch.child import READY
from agentkit.batch.item import ERROR_TYPES, Item, Record
from agentkit.batch.job import Job
from agentkit.batch.records import not_run
from agentkit.batch.worker import broken

logger = logger_of("agentkit")

START_SECONDS = 120.0
"""Seconds in which a process has to have made the agent."""
LATE_SECONDS = 30.0
"""Seconds over the limit of a run after which a process that says nothing is killed."""
_PROGRAM = "import sys; sys.path[:] = {path!r}; from agentkit.batch.child import main; main()"


class Quarantine:
    """One child process at a time, started when it is needed; a death is that of the item whose turn it was, and of no
    other. put: takes each record, in a thread. back: takes the items that it can't answer, since the agent can't be
    made in such a process: that says nothing of them. One that is lost again after that is charged with it."""

    def __init__(
        self,
        job: Job,
        put: Callable[[Item, Record], None],
        back: Callable[[Sequence[Item]], None] | None = None,
    ) -> None:
        self._job = job
        self._put = put
        self._back = back
        self._changed = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._given_back: set[str] = set()
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
        while (item := self._next()) is not None:
            try:
                self._settle(item)
            except BaseException:
                logger.exception("what came of the question %.80r of a batch could not be recorded", item.id)

    def _next(self) -> Item | None:
        """The item whose turn it is; without any, None, once the process is ended."""
        while True:
            with self._changed:
                if self._waiting and not self._is_closed:
                    return self._waiting.popleft()
                child, self._child = self._child, None
                if child is None:
                    self._is_working = False
                    self._changed.notify_all()
                    return None
            child.kill()

    def _settle(self, item: Item) -> None:
        """Have an item answered, and hand on what came of it."""
        answer = self._answer(item)
        if self._is_closed:
            return
        unable = answer.get("unable")
        if unable is None:
            record: Record | None = answer.get("record")
            self._put(item, record or not_run(item, answer.get("type", "process_died"), answer["problem"]))
        elif self._back is None or item.id in self._given_back:
            why = f"{ERROR_TYPES['process_died']}, and it can't have another: {unable}"
            self._put(item, not_run(item, "process_died", why))
        else:
            logger.warning("%.80r is not answered in a process of its own, which can't be had: %s", item.id, unable)
            self._given_back.add(item.id)
            self._back([item])

    def _answer(self, item: Item) -> dict[str, Any]:
        """{"record": ...}, {"problem": ...}, or {"unable": ...} where no process can make the agent."""
        try:
            seconds = self._job.run_seconds
            child = self._living_child()
        except Exception as error:  # noqa: BLE001 - of the agent, or of the system
            return {"unable": str(error) or type(error).__name__}
        try:
            answer = child.ask(item, None if seconds is None else seconds + LATE_SECONDS)
        except BaseException as error:  # noqa: BLE001 - of columns that can't be sent
            child.kill()
            return {"record": broken(item, error)}
        if "unable" in answer:
            child.kill()
        return answer

    def _living_child(self) -> "_Child":
        with self._changed:
            child = self._child
        if child is not None and child.is_alive:
            return child
        if child is not None:
            child.kill()  # closes its pipes
        child = _Child(self._job.to_json())
        with self._changed:
            self._child = child
            is_closed = self._is_closed
        if is_closed:
            child.kill()
        return child


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
        self._has_started = False
        self._send({"path": sys.path, "job": job})

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, item: Item, seconds: float | None) -> dict[str, Any]:
        """Have an item answered: {"record": ...}, {"problem": ...} when the process could not, or {"unable": ...} when
        it can't answer any."""
        if not self._has_started and (unable := self._start()):
            return {"unable": unable}
        self._has_started = True
        with self._killed_after(seconds):
            self._send(item.as_json())
            answer = self._read()
        if isinstance(answer, dict):
            return answer
        if self._is_late:
            return {"type": "timeout", "problem": f"its process did not answer in {seconds:.0f} s, and was killed"}
        return {"problem": f"the process that answered it died: {self._ending()}"}

    def _start(self) -> str:
        """Wait until the agent is made there. Returns why it can't be, else ""."""
        with self._killed_after(START_SECONDS):
            if self._read() != READY:
                return f"{sys.executable} could not be started: {self._ending()}"
            made = self._read()
        if isinstance(made, dict):
            return str(made["problem"] and f"it can't make the agent: {made['problem']}")
        if self._is_late:
            return f"it has not made the agent in {START_SECONDS:.0f} s"
        return f"it ended while it made the agent: {self._ending()}"

    @contextlib.contextmanager
    def _killed_after(self, seconds: float | None) -> Iterator[None]:
        if seconds is None:
            yield
            return
        timer = threading.Timer(seconds, self._kill_late)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

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
        line = json.dumps(value, default=str)
        with contextlib.suppress(OSError, ValueError):  # it has died, which the reading shows
            self._process.stdin.write(line + "\n")
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
