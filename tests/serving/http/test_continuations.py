"""What is kept of an answer until the client has answered the calls of its own tools."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentkit import MemorySessions, SessionError
from agentkit.serving.http.openai import continuations, pruning
from agentkit.serving.http.openai.continuations import Continuations
from tests.serving.http.test_client_tools import WEATHER, user
from tests.support.http_service import LOOK_UP, serve_http, settings_for
from tests.support.model_server import Asked, calls, serve, whole


def call(call_id: str, name: str, arguments: str = "{}") -> Any:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


ANSWER: list[Any] = [
    {"role": "assistant", "content": "I look.", "tool_calls": [call("a", "look_up"), call("b", "mine", '{"x": 1}')]},
    {"role": "tool", "tool_call_id": "a", "content": "found"},
]


def sent(kept: Continuations, messages: list[Any] = ANSWER, ids: tuple[str, ...] = ("b",)) -> dict[str, Any]:
    """The assistant message that the client has."""
    return {"role": "assistant", "content": "I look.", "tool_calls": copy.deepcopy(kept.keep("ann", messages, ids))}


def test_an_answer_of_which_the_client_has_everything_is_not_kept() -> None:
    sessions = MemorySessions()
    plain: list[Any] = [{"role": "assistant", "content": "x", "tool_calls": [call("b", "mine")]}]
    assert sent(Continuations(sessions), plain)["tool_calls"] == plain[0]["tool_calls"]
    assert sessions.list("_agentkit.") == []


def test_reasoning_that_servers_want_back_is_kept() -> None:
    kept = Continuations(MemorySessions())
    thinking = {**ANSWER[0], "tool_calls": [call("b", "mine")], "reasoning_content": "Hm."}
    assert kept.restored("ann", [sent(kept, [thinking])]) == [thinking]


def test_a_restored_answer_has_its_own_ids_again() -> None:
    kept = Continuations(MemorySessions())
    message = sent(kept)
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "1"}
    assert kept.restored("ann", [user("x"), message, result]) == [user("x"), *ANSWER, {**result, "tool_call_id": "b"}]


@pytest.mark.parametrize("subject", ["ann", "bob"])
def test_only_its_subject_gets_an_answer_back(subject: str) -> None:
    kept = Continuations(MemorySessions())
    messages = [user("x"), sent(kept)]
    assert (kept.restored(subject, messages) == messages) is (subject == "bob")


def test_a_client_may_write_the_arguments_anew_and_leave_the_text_out() -> None:
    kept = Continuations(MemorySessions())
    (made,) = sent(kept)["tool_calls"]
    made["function"]["arguments"] = '{"x":1}'
    assert kept.restored("ann", [{"role": "assistant", "content": None, "tool_calls": [made]}]) == ANSWER


@pytest.mark.parametrize("change", ["name", "arguments", "id", "more calls", "other ids"])
def test_an_answer_that_the_client_has_changed_is_the_clients(change: str) -> None:
    kept = Continuations(MemorySessions())
    message = json.loads(json.dumps(sent(kept)))
    (made,) = message["tool_calls"]
    if change in ("name", "arguments"):
        made["function"][change] = '{"x": 2}'
    elif change == "id":
        made["id"] = made["id"].replace("call_", "call_f")
    elif change == "more calls":
        message["tool_calls"].append({**made, "id": made["id"][:-1] + "1"})
    else:
        made["id"] = made["id"][:-2] + "07"
    assert kept.restored("ann", [message]) == [message]


def test_old_answers_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = MemorySessions()
    kept = Continuations(sessions)
    monkeypatch.setattr(pruning, "PRUNE_SECONDS", 0.0)
    monkeypatch.setattr(continuations, "MAX_KEPT", 3)
    messages = [sent(kept) for _ in range(9)]
    assert len(sessions.list("_agentkit.")) == 4  # those that were there before the last, and it
    assert kept.restored("ann", messages[-1:]) == ANSWER
    monkeypatch.setattr(continuations, "MAX_AGE", 0.0)
    sent(kept)
    assert len(sessions.list("_agentkit.")) == 1


def test_without_the_store_the_clients_history_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = MemorySessions()
    kept = Continuations(sessions)
    message = sent(kept)

    def fails(*_: Any) -> Any:
        raise SessionError("the store is away")

    monkeypatch.setattr(sessions, "_read", fails)
    monkeypatch.setattr(sessions, "_append", fails)
    monkeypatch.setattr(sessions, "_append_marked", fails)
    assert kept.restored("ann", [message]) == [message]
    assert sent(kept)["tool_calls"] == [ANSWER[0]["tool_calls"][1]]


KEYS = st.sampled_from(["id", "function", "name", "arguments", "type"])
JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=3) | st.just("call_" + "0" * 26),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["assistant", "tool"]), "tool_calls": JSON})


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(st.lists(MESSAGE, max_size=3))
def test_messages_of_any_form_are_left_as_they_are(messages: list[Any]) -> None:
    assert Continuations(MemorySessions()).restored("ann", messages) == messages


def test_services_that_share_a_store_continue_each_others_answers(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Any:
        step = sum(each["role"] == "assistant" for each in asked.body["messages"])
        both = calls(("weather", {"city": str(step)}), ("look_up", {"topic": str(step)}))
        return both if step < 3 else whole("Done.")

    with serve(answer) as server:
        options = settings_for(tmp_path, server.url, agentkit_tools=(LOOK_UP,))
        with serve_http(options) as one, serve_http(options) as other:
            messages: list[Any] = [user("Three times")]
            for turn in range(3):
                body = {"model": "agentkit", "messages": messages, "tools": [WEATHER]}
                made = (one, other)[turn % 2].ask("POST", "/v1/chat/completions", body).json()
                message = made["choices"][0]["message"]
                (own,) = message["tool_calls"]
                messages += [message, {"role": "tool", "tool_call_id": own["id"], "content": f"warm {turn}"}]
            body = {"model": "agentkit", "messages": messages, "tools": [WEATHER]}
            made = other.ask("POST", "/v1/chat/completions", body).json()
            assert made["choices"][0]["message"]["content"] == "Done."
    last = server.requests[-1].body["messages"]
    assert [each["role"] for each in last] == ["user", *["assistant", "tool", "tool"] * 3]
    assert [f"all about {turn}" in last[2 + 3 * turn]["content"] for turn in range(3)] == [True] * 3
    assert [f"warm {turn}" in last[3 + 3 * turn]["content"] for turn in range(3)] == [True] * 3


BOTH: list[Any] = [
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [call("a", "look_up"), call("b", "mine", '{"x": 1}'), call("c", "yours")],
    },
    {"role": "tool", "tool_call_id": "a", "content": "found"},
]


def ids_in(messages: list[Any]) -> list[Any]:
    """The ids of calls, and those of the calls that messages answer."""
    return [
        [each["id"] for each in message["tool_calls"]] if message.get("tool_calls") else message.get("tool_call_id")
        for message in messages
    ]


@pytest.mark.parametrize(
    ("places", "answered", "expected"),
    [
        pytest.param([[0, 1]], [0, 1], [["a", "b", "c"], "a", "b", "c"], id="all"),
        pytest.param([[0, 1]], [1, 0], [["a", "b", "c"], "a", "c", "b"], id="results in another order"),
        pytest.param([[1, 0]], [1, 0], [["a", "b", "c"], "a", "c", "b"], id="calls in another order"),
        pytest.param([[0]], [0], [["a", "b"], "a", "b"], id="the first alone"),
        pytest.param([[1]], [1], [["a", "c"], "a", "c"], id="the second alone"),
        pytest.param([[0], [1]], [0, 1], [["a", "b"], "a", "b", ["own"], "own"], id="a message for each"),
        pytest.param([[0, 1], [0, 1]], [0, 1], [["a", "b", "c"], "a", "b", "c"] * 2, id="the same again"),
    ],
)
def test_an_answer_goes_on_with_the_calls_that_the_client_has_kept(places: Any, answered: Any, expected: Any) -> None:
    """hinthornw/trustcall#12, langgenius/dify-official-plugins#2352: frameworks split, drop and sort parallel calls,
    and the next request is refused."""
    kept = Continuations(MemorySessions())
    made = sent(kept, BOTH, ("b", "c"))["tool_calls"]
    messages: list[Any] = []
    for each in places:
        messages.append({"role": "assistant", "content": None, "tool_calls": [made[place] for place in each]})
        results = [place for place in answered if place in each]
        messages += [{"role": "tool", "tool_call_id": made[place]["id"], "content": "x"} for place in results]
    named = {made[1]["id"]: "own"}
    found = ids_in(kept.restored("ann", messages))
    assert [
        named.get(each, each) if isinstance(each, str) else [named.get(i, i) for i in each] for each in found
    ] == expected


def test_an_answer_is_restored_whose_replies_number_their_calls_alike() -> None:
    """vllm-project/vllm#50295, fw-ai/fireconnect#16: the ids of each reply's calls begin anew, so that the result of an
    earlier reply looked like that of the client's call, and nothing was restored."""
    kept = Continuations(MemorySessions())
    answer: list[Any] = [
        {"role": "assistant", "content": None, "tool_calls": [call("call_0", "look_up"), call("call_1", "look_up")]},
        {"role": "tool", "tool_call_id": "call_0", "content": "tides"},
        {"role": "tool", "tool_call_id": "call_1", "content": "winds"},
        {"role": "assistant", "content": "I ask.", "tool_calls": [call("call_0", "mine"), call("call_1", "mine")]},
    ]
    message = sent(kept, answer, ("call_0", "call_1"))
    results = [{"role": "tool", "tool_call_id": each["id"], "content": each["id"]} for each in message["tool_calls"]]
    restored = kept.restored("ann", [user("x"), message, *results])
    assert restored[1:5] == answer
    assert [each["tool_call_id"] for each in restored[5:]] == ["call_0", "call_1"]
