"""The keywords of `assert_eval`."""

import inspect

import pytest

from agentkit import Agent, Limits
from agentkit.batch import run_batch
from agentkit.errors import ConfigurationError
from agentkit.evaluation import assert_eval, evaluate
from agentkit.evaluation.checks import kinds
from agentkit.evaluation.testing import OPTIONS
from agentkit.testing import ScriptedBackend

LINES = [{"id": str(n), "question": f"q{n}", "answer": "Oslo", "checks": ["exact"], "source": n % 3} for n in range(9)]


def test_options_of_an_evaluation_are_no_checks() -> None:
    agent = Agent(ScriptedBackend(*["Oslo"] * 40))
    found = assert_eval(agent, LINES, exact=0.5, cluster="source", limits=Limits(turns=2))
    assert (found.cluster, found.first.summaries["exact"].mean) == ("source", 1)
    with pytest.raises(ConfigurationError, match=r"dedup copies answers from the answers file"):
        assert_eval(agent, LINES, exact=0.5, dedup=True)
    with pytest.raises(ConfigurationError, match=r"all 3 repeats of one would be the same reply"):
        assert_eval(agent, LINES, exact=0.5, dedup=True, repeat=3)  # EleutherAI/lm-evaluation-harness#3046
    with pytest.raises(ConfigurationError, match=r"assert_eval\(f1=2\): use a score of 0 to 1"):
        assert_eval(agent, LINES, f1=2)


def test_each_option_is_known_and_none_has_the_name_of_a_check() -> None:
    taken = {*inspect.signature(evaluate).parameters, *inspect.signature(run_batch).parameters}
    assert taken - OPTIONS == {"agent", "set", "wanted", "options", "questions", "finish"}
    assert OPTIONS & set(kinds()) == {"judge"}  # its model, as ever
