"""`agentkit sessions`, `agentkit replay`: manage and display stored conversations."""

import functools
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from agentkit import Session, SessionError
from agentkit.cli.ask import BAD_USAGE, FAILED
from agentkit.cli.chat import markdown
from agentkit.cli.options import complete_session
from agentkit.cli.printable import encodable_json, printable
from agentkit.cli.stores import StoreOption, leave, opened
from agentkit.message import Message, text_of
from agentkit.record import usage_from
from agentkit.session import SessionInfo
from agentkit.sessions.log import Entry, messages_of
from agentkit.sessions.waiting import waiting_in
from agentkit.transcript import calls_of

app = typer.Typer(
    help="List, show, export, import, rename, delete and prune stored conversations.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(help="The name of the session.", autocompletion=complete_session)]
SkipDamaged = Annotated[bool, typer.Option("--skip-damaged", help="Leave out entries that are damaged.")]


@app.command("list")
def list_(
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
) -> None:
    """List sessions, most recently updated first."""
    with opened(store) as sessions:
        infos = _checked(sessions.list)
    if as_json:
        made = [{"id": info.id, "updated": info.updated.isoformat(), "entries": info.entries} for info in infos]
        print(encodable_json(made, sys.stdout.encoding))
    else:
        _print_infos(infos)


def _print_infos(infos: Iterable[SessionInfo]) -> None:
    for info in infos:
        updated = info.updated.astimezone().strftime("%Y-%m-%d %H:%M")
        print(f"{updated}  {info.entries:6,} entries  {info.id}")


@app.command()
def show(name: Name, store: StoreOption = None, skip_damaged: SkipDamaged = False) -> None:
    """Print a conversation as Markdown, for reading."""
    with opened(store) as sessions:
        print(printable(markdown(_messages(_existing(sessions, name), skip_damaged))), end="")


@app.command()
def export(
    name: Name,
    store: StoreOption = None,
    format_: Annotated[str, typer.Option("--format", help="json or md.")] = "json",
    skip_damaged: SkipDamaged = False,
) -> None:
    """Print a conversation as JSON (OpenAI chat messages) or Markdown."""
    if format_ not in ("json", "md"):
        leave(f"--format {format_!r} is not supported: use json or md", 2)
    with opened(store) as sessions:
        messages = _messages(_existing(sessions, name), skip_damaged)
    text = encodable_json(messages, sys.stdout.encoding) + "\n" if format_ == "json" else markdown(messages)
    print(text, end="")


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(help="The name of the new session.", show_default=False)],
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="What sessions export has printed; - is standard input.")
    ] = "-",
    store: StoreOption = None,
) -> None:
    """Store a conversation that was exported as JSON, so that it can be continued: a list of OpenAI chat messages.

    The output of agentkit ask --json, and what /save of agentkit chat writes, can be imported too.
    """
    messages = _read_messages(file)
    with opened(store) as sessions:
        _checked(lambda: _store(sessions, name, messages))
    print(f"{len(messages)} messages in the session {name}", file=sys.stderr)


def _read_messages(file: str) -> list[Any]:
    if file == "-" and sys.stdin.isatty():
        leave("give the file with the conversation, or pipe it in", BAD_USAGE)
    where = "standard input" if file == "-" else file
    try:
        given = getattr(sys.stdin, "buffer", sys.stdin)  # a program without standard input has an empty text
        found = json.loads(given.read() if file == "-" else Path(file).read_bytes())
    except OSError as error:
        leave(f"{where} can't be read: {error.strerror or error}", FAILED)
    except (ValueError, RecursionError):
        leave(f"{where} has no JSON: agentkit sessions export NAME prints a conversation as JSON", FAILED)
    messages = found.get("messages") if isinstance(found, dict) else found
    if not isinstance(messages, list) or not messages:
        leave(f"{where} has no conversation: it is a list of messages, as agentkit sessions export prints", FAILED)
    return messages


def _store(sessions: Any, name: str, messages: list[Any]) -> None:
    with sessions[name].hold() as writer:
        if name in sessions:
            raise SessionError(f"session {name!r} already exists: choose another name, or delete it")
        writer.append(messages)


@app.command()
def delete(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="The names of the sessions.", autocompletion=complete_session),
    ],
    store: StoreOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
) -> None:
    """Delete conversations."""
    with opened(store) as sessions:
        for name in names:
            _existing(sessions, name)
        what = f"the session {names[0]}" if len(names) == 1 else f"{len(names)} sessions"
        if not yes and not (sys.stdin.isatty() and typer.confirm(f"Delete {what}?")):
            leave("nothing was deleted (use --yes to delete without asking)", FAILED)
        _checked(lambda: sessions.delete_all(names))


@app.command()
def prune(
    days: Annotated[float, typer.Option("--days", min=0.001, metavar="N", help="For how long, in days.")],
    prefix: Annotated[str, typer.Option("--prefix", metavar="TEXT", help="Only those whose names begin so.")] = "",
    store: StoreOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
) -> None:
    """Delete conversations that were not written to for some days.

    One that is written to meanwhile stays.
    """
    with opened(store) as sessions:
        oldest = datetime.now(UTC) - timedelta(days=days)
        old = [info for info in _checked(lambda: sessions.list(prefix)) if info.updated < oldest]
        if dry_run:
            _print_infos(old)
            print(f"{len(old)} conversations would be deleted")
            return
        if old and not yes and not (sys.stdin.isatty() and typer.confirm(f"Delete {len(old)} conversations?")):
            leave("nothing was deleted (use --yes to delete without asking)", FAILED)
        deleted = sum(_checked(functools.partial(sessions.delete_unchanged, info)) for info in old)
        print(f"{deleted} conversations deleted")


@app.command()
def rename(name: Name, new: Annotated[str, typer.Argument(help="The new name.")], store: StoreOption = None) -> None:
    """Rename a conversation."""
    with opened(store) as sessions:
        _checked(lambda: sessions.rename(name, new))


def replay(
    name: Name,
    store: StoreOption = None,
    start: Annotated[int, typer.Option("--from", min=1, help="The step to start at.")] = 1,
    skip_damaged: SkipDamaged = False,
) -> None:
    """Show a stored conversation step by step: each model reply with its tool calls and their results.

    On a terminal, press Enter for the next step.
    """
    with opened(store) as sessions:
        session = _existing(sessions, name)
        steps = _steps(_checked(lambda: session.entries(skip_damaged=skip_damaged)))
    if start > len(steps):
        leave(f"--from {start} is out of range: session {name!r} has {len(steps)} steps", 2)
    console = Console(highlight=False)
    for number, entries in enumerate(steps[start - 1 :], start):
        console.print(Text(f"── step {number} of {len(steps)}", style="bold"))
        for entry in entries:
            _print(console, entry)
        if sys.stdin.isatty() and sys.stdout.isatty() and number < len(steps):
            try:
                input()
            except (EOFError, KeyboardInterrupt):
                return


def _steps(entries: list[Entry]) -> list[list[Entry]]:
    """Groups the entries into steps of one model reply each; a prompt starts the step of its reply."""
    steps: list[list[Entry]] = [[]]
    has_reply = False
    for entry in entries:
        role = entry.value.get("role") if entry.kind == "message" else ""
        if has_reply and role in ("user", "assistant", "system", "developer"):
            steps.append([])
            has_reply = False
        has_reply = has_reply or role == "assistant"
        steps[-1].append(entry)
    return [step for step in steps if step]


def _print(console: Console, entry: Entry) -> None:
    for style, line in _lines(entry):
        console.print(Text(printable(line), style=style), soft_wrap=not console.is_terminal)


def _lines(entry: Entry) -> Iterator[tuple[str, str]]:
    value: Any = entry.value
    if entry.kind == "started":
        yield "dim", f"{entry.at}  {value['name']} was started"
    elif entry.kind == "view":
        yield "dim", f"{entry.at}  a shortened history is sent from here on"
    elif entry.kind == "undo":
        yield "dim", f"{entry.at}  {value} messages were undone"
    elif (waiting := waiting_in([entry])) is not None:
        yield "dim", f"{entry.at}  waiting for a person: {', '.join(call.name for call in waiting.calls)}"
    elif entry.kind == "message":
        usage = usage_from(entry.usage)
        tokens = f"  ({usage.input_tokens:,} + {usage.output_tokens:,} tokens)" if usage.input_tokens else ""
        yield "bold cyan", f"{entry.at}  {value['role']}{tokens}"
        if text := text_of(value).strip():
            yield "", text
        for call in calls_of(value):
            yield "cyan", f"→ {call['function']['name']}({call['function']['arguments']})"


def _messages(session: Session, skip_damaged: bool) -> list[Message]:
    ordered, held = messages_of(_checked(lambda: session.entries(skip_damaged=skip_damaged)))
    return [*ordered, *held]


def _existing(sessions: Any, name: str) -> Session:
    if not _checked(lambda: name in sessions):
        leave(f"session {name!r} not found (agentkit sessions list shows all)", FAILED)
    session: Session = sessions[name]
    return session


def _checked(work: Any) -> Any:
    try:
        return work()
    except SessionError as error:
        leave(str(error), FAILED)
