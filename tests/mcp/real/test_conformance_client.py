"""The official conformance kit: each scenario for clients that a version requires, and one that was added later."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mcp.real.programs import node, program

CLIENT = Path(__file__).with_name("conformance_client.py")
ROOT = Path(__file__).parents[3]
OAUTH = tuple(
    f"auth/{name}"
    for name in (
        *("metadata-default", "metadata-var1", "metadata-var2", "metadata-var3", "basic-cimd", "pre-registration"),
        *("scope-from-www-authenticate", "scope-from-scopes-supported", "scope-omitted-when-undefined"),
        *("scope-step-up", "scope-retry-limit", "token-endpoint-auth-basic", "token-endpoint-auth-post"),
        "token-endpoint-auth-none",
    )
)
NEWER_OAUTH = tuple(
    f"auth/{name}"
    for name in (
        *("resource-mismatch", "offline-access-scope", "offline-access-not-supported"),
        *("authorization-server-migration", "iss-supported", "iss-not-advertised", "iss-supported-missing"),
        *("iss-wrong-issuer", "iss-unexpected", "iss-normalized", "metadata-issuer-mismatch"),
    )
)
SCENARIOS = {
    "2025-11-25": (
        *("initialize", "tools_call", "elicitation-sep1034-client-defaults", "sse-retry"),
        *("json-schema-2020-12-preservation", *OAUTH),
    ),
    "2026-07-28": (
        *("tools_call", "request-metadata", "sep-2322-client-request-state", "http-standard-headers"),
        *("http-custom-headers", "http-invalid-tool-headers", "json-schema-ref-no-deref"),
        *("json-schema-2020-12-preservation", *OAUTH, *NEWER_OAUTH),
    ),
}


@pytest.mark.parametrize(
    ("version", "scenario"), [(version, each) for version in SCENARIOS for each in SCENARIOS[version]]
)
def test_a_scenario_passes(version: str, scenario: str, tmp_path: Path) -> None:
    kit = Path(program("conformance")).resolve()
    command = [node(22), str(kit), "client", "--command", f"{sys.executable} {CLIENT}", "--scenario", scenario]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*command, "--spec-version", version, "--output-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        timeout=120,
        check=False,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert "0 failed, 0 warnings" in told, told
