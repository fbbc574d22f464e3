"""Results of read-only calls, kept for a time and in a number that are limited; equal calls at the same time run once.

A key is made of values (the arguments) and of objects that count by their identity (the `deps` of a run, the object of
a method). An object is not kept alive by its results where Python can refer to it weakly, and an object that takes the
address of one that is gone has no part in its results.
"""

import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from agentkit._forking import freed_by_forks, renewed_by_forks
from agentkit._lazy.modules import loaded
from agentkit._lazy.records import dataclass, field
from agentkit._threads import SUBMITTERS
from agentkit.tooling.interrupts import stops_the_run
from agentkit.tooling.outcome import Outcome
from agentkit.tooling.stop import Stop

MAX_ENTRIES = 1000
"""How many results are kept; the oldest are forgotten first."""
MAX_CHARACTERS = 10_000_000
"""Size of all results together that are kept: characters of text, bytes of images."""
MAX_DEPTH = 50
"""Levels of lists and objects in the arguments of a call that is kept."""

_SCALARS = (str, int, float, bool, type(None), bytes)
_BY_TEXT = frozenset(
    {
        *(f"datetime.{each}" for each in ("date", "datetime", "time", "timedelta", "timezone")),
        "decimal.Decimal",
        "uuid.UUID",
    }
)
"""Types, by name: what does not use them need not load them."""


@dataclass(frozen=True)
class Key:
    """What a result is kept under. digest: of the values. objects: those that count by their identity."""

    digest: bytes
    objects: tuple[Any, ...] = ()

    @classmethod
    def of(cls, values: Any, *objects: Any) -> "Key | None":
        """The key of a call; None when the values have something whose equality is not certain (an open file, an object
        of a class of the user's), so that its result can't be kept. Strings, numbers and None among the objects count
        by their value."""
        try:
            parts = _parts(values, 0)
        except _NotKept:
            return None
        import hashlib

        plain = [(number, type(each).__name__, each) for number, each in enumerate(objects) if type(each) in _SCALARS]
        written = repr((parts, plain))
        digest = hashlib.sha256(written.encode("utf-8", "surrogatepass")).digest()
        return cls(digest, tuple(each for each in objects if type(each) not in _SCALARS))

    @property
    def place(self) -> tuple[Any, ...]:
        """Where its entry is looked for."""
        return (self.digest, *map(id, self.objects))


class _NotKept(Exception):
    """A value whose equality is not certain."""


def _parts(value: Any, depth: int) -> Any:
    """A value as nested tuples whose repr two values share only when they are equal. Raises _NotKept."""
    kind = type(value)
    if kind in _SCALARS:
        return kind.__name__, value
    if depth > MAX_DEPTH:
        raise _NotKept
    name = f"{kind.__module__}.{kind.__qualname__}"
    if kind is list or kind is tuple:
        return kind.__name__, [_parts(each, depth + 1) for each in value]
    if kind is dict:
        return "dict", sorted(
            ((_parts(key, depth + 1), _parts(each, depth + 1)) for key, each in value.items()), key=repr
        )
    if kind is set or kind is frozenset:
        return kind.__name__, sorted((_parts(each, depth + 1) for each in value), key=repr)
    if name in _BY_TEXT or _is_path(value):
        return name, repr(value), getattr(value, "fold", 0)
    if isinstance(value, Enum):
        return name, value.name or _parts(value.value, depth + 1)
    if kind.__module__ == "pydantic.networks":
        return name, str(value)
    return name, _fields(value, depth + 1)


def _is_path(value: Any) -> bool:
    path = loaded("pathlib", "PurePath")  # there is none before it is loaded
    return path is not None and isinstance(value, path)


def _fields(value: Any, depth: int) -> Any:
    """The fields of a dataclass or a pydantic model. Raises _NotKept for another object."""
    from dataclasses import fields, is_dataclass

    if is_dataclass(value) and not isinstance(value, type):
        return [(each.name, _parts(getattr(value, each.name), depth)) for each in fields(value)]
    named = getattr(type(value), "model_fields", None)
    if not isinstance(named, Mapping):
        raise _NotKept
    private, extra = getattr(value, "__pydantic_private__", None), getattr(value, "__pydantic_extra__", None)
    if private:
        raise _NotKept
    return [*((each, _parts(getattr(value, each), depth)) for each in named), _parts(dict(extra or {}), depth)]


@dataclass(eq=False)
class _Entry:
    """A result that is kept, or a call that runs. objects: return those of the key, or None when they are gone.

    stop, thread: of the thread that runs the call. ended: set when it has ended.
    """

    objects: tuple[Callable[[], Any], ...]
    stop: Stop | None = None
    thread: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    outcome: Outcome | None = None
    error: BaseException | None = None
    until: float = 0.0

    def is_of(self, key: Key) -> bool:
        """Whether it is for the very objects of a key."""
        return all(reference() is each for reference, each in zip(self.objects, key.objects, strict=True))


class ResultCache:
    """Keeps the outcomes of calls in memory; thread-safe. seconds: how long each is kept. max_entries, max_characters:
    how many, and of what size together.

    A copy of it is another cache, which is empty; so it is in a forked child with regard to calls that run.
    """

    def __init__(self, seconds: float, max_entries: int = MAX_ENTRIES, max_characters: int = MAX_CHARACTERS) -> None:
        self._seconds = seconds
        self._max_entries = max_entries
        self._max_characters = max_characters
        self._lock = freed_by_forks(threading.Lock())
        self._kept: OrderedDict[tuple[Any, ...], _Entry] = OrderedDict()
        self._running: dict[tuple[Any, ...], _Entry] = {}
        self._size = 0
        renewed_by_forks(self)

    def renew_in_child(self) -> None:
        """In a child: forget the calls that run in threads of the parent."""
        self._running = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "ResultCache":
        return ResultCache(self._seconds, self._max_entries, self._max_characters)

    def outcome(self, key: Key | None, make: Callable[[], Outcome], stop: Stop) -> Outcome:
        """The outcome that is kept under a key; else that of `make`, which is kept unless it failed.

        While another thread makes it, this one waits for that, at most until `stop`, and gets the same outcome or
        exception; but not the failure of a call whose own run was stopped or that ran out of time: then it makes its
        own. key: None makes it without keeping it. Raises what `make` raises, and ToolError when the wait is over.
        """
        while key is not None:
            entry, is_own = self._found(key, stop)
            if entry is None:
                break
            if is_own:
                return self._made(key, entry, make)
            stop.wait(entry.ended.wait)
            if entry.outcome is not None:
                return entry.outcome
            if entry.error is not None:
                raise entry.error
        return make()

    def _found(self, key: Key, stop: Stop) -> tuple[_Entry | None, bool]:
        """The entry of a key, and whether this thread is to fill it; None where it must not wait for that, since the
        thread that fills it waits for this one."""
        now = time.monotonic()
        own = SUBMITTERS.get() | {threading.get_ident()}
        with self._lock:
            kept = self._kept.get(key.place)
            if kept is not None and kept.until > now and kept.is_of(key):
                return kept, False
            running = self._running.get(key.place)
            if running is not None and running.is_of(key) and running.stop is not None and not running.stop.is_over:
                return (None if running.thread in own else running), False
            entry = _Entry(tuple(map(_reference, key.objects)), stop, threading.get_ident())
            self._running[key.place] = entry
            return entry, True

    def _made(self, key: Key, entry: _Entry, make: Callable[[], Outcome]) -> Outcome:
        try:
            outcome = make()
        except Exception as error:
            if entry.stop is not None and not entry.stop.is_over and not stops_the_run(error):
                entry.error = error
            raise
        else:
            if not outcome.may_be_kept:
                pass
            elif not outcome.failed:
                self._keep(key, entry, outcome)
            elif entry.stop is not None and not entry.stop.is_over:
                entry.outcome = outcome
            return outcome
        finally:
            with self._lock:
                if self._running.get(key.place) is entry:
                    del self._running[key.place]
            entry.ended.set()
            entry.stop = None

    def _keep(self, key: Key, entry: _Entry, outcome: Outcome) -> None:
        now, size = time.monotonic(), outcome.size
        entry.outcome = outcome
        if size > self._max_characters:
            return
        with self._lock:
            entry.until = now + self._seconds
            self._drop(key.place)
            self._kept[key.place] = entry
            self._size += size
            while self._kept and self._has_too_much(now):
                self._drop(next(iter(self._kept)))

    def _has_too_much(self, now: float) -> bool:
        oldest = next(iter(self._kept.values()))
        return len(self._kept) > self._max_entries or self._size > self._max_characters or oldest.until <= now

    def _drop(self, place: tuple[Any, ...]) -> None:
        entry = self._kept.pop(place, None)
        if entry is not None and entry.outcome is not None:
            self._size -= entry.outcome.size


def _reference(each: Any) -> Callable[[], Any]:
    """Returns the object as long as it exists."""
    try:
        return weakref.ref(each)
    except TypeError:  # a dict, a list, an object with slots
        return lambda: each


def key_of(values: Mapping[str, Any], defaults: Mapping[str, Any], function: Any, scope: Sequence[Any]) -> Key | None:
    """The key of a call of a tool. values: its validated arguments. defaults: the parameters as the schema has them,
    whose defaults stand for arguments that were left out. scope: what else its result depends on, by its identity."""
    left_out = {
        name: described["default"]
        for name, described in defaults.items()
        if name not in values and isinstance(described, Mapping) and "default" in described
    }
    return Key.of({**left_out, **values}, getattr(function, "__self__", None), *scope)
