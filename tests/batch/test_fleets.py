"""Fleets of executors: what an executor loses costs no item, and what kills its processes is found."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from agentkit import ConfigurationError
from agentkit.batch import remote, run_batch
from agentkit.batch.fleets import fleet_of
from agentkit.batch.futures import FutureFleet
from agentkit.batch.job import Job
from agentkit.errors import MissingExtraError
from tests.support.batch_agents import ASKED, NEEDED
from tests.support.list_feed import ListFeed
from tests.support.waiting import until

OBEDIENT = "tests.support.batch_agents:obedient"
NEEDY = "tests.support.batch_agents:needy"
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=SPAWN) as made:
        yield made


def answered(on: Any, questions: list[str], agent: str = OBEDIENT, **options: Any) -> ListFeed:
    """What has come of questions in a fleet."""
    job = Job.of(agent, **options)
    feed = ListFeed(job, questions)
    fleet = fleet_of(on, job)
    try:
        fleet.start(job, feed)
        assert fleet.join(90)
        assert feed.quarantine.join(60)
    finally:
        fleet.close()
        feed.quarantine.close()
    return feed


def test_the_slots_of_an_executor_do_not_limit_what_is_in_progress() -> None:
    with ThreadPoolExecutor(1) as threads:
        feed = answered(threads, [f"{number} meet 12" for number in range(12)])
    assert {each["output"] for each in feed.records.values()} == {f"answer {number}" for number in range(12)}


def test_no_more_is_in_progress_than_the_batch_may_have() -> None:
    taken: list[int] = []

    class Watched(ListFeed):
        def take(self, most: int = 1) -> list[Any]:
            found = super().take(most)
            taken.append(self._in_progress)
            return found

    job = Job.of(OBEDIENT, at_once=(3, 3, 3))
    feed = Watched(job, [str(number) for number in range(30)])
    with ThreadPoolExecutor(8) as threads:
        fleet = fleet_of(threads, job)
        fleet.start(job, feed)
        assert fleet.join(30)
        fleet.close()
    assert len(feed.records) == 30
    assert max(taken) <= 3


def test_a_question_that_kills_its_process_is_named_and_costs_no_other(
    pool: ProcessPoolExecutor, tmp_path: Path
) -> None:
    questions = [f"{number}" for number in range(60)]
    questions[20], questions[40] = "20 die", "40 exit 3"
    out = tmp_path / "answers.jsonl"
    run = run_batch(OBEDIENT, [{"id": q.split()[0], "question": q} for q in questions], out=out, on=pool, at_once=8)
    records = {each["id"]: each for each in run}
    assert run.ending == "complete"
    assert len(records) == len(out.read_text().splitlines()) == 60
    failed = {name: each["error"] for name, each in records.items() if not each["ok"]}
    assert {name: each["type"] for name, each in failed.items()} == {"20": "process_died", "40": "process_died"}
    assert "SIGKILL" in failed["20"]["message"]
    assert "exit code 3" in failed["40"]["message"]


class Fragile(ThreadPoolExecutor):
    """An executor of a kind that is not known here, which breaks at a task."""

    def __init__(self, breaks_at: int) -> None:
        super().__init__(1)
        self._left = breaks_at

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> "Future[Any]":
        self._left -= 1
        if self._left == 0:
            raise BrokenExecutor("a worker was terminated")
        return super().submit(function, *arguments, **named)


def test_an_executor_that_breaks_is_made_anew_by_the_function_that_made_it() -> None:
    made: list[Executor] = []

    def make() -> Executor:
        made.append(Fragile(3 if not made else 1000))
        return made[-1]

    feed = answered(make, [str(number) for number in range(40)], at_once=(4, 4, 4))
    assert len(feed.records) == 40
    assert len(made) == 2


def test_an_executor_that_breaks_for_good_ends_the_batch_with_what_to_do() -> None:
    feed = answered(Fragile(3), [str(number) for number in range(40)], at_once=(4, 4, 4))
    assert isinstance(feed.error, ConfigurationError)
    assert "a function that makes one" in str(feed.error)
    assert len(feed.records) < 40


def test_a_pool_that_forks_is_refused() -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system does not fork")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as forking:
        with pytest.raises(ConfigurationError, match=r"get_context\(.spawn.\)"):
            fleet_of(forking, Job.of(OBEDIENT))


def test_a_worker_that_lacks_a_key_is_one_error_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NEEDED, raising=False)
    with ThreadPoolExecutor(1) as threads:
        job = Job.of(NEEDY)
        feed = ListFeed(job, ["1"])
        with pytest.raises(
            ConfigurationError, match=rf"{NEEDED} is not set \(a worker has the .* environment variables"
        ):
            fleet_of(threads, job).start(job, feed)
    assert feed.begun == 0


@pytest.mark.parametrize(
    ("field", "told"), [("python", "it has Python 3.9"), ("agentkit", "it has agentkit 3.9"), ("problem", "3.9")]
)
def test_a_worker_of_another_version_is_refused(field: str, told: str) -> None:
    checked = remote.check(Job.of(OBEDIENT).to_json())
    assert remote.mismatch(checked) == ""
    other: Any = {**checked, field: "3.9"}
    assert told in remote.mismatch(other)


def test_a_task_that_an_engine_runs_again_by_itself_asks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ASKED, str(tmp_path / "asked"))
    job = Job.of(OBEDIENT).to_json()
    reply = remote.answer(job, [{"id": "1", "prompt": "1"}], "batch", process="the one that died")
    assert (reply["records"], (tmp_path / "asked").exists()) == ([], False)
    reply = remote.answer(job, [{"id": "1", "prompt": "1"}], "batch", process=remote.process_here())
    assert (reply["records"][0]["output"], (tmp_path / "asked").exists()) == ("answer 1", True)


def test_a_batch_that_is_cancelled_stops_in_its_processes(
    pool: ProcessPoolExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job.of(OBEDIENT, at_once=(4, 4, 4))
    feed = ListFeed(job, [f"{number} loop" for number in range(4)])
    with ProcessPoolExecutor(1, mp_context=SPAWN) as fresh:
        fleet = fleet_of(fresh, job)
        fleet.start(job, feed)
        assert not fleet.join(0.5)
        fleet.cancel()
        assert fleet.join(60)
        fleet.close()
    assert {each["stopped"] for each in feed.records.values()} <= {"cancelled"}


@pytest.mark.parametrize("on", ["processes", "dask:", "ray://", "dask://", 7, None])
def test_what_is_no_fleet_is_refused(on: Any) -> None:
    with pytest.raises(ConfigurationError, match="dask://HOST:PORT"):
        fleet_of(on, Job.of(OBEDIENT))


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_an_engine_that_is_not_installed_is_named_with_its_extra() -> None:
    with pytest.raises(MissingExtraError, match="extra 'ray'"):
        fleet_of("ray", Job.of(OBEDIENT))


DRIVER = """
    import multiprocessing, sys
    from concurrent.futures import ProcessPoolExecutor
    from agentkit.batch import run_batch

    if __name__ == "__main__":
        pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        questions = [f"{number} wait 0.2" for number in range(2000)]
        for _ in run_batch("tests.support.batch_agents:obedient", questions, on=pool, at_once=4):
            pass
"""


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_after_the_death_of_its_program_a_pool_ends_what_it_has_and_nothing_else(tmp_path: Path) -> None:
    asked, program = tmp_path / "asked", tmp_path / "program.py"
    program.write_text(textwrap.dedent(DRIVER))
    environment = {**os.environ, ASKED: str(asked), "PYTHONPATH": os.pathsep.join(sys.path)}
    driver = subprocess.Popen([sys.executable, program], env=environment)
    until(lambda: asked.exists() and len(asked.read_text().splitlines()) >= 8, seconds=60)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    at_death = asked.read_text().splitlines()
    worker = int(at_death[0].split("\t")[1])
    until(lambda: not is_running(worker), seconds=60)
    assert len(asked.read_text().splitlines()) <= len(at_death) + 3 * 4


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        if not Path("/proc/self").exists():
            time.sleep(0.05)
            os.kill(process, 0)
            return True
        return False
    return state not in "ZX"


def test_a_run_that_does_not_end_is_left_behind_by_its_worker() -> None:
    with ThreadPoolExecutor(1) as threads:
        feed = answered(threads, ["0 wait 600", "1", "2"], run_seconds=0.5)
    assert feed.records["0"]["error"]["type"] == "timeout"
    assert [feed.records[name]["output"] for name in "12"] == ["answer 1", "answer 2"]


def test_nothing_of_a_batch_is_left_in_this_process_when_its_threads_were_an_executor() -> None:
    before = len(remote._HELD._jobs)
    with ThreadPoolExecutor(1) as threads:
        assert [each["ok"] for each in run_batch(OBEDIENT, ["1"], on=threads)] == [True]
    assert len(remote._HELD._jobs) == before


class Faulty:
    """An engine with a fault: it takes no task, or gives fewer records than there are items."""

    width = inner = 4
    ended = ""

    def __init__(self, takes: bool) -> None:
        self._takes = takes

    def start(self, job: Job) -> None:
        pass

    def submit(self, job: Job, items: Any) -> "Future[Any]":
        if not self._takes:
            raise OSError("no more handles")
        future: Future[Any] = Future()
        future.set_result([])
        return future

    def lost(self, future: "Future[Any]") -> bool:
        return False

    def cancel(self) -> None:
        pass

    close = cancel


@pytest.mark.parametrize("takes", [True, False], ids=["too few records", "takes no task"])
def test_a_fault_of_an_engine_ends_the_batch_with_an_error_and_leaves_nothing_in_progress(takes: bool) -> None:
    job = Job.of(OBEDIENT)
    feed = ListFeed(job, [str(number) for number in range(4)])
    fleet = FutureFleet(Faulty(takes))
    fleet.start(job, feed)
    with pytest.raises((OSError, ConfigurationError)) as raised:
        fleet.join(60)
    fleet.close()
    assert feed.error is raised.value
    until(lambda: feed._in_progress == 0, seconds=30)
