"""What was spent adds up, and a cost that is not known stays unknown."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit import Agent, Context, Limits, Prices, Usage, tool
from agentkit.backends import OpenAIBackend
from agentkit.errors import LimitError
from agentkit.event import Reply
from agentkit.limits import Budget
from agentkit.testing import ScriptedBackend
from tests.support.model_server import calls, serve, whole

COUNT = st.integers(0, 3)
AMOUNT = st.integers(0, 64).map(lambda quarters: quarters / 4)  # no rounding, so that sums are compared exactly
USAGE = st.builds(Usage, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT, st.none() | AMOUNT, AMOUNT)
TOKENS = {"prompt_tokens": 1_000_000, "completion_tokens": 0}


@given(USAGE, USAGE, USAGE)
def test_usage_adds_up_in_any_order(one: Usage, two: Usage, three: Usage) -> None:
    assert (one + two) + three == one + (two + three)
    assert one + two == two + one


@given(USAGE)
def test_nothing_spent_changes_no_sum(usage: Usage) -> None:
    assert usage + Usage() == usage
    assert Usage() + usage == usage


@given(st.lists(USAGE, max_size=6))
def test_a_partial_sum_does_not_pose_as_the_total_cost(parts: list[Usage]) -> None:
    total = sum(parts, Usage())
    unknown = [
        each for each in parts if each.cost is None and (each.requests or each.input_tokens or each.output_tokens)
    ]
    known = [each.cost for each in parts if each.cost is not None]
    assert total.cost == (sum(known) if known and not unknown else None)


@given(USAGE, USAGE)
def test_what_was_added_can_be_taken_off_again(one: Usage, two: Usage) -> None:
    rest = (one + two) - two
    assert rest.requests == one.requests
    assert rest.seconds == one.seconds
    assert rest.cost in (one.cost, None, 0.0)


def test_tool_calls_and_time_have_no_cost_that_could_be_unknown() -> None:
    assert (Usage(requests=1, input_tokens=5, cost=0.25) + Usage(tool_calls=1) + Usage(seconds=2.0)).cost == 0.25


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look something up."""
    return topic


def spending(number: int, cost: float | None) -> Reply:
    function = {"name": "look_up", "arguments": f'{{"topic": "{number}"}}'}
    message: Any = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": f"c{number}", "type": "function", "function": function}],
    }
    return Reply(message, "tool_calls", Usage(requests=1, input_tokens=100, cost=cost))


def test_a_limit_on_the_cost_counts_the_costs_that_are_known() -> None:
    script = [spending(number, None if number % 2 else 0.1) for number in range(12)]
    backend = ScriptedBackend(*script)
    result = Agent(backend, tools=[look_up], limits=Limits(cost=0.35)).run("Go.")
    assert result.stopped == "cost"
    assert result.usage.cost is None
    assert len(backend.requests) < 12


def test_a_nested_run_of_unknown_cost_makes_the_cost_of_the_outer_unknown_and_counts_what_it_knows() -> None:
    inner = Agent(ScriptedBackend(spending(1, 0.5), spending(2, None), "Inner."), tools=[look_up])
    outer = ScriptedBackend(("expert", {"task": "x"}), "Enough.", "Never.")
    agent = Agent(outer, tools=[inner.as_tool("expert", "Knows.")], limits=Limits(cost=0.4))
    result = agent.run("Go.")
    assert result.stopped == "cost"
    assert result.usage.cost is None
    assert result.usage.requests >= 3


def test_reservations_of_a_run_are_numbers_whether_its_costs_are_known_or_not() -> None:
    outer = Budget(Limits(cost=1.0))
    inner = Budget(Limits(), parent=outer)
    for cost in (0.25, None, 0.25):
        assert inner.begin_reply() is None
        inner.end_reply(Usage(requests=1, input_tokens=1, cost=cost))
    assert inner.begin_reply() is None  # 0.5 spent, and twice 0.25 ahead
    inner.end_reply(Usage(requests=1, input_tokens=1, cost=0.25))
    assert inner.begin_reply() == "cost"
    inner.release()
    assert outer.usage.cost is None
    assert outer.begin_reply() is None  # its own replies have cost nothing so far


def test_prices_give_a_run_a_number_and_without_them_it_has_none() -> None:
    for prices, cost in ((Prices(input=2.0, output=8.0), 4.0), (None, None)):
        with serve([calls(("look_up", {"topic": "x"}), usage=TOKENS), whole("Done.", usage=TOKENS)]) as server:
            backend = OpenAIBackend("some-model", base_url=server.url)
            with Agent(backend, tools=[look_up], prices=prices) as agent:
                result = agent.run("Go.")
            backend.close()
        assert result.usage.cost == pytest.approx(cost)
        assert result.usage.tool_calls == 1


@pytest.mark.parametrize("seconds", [1e10, 1e300, float("inf")])
def test_a_limit_beyond_what_threads_can_wait_is_no_error(seconds: float) -> None:
    @tool(read_only=True, timeout=seconds)
    def look(n: int, ctx: Context) -> str:
        """Look."""
        return "found"

    calls: list[Any] = [("look", {"n": 1}), ("look", {"n": 2})]
    agent = Agent(ScriptedBackend(calls, "Done."), tools=[look], limits=Limits(seconds=seconds), tool_timeout=seconds)
    result = agent.run("Go.")
    assert [each.response for each in result.tool_calls] == ["found", "found"]


@pytest.mark.parametrize(("name", "value"), [("repeats", 1), ("repeats", 2.5), ("failures", 0), ("failures", 1.5)])
def test_limits_on_loops_are_numbers_of_calls(name: str, value: Any) -> None:
    with pytest.raises(LimitError, match=f"Limits.{name}="):
        Limits(**{name: value})


def test_different_calls_are_no_loop_at_the_lowest_limit() -> None:
    @tool(read_only=True)
    def look(number: int) -> str:
        """Look."""
        return f"result {number}"

    steps = [("look", {"number": number}) for number in range(4)]
    result = Agent(ScriptedBackend(*steps, "Done."), tools=[look], limits=Limits(repeats=2)).run("Go.")
    assert (result.stopped, len(result.tool_calls)) == ("answer", 4)


@pytest.mark.parametrize("at", [0.0, 1.9e9])
def test_a_limit_of_time_holds_where_a_test_has_frozen_the_clock(monkeypatch: pytest.MonkeyPatch, at: float) -> None:
    """As freezegun does, which puts the monotonic clock to the frozen date (spulec/freezegun#384)."""

    @tool(read_only=True, timeout=20)
    def double(number: int) -> int:
        """Double a number."""
        return 2 * number

    calls = [("double", {"number": 1}), ("double", {"number": 2})]
    agent = Agent(ScriptedBackend(calls, "Done."), tools=[double], limits=Limits(seconds=30))
    monkeypatch.setattr(time, "monotonic", lambda: at)
    result = agent.run("Twice one and two?")
    assert (result.output, result.stopped, result.usage.seconds) == ("Done.", "answer", 0.0)
    assert [call.response for call in result.tool_calls] == ["2", "4"]
