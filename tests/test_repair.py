"""Any history becomes one that a strict server takes."""

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent, tool
from agentkit.history.call_results import places_of_results
from agentkit.repair import repaired
from agentkit.testing import ScriptedBackend
from agentkit.tooling.call_names import valid_name
from tests.support.growth import assert_linear
from tests.support.model_server import Answer, Asked, serve, whole
from tests.support.strict_messages import faults, faults_of_request


def call(call_id: Any = "a", name: str = "f", arguments: Any = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def said(*calls: Any, content: Any = None) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def result(call_id: Any = "a", content: Any = "9") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


ASK = {"role": "user", "content": "Go."}
DONE = {"role": "assistant", "content": "Done."}


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [ASK],
        [ASK, DONE],
        [{"role": "system", "content": "s"}, ASK, said(call()), result(), DONE],
        [ASK, said(call("a"), call("b")), result("a"), result("b"), DONE, ASK],
        [ASK, {"role": "system", "content": "in the middle"}, DONE],
        [ASK, {"role": "assistant", "content": None, "refusal": "No."}],
        [ASK, said(call()), result(content=[{"type": "text", "text": "9"}])],
    ],
)
def test_a_valid_history_stays_as_it_is(messages: list[Any]) -> None:
    before = copy.deepcopy(messages)
    assert repaired(messages, closed=True) == (before, [])
    assert messages == before


BROKEN = [
    ([ASK, said(call()), ASK], "without a result"),
    ([ASK, said(call())], "without a result"),
    ([ASK, said(call("a"), call("b")), result("a"), ASK], "without a result"),
    ([result(), ASK], "answers no call"),
    ([ASK, DONE, result()], "answers no call"),
    ([ASK, said(call()), result(), result()], "none of its calls"),
    ([ASK, said(call("a"), call("b")), result("b"), result("a")], "another order"),
    ([ASK, said(call("a"), call("a")), result("a", "1"), result("a", "2")], "which became"),
    ([ASK, said(call(""), call("")), result("", "1"), result("", "2")], "which became"),
    ([ASK, said(call(None)), result(None)], "which became"),
    ([ASK, said(call()), ASK, result(), DONE], "moved behind"),
    ([{"role": "user", "content": None}], "no content"),
    ([ASK, {"role": "assistant", "content": None}], "no content"),
    ([ASK, {"role": "assistant"}], "no content"),
    ([ASK, said(call()), result(content=None)], "no content"),
    ([ASK, said(call()), result(content={"t": 3})], "became its JSON"),
    ([{"role": "user", "content": []}], "empty list"),
    ([ASK, said(content="x")], "empty list of tool calls"),
    ([ASK, said(call(arguments={"x": 1})), result()], "not JSON text"),
    ([ASK, said(call(arguments='{"x": ')), result()], "not JSON text"),
    ([ASK, said(call(name="")), result()], "without a name"),
    (
        [
            ASK,
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {**result(None), "role": "function", "name": "f"},
        ],
        "deprecated",
    ),
]


@pytest.mark.parametrize(("messages", "told"), BROKEN)
def test_a_broken_history_is_mended_and_told(messages: list[Any], told: str) -> None:
    assert faults(messages) or told in ("another order", "not JSON text")
    made, repairs = repaired(messages, closed=True)
    assert faults(made) == []
    assert any(told in each for each in repairs), repairs
    assert repaired(made, closed=True) == (made, [])


def test_results_of_double_ids_stay_with_their_calls() -> None:
    made, _ = repaired([ASK, said(call("a", "first"), call("a", "second")), result("a", "1"), result("a", "2")])
    ids = [each["id"] for each in made[1]["tool_calls"]]
    assert [(each["tool_call_id"], each["content"]) for each in made[2:]] == [(ids[0], "1"), (ids[1], "2")]


def test_open_calls_at_the_end_are_left_to_be_run_unless_a_user_speaks() -> None:
    history = [ASK, said(call("a"), call("b")), result("a")]
    assert repaired(history) == (history, [])
    made, repairs = repaired(history, closed=True)
    assert len(made) == 4
    assert len(repairs) == 1


def full_history(chance: random.Random) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": "s"}] if chance.random() < 0.5 else []
    for turn in range(chance.randint(1, 3)):
        messages.append({"role": "user", "content": f"question {turn}"})
        for step in range(chance.randint(0, 2)):
            ids = [f"c{turn}{step}{place}" for place in range(chance.randint(1, 3))]
            messages.append(said(*[call(each) for each in ids]))
            messages += [result(each, f"result {each}") for each in ids]
        messages.append({"role": "assistant", "content": "answer"})
    return messages


def mutate(messages: list[Any], chance: random.Random) -> None:
    """One thing that goes wrong with histories."""
    place = chance.randrange(len(messages))
    message = messages[place]
    kind = chance.randrange(12)
    if kind == 0:
        del messages[place]
    elif kind == 1:
        messages.insert(place, copy.deepcopy(message))
    elif kind == 2:
        other = chance.randrange(len(messages))
        messages[place], messages[other] = messages[other], messages[place]
    elif kind == 3:
        del messages[place:]
    elif kind == 4:
        del messages[:place]
    elif kind == 5:
        message["content"] = chance.choice([None, "", [], 7, {"a": 1}, [{"type": "text", "text": "x"}]])
    elif kind == 6:
        message["tool_call_id"] = chance.choice([None, "", "c000", "other"])
    elif kind == 7:
        message["tool_calls"] = chance.choice([[], None, [call("")], [call("c000"), call("c000")], [{}], ["x"]])
    elif kind == 8 and message.get("tool_calls"):
        chance.choice([each for each in message["tool_calls"] if isinstance(each, dict)] or [{}])["id"] = chance.choice(
            ["", None, "c000", 7]
        )
    elif kind == 9 and message.get("tool_calls"):
        given = [each for each in message["tool_calls"] if isinstance(each, dict)] or [{}]
        chance.choice(given)["function"] = chance.choice([None, {"name": "f"}, {"name": "f", "arguments": "{x"}, "f"])
    elif kind == 10:
        message["function_call"] = {"name": "f", "arguments": "{}"}
    else:
        message["role"] = chance.choice(["user", "assistant", "tool", "system", "function"])


@given(st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_plain_messages_are_repaired_as_all_others(seed: int) -> None:
    """They are not looked at closely, which changes nothing."""
    chance = random.Random(seed)
    messages: list[Any] = [*full_history(chance), {"role": "user", "content": "gr\u00fcn \ud83d\ude00"}]
    messages += [{"role": "assistant", "content": chance.choice(["Hi", "\ud83d", '{"name": "f", "arguments": {}}'])}]
    messages += [result()] * chance.randrange(2)
    for _ in range(chance.randint(0, 4)):
        if messages:
            mutate(messages, chance)
    closed = chance.random() < 0.5
    quick = repaired(copy.deepcopy(messages), closed=closed)
    with pytest.MonkeyPatch.context() as patched:
        for module in ("agentkit.repair", "agentkit.history.given"):
            patched.setattr(f"{module}.is_plain_text", lambda message: False)
        assert repaired(copy.deepcopy(messages), closed=closed) == quick
    assert all(made is not given for made, given in zip(repaired(messages)[0], messages, strict=False))


@pytest.mark.slow
@given(st.integers(0, 2**32))
@settings(max_examples=500, deadline=None)
def test_thousands_of_mutations_end_in_histories_that_a_strict_server_takes(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(20):
        messages: list[Any] = full_history(chance)
        for _ in range(chance.randint(1, 5)):
            if messages:
                mutate(messages, chance)
        made, repairs = repaired(messages, closed=True)
        assert faults(made) == [], (messages, made)
        assert repaired(made, closed=True) == (made, [])
        if not faults(messages):
            assert len(made) == len(messages)
        elif made != messages:
            assert repairs


def strict(asked: Asked) -> Answer:
    """A server that takes nothing but valid histories."""
    found = faults_of_request(asked.body["messages"])
    if found:
        return Answer(json.dumps({"error": {"message": "; ".join(found)}}).encode(), status=400)
    return whole("Fine.")


@pytest.mark.parametrize(("messages", "told"), BROKEN)
def test_a_strict_server_is_never_given_a_reason_for_a_400(messages: list[Any], told: str) -> None:
    @tool
    def f() -> str:
        """Do it."""
        return "done"

    with serve(strict) as server, Agent(f"openai:m@{server.url}", tools=[f]) as agent:
        result = agent.run("And now?", messages=messages)
    assert result.output == "Fine."
    assert any(told in each for each in result.repairs)


def test_what_was_repaired_is_in_the_result_and_nothing_is_when_nothing_was() -> None:
    agent = Agent(ScriptedBackend("Fine.", "Fine."))
    assert agent.run("x", messages=[ASK, DONE]).repairs == []
    assert len(agent.run("x", messages=[ASK, said(call())]).repairs) == 1


IDS = st.sampled_from(["a", "b", "c", "", None, 7])
RESULTS = st.fixed_dictionaries(
    {"role": st.just("tool"), "tool_call_id": IDS, "content": st.text("xyz", max_size=2)},
    optional={"name": st.sampled_from(["f", "g", None, "no name!"])},
)


@given(
    st.lists(st.tuples(IDS, st.sampled_from(["a", "b", "c"]), st.sampled_from(["f", "g"])), max_size=5),
    st.lists(RESULTS),
)
def test_results_belong_to_the_first_call_that_they_fit(calls: list[Any], results: list[Any]) -> None:
    def has_id(had: Any, own: str, name: str, each: Any) -> bool:
        return bool(had) and each["tool_call_id"] in (had, own)

    def may_be(had: Any, own: str, name: str, each: Any) -> bool:
        its = each.get("name")
        return not each["tool_call_id"] and (not had or its is None or valid_name(its) == name)

    left = list(enumerate(results))
    expected: list[int | None] = [None] * len(calls)
    rules: list[Any] = [has_id, may_be]
    for fits in rules:
        for number, each in enumerate(calls):
            found = next((one for one in left if fits(*each, one[1])), None) if expected[number] is None else None
            if found is not None:
                left.remove(found)
                expected[number] = found[0]
    given_calls = [(had, call(own, name)) for had, own, name in calls]
    assert places_of_results(given_calls, results) == expected


@pytest.mark.parametrize("kind", ["another order", "without ids", "of no call"])
def test_many_calls_in_one_message_take_time_in_proportion(kind: str) -> None:
    def history(count: int) -> list[Any]:
        names = [str(number) for number in range(count)]
        calls = said(*map(call, names))
        if kind == "another order":
            return [ASK, calls, *map(result, reversed(names))]
        if kind == "without ids":
            return [ASK, calls, *({**result(None), "name": "f" if number % 2 else "g"} for number in range(count))]
        return [ASK, said(*map(call, names)), *(result(f"x{name}", name) for name in names)]

    assert_linear(lambda count: repaired(history(count), closed=True), 1000)
