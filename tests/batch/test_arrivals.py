"""The workers of a cluster are checked before they get items; one that does not answer holds up no other."""

import logging
import threading
from concurrent.futures import Future

import pytest

from agentkit import Agent, ConfigurationError
from agentkit.batch import arrivals, remote
from agentkit.batch.arrivals import Arrivals
from agentkit.batch.job import Job
from tests.support.batch_agents import Obedient

CLOSED = threading.Event()


class Cluster:
    """Workers with names; answers: what the check of each says, None while it has not answered."""

    def __init__(self, **answers: "remote.Checked | str | None") -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.arrivals = Arrivals("worker", "Dask", self._begin, lambda name, check: self.answers[name])

    def _begin(self, name: str) -> "Future[None]":
        self.asked.append(name)
        check: Future[None] = Future()
        if self.answers[name] is not None:
            check.set_result(None)
        return check

    def look(self) -> None:
        self.arrivals.take_up(self.answers.keys(), self.answers.keys())

    def start(self) -> list[str]:
        self.arrivals.start(Job.of(Agent(Obedient())), self.look, CLOSED)
        return [place.name for place in self.arrivals.places.all()]


def usable() -> remote.Checked:
    return remote.check(Job.of("tests.support.batch_agents:obedient").to_json())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CHECK_SECONDS", "OTHERS_SECONDS", "TOLD_SECONDS"):
        monkeypatch.setattr(arrivals, name, 0.1)


def test_a_batch_begins_with_the_workers_that_have_answered(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "OTHERS_SECONDS", 0.5)
    cluster = Cluster(good=usable(), silent=None)
    with caplog.at_level(logging.WARNING, "agentkit"):
        assert cluster.start() == ["good"]
    assert "waiting for the workers of the Dask cluster" in caplog.text
    cluster.answers["silent"] = usable()
    cluster.arrivals.checks[0].set_result(None)
    cluster.look()
    assert [place.name for place in cluster.arrivals.places.all()] == ["good", "silent"]
    assert sorted(cluster.asked) == ["good", "silent"]


def test_without_an_answer_of_any_worker_the_start_fails() -> None:
    with pytest.raises(ConfigurationError, match="no worker of the Dask cluster has answered"):
        Cluster(silent=None).start()


def test_a_worker_that_can_not_be_used_stops_the_start_and_later_is_left_out() -> None:
    with pytest.raises(ConfigurationError, match="1 workers of the Dask cluster can't be used: bad: no key"):
        Cluster(good=usable(), bad="no key").start()
    cluster = Cluster(good=usable())
    cluster.start()
    cluster.answers["bad"] = "no key"
    cluster.look()
    assert cluster.arrivals.trouble() == ""
    cluster.arrivals.places.leave(cluster.arrivals.places.all()[0])
    assert "can be used any more: bad: no key" in cluster.arrivals.trouble()
    del cluster.answers["bad"]
    cluster.look()
    assert cluster.arrivals.trouble() == ""


def test_a_cluster_that_has_lost_all_its_workers_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(good=usable())
    cluster.start()
    cluster.arrivals.places.leave(cluster.arrivals.places.all()[0])
    cluster.answers.clear()
    monkeypatch.setattr(arrivals, "TOLD_SECONDS", 0.0)
    cluster.look()
    assert cluster.arrivals.trouble() == ""
    assert "the Dask cluster has no worker: waiting for one" in caplog.text
