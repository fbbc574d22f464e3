"""The MQTT bridge under its first name, with the same command line; this is `agentkit mqtt`.

    python llamacpp_mqtt_deploy.py --projects "maze driving" --server_url http://localhost:8080 --mqtt_broker localhost

All options of `agentkit mqtt` work as well. `debug_info.log`, in the working directory, has each message, what the
model was asked, and the answer; only its owner can read it, and it is rotated. `--enable_debug_logging False` turns it
off.
"""

import re
import sys
from collections.abc import Sequence
from typing import Any

from agentkit.cli import app

DEBUG_LOG = "debug_info.log"

_OPTION = re.compile(r"--(no)?([a-z_-]+)(?:=(.*))?", re.DOTALL)
_SWITCHES = ("skip_thinking", "enable_debug_logging")
_NAMES = (
    *("projects", "server_url", "server_timeout", "temperature", "top_p", "max_tokens", "max_history_tokens"),
    *("max_concurrent_sessions", "mqtt_broker", "mqtt_port", "mqtt_username", "mqtt_password", "num_workers"),
)


def arguments_of(given: Sequence[str]) -> list[str]:
    """The arguments of `agentkit` that do what this command line says. It is read as `fire` did: dashes and underscores
    are the same, and a switch may be `--skip_thinking False`, `--skip_thinking` or `--noskip_thinking`."""
    arguments, switches = ["mqtt"], {"enable_debug_logging": "True"}
    left = list(given)
    while left:
        argument = left.pop(0)
        option = _OPTION.fullmatch(argument)
        negated, name, value = option.groups() if option else (None, "", None)
        name = name.replace("-", "_")
        if name in _SWITCHES:
            if value is None:
                value = left.pop(0) if left and not negated and not left[0].startswith("-") else str(not negated)
            switches[name] = value
        elif name in _NAMES and not negated:
            arguments += [f"--{name}"] if value is None else [f"--{name}", value]
        else:
            arguments.append(argument)
    if "skip_thinking" in switches:
        arguments += ["--skip_thinking", switches["skip_thinking"]]
    if switches["enable_debug_logging"].lower() not in ("false", "0", "no", "off"):
        arguments += ["--debug_log", DEBUG_LOG]
    first = given[0] if given else "-"
    is_named = not first.startswith("-") or any(each.startswith("--projects") for each in arguments)
    return arguments if is_named else [*arguments, "--projects", "general"]


def main(**options: Any) -> None:
    """Serve until SIGTERM or Ctrl-C. options: those of the command line, such as projects="maze driving"."""
    given = {name: " ".join(value) if isinstance(value, list | tuple) else value for name, value in options.items()}
    app(arguments_of([f"--{name}={value}" for name, value in given.items() if value is not None]))


if __name__ == "__main__":
    app(arguments_of(sys.argv[1:]))
