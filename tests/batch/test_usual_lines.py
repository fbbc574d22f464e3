"""Lines of the usual forms are checked in a shorter way, which says what the whole reading of them says."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentkit.batch.given_items import SURELY_SHORT
from agentkit.batch.identity import Ids, KnownIds, value_digest
from agentkit.batch.items import _Reading, open_items
from agentkit.batch.json_lines import json_value
from agentkit.batch.sources import _Given
from agentkit.batch.text_lines import LineError
from agentkit.batch.usual_lines import usual_line

TEXTS = st.sampled_from(["Who?", "", " ", "id", 'a ": b', "a: b", "{", "user", "é中", "\0", "\ud800", "\n", "POST"])
ROLES: st.SearchStrategy[Any] = st.sampled_from(
    ["user", "system", "assistant", "developer", "tool", "", 7, None, [], {}]
)
SCALARS = st.one_of(TEXTS, st.integers(-3, 3), st.booleans(), st.none(), st.floats(), st.just("x" * 1001))
ANY = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2), max_leaves=4
)
MESSAGE = st.dictionaries(st.sampled_from(["role", "content", "tool_calls", "name"]), ROLES | TEXTS | ANY, max_size=3)
MESSAGES = st.lists(st.fixed_dictionaries({"role": ROLES, "content": TEXTS}) | MESSAGE, max_size=3) | ANY
BODY = st.fixed_dictionaries(
    {"messages": MESSAGES},
    optional={"model": TEXTS | ANY, "n": SCALARS, "tools": ANY, "stop": ANY, "response_format": ANY},
)
LINE = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("id", "custom_id", "question", "prompt", "year", "é"), TEXTS | ANY),
        "messages": MESSAGES,
    },
) | st.fixed_dictionaries(
    {"body": BODY | ANY},
    optional={
        "custom_id": SCALARS,
        "id": SCALARS,
        "method": st.just("POST") | TEXTS,
        "url": st.just("/v1/chat/completions") | TEXTS,
        "question": TEXTS,
    },
)
LONG_TEXTS = st.sampled_from(["x" * SURELY_SHORT, "x" * (SURELY_SHORT + 1), "\u00e9" * 500_001])
MADE_ID = f"q-{value_digest('Who?'):016x}"
WITH_IDS = st.sampled_from([{"id": each, "question": "When?"} for each in ("a", MADE_ID, f"{MADE_ID}-2")])
SEPARATORS = st.sampled_from([(", ", ": "), (",", ":"), (" ,", " : "), (", ", "\t:"), (",", "\r:")])


def reading() -> _Reading:
    return _Reading(_Given([], None), Ids(KnownIds()))


def in_full(content: bytes) -> tuple[str, str] | None:
    """The id and the model of a line that can be asked, by the whole reading; None for one that can't be."""
    try:
        entry = (1, json_value(content), content, "")
    except LineError:
        return None
    item_id, question, problem = reading().read(entry)
    return None if problem else (item_id, question.model)


def agrees(content: bytes) -> bool:
    """Whether a line is a usual one. What is said of it has to be what the whole reading says."""
    found = usual_line(content)
    if found is None:
        return False
    item_id, value, model = found
    assert value == json_value(content)
    assert in_full(content) == (item_id if item_id is not None else reading().id_of(value), model)
    return True


@settings(max_examples=300, deadline=None)
@given(LINE, SEPARATORS, st.booleans(), st.sampled_from([b"\n", b"", b"\r\n", b" \n", b" x\n"]))
def test_a_usual_line_is_what_the_whole_reading_makes_of_it(
    line: Any, separators: tuple[str, str], ascii_only: bool, end: bytes
) -> None:
    text = json.dumps(line, separators=separators, ensure_ascii=ascii_only)
    agrees(text.encode("utf-8", "surrogatepass") + end)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["id", "question", "q", "i\\u0064"]), ANY | TEXTS), max_size=4), SEPARATORS)
@example([("question", "a: b"), ("question", "c")], (", ", ": "))
@example([("question", 'a":'), ("x", {}), ("x", 1)], (",", ":"))
def test_a_key_that_stands_twice_is_always_seen(pairs: list[tuple[str, Any]], separators: tuple[str, str]) -> None:
    comma, colon = separators
    text = comma.join(f'"{name}"{colon}{json.dumps(value, separators=separators)}' for name, value in pairs)
    agrees(b"{" + text.encode() + b"}\n")


@pytest.mark.parametrize(
    "line",
    [
        {"id": "a", "question": "Who?", "year": 1771},
        {"question": "Note: who?", "year": 1771},
        {"custom_id": "a", "prompt": 'He said ": who", and: "{when}?', "tags": ["x", {"y": 1}]},
        {"id": "a", "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "中: why?"}]},
        {
            "custom_id": "a",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": "m",
                "messages": [{"role": "user", "content": "Why?"}],
                "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
            },
        },
    ],
)
def test_these_are_usual(line: dict[str, Any]) -> None:
    for text in (json.dumps(line), json.dumps(line, ensure_ascii=False), json.dumps(line, separators=(",", ":"))):
        assert agrees(text.encode() + b"\n") or r"\": " in text


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS | st.text(max_size=3) | LONG_TEXTS | WITH_IDS))
def test_texts_of_a_program_are_checked_as_the_whole_reading_checks_them(questions: list[Any]) -> None:
    """Which is what happens where equal questions are asked once: no line is passed over then."""
    items, in_full = (open_items(questions, skip_bad=True, dedup=dedup) for dedup in (False, True))
    assert items.check() == in_full.check()
    assert [each.id for each in items] == [each.id for each in in_full]
    assert [each.problem for each in items] == [each.problem for each in in_full]


def test_a_role_that_is_no_text_is_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"messages": [{"role": [], "content": "x"}]}\n')
    (bad,) = open_items(path).check().bad
    assert bad.line == 1
