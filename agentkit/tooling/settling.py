"""What a tool's function returns, once it is there: the result of a coroutine or a future, the items of a generator."""

import contextlib
import inspect
import types
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

from agentkit._lazy.modules import loaded
from agentkit.tooling.stop import Stop

MAX_ITEMS = 100_000
"""Maximum number of items that are taken from a generator."""
MAX_CHARACTERS = 10_000_000
"""Maximum characters (bytes) of text that are taken from a generator."""
MAX_STEPS = 20
"""Maximum number of coroutines, futures and generators in each other."""

_PARTIAL = "_agentkit_items"
_PLAIN = frozenset({str, int, float, bool, type(None), list, dict, tuple, bytes})


class Items(list[Any]):
    """What a generator has yielded; last, what it returned."""


def called(call: Callable[[], Any], stop: Stop) -> Any:
    """Make a call and return its result, see `settled`. An event loop that runs in this thread is not seen by it."""
    running_loop = loaded("asyncio", "_get_running_loop")
    if running_loop is None or running_loop() is None:
        return settled(call(), stop)
    from agentkit.tooling.event_loop import without_running_loop

    with without_running_loop():
        return settled(call(), stop)


def settled(value: Any, stop: Stop) -> Any:
    """The value itself; the result of a coroutine, task or future, those of a list of them; the `Items` of a generator.

    Raises what these raise. An exception of a generator carries the items before it (see `items_before`).
    """
    for _ in range(MAX_STEPS):
        kind = type(value)  # isinstance() runs code of the class
        if kind is list and value and hasattr(type(value[0]), "__await__"):
            return [settled(each, stop) for each in value]
        if kind in _PLAIN:
            return value
        if hasattr(kind, "__await__") or (kind is types.GeneratorType and inspect.isawaitable(value)):
            from agentkit.tooling.event_loop import result_of  # asyncio is loaded where there are async tools

            value = result_of(value, stop)
        elif _is_future(value):
            value = stop.result_of(value)
        elif kind is types.GeneratorType:
            return _drained(value, stop)
        elif hasattr(kind, "__anext__"):
            from agentkit.tooling.event_loop import result_of

            return result_of(_drained_async(value), stop)
        else:
            return value
    return value


def items_before(error: BaseException) -> Items:
    """What a generator had yielded before it raised this."""
    found = getattr(error, _PARTIAL, None)
    return found if isinstance(found, Items) else Items()


def _is_future(value: Any) -> bool:
    """Whether this is a `concurrent.futures.Future`, or one of another library that is like it."""
    return all(callable(getattr(type(value), name, None)) for name in ("add_done_callback", "result", "done", "cancel"))


class _Taken:
    """The items that were taken from a generator so far."""

    def __init__(self) -> None:
        self.items = Items()
        self._size = 0

    def add(self, item: Any) -> bool:
        """Take an item; returns whether there is room for another."""
        self.items.append(item)
        self._size += len(item) if isinstance(item, str | bytes) else 0
        if len(self.items) < MAX_ITEMS and self._size < MAX_CHARACTERS:
            return True
        self.items.append(f"(it was stopped here, after {len(self.items):,} items)")
        return False

    def mark(self, error: BaseException) -> None:
        """Let an exception carry the items."""
        with contextlib.suppress(Exception):
            setattr(error, _PARTIAL, self.items)


def _drained(generator: Generator[Any, Any, Any], stop: Stop) -> Items:
    taken = _Taken()
    with contextlib.closing(generator):
        try:
            while taken.add(next(generator)):
                stop.check()
        except StopIteration as end:
            if end.value is not None:
                taken.items.append(end.value)
        except BaseException as error:
            taken.mark(error)
            raise
    return taken.items


async def _drained_async(iterator: AsyncIterator[Any]) -> Items:
    taken = _Taken()
    try:
        async for item in iterator:
            if not taken.add(item):
                break
    except BaseException as error:
        taken.mark(error)
        raise
    finally:
        close = getattr(iterator, "aclose", None)
        if inspect.isasyncgen(iterator) and close is not None:
            await close()
    return taken.items
