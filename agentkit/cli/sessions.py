"""`agentkit sessions`, `agentkit replay`: what is kept of conversations."""

import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from agentkit import Session, SessionError
from agentkit.cli.ask import FAILED
from agentkit.cli.chat import as_json, markdown
from agentkit.cli.progress import printable
from agentkit.cli.stores import StoreOption, leave, opened
from agentkit.message import text_of
from agentkit.session import Entry

app = typer.Typer(help="List, show, export, rename and delete kept conversations.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The name of the session.")]


@app.command("list")
def list_(store: StoreOption = None) -> None:
    """List sessions, the one that was written to last first."""
    with opened(store) as sessions:
        for info in _kept(sessions.list):
            updated = info.updated.astimezone().strftime("%Y-%m-%d %H:%M")
            print(f"{updated}  {info.entries:6,} entries  {info.id}")


@app.command()
def show(name: Name, store: StoreOption = None) -> None:
    """Show a conversation as text."""
    with opened(store) as sessions:
        session = _existing(sessions, name)
        print(printable(markdown(_kept(lambda: session.messages))), end="")


@app.command()
def export(
    name: Name,
    store: StoreOption = None,
    format_: Annotated[str, typer.Option("--format", help="json, or md.")] = "json",
) -> None:
    """Print a conversation as JSON (messages of OpenAI's chat completions) or Markdown."""
    if format_ not in ("json", "md"):
        leave(f"--format {format_!r}: write json or md", 2)
    with opened(store) as sessions:
        session = _existing(sessions, name)
        messages = _kept(lambda: session.messages)
    print(as_json(messages) if format_ == "json" else markdown(messages), end="")


@app.command()
def delete(
    name: Name, store: StoreOption = None, yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False
) -> None:
    """Delete a conversation."""
    with opened(store) as sessions:
        _existing(sessions, name)
        if not yes and not (sys.stdin.isatty() and typer.confirm(f"Delete the session {name}?")):
            leave("nothing was deleted (--yes deletes without asking)", FAILED)
        _kept(lambda: sessions.delete(name))


@app.command()
def rename(name: Name, new: Annotated[str, typer.Argument(help="Its new name.")], store: StoreOption = None) -> None:
    """Give a conversation another name."""
    with opened(store) as sessions:
        _kept(lambda: sessions.rename(name, new))


def replay(
    name: Name,
    store: StoreOption = None,
    start: Annotated[int, typer.Option("--from", min=1, help="The step to begin at.")] = 1,
) -> None:
    """Show a kept conversation step by step: each reply of the model, its calls and their results.

    On a terminal Enter goes to the next step.
    """
    with opened(store) as sessions:
        session = _existing(sessions, name)
        steps = _steps(_kept(session.entries))
    if start > len(steps):
        leave(f"session {name!r} has {len(steps)} steps: --from {start} is behind the last", 2)
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
    """What was said and done, one reply of the model in each step; a prompt begins the step of its reply."""
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
        yield "dim", f"{entry.at}  from here on an abridged history is sent"
    elif entry.kind == "undo":
        yield "dim", f"{entry.at}  {value} messages were taken back"
    elif entry.kind == "message":
        tokens = dict(entry.usage or {})
        spent = (
            f"  ({tokens.get('input_tokens', 0):,} + {tokens.get('output_tokens', 0):,} tokens)"
            if tokens.get("input_tokens")
            else ""
        )
        yield "bold cyan", f"{entry.at}  {value['role']}{spent}"
        if text := text_of(value).strip():
            yield "", text
        for call in value.get("tool_calls") or ():
            yield "cyan", f"→ {call['function']['name']}({call['function']['arguments']})"


def _existing(sessions: Any, name: str) -> Session:
    if not _kept(lambda: name in sessions):
        leave(f"there is no session {name!r} (agentkit sessions list)", FAILED)
    session: Session = sessions[name]
    return session


def _kept(work: Any) -> Any:
    try:
        return work()
    except SessionError as error:
        leave(str(error), FAILED)
