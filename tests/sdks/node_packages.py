"""The Node.js packages of tests/sdks/node, installed once per machine, and its scripts, run with them."""

import functools
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import platformdirs

SOURCES = Path(__file__).parent / "node"
SCRIPTS = ("openai_node.mjs", "ai_sdk.mjs")
OLDEST_NODE = 20
INSTALL = ("npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--no-progress")
QUICKLY = ("--loglevel=error", "--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-timeout=30000")
"""Options with which npm gives up soon where there is no network."""
UNREACHABLE = ("EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "ETIMEDOUT")
"""Codes of npm's errors where the registry can't be reached."""


class NotInstalledError(Exception):
    """The packages can't be installed on this machine; the text says why."""


class Sides(NamedTuple):
    """Where a script tries each ability: the URLs, which end in /v1, and the models."""

    direct: str
    direct_model: str
    through: str
    through_model: str


def rows(script: str, sides: Sides, others: Mapping[str, Sides] | None = None) -> list[dict[str, Any]]:
    """Run a script of tests/sdks/node, and return its rows of the matrix: `{"sdk": ..., "version": ..., "abilities":
    {name: {"direct": outcome, "through": outcome}}}`. others: for abilities, by their names with commas between them,
    that need another model.

    Raises NotInstalledError, and RuntimeError when the script fails.
    """
    packages = installed()
    with tempfile.TemporaryDirectory() as name:
        # Node.js looks for packages beside the script
        folder = Path(name).resolve()
        (folder / "node_modules").symlink_to(packages / "node_modules", target_is_directory=True)
        for each in SOURCES.glob("*.mjs"):
            shutil.copy(each, folder)
        command = ["node", script, *sides]
        for abilities, their_sides in (others or {}).items():
            command += [abilities, *their_sides]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{script} failed:\n{done.stderr[-4000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return found if isinstance(found, list) else [found]


@functools.cache
def installed() -> Path:
    """The folder that has `node_modules`. Raises NotInstalledError without Node.js, npm or the registry."""
    if _node() < OLDEST_NODE or shutil.which("npm") is None:
        raise NotInstalledError(f"Node.js {OLDEST_NODE} or newer is not installed")
    names = ("package.json", "package-lock.json", ".npmrc")
    digest = hashlib.sha256(b"".join((SOURCES / name).read_bytes() for name in names)).hexdigest()
    folder = platformdirs.user_cache_path("agentkit-tests") / f"node-{digest[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / "lock"):
        if not (folder / "complete").exists():
            for name in names:
                shutil.copy(SOURCES / name, folder)
            _install(folder)
            (folder / "complete").touch()
    return folder


def _install(folder: Path) -> None:
    done = subprocess.run(
        [shutil.which("npm") or "npm", *INSTALL[1:], *QUICKLY], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0 and any(code in done.stderr for code in UNREACHABLE):
        raise NotInstalledError(f"the packages of {SOURCES} can't be fetched: {done.stderr.strip().splitlines()[0]}")
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(INSTALL)} failed:\n{done.stderr}")


def _node() -> int:
    """The major version of Node.js, 0 without it."""
    if shutil.which("node") is None:
        return 0
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.removeprefix("v").split(".")[0])
