"""web/: the TypeScript client against the real service, and whether the built page matches its sources."""

from pathlib import Path

import pytest

from tests.support.npm import OLDEST_NODE, installed, node, npm

ROOT = Path(__file__).parents[3]
STATIC = ROOT / "agentkit" / "serving" / "http" / "static"

pytestmark = [
    pytest.mark.skipif(node() < OLDEST_NODE, reason="Node.js 20 or newer is not installed"),
    pytest.mark.timeout(300),
]


def test_the_client_works_and_the_built_page_matches_its_sources(tmp_path: Path) -> None:
    installed()
    npm("run", "check")
    npm("test")
    npm("exec", "--", "vite", "build", "--logLevel", "error", "--outDir", str(tmp_path / "built"))
    made = {path.name: path.read_bytes() for path in (tmp_path / "built").iterdir()}
    kept = {path.name: path.read_bytes() for path in STATIC.iterdir()}
    assert {name: kept.get(name) for name in made} == made
    assert set(kept) - set(made) == {"built-from.txt", "licenses.txt"}
