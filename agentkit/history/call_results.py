"""Which result of a given history belongs to which call of the message before it."""

import json
from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from agentkit.tooling.call_names import valid_name

Call = tuple[Any, Mapping[str, Any]]
"""A call with the id that it was given with; its own is a valid one."""


def places_of_results(calls: Sequence[Call], results: Sequence[Mapping[str, Any]]) -> list[int | None]:
    """The place of the result of each call, None where there is none: by its id, else by the name or the order. In time
    in proportion to both."""
    waiting = _Waiting(results)
    found = [waiting.with_id(had, call["id"]) if had else None for had, call in calls]
    for place, (had, call) in enumerate(calls):
        if found[place] is None:
            found[place] = waiting.without_id(call["function"]["name"] if had else None)
    return found


class _Waiting:
    """The results that belong to no call yet, by their places."""

    def __init__(self, results: Sequence[Mapping[str, Any]]) -> None:
        self._taken: set[int] = set()
        self._by_id: dict[Hashable, deque[int]] = {}
        self._without_id: deque[int] = deque()
        self._by_name: dict[str | None, deque[int]] = {}
        for place, each in enumerate(results):
            if given := each.get("tool_call_id"):
                self._by_id.setdefault(key_of(given), deque()).append(place)
                continue
            name = each.get("name")
            self._without_id.append(place)
            self._by_name.setdefault(valid_name(name) if isinstance(name, str) else None, deque()).append(place)

    def with_id(self, *ids: Any) -> int | None:
        """Take the first with one of these ids."""
        return self._first(self._by_id.get(key) for key in dict.fromkeys(map(key_of, ids)))

    def without_id(self, name: str | None) -> int | None:
        """Take the first without an id that has this name or none. name: None is any."""
        queues = [self._without_id] if name is None else [self._by_name.get(name), self._by_name.get(None)]
        return self._first(queues)

    def _first(self, queues: Iterable[deque[int] | None]) -> int | None:
        waiting = [queue for queue in queues if queue and self._drop_taken(queue)]
        if not waiting:
            return None
        place = min(waiting, key=lambda queue: queue[0]).popleft()
        self._taken.add(place)
        return place

    def _drop_taken(self, queue: deque[int]) -> bool:
        """Whether anything is left in a queue; those that were taken from another one are not."""
        while queue and queue[0] in self._taken:
            queue.popleft()
        return bool(queue)


def key_of(value: Any) -> Hashable:
    """What two equal JSON values have in common."""
    if isinstance(value, str | int | float | None):
        return value
    try:
        return json.dumps(value, sort_keys=True, default=repr)
    except (TypeError, ValueError, RecursionError):
        return repr(value)
