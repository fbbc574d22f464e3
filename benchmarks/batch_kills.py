"""Kills `agentkit batch` at random moments, and counts what its answers file has in the end, and what was asked twice.

    python -m benchmarks.batch_kills                    10,000 questions, 20 kills, 5 % status 429, 2 % status 500
    python -m benchmarks.batch_kills --effects          200 questions with a tool that counts, 10 kills
    python -m benchmarks.batch_kills --mixed 100        100 seeds of faults, kills and changes of the input
    python -m benchmarks.batch_kills --dask             2,000 questions on Dask, 6 kills of its workers

The model is a server of this process. Exit code 0 when every promise was kept.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from agentkit.batch import read_records, run_batch
from tests.batch.test_kills import mixed
from tests.support import forked_cli
from tests.support.batch_agents import ASKED
from tests.support.batch_kills import FaultyServer, Kills


class CommandKills(Kills):
    """The command line, in a process of its own that starts as a user's does."""

    def begin(self, at_once: int, *, has_effects: bool = False, sessions: str = "") -> "subprocess.Popen[str]":
        """See `Kills.begin`."""
        self.starts += 1
        model = ("-m", f"openai:m@{self.url}", "--no-tools")
        with open(self.folder / "log", "a") as log:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "agentkit",
                    "batch",
                    "q.jsonl",
                    "-o",
                    "a.jsonl",
                    *model,
                    "--at-once",
                    str(at_once),
                ],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def pid(self, process: "subprocess.Popen[str]") -> int:
        """See `Kills.pid`."""
        return process.pid


def main() -> None:
    """Run what the arguments name, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=0)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--effects", action="store_true")
    parser.add_argument("--mixed", type=int, default=0, metavar="SEEDS")
    parser.add_argument("--dask", action="store_true")
    given = parser.parse_args()
    if given.mixed:
        _mixed(given.mixed)
    elif given.dask:
        _dask(given.items or 2000, given.kills or 6, given.at_once, given.seed)
    elif given.effects:
        _effects(given.items or 200, given.kills or 10, min(given.at_once, 8), given.seed)
    else:
        _plain(given.items or 10_000, given.kills or 20, given.at_once, given.seed)


def _plain(items: int, kills: int, at_once: int, seed: int) -> None:
    chance = random.Random(seed)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, FaultyServer(chance, {"busy": 0.05, "error": 0.02}) as server:
        batches = CommandKills(Path(folder), server, ())
        batches.ask([{"id": f"i{number}", "question": f"question {number}"} for number in range(items)])
        done = 0
        for _ in range(kills):
            done += batches.kill(batches.begin(at_once), chance.randint(0, 2 * items // (kills + 2)))
            batches.records()
        last = batches.begin(at_once)
        last.communicate()
        records = {each["id"]: each["output"] for each in batches.records()}
        right = sum(records.get(f"i{number}") == f"re: question {number}" for number in range(items))
        again = server.answered.total() - len(server.answered)
        print(f"{items:,} questions, {done} kills, {at_once} at once: the last start ended with {last.returncode}")
        print(
            f"lines {len(records):,}, each once; right {right:,}; answered again {again:,} (at most {done * at_once:,})"
        )
        print(f"requests {server.asked:,}, of them {dict(server.met)}; {time.monotonic() - started:.0f} s")
        sys.exit(not (last.returncode == 0 and right == items == len(records) and again <= done * at_once))


def _effects(items: int, kills: int, at_once: int, seed: int) -> None:
    is_kept = True
    for sessions in ("", "sessions.db"):
        chance = random.Random(seed)
        with tempfile.TemporaryDirectory() as folder, FaultyServer(chance, {"error": 0.01}, delay=0.002) as server:
            batches = Kills(Path(folder), server, forked_cli.command())
            batches.ask([{"id": f"i{number}", "question": f"question {number}"} for number in range(items)])
            done = 0
            for _ in range(kills):
                process = batches.begin(at_once, has_effects=True, sessions=sessions)
                done += batches.kill(process, chance.randint(1, 4 * items // (kills + 2)))
            batches.end(batches.begin(at_once, has_effects=True, sessions=sessions))
            records = batches.records()
            unknown = sum(not each["ok"] for each in records)
            most = max(Counter((Path(folder) / "effects").read_text().splitlines()).values())
            print(
                f"{items} questions, {done} kills{', sessions' * bool(sessions)}: {len(records)} lines; effects of a "
                f"question at most {most}; {unknown} of an unknown effect"
            )
            is_kept = is_kept and len(records) == items and most == 1
    sys.exit(not is_kept)


def _dask(items: int, kills: int, at_once: int, seed: int) -> None:
    chance = random.Random(seed)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out, asked = Path(folder) / "a.jsonl", Path(folder) / "asked"
        os.environ[ASKED] = str(asked)  # its workers have it from this process
        moments = set(chance.sample(range(1, items - at_once), kills))
        questions = [{"id": str(number), "question": f"{number} wait 0.02"} for number in range(items)]
        done = 0
        agent = "tests.support.batch_agents:obedient"
        with run_batch(agent, questions, out=out, on="dask", at_once=at_once) as run:
            print(f"the workers were there after {time.monotonic() - started:.0f} s", flush=True)
            for count, _ in enumerate(run, 1):
                if count in moments:
                    done += _kill_worker(asked)
        records = list(read_records(out))
        again = len(asked.read_text().splitlines()) - items
    right = sum(each["output"] == f"answer {each['id']}" for each in records)
    for each in records:
        if not each["ok"]:
            print(f"{each['id']}: {each['error']}")
    print(
        f"{items} questions on Dask, {done} kills of workers: {len(records)} lines, {right} right, {again} asked twice "
        f"(at most {done * at_once}), {time.monotonic() - started:.0f} s"
    )
    sys.exit(not (run.ending == "complete" and right == items == len(records) and again <= done * at_once))


def _kill_worker(asked: Path) -> bool:
    """Kill a worker that was asked something lately. The process in which lost items are answered one by one has a
    process group of its own, and is let be: whose item is in it when it dies is rightly charged."""
    for line in reversed(asked.read_text().splitlines()):
        pid = int(line.split("\t")[1])
        with suppress(ProcessLookupError):  # it was killed before
            if os.getpgid(pid) == os.getpgid(0):
                os.kill(pid, signal.SIGKILL)
                return True
    return False


def _mixed(seeds: int) -> None:
    failed = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            try:
                mixed(Path(folder), seed)
            except AssertionError as error:
                failed.append(seed)
                print(f"seed {seed}: {str(error)[:500]}", flush=True)
        if seed % 10 == 9:
            print(f"{seed + 1} seeds, {len(failed)} failed", flush=True)
    print(f"{seeds} seeds: {len(failed)} failed {failed or ''}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
