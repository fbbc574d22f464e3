"""The process in which items are answered one by one, when one of them may be what kills it.

It reads a line with the job, then lines with items, all JSON, from standard input. It writes to standard output: READY,
a line that says why the agent can't be made ("" when it is), then one with the record of each item. What tools print
goes to standard error, and they have no input. It ends when standard input does, whatever it is doing then.
"""

import json
import os
import sys
from queue import SimpleQueue
from typing import IO, Any

from agentkit._threads import WORKERS

READY = "agentkit"
"""The line that the process writes when it has started."""


def main() -> None:
    """Answer the items of standard input."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    lines = _own_input()
    _write(output, READY)
    start = json.loads(lines.readline() or "{}")
    sys.path[:] = start["path"]
    items: SimpleQueue[dict[str, Any]] = SimpleQueue()
    WORKERS.submit(lambda: _read(lines, items))
    _answer(start["job"], items, output)


def _own_input() -> IO[str]:
    """Standard input, which what is imported or run here can't read any more."""
    lines = os.fdopen(os.dup(0), encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return lines


def _read(lines: IO[str], items: SimpleQueue[dict[str, Any]]) -> None:
    """Take in lines until standard input ends, and the process with it."""
    for line in lines:
        items.put(json.loads(line))
    os._exit(0)


def _answer(job: str, items: SimpleQueue[dict[str, Any]], output: IO[str]) -> None:
    from agentkit.batch import remote  # what it needs is found on the path of the job

    _write(output, {"problem": remote.check(job)["problem"]})
    while True:
        reply = remote.answer(job, [items.get()], batch="")
        _write(output, {"record": reply["records"][0]} if reply["records"] else {"unable": reply["problem"]})


def _write(output: IO[str], value: Any) -> None:
    output.write(json.dumps(value, default=str) + "\n")
    output.flush()


if __name__ == "__main__":
    main()
