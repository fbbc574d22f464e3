"""What a check says of one answer, and what all checks have in common."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit._text import in_a_line
from agentkit.batch.item import Record
from agentkit.errors import ConfigurationError

MOST_WHY = 300
"""Maximum characters of the reason of a score."""


class CheckError(ConfigurationError):
    """A check could not be made, which is a fault of the set or of the check, and says nothing of the answer.

    The message names the check, the item and the line of the set where they are known.
    """


class NoVerdictError(CheckError):
    """A judge has given no verdict on an answer: nothing is wrong with the set, and others may be judged."""


@dataclass(frozen=True)
class Score:
    """What a check says of one answer.

    value: 0 to 1. passed: whether the answer is good enough. why: in a few words; "" where there is nothing to say.
    missing: there was no answer, which counts as wrong. spent: what the check itself took ({"cost": dollars or None,
    "requests", "input_tokens", "output_tokens"}), of a judge; None for checks that ask no model. asked: what judges
    were asked for it (see `Grader.asked`); () for checks that ask no model, and in files of earlier versions.
    """

    value: float
    passed: bool
    why: str = ""
    missing: bool = False
    spent: Mapping[str, Any] | None = None
    asked: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The score as it stands in a record; `missing`, `asked` and `spent` only where there is something to say."""
        made: dict[str, Any] = {"value": self.value, "passed": self.passed, "why": self.why}
        if self.missing:
            made["missing"] = True
        if self.asked:
            made["asked"] = [*self.asked]
        return made if self.spent is None else {**made, "spent": dict(self.spent)}

    @classmethod
    def from_json(cls, made: Any) -> "Score":
        """The score of which `made` is the JSON. Raises CheckError for what is none, such as a value that is NaN."""
        value: Any = made.get("value") if isinstance(made, Mapping) else None
        if not is_share(value):
            raise CheckError(f"{in_a_line(repr(made), 80)} is no score: it needs a value of 0 to 1")
        spent = made.get("spent")
        flags = made.get("passed") is True, str(made.get("why") or ""), made.get("missing") is True
        asked = made.get("asked")
        told = tuple(map(str, asked)) if isinstance(asked, list) else ()
        return cls(float(value), *flags, spent if isinstance(spent, Mapping) else None, told)


@dataclass(frozen=True)
class Grade:
    """What a grader says of an answer that there is. value: 0 to 1. See `Score` for the rest."""

    value: float
    why: str = ""
    spent: Mapping[str, Any] | None = None
    asked: str = ""


class Grader:
    """One way to look at an answer; the base class of all.

    needs: what has to be kept of a run beside its answer ("tool_calls", "messages"). reads_answer: whether it compares
    with the right answer of the item.
    """

    needs: frozenset[str] = frozenset()
    reads_answer: bool = False

    def accept(self, answer: Any) -> None:
        """Raises ConfigurationError for the right answer of an item with which nothing can be compared."""

    def grade(self, record: Record, answer: Any) -> Grade:
        """Look at the answer of a record, which there is. answer: the right one."""
        raise NotImplementedError

    def asked(self, record: Record, answer: Any) -> str:
        """What a model is asked for the grade, as "DIGEST@MODEL": grades of equal ones are interchangeable. Without
        MODEL: whichever it was. "" for a grader that asks none."""
        return ""


def is_share(value: Any) -> bool:
    """Whether a value is a number of 0 to 1, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value <= 1


def right(holds: bool, why: str = "") -> Grade:
    """The grade of what is right or wrong. why: what is wrong, if it is."""
    return Grade(1.0) if holds else Grade(0.0, in_a_line(why, MOST_WHY))


def why_missing(record: Record) -> str:
    """Why a record has no answer; "" for one that has."""
    output = record.get("output")
    error = record.get("error")
    if record.get("ok") is not True or isinstance(error, Mapping):
        return (
            str(error.get("type") or "error") if isinstance(error, Mapping) else str(record.get("stopped") or "error")
        )
    if output is None or (isinstance(output, str) and not output.strip()):
        return str(record.get("stopped") or "empty")
    return ""


def text_of(record: Record) -> str:
    """The answer of a record as text; a typed answer as its JSON."""
    output = record.get("output")
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)


def texts_of(answer: Any) -> list[str]:
    """The right answers of an item as texts: of one text or number, or of a list of right ones. Raises
    ConfigurationError for anything else, for an empty text, and where there is none."""
    found: Sequence[Any] = answer if isinstance(answer, list | tuple) else [answer]
    if not found or any(not isinstance(each, str | int | float) for each in found):
        raise ConfigurationError(f"the answer has to be a text, a number or a list of them, not {_shown(answer)}")
    if any(isinstance(each, str) and not each.strip() for each in found):
        raise ConfigurationError("the right answer is empty: leave the check out for an item that has none")
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in found]


def _shown(value: Any) -> str:
    return in_a_line(repr(value), 80)
