"""Two configurations on the same questions: what is surely better, what changed, and what a number can show."""

import re
from typing import Any

import pytest

from agentkit.evaluation.comparison import _verdict, comparisons, surely_worse
from agentkit.evaluation.intervals import Summary
from agentkit.evaluation.statistics import Difference
from agentkit.evaluation.tables import table
from agentkit.evaluation.thresholds import Threshold
from agentkit.evaluation.wording import amount
from tests.evaluation.made import answers, configured, evaluation, lost, outcome


def test_a_difference_is_told_in_a_sentence_with_its_interval() -> None:
    one = [outcome(f"q{number}", number >= 40) for number in range(200)]
    two = [outcome(f"q{number}", number >= 30 or number < 2) for number in range(200)]
    (found,) = comparisons([configured("A", one), configured("B", two)], 0)
    (check,) = found.checks
    assert check.kind == "better"
    assert re.fullmatch(r"B is better by 6\.0 points \(\+\d\.\d to \+\d\.\d, p < \.001\)", check.verdict), check.verdict
    assert [flip.item for flip in found.flipped] == ["q0", "q1", *(f"q{number}" for number in range(30, 40))]
    assert (found.flipped[0].before, found.flipped[0].after) == (0.0, 1.0)
    (turned,) = comparisons([configured("B", two), configured("A", one)], 0)
    assert turned.checks[0].verdict.startswith("A is worse by 6.0 points (-")


def test_where_no_difference_is_seen_it_is_told_what_the_questions_could_show() -> None:
    (found,) = comparisons([configured("A", answers(200, 0.8, 1)), configured("B", answers(200, 0.8, 2))], 0)
    (check,) = found.checks
    assert check.kind == ""
    assert re.search(r"^no difference seen \(.*\); 200 questions can show \d+ points or more$", check.verdict)


def test_equal_answers_show_no_difference() -> None:
    same = answers(50, 0.7, 1)
    (found,) = comparisons([configured("A", same), configured("B", same)], 0)
    assert found.checks[0].verdict.startswith("no difference seen (0.0 points")
    assert found.checks[0].p == 1
    assert not found.flipped


def test_of_several_each_is_compared_with_the_first_and_chance_is_counted_for_all() -> None:
    base = configured("A", [outcome(f"q{number}", number % 4 > 0) for number in range(100)])
    better = [outcome(f"q{number}", number % 4 > 0 or number % 16 == 0) for number in range(100)]
    alone = comparisons([base, configured("B", better)], 0)[0].checks[0]
    among = comparisons([base, *(configured(f"B{place}", better) for place in range(5))], 0)
    assert (alone.kind, [each.checks[0].kind for each in among]) == ("better", [""] * 5)
    assert among[0].checks[0].p == pytest.approx(min(1, alone.p * 5))


def test_pairs_are_of_the_same_questions_and_what_is_left_out_is_told() -> None:
    one = configured("A", [outcome("a", True), outcome("b", False), outcome("c", True)])
    two = configured("B", [outcome("c", True), outcome("b", True), outcome("d", False)])
    (found,) = comparisons([one, two], 0)
    assert (found.checks[0].difference.n, found.left_out) == (2, 2)
    assert found.checks[0].difference.value == 0.5
    assert "2 questions left out" in table(evaluation(one, two))


def test_what_is_spent_is_compared_too() -> None:
    spent: dict[str, Any] = {"cost": 0.02, "seconds": 2.0, "tokens": 900, "calls": 3}
    less: dict[str, Any] = {"cost": 0.01, "seconds": 2.0, "tokens": 450, "calls": 3}
    one = [outcome(f"q{number}", True, **spent) for number in range(30)]
    two = [outcome(f"q{number}", True, **less) for number in range(30)]
    (found,) = comparisons([configured("A", one), configured("B", two)], 0)
    assert found.spent["cost"] == "cost: B takes 50 % less ($0.020 and $0.010 a question, p < .001)"
    assert found.spent["tokens"].startswith("tokens: B takes 50 % less (900 tokens and 450 tokens a question")
    assert found.spent["seconds"] == "time: no difference seen (2 s and 2 s a question)"


def test_worse_is_told_only_where_it_is_sure() -> None:
    saved = configured("saved", [outcome(f"q{number}", number >= 10) for number in range(100)])
    slightly = configured("now", [outcome(f"q{number}", number >= 12) for number in range(100)])
    much = configured("now", [outcome(f"q{number}", number >= 30) for number in range(100)])
    assert surely_worse(comparisons([slightly, saved], 0)[0], 0) == []
    (said,) = surely_worse(comparisons([much, saved], 0)[0], 0.02)
    assert said.startswith("contains is 70.0 %, and was 90.0 % in saved: surely worse by more than 2 points (-")
    assert surely_worse(comparisons([much, saved], 0)[0], 0.2) == []


def test_a_run_without_an_answer_is_a_wrong_one_of_its_pair() -> None:
    """vibrantlabsai/ragas#2980: another subset that survived is no better model."""
    one = [outcome(f"q{number}", number >= 20) for number in range(60)]
    two = [lost(f"q{number}") if number < 20 else outcome(f"q{number}", True) for number in range(60)]
    (found,) = comparisons([configured("A", one), configured("B", two)], 0)
    assert found.checks[0].difference.value == 0
    assert "66.7 % (54.1-77.3), 20 of 60 without an answer count as wrong" in table(evaluation(configured("B", two)))


def test_few_questions_are_told() -> None:
    assert "only 5 questions" in table(evaluation(configured("A", answers(5, 0.5, 1))))
    assert "only" not in table(evaluation(configured("A", answers(20, 0.5, 1))))


def test_a_run_that_failed_at_once_makes_no_agent_quicker() -> None:
    spent: dict[str, Any] = {"cost": 0.02, "seconds": 2.0, "tokens": 900, "calls": 3}
    nothing: dict[str, Any] = {"cost": 0.0, "seconds": 0.0, "tokens": 0, "calls": 0}
    one = [outcome(f"q{number}", True, **spent) for number in range(30)]
    two = [outcome(f"q{number}", False, missing="error", **nothing) for number in range(15)]
    (found,) = comparisons([configured("A", one), configured("B", [*two, *one[15:]])], 0)
    assert found.spent["seconds"] == "time: no difference seen (2 s and 2 s a question, of the 15 that both answered)"


def test_what_decides_is_told_where_the_interval_says_otherwise() -> None:
    found = Difference(-0.4, -0.6, -0.1, 0.125, False, 6, 0.6)
    assert "; the interval leaves out 0, but p decides; 6 questions" in _verdict(found, 0.125, "", "B")
    found = Difference(0.05, -0.01, 0.1, 0.049, True, 60, 0.1)
    assert _verdict(found, 0.049, "better", "B").endswith("; the interval has 0 in it: p decides")


def test_one_is_not_written_as_several() -> None:
    assert [amount(1, "calls"), amount(2, "calls"), amount(1, "tokens")] == ["1 call", "2 calls", "1 token"]
    one, two = (configured(name, [outcome(name, True), outcome("c", True)]) for name in "AB")
    assert "2 questions left out: only one of A and B has them" in table(evaluation(one, two))
    both = configured("B", [outcome("c", True)])
    assert "1 question left out: only one of A and B has it" in table(evaluation(one, both))


def test_a_score_just_below_its_least_is_written_in_digits_that_tell_them_apart() -> None:
    said = Threshold("f1", 0.6).failure({"f1": Summary("f1", 9, 9, 0, 0.5997, 0.5, 0.7, "wilson", 0.6)})
    assert said == "f1 is 59.97 %, less than the 60.00 % asked for"
