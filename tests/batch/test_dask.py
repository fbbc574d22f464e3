"""A Dask cluster answers each item once, whatever becomes of its workers. All tests share one cluster."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agentkit import ConfigurationError
from agentkit.batch import read_records, run_batch
from agentkit.batch.fleets import fleet_of
from agentkit.batch.job import Job
from tests.support.batch_agents import ASKED, NEEDED
from tests.support.list_feed import ListFeed

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

OBEDIENT = "tests.support.batch_agents:obedient"
NEEDY = "tests.support.batch_agents:needy"
AT_ONCE = 8
ITEMS = 150


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the workers note each question."""
    return tmp_path_factory.mktemp("dask") / "asked"


@pytest.fixture(scope="module")
def client(asked: Path) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ASKED, str(asked))
        patch.delenv(NEEDED, raising=False)
        cluster = distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            memory_limit=0,
            silence_logs=50,
        )
        with cluster, distributed.Client(cluster, set_as_default=False) as made:
            yield made


def test_workers_that_are_killed_cost_no_item_and_repeat_only_what_they_had(
    client: Any, asked: Path, tmp_path: Path
) -> None:
    out, kills, pids = tmp_path / "answers.jsonl", 1, set()
    questions = [{"id": str(number), "question": f"{number} wait 0.02"} for number in range(ITEMS)]
    run = run_batch(OBEDIENT, questions, out=out, on=client, at_once=AT_ONCE)
    for count, _ in enumerate(run, 1):
        if count == 50:
            pid = next(iter(client.run(os.getpid).values()))
            pids.add(pid)
            os.kill(pid, signal.SIGKILL)
    assert run.ending == "complete"
    records = list(read_records(out))
    assert Counter(each["id"] for each in records) == Counter(str(number) for number in range(ITEMS))
    assert all(each["output"] == f"answer {each['id']}" for each in records)
    times = Counter(line.split()[0] for line in asked.read_text().splitlines())
    assert times.total() - ITEMS <= kills * AT_ONCE
    assert len(pids) == kills


def test_a_process_of_this_machine_comes_back_though_dask_has_given_it_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine a process takes longer to start than Dask waits, 15 s; here it waits for nothing."""
    monkeypatch.setenv(ASKED, str(asked := tmp_path / "asked"))
    monkeypatch.setattr(distributed, "LocalCluster", partial(distributed.LocalCluster, n_workers=1))
    questions = [f"{number} wait 0.02" for number in range(40)]
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1ms"}),
        run_batch(OBEDIENT, questions, on="dask", at_once=AT_ONCE) as run,
    ):
        records = [next(run) for _ in range(10)]
        os.kill(int(asked.read_text().splitlines()[-1].split("\t")[1]), signal.SIGKILL)
        records += run
    assert sorted(each["output"] for each in records) == sorted(f"answer {number}" for number in range(40))


def test_a_question_that_kills_its_worker_is_named_and_costs_no_other(client: Any) -> None:
    questions = [{"id": str(number), "question": str(number)} for number in range(60)]
    questions[30]["question"] = "30 die"
    run = run_batch(OBEDIENT, questions, on=client.get_executor(), at_once=AT_ONCE)
    records = {each["id"]: each for each in run}
    assert len(records) == 60
    failed = {name: each["error"] for name, each in records.items() if not each["ok"]}
    assert list(failed) == ["30"]
    assert failed["30"]["type"] == "process_died"
    assert "SIGKILL" in failed["30"]["message"]


def test_a_batch_that_is_cancelled_stops_in_the_workers_although_all_are_busy(client: Any) -> None:
    job = Job.of(OBEDIENT, at_once=(6, 6, 6))
    feed = ListFeed(job, [f"{number} loop" for number in range(6)])
    fleet = fleet_of(client, job)
    fleet.start(job, feed)
    assert not fleet.join(0.5)
    fleet.cancel()
    assert fleet.join(60)
    fleet.close()
    assert {each["stopped"] for each in feed.records.values()} <= {"cancelled"}


def test_a_key_that_the_workers_lack_is_one_error_before_anything_is_asked(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NEEDED, "of the driver alone")
    with pytest.raises(ConfigurationError, match=rf"workers of the Dask cluster can't be used: .*{NEEDED} is not set"):
        run_batch(NEEDY, ["1"], on=client)


def test_a_scheduler_that_is_not_there_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.batch.dask.CONNECT_SECONDS", 0.5)
    with pytest.raises(ConfigurationError, match=r"no Dask scheduler answers at 127\.0\.0\.1:9"):
        run_batch(OBEDIENT, ["1"], on="dask://127.0.0.1:9")
