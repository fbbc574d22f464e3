"""Displays a run on the terminal until it ends: its text and progress, and the calls that need approval."""

from collections.abc import Callable
from typing import Any, Literal, TextIO

from agentkit import Limits, Result, Run, SessionError
from agentkit._lazy.records import replace
from agentkit.cli.approvals import decided
from agentkit.cli.printable import printable
from agentkit.cli.progress import Progress
from agentkit.cli.rendered import MarkdownWriter
from agentkit.event import Event, ReasoningDelta, ReplyDiscarded, ReplyFinished, TextDelta
from agentkit.limits import NO_USAGE, left_of
from agentkit.running.append_only import AppendOnlyText

Live = Literal["deltas", "markdown", "replies", "lost", "nothing"]
"""What is written of the text while a run goes on: as it arrives, as rendered Markdown, each reply when it is complete,
only a reply that can't be stored (a full disk), or nothing."""


def followed(
    begin: Callable[[], Run],
    resume: Callable[[Result, dict[str, Any], Limits], Run],
    limits: Limits,
    progress: Progress,
    live: Live,
    out: TextIO,
) -> Result:
    """Display a run, resume it each time the user has decided on its pending calls, and return the result of all.

    resume: is given what is left of the limits. out: where the text is written. Exceptions, KeyboardInterrupt included,
    are raised with the `tool_calls` and `messages` so far as attributes."""
    before: Result | None = None
    run = begin()
    try:
        while True:
            before = result = _joined(before, _display(run, progress, live, out))
            if result.stopped != "approval":
                return result
            progress.rest()
            run = resume(result, decided(result.pending), left_of(limits, result.usage))
    except BaseException as error:
        error.messages = run.messages  # type: ignore[attr-defined]
        earlier = [] if before is None else before.tool_calls
        is_within = before is None or run.result is None
        error.tool_calls = [*earlier, *run.tool_calls] if is_within else earlier  # type: ignore[attr-defined]
        raise


def _joined(before: Result | None, last: Result) -> Result:
    """The result of a run that was resumed: with what it has called and spent before."""
    if before is None:
        return last
    models = dict(before.models)
    for name, usage in last.models.items():
        models[name] = models.get(name, NO_USAGE) + usage
    return replace(
        last,
        usage=before.usage + last.usage,
        tool_calls=[*before.tool_calls, *last.tool_calls],
        models=models,
        repairs=[*before.repairs, *last.repairs],
        first_new=before.first_new,
    )


def _display(run: Run, progress: Progress, live: Live, out: TextIO) -> Result:
    """Display one run and return its result."""
    output = _output(progress, live, out)
    try:
        with run:
            for event in run:
                if not output.takes(event):
                    output.rest()
                    progress.show(event)
    except BaseException as error:
        if isinstance(error, SessionError):
            output.lose()
        output.rest()
        progress.rest()
        raise
    assert run.result is not None
    return run.result


def _output(progress: Progress, live: Live, out: TextIO) -> "_Output":
    if live == "deltas":
        return _Terminal(progress, out) if out.isatty() else _Piped(progress, out)
    return {"markdown": _Rendered, "replies": _Replies, "lost": _Lost, "nothing": _Output}[live](progress, out)


class _Output:
    """Writes nothing."""

    def __init__(self, progress: Progress, out: TextIO) -> None:
        self._progress = progress
        self._out = out
        self._wrote = False

    def takes(self, event: Event) -> bool:
        """Write the text of an event; return whether there is nothing else to show of it."""
        return False

    def lose(self) -> None:
        """Write what is kept of a reply that can't be stored."""

    def rest(self) -> None:
        """End the line."""
        if self._wrote:
            self._out.write("\n")
            self._out.flush()
            self._wrote = False

    def _write(self, text: str) -> None:
        self._progress.rest()
        self._out.write(text)
        self._out.flush()
        self._wrote = True


class _Terminal(_Output):
    """Writes text to a terminal as it arrives. What was discarded stays on the screen; the progress says so."""

    def takes(self, event: Event) -> bool:
        if isinstance(event, TextDelta):
            self._write(printable(event.text))
        return isinstance(event, TextDelta)


class _Rendered(_Output):
    """Writes Markdown as it looks, block by block; the status line has the end of the block that is arriving."""

    def __init__(self, progress: Progress, out: TextIO) -> None:
        super().__init__(progress, out)
        self._markdown = MarkdownWriter(out)

    def takes(self, event: Event) -> bool:
        if isinstance(event, TextDelta):
            self._print(self._markdown.write(event.text))
            self._progress.writing(self._markdown.last_line)
        return isinstance(event, TextDelta)

    def rest(self) -> None:
        self._print(self._markdown.rest())

    def _print(self, blocks: str) -> None:
        if blocks:
            self._progress.rest()
            self._markdown.print(blocks)


class _Piped(_Output):
    """Writes text to a pipe or a file, where it can't be taken back. Raises ReplyChangedError."""

    def __init__(self, progress: Progress, out: TextIO) -> None:
        super().__init__(progress, out)
        self._text = AppendOnlyText()

    def takes(self, event: Event) -> bool:
        if said := self._text.take(event):
            self._write(said)
        return isinstance(event, TextDelta | ReasoningDelta | ReplyDiscarded)


class _Replies(_Output):
    """Writes the text of each reply when it is complete, so that nothing has to be taken back."""

    def __init__(self, progress: Progress, out: TextIO) -> None:
        super().__init__(progress, out)
        self._parts: list[str] = []

    def takes(self, event: Event) -> bool:
        if isinstance(event, TextDelta):
            self._parts.append(event.text)
        elif isinstance(event, ReplyDiscarded):
            self._parts.clear()
        elif isinstance(event, ReplyFinished):
            self._end()
        return isinstance(event, TextDelta | ReasoningDelta | ReplyDiscarded)

    def _end(self) -> None:
        self.lose()

    def lose(self) -> None:
        if self._parts:
            self._write("".join(self._parts))
            self._parts.clear()


class _Lost(_Replies):
    """Writes only a reply that can't be stored: whoever asks has paid for it."""

    def takes(self, event: Event) -> bool:
        super().takes(event)
        return False

    def _end(self) -> None:
        self._parts.clear()
