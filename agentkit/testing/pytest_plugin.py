"""The fixture `recording` for pytest: put `pytest_plugins = ["agentkit.testing.pytest_plugin"]` into conftest.py.

def test_an_answer(recording):
    assert Agent("openai:gpt-5-mini").run("2 + 2?").output == "4"
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.testing.cassette import recorded


@pytest.fixture
def recording(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Replays the exchanges of this test from cassettes/MODULE/TEST.yaml next to its file; AGENTKIT_RECORD=once (new,
    all) records them. Returns vcrpy's cassette."""
    file = Path(str(request.node.path))
    name = re.sub(r"[^\w.-]+", "_", request.node.name)
    with recorded(file.parent / "cassettes" / file.stem / f"{name}.yaml") as cassette:
        yield cassette
