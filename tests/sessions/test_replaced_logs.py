"""The log of a session that is replaced as a whole: by a writer, and by the names that services keep."""

import base64
import hashlib
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentkit.serving.key_values import MAX_OUTDATED, KeyValueStore
from agentkit.sessions import MemorySessions, SQLiteSessions
from tests.sessions.conftest import Store

PIXEL = "data:image/png;base64,iVBORw0KGgo="
IMAGE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}
DIGEST = hashlib.sha256(base64.b64decode("iVBORw0KGgo=")).hexdigest()
HELLO, HI = {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}


def stored(sessions: Any, session_id: str = "names") -> str:
    return "\n".join(sessions._read(session_id, 0))


def test_a_replaced_log_has_nothing_of_what_was_there(store: Store) -> None:
    sessions = store()
    sessions["a"].append([IMAGE])
    sessions["a"].note_delivered("r1")
    with sessions["a"].hold() as writer:
        assert writer.mark("delivered:r1") == 1
        done = writer.replace([HELLO])
        writer.append([HI])
        writer.note_request("r2", "delivered")
    assert store()["a"].messages == ([HELLO, HI] if done else [IMAGE, HI])
    assert [info.entries for info in store().list()] == [3 if done else 4]
    with store()["a"].hold() as writer:
        assert writer.marks("delivered:r1", "delivered:r2") == ([None, 2] if done else [1, 3])
        assert (store()._blob("a", DIGEST) is None) is done


def test_of_a_name_that_is_deleted_nothing_stays_in_the_store(store: Store) -> None:
    sessions, other = store(), KeyValueStore(store(), "names")
    names = KeyValueStore(sessions, "names")
    names.change(lambda known: {"a": "Jane has", "b": "kept"})
    names.set("a", "Jane had")
    assert other.get("a") == "Jane had"
    names.set("a", "")
    if sessions._replace.__qualname__.startswith("Sessions."):
        return  # a store that can't: tests/serving/test_key_values.py
    assert "Jane" not in stored(store())
    assert other.all() == names.all() == KeyValueStore(store(), "names").all() == {"b": "kept"}
    names.set("b", "")
    assert "kept" not in stored(store())
    assert other.all() == names.all() == KeyValueStore(store(), "names").all() == {}
    other.set("c", "1")
    assert names.all() == {"c": "1"}


def test_a_log_is_written_anew_when_most_of_it_is_outdated() -> None:
    sessions = MemorySessions()
    names = KeyValueStore(sessions, "names")
    for number in range(10 * MAX_OUTDATED):
        names.set("pinned", str(number))
        assert len(sessions._read("names", 0)) <= MAX_OUTDATED + 3
    assert names.all() == {"pinned": str(number)}


STEP = st.tuples(st.integers(0, 1), st.sampled_from("abc"), st.sampled_from(["", "1", "2"]), st.booleans())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=30))
def test_all_processes_know_the_same_names_whoever_deletes_what(steps: list[tuple[int, str, str, bool]]) -> None:
    sessions = MemorySessions()
    both = [KeyValueStore(sessions, "names") for _ in range(2)]
    expected: dict[str, str] = {}
    for who, name, text, alone in steps:
        both[who].set(name, text, alone=alone)
        expected = {**({} if alone else expected), name: text}
        expected = {each: value for each, value in expected.items() if value}
        assert both[who].all() == expected
    assert [each.all() for each in both] == [expected, expected]
    assert list(KeyValueStore(sessions, "names").all()) == list(both[0].all())


def test_a_store_that_is_deleted_from_goes_on_in_the_same_file(tmp_path: Any) -> None:
    with SQLiteSessions(tmp_path / "a.db") as sessions:
        names = KeyValueStore(sessions, "names")
        for number in range(20):
            names.set(str(number), "x")
        for number in range(19):
            names.set(str(number), "")
        assert stored(sessions).count("\n") == 0
        assert names.all() == {"19": "x"}
