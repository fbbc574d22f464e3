"""What an evaluation has to reach: "f1>=.6", of the mean, or of the lower end of its interval."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from agentkit._text import in_a_line
from agentkit.errors import ConfigurationError
from agentkit.evaluation.intervals import Summary
from agentkit.evaluation.wording import percent

Kind = Literal["min", "sure"]
_SHARE = re.compile(r"(\d{0,3}\.?\d{0,12})(%?)")


@dataclass(frozen=True)
class Threshold:
    """The least score of a check, 0 to 1: the mean ("min"), or the lower end of the interval ("sure")."""

    check: str
    least: float
    kind: Kind = "min"

    def failure(self, summaries: Mapping[str, Summary]) -> str:
        """What is wrong, in a sentence; "" where it is reached. Raises ConfigurationError for a check that there is
        not."""
        found = summaries.get(self.check)
        if found is None:
            raise ConfigurationError(f"--{self.kind} {self.check}: there is no such check; {known(summaries)}")
        reached = found.mean if self.kind == "min" else found.low
        if reached >= self.least or math.isclose(reached, self.least, abs_tol=1e-9):
            return ""
        what = "is" if self.kind == "min" else f"is surely only {percent(found.low)} or more: its mean is"
        return f"{self.check} {what} {percent(found.mean)}, less than the {percent(self.least)} asked for"


def known(summaries: Mapping[str, Summary]) -> str:
    """The names of the checks that there are, in a sentence."""
    return f"there are {', '.join(summaries)}" if summaries else "nothing was checked"


def thresholds(given: Iterable[str], kind: Kind = "min") -> list[Threshold]:
    """The thresholds of texts such as "f1>=.6" and "cites>=90%". Raises ConfigurationError."""
    made = []
    for text in given:
        check, _, share = text.rpartition(">=")
        found = _SHARE.fullmatch(share.strip())
        value = float(found[1]) / (100 if found[2] else 1) if found and found[1].strip(".") else None
        if not check.strip() or value is None or not 0 <= value <= 1:
            raise ConfigurationError(
                f"--{kind} {in_a_line(text, 60)!r}: write CHECK>=SHARE, such as f1>=.6 or cites>=90%"
            )
        made.append(Threshold(check.strip(), value, kind))
    return made
