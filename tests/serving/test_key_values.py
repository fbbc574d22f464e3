"""Names and texts that all processes of a service share."""

from collections.abc import Sequence
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


@pytest.mark.parametrize("names", [1, 3, 5])
def test_what_was_set_before_the_store_lost_its_data_is_gone_for_all_processes(names: int) -> None:
    """As after a restart of a Redis that keeps nothing on disk: the log is begun anew, shorter or longer."""
    sessions = MemorySessions()
    store = KeyValueStore(sessions, "names")
    for number in range(3):
        store.set(f"old {number}", "x")
    assert len(store.all()) == 3
    sessions.delete("names")
    assert store.all() == {}
    for number in range(3):
        store.set(f"old {number}", "x")
    assert len(store.all()) == 3
    sessions.delete("names")
    for number in range(names):
        KeyValueStore(sessions, "names").set(f"new {number}", "y")
    assert store.get("old 0") is None
    assert store.all() == {f"new {number}": "y" for number in range(names)}
    store.set("new 0", "z")
    assert store.first("old 1", "new 0") == "z"


def test_a_store_reads_only_what_was_written_since() -> None:
    rows = 0

    class Counted(MemorySessions):
        def _read(self, session_id: str, start: int, count: int | None = None) -> Sequence[str]:
            nonlocal rows
            found = super()._read(session_id, start, count)
            rows += len(found)
            return found

    store = KeyValueStore(Counted(), "names")
    for number in range(100):
        store.set(str(number), "x")
    store.all()
    rows = 0
    for number in range(10):
        store.set(str(number), "y")
        assert store.get(str(number)) == "y"
    assert rows == 30  # what is new, and the entry before it


def test_a_store_that_can_not_replace_a_log_appends_what_is_deleted() -> None:
    class Appending(MemorySessions):
        def _replace(self, session_id: str, entries: Sequence[str], lock: object) -> bool:
            return False

    sessions = Appending()
    names = KeyValueStore(sessions, "names")
    names.change(lambda known: {"a": "1", "b": "2"})
    names.set("a", "")
    names.set("not there", "")
    assert names.all() == KeyValueStore(sessions, "names").all() == {"b": "2"}
    assert len(sessions["names"].entries()) == 3
    names.set("c", "3", alone=True)
    assert names.all() == KeyValueStore(sessions, "names").all() == {"c": "3"}
