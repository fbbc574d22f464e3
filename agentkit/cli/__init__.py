"""The command line: `agentkit ask`, `chat`, `sessions`, `replay`, `tools`, `doctor`, `mqtt`, `serve`."""

import sys
from typing import Any

from agentkit.errors import MissingExtraError

try:
    import typer
except ImportError:
    raise MissingExtraError("the command line", "cli") from None

from agentkit.cli import serve, sessions
from agentkit.cli.ask import ask
from agentkit.cli.chat import chat
from agentkit.cli.doctor.command import doctor
from agentkit.cli.hidden_arguments import hide_arguments
from agentkit.cli.logs import show_warnings
from agentkit.cli.mqtt import mqtt, mqtt_chat
from agentkit.cli.streams import usable_streams
from agentkit.cli.tools import tools
from agentkit.serving.environment import drop_service_links, set_defaults


class _App(typer.Typer):
    def __call__(self, *args: Any, **options: Any) -> Any:
        with usable_streams():
            show_warnings()
            hide_arguments()
            drop_service_links()
            if not sys.stdout.isatty():  # typer's help cuts what is longer than its columns
                set_defaults({"TERMINAL_WIDTH": "160"})
            return super().__call__(*args, **options)


app = _App(
    name="agentkit",
    help="Run agents that call tools: from the terminal, over HTTP and over MQTT.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"token_normalize_func": lambda name: name.replace("_", "-")},  # --debug_log is --debug-log
    pretty_exceptions_enable=False,  # its tracebacks show local variables, which may hold API keys
)
app.command()(ask)
app.command()(chat)
app.add_typer(sessions.app, name="sessions")
app.command()(sessions.replay)
app.command()(tools)
app.command(context_settings={"allow_extra_args": True})(mqtt)
app.command("mqtt-chat")(mqtt_chat)
app.command()(doctor)
app.add_typer(serve.app, name="serve")
