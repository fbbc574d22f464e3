"""Displays a run on the terminal until it ends: its text and progress, and the calls that need approval."""

import sys
from collections.abc import Callable
from typing import Any, Literal

from agentkit import Result, Run
from agentkit.cli.approvals import decided
from agentkit.cli.progress import Progress, printable
from agentkit.event import Event, ReasoningDelta, ReplyDiscarded, ReplyFinished, TextDelta
from agentkit.running.append_only import AppendOnlyText

Live = Literal["deltas", "replies", "nothing"]
"""What is written of the text while a run goes on: as it arrives, each reply when it is complete, or nothing."""


def followed(
    begin: Callable[[], Run], resume: Callable[[Result, dict[str, Any]], Run], progress: Progress, live: Live
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


def _display(run: Run, progress: Progress, live: Live) -> Result:
    """Display one run and return its result."""
    output = _Replies() if live == "replies" else _Output() if sys.stdout.isatty() else _Piped()
    try:
        with run:
            for event in run:
                if live != "nothing" and output.takes(event):
                    progress.rest()
                else:
                    output.rest()
                    progress.show(event)
    except BaseException as error:
        progress.rest()
        error.tool_calls = run.tool_calls  # type: ignore[attr-defined]
        error.messages = run.messages  # type: ignore[attr-defined]
        raise
    assert run.result is not None
    return run.result


class _Output:
    """Writes text to a terminal as it arrives. What was discarded stays on the screen; the progress says so."""

    def __init__(self) -> None:
        self._wrote = False

    def takes(self, event: Event) -> bool:
        """Write the text of an event; return whether there is nothing else to show of it."""
        if isinstance(event, TextDelta):
            self._write(printable(event.text))
        return isinstance(event, TextDelta)

    def rest(self) -> None:
        """End the line."""
        if self._wrote:
            print()
            self._wrote = False

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
        self._wrote = True


class _Piped(_Output):
    """Writes text to a pipe or a file, where it can't be taken back. Raises ReplyChangedError."""

    def __init__(self) -> None:
        super().__init__()
        self._text = AppendOnlyText()

    def takes(self, event: Event) -> bool:
        if said := self._text.take(event):
            self._write(said)
        return isinstance(event, TextDelta | ReasoningDelta | ReplyDiscarded)


class _Replies(_Output):
    """Writes the text of each reply when it is complete, so that nothing has to be taken back."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[str] = []

    def takes(self, event: Event) -> bool:
        if isinstance(event, TextDelta):
            self._parts.append(event.text)
        elif isinstance(event, ReplyDiscarded):
            self._parts.clear()
        elif isinstance(event, ReplyFinished) and self._parts:
            self._write("".join(self._parts))
            self._parts.clear()
        return isinstance(event, TextDelta | ReasoningDelta | ReplyDiscarded)
