"""The fixture `recording` for pytest: put `pytest_plugins = ["agentkit.testing.pytest_plugin"]` into conftest.py.

def test_an_answer(recording):
    assert Agent("openai:gpt-5-mini").run("2 + 2?").output == "4"
"""

import hashlib
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.testing.cassette import CassetteError, recorded

MAX_NAME = 120
"""Characters of the name of a file."""

_HAS_FAILED = pytest.StashKey[bool]()
_OTHERS = re.compile(r"[^\w.-]+")
_PARAMETERS = re.compile(r"\[([\w.-]*)\]$")


@pytest.fixture
def recording(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Replays the exchanges of this test from cassettes/MODULE/TEST.yaml next to its file (of a method
    CLASS.TEST.yaml); AGENTKIT_RECORD=once (new, all) records them. Returns vcrpy's cassette."""
    file = Path(str(request.node.path))
    folder = file.parent / "cassettes" / file.stem
    path = folder / f"{_name(request.node)}.yaml"
    earlier = folder / f"{_OTHERS.sub('_', request.node.name)}.yaml"  # of recordings that earlier versions have made
    try:
        with recorded(earlier if _is_file(earlier) and not path.exists() else path) as cassette:
            yield cassette
    except CassetteError:
        if not request.node.stash.get(_HAS_FAILED, False):  # else it is said already
            raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note whether a test has failed."""
    report = yield
    item.stash[_HAS_FAILED] = item.stash.get(_HAS_FAILED, False) or report.failed
    return report


def _name(node: pytest.Item) -> str:
    """The name of a test's file, which no other test of its module has."""
    classes = [each.name for each in node.listchain() if isinstance(each, pytest.Class)]
    given = ".".join([*classes, node.name])
    name = _OTHERS.sub("_", given)
    is_told_apart = _OTHERS.sub("_", _PARAMETERS.sub(r"_\1_", given)) == _PARAMETERS.sub(r"_\1_", given)
    if is_told_apart and len(name) <= MAX_NAME:
        return name
    return f"{name[:MAX_NAME]}-{hashlib.sha256(given.encode()).hexdigest()[:8]}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is too long
        return False
