"""Evaluations of outcomes that are made by hand."""

import random
from collections.abc import Sequence
from typing import Any

from agentkit.evaluation.comparison import comparisons
from agentkit.evaluation.results import Configuration, configuration
from agentkit.evaluation.running import Evaluation
from agentkit.evaluation.score import Score
from agentkit.evaluation.scores import Outcome


def outcome(item: str, right: bool, *, repeat: int = 1, text: str = "Paris", **fields: Any) -> Outcome:
    scores = {"contains": Score(float(right), right, "" if right else "lacks 'Paris'")}
    known: dict[str, Any] = {"question": f"Question {item}", "expected": "Paris", "missing": "", "error": "", **fields}
    return Outcome(item, repeat, output=text, scores=scores, **known)


def lost(item: str, why: str = "timeout") -> Outcome:
    scores = {"contains": Score(0.0, False, f"no answer: {why}", missing=True)}
    return Outcome(item, 1, f"Question {item}", "Paris", "", why, "it did not end", scores)


def configured(name: str, outcomes: Sequence[Outcome], by: str | None = None) -> Configuration:
    return configuration(name, f"{name}.jsonl", outcomes, by, 0, "complete", "")


def evaluation(*configurations: Configuration, by: str | None = None, set_: str = "capitals.jsonl") -> Evaluation:
    compared = comparisons(configurations, 0) if len(configurations) > 1 else []
    repeat = max(each.repeat for each in configurations[0].outcomes)
    return Evaluation(set_, repeat, by, configurations, compared, "2026-11-29T21:00:00+0000")


def answers(count: int, share: float, seed: int) -> list[Outcome]:
    chance = random.Random(seed)
    return [outcome(f"q{number}", chance.random() < share) for number in range(count)]
