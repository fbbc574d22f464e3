"""The window of a pace, in a time of its own: a server that counts strictly refuses nothing."""

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.net.rate_limits import LEAST_ARRIVAL, Server, Slot, Window

DELAYS = st.floats(0.0, LEAST_ARRIVAL)


@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 8),
    st.sampled_from([1.0, 60.0]),
    st.lists(st.tuples(st.floats(0.0, 2.0), DELAYS, DELAYS, st.booleans()), min_size=1, max_size=60),
)
def test_no_more_arrives_within_a_window_than_the_limit(
    limit: int, per: float, steps: list[tuple[float, float, float, bool]]
) -> None:
    """steps: seconds between two requests, until one arrives, and from then until its response; whether others wait."""
    window, server = Window(limit, per), Server("", is_known=True)
    now, arrivals, answers = 1000.0, [], deque[tuple[float, Slot]]()
    for pause, arrival, rest, is_crowded in steps:
        now += pause
        while True:
            for each in [each for each in answers if each[0] <= now]:
                each[1].arrived = each[0]
                answers.remove(each)
            wait = window.wait(1, now, is_crowded)
            if wait == 0:
                break
            assert wait <= per + max(0.05 * per, LEAST_ARRIVAL)
            now += wait
        slot = Slot(server, 0.0, now)
        window.add(slot, 1)
        arrivals.append(now + arrival)
        answers.append((now + arrival + rest, slot))
    arrivals.sort()
    for first, beyond in zip(arrivals, arrivals[limit:], strict=False):
        assert beyond - first >= per - 1e-6


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 100), st.booleans())
def test_a_limit_is_used_in_full(limit: int, is_crowded: bool) -> None:
    window, server = Window(limit, 1.0), Server("", is_known=True)
    now, sent = 1000.0, 0
    while now < 1010.0:
        wait = window.wait(1, now, is_crowded)
        if wait:
            now += wait
            continue
        slot = Slot(server, 0.0, now, arrived=now)
        window.add(slot, 1)
        sent += 1
    assert sent >= 10 * limit
