"""Lines of a log, written without the records of `logging` where nothing looks at those.

Imports `logging`: only what runs in a program that has loaded it imports this.
"""

import logging
from typing import Any

FORMAT = "%(levelname)s: %(message)s"
_FORMATTER = logging.Formatter(FORMAT)


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
