"""Answers a question with citations, from a folder of documents or from the web.

    python examples/research_assistant.py "What prize did the Longitude Act offer?"
    AGENTKIT_MODEL=openai:gpt-5-mini python examples/research_assistant.py --web "What is new in Python 3.14?"

Without AGENTKIT_MODEL no model is used: the sentences that match best are quoted with their sources.
"""

import argparse
import os
from pathlib import Path

from agentkit import Agent, Limits, Tool
from agentkit.event import ToolFinished
from agentkit_tools import documents, search, visit

DOCUMENTS = Path(__file__).parent / "documents"
INSTRUCTIONS = """You are a research assistant. Search first, then read the most relevant pages, then answer in a few
sentences. Cite the source after each statement. If the sources don't contain the answer, say so."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question")
    parser.add_argument("--docs", type=Path, default=DOCUMENTS, help="the folder to search")
    parser.add_argument("--web", action="store_true", help="search the web instead")
    options = parser.parse_args()

    tools: list[Tool[..., str]] = [search, visit] if options.web else documents(options.docs)
    model = os.environ.get("AGENTKIT_MODEL", "extractive")
    with Agent(model, tools=tools, instructions=INSTRUCTIONS, limits=Limits(turns=10)) as agent:
        run = agent.stream(options.question)
        for event in run:
            if isinstance(event, ToolFinished):
                print(f"  ({event.record.name}: {event.record.seconds:.1f} s)")
    assert run.result is not None
    print(run.result.output)


if __name__ == "__main__":
    main()
