"""What the kept index of a folder costs: a later search, and a search in a second process.

    python -m benchmarks.kept_index                      # 8,000 small files, 10,000 files of 118 MB
    python -m benchmarks.kept_index --small 800 --large 1000

CPU in milliseconds, the median of several; bare: os.scandir of the same folder with the size and time of each file.
Memory is read from /proc (Linux).
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from agentkit_tools.folder import documents

WORDS = 20_000
BYTES = 118_000_000 // 10_000
"""Size of each file of the large folder."""

PROCESS = """
import json, re, sys, time
from pathlib import Path
from agentkit_tools.folder import documents

def highest_memory():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

before, begun = highest_memory(), time.monotonic()
text = documents(sys.argv[1])[0](query=[sys.argv[2]])
took, after = time.monotonic() - begun, highest_memory()
print(json.dumps({"seconds": took, "memory": after - before, "found": "d0" in text}))
"""


def main() -> None:
    """Make the folders, search them and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--small", type=int, default=8_000, help="files of the folder that is searched again")
    parser.add_argument("--large", type=int, default=10_000, help="files of the folder that a second process searches")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["AGENTKIT_CACHE"] = f"{temporary}/cache"
        later_search(_made(Path(temporary) / "small", arguments.small, 200))
        second_process(_made(Path(temporary) / "large", arguments.large, BYTES))


def later_search(folder: Path) -> None:
    """Print the CPU of a search in a folder that has not changed."""
    search = documents(folder)[0]
    search(query=["w12 w40"])
    took, bare = _cpu(lambda: search(query=["w12 w40"])), _cpu(lambda: _listed(folder))
    print(f"a later search of {len(_listed(folder)):,} files: {took:.0f} ms CPU; bare listing: {bare:.0f} ms")


def second_process(folder: Path) -> None:
    """Print the time and memory of the first and the second process that search a folder."""
    size = sum(each.stat().st_size for each in folder.rglob("*.txt"))
    print(f"{len(_listed(folder)):,} files, {size / 1e6:.0f} MB:")
    for which in ("first", "second"):
        done = subprocess.run(
            [sys.executable, "-c", PROCESS, str(folder), "w12 w40"], check=True, capture_output=True, text=True
        )
        cost = json.loads(done.stdout)
        assert cost["found"]
        print(f"  {which} process: {cost['seconds']:.2f} s, {cost['memory']:.0f} MB more")


def _made(folder: Path, files: int, size: int) -> Path:
    """A folder of files of random words, at least `size` bytes each, a hundred in each subfolder."""
    draw = random.Random(7)
    for number in range(files):
        at = folder / f"d{number // 100}"
        at.mkdir(parents=True, exist_ok=True)
        words = " ".join(f"w{draw.randrange(WORDS)}" for _ in range(size // 6))
        (at / f"f{number}.txt").write_text(f"{words} {'w12 w40' if number < 20 else ''}\n")
    return folder


def _listed(folder: Path) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    folders = [str(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    status = entry.stat()
                    found[entry.path] = status.st_mtime_ns, status.st_size
    return found


def _cpu(call: Callable[[], object], times: int = 15) -> float:
    """The median of its CPU, in milliseconds."""
    took = []
    for _ in range(times):
        begun = time.process_time()
        call()
        took.append(1000 * (time.process_time() - begun))
    return median(took)


if __name__ == "__main__":
    main()
