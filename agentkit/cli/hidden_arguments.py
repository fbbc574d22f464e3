"""Hides passwords given as arguments from the process list (`ps`)."""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

CREDENTIALS = re.compile(r"(?<=//)[^\s]*@|(?<=password=)[^&\s]*", re.IGNORECASE)
"""User and password of a URL, also of one that is not escaped, or its option."""


def hide_arguments(secrets: Sequence[str] = ()) -> None:
    """Replace the credentials of URLs, and other secrets, in the arguments that other users of this machine see. That
    needs the package setproctitle; without it, a line on standard error says so."""
    shown = [CREDENTIALS.sub("***@", each) if "//" in each else each for each in sys.argv]
    for secret in secrets:
        shown = [each.replace(secret, "***") for each in shown]
    if shown == sys.argv:
        return
    try:
        import setproctitle
    except ImportError:
        print(
            "agentkit: others can see the password in the arguments in the process list: give it as an environment "
            "variable, or install the package setproctitle",
            file=sys.stderr,
        )
        return
    setproctitle.setproctitle(shlex.join([Path(sys.executable).name, *shown]))
