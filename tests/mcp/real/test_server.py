"""The server, used by the official conformance suite, the official Python SDK and the Inspector."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.mcp.serving.answering import Server
from agentkit.mcp.serving.http import HTTPServing
from tests.mcp.real.conftest import Run
from tests.support import mcp_fixture, mcp_tools

ROOT = Path(__file__).parents[3]
CONFORMANCE = "@modelcontextprotocol/conformance/dist/index.js"
INSPECTOR = "@modelcontextprotocol/inspector/package.json"
PYTHONPATH = os.pathsep.join([str(ROOT), str(ROOT / "tools")])

NOT_SERVED = {
    "2025-11-25": {
        "logging-set-level",
        "completion-complete",
        "tools-call-audio",
        "tools-call-embedded-resource",
        "tools-call-mixed-content",
        "tools-call-with-logging",
        "tools-call-sampling",
        "tools-call-elicitation",
        "elicitation-sep1034-defaults",
        "elicitation-sep1330-enums",
        "resources-read-text",
        "resources-read-binary",
        "resources-templates-read",
        "resources-subscribe",
        "resources-unsubscribe",
        "prompts-get-simple",
        "prompts-get-with-args",
        "prompts-get-embedded-resource",
        "prompts-get-with-image",
    },
    "2026-07-28": {
        "completion-complete",
        "tools-call-audio",
        "tools-call-embedded-resource",
        "tools-call-mixed-content",
        "resources-read-text",
        "resources-read-binary",
        "resources-templates-read",
        "prompts-get-simple",
        "prompts-get-with-args",
        "prompts-get-embedded-resource",
        "prompts-get-with-image",
        "input-required-result-non-tool-request",
        "tasks-lifecycle",
        "tasks-capability-negotiation",
        "tasks-wire-fields",
        "tasks-request-state-removal",
        "tasks-mrtr-input",
        "tasks-request-headers",
        "tasks-dispatch-and-envelope",
        "tasks-required-task-error",
        "tasks-mrtr-composition",
    },
}
"""Scenarios that need what the server does not offer: prompts, resources, completions, audio, logging, tasks, and
questions of the server to clients with a handshake."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServing(Server(mcp_tools.TOOLS), ("127.0.0.1", 0)) as serving:
        yield serving.url


@pytest.mark.parametrize("revision", sorted(NOT_SERVED))
def test_the_conformance_suite_finds_no_fault_in_what_is_served(revision: str, node: Run, tmp_path: Path) -> None:
    with HTTPServing(Server(mcp_fixture.TOOLS), ("127.0.0.1", 0)) as serving:
        done = node(CONFORMANCE, "server", "--url", serving.url, "--requirements", revision, "-o", str(tmp_path))
    found = re.findall(r"^(\S) ([a-z0-9-]+): (\d+) passed, (\d+) failed", done.stdout, re.MULTILINE)
    assert len(found) > 30, done.stdout + done.stderr
    assert {name for _, name, _, failed in found if failed != "0"} == NOT_SERVED[revision]


@pytest.mark.parametrize("mode", ["auto", "legacy", "2026-07-28"])
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_the_python_sdk_uses_the_server(installed: Path, url: str, transport: str, mode: str) -> None:
    target = url if transport == "http" else sys.executable
    command: list[str | Path] = [
        installed / "bin" / "python",
        ROOT / "tests" / "mcp" / "real" / "sdk_client.py",
        mode,
        target,
    ]
    environment = {**os.environ, "PYTHONPATH": "", "SERVED_PATH": PYTHONPATH}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["version"] == ("2025-11-25" if mode == "legacy" else "2026-07-28")
    assert "add" in said["tools"]
    assert said["add"] == {"result": 3}
    assert said["place"] == {"name": "Oslo", "people": 717710}
    assert "Correct them" in said["wrong"]
    assert said["image"] == "image/png"
    assert said["progress"] == ["step 0", "step 1", "step 2"]
    assert said["large"] == "1000000"
    assert said["parallel"] == [str(each) for each in range(16)]
    assert ("was not run" if mode == "legacy" else "booked window in ICE 7") in said["book"]


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_the_inspector_uses_the_server(node: Run, installed: Path, url: str, transport: str) -> None:
    package = json.loads((installed / "node_modules" / INSPECTOR).read_text("utf-8"))
    program = f"@modelcontextprotocol/inspector/{package['bin']['mcp-inspector']}"
    served = [url] if transport == "http" else ["-e", f"PYTHONPATH={PYTHONPATH}", "--cwd", str(ROOT)]
    served += [] if transport == "http" else [sys.executable, "-m", "tests.support.mcp_tools"]
    called = ["--method", "tools/call", "--tool-name", "place", "--tool-arg", "name=Oslo"]
    done = node(program, "--cli", *served, *called)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["structuredContent"] == {"name": "Oslo", "people": 717710}
    listed = node(program, "--cli", *served, "--method", "tools/list", "--strict")
    assert listed.returncode == 0, listed.stderr
