"""What the service logs, and how much of it: a line of the same place in the code is not repeated without end, so that
nobody can fill the disk by being refused."""

import logging
import threading
import time
from typing import Any

from agentkit._lazy.lines import FORMAT
from agentkit.serving.environment import Level

LINES = 10
"""How many lines of one place in the code are logged in a period."""

PERIOD = 60.0
"""Seconds."""


class Repetitions(logging.Filter):
    """Leaves out lines of a place in the code that has logged LINES lines in the last PERIOD seconds; the next line
    says how many they were. Thread-safe."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[tuple[str, int], tuple[float, int]] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged."""
        place, now = (record.pathname, record.lineno), time.monotonic()
        with self._lock:
            began, count = self._places.get(place, (now, 0))
            left_out = 0
            if now - began > PERIOD:
                began, count, left_out = now, 0, max(0, count - LINES)
            self._places[place] = (began, count + 1)
        if left_out:
            record.msg, record.args = f"{record.getMessage()} (and {left_out} such lines were left out)", ()
        return count < LINES


def logging_at(level: Level) -> dict[str, Any]:
    """Return the configuration of the logging of a server process. Requests are logged on standard output, as servers
    do; of those that are refused, which anybody can send, a few in a minute."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"repetitions": {"()": "agentkit.serving.http.logs.Repetitions"}},
        "formatters": {"plain": {"format": FORMAT}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "plain",
                "filters": ["repetitions"],
            },
            "runs": {"class": "agentkit._lazy.lines.Lines", "stream": "ext://sys.stderr"},
            "access": {"class": "agentkit._lazy.lines.Lines", "stream": "ext://sys.stdout"},
        },
        "root": {"level": "ERROR" if level == "error" else "WARNING", "handlers": ["stderr"]},
        "loggers": {
            "agentkit": {"level": level.upper()},
            "agentkit.run": {"handlers": ["runs"], "propagate": False},
            "agentkit.mqtt.messages": {"level": "CRITICAL", "propagate": False},  # it has their contents
            "agentkit.access": {"handlers": ["access"], "propagate": False},
            "agentkit.access.refused": {"filters": ["repetitions"]},
            "uvicorn": {"level": level.upper() if level in ("debug", "error") else "WARNING"},
            "uvicorn.access": {"level": "WARNING"},
        },
    }
