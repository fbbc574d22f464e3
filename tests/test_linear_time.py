"""Text that models, servers, pages and clients send is read in linear time, or not at all."""

import functools
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from agentkit import Agent, Limits, tool
from agentkit.testing import ScriptedBackend
from agentkit.tooling.arguments import as_json_object
from agentkit.tooling.coercion import Expected, coerced_value
from tests.support.growth import assert_linear, seconds
from tests.support.patterns import Found, all_patterns, calls_without_literal, growing

BOUNDED = {
    "agentkit.backends.extractive._BIBLIOGRAPHY": 80,
    "agentkit.backends.message_form._REFUSED_ID": 4000,
    "agentkit.backends.message_form._WANTS_TEXT": 4000,
    "agentkit.net.charset._DECLARED": 16_384,
    "agentkit.net.overflow.": 8000,
    "agentkit.net.refusals.": 8000,
    "agentkit.backends.tool_arrival._REFUSES_TOOLS": 8000,
    "agentkit.text.verbatim._TRAILING": 400,
    "agentkit.tooling.call_names.": 500,
    "agentkit.tooling.dates.": 60,
    "agentkit.text.quotation._ANNOUNCES": 80,
    "agentkit_tools.file_text.tables._VALUE": 100,
    "agentkit_tools.walls._BY_WORDS": 1000,
    "agentkit_tools.walls._NOT_FOUND": 300,
    "agentkit_tools.walls._PARTS": 300,
    "agentkit.cli.hidden_arguments.": 1000,  # the program's own arguments and settings, as are the next
    "agentkit.net.outgoing.": 500,
    "agentkit.sessions.": 500,
}
"""The most characters that are searched with a pattern that takes longer than linear time for its worst text, by the
beginning of its name."""
NOT_CHECKED = ("agentkit.tooling.docstrings.",)  # reads the program's own docstrings
SMALL, LARGE = 96, 512
MOST_TRIED = 10
"""How many of the texts on which a pattern takes longest are tried in full length."""
PER_CHARACTER = 3e-6
"""Seconds that most texts take at most for a character; twice that is the limit, on a machine that does other things
too."""
MOST_SECONDS = 0.2
"""What a pattern with a bound may take for it: half of that, on a machine that does other things too."""
LONG = 40 * LARGE
"""Characters of the texts that show it: of twice a length, a quadratic pattern takes twice as long a character."""


@functools.lru_cache(1000)
def _text(is_text: bool, parts: tuple[str, str, str], size: int) -> Any:
    before, unit, end = parts
    text = before + unit * max(1, (size - len(before)) // len(unit)) + end
    return text if is_text else text.encode("latin-1", "replace")


def _work(found: Found, method: str, parts: tuple[str, str, str]) -> Callable[[int], object]:
    is_text = isinstance(found.pattern.pattern, str)
    call: Callable[[Any], object] = getattr(found.pattern, method)
    if method == "sub":
        call = functools.partial(call, "" if is_text else b"")
    return lambda size: call(_text(is_text, parts, size))


def _longest(methods: Sequence[str]) -> list[str]:
    """The methods without those that only do a part of what another does: `sub` searches to the end, and `search` tries
    first what `match` tries."""
    more = {"search": {"sub"}, "match": {"search", "sub"}}
    return [each for each in methods if not more.get(each, set()).intersection(methods)]


def _quickest(work: Callable[[int], object], size: int, enough: float) -> float:
    best = seconds(work, size)
    for _ in range(5):
        if best <= enough:
            return best
        best = min(best, seconds(work, size))
    return best


def _bound_of(found: Found) -> int | None:
    return next((bound for name, bound in BOUNDED.items() if found.name.startswith(name)), None)


def _slow(found: Found) -> Iterator[str]:
    """Describes the texts on which a pattern is slow."""
    bound = _bound_of(found)
    longest: list[tuple[float, str, tuple[str, str, str]]] = []
    for parts in growing(found.pattern):
        for method in _longest(found.methods):
            work = _work(found, method, parts)
            if _quickest(work, SMALL, 0.002) > 0.002:
                yield f"{method} {parts} takes more than polynomial time"
                continue
            took = _quickest(work, LARGE, LARGE * PER_CHARACTER / 8)
            if took > LARGE * PER_CHARACTER / 8:
                longest.append((took, method, parts))
    for _, method, parts in sorted(longest, reverse=True)[:MOST_TRIED]:
        work = _work(found, method, parts)
        if bound is not None and _quickest(work, bound, MOST_SECONDS) > MOST_SECONDS:
            yield f"{method} {parts} takes more than {MOST_SECONDS} s for {bound} characters"
        if bound is None and _quickest(work, LONG, 2 * LONG * PER_CHARACTER) > 2 * LONG * PER_CHARACTER:
            yield f"{method} {parts} takes more than 6 microseconds a character"


@functools.cache
def patterns() -> list[Found]:
    return [found for found in all_patterns() if not found.name.startswith(NOT_CHECKED)]


@pytest.mark.parametrize("part", range(8))
def test_each_regular_expression_takes_linear_time_or_has_a_bound(part: int) -> None:
    slow = [
        f"{found.name} /{found.pattern.pattern!r:.80}/: {first}"
        for found in patterns()[part::8]
        if (first := next(_slow(found), None)) is not None
    ]
    assert not slow, "\n".join(slow)


def test_a_pattern_made_in_a_function_is_made_of_what_the_program_knows() -> None:
    """Else the test above would not see it: a pattern is compiled in its module, or written where it is used."""
    assert Counter(each.partition(":")[0] for each in calls_without_literal()) == MADE_OF_DATA


MADE_OF_DATA = {
    "agentkit._lazy.patterns": 1,  # the patterns that are compiled when they are used
    "agentkit.backends.message_form": 1,
    "agentkit.evaluation.regexes": 1,  # that of a check, which is run in a process with a time limit
    "agentkit.evidence.folding": 1,  # a class of characters
    "agentkit.hooks": 1,  # what the program redacts
    "agentkit.net.error_body": 1,
    "agentkit.retrieval.inline_markup": 1,
    "agentkit.serving.addresses": 2,  # the escaped address of the model server
    "agentkit.serving.http.openai.errors": 1,  # the escaped name of a field
    "agentkit.text.call_format": 2,
    "agentkit.text.families.__init__": 1,
    "agentkit.text.families.family": 2,
    "agentkit.text.formats.elements": 1,
    "agentkit.text.formats.qwen_coder": 1,
    "agentkit.text.special_tokens": 1,
    "agentkit.tooling.json_scan": 2,
    "agentkit.tooling.schema_forms": 1,
    "agentkit_tools.page.hidden": 1,
    "agentkit_tools.walls": 1,
}
"""How many such patterns a module makes, of its own words, names of tools, and families' patterns of model names."""

BROKEN = {"marks": "{' ", "words": "a,", "parentheses": "(", "brackets": "][", "lists": "[a]", "code": "f(),"}


@pytest.mark.parametrize("unit", BROKEN.values(), ids=BROKEN)
def test_broken_json_is_repaired_or_refused_within_a_budget(unit: str) -> None:
    text = '{"a": ' + unit * (99_000 // len(unit)) + "}"
    assert seconds(lambda _: as_json_object(text), 0) < 6  # 20 and more without a budget


def test_digits_without_end_are_no_number_in_linear_time() -> None:
    assert_linear(lambda size: coerced_value("9" * size + "x", Expected({"number", "integer"})), 200_000)


@tool
def save(text: str, numbers: list[float] | None = None) -> str:
    """Save a text."""
    return "saved"


WORST = {
    "arguments": "{' " * 33_000 + "}",
    "a number": json.dumps({"text": "a", "numbers": ["9" * 8_000 + "x"]}),
    "a list": json.dumps({"text": "a", "numbers": "['" * 40_000 + "]"}),
}


@pytest.mark.parametrize("arguments", WORST.values(), ids=WORST)
def test_limits_and_cancel_hold_while_hostile_arguments_are_read(arguments: str) -> None:
    calls = [{"id": f"c{n}", "function": {"name": "save", "arguments": arguments}} for n in range(4)]
    backend = ScriptedBackend({"content": None, "tool_calls": calls}, "done")
    cancel, beats = threading.Event(), [time.monotonic()]
    threading.Timer(0.2, cancel.set).start()

    def beat() -> None:
        while not cancel.is_set():
            time.sleep(0.01)
            beats.append(time.monotonic())

    other = threading.Thread(target=beat)
    other.start()
    Agent(backend, tools=[save], limits=Limits(seconds=5)).run("Save it.", cancel=cancel)
    ended = time.monotonic()
    cancel.set()
    other.join()
    assert ended - beats[-1] < 2
    assert max(after - before for before, after in itertools.pairwise(beats)) < 1.5


def test_the_seconds_of_a_run_hold_while_hostile_arguments_are_read() -> None:
    def took(arguments: str) -> float:
        calls = [{"id": f"c{n}", "function": {"name": "save", "arguments": arguments}} for n in range(12)]
        backend = ScriptedBackend({"content": None, "tool_calls": calls}, "done", "done")
        started = time.monotonic()
        Agent(backend, tools=[save], limits=Limits(seconds=0.2)).run("Save it.")
        return time.monotonic() - started

    tries = []
    for _ in range(4):
        control = took("{}")  # what a run takes on this machine now
        tries.append(took(WORST["arguments"]) - 0.2 - control)
        if tries[-1] < 0.5 + control:
            return
    raise AssertionError(f"the run ended {tries} seconds late")
