"""A program that the tests run in a forked process (tests/support/forked_cli.py) ends as one of its own does."""

import subprocess
import sys

import pytest

from tests.support import forked_cli

ENDS = {
    "at its last line": "print('Done.')",
    "with a number": "import sys; sys.exit(3)",
    "with a message": "import sys; sys.exit('It is wrong.')",
    "with an error": "raise KeyError('it')",
    "with Ctrl-C": "raise KeyboardInterrupt",
    "after its threads and what is to be called": (
        "import atexit, threading, time\natexit.register(print, 'at exit')\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print('late'))).start()"
    ),
    "without a thread that is a daemon": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    ),
    "with what is left open told": "import socket\nleft = socket.socket()",
    "with its objects freed": "class A:\n    def __del__(self): print('freed')\na = A()",
    "with a closed output": "import sys; sys.stdout.close()",
    "without an output": "import sys; sys.stdout = sys.stderr = None",
    "with another output": "import io, sys; sys.stdout = io.StringIO(); print('x', file=sys.__stdout__)",
    "with an output that is full": "import sys; sys.stdout = open('/dev/full', 'w'); print('x')",
}


@pytest.mark.parametrize("code", ENDS.values(), ids=ENDS)
def test_a_forked_program_ends_as_one_of_its_own(code: str) -> None:
    ended = []
    for begin in (forked_cli.command(), (sys.executable, "-W", "error")):
        done = subprocess.run([*begin, "-c", code], capture_output=True, text=True, check=False)
        ended.append((done.returncode, done.stdout, done.stderr.splitlines()[-1:]))
    forked, own = ended
    assert forked == own
