"""How well `find_tools` finds tools, what that takes, and how much shorter requests are.

    python -m benchmarks.tool_search               # all questions
    python -m benchmarks.tool_search --part dev    # those by which the search was made
    python -m benchmarks.tool_search --missed      # and what was not found among all tools

The data (benchmarks/data/tool_search) are written for this: the tools of seven MCP servers, 416 tools of many fields,
some much alike, and 432 of services of which each has the same six operations for each of its things. Questions are the
users' own words (most have few of a tool's), explicit ones as in function-calling benchmarks, and some about the
services. They are divided by the tool that they need: "dev" was looked at while the search was made, "held-out" not.
A question counts as found when all the tools that it needs are among the first k.
"""

import argparse
import copy
import functools
import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from agentkit import Agent, Tool
from agentkit.testing import ScriptedBackend
from agentkit.tooling.tool_index import ToolIndex

DATA = Path(__file__).parent / "data" / "tool_search"
SIZES = ((100, (5,)), (300, (5,)), (925, (5, 8)))
DRAWS = 8
"""How many sets of tools of each size are drawn."""

Question = Mapping[str, Any]


@functools.cache
def tools() -> list[tuple[Tool[..., Any], str]]:
    """All tools, each with the place that it is from."""
    return [(_tool(each), each["place"]) for each in json.loads((DATA / "tools.json").read_text(encoding="utf-8"))]


def _tool(given: Mapping[str, Any]) -> Tool[..., Any]:
    properties = {name: {"type": "string", "description": text} for name, text in given["parameters"].items()}
    schema = {"type": "object", "properties": properties, "required": list(properties)[:1]}
    return Tool(given["name"], given["description"], schema, lambda **values: "done", read_only=True)


def questions(part: str | None = None) -> list[Question]:
    """The questions, or those of one part ("dev", "held-out")."""
    found: list[Question] = json.loads((DATA / "questions.json").read_text(encoding="utf-8"))
    return [each for each in found if part in (None, each["part"])]


def drawn(size: int, seed: int, all_tools: Sequence[tuple[Tool[..., Any], str]]) -> list[tuple[Tool[..., Any], str]]:
    """Some of the tools, in their order."""
    if size >= len(all_tools):
        return list(all_tools)
    places = sorted(random.Random(seed).sample(range(len(all_tools)), size))
    return [all_tools[place] for place in places]


def found_share(
    asked: Sequence[Question], size: int, best: int, style: str | None = None, draws: int = DRAWS
) -> tuple[float, int]:
    """Which share of the questions is found among `size` tools, and how many were asked. draws: how many sets of tools
    are drawn."""
    everything, hits = tools(), []
    for seed in range(1 if size >= len(everything) else draws):
        chosen = drawn(size, seed, everything)
        index, names = ToolIndex(chosen), {tool.name for tool, _ in chosen}
        for question in asked:
            if style in (None, question["style"]) and names.issuperset(question["tools"]):
                found = {tool.name for tool in index.best(question["question"], best)}
                hits.append(found.issuperset(question["tools"]))
    return (mean(hits) if hits else 0.0), len(hits)


def missed(asked: Sequence[Question], best: int = 5) -> Iterator[str]:
    """The questions that are not found among all tools."""
    index = ToolIndex(tools())
    for question in asked:
        found = [tool.name for tool in index.best(question["question"], best)]
        if not set(found).issuperset(question["tools"]):
            yield f"{question['question']}  needs {', '.join(question['tools'])}; found {', '.join(found)}"


def timings() -> tuple[float, float, float]:
    """Milliseconds to index all tools for the first time, to index them again, and for a question."""
    everything = [(copy.copy(tool), place) for tool, place in tools()]  # of which nothing is kept
    begun = time.perf_counter()
    index = ToolIndex(everything)
    first = time.perf_counter() - begun
    begun = time.perf_counter()
    ToolIndex(everything)
    again = time.perf_counter() - begun
    took = []
    for question in questions():
        begun = time.perf_counter()
        index.best(question["question"], 5)
        took.append(time.perf_counter() - begun)
    return first * 1000, again * 1000, median(took) * 1000


def request_bytes(tool_search: bool) -> int:
    """The bytes of the tools in a request."""
    backend = ScriptedBackend("Done.")
    Agent(backend, tools=[tool for tool, _ in tools()], tool_search=tool_search).run("Go on.")
    return len(json.dumps(backend.requests[0].tools, separators=(",", ":"), ensure_ascii=False).encode())


def main() -> None:
    """Print what is found, and what it takes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--part", choices=("dev", "held-out"), help="only these questions")
    parser.add_argument("--missed", action="store_true", help="list what is not found")
    arguments = parser.parse_args()
    for part in [arguments.part] if arguments.part else ["dev", "held-out"]:
        asked = questions(part)
        for style in (None, "explicit", "own words", "twins"):
            shares = []
            for size, bests in SIZES:
                for best in bests:
                    share, count = found_share(asked, size, best, style)
                    shares.append(f"{size} tools top-{best} {share:.3f} ({count})")
            print(f"{part}, {style or 'all'}: {'; '.join(shares)}")
        for line in missed(asked) if arguments.missed else ():
            print(" ", line)
    first, again, query = timings()
    print(f"index: {first:.0f} ms, again {again:.1f} ms; a question: {query:.2f} ms")
    print(f"tools in a request: {request_bytes(False):,} bytes, with search {request_bytes(True):,}")


if __name__ == "__main__":
    main()
