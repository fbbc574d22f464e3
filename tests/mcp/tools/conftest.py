"""Fixtures of the tests of the tools of MCP servers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.mcp import MCP
from tests.mcp.tools.planned import Make, Planned


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    """A server; its plan is to be set."""
    return Planned(tmp_path)


@pytest.fixture
def server(planned: Planned) -> Iterator[Make]:
    """Makes the MCP of a plan, which is closed with the test."""
    made: list[MCP] = []

    def make(*tools: Any, era: str = "legacy", options: dict[str, Any] | None = None, **plan: Any) -> MCP:
        planned.set(*tools, **plan)
        made.append(MCP(planned.words(era), **{"name": "good", **(options or {})}))
        return made[-1]

    yield make
    for each in made:
        each.close()
