"""Measures agentkit and other libraries beside a hand-written loop, and writes docs/performance.md.

    make bench-peers [SECONDS=900]        or        python -m benchmarks.peers [--seconds 900] [NAME ...]

Each is measured in a process and an environment of its own, with the hand-written loop in the same process: see
work.py. With names, only these are measured, and the table is printed, not written. Once the environments are there it
takes at most SECONDS; on a machine that has much else to do, more of them are needed for a whole table.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from agentkit import __version__
from benchmarks.peers import page
from benchmarks.peers.environments import PEERS, NotInstalledError, Peer, python_of
from benchmarks.peers.work import MEASURES, ROOT, Row, environment
from benchmarks.ready_server import ready

AGENTKIT = Peer("agentkit", "agentkit", (f"agentkit-loop=={__version__}",))
SECONDS = 450.0
"""For all of them; what one leaves is for the others."""
SHARE_OF_ROUNDS = 0.35
"""How much of its time each uses for rounds; a round more takes as long as it takes."""


def interpreter(peer: Peer) -> tuple[Path | None, str]:
    """The Python that runs the program, or the reason for which there is none."""
    try:
        return (Path(sys.executable), "") if peer == AGENTKIT else (python_of(peer), "")
    except NotInstalledError as error:
        return None, str(error)


def measured(peer: Peer, python: Path, port: int, limit: float) -> list[Row]:
    """What was measured within the limit (seconds)."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results")
        results.touch()
        options = [peer.name, str(port), str(results), str(limit * SHARE_OF_ROUNDS)]
        command = [str(python), "-m", "benchmarks.peers.work", *options]
        own_folders = {"LLM_USER_PATH": folder, "HF_HOME": folder}
        said = run_within(limit, command, environment() | own_folders)
        rows = [Row(*json.loads(line)) for line in results.read_text(encoding="utf-8").splitlines()]
    return rows if rows or said is None else failed(said.replace(str(ROOT), "")[:200])


def run_within(limit: float, command: list[str], its_environment: dict[str, str]) -> str | None:
    """Run the command, and end it and all that it has started after the limit (seconds). Returns the last line of its
    standard error; None when it was ended."""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=its_environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as child:
        try:
            _, errors = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            return None
    return (errors.strip().splitlines() or ["it ended without a word"])[-1]


def failed(reason: str) -> list[Row]:
    return [Row(name, failed=reason) for names in MEASURES for name in names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="modules of benchmarks/peers; all when there are none")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all of them together")
    given = parser.parse_args()
    named = given.names
    peers = [peer for peer in (AGENTKIT, *PEERS) if not named or peer.name in named]
    pythons = {peer: interpreter(peer) for peer in peers}
    found: dict[str, list[Row]] = {}
    machine = page.machine()
    end = time.monotonic() + given.seconds
    with ready() as port:
        for left, peer in zip(range(len(peers), 0, -1), peers, strict=True):
            python, reason = pythons[peer]
            limit = max(30.0, (end - time.monotonic()) / left)
            print(f"{peer.title} {peer.version} ...", file=sys.stderr, flush=True)
            rows = measured(peer, python, port, limit) if python else failed(reason)
            found[f"{peer.title} {peer.version}".strip()] = rows
    if named:
        print(page.section(found, machine, date.today()))
    else:
        page.write(found, machine)


if __name__ == "__main__":
    main()
