"""What calls of an MCP server over stdio cost this process, and random faults in any number.

python -m benchmarks.mcp_calls             # CPU time and memory of the first call and of each later one
python -m benchmarks.mcp_calls --faults 1000
"""

import argparse
import resource
import subprocess
import sys
import time

CALLS = 5_000
FIRST = """
import resource, sys, time
def memory():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6
{before}
megabytes = memory()
begun = time.process_time()
from agentkit.mcp.client import Client
from agentkit.mcp.stdio import Stdio
client = Client(lambda heard: Stdio(sys.argv[1:], heard), "bench")
client.call_tool("echo", {"a": 1})
print(time.process_time() - begun, memory() - megabytes)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--faults", type=int, default=0, help="make this many calls with random faults instead")
    arguments = parser.parse_args()
    if arguments.faults:
        measure_faults(arguments.faults)
    else:
        measure_first()
        measure_calls()


def measure_first() -> None:
    """The first call of a process, with all imports; the best of five."""
    from tests.mcp.servers import bad_command

    for what, before in (("in a new process", ""), ("with an agent", "from agentkit import Agent; Agent('llamacpp:')")):
        command = [sys.executable, "-c", FIRST.replace("{before}", before), *bad_command()]
        outputs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(5)]
        seconds, megabytes = min(tuple(map(float, output.split())) for output in outputs)
        print(f"first call {what}: {seconds:.3f} s CPU, {megabytes:.1f} MB")


def measure_calls() -> None:
    """Calls of a server that runs, one after the other."""
    from tests.mcp.servers import bad

    for era in ("modern", "2025-11-25"):
        with bad(era=era) as client:
            client.call_tool("echo", {"a": 1})
            begun, cpu = time.monotonic(), time.process_time()
            for number in range(CALLS):
                client.call_tool("echo", {"a": number})
            wall, cpu = time.monotonic() - begun, time.process_time() - cpu
        print(f"{era:12}{cpu / CALLS * 1000:8.3f} ms CPU and {wall / CALLS * 1000:.3f} ms a call")


def measure_faults(count: int) -> None:
    """Calls of servers that do what they should not do, from 16 threads."""
    from agentkit.mcp import client
    from tests.mcp.servers import children, keepers, open_files
    from tests.mcp.test_random_faults import random_calls

    client.STARTS_WITHIN = 0.0
    files = open_files()
    begun = time.monotonic()
    counts, late = random_calls(count, seed=time.time_ns())
    print(f"{count:,} calls in {time.monotonic() - begun:.1f} s: {dict(counts)}; late: {late}")
    while keepers():
        time.sleep(0.05)
    left = f"{len(children())} processes, {open_files() - files} descriptors"
    print(f"left: {left}; {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most")


if __name__ == "__main__":
    main()
