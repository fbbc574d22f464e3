"""One agent answers several questions in parallel, in a thread pool.

    python examples/thread_pool.py
    AGENTKIT_MODEL=llamacpp:@http://localhost:8080 python examples/thread_pool.py

An agent is immutable and has one connection pool: create it once and share it between all threads.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agentkit import Agent
from agentkit_tools import documents

QUESTIONS = [
    "How accurate was Harrison's H4 on its voyage to Jamaica?",
    "What did the Longitude Act of 1714 offer?",
    "Who computed the tables for the method of lunar distances?",
    "What was decided at the meridian conference of 1884?",
]


def main() -> None:
    tools = documents(Path(__file__).parent / "documents")
    with (
        Agent(os.environ.get("AGENTKIT_MODEL", "extractive"), tools=tools) as agent,
        ThreadPoolExecutor(max_workers=4) as pool,
    ):
        for question, result in zip(QUESTIONS, pool.map(agent.run, QUESTIONS), strict=True):
            print(f"{question}\n{result.output}\n")


if __name__ == "__main__":
    main()
