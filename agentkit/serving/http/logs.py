"""What the service logs, and how much of it: a line of the same place in the code is not repeated without end, so that
nobody can fill the disk by being refused."""

import logging
import threading
import time
from typing import Any

from agentkit.serving.environment import Level

LINES = 10
"""How many lines of one place in the code are logged in a period."""

PERIOD = 60.0
"""Seconds."""

FORMAT = "%(levelname)s: %(message)s"
_FORMATTER = logging.Formatter(FORMAT)


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


class Lines(logging.StreamHandler[Any]):
    """Writes lines of FORMAT, as long as it has no formatter, with a third of the calls that its base class makes."""

    @property
    def is_plain(self) -> bool:
        """Whether nothing looks at its records or changes what it writes of them."""
        return self.formatter is None and not self.filters

    def handle(self, record: logging.LogRecord) -> Any:
        """See `logging.Handler.handle`."""
        if not self.is_plain or record.exc_info or record.exc_text or record.stack_info:
            return super().handle(record)
        try:
            self._write(f"{record.levelname}: {record.getMessage()}\n")
        except Exception:  # noqa: BLE001 - a log that can't be written is no error of what is logged
            self.handleError(record)
        return True

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Handler.format`."""
        return (self.formatter or _FORMATTER).format(record)

    def write_info(self, text: str) -> bool:
        """Write a line of the level INFO without a record; returns False where it can't be written."""
        try:
            self._write(f"INFO: {text}\n")
        except Exception:  # noqa: BLE001 - as a record it says where it could not be written
            return False
        return True

    def _write(self, line: str) -> None:
        assert self.lock is not None
        with self.lock:
            self.stream.write(line)
            self.stream.flush()


def lines_alone(logger: logging.Logger) -> Lines | None:
    """Return the handler that writes what a logger logs at the level INFO, where it is the only one and nothing else
    looks at the records; None otherwise."""
    if logger.propagate or logger.filters or logger.disabled or len(logger.handlers) != 1:
        return None
    handler = logger.handlers[0]
    if type(handler) is not Lines or not handler.is_plain or handler.level > logging.INFO:
        return None
    return handler if logging.getLogRecordFactory() is logging.LogRecord else None


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
            "runs": {"class": f"{__name__}.Lines", "stream": "ext://sys.stderr"},
            "access": {"class": f"{__name__}.Lines", "stream": "ext://sys.stdout"},
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
