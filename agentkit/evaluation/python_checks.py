"""Checks that are a user's own function."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentkit._text import in_a_line
from agentkit.batch.item import Record
from agentkit.errors import ConfigurationError
from agentkit.evaluation.score import CheckError, Grade, Grader, Score, is_share, right

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
    """The function that "module:function" or "file.py:function" names. Raises ConfigurationError."""
    module, _, name = reference.rpartition(":")
    if not module or not name.isidentifier():
        raise ConfigurationError(f"{reference!r} names no function: write module:function, or file.py:function")
    try:
        loaded = _file(Path(module)) if module.endswith(".py") else importlib.import_module(module)
    except Exception as error:
        what = in_a_line(f"{type(error).__name__}: {error}", 200)
        raise ConfigurationError(f"{module} can't be imported: {what}") from error
    function = getattr(loaded, name, None)
    if not callable(function):
        raise ConfigurationError(f"{module} has no function {name}")
    return function  # type: ignore[no-any-return]


def _file(path: Path) -> Any:
    name = f"_agentkit_check_{path.stem}_{abs(hash(path.resolve())):x}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look for it there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
