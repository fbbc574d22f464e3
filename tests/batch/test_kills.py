"""A batch whose program is killed at any moment: each item has one line, and what was answered is not asked again."""

import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.support import forked_cli
from tests.support.batch_kills import FaultyServer, Kills


def test_kills_at_random_moments_cost_no_item_and_repeat_only_what_was_in_progress(tmp_path: Path) -> None:
    chance = random.Random(7)
    items, at_once, planned = 300, 16, 4
    with FaultyServer(chance, {"busy": 0.05, "error": 0.02}) as server:
        kills = Kills(tmp_path, server, forked_cli.command())
        kills.ask([{"id": f"i{number}", "question": f"question {number}"} for number in range(items)])
        done = 0
        for _ in range(planned):
            done += kills.kill(kills.begin(at_once), chance.randint(1, 2 * items // (planned + 2)))
            kills.records()
        kills.end(kills.begin(at_once))
        records = kills.records()
        assert {each["id"]: each["output"] for each in records} == {
            f"i{number}": f"re: question {number}" for number in range(items)
        }
        assert done >= planned - 2
        assert server.answered.total() - items <= done * at_once
        assert server.met["busy"] > 0


@pytest.mark.parametrize("sessions", ["", "sessions.db"], ids=["without sessions", "sessions"])
def test_a_tool_that_changes_something_is_run_once_for_an_item(tmp_path: Path, sessions: str) -> None:
    chance = random.Random(11)
    items, at_once, planned = 60, 8, 3
    with FaultyServer(chance, {"error": 0.01}, delay=0.002) as server:
        kills = Kills(tmp_path, server, forked_cli.command())
        kills.ask([{"id": f"i{number}", "question": f"question {number}"} for number in range(items)])
        done = 0
        for _ in range(planned):
            process = kills.begin(at_once, has_effects=True, sessions=sessions)
            done += kills.kill(process, chance.randint(1, 4 * items // (planned + 2)))
        kills.end(kills.begin(at_once, has_effects=True, sessions=sessions))
        records = {each["id"]: each for each in kills.records()}
        assert len(records) == items
        effects = Counter((tmp_path / "effects").read_text().splitlines())
        assert max(effects.values()) == 1
        unknown = [each for each in records.values() if not each["ok"]]
        assert {each["error"]["type"] for each in unknown} <= {"unknown_effect"}
        assert len(unknown) <= (0 if sessions else done * at_once)
        answered = {f"question {each['id'][1:]}": each["output"] for each in records.values() if each["ok"]}
        assert all(output == f"re: {question}" for question, output in answered.items())
        # with sessions, a call that was begun and has no result may have had no effect either
        assert len(answered.keys() - effects.keys()) <= (done * at_once if sessions else 0)


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_lines_and_unanswered_items_are_all_items(tmp_path: Path, seed: int) -> None:
    mixed(tmp_path, seed)


def mixed(folder: Path, seed: int) -> None:
    """A random mix of faults, kills, interruptions and changes of the input between starts."""
    chance = random.Random(seed)
    shares = {fault: chance.choice([0.0, 0.05, 0.1]) for fault in ("busy", "error", "drop", "half", "final")}
    with FaultyServer(chance, shares, delay=chance.choice([0.0, 0.005])) as server:
        kills = Kills(folder, server, forked_cli.command())
        lines = [{"id": f"i{number}", "question": f"question {number}"} for number in range(chance.randint(20, 60))]
        kills.ask(lines)
        for _ in range(chance.randint(1, 3)):
            process = kills.begin(chance.choice([1, 4, 16]))
            kills.kill(
                process, chance.randint(0, len(lines)), chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT])
            )
            answered = {each["id"] for each in kills.records()}
            unanswered = {str(each["id"]) for each in lines} - answered
            assert len(answered) + len(unanswered) == len(lines)
            chance.shuffle(lines)
            lines += [{"id": f"n{len(lines)}", "question": f"question n{len(lines)}"}]
            kills.ask(lines)
        kills.end(kills.begin(16))
        records = kills.records()
        asked = {str(each["id"]): each["question"] for each in lines}
        assert {each["id"] for each in records} == set(asked)
        assert all(each["output"] == f"re: {asked[each['id']]}" for each in records if each["ok"])
        failed = [each for each in records if not each["ok"]]
        assert {each["error"]["type"] for each in failed} <= {
            "BadRequestError",
            "InternalServerError",
            "APIConnectionError",
        }
