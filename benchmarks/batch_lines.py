"""What a file of a million lines costs a batch before the first request: its questions, and what is answered of them.

    make bench        or        python -m benchmarks.batch_lines [--quick] [--run]

Each row is a process of its own: CPU time, also as a multiple of a bare loop (`for line in file: json.loads(line)`)
over the same file in the same process, and by how much the largest memory of the process grew. The goals are for a
machine of its own that reads a million lines in such a loop in about 4 s.

    open      an answers file is opened, to go on with it
    check     all questions are read and checked; "OpenAI" are lines of that batch format
    go on     both, and all questions are passed over, since they are answered

--quick: 100,000 lines. --run: what a whole run of 1,000,000 items adds to the memory of one of 1,000, on a backend that
answers at once; it takes a quarter of an hour. What grows with the items is 16 bytes of each, where its line is.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from agentkit.batch import run_batch
from agentkit.batch.answer_lines import line_of
from agentkit.batch.items import open_items
from agentkit.batch.journal import Journal

AGENT = "tests.support.batch_agents:obedient"
LINES = 1_000_000
ROWS = {
    "open": ("answers.jsonl", 3.0, 30.0),
    "check": ("questions.jsonl", 10.0, 30.0),
    "check-openai": ("openai.jsonl", 15.0, 30.0),
    "go-on": ("questions.jsonl", 0.0, 30.0),
}
"""By the name of a row: its file, the most seconds of a million lines, and the most MB; 0 where nothing is set."""
RUNS = (1_000, LINES)
MOST_OF_A_MILLION = 40.0


def write_files(folder: Path, lines: int) -> None:
    """Questions as they are and in OpenAI's format, and an answers file that has them all."""
    with (
        open(folder / "answers.jsonl", "wb") as answers,
        open(folder / "questions.jsonl", "w") as questions,
        open(folder / "openai.jsonl", "w") as requests,
    ):
        for number in range(lines):
            name, year = f"item-{number}", 1700 + number % 300
            text = f"In which year did ship number {number} of the line leave the harbour, and who was her captain?"
            answer = {"output": f"It left in {year}; the captain was Cook the {number}th.", "stopped": "answer"}
            usage = {"usage": {"requests": 1, "input_tokens": 212, "output_tokens": 17}, "cost": 0.000123}
            rest = {"citations": [], "seconds": 0.712, "attempts": 1, "refusals": 0, "error": None}
            answers.write(line_of({"id": name, "ok": True, **answer, **usage, **rest, "item": {"year": year}}))
            questions.write(json.dumps({"id": name, "question": text, "year": year}) + "\n")
            messages = [{"role": "system", "content": "Answer in one sentence."}, {"role": "user", "content": text}]
            body = {"model": "gpt-5-mini", "messages": messages, "max_tokens": 300}
            line = {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
            requests.write(json.dumps(line) + "\n")


def cpu_of(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def memory() -> float:
    """The largest memory that this process has had, in MB; 0 where the system doesn't say."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+)", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else 0.0


def read_bare(path: Path) -> None:
    with open(path, "rb") as file:
        for line in file:
            json.loads(line)


def open_answers(folder: Path) -> None:
    Journal.open(folder / "answers.jsonl", None).close()


def go_on(folder: Path) -> None:
    """What a start does whose questions are all answered."""
    items = open_items(folder / "questions.jsonl")
    items.check()
    with Journal.open(folder / "answers.jsonl", None) as journal:
        assert not list(items.unanswered(journal.is_answered))


def measure(row: str, folder: Path) -> None:
    """Print the seconds of the bare loop and of a row, and the MB of the row."""
    path = folder / ROWS[row][0]
    bare = cpu_of(lambda: read_bare(path))
    before = memory()
    works: dict[str, Callable[[], object]] = {"open": lambda: open_answers(folder), "go-on": lambda: go_on(folder)}
    seconds = cpu_of(works.get(row, lambda: open_items(path).check()))
    print(json.dumps([bare, seconds, memory() - before]))


def run_items(items: int) -> None:
    """Print the largest memory of a whole run, in MB."""
    with tempfile.TemporaryDirectory() as folder:
        questions = Path(folder) / "questions.jsonl"
        with open(questions, "w") as file:
            file.writelines(f'{{"id": "item-{number}", "question": "How many?"}}\n' for number in range(items))
        records = run_batch(AGENT, questions, out=Path(folder) / "answers.jsonl", at_once=8)
        assert sum(1 for _ in records) == items
    print(json.dumps(memory()))


def in_process(*arguments: str) -> "list[float] | float":
    command = [sys.executable, "-m", "benchmarks.batch_lines", *arguments]
    found: list[float] | float = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def rows(lines: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), lines)
        print(f"{lines:,} lines: CPU time, beside a loop with json.loads, and memory; goals for {LINES:,} lines")
        for row, (_, most, most_memory) in ROWS.items():
            found = in_process("--one", row, "--folder", folder)
            assert isinstance(found, list)
            bare, seconds, grown = found
            goal = f"{most:.0f} s, " if most else ""
            print(
                f"{row:14}{seconds:7.2f} s {seconds / bare:6.2f} x {grown:7.1f} MB   (goal {goal}{most_memory:.0f} MB)",
                flush=True,
            )


def runs() -> None:
    """The memory of whole runs. All are made: up to 100,000 items it grows faster than behind that, so that a straight
    line through smaller ones says too much."""
    found: list[float] = []
    for items in RUNS:
        each = in_process("--items", str(items))
        assert isinstance(each, float)
        found.append(each)
        print(f"{items:9,} items: {each:6.1f} MB", flush=True)
    print(f"{found[-1] - found[0]:+.1f} MB (goal {MOST_OF_A_MILLION:.0f} MB)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100,000 lines")
    parser.add_argument("--run", action="store_true", help="the memory of whole runs")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--items", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        measure(given.one, given.folder)
    elif given.items:
        run_items(given.items)
    elif given.run:
        runs()
    else:
        rows(LINES // 10 if given.quick else LINES)


if __name__ == "__main__":
    main()
