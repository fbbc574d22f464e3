"""`agentkit chat`: a conversation at the terminal, which goes on another day with --session."""

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from agentkit import Agent, AgentkitError, ConfigurationError, LimitError, Limits, Session, Tool
from agentkit.cli.ask import BAD_USAGE, FAILED, INSTRUCTIONS
from agentkit.cli.following import followed
from agentkit.cli.progress import Progress, printable
from agentkit.cli.stores import StoreOption, leave, opened
from agentkit.message import text_of
from agentkit.serving.environment import default_model
from agentkit.serving.tool_loading import load_tools
from agentkit.sessions.memory import MemorySessions

HELP = """/tools            the tools the model has
/undo             take your last message back, with all that followed
/save FILE        write the conversation to a file (.md: to read; else JSON)
/model NAME       go on with another model
/help, /exit"""


def chat(
    model: Annotated[str | None, typer.Option(help="provider:model[@url]; otherwise AGENTKIT_MODEL.")] = None,
    session: Annotated[str | None, typer.Option(metavar="NAME", help="Keep the conversation under this name.")] = None,
    docs: Annotated[str | None, typer.Option(metavar="DIR", help="Answer from the documents in this folder.")] = None,
    tool: Annotated[list[str] | None, typer.Option(metavar="MODULE:NAME", help="A tool to give the model.")] = None,
    instructions: Annotated[str, typer.Option(help="What the model is told before all else.")] = INSTRUCTIONS,
    max_turns: Annotated[int, typer.Option(min=1, help="Replies to one message before the model must answer.")] = 25,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on standard error.")] = False,
    store: StoreOption = None,
) -> None:
    """Talk with a model that has tools. /help tells the commands; Ctrl-C stops a reply, Ctrl-D ends.

    Exit code: 0, or 1 when the last message got no answer, 2 bad usage.
    """

    def made(name: str) -> Agent:
        limits = Limits(turns=max_turns)
        return Agent(name, tools=load_tools(tool or [], docs), instructions=instructions, limits=limits)

    with ExitStack() as leaving:
        sessions = leaving.enter_context(opened(store) if session is not None else MemorySessions())
        try:
            talk = _Talk(made, made(model or default_model()), sessions[session or "chat"], quiet)
            talk.greet()
        except (ConfigurationError, LimitError, AgentkitError) as error:
            leave(str(error), BAD_USAGE)
        leaving.callback(lambda: talk.agent.close())
        _with_line_editing()
        while (line := _line()) is not None:
            if line.strip():
                talk.take(line)
    raise typer.Exit(FAILED if talk.failed else 0)


@dataclass
class _Talk:
    made: Callable[[str], Agent]
    agent: Agent
    session: Session
    quiet: bool
    failed: bool = False

    def greet(self) -> None:
        """Show what an earlier day left."""
        said = [message for message in self.session.messages if message["role"] in ("user", "assistant")]
        for message in said[-4:]:
            if text := text_of(message).strip():
                mark = "> " if message["role"] == "user" else ""
                self._say(mark + (text if len(text) < 400 else text[:399] + "…"))
        if not self.quiet and sys.stdin.isatty():
            self._say(f"({self.agent.backend!r}; /help for the commands)")

    def take(self, line: str) -> None:
        """A message, or a command."""
        command, _, rest = line.strip().partition(" ")
        if not command.startswith("/"):
            self._answer(line)
            return
        known = {"/tools": self._tools, "/undo": self._undo, "/save": self._save, "/model": self._model}
        if command in ("/exit", "/quit"):
            raise typer.Exit(FAILED if self.failed else 0)
        act = known.get(command)
        if act is None:
            self._say(HELP if command == "/help" else f"there is no command {command}\n{HELP}")
            return
        try:
            act(rest.strip())
        except (AgentkitError, OSError) as error:
            self._say(f"agentkit: {error}")

    def _answer(self, line: str) -> None:
        with Progress(quiet=self.quiet) as progress:
            try:
                result = followed(
                    lambda: self.agent.stream(line, session=self.session),
                    lambda _, word: self.agent.stream(session=self.session, approve=word),
                    progress,
                    live=True,
                )
                progress.summary(result)
                self.failed = not result.output.strip()
            except KeyboardInterrupt as error:
                progress.interrupted(getattr(error, "tool_calls", []))
            except Exception as error:
                from agentkit import APIError  # loads openai

                if not isinstance(error, AgentkitError | APIError):
                    raise
                self.failed = True
                self._say(f"agentkit: {error}")

    def _tools(self, _: str) -> None:
        for each in self.agent.tools:
            self._say(f"{each.name}: {_first_line(each)}")

    def _undo(self, _: str) -> None:
        with self.session.hold() as writer:
            places = [place for place, message in enumerate(self.session.messages) if message["role"] == "user"]
            if not places:
                self._say("there is nothing to undo")
                return
            writer.undo(len(self.session.messages) - places[-1])
        self._say("undone")

    def _save(self, name: str) -> None:
        if not name:
            self._say("write /save FILE")
            return
        path = Path(name).expanduser()
        messages = self.session.messages
        path.write_text(markdown(messages) if path.suffix == ".md" else as_json(messages), encoding="utf-8")
        self._say(f"saved {len(messages)} messages to {path}")

    def _model(self, name: str) -> None:
        if name:
            agent = self.made(name)
            self.agent.close()
            self.agent = agent
        self._say(repr(self.agent.backend))

    def _say(self, text: str) -> None:
        print(printable(text), file=sys.stderr)


def as_json(messages: list[Any]) -> str:
    """A conversation as JSON."""
    return json.dumps(messages, ensure_ascii=False, indent=2) + "\n"


def markdown(messages: list[Any]) -> str:
    """A conversation for a person to read."""
    parts = []
    for message in messages:
        text = text_of(message).strip()
        calls = [
            f"`{call['function']['name']}({call['function']['arguments']})`" for call in message.get("tool_calls") or ()
        ]
        if message["role"] == "tool":
            parts.append("> " + (text or "(nothing)").replace("\n", "\n> "))
        elif text or calls:
            parts.append("\n\n".join([f"**{message['role']}**", *([text] if text else []), *calls]))
    return "\n\n".join(parts) + "\n"


def _first_line(tool: Tool[..., Any]) -> str:
    return tool.description.splitlines()[0]


def _with_line_editing() -> None:
    with suppress(ImportError):  # not on Windows
        import readline  # noqa: F401 - loading it gives input() a history and editing


def _line() -> str | None:
    """The next line, or None at the end of the input."""
    try:
        return input("> " if sys.stdin.isatty() else "")
    except EOFError:
        return None
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return "" if sys.stdin.isatty() else None
