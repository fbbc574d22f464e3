"""Shows the progress of a run on standard error, without control codes in texts from models and tools."""

import json
import sys
from types import TracebackType

from rich.console import Console
from rich.status import Status
from rich.text import Text

from agentkit import Result, Usage
from agentkit._text import in_a_line
from agentkit.cli.printable import printable
from agentkit.event import (
    Event,
    LimitReached,
    LoopDetected,
    ReplyDiscarded,
    ReplyFinished,
    ReplyStarted,
    ToolFinished,
    ToolProgress,
    ToolRecord,
    ToolStarted,
)

MAX_DISPLAY = 100
"""Maximum number of characters of arguments or of a response shown in one line."""


class Progress:
    """Shows events as lines; on a terminal a status line below them says what the run is waiting for."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self._status: Status | None = None
        self._running: dict[str, str] = {}

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rest()

    def show(self, event: Event) -> None:
        """Show an event, if it is of interest to the user."""
        if isinstance(event, ReplyStarted):
            self._wait_for("waiting for the model")
        elif isinstance(event, ReplyFinished):
            self.rest()
        elif isinstance(event, ToolStarted):
            self._running[event.id] = event.name
            self._line("→", f"{event.name}({_arguments(event)})", "cyan")
            self._wait_for(f"running {', '.join(self._running.values())}")
        elif isinstance(event, ToolProgress):
            self._line("·", event.text, "dim")
        elif isinstance(event, ToolFinished):
            self._finished(event.record)
        elif isinstance(event, LimitReached):
            self._line("!", f"limit on {event.limit} reached: requesting a final answer", "yellow")
        elif isinstance(event, ReplyDiscarded):
            self._line("!", "the partial reply above was discarded; the reply starts again", "yellow")
        elif isinstance(event, LoopDetected):
            self._line("!", event.what, "yellow")

    def writing(self, line: str) -> None:
        """Show the end of a text that is not printed yet in the status line."""
        self._wait_for(_shortened(line))

    def rest(self) -> None:
        """Clear the status line."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def summary(self, result: Result) -> None:
        """Show the usage of the run, and why it stopped if not with an answer."""
        stopped = "" if result.stopped == "answer" else f" · stopped: {result.stopped}"
        self._console.print(Text(f"{spent(result.usage)}{stopped}", style="dim"))

    def interrupted(self, tool_calls: list[ToolRecord]) -> None:
        """Show which tool calls had finished before Ctrl-C."""
        self.rest()
        done = ", ".join(f"{record.name} ({record.seconds:.1f} s)" for record in tool_calls) or "none"
        self._line("!", f"interrupted; completed tool calls: {done}", "yellow")

    def _finished(self, record: ToolRecord) -> None:
        self._running.pop(record.id, None)
        mark, style = ("✗", "red") if record.error else ("✓", "green")
        self._line(mark, f"{record.name} {record.seconds:.2f} s  {_shortened(record.response)}", style)
        if self._running:
            self._wait_for(f"running {', '.join(self._running.values())}")
        else:
            self.rest()

    def _line(self, mark: str, text: str, style: str) -> None:
        line = Text.assemble((f"{mark} ", style), printable(text))
        if self._console.is_terminal:
            self._console.print(line, no_wrap=True, overflow="ellipsis")
        else:
            self._console.print(line, soft_wrap=True)

    def _wait_for(self, what: str) -> None:
        # FORCE_COLOR makes a terminal of a pipe, but a status line needs a real one.
        if self._console.quiet or not sys.stderr.isatty() or not self._console.is_terminal:
            return
        text = Text(what)
        text.truncate(max(self._console.width - 4, 1), overflow="ellipsis")  # one line: only that is cleared for sure
        if self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        else:
            self._status.update(text)


def spent(usage: Usage) -> str:
    """Returns the usage as one line."""
    words = [_counted(usage.requests, "request"), _counted(usage.tool_calls, "tool call")]
    if usage.input_tokens or usage.output_tokens:
        cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
        words.append(f"{usage.input_tokens:,}{cached} + {usage.output_tokens:,} tokens")
    return " · ".join([*words, f"{usage.seconds:.1f} s"])


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _arguments(call: ToolStarted) -> str:
    """Returns the arguments of a call as `name=value`, or as the model wrote them if they are not valid; shortened."""
    pairs = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in call.arguments.items()]
    return _shortened(", ".join(pairs) or call.raw_arguments.replace("{}", ""))


def _shortened(text: str) -> str:
    return in_a_line(text, MAX_DISPLAY)
