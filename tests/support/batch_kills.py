"""Batches that are killed again and again: a program, a server with faults, and what has come of it.

with FaultyServer(random.Random(1)) as server:
    kills = Kills(folder, server, forked_cli.command())
    kills.go(items=600, kills=6, at_once=32)
"""

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from agentkit.batch import read_records
from tests.support.model_server import Answer, Asked, calls, serve, whole

PROGRAM = '''
import os
import sys

with open("pid.new", "w") as file:
    file.write(str(os.getpid()))
os.replace("pid.new", "pid")

from agentkit import Agent, tool
from agentkit.batch import run_batch

@tool(read_only=False)
def count(item: str) -> str:
    """Count an item."""
    handle = os.open("effects", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(handle, f"{item}\\n".encode())
    os.close(handle)
    return "counted"

@tool(read_only=True)
def look() -> str:
    """Look."""
    return "nothing"

url, at_once, has_effects, sessions = sys.argv[1:]
agent = Agent(f"openai:m@{url}", tools=[count if has_effects == "1" else look])
run = run_batch(agent, "q.jsonl", out="a.jsonl", at_once=int(at_once), sessions=sessions or None, grace=0)
for _ in run:
    pass
print(run.ending)
'''
FAULTS = ("busy", "error", "drop", "half", "final")
"""What a request may meet: 429, 500, a connection that breaks before or within the answer, 400."""


class FaultyServer:
    """Answers "re: QUESTION", after a call of `count` where the agent has it.

    shares: of the requests that meet each of FAULTS. delay: of an answer, in seconds. answered: how often each question
    was answered in the end (a request that met a fault is none). asked: requests in all."""

    def __init__(self, chance: random.Random, shares: dict[str, float] | None = None, delay: float = 0.0) -> None:
        self._chance, self._shares, self._delay = chance, shares or {}, delay
        self._lock = threading.Lock()
        self._leaving = ExitStack()
        self.answered: Counter[str] = Counter()
        self.met: Counter[str] = Counter()
        self.asked = 0
        self.url = ""

    def __enter__(self) -> "FaultyServer":
        self.url = self._leaving.enter_context(serve(self._answer)).url
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.close()

    def _answer(self, asked: Asked) -> Answer:
        messages = asked.body["messages"]
        question = next(str(each["content"]) for each in messages if each["role"] == "user")
        with self._lock:
            self.asked += 1
            fault = self._fault()
            if fault:
                self.met[fault] += 1
                return _faulty(fault)
            needs_call = b'"count"' in asked.raw and messages[-1]["role"] != "tool"
            if not needs_call:
                self.answered[question] += 1
            delay = self._delay * self._chance.uniform(0.5, 1.5)
        reply = calls(("count", {"item": question})) if needs_call else whole(f"re: {question}")
        return Answer(reply.body, delay=delay)

    def _fault(self) -> str:
        number = self._chance.random()
        for fault, share in self._shares.items():
            if number < share:
                return fault
            number -= share
        return ""


def _faulty(fault: str) -> Answer:
    if fault == "drop":
        return Answer(b"", drop=True)
    if fault == "half":
        return Answer(whole("half").body[:40], length=400)
    status = {"busy": 429, "error": 500, "final": 400}[fault]
    headers = {"retry-after": "0"} if fault == "busy" else {}
    return Answer(json.dumps({"error": {"message": fault}}).encode(), status=status, headers=headers)


class Kills:
    """A batch in a folder. begin: the beginning of a command that runs a program (see `forked_cli.command`)."""

    def __init__(self, folder: Path, server: FaultyServer, begin: Sequence[str]) -> None:
        self.folder, self._server, self._begin = folder, server, [*begin]
        self.url = server.url
        self.starts = 0

    def ask(self, lines: Sequence[Any]) -> None:
        """Write the input."""
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (self.folder / "q.jsonl").write_text(text, encoding="utf-8")

    def records(self) -> list[dict[str, Any]]:
        """All records that are in the file, each once."""
        path = self.folder / "a.jsonl"
        found = list(read_records(path)) if path.exists() else []
        most = Counter(record["id"] for record in found).most_common(1)
        assert not most or most[0][1] == 1, most
        return found

    def begin(self, at_once: int, *, has_effects: bool = False, sessions: str = "") -> "subprocess.Popen[str]":
        """Start the program; when this returns, its process is known."""
        (self.folder / "pid").unlink(missing_ok=True)
        self.starts += 1
        arguments = [self._server.url, str(at_once), str(int(has_effects)), sessions]
        process = subprocess.Popen(
            [*self._begin, "-c", PROGRAM, *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not (self.folder / "pid").exists():
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.002)
        return process

    def kill(self, process: "subprocess.Popen[str]", after: int, number: int = signal.SIGKILL) -> bool:
        """Kill the program when the server was asked that many times more; False when it ended before."""
        until = self._server.asked + after
        while self._server.asked < until and process.poll() is None:
            time.sleep(0.001)
        if process.poll() is None:
            os.kill(self.pid(process), number)
        _, stderr = process.communicate(timeout=120)
        assert "Traceback" not in (stderr or "") or number == signal.SIGINT, stderr
        return process.returncode != 0

    def pid(self, process: "subprocess.Popen[str]") -> int:
        """The id of the process that `begin` has started."""
        return int((self.folder / "pid").read_text())

    def end(self, process: "subprocess.Popen[str]") -> None:
        """Wait until the program has ended, with all answered."""
        stdout, stderr = process.communicate(timeout=600)
        assert (process.returncode, stdout) == (0, "complete\n"), stderr
