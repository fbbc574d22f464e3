"""`agentkit trace`: makes a page of runs, from a stored session or a file of events."""

import sys
from collections.abc import Iterable
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentkit.cli.stores import StoreOption, leave, opened

if TYPE_CHECKING:
    from agentkit.cli.trace.runs import Runs

MAX_COMPLAINTS = 5


def trace(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SESSION|FILE",
            help="A stored session, or a file: events as JSON lines, or what agentkit ask --json prints. - is standard "
            "input.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PAGE", help="The HTML file; default, and -: standard output."),
    ] = None,
    store: StoreOption = None,
    skip_damaged: Annotated[bool, typer.Option("--skip-damaged", help="Leave out entries that are damaged.")] = False,
) -> None:
    """Make an HTML page of runs: timeline, messages, tool calls, tokens, cost and errors.

    The page is one file, which runs no script and loads nothing. It has the conversation in it.
    """
    from agentkit.cli.trace.page import page
    from agentkit.cli.trace.runs import Runs
    from agentkit.errors import AgentkitError

    if output == Path("-"):
        output = None
    if output is None and sys.stdout.isatty():
        leave("a page is not for a terminal: write it to a file, as with -o page.html", 2)
    runs, complaints = Runs(), _Complaints()
    try:
        if output is not None and output.is_file() and Path(source).is_file() and output.samefile(source):
            leave(f"{output} is what is read: write the page to another file", 2)
        if source == "-" or Path(source).is_file():
            _read(source, runs, complaints)
        else:
            _replay(source, store, skip_damaged, runs)
    except (AgentkitError, OSError) as error:
        leave(f"{source} can't be read: {error}", 1)
    runs.end()
    if not runs.list:
        leave(f"{source} has no run: it needs events as JSON lines (agentkit.record.event_record), or a result", 1)
    try:
        _write(page(Path(source).name, runs.list, complaints.shown), output)
    except OSError as error:
        leave(f"{output or 'standard output'} can't be written: {error}", 1)


class _Complaints:
    """Sentences of what is left out, for the page and for standard error: the first ones, then their number."""

    def __init__(self) -> None:
        self._count = 0
        self._first: list[str] = []

    def add(self, sentence: str) -> None:
        from agentkit.cli.printable import printable

        self._count += 1
        if self._count <= MAX_COMPLAINTS:
            self._first.append(sentence)
            print(f"agentkit: left out: {printable(sentence)}", file=sys.stderr)

    @property
    def shown(self) -> list[str]:
        more = self._count - len(self._first)
        return [f"left out: {each}" for each in self._first] + [f"and {more:,} more lines"] * (more > 0)


def _read(source: str, runs: "Runs", complaints: _Complaints) -> None:
    from agentkit.cli.trace.records import of_file

    with sys.stdin.buffer if source == "-" else Path(source).open("rb") as file:
        for record in of_file(file, complaints.add):
            runs.add(record)


def _replay(name: str, store: str | None, skip_damaged: bool, runs: "Runs") -> None:
    from agentkit.cli.trace.records import of_session
    from agentkit.session import ID

    with opened(store) as sessions:
        if not ID.fullmatch(name) or name not in sessions:
            leave(f"{name!r} is neither a file nor a stored session (agentkit sessions list shows all)", 1)
        for record in of_session(sessions[name].entries(skip_damaged=skip_damaged)):
            runs.add(record)


def _write(pieces: Iterable[str], output: Path | None) -> None:
    if output is None:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        sys.stdout.writelines(pieces)
    else:
        with output.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(pieces)
