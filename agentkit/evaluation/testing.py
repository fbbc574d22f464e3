"""`assert_eval`: an evaluation as an assertion, in pytest or anywhere else."""

from inspect import signature
from typing import Any

from agentkit.batch.driver import run_batch
from agentkit.errors import ConfigurationError
from agentkit.evaluation.running import OF_JOB, AnyAgent, Evaluation, evaluate
from agentkit.evaluation.sets import Source
from agentkit.evaluation.tables import table
from agentkit.evaluation.thresholds import Kind, Threshold

OPTIONS = {*signature(evaluate).parameters, *signature(run_batch).parameters, *OF_JOB} - {
    *("agent", "set", "wanted", "options", "questions", "finish")
}
"""The options of `evaluate`, with those that it passes on; all other keywords are names of checks."""


def assert_eval(agent: AnyAgent, set: Source, *, sure: bool = False, **minimum: Any) -> Evaluation:
    """Evaluate an agent; raises AssertionError, with the table, for a check whose score is less than its minimum.

    assert_eval(agent, "questions.jsonl", f1=.6, replay="recordings/questions")

    minimum: the least mean score of each check, 0 to 1, and options of `agentkit.evaluation.evaluate`. sure: the lower
    end of the interval has to reach it, not only the mean. Raises
    ConfigurationError as `evaluate` does, and without a minimum.
    """
    options = {name: value for name, value in minimum.items() if name in OPTIONS}
    least = {name: value for name, value in minimum.items() if name not in OPTIONS}
    for name, value in least.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ConfigurationError(f"assert_eval({name}={value!r}): use a score of 0 to 1, or an option of evaluate")
    if not least:
        raise ConfigurationError("assert_eval needs the least score of a check, such as f1=.6")
    kind: Kind = "sure" if sure else "min"
    wanted = [Threshold(name, value, kind, f"assert_eval({name}=...)") for name, value in least.items()]
    found = evaluate(agent, set, wanted=wanted, **options)
    failures = [failure for each in wanted if (failure := each.failure(found.first.summaries))]
    if found.unfinished is not None:
        failures.insert(0, found.unfinished.message)
    if failures:
        raise AssertionError("\n".join([*failures, "", table(found)]))
    return found
