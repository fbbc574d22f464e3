"""Checks of what an answer took: calls, turns, seconds, tokens, cost."""

from dataclasses import dataclass
from typing import Any

from agentkit.batch.item import Record
from agentkit.evaluation.score import CheckError, Grade, Grader, right

SPENT = ("calls", "turns", "seconds", "tokens", "cost")
"""What can be checked. calls: of tools. turns: requests to the model. tokens: in and out. cost: in US dollars."""


@dataclass(frozen=True)
class Spent(Grader):
    """The answer took no more than that. what: one of SPENT."""

    what: str
    most: float

    def grade(self, record: Record, answer: Any) -> Grade:
        took = self._took(record)
        return right(took <= self.most, f"took {took:g} {self.what}, more than {self.most:g}")

    def _took(self, record: Record) -> float:
        usage = record.get("usage") or {}
        if self.what in ("seconds", "cost"):
            found = record.get(self.what)
            if found is None:
                cure = ": name the prices of the model's tokens" if self.what == "cost" else ""
                raise CheckError(f"it is not known what {self.what} the answer took{cure}")
            return float(found)
        names = {"calls": ("tool_calls",), "turns": ("requests",), "tokens": ("input_tokens", "output_tokens")}
        return float(sum(usage.get(name, 0) for name in names[self.what]))
