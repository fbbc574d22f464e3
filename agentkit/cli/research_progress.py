"""Shows a research on standard error while it goes on: on a terminal, and nothing elsewhere."""

import sys

from agentkit._text import in_a_line
from agentkit.cli.printable import printable
from agentkit.cli.progress import MAX_DISPLAY, Progress, spent
from agentkit.research import Begun, Done, Noted, Planned, Report, ResearchEvent, Used, Writing


class ResearchProgress(Progress):
    """Shows what the researchers do as lines, each with the number of its sub-question; a status line below them says
    how many are at work."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(quiet=quiet or not sys.stderr.isatty())
        self._open: set[int] = set()
        self._notes = 0

    def __enter__(self) -> "ResearchProgress":
        return self

    def begin(self, name: str, question: str) -> None:
        """Show what is researched. name: its id."""
        self._line("●", f"{in_a_line(question, MAX_DISPLAY)}  ({name})", "bold cyan")
        self._wait_for("planning")

    def report(self, event: ResearchEvent) -> None:
        """Show an event."""
        self.rest()
        mark, text, style = self._of(event)
        self._line(mark, text, style)
        if self._open:
            numbers = ", ".join(str(number) for number in sorted(self._open))
            self._wait_for(f"at work: {numbers} · {self._notes} notes")
        elif isinstance(event, Writing):
            self._wait_for("writing the report")

    def _of(self, event: ResearchEvent) -> tuple[str, str, str]:
        if isinstance(event, Planned):
            lines = [f"  {number}. {each}" for number, each in enumerate(event.questions, 1)]
            return "●", "\n".join(["going on with" if event.resumed else "plan", *lines]), "cyan"
        if isinstance(event, Begun):
            self._open.add(event.number)
            known = f" ({event.notes} notes so far)" if event.notes else ""
            return "→", f"{event.number}  {in_a_line(event.question, MAX_DISPLAY)}{known}", "cyan"
        if isinstance(event, Used):
            arguments = in_a_line(event.arguments, MAX_DISPLAY)
            mark, style = ("✗", "red") if event.error else ("✓", "green")
            return mark, f"{event.number}  {event.tool} {arguments} {event.seconds:.1f} s", style
        if isinstance(event, Noted):
            self._notes += 1
            return "·", f"{event.number}  {in_a_line(event.text, MAX_DISPLAY)}", "dim"
        if isinstance(event, Done):
            self._open.discard(event.number)
            why = "" if event.stopped == "answer" else f", stopped: {event.stopped}"
            return "■", f"{event.number}  done, {event.notes} notes{why}", "green"
        return "●", f"writing the report, part {event.part} of {event.parts}", "cyan"

    def written(self, report: Report, files: list[str]) -> None:
        """Show what the report took, and where it is."""
        self.rest()
        flagged = len({(each.start, each.end) for each in report.flagged})
        found = f"{len(report.sources)} sources cited, {flagged} sentences flagged"
        self._line("●", f"{found} · {spent(report.usage)}", "dim")
        for file in files:
            self._line("●", f"wrote {file}", "dim")

    def left(self, name: str) -> None:
        """Say how an interrupted research is continued, on a pipe too."""
        self.rest()
        print(printable(f"agentkit: interrupted; agentkit research --resume {name} goes on"), file=sys.stderr)
