"""Displays a run on the terminal until it ends: its text and progress, and the calls that need approval."""

import sys
from collections.abc import Callable
from typing import Any

from agentkit import Result, Run
from agentkit.cli.approvals import decided
from agentkit.cli.progress import Progress, printable
from agentkit.event import TextDelta


def followed(
    begin: Callable[[], Run], resume: Callable[[Result, dict[str, Any]], Run], progress: Progress, live: bool
) -> Result:
    """Display a run, resume it each time the user has decided on its pending calls, and return the last result.

    Exceptions of the run, KeyboardInterrupt included, are raised with the run's `tool_calls` and `messages` so far as
    attributes."""
    run = begin()
    while True:
        result = _display(run, progress, live)
        if result.stopped != "approval":
            return result
        progress.rest()
        run = resume(result, decided(result.pending))


def _display(run: Run, progress: Progress, live: bool) -> Result:
    """Display one run and return its result."""
    wrote = False
    try:
        with run:
            for event in run:
                if live and isinstance(event, TextDelta):
                    progress.rest()
                    sys.stdout.write(printable(event.text) if sys.stdout.isatty() else event.text)
                    sys.stdout.flush()
                    wrote = True
                    continue
                if wrote:
                    print()
                    wrote = False
                progress.show(event)
    except BaseException as error:
        progress.rest()
        error.tool_calls = run.tool_calls  # type: ignore[attr-defined]
        error.messages = run.messages  # type: ignore[attr-defined]
        raise
    assert run.result is not None
    return run.result
