"""The Python packages of tests/sdks/python, installed once per machine in an environment of their own, since some need
older versions of what this project needs; and the scripts, run with them."""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import filelock
import platformdirs
import trustme

from tests.sdks.node_packages import NotInstalledError, Sides

ROOT = Path(__file__).parents[2]
SOURCES = Path(__file__).parent / "python"
REQUIREMENTS = "requirements.txt"
SCRIPTS = ("openai_python", "langchain_openai", "instructor", "llm_cli", "openai_agents")
MORE_SCRIPTS = ("litellm", "llama_index", "smolagents")
MORE = "requirements-more.txt"
"""What they need, which is 400 MB: the tests do without them."""
OF_THE_PROJECT = ("openai_python",)
"""Scripts of packages that this project itself needs: they run with the versions that it has."""
INSTALL = ("install", "--quiet", "--no-deps", "--no-compile", "--retries=1", "--timeout=30", "--requirement")
UNREACHABLE = "(from versions: none)"


def row(script: str, sides: Sides, others: Mapping[str, Sides], requirements: str = REQUIREMENTS) -> dict[str, Any]:
    """Run a script of tests/sdks/python, and return its row of the matrix. others: for abilities, by their names with
    commas between them, that need another model.

    Raises NotInstalledError, and RuntimeError when the script fails.
    """
    python = sys.executable if script in OF_THE_PROJECT else str(installed(requirements))
    command = [python, "-m", f"tests.sdks.python.{script}", *sides]
    for abilities, their_sides in others.items():
        command += [abilities, *their_sides]
    done = subprocess.run(
        command, cwd=ROOT, env=_environment(), capture_output=True, text=True, encoding="utf-8", check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{script} failed:\n{done.stderr[-4000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _environment() -> dict[str, str]:
    """The environment of a script: modules are compiled once, and no certificates of the system are read, which would
    take most of its time, since some SDKs read them for each request."""
    left_out = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "SSL_CERT_DIR")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, "SSL_CERT_FILE": str(_certificate()), "PYTHONWARNINGS": "ignore"}


@functools.cache
def _certificate() -> Path:
    path = _cache() / "certificate.pem"
    if not path.exists():
        trustme.CA().cert_pem.write_to_path(path)
    return path


@functools.cache
def installed(requirements: str = REQUIREMENTS) -> Path:
    """The Python of the environment. Raises NotInstalledError without pip or the registry."""
    text = (SOURCES / requirements).read_bytes() + sys.version.encode()
    folder = _cache() / f"python-{hashlib.sha256(text).hexdigest()[:16]}"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    with filelock.FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
            _install(python, SOURCES / requirements)
            (folder / "complete").touch()
    return python


def _install(python: Path, requirements: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    done = subprocess.run([*pip, *INSTALL, str(requirements)], capture_output=True, text=True, check=False)
    if done.returncode != 0 and ("No module named pip" in done.stderr or UNREACHABLE in done.stderr):
        raise NotInstalledError(f"the packages of {requirements} can't be installed: {done.stderr.strip()[-200:]}")
    if done.returncode != 0:
        raise RuntimeError(f"pip failed:\n{done.stderr}")


def _cache() -> Path:
    folder = platformdirs.user_cache_path("agentkit-tests")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
