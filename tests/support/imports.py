"""What a program loads: its modules, in a process of its own."""

import subprocess
import sys
from pathlib import Path

_LISTED = "\n---- modules\n"


def loaded_by(code: str, *, folder: Path | None = None) -> tuple[str, set[str]]:
    """The standard output of a program, and the names of the modules that are loaded when it ends."""
    whole = (
        "import atexit, sys\n"
        f"atexit.register(lambda: sys.stdout.write({_LISTED!r} + '\\n'.join(list(sys.modules))))\n{code}\n"
    )
    done = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    shown, _, names = done.stdout.partition(_LISTED)
    return shown, set(names.split())
