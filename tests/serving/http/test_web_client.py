"""web/: the TypeScript client against the real service, and whether the built page matches its sources."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WEB = ROOT / "web"
STATIC = ROOT / "agentkit" / "serving" / "http" / "static"


def _node() -> int:
    """Return the major version of Node.js; 0 without Node.js or npm."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return 0
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.removeprefix("v").split(".")[0])


pytestmark = [
    pytest.mark.skipif(_node() < 20, reason="Node.js 20 or newer is not installed"),
    pytest.mark.timeout(300),
]


def npm(*arguments: str) -> None:
    environment = {**os.environ, "PYTHON": sys.executable, "CI": "1"}
    done = subprocess.run(["npm", *arguments], cwd=WEB, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_the_client_works_and_the_built_page_matches_its_sources(tmp_path: Path) -> None:
    npm("ci", "--no-progress")
    npm("run", "check")
    npm("test")
    npm("exec", "--", "vite", "build", "--logLevel", "error", "--outDir", str(tmp_path / "built"))
    made = {path.name: path.read_bytes() for path in (tmp_path / "built").iterdir()}
    kept = {path.name: path.read_bytes() for path in STATIC.iterdir()}
    assert {name: kept.get(name) for name in made} == made
    assert set(kept) - set(made) == {"built-from.txt", "licenses.txt"}
