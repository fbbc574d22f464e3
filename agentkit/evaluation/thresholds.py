"""What an evaluation has to reach: "f1>=.6", of the mean, or of the lower end of its interval."""

import math
import re
from collections.abc import Collection, Iterable, Mapping
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
    """The least score of a check, 0 to 1: the mean ("min"), or the lower end of the interval ("sure"). given:
    how it was written, for messages; "" for the options of the command line."""

    check: str
    least: float
    kind: Kind = "min"
    given: str = ""

    def check_name(self, names: Iterable[str]) -> None:
        """Raises ConfigurationError where its check is not one of these."""
        listed = list(names)
        if self.check not in listed:
            shown = self.given or f"--{self.kind} {self.check}"
            raise ConfigurationError(f"{shown}: there is no such check; {known(listed)}")

    def failure(self, summaries: Mapping[str, Summary]) -> str:
        """What is wrong, in a sentence; "" where it is reached. Raises ConfigurationError for a check that there is
        not."""
        self.check_name(summaries)
        found = summaries[self.check]
        reached = found.mean if self.kind == "min" else found.low
        if reached >= self.least or math.isclose(reached, self.least, abs_tol=1e-9):
            return ""
        if self.kind == "min":
            return f"{self.check} is {_below(found.mean, self.least)}"
        return f"{self.check} is surely only {_below(found.low, self.least)}; its mean is {percent(found.mean)}"


def _below(share: float, least: float) -> str:
    """A share that is less than another, in as many digits as tell them apart."""
    digits = next((each for each in range(1, 9) if f"{share * 100:.{each}f}" != f"{least * 100:.{each}f}"), 9)
    if digits == 1:
        return f"{percent(share)}, less than the {percent(least)} asked for"
    return f"{share * 100:.{digits}f} %, less than the {least * 100:.{digits}f} % asked for"


def known(names: Collection[str]) -> str:
    """The names of the checks that there are, in a sentence."""
    if not names:
        return "nothing is checked"
    return f"there {'is' if len(names) == 1 else 'are'} {', '.join(names)}"


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
