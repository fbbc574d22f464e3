"""Asks at the terminal for what a configuration file of MCP servers leaves open (VS Code's `${input:id}`)."""

import sys
from collections.abc import Mapping
from typing import Any

import typer

from agentkit._text import in_a_line
from agentkit.cli.printable import printable
from agentkit.errors import ConfigurationError


def mcp_input(about: Mapping[str, Any]) -> str:
    """Return the value of an input. about: its description in the file. Raises ConfigurationError where there is no
    terminal to ask at, and no default."""
    default = about.get("default")
    default = default if isinstance(default, str) else None
    what = printable(in_a_line(str(about.get("description") or about["id"]), 200))
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        if default is None:
            raise ConfigurationError(f"the input {about['id']!r} ({what}) is asked for at a terminal, and this is none")
        return default
    return str(typer.prompt(what, default=default, hide_input=about.get("password") is True, err=True))
