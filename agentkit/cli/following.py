"""A run followed to its end on the terminal: its text as it comes, its progress, the calls that need a word."""

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
    """Show a run, and what follows when a person has decided on its calls. Raises what the run raises, which then has
    the run's `tool_calls` and `messages` so far; KeyboardInterrupt too."""
    run = begin()
    while True:
        result = shown(run, progress, live)
        if result.stopped != "approval":
            return result
        progress.rest()
        run = resume(result, decided(result.pending))


def shown(run: Run, progress: Progress, live: bool) -> Result:
    """One run."""
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
