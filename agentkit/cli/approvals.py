"""A person's word on calls that need it, asked for at the terminal."""

import json
import sys
from collections.abc import Iterable

from agentkit.cli.progress import printable
from agentkit.event import OpenCall

NOBODY = "nobody is at the terminal to allow it"


def decided(calls: Iterable[OpenCall]) -> dict[str, bool | str]:
    """A word on each call: yes, no, or why not. Where nobody can be asked the answer is no."""
    return {call.id: _asked(call) if sys.stdin.isatty() else NOBODY for call in calls}


def _asked(call: OpenCall) -> bool | str:
    shown = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in call.arguments.items())
    print(printable(f"? {call.name}({shown})"), file=sys.stderr)
    print("  Allow it? [y]es, [n]o, or say why not: ", end="", file=sys.stderr, flush=True)
    word = sys.stdin.readline().strip()
    if word.lower() in ("y", "yes"):
        return True
    return False if word.lower() in ("", "n", "no") else word
