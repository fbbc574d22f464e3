"""A Ray cluster answers each item once, whatever becomes of its workers."""

import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agentkit import ConfigurationError
from agentkit.batch import read_records, run_batch
from agentkit.batch.fleets import fleet_of
from agentkit.batch.job import Job
from tests.support.batch_agents import ASKED, NEEDED
from tests.support.list_feed import ListFeed
from tests.support.waiting import until

OBEDIENT = "tests.support.batch_agents:obedient"
NEEDY = "tests.support.batch_agents:needy"
AT_ONCE = 16
pytestmark = pytest.mark.timeout(300)


def asked_since(asked: Path, before: int) -> list[tuple[str, int]]:
    """(question, process) of each line after the first `before`."""
    lines = asked.read_text().splitlines()[before:]
    return [(line.split("\t")[0].split()[0], int(line.split("\t")[1])) for line in lines]


def count(asked: Path) -> int:
    return len(asked.read_text().splitlines()) if asked.exists() else 0


def test_actors_that_are_killed_cost_no_item_and_repeat_only_what_they_had(asked: Path, tmp_path: Path) -> None:
    out, items, kills, before = tmp_path / "answers.jsonl", 2000, 2, count(asked)
    questions = [{"id": str(number), "question": f"{number} wait 0.01"} for number in range(items)]
    run = run_batch(OBEDIENT, questions, out=out, on="ray", at_once=AT_ONCE)
    for done, _ in enumerate(run, 1):
        if done in (500, 1200):
            os.kill(asked_since(asked, before)[-1][1], signal.SIGKILL)
    assert run.ending == "complete"
    records = list(read_records(out))
    assert Counter(each["id"] for each in records) == Counter(str(number) for number in range(items))
    assert all(each["output"] == f"answer {each['id']}" for each in records)
    assert len(asked_since(asked, before)) - items <= kills * AT_ONCE


def test_a_question_that_kills_its_actor_is_named_and_costs_no_other() -> None:
    questions = [{"id": str(number), "question": str(number)} for number in range(1000)]
    for poisoned in (200, 500, 800):
        questions[poisoned]["question"] += " die"
    records = {each["id"]: each for each in run_batch(OBEDIENT, questions, on="ray", at_once=AT_ONCE)}
    assert len(records) == 1000
    failed = {name: each["error"] for name, each in records.items() if not each["ok"]}
    assert set(failed) == {"200", "500", "800"}
    assert all(each["type"] == "process_died" and "SIGKILL" in each["message"] for each in failed.values())


def test_a_batch_that_is_cancelled_stops_in_the_actors_although_all_are_busy() -> None:
    job = Job.of(OBEDIENT, at_once=(6, 6, 6))
    feed = ListFeed(job, [f"{number} loop" for number in range(6)])
    fleet = fleet_of("ray", job)
    fleet.start(job, feed)
    assert not fleet.join(0.5)
    fleet.cancel()
    assert fleet.join(60)
    fleet.close()
    assert {each["stopped"] for each in feed.records.values()} <= {"cancelled"}


def test_a_key_that_the_actors_lack_is_one_error_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NEEDED, "of the driver alone")
    with pytest.raises(ConfigurationError, match=rf"nodes of the Ray cluster can't be used: .*{NEEDED} is not set"):
        run_batch(NEEDY, ["1"], on="ray")


def test_nothing_reports_to_the_makers_of_ray(cluster: Any) -> None:
    variable = "RAY_USAGE_STATS_ENABLED"
    assert os.environ[variable] == "0"
    assert cluster.get(cluster.remote(lambda: os.environ.get(variable)).remote()) == "0"


DRIVER = """
    import os, sys

    import ray

    from agentkit.batch import run_batch

    variables = {name: os.environ[name] for name in ("AGENTKIT_TEST_ASKED", "PYTHONPATH")}
    ray.init(address=sys.argv[1], log_to_driver=False, runtime_env={"env_vars": variables})
    questions = [f"late{number} wait 0.2" for number in range(5000)]
    for _ in run_batch("tests.support.batch_agents:obedient", questions, on="ray", at_once=8):
        pass
"""


def test_after_the_death_of_its_program_nothing_new_is_asked(cluster: Any, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    environment = {**os.environ, ASKED: str(asked), "PYTHONPATH": os.pathsep.join(sys.path)}
    (tmp_path / "program.py").write_text(textwrap.dedent(DRIVER))
    address = cluster.get_runtime_context().gcs_address
    driver = subprocess.Popen([sys.executable, tmp_path / "program.py", address], env=environment)
    try:
        until(lambda: count(asked) >= 16, seconds=200)
    finally:
        driver.kill()
        driver.wait()
    at_death = count(asked)
    worker = asked_since(asked, 0)[-1][1]
    until(lambda: not Path(f"/proc/{worker}").exists(), seconds=60)
    assert count(asked) - at_death <= 2 * 8
