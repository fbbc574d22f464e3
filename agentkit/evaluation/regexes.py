"""Regular expressions of a set over answers that a model has written: none takes longer than its limit.

An expression that repeats something, or that has alternatives in groups, may take hours for a text made for it
(`(a+)+b`), and Python can't stop it: it is run in another process, which is killed at the limit.
"""

import re

from agentkit._text import in_a_line
from agentkit.errors import ConfigurationError, IsolationError
from agentkit.evaluation.score import CheckError
from agentkit.tooling.subprocess_pool import call_isolated

MOST_SECONDS = 10.0
"""The time for one answer, in which the process may have to be started too."""
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}
_REPEATS = frozenset("*+?{")


def flags_of(written: str) -> int:
    """The flags that are written as letters, such as "im". Raises ConfigurationError for an unknown one."""
    unknown = [each for each in written if each not in _FLAGS]
    if unknown:
        raise ConfigurationError(f"{unknown[0]!r} is no flag of a regex: there are {', '.join(_FLAGS)}")
    return sum({_FLAGS[each] for each in written})


def check_regex(expression: str, flags: int = 0) -> None:
    """Raises ConfigurationError for an expression that is invalid."""
    try:
        re.compile(expression, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigurationError(f"the regex {in_a_line(expression, 80)!r} is invalid: {error}") from None


def matches(expression: str, flags: int, text: str, whole: bool) -> bool:
    """Whether a text has what a regular expression describes; whole: is it. Raises CheckError where that takes longer
    than ten seconds."""
    if not _may_go_back(expression):
        return _matches(expression, flags, text, whole)
    try:
        return call_isolated(_matches, expression, flags, text, whole, timeout=MOST_SECONDS, bare=True)
    except IsolationError as error:
        raise CheckError(
            f"the regex {in_a_line(expression, 80)!r} did not end in {MOST_SECONDS:g} s over {len(text)} characters "
            f"({error.reason}): repeat nothing inside of what is repeated, or write `++` and `*+` for `+` and `*`"
        ) from None


def _may_go_back(expression: str) -> bool:
    """Whether an expression has anything that may take longer than linear time."""
    has_groups = "(" in expression and ("|" in expression or "\\" in expression)
    return has_groups or bool(_REPEATS & set(expression))


def _matches(expression: str, flags: int, text: str, whole: bool) -> bool:
    found = re.fullmatch if whole else re.search
    return found(expression, text, flags) is not None
