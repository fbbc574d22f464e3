"""The line of a reply in the log of runs: the same with records of `logging` and without."""

import io
import logging
from collections.abc import Iterator

import pytest

from agentkit import Agent
from agentkit._lazy.lines import FORMAT, Lines
from agentkit.testing import ScriptedBackend


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    logger = logging.getLogger("agentkit.run")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", False)
    level = logger.level
    logger.setLevel(logging.INFO)
    yield logger
    logger.setLevel(level)


def said_by(log: logging.Logger, handler: "logging.StreamHandler[io.StringIO]") -> str:
    log.handlers = [handler]
    Agent(ScriptedBackend("It is 3 %d o'clock.")).run("What time is it?")
    return handler.stream.getvalue()


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_a_line_says_what_the_record_says(log: logging.Logger, monkeypatch: pytest.MonkeyPatch, level: int) -> None:
    monkeypatch.setattr("agentkit.middleware.run_log.time.monotonic", lambda: 1.0)
    by_record = logging.StreamHandler(io.StringIO())
    by_record.setFormatter(logging.Formatter(FORMAT))
    lines = Lines(io.StringIO())
    for each in (by_record, lines):
        each.setLevel(level)
    records = said_by(log, by_record)
    assert said_by(log, lines) == records
    assert ("turn 1: " in records) == (level == logging.INFO)


def test_whoever_looks_at_the_records_gets_them(log: logging.Logger) -> None:
    seen: list[logging.LogRecord] = []
    lines = Lines(io.StringIO())

    def look(record: logging.LogRecord) -> bool:
        seen.append(record)
        return True

    log.addFilter(look)
    try:
        text = said_by(log, lines)
    finally:
        log.filters.clear()
    [record] = seen
    assert record.args
    assert text == f"INFO: {record.getMessage()}\n"


def test_a_log_that_is_turned_off_in_the_middle_is_silent(log: logging.Logger) -> None:
    lines = Lines(io.StringIO())
    log.handlers = [lines]
    run = Agent(ScriptedBackend("Yes.")).stream("Is it?")
    log.setLevel(logging.WARNING)
    for _ in run:
        pass
    assert lines.stream.getvalue() == ""
