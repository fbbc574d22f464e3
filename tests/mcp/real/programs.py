"""Programs of others that the tests of MCP use.

AGENTKIT_TEST_MCP names folders with them, such as `node_modules/.bin` and the `bin` of an environment; without it they
are looked for in PATH.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDERS = os.pathsep.join(filter(None, [os.environ.get("AGENTKIT_TEST_MCP"), os.environ.get("PATH")]))


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
