"""Checks that are a user's own function."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agentkit._text import in_a_line
from agentkit.batch.item import Record
from agentkit.batch.program_files import is_file, loading, module_of_file
from agentkit.errors import ConfigurationError
from agentkit.evaluation.score import CheckError, Grade, Grader, Score, is_share, right
from agentkit.serving.tool_loading import attribute_in, attribute_of, said

CheckFunction = Callable[[Record, Any], Any]
"""Takes the record of an answer and the right answer of its item (None without one). Returns True or False, a number of
0 to 1, such a value with a text that says why, or a Score."""


@dataclass(frozen=True)
class Python(Grader):
    """A function looks at the answer."""

    function: CheckFunction
    reference: str = ""

    def grade(self, record: Record, answer: Any) -> Grade:
        found = self.function(record, answer)
        if isinstance(found, Score):
            return Grade(found.value, found.why, found.spent)
        value, why = found if isinstance(found, tuple) and len(found) == 2 else (found, "")
        if isinstance(value, bool):
            return right(value, str(why))
        if not is_share(value):
            shown = in_a_line(repr(found), 60)
            raise CheckError(f"{self.reference} returned {shown}: it has to be True, False, or a number of 0 to 1")
        return Grade(float(value), in_a_line(str(why), 300))


def function_of(reference: str) -> CheckFunction:
    """The function that "module:function" or "file.py:function" names; the working directory is searched too. Raises
    ConfigurationError."""
    module, _, name = reference.rpartition(":")
    if not module or not name.isidentifier():
        raise ConfigurationError(f"{reference!r} names no function: write module:function, or file.py:function")
    function = _in_file(module, name) if is_file(module) else _in_module(reference)
    if not callable(function):
        raise ConfigurationError(f"{reference!r} is a {type(function).__name__}, and no function")
    return function  # type: ignore[no-any-return]


def _in_module(reference: str) -> Any:
    with loading():
        return attribute_of("python", reference)


def _in_file(path: str, name: str) -> Any:
    try:
        module = module_of_file(path)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what it raises is not known: SystemExit, pytest's Skipped
        raise ConfigurationError(f"the file {path} can't be imported: {said(error)}") from error
    return attribute_in(module, name, f"python {path}:{name}", f"the file {path}")
