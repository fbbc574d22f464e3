"""Answers that other programs have scored wrongly, each with the report of it."""

from typing import Any

import pytest

from agentkit.evaluation.checks import parse_check
from tests.evaluation.records import answered
from tests.support.growth import assert_linear

FOUR, TEN = "A, B, C, D", "A, B, C, D, E, F, G, H, I, J"


def value(check: Any, said: str, answer: Any = None) -> float:
    return parse_check(check).score(answered(said), answer).value


@pytest.mark.parametrize(
    ("choices", "said", "right"),
    [
        # jundot/omlx#3668: the last letter of all was taken, such as the word "I"
        (FOUR, "The answer is B. Note that A is a common distractor.", "B"),
        (TEN, "The answer is C because I computed the integral.", "C"),
        (FOUR, "ANSWER IS D. A is incorrect.", "D"),
        # NVIDIA-NeMo/Skills#1526: a letter of a formula in a box came before the answer
        ("A, B, C, D, E", "We find \\boxed{\\langle H\\rangle \\ll \\Delta E}.\n\n**Answer: D**", "D"),
        # aniri15/OPD-V#2: the "A" of "Answer", or the first option that is mentioned
        (FOUR, "Answer: **D**", "D"),
        (FOUR, "I considered (A), but it is incorrect. Final answer: D.", "D"),
        (FOUR, "The correct answer is d.", "D"),
        # antirez/ds4#319, #321: a pronoun, and options that are ruled out
        (TEN, "Answer: I think it is C", "C"),
        (TEN, "Answer: I would pick B.", "B"),
        (TEN, "Answer: I", "I"),
        (FOUR, "Answer: It is not B, the answer is D", "D"),
        (FOUR, "Answer: D, not B", "D"),
        (FOUR, "Answer: rules out C, leaving D", "D"),
        (FOUR, "That rules out A, B and C, so D.", "D"),
        (FOUR, "We rule out C, D is the answer.", "D"),
        (FOUR, "A and B are eliminated. It is C, not D.", "C"),
        # IBM/AssetOpsBench#475, EleutherAI/lm-evaluation-harness#3842
        (FOUR, "Temperature and vibration point to the bearing.\n\nC", "C"),
        (FOUR, "정답: C", "C"),
        # NVIDIA-NeMo/Skills#1462, #1375: Korean and Japanese, whose particles and verbs stand right behind a letter
        (FOUR, "정답은 C입니다", "C"),
        (FOUR, "따라서 정답은 A 입니다.", "A"),
        (TEN, "답은 (I) 입니다", "I"),
        (FOUR, "C번", "C"),
        (FOUR, "正解はCです。", "C"),
        (FOUR, "答えは (C) です。Aではない。", "C"),
        # jundot/omlx#3668, further: each choice is judged, and one of them is right
        (FOUR, "A: wrong\nB: wrong\nC: correct\nD: wrong", "C"),
        (FOUR, "Both A and B are wrong; C is right and D is nonsense.", "C"),
        (FOUR, "The answer is C, A is a distractor.", "C"),
        (FOUR, "A seems unlikely, B is impossible, C is the only remaining option.", "C"),
        # truera/trulens#954: a mark and the best one that there is
        ("1, 2, 3, 4, 5", "I'd rate it 4 out of 5.", "4"),
        ("1, 2, 3, 4, 5", "4/5", "4"),
    ],
)
def test_the_choice_that_is_meant_is_the_only_one_that_is_right(choices: str, said: str, right: str) -> None:
    check = {"check": "choice", "choices": choices}
    assert {each for each in choices.split(", ") if value(check, said, each)} == {right}


@pytest.mark.parametrize(
    ("choices", "said", "answer"),
    [
        ("是, 否", "不是", "是"),
        (FOUR, "C and A are correct.", "C"),
        (FOUR, "C is correct. So B is right as well.", "C"),
        (FOUR, "The answer is C or A.", "C"),
    ],
)
def test_a_choice_that_is_denied_or_one_of_several_is_not_right(choices: str, said: str, answer: str) -> None:
    assert value({"check": "choice", "choices": choices}, said, answer) == 0


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("B is eliminated.", "B"),
        ("B was eliminated in the first round.", "B"),
        ("C is excluded.", "C"),
        ("The immune system rejects A.", "A"),
        ("Answer: it eliminates B", "B"),
        ("The answer is the one that excludes B", "B"),
        ("A and B are eliminated; C", "C"),
        ("The answer is D: the filter rejects A", "D"),
        ("It is not B", ""),
    ],
)
def test_what_rules_a_choice_out_names_it_where_no_other_is_named(said: str, right: str) -> None:
    assert (
        "".join(each for each in FOUR.split(", ") if value({"check": "choice", "choices": FOUR}, said, each)) == right
    )


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("Answer: I was correct", "I"),
        ("The answer is I am sure.", "I"),
        ("Answer: I would be the choice here", "I"),
        ("Answer: I think B.", "B"),
        ("Answer: I get it: it is C", "C"),
        ("Answer: I am not sure.", ""),
        ("Answer: I do not know", ""),
    ],
)
def test_the_word_i_is_the_choice_where_no_other_is_named(said: str, right: str) -> None:
    assert "".join(each for each in TEN.split(", ") if value({"check": "choice", "choices": TEN}, said, each)) == right


@pytest.mark.parametrize(
    "said",
    [
        "ANSWER: None of the above",
        "ANSWER: Don't know",
        "ANSWER: I don't know",
        "A and B are both right.",
        "I can't say.",
    ],
)
def test_where_no_choice_is_made_none_is_right(said: str) -> None:
    """UKGovernmentBEIS/inspect_ai#2216"""
    check = {"check": "choice", "choices": TEN}
    assert not [each for each in TEN.split(", ") if value(check, said, each)]


@pytest.mark.parametrize(
    ("said", "right", "is_right"),
    [
        # UKGovernmentBEIS/inspect_ai#3916, aisa-group/PostTrainBench#44: the end of a number was compared
        ("ANSWER: 711", 11, False),
        ("The answer is 25", "5", False),
        ("5", "-5", False),
        ("the result is -5 exactly", "-5", True),
        ("... 33.14", 3.14, False),
        ("1000", "1e3", True),
        # UKGovernmentBEIS/inspect_ai#4742, #838: what stands around a number
        ("The answer is 42!", 42, True),
        ("The answer is (42).", 42, True),
        ("ANSWER: 60%", "60%", True),
        ("ANSWER: 60%", 60, True),
        # antirez/ds4#319: the first number of a sum
        ("Answer: m+n = 256+37 = 293", 293, True),
        ("Answer: m+n = 256+37 = 293", 256, False),
        ("Final answer: 082", 82, True),
        # huggingface/Math-Verify#34, #81, #2: a whole number and a fraction, and LaTeX's
        ("1 1/4", "5/4", True),
        ("2.5", "$2\\frac{1}{2}$", True),
        ("It takes 2 3/4 cups.", 2.75, True),
        ("2 2/3", 2, False),
        ("4 10/3", 10, False),
        ("-3 1/2", -3.5, True),
        ("\\boxed{\\frac{9}{2}}", 4.5, True),
        ("$-\\frac{1}{12}$", "-1/12", True),
        ("on 3 1/2/2024", 3.5, False),
        # Khan/khan-exercises#107884: powers of ten
        ("10^-1", 0.1, True),
        ("10^6", 1_000_000, True),
        ("$10^{6}$", 6, False),
        ("5²", 25, True),
        ("1024", "2^10", True),
        ("9^99999", 9, False),
        ("x^2 + 3 = 12", 12, True),
        ("The area is 5 m^2", 5, True),
    ],
)
def test_the_number_that_is_meant_is_compared_as_a_whole(said: str, right: Any, is_right: bool) -> None:
    assert value("number", said, right) == is_right


@pytest.mark.parametrize(
    ("said", "right"),
    [('{"a": []}', {"a": []}), ("{}", {}), ("[]", []), ('```json\n{"a": 1.0}\n```', {"a": 1})],
)
def test_json_with_nothing_in_it_is_compared_too(said: str, right: Any) -> None:
    # Agenta-AI/agenta#1942: a division by the number of its keys
    assert value({"check": "json", "equals": True}, said, right) == 1


def test_an_article_is_a_word_of_its_own() -> None:
    # EleutherAI/lm-evaluation-harness#1303: "a" was left out inside of words
    assert value("exact", "The Spice Girls", "Spice Girls") == 1
    assert value("exact", "Spice Grls", "Spice Girls") == 0
    assert value("exact", "bn", "ban") == 0


@pytest.mark.parametrize("unit", ["10^", "1 1/2 ", "\\frac{1}{2}", "rules out A, ", "Answer: I think ", "A and B are "])
def test_long_answers_take_linear_time(unit: str) -> None:
    check = parse_check({"check": "choice", "choices": FOUR}) if unit[0] in "rA" else parse_check("number")
    assert_linear(lambda size: check.score(answered(unit * size), "A" if unit[0] in "rA" else 5), 2_000)
