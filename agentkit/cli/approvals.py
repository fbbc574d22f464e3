"""Asks at the terminal for approval of the tool calls that need it."""

import json
import sys
from collections.abc import Iterable

from agentkit.cli.progress import printable
from agentkit.event import OpenCall

NO_TERMINAL = "no terminal to ask for approval"


def decided(calls: Iterable[OpenCall]) -> dict[str, bool | str]:
    """Returns the decision on each call by its id: True, False, or the reason for a refusal.

    Without a terminal every call is refused."""
    return {call.id: _ask(call) if sys.stdin.isatty() else NO_TERMINAL for call in calls}


def _ask(call: OpenCall) -> bool | str:
    args = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in call.arguments.items())
    print(printable(f"? {call.name}({args})"), file=sys.stderr)
    print("  Allow? [y]es, [n]o, or type a reason for refusing: ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip()
    if answer.lower() in ("y", "yes"):
        return True
    return False if answer.lower() in ("", "n", "no") else answer
