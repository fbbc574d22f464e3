"""Items of a process that died are answered one by one in another, and only the one that kills it is charged."""

import datetime
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from agentkit.batch import quarantine
from agentkit.batch.item import Item, Record
from agentkit.batch.job import Job
from agentkit.batch.quarantine import Quarantine
from tests.support.batch_agents import ASKED
from tests.support.waiting import until

OBEDIENT = "tests.support.batch_agents:obedient"


@pytest.fixture
def records() -> "SimpleQueue[tuple[Item, Record]]":
    return SimpleQueue()


@pytest.fixture
def quarantined(records: "SimpleQueue[tuple[Item, Record]]") -> Iterator[Quarantine]:
    made = Quarantine(Job.of(OBEDIENT, run_seconds=20), lambda item, record: records.put((item, record)))
    yield made
    made.close()


def test_each_death_is_that_of_the_item_whose_turn_it_was(
    quarantined: Quarantine, records: "SimpleQueue[tuple[Item, Record]]"
) -> None:
    questions = ["0", "1 die", "2", "3 exit 7", "4 die", "5 says what is printed"]
    columns = {"day": datetime.date(2026, 1, 1)}  # JSON has none
    quarantined.add([Item(str(number), question, columns=columns) for number, question in enumerate(questions)])
    assert quarantined.join(60)
    found = {item.id: record for item, record in [records.get() for _ in questions]}
    assert {name: each["output"] for name, each in found.items() if each["ok"]} == {
        name: f"answer {name}" for name in "025"
    }
    messages = {name: each["error"]["message"] for name, each in found.items() if not each["ok"]}
    assert {each["error"]["type"] for each in found.values() if not each["ok"]} == {"process_died"}
    assert messages == {
        "1": "the process that answered it died: signal SIGKILL",
        "3": "the process that answered it died: exit code 7",
        "4": "the process that answered it died: signal SIGKILL",
    }


def test_a_process_that_never_answers_is_killed_after_the_limit_of_a_run(
    records: "SimpleQueue[tuple[Item, Record]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "LATE_SECONDS", 0.5)
    made = Quarantine(Job.of(OBEDIENT, run_seconds=0.5), lambda item, record: records.put((item, record)))
    made.add([Item("0", "0 wait 600")])
    assert made.join(60)
    assert records.get()[1]["error"]["type"] == "timeout"
    made.close()


def test_what_waits_stays_without_a_record_when_it_is_closed(
    quarantined: Quarantine,
    records: "SimpleQueue[tuple[Item, Record]]",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ASKED, str(asked := tmp_path / "asked"))
    quarantined.add([Item("0", "0 wait 600"), Item("1", "1")])
    until(asked.exists, seconds=60)
    quarantined.close()
    assert quarantined.join(10)
    assert records.empty()


@pytest.mark.skipif(os.name == "nt", reason="looks at processes")
def test_the_process_ends_with_its_program_whatever_it_is_doing(tmp_path: Path) -> None:
    program = (
        "import os, threading\n"
        "from agentkit.batch.item import Item\n"
        "from agentkit.batch.job import Job\n"
        "from agentkit.batch.quarantine import Quarantine\n"
        f"made = Quarantine(Job.of({OBEDIENT!r}), print)\n"
        "made.add([Item('0', '0 wait 600')])\n"
        "threading.Event().wait(600)\n"
    )
    asked = tmp_path / "asked"
    environment = {**os.environ, ASKED: str(asked), "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", program], env=environment, cwd=Path(__file__).parents[2])
    until(lambda: asked.exists() and "\t" in asked.read_text(), seconds=60)
    child = int(asked.read_text().split("\t")[1])
    parent.kill()
    parent.wait()
    until(lambda: not _is_running(child), seconds=30)


def _is_running(process: int) -> bool:
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip()) and not found.stdout.startswith("Z")


UNGUARDED = """
from agentkit import Agent
from agentkit.batch import run_batch

agent = Agent("extractive")
for record in run_batch(agent, ["What?"], out="answers.jsonl"):
    pass
"""


def test_a_process_that_cannot_make_the_agent_gives_items_back_and_is_charged_to_them_when_they_are_lost_again(
    records: "SimpleQueue[tuple[Item, Record]]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (program := tmp_path / "unguarded.py").write_text(UNGUARDED)
    back: list[Item] = []
    job = Job.of(f"{program}:agent", run_seconds=20)
    made = Quarantine(job, lambda item, record: records.put((item, record)), back.extend)
    item = Item("0", "0")
    made.add([item])
    assert made.join(60)
    assert (back, records.empty()) == ([item], True)
    made.add([item])
    assert made.join(60)
    made.close()
    error = records.get()[1]["error"]
    assert (error["type"], "__main__" in error["message"]) == ("process_died", True)
    assert not (tmp_path / "answers.jsonl").exists()


def test_what_goes_wrong_with_one_item_is_its_own_and_the_next_is_answered(
    records: "SimpleQueue[tuple[Item, Record]]",
) -> None:
    round_trip: list[object] = []
    round_trip.append(round_trip)

    def put(item: Item, record: Record) -> None:
        records.put((item, record))
        if item.id == "1":
            raise OSError("the disk is full")

    made = Quarantine(Job.of(OBEDIENT, run_seconds=20), put)
    made.add([Item("0", "0", columns={"in itself": round_trip}), Item("1", "1"), Item("2", "2")])
    assert made.join(60)
    made.close()
    found = [records.get()[1] for _ in range(3)]
    assert [each["ok"] for each in found] == [False, True, True]
    assert found[0]["error"]["type"] == "ValueError"
