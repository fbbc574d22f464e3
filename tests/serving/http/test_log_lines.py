"""The lines of the log: the same as the logging package writes them, whichever way they take."""

import io
import logging
import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit._lazy.lines import FORMAT, Lines, lines_alone
from agentkit.serving.http import access_log

LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, 7)


@pytest.fixture
def access() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """The logger of requests with its handler alone, and what that writes."""
    logger, written = access_log.logger, io.StringIO()
    before = logger.handlers[:], logger.propagate, logger.level, logger.filters[:]
    logger.handlers[:], logger.propagate = [Lines(written)], False
    logger.setLevel(logging.INFO)
    yield logger, written
    logger.handlers[:], logger.propagate, logger.filters[:] = before[0], before[1], before[3]
    logger.setLevel(before[2])


def record_of(level: int, text: str, arguments: tuple[object, ...], fails: bool) -> logging.LogRecord:
    try:
        raise ValueError("no") if fails else LookupError
    except ValueError:
        raised = sys.exc_info()
    except LookupError:
        raised = None
    return logging.LogRecord("agentkit.run", level, __file__, 1, text, arguments, raised)


@given(st.sampled_from(LEVELS), st.text(), st.booleans(), st.booleans(), st.booleans())
def test_lines_are_those_of_the_format(level: int, text: str, has_argument: bool, fails: bool, formats: bool) -> None:
    record = record_of(level, "%s!" if has_argument else text.replace("%", "%%"), (text,) * has_argument, fails)
    plain, quick = (logging.StreamHandler(io.StringIO()), Lines(io.StringIO()))
    plain.setFormatter(logging.Formatter(FORMAT))
    if formats:  # a program gives it one of its own
        for handler in (plain, quick):
            handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    for handler in (plain, quick):
        handler.handle(record)
    assert quick.stream.getvalue() == plain.stream.getvalue() != ""


def test_a_record_that_can_not_be_written_is_no_error_of_its_program(capsys: pytest.CaptureFixture[str]) -> None:
    handler = Lines(io.StringIO())
    handler.handle(record_of(logging.INFO, "%d", ("x",), fails=False))
    handler.stream.close()
    handler.handle(record_of(logging.INFO, "text", (), fails=False))
    assert capsys.readouterr().err.count("--- Logging error ---") == 2
    assert not handler.write_info("text")


def _with_filter(logger: logging.Logger) -> None:
    logger.addFilter(lambda record: True)


def _with_filter_of_handler(logger: logging.Logger) -> None:
    logger.handlers[0].addFilter(lambda record: True)


def _with_formatter(logger: logging.Logger) -> None:
    logger.handlers[0].setFormatter(logging.Formatter(FORMAT))


def _with_a_second(logger: logging.Logger) -> None:
    logger.addHandler(logging.NullHandler())


def _with_parents(logger: logging.Logger) -> None:
    logger.propagate = True


@pytest.mark.parametrize(
    "change", [None, _with_filter, _with_filter_of_handler, _with_formatter, _with_a_second, _with_parents]
)
def test_requests_are_logged_alike_with_and_without_a_record(
    access: tuple[logging.Logger, io.StringIO], change: Callable[[logging.Logger], None] | None
) -> None:
    logger, written = access
    del logger.handlers[1:]  # pytest's
    if change is not None:
        change(logger)
    assert (lines_alone(logger) is None) == (change is not None)
    scope = {"type": "http", "client": ("1.2.3.4", 5), "path": "/a b%\n", "method": "GET", "http_version": "1.1"}
    access_log.log(scope, {"type": "http.response.start", "status": 200})
    assert written.getvalue() == 'INFO: 1.2.3.4:5 - "GET /a%20b%25%0A HTTP/1.1" 200\n'


def test_records_of_a_program_and_levels_count(access: tuple[logging.Logger, io.StringIO]) -> None:
    logger, _ = access
    del logger.handlers[1:]  # pytest's
    logger.handlers[0].setLevel(logging.WARNING)
    assert lines_alone(logger) is None
    logger.handlers[0].setLevel(logging.NOTSET)
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(lambda *given, **more: before(*given, **more))
    try:
        assert lines_alone(logger) is None
    finally:
        logging.setLogRecordFactory(before)
    assert lines_alone(logger) is logger.handlers[0]
