"""Parsers that are no regular expression read text of models, servers, pages and clients in linear time."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.growth import assert_linear, seconds
from tests.support.readers import DELTAS, MARKUP, READERS, REPLIES, TEXTS, Reader, accumulate, many_messages

SIZE = 1000
PER_CHARACTER = 4e-6
"""Seconds for a character; only what takes longer is measured for twice the text."""
LONG = 4_000_000
"""Characters before many small pieces: to copy them takes much longer than to take a piece."""


def _check(read: Reader, units: tuple[str, ...]) -> None:
    for unit in units:
        work = functools.partial(_read, read, unit)
        taken = seconds(work, SIZE)
        if taken > SIZE * PER_CHARACTER and seconds(work, 2 * SIZE) > 2.5 * taken:
            assert_linear(work, SIZE)


def _read(read: Reader, unit: str, size: int) -> object:
    return read(unit * (size // len(unit)))


@pytest.mark.parametrize("read", REPLIES.values(), ids=REPLIES)
def test_a_reply_is_parsed_in_linear_time(read: Reader) -> None:
    _check(read, MARKUP)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_other_text_is_read_in_linear_time(read: Reader) -> None:
    _check(read, TEXTS)


@pytest.mark.parametrize("delta", DELTAS.values(), ids=DELTAS)
def test_a_reply_is_put_together_in_linear_time(delta: Callable[[int, str], dict[str, Any]]) -> None:
    assert_linear(lambda size: accumulate(delta(place, "a") for place in range(size)), 500)


@pytest.mark.parametrize("delta", DELTAS.values(), ids=DELTAS)
def test_a_piece_behind_a_long_text_is_not_added_in_the_time_of_the_text(
    delta: Callable[[int, str], dict[str, Any]],
) -> None:
    def work(length: int) -> object:
        return accumulate([delta(0, "a" * length), *(delta(place, "a") for place in range(1, 500))])

    for _ in range(5):
        if seconds(work, LONG) < 0.1 + 3 * seconds(work, 1):
            return
    raise AssertionError(f"{seconds(work, LONG)} s and {seconds(work, 1)} s")


def test_a_history_is_read_in_linear_time() -> None:
    assert_linear(lambda size: many_messages("a" * size), 300)
