"""Commands whose modules are imported when they are run, or asked for their own help."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand

from agentkit.cli.interruptions import exits_at_signals


class DeferredCommand(TyperCommand):
    """Stands for a command in the list of commands, in completion, and until it is run.

    name: what it is called. summary: the first paragraph of its help. panel: of the list of commands that it is in."""

    def __init__(self, name: str, summary: str, panel: str | None = None) -> None:
        super().__init__(name, help=summary, rich_help_panel=panel)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the command itself."""
        return self.loaded().make_context(info_name, args, parent, **extra)

    def loaded(self) -> Any:
        """The command itself."""
        raise NotImplementedError


class OwnCommand(DeferredCommand):
    """One of agentkit's own. source: "module:attribute" of a function, or of a `typer.Typer` with its commands.
    extra_args: whether it takes arguments that it does not name. below: the sources of commands that its first argument
    may name, for one that has arguments of its own too. starts_programs: whether it may start some (MCP servers), and
    has no handlers of signals: they end it as its end does, then."""

    def __init__(
        self,
        name: str,
        source: str,
        summary: str,
        *,
        extra_args: bool = False,
        below: Mapping[str, str] | None = None,
        starts_programs: bool = False,
    ) -> None:
        super().__init__(name, summary)
        self._source = source
        self._settings = {"allow_extra_args": True} if extra_args else {}
        self._below = below or {}
        self._starts_programs = starts_programs

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """See `DeferredCommand.make_context`."""
        if not args or args[0] not in self._below:
            context = super().make_context(info_name, args, parent, **extra)
            if self._starts_programs:
                context.with_resource(exits_at_signals())
            return context
        below = OwnCommand(args[0], self._below[args[0]], "")
        return below.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)

    def loaded(self) -> Any:
        """See `DeferredCommand.loaded`."""
        module, _, attribute = self._source.partition(":")
        found = getattr(import_module(module), attribute)
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.callback()(lambda: None)  # so that one command alone is a group too
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=self.name)
        else:
            app.command(self.name, context_settings=self._settings)(found)
        group: Any = typer.main.get_command(app)
        return group.commands[self.name]
