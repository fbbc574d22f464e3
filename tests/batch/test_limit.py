"""How many requests go to a server at once, in simulated time: `agentkit.batch.limit` and `agentkit.batch.gate`."""

import math
import random
from collections.abc import Callable

import pytest

from agentkit.batch.gate import MAX_BACKOFF, Gate
from agentkit.batch.limit import Limit
from tests.support.simulated_server import Outcome, Server, simulate

SEEDS = range(2)
Service = Callable[[random.Random, float], float]


def about(seconds: float, spread: float = 0.1) -> Service:
    return lambda chance, now: seconds * chance.uniform(1 - spread, 1 + spread)


def of_many_lengths(seconds: float, sigma: float) -> Service:
    return lambda chance, now: seconds * math.exp(chance.gauss(0, sigma) - sigma * sigma / 2)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.3, 2.0, 5.0])
@pytest.mark.parametrize(("cap", "least", "most_refused"), [(5, 0.95, 0.06), (8, 0.95, 0.06), (40, 0.95, 0.05)])
def test_a_cap_is_found_and_kept_with_few_refusals(
    cap: int, least: float, most_refused: float, seconds: float, seed: int
) -> None:
    """Also a small one, at which each try is a large part of what is sent."""
    outcome = simulate(Server(cap=cap, service=about(seconds)), 2000, seed=seed)
    assert 2000 / outcome.seconds >= least * cap / seconds
    assert outcome.share_refused <= most_refused


@pytest.mark.parametrize("seconds", [0.05, 0.2, 2.0])
def test_requests_that_come_back_together_do_not_wait_long_for_each_other(seconds: float) -> None:
    """What a start sends at once is answered at once: it is spread, but not over a whole round."""
    outcome = simulate(Server(cap=16, service=lambda chance, now: seconds), 2000)
    assert 2000 / outcome.seconds >= 0.97 * 16 / seconds


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cap_whose_refusals_ask_for_a_second_is_tried_seldom(seed: int) -> None:
    """Each try costs a second of all runs, so that what is tried at once is much."""
    outcome = simulate(Server(cap=40, service=about(0.2), asks=1.0), 6000, seed=seed)
    assert 6000 / outcome.seconds >= 0.8 * 40 / 0.2
    assert outcome.share_refused <= 0.02


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("asks", [None, 0.05, 1.0])
def test_a_rate_is_used_with_few_refusals(asks: float | None, seed: int) -> None:
    outcome = simulate(Server(rate=100, service=about(0.2), asks=asks), 2000, seed=seed)
    assert 2000 / outcome.seconds >= 90
    assert outcome.share_refused <= 0.2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_queue_is_kept_short_and_its_server_busy(seed: int) -> None:
    outcome = simulate(Server(slots=16, service=about(0.2)), 1500, seed=seed)
    assert 1500 / outcome.seconds >= 0.95 * 16 / 0.2
    assert sorted(outcome.latencies)[750] <= 2.5 * 0.2


@pytest.mark.parametrize("seed", SEEDS)
def test_answers_of_many_lengths_are_not_taken_for_a_queue(seed: int) -> None:
    """The mean of what is answered first is that of the short answers, and looks like an empty server."""
    server = Server(service=of_many_lengths(1.0, 1.0))
    outcome = simulate(server, 3000, seed=seed)
    assert outcome.limits[-1] >= 64
    queueing = simulate(Server(slots=16, service=of_many_lengths(0.3, 1.0)), 2000, seed=seed)
    assert 2000 / queueing.seconds >= 0.75 * 16 / 0.3


def test_answers_that_become_longer_do_not_shrink_the_number() -> None:
    server = Server(service=lambda chance, now: (1.0 if now < 10 else 3.0) * chance.uniform(0.8, 1.2))
    outcome = simulate(server, 2500)
    assert outcome.limits[-1] >= 100


@pytest.mark.parametrize("asks", [None, 1.0])
def test_a_cap_that_is_tripled_is_used_within_ten_seconds(asks: float | None) -> None:
    """In whatever part of the seconds that are waited where the server asks for them."""
    for late in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0) if asks else (0.0,):
        change = 20.0 + late
        server = Server(cap=40, service=about(0.2), asks=asks, changes=[(change, "cap", 120)])
        outcome = simulate(server, 9000)
        rates = [outcome.rate(change + second, change + second + 1) for second in range(10)]
        assert max(rates) >= 0.9 * 120 / 0.2


def test_it_recovers_within_seconds_from_a_minute_of_refusals_only() -> None:
    """UKGovernmentBEIS/inspect_ai#5137 and PR#5138: the number froze, and stayed where the refusals had left it."""
    outcome = simulate(Server(cap=40, service=about(0.2), down=(5.0, 65.0)), 4000)
    assert outcome.rate(65 + 2 * MAX_BACKOFF, 77) >= 0.85 * 40 / 0.2
    assert outcome.refused < 400


def test_a_server_that_asks_for_89_seconds_each_time_is_asked_once_each_time() -> None:
    """UKGovernmentBEIS/inspect_ai#5137: a hint that is longer than the time between retries."""
    gate, now = Gate(Limit()), 0.0
    for _ in range(10):
        assert gate.wait(now) == 0
        begun = gate.send(now)
        assert gate.wait(now) == 0 or gate.in_flight
        gate.refused(begun, 89.0, now + 0.1)
        assert gate.wait(now + 0.2) > 88
        now += 90
    begun = gate.send(now)
    gate.answered(begun, 1.0, now + 1)
    assert gate.limit.value >= 4
    assert gate.wait(now + 1) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_refusals_by_chance_do_not_bring_it_down_to_the_least(seed: int) -> None:
    outcome = simulate(Server(noise=0.05, service=about(0.2)), 4000, seed=seed)
    assert outcome.limits[-1] >= 16
    assert outcome.share_refused <= 0.08


def test_it_never_has_more_in_flight_than_the_most_nor_fewer_than_the_least() -> None:
    outcome = simulate(Server(service=about(0.2)), 2000, limit=(4, 16, 32))
    assert outcome.most == 32
    refused = simulate(Server(cap=2, service=about(0.2)), 100)
    assert min(refused.limits) >= 4
    assert len(refused.times) == 100


@pytest.mark.parametrize("number", [1, 7, 200])
def test_a_number_that_is_given_stays(number: int) -> None:
    outcome = simulate(Server(cap=5, slots=None, service=about(0.2)), 100, limit=(number, number, number))
    assert set(outcome.limits) == {number}


def test_chance_of_all_kinds_loses_no_request_and_ends() -> None:
    """93 servers with other parameters each."""
    for seed in range(93):
        chance = random.Random(seed)
        server = Server(
            cap=chance.choice([None, 1, 3, 40]),
            rate=chance.choice([None, 5.0, 100.0]),
            burst=chance.choice([1.0, 10.0, 100.0]),
            slots=chance.choice([None, 1, 16]),
            noise=chance.choice([0.0, 0.05, 0.5]),
            asks=chance.choice([None, 0.0, 0.05, 3.0]),
            service=of_many_lengths(chance.choice([0.01, 0.3, 5.0]), chance.choice([0.1, 1.0])),
            down=chance.choice([(0.0, 0.0), (1.0, 20.0)]),
        )
        outcome: Outcome = simulate(server, 60, seed=seed)
        assert len(outcome.times) == 60, server
        assert outcome.sent == 60 + outcome.refused, server
        assert min(outcome.limits) >= 4, server
        assert max(outcome.limits) <= 128, server
