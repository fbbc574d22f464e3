"""The npm packages of web/, as its lock file has them, installed once for all processes that run tests."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

WEB = Path(__file__).parents[2] / "web"
OLDEST_NODE = 20


def node() -> int:
    """Return the major version of Node.js; 0 without Node.js or npm."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return 0
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.removeprefix("v").split(".")[0])


def npm(*arguments: str) -> None:
    environment = {**os.environ, "PYTHON": sys.executable, "CI": "1"}
    done = subprocess.run(["npm", *arguments], cwd=WEB, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """No other process of this machine installs meanwhile."""
    name = hashlib.sha256(str(WEB).encode()).hexdigest()[:16]
    with open(Path(tempfile.gettempdir()) / f"agentkit-npm-{name}.lock", "w") as file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def installed(package: str = "") -> Path:
    """Install the packages, unless they are; returns the folder of one."""
    folder = WEB / "node_modules"
    stamp, wanted = folder / ".installed-from", hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    with _alone():
        if not stamp.is_file() or stamp.read_text() != wanted:
            npm("ci", "--no-progress")
            stamp.write_text(wanted)
    return folder / package
