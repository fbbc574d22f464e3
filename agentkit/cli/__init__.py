"""The command line: `agentkit ask`, `chat`, `research`, `batch`, `eval`, `sessions`, `replay`, `trace`, `models`,
`keys`, `config`, `tools`, `plugins`, `doctor`, `mqtt`, `mcp`, `mcp-serve`, `serve`, and commands of other packages."""

import difflib
import itertools
import shlex
import sys
from typing import Annotated, Any

from agentkit.errors import ConfigurationError, MissingExtraError

try:
    import typer
except ImportError:
    raise MissingExtraError("the command line", "cli") from None

from agentkit.cli.hidden_arguments import hide_arguments
from agentkit.cli.own_commands import OWN_COMMANDS
from agentkit.cli.plugin_commands import GroupWithPlugins
from agentkit.cli.reserved_output import reserved_output
from agentkit.cli.stores import leave
from agentkit.cli.streams import drop_empty_sizes, usable_streams
from agentkit.cli.unread_output import ReaderLeftError
from agentkit.plugins.installed import OFF, surround_imports
from agentkit.serving.environment import drop_service_links, hand_on, set_defaults, show_warnings, use_secret_files

CONFIGURED = ("ask", "batch", "chat", "eval", "models", "replay", "research", "sessions", "trace")
"""The commands that read the configuration file."""
NO_PLUGINS = "--no-plugins"
MAX_WIDTH = 120
"""Columns of the help."""


class _App(typer.Typer):
    def __call__(self, *args: Any, **options: Any) -> Any:
        with usable_streams():
            hide_arguments()
            drop_empty_sizes()
            drop_service_links()
            show_warnings()
            _use_secret_files()
            surround_imports(reserved_output)
            if not sys.stdout.isatty():  # typer's help cuts what is longer than its columns
                set_defaults({"TERMINAL_WIDTH": "160"})
            return super().__call__(*args, **options)


def _use_secret_files() -> None:
    try:
        use_secret_files()
    except ConfigurationError as error:
        print(f"agentkit: {error}", file=sys.stderr)
        sys.exit(2)


class _Commands(GroupWithPlugins):
    """The commands, each imported when it is run; and `ask` for what can only be a question: `agentkit "What is ...?"`,
    `agentkit -m NAME ...`.

    A single word may be a command that is misspelt, so it is an error."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "commands": {str(each.name): each for each in OWN_COMMANDS}})

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        before = list(itertools.takewhile(lambda word: _normal(word) == NO_PLUGINS, args))
        args = args[len(before) :]
        if before:  # before the help, which lists the plug-ins
            hand_on({OFF: 1})
        if args[:1] == ["help"]:
            args = [*args[1:], "--help"]
        elif args and self._is_question(ctx, args[0]):
            args = ["ask", *args]
        return super().parse_args(ctx, [*before, *args])

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ReaderLeftError:
            raise typer.Exit(0) from None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands with their whole summaries, which click would cut; those of other packages apart."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, each in found:
            if each is not None and not each.hidden:
                title = getattr(each, "rich_help_panel", None) or "Commands"
                sections.setdefault(title, []).append((name, each.get_short_help_str(1000)))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = _normal(args[0])
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing and not name.startswith("-"):
            like = difflib.get_close_matches(name, self.list_commands(ctx), 1)
            hint = f"Did you mean {like[0]!r}? " if like else ""
            ctx.fail(f"No such command {args[0]!r}. {hint}To ask a question: agentkit ask {shlex.quote(args[0])}")
        return super().resolve_command(ctx, args)

    def _is_question(self, ctx: Any, word: str) -> bool:
        if not word.startswith("-"):
            return any(each.isspace() for each in word.strip())
        own = {name for param in self.get_params(ctx) for name in (*param.opts, *param.secondary_opts)}
        return not difflib.get_close_matches(word.partition("=")[0], own, 1, 0.8)  # --verison is none of ask's


def _normal(name: str) -> str:
    """A name as it is declared: --max_turns is --max-turns."""
    return name.replace("_", "-")


def _print_version(asked: bool) -> None:
    if asked:
        from agentkit import __version__

        print(f"agentkit {__version__}")
        raise typer.Exit


def _begin(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
    no_plugins: Annotated[
        bool, typer.Option(NO_PLUGINS, help=f"Use nothing that other packages add; also {OFF}=1.")
    ] = False,
) -> None:
    if no_plugins:
        hand_on({OFF: 1})
    if context.invoked_subcommand in CONFIGURED:
        from agentkit.cli import config

        try:
            context.default_map = config.default_map()
        except ConfigurationError as error:
            leave(str(error), 2)


app = _App(
    rich_markup_mode=None,  # of the list of commands: rich takes as long to load as all else
    name="agentkit",
    cls=_Commands,
    callback=_begin,
    help="Ask language models that call tools: from the terminal, over HTTP and over MQTT.\n\n"
    "agentkit ask 'What is ...?' -m openai:gpt-5-mini answers a question; a model is written "
    "provider:model[@url], as agentkit models lists them.",
    no_args_is_help=True,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": MAX_WIDTH,
        "token_normalize_func": _normal,
    },
    pretty_exceptions_enable=False,  # its tracebacks show local variables, which may hold API keys
)
