"""Commands of other packages: `agentkit NAME ...` for a name that is not one of agentkit's own commands.

Help lists them by their names and packages; what a command needs is imported when it is run.
"""

from typing import Any

import typer
from typer.core import TyperGroup

from agentkit._lazy import Registry
from agentkit._text import in_a_line
from agentkit.cli.deferred import DeferredCommand
from agentkit.cli.printable import printable
from agentkit.cli.stores import leave
from agentkit.errors import ConfigurationError
from agentkit.plugins.installed import Plugin

OWN = (
    *("ask", "chat", "research", "sessions", "replay", "trace", "models", "keys", "config", "tools", "plugins"),
    *("mqtt", "mqtt-chat", "mcp", "mcp-serve", "doctor", "serve", "batch", "eval", "help"),
)
"""The names of agentkit's own commands."""
PANEL = "Commands of other packages"
BAD_USAGE = 2


def _problem(found: object) -> str:
    if isinstance(found, typer.Typer):
        has_commands = found.registered_commands or found.registered_groups or found.registered_callback
        return "" if has_commands else "it is a typer.Typer without commands"
    return "" if callable(found) else f"it is neither a typer.Typer nor a function (it is a {type(found).__name__})"


COMMANDS = Registry("agentkit.cli", dict.fromkeys(OWN, "agentkit.cli:app"), _problem)
"""What is behind each command of another package: a `typer.Typer`, or a function as `typer.run` takes."""


class PluginCommand(DeferredCommand):
    """Stands for a command of another package, which it imports when it is run or asked for its help."""

    def __init__(self, plugin: Plugin) -> None:
        origin = in_a_line(printable(plugin.origin), 60)
        super().__init__(plugin.name, f"from {origin}", PANEL)
        self._plugin = plugin

    def loaded(self) -> Any:
        """See `DeferredCommand.loaded`. Exits the program when the package can't be used."""
        try:
            found = COMMANDS.load(self._plugin)
            if not isinstance(found, typer.Typer):
                app = typer.Typer(add_completion=False)
                app.command()(found)
                found = app
            command = typer.main.get_command(found)
        except ConfigurationError as error:
            leave(str(error), BAD_USAGE)
        except Exception as error:  # noqa: BLE001 - a signature that typer can't make options of
            leave(str(self._plugin.problem(f"{type(error).__name__}: {error}")), BAD_USAGE)
        command.params = [each for each in command.params if each.name not in _COMPLETION]
        return command


_COMPLETION = ("install_completion", "show_completion")
"""Options that typer gives every program, which are agentkit's here."""


_LISTED = "agentkit.cli.plugin_commands"


class GroupWithPlugins(TyperGroup):
    """A group whose commands are its own, and for other names those of other packages."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name; None when there is none."""
        own = super().get_command(ctx, cmd_name) or ctx.meta.get(_LISTED, {}).get(cmd_name)
        if own is not None or cmd_name.startswith("-"):
            return own
        plugin = COMMANDS.plugin_named(cmd_name)
        return None if plugin is None else PluginCommand(plugin)

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the commands, those of other packages at the end."""
        found = {each.name: PluginCommand(each) for each in COMMANDS.usable() if each.name == printable(each.name)}
        ctx.meta[_LISTED] = found  # so that help looks for them once
        return [*super().list_commands(ctx), *sorted(found)]
