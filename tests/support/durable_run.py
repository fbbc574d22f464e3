"""A run of twenty steps that is killed at random moments and resumed until it is finished.

    python -m tests.support.durable_run sqlite|redis WHERE FOLDER KILLS

Each attempt is a separate process, forked after everything is imported. Prints as JSON how often each effect happened
(one line in a file each), which were reported as unknown, and the number of kills.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from agentkit import Agent, tool
from agentkit.message import response_of
from agentkit.session import Sessions
from agentkit.sessions import RedisSessions, SQLiteSessions
from agentkit.testing import ScriptedBackend

STEPS = 20


def opened(kind: str, where: str) -> Sessions:
    if kind == "sqlite":
        return SQLiteSessions(where)
    return RedisSessions(where, prefix="durable:", lease=0.15)


def agent_of(folder: Path) -> Agent:
    @tool
    def act(step: int) -> str:
        """Have an effect."""
        with (folder / "effects").open("a") as file:
            file.write(f"{step}\n")
        time.sleep(0.001)
        return f"done {step}"

    @tool(read_only=True)
    def look(step: int) -> str:
        """Have no effect."""
        with (folder / "looks").open("a") as file:
            file.write(f"{step}\n")
        return f"seen {step}"

    def reply(messages: list[Any]) -> Any:
        step = sum(message["role"] == "assistant" for message in messages)
        if step == STEPS:
            return "Done."
        return [("look", {"step": step}), ("act", {"step": step})]

    return Agent(ScriptedBackend(*[reply] * (STEPS + 1)), tools=[act, look])


class Waiting:
    """How long an attempt is left alone: longer after some that came to nothing, since on a busy machine, where
    it takes as long to take over the session, all would be killed before they do anything."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "effects", folder / "looks"
        self._size = -1
        self._in_vain = 0

    def longest(self) -> float:
        """The most seconds of the next attempt."""
        size = sum(file.stat().st_size for file in self._files)
        self._in_vain = self._in_vain + 1 if size == self._size else 0
        self._size = size
        return 0.06 * (1 + self._in_vain // 10)


def attempt(sessions: Sessions, session_id: str, folder: Path) -> None:
    """One attempt in this process: start the run, or resume it."""
    session, agent = sessions[session_id], agent_of(folder)
    result = agent.resume(session) if session.messages else agent.run("Go.", session=session)
    unknown = [call.arguments["step"] for call in result.unknown_calls]
    with (folder / "unknown").open("a") as file:
        file.writelines(f"{step}\n" for step in unknown)
    assert result.output == "Done.", result


def main() -> None:
    kind, where, folder_name, kills_wanted = sys.argv[1:]
    folder, chance = Path(folder_name), random.Random(7)
    kills, runs, seen = 0, 0, []
    attempt(opened(kind, where), "first", folder)  # loads lazily imported modules before the attempts
    while kills < int(kills_wanted):
        session_id = f"run{runs}"
        runs += 1
        for name in ("effects", "unknown", "looks"):
            (folder / name).write_text("")
        finished, waited = False, Waiting(folder)
        while not finished:
            child = os.fork()
            if child == 0:
                attempt(opened(kind, where), session_id, folder)
                os._exit(0)
            time.sleep(chance.uniform(0.0, waited.longest()))
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            finished = os.WIFEXITED(status)
            assert not finished or os.WEXITSTATUS(status) == 0
            kills += not finished
        seen.append(_outcome(opened(kind, where), session_id, folder))
    print(json.dumps({"kills": kills, "runs": seen}))


def _outcome(sessions: Sessions, session_id: str, folder: Path) -> dict[str, Any]:
    messages = sessions[session_id].messages
    reported = [response_of(message) for message in messages if message["role"] == "tool"]
    return {
        "effects": [int(line) for line in (folder / "effects").read_text().split()],
        "looks": len((folder / "looks").read_text().split()),
        "unknown": [place // 2 for place, text in enumerate(reported) if "It is not known" in text],
        "reported": reported,
        "roles": [message["role"] for message in messages],
    }


if __name__ == "__main__":
    main()
