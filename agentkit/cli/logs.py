"""The log of the commands that run until they are stopped."""

import logging
import sys
from typing import Annotated

import typer

from agentkit.serving.environment import Level

logger = logging.getLogger("agentkit")

LevelOption = Annotated[
    Level,
    typer.Option(
        case_sensitive=False,
        envvar="AGENTKIT_LOG_LEVEL",
        show_envvar=True,
        metavar="LEVEL",
        help="Least level that is logged: debug, info, warning or error.",
    ),
]


def log_to_stderr(level: str) -> None:
    """Log to standard error, with times. level: a `Level`, of agentkit; of other packages, some of which log below it
    the content of messages, at least warnings are logged."""
    least = "ERROR" if level == "error" else "WARNING"
    logging.basicConfig(level=least, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr, force=True)
    logger.setLevel(level.upper())
