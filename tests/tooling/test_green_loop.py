"""Async tools in programs that gevent has patched, where all threads are greenlets of one (django/asgiref#443,
celery/celery#7465, braintrustdata/braintrust-sdk-python#527)."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BEGINNING = """
from gevent import monkey; monkey.patch_all()
import asyncio, gevent, time
from agentkit import Agent, tool
from agentkit.testing import ScriptedBackend

@tool(read_only=True)
async def later(topic: str) -> str:
    "Look something up."
    await asyncio.sleep(0.1)
    return topic

@tool
async def block(topic: str) -> str:
    "Block the loop."
    time.sleep(0.1)
    await asyncio.sleep(0.01)
    return topic

@tool
def work(topic: str) -> str:
    "Work with a loop of one's own."
    async def worked():
        await asyncio.sleep(0.2)
        return topic
    return asyncio.run(worked())

def answers(*calls):
    result = Agent(ScriptedBackend(list(calls), "Done."), tools=[later, block, work]).run("Go.")
    return [each.response for each in result.tool_calls]

def at_once(jobs):
    return [each.get(timeout=60) for each in [gevent.spawn(answers, *job) for job in jobs]]
"""

ONE_AFTER_THE_OTHER_AND_SIDE_BY_SIDE = """
for _ in range(3):
    assert answers(("later", {"topic": "a"})) == ["a"]
pairs = [[("later", {"topic": f"{n}"}), (name, {"topic": f"-{n}"})] for n in range(5) for name in ("later", "block")]
assert at_once(pairs) == [[call[1]["topic"] for call in pair] for pair in pairs]
"""

NO_LOOP_IS_SEEN = """
seen = set()
def look():
    while True:
        seen.add(asyncio._get_running_loop())
        time.sleep(0.01)
looking = gevent.spawn(look)
answers(("later", {"topic": "a"}), ("later", {"topic": "b"}))
looking.kill()
assert seen == {None}, seen
assert asyncio._get_running_loop() is None
"""

BESIDE_A_LOOP_OF_THE_PROGRAM = """
async def main():
    ticks = 0
    for _ in range(40):
        await asyncio.sleep(0.01)
        assert asyncio.get_running_loop() is loop
        ticks += 1
    return ticks, answers(("later", {"topic": "c"}), ("work", {"topic": "d"}))

def run():
    global loop
    loop = asyncio.new_event_loop()
    return loop.run_until_complete(main())

own = gevent.spawn(run)
gevent.sleep(0.05)
assert answers(("later", {"topic": "a"}), ("later", {"topic": "b"})) == ["a", "b"]
assert answers(("later", {"topic": "a"})) == ["a"]
assert own.get(timeout=60) == (40, ["c", "d"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="greenlets in servers are an affair of Unix")
@pytest.mark.parametrize(
    "program",
    [ONE_AFTER_THE_OTHER_AND_SIDE_BY_SIDE, NO_LOOP_IS_SEEN, BESIDE_A_LOOP_OF_THE_PROGRAM],
    ids=["one after the other and side by side", "no loop is seen by others", "beside a loop of the program"],
)
def test_async_tools_of_greenlets(program: str) -> None:
    code = BEGINNING + program
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert (made.returncode, made.stderr) == (0, "")
