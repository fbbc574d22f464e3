"""The cost of a run: as the server reports it, by the user's prices, or by genai-prices."""

import logging

import pytest

from agentkit import Agent, ConfigurationError, LimitError, Limits, Prices, Usage, tool
from agentkit.backends import OpenAIBackend
from agentkit.event import Reply
from agentkit.middleware.pricing import known_cost
from agentkit.testing import ScriptedBackend
from tests.support.model_server import calls, serve, whole

TOKENS = {"prompt_tokens": 1_000_000, "completion_tokens": 100_000, "prompt_tokens_details": {"cached_tokens": 400_000}}


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look something up."""
    return topic


def cost_of(usage: dict[str, object] | None, prices: Prices | None, limits: Limits | None = None) -> float | None:
    with serve([whole("Done.", usage=usage)]) as server:
        backend = OpenAIBackend("some-model", base_url=server.url)
        result = Agent(backend, prices=prices, limits=limits).run("Go.")
        backend.close()
    return result.usage.cost


def test_the_users_prices_are_for_a_million_tokens() -> None:
    assert cost_of(TOKENS, Prices(input=2.0, output=8.0)) == pytest.approx(2.0 + 0.8)
    assert cost_of(TOKENS, Prices(input=2.0, output=8.0, cached=0.5)) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.8)


def test_the_cost_reported_by_the_server_takes_precedence() -> None:
    assert cost_of({**TOKENS, "cost": 0.25}, Prices(input=2.0, output=8.0)) == 0.25


def test_a_reported_cost_of_0_is_known() -> None:
    assert cost_of({**TOKENS, "cost": 0}, Prices(input=2.0, output=8.0)) == 0.0


@pytest.mark.parametrize("cost", [True, "0.25", -1, float("nan"), float("inf"), 10**400, {}, None])
def test_what_is_no_amount_is_not_taken_for_a_cost(cost: object) -> None:
    assert cost_of({**TOKENS, "cost": cost}, None) is None


def test_without_prices_and_limit_the_cost_is_not_known() -> None:
    assert cost_of(TOKENS, None) is None


def test_tokens_that_are_not_reported_have_no_known_cost_unless_they_are_free() -> None:
    assert cost_of(None, Prices(input=2.0, output=8.0)) is None
    assert cost_of(None, Prices(input=0.0, output=0.0)) == 0.0


def test_a_known_model_is_priced_by_the_package() -> None:
    usage = Usage(requests=1, input_tokens=1_000_000, output_tokens=1_000_000)
    cost = known_cost("gpt-4o", None, usage)
    assert cost is not None
    assert cost > 1
    assert known_cost("nobody-knows-this", None, usage) is None
    assert known_cost("gpt-4o", "http://localhost:8000/v1", usage) is None


def test_a_limit_on_the_cost_ends_the_run_well() -> None:
    def spending(number: int) -> Reply:
        function = {"name": "look_up", "arguments": f'{{"topic": "{number}"}}'}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": f"c{number}", "type": "function", "function": function}],
        }
        return Reply(message, "tool_calls", Usage(requests=1, input_tokens=100_000))  # type: ignore[arg-type]

    backend = ScriptedBackend(*[spending(number) for number in range(5)], "Never.")
    agent = Agent(backend, tools=[look_up], prices=Prices(1.0, 1.0), limits=Limits(cost=0.25))
    result = agent.run("Go.")
    assert (result.stopped, len(backend.requests)) == ("cost", 2)
    assert result.usage.cost == pytest.approx(0.2)


def test_a_limit_that_cannot_hold_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "agentkit"):
        assert cost_of(TOKENS, None, Limits(cost=1.0)) is None
    assert "is not known" in caplog.text


def test_a_limit_raises_with_on_limit_raise() -> None:
    with serve([calls(("look_up", {"topic": "x"})), whole("Never.")]) as server:
        with (
            Agent(f"openai:m@{server.url}", tools=[look_up], limits=Limits(turns=1, on_limit="raise")) as agent,
            pytest.raises(LimitError, match="turns") as caught,
        ):
            agent.run("Go.")
        assert len(server.requests) == 1
    roles = [message["role"] for message in caught.value.messages]  # type: ignore[attr-defined]
    assert roles[:3] == ["user", "assistant", "tool"]


@pytest.mark.parametrize("wrong", [-1, float("nan")])
def test_invalid_prices_and_limits_are_rejected(wrong: float) -> None:
    for prices in ({"input": wrong}, {"output": wrong}, {"cached": wrong}):
        with pytest.raises(ConfigurationError, match="at least 0"):
            Prices(**{"input": 1, "output": 1, **prices})
    for name in ("turns", "tokens", "seconds", "cost", "tool_calls", "repeats", "failures"):
        with pytest.raises(LimitError, match=f"{name}=.*at least"):
            Limits(**{name: wrong})
    with pytest.raises(LimitError, match="on_limit"):
        Limits(on_limit="explode")  # type: ignore[arg-type]
