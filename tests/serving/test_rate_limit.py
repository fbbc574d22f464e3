"""Rate limits: so many requests a minute and name, in memory and in Redis, whatever the clocks say."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentkit.serving.rate_limit import RateLimiter, rate_limit_storage
from tests.support.redis_server import serve_redis


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(params=["memory", "redis"])
def limiter(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[int], RateLimiter]:
    if request.param == "memory":
        return RateLimiter
    where = f"{request.getfixturevalue('url')}?prefix={tmp_path.name}:"
    return lambda per_minute: RateLimiter(per_minute, where)


def test_requests_over_the_limit_are_refused_by_name(limiter: Callable[[int], RateLimiter]) -> None:
    rates = limiter(3)
    assert [rates.allows("ann") for _ in range(5)] == [True, True, True, False, False]
    assert rates.allows("bob")
    assert 58 <= rates.wait("ann") <= 60
    assert rates.wait("bob") == 1
    assert not limiter(0).allows("eve")


def test_a_clock_that_is_set_back_or_forward_changes_nothing(
    limiter: Callable[[int], RateLimiter], monkeypatch: pytest.MonkeyPatch
) -> None:
    rates, now = limiter(2), time.time
    for hours in (0, -1, 1):
        monkeypatch.setattr(time, "time", lambda hours=hours: now() + 3600 * hours)
        name = f"ann{hours}"
        assert [rates.allows(name) for _ in range(3)] == [True, True, False]
        assert not rates.allows("ann0")
        assert rates.wait("ann0") <= 60


def test_requests_leave_the_window_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    rates, now = RateLimiter(1), time.monotonic
    assert rates.allows("ann")
    assert not rates.allows("ann")
    monkeypatch.setattr(time, "monotonic", lambda: now() + 61)
    assert rates.allows("ann")
    assert [rates.allows(f"name {number}") for number in range(1000)] == [True] * 1000
    assert rates._counter._times.keys() == {"ann", *(f"name {number}" for number in range(1000))}  # type: ignore[attr-defined]
    monkeypatch.setattr(time, "monotonic", lambda: now() + 122)
    assert [rates.allows("eve") for _ in range(1000)].count(True) == 1
    assert len(rates._counter._times) == 1  # type: ignore[attr-defined]


def test_times_in_the_future_that_a_redis_server_holds_are_no_limit(url: str) -> None:
    import redis

    server = redis.Redis.from_url(url)
    server.zadd("back:rate:ann", {"a": (time.time() + 3600) * 1000, "b": (time.time() + 3600) * 1000})
    rates = RateLimiter(2, f"{url}?prefix=back:")
    assert [rates.allows("ann") for _ in range(3)] == [True, True, False]
    server.close()


def test_an_unreachable_server_allows_every_request() -> None:
    rates = RateLimiter(1, "redis://127.0.0.1:1/0")
    assert [rates.allows("ann") for _ in range(2)] == [True, True]
    assert rates.wait("ann") == 1


@pytest.mark.parametrize(
    ("store", "where"),
    [
        ("chat.db", "memory://"),
        ("memory:", "memory://"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("redis+sentinel://a,b/mymaster", "redis+sentinel://a,b/mymaster"),
        ("redis://host/0?prefix={x}:", "redis://host/0?prefix={x}:"),
    ],
)
def test_rates_are_counted_where_the_sessions_are_if_that_is_shared(store: str, where: str) -> None:
    assert rate_limit_storage(store) == where
