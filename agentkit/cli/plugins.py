"""`agentkit plugins`: what installed packages add to agentkit, and whether it can be used."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from agentkit._lazy import Registry
from agentkit._text import in_a_line
from agentkit.cli.ask import FAILED
from agentkit.cli.plugin_commands import COMMANDS
from agentkit.cli.printable import printable
from agentkit.cli.reserved_output import reserved_output
from agentkit.errors import ConfigurationError
from agentkit.plugins.installed import KINDS, OFF, Plugin, is_off
from agentkit.plugins.installed import plugins as installed
from agentkit.providers import PROVIDERS
from agentkit.serving.hook_loading import HOOKS
from agentkit.serving.tool_loading import TOOLS
from agentkit.sessions.opening import STORES


@dataclass(frozen=True)
class _Listed:
    kind: str
    name: str
    package: str
    version: str
    value: str
    folder: str
    problem: str | None
    """None when it was not checked, "" when it can be used."""


def plugins(
    check: Annotated[bool, typer.Option("--check", help="Import each, and say what is wrong with it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
) -> None:
    """List what installed packages add: tools, model providers, session stores, model families, hooks, commands.

    Exit code: 0 success, 1 one can't be used (only with --check), 2 bad usage.
    """
    with reserved_output() as out:
        listed = [_listed(plugin, check) for plugin in installed()]
        if as_json:
            print(json.dumps([asdict(each) for each in listed], ensure_ascii=False, indent=2), file=out)
        else:
            for line in _lines(listed):
                print(printable(line), file=out)
        if is_off():
            print(f"agentkit: plug-ins are turned off: --no-plugins, {OFF}", file=sys.stderr)
        elif not listed:
            print("agentkit: no installed package adds anything (docs/plugins.md)", file=sys.stderr)
    raise typer.Exit(FAILED if any(each.problem for each in listed) else 0)


def _registries() -> dict[str, Registry]:
    from agentkit.text.families import FAMILIES

    return {each.group: each for each in (TOOLS, PROVIDERS, STORES, FAMILIES, HOOKS, COMMANDS)}


def _listed(plugin: Plugin, is_checked: bool) -> _Listed:
    problem = _problem_of(plugin) if is_checked else None
    return _Listed(plugin.kind, plugin.name, plugin.package, plugin.version, plugin.value, plugin.folder, problem)


def _problem_of(plugin: Plugin) -> str:
    registry = _registries().get(plugin.group)
    if registry is None:
        return f"{plugin.group} is no kind of plug-in: the kinds are {', '.join(KINDS)}"
    try:
        registry.load(plugin)
    except ConfigurationError as error:
        return str(error)
    return ""


def _lines(listed: list[_Listed]) -> Iterator[str]:
    rows = [(each.kind, each.name, f"{each.package} {each.version}".strip(), each.value) for each in listed]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for each, row in zip(listed, rows, strict=True):
        state = "" if each.problem is None else "broken  " if each.problem else "ok      "
        cells = [in_a_line(cell, 60).ljust(min(width, 60)) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join((state + cells[0], *cells[1:], in_a_line(row[3], 120))).rstrip()
        if each.problem:
            yield f"        {each.problem}"
