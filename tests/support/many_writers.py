"""What a process that writes to a store runs: it imports nothing of the tests."""

from collections.abc import Callable

from agentkit.sessions import Sessions


def write_many(make: Callable[[], Sessions], number: int) -> None:
    """Append to one session ten times."""
    sessions = make()
    for turn in range(10):
        sessions["a"].append([{"role": "user", "content": f"{number} {turn}"}, {"role": "user", "content": "end"}])
