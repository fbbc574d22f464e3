"""Names and texts that all processes of a service share."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from agentkit.serving.key_values import KeyValueStore
from agentkit.sessions import MemorySessions


def test_changes_that_are_made_at_once_follow_one_another() -> None:
    sessions = MemorySessions()
    KeyValueStore(sessions, "names").change(lambda known: {"a": "0", "b": "x", **known})
    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            other = KeyValueStore(sessions, "names")
            pool.submit(other.change, lambda known: {"a": str(int(known["a"]) + 1)})
    assert KeyValueStore(sessions, "names").all() == {"a": "8", "b": "x"}


def test_a_change_that_fails_sets_nothing() -> None:
    store = KeyValueStore(MemorySessions(), "names")
    store.set("a", "1")
    with pytest.raises(ZeroDivisionError):
        store.change(lambda known: {"a": "2", "b": str(1 // 0)})
    store.change(lambda known: {})
    assert store.all() == {"a": "1"}
    store.change(lambda known: {"a": "", "b": "2"})
    assert store.all() == {"b": "2"}
