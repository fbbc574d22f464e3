"""`agentkit chat`: a conversation at the terminal; with --session it is stored and can be continued later."""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import typer

from agentkit import Agent, AgentkitError, ConfigurationError, LimitError, Session, Tool
from agentkit._text import joined_surrogates
from agentkit.backend import is_from_the_run
from agentkit.cli.ask import BAD_USAGE, FAILED
from agentkit.cli.cited import print_cited
from agentkit.cli.following import Live, followed
from agentkit.cli.mcp_inputs import mcp_input
from agentkit.cli.options import (
    ContinueOption,
    DocsOption,
    EvidenceOption,
    HookOption,
    MarkdownOption,
    MaxTurnsOption,
    McpOption,
    ModelOption,
    QuietOption,
    SessionOption,
    SystemOption,
    TaintOption,
    ToolOption,
)
from agentkit.cli.printable import encodable_json, printable
from agentkit.cli.progress import Progress
from agentkit.cli.rendered import shows_markdown
from agentkit.cli.reserved_output import reserved_output
from agentkit.cli.stores import StoreOption, chosen_session, leave
from agentkit.cli.typed import Typed, next_typed
from agentkit.message import Message, text_of
from agentkit.net.error_kinds import is_api_error
from agentkit.net.home_paths import expanded
from agentkit.serving.agent_loading import agent_of_options
from agentkit.serving.environment import DEFAULT_MODEL
from agentkit.serving.tool_loading import AnyTool, load_tools
from agentkit.sessions.log import Entry, begins_turn, ordered
from agentkit.sessions.memory import MemorySessions
from agentkit.transcript import calls_of

HELP = """/tools        list the tools available to the model
/undo         remove your last message and everything after it
/save FILE    save the conversation to a file (Markdown if it ends in .md, else JSON)
/model NAME   switch to another model
/help         show this list
/exit         exit, as Ctrl-D does
\"""           begins and ends a message of several lines"""


def chat(
    model: ModelOption = None,
    session: SessionOption = None,
    continue_: ContinueOption = False,
    docs: DocsOption = None,
    tool: ToolOption = None,
    hook: HookOption = None,
    mcp: McpOption = None,
    system: SystemOption = None,
    max_turns: MaxTurnsOption = 25,
    evidence: EvidenceOption = None,
    taint: TaintOption = None,
    markdown: MarkdownOption = None,
    quiet: QuietOption = False,
    store: StoreOption = None,
) -> None:
    """Chat with a model that can call tools. /help lists the commands; Ctrl-C stops a reply, Ctrl-D exits.

    Exit code: 0 success, 1 the last message got no answer, 2 bad usage.
    """

    @cache
    def tools() -> Sequence[AnyTool]:
        return load_tools(tool or [], docs, mcp or [], mcp_input)

    def make_agent(name: str) -> Agent:
        told = {"model": name, "hooks": hook, "instructions": system, "max_turns": max_turns}
        return agent_of_options({**told, "evidence": evidence, "taint": taint}, tools=tools())

    with ExitStack() as leaving:
        try:
            kept = chosen_session(session, continue_, store, leaving, quiet=quiet)
            is_rendered = shows_markdown(sys.stdout) if markdown is None else markdown
            talk = _Talk(
                make_agent, make_agent(model or DEFAULT_MODEL), kept or MemorySessions()["chat"], quiet, is_rendered
            )
            talk.greet()
        except (ConfigurationError, LimitError, AgentkitError) as error:
            leave(str(error), BAD_USAGE)
        leaving.callback(lambda: talk.agent.close())
        _with_line_editing()
        while (typed := _next()) is not None:
            if typed.text.strip():
                talk.take(typed)
    raise typer.Exit(FAILED if talk.failed else 0)


@dataclass
class _Talk:
    make_agent: Callable[[str], Agent]
    agent: Agent
    session: Session
    quiet: bool
    is_rendered: bool
    failed: bool = False

    def greet(self) -> None:
        """Show the end of a stored conversation, and on a terminal the model in use."""
        earlier = [
            message
            for message in self.session.messages
            if message["role"] == "assistant" or (message["role"] == "user" and not is_from_the_run(message))
        ]
        for message in earlier[-4:]:
            if text := text_of(message).strip():
                prefix = "> " if message["role"] == "user" else ""
                self._say(prefix + (text if len(text) < 400 else text[:399] + "…"))
        if not self.quiet and sys.stdin.isatty():
            self._say(f"({self.agent.backend!r}; type /help for the commands)")

    def take(self, typed: Typed) -> None:
        """Handle what was typed: a message for the model, or a command."""
        command, _, rest = typed.text.strip().partition(" ")
        if typed.is_block or not command.startswith("/"):
            self._answer(typed.text)
            return
        known = {"/tools": self._tools, "/undo": self._undo, "/save": self._save, "/model": self._model}
        if command in ("/exit", "/quit"):
            raise typer.Exit(FAILED if self.failed else 0)
        act = known.get(command)
        if act is None:
            self._say(HELP if command == "/help" else f"unknown command {command}\n{HELP}")
            return
        try:
            act(rest.strip())
        except (AgentkitError, OSError, ValueError) as error:  # ValueError: the name of a file has a null character
            self._say(f"agentkit: {error}")

    def _answer(self, line: str) -> None:
        with reserved_output(stops=True) as out, Progress(quiet=self.quiet) as progress:
            live: Live = "replies" if not out.isatty() else "markdown" if self.is_rendered else "deltas"
            try:
                result = followed(
                    lambda: self.agent.stream(line, session=self.session),
                    lambda _, decisions, limits: self.agent.stream(
                        session=self.session, approve=decisions, limits=limits
                    ),
                    self.agent.limits,
                    progress,
                    live,
                    out,
                )
                progress.summary(result)
                print_cited(result, out, quiet=self.quiet)
                self.failed = not result.output.strip()
            except KeyboardInterrupt as error:
                progress.interrupted(getattr(error, "tool_calls", []))
            except Exception as error:
                if not isinstance(error, AgentkitError) and not is_api_error(error):
                    raise
                self.failed = True
                self._say(f"agentkit: {error}")

    def _tools(self, _: str) -> None:
        for each in self.agent.tools:
            self._say(f"{each.name}: {_first_line(each)}")

    def _undo(self, _: str) -> None:
        with self.session.hold() as writer:
            sent, held = ordered(writer.entries())
            entries = [*sent, *held]
            positions = [index for index, entry in enumerate(entries) if _is_of_the_user(entry)]
            if not positions:
                self._say("nothing to undo")
                return
            writer.undo(len(entries) - positions[-1])
        self._say("undone")

    def _save(self, name: str) -> None:
        if not name:
            self._say("usage: /save FILE")
            return
        path = expanded(name)
        messages = self.session.messages
        text = (
            joined_surrogates(markdown(messages)) if path.suffix == ".md" else encodable_json(messages, "utf-8") + "\n"
        )
        path.write_text(text, encoding="utf-8")
        self._say(f"saved {len(messages)} messages to {path}")

    def _model(self, name: str) -> None:
        if name:
            agent = self.make_agent(name)
            self.agent.close()
            self.agent = agent
        self._say(repr(self.agent.backend))

    def _say(self, text: str) -> None:
        print(printable(text), file=sys.stderr)


def markdown(messages: list[Any]) -> str:
    """Returns a conversation as Markdown."""
    parts = []
    for message in messages:
        text = text_of(message).strip()
        calls = [f"`{call['function']['name']}({call['function']['arguments']})`" for call in calls_of(message)]
        if message["role"] == "tool":
            parts.append("> " + (text or "(empty)").replace("\n", "\n> "))
        elif text or calls:
            parts.append("\n\n".join([f"**{message['role']}**", *([text] if text else []), *calls]))
    return "\n\n".join(parts) + "\n"


def _is_of_the_user(entry: Entry) -> bool:
    """Whether an entry is a message that the user has written, and not the run: images of a tool, what is said at a
    limit."""
    return begins_turn(entry) and not is_from_the_run(cast(Message, entry.value))


def _first_line(tool: Tool[..., Any]) -> str:
    return tool.description.splitlines()[0]


def _with_line_editing() -> None:
    with suppress(ImportError):  # missing on Windows
        import readline  # noqa: F401 - importing it gives input() line editing and history


def _next() -> Typed | None:
    """Returns the next message, or None at the end of the input."""
    try:
        return next_typed()
    except EOFError:
        return None
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return Typed("") if sys.stdin.isatty() else None
