"""Powers, fractions and marks beside numbers: what is read must not make a right answer wrong."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent
from agentkit.errors import ConfigurationError
from agentkit.evaluation import evaluate
from agentkit.evaluation.checks import parse_check
from agentkit.evaluation.number_forms import plain_numbers
from agentkit.evaluation.values import quantities
from tests.evaluation.records import answered
from tests.support.growth import assert_linear
from tests.support.model_server import serve, whole


def value(said: str, right: Any) -> float:
    return parse_check("number").score(answered(said), right).value


HUGE = ["0.5^-9999999", "0.9^-99999999", "2^-1000000", "9^999999999", "0^-1", "1e99^99", "0.0000001²⁹⁹"]


@pytest.mark.parametrize("said", HUGE)
def test_a_power_that_is_too_large_or_too_small_is_wrong_and_ends_no_evaluation(said: str) -> None:
    rows = [{"question": "2 + 2?", "answer": 4, "checks": ["number"]}]
    with serve([whole(f"Answer: {said}")]) as server:
        assert evaluate(Agent(f"openai:tiny@{server.url}"), rows).first.summaries["number"].mean == 0


@settings(max_examples=60)
@given(st.text("0159.^*²⁻- /{}", max_size=24))
def test_no_answer_of_numbers_and_powers_raises(said: str) -> None:
    assert value(said, 5) in (0, 1)


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("The answer is **12** 5-gallon buckets.", 12),
        ("Answer: **3** 2-hour sessions", 3),
        ("**Total: 7** 24-packs", 7),
        ("Answer: **4**2", 4),
        ("The answer is 5**2, with a **bold** word", 25),
        ("**Area**: 5**2", 25),
    ],
)
def test_two_asterisks_that_close_what_is_bold_begin_no_power(said: str, right: int) -> None:
    assert value(said, right) == 1


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("In 2020 1/4 of all adults smoked.", 0.25),
        ("In 2020 1/4 of all adults smoked.", 2020),
        ("In 2023 1/3 of voters stayed at home.", "1/3"),
        ("Of the 20 3/4 passed", 0.75),
        ("On 3 1/2 of them left", 0.5),
        ("In 2020 3/4 passed", 0.75),
        ("The trip takes 2 1/2-hour flights", 2),
        ("Answer: 10 1/2-inch bolts", 10),
        ("The trip takes 2 1/2-hour flights", 2.5),
        ("It is done in 3 1/2 hours", 3.5),
        ("It takes 3 1/2 hours", 3.5),
    ],
)
def test_a_year_or_a_count_before_a_fraction_keeps_its_own_reading(said: str, right: Any) -> None:
    assert value(said, right) == 1


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("The answer is 37².", 37),
        ("The answer is 37².", 1369),
        ("The population was 67,000² (2020).", 67_000),
        ("Answer: 42³ (see footnote 3)", 42),
        ("It is -5²", -5),
        ("The angle is 45^0", 45),
        ("The angle is 45⁰", 45),
    ],
)
def test_a_raised_number_may_be_the_mark_of_a_footnote_or_of_degrees(said: str, right: int) -> None:
    assert value(said, right) == 1


def test_a_right_answer_is_its_power_and_nothing_else() -> None:
    assert value("25", "5²") == 1
    assert value("5", "5²") == 0


@pytest.mark.parametrize(
    ("power", "digits"),
    [
        ("2^64", "18446744073709551616"),
        ("2^40", "1,099,511,627,776"),
        ("1^50", "1"),
        ("0^2", "0"),
        ("7^0", "1"),
        ("99^15", "860058354641288524893953951499"),
        ("-99^15", "-860058354641288524893953951499"),
        ("12^35", str(12**35)),
    ],
)
def test_a_large_power_is_computed_exactly_in_right_answers_and_in_others(power: str, digits: str) -> None:
    assert (value(digits, power), value(power, digits), value(power, power)) == (1, 1, 1)
    assert value(str(int(digits.replace(",", "")) + 1), power) == 0


@pytest.mark.parametrize("answer", ["9^9999", "0^-1", "1/0", "1e999999"])
def test_a_right_answer_without_a_value_is_refused_before_anything_is_asked(answer: str) -> None:
    rows = [{"question": "How many?", "answer": answer, "checks": ["number"]}]
    with serve([whole("1")]) as server:
        with pytest.raises(ConfigurationError, match="has no value, or one that is too large"):
            evaluate(Agent(f"openai:tiny@{server.url}"), rows)
        assert not server.requests


@pytest.mark.parametrize("unit", ["**2**3 ", "in 2020 1/4 ", "9^99 "])
def test_long_answers_take_linear_time(unit: str) -> None:
    check = parse_check("number")
    assert_linear(lambda size: check.score(answered(unit * size), 5), 500)


@pytest.mark.parametrize(
    ("output", "right", "wrong"),
    [
        (r"So the final answer is \boxed{1{,}000}.", 1000, 100),
        (r"So the final answer is \boxed{12\,500}.", 12500, 12),
        (r"$x = 18\!,\!000$", 18000, 18),
        (r"The answer is $1\,234{,}567$.", 1234567, 1),
        (r"The answer is $1\;234\;567.5$.", 1234567.5, 567.5),
        (r"Die Antwort ist $3{,}14$.", 3.14, 314),
        (r"Die Antwort ist $3{,}141$.", 3.141, 141),
        (r"The area is $5\,\text{cm}^2$.", 5, 52),
        ("人口是1億2000万人。", 120_000_000, 20_000_000),
        ("总额为3亿5千万元。", 350_000_000, 50_000_000),
        ("총 3만5천 명입니다.", 35_000, 5_000),
        ("총 3억 5천만 원입니다.", 350_000_000, 50_000_000),
        ("価格は1万2000円です。", 12_000, 2_000),
        ("価格は1.5万円です。", 15_000, 5),
        ("Revenue was $7.57M.", 7_570_000, 7.57),
        ("Revenue was $1,250K.", 1_250_000, 1.25),
        ("Revenue was €2B.", 2_000_000_000, 2),
        ("It costs $5 more.", 5, 5_000_000),
    ],
)
def test_large_numbers_in_the_forms_of_models(output: str, right: float, wrong: float) -> None:
    # rasbt/reasoning-from-scratch#133, iDiagoValeta/localOllamaRAG#208, pymc-labs/daimon#121
    check = parse_check("number")
    assert [check.score(answered(output), expected).value for expected in (right, wrong)] == [1, 0]


@pytest.mark.parametrize("text", ["2000万1億", "3千5千", "3万5", "$5m2"])
def test_other_rows_of_numbers_stay_as_they_are(text: str) -> None:
    assert plain_numbers(text) == text


@given(st.text("0123456789,.{}\\!; 万億千만 $Mk", max_size=30))
def test_plain_numbers_of_plain_numbers_are_the_same(text: str) -> None:
    made = plain_numbers(text)
    assert len(made) <= 40 * len(text) + 10
    quantities(made)


@pytest.mark.parametrize(
    ("said", "right"),
    [
        (r"The answer is $5 \times 10^{3}$.", 5000),
        (r"$1.5 \times 10^{-3}$ m", 0.0015),
        (r"\boxed{5\times10^6}", 5_000_000),
        (r"$6.02\,\times\,10^{23}$", 6.02e23),
        (r"$-2 \cdot 10^4$", -20_000),
        (r"$3 \times 4 = 12$", 12),
        (r"\boxed{\frac34}", 0.75),
        (r"\boxed{\tfrac{3}4}", 0.75),
        (r"\boxed{2\frac12}", 2.5),
    ],
)
def test_powers_of_ten_and_short_fractions_of_latex_are_read(said: str, right: float) -> None:
    """maths/moodle-qtype_stack#498, Khan/khan-exercises#147421"""
    assert value(said, right) == 1
    assert value(said, right * 10) == 0


@pytest.mark.parametrize(
    ("solution", "right", "wrong"),
    [
        ("He sold 48/2 = <<48/2=24>>24 in May,\nand 48+24 = <<48+24=72>>72 in all.\n#### 72", "72", "24"),
        ("From 2 it falls by 5.\n#### -3", "It is -3.", "It is 3."),
        ("It was 80,000 and is 150,000.\n#### 70,000", "$70,000", "80,000"),
        (r"As $x^2+x-6 = (x+3)(x-2)$, there are $\boxed{2}$ asymptotes.", "2", "6"),
    ],
)
def test_a_right_answer_may_be_a_solution_that_gives_it_at_its_end(solution: str, right: str, wrong: str) -> None:
    """EleutherAI/lm-evaluation-harness#1204, google-deepmind/proeval#19: the answers of GSM8K and MATH."""
    assert (value(right, solution), value(wrong, solution)) == (1, 0)


def test_a_right_answer_with_several_numbers_is_refused_unless_it_gives_one() -> None:
    for several in ("1331 and 1728", "#### 3 or 4", "3 or 4 ####"):
        with pytest.raises(ConfigurationError, match="has several numbers"):
            parse_check("number").accept(several)


@pytest.mark.parametrize(
    "said",
    [
        "Resposta: 42\n\nVerificação: 7 × 6 = 42, e 42 / 2 = 21",
        "Risposta: 42\n\nSpiegazione: 84 diviso 2; 7 volte 6.",
        "정답: 42\n\n설명: 84를 2로 나누면 됩니다.",
        "उत्तर: 42\n\nव्याख्या: 84 को 2 से विभाजित करें।",
        "الجواب هو ٤٢.\n\nلأن ٨٤ ÷ ٢",
        "উত্তর: ৪২\n\nব্যাখ্যা: ৮৪ / ২",
        "కాబట్టి సమాధానం 42.\n\n84 / 2",
        "Jibu: 42\n\nMaelezo: 84 gawanya kwa 2.",
        "คำตอบ: 42\n\nอธิบาย: 84 หารด้วย 2",
        "Jawaban: 42\n\nPenjelasan: 84 dibagi 2.",
        "Solution: 42\n\nExplanation: 84 divided by 2.",
        "The total is 42.\nConfidence: 95%",
    ],
)
def test_the_number_is_found_behind_the_word_answer_of_many_languages(said: str) -> None:
    """NVIDIA-NeMo/Skills#1373: an answer is followed by how sure the model is; the languages are those of MGSM."""
    assert parse_check("number").score(answered(said), 42).passed


@pytest.mark.parametrize(
    ("said", "answer", "expected"),
    [
        (r"\boxed{1,\!234}", 1234, 1),
        (r"\boxed{50\%}", 0.5, 1),
        (r"\boxed{3\pi}", 3, 0),
        (r"\boxed{2\sqrt{3}}", 2, 0),
        (r"\boxed{\frac{\sqrt{3}}{2}}", 2, 0),
        (r"\boxed{(3, 4)}", 4, 0),
        (r"\boxed{5, 7}", 5, 0),
        (r"\boxed{x = 5}", 5, 1),
        (r"\boxed{18 \text{ dollars}}", "18 dollars", 1),
        (r"\sqrt{16} = \boxed{4}", 4, 1),
        ("The area is 9π.", 9, 0),
        ("The area is 9π ≈ 28.27", 28.27, 1),
    ],
)
def test_an_expression_a_point_and_several_numbers_in_a_box_are_no_number(
    said: str, answer: Any, expected: float
) -> None:
    assert parse_check("number").score(answered(said), answer).value == expected


@pytest.mark.parametrize("right", [r"3\pi", r"2\sqrt{3}"])
def test_a_right_answer_that_is_an_expression_is_a_mistake_of_the_set(right: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_check("number").accept(right, {})


@pytest.mark.parametrize(
    ("said", "answer", "expected"),
    [
        ("Forty-two.", 42, 1),
        ("There are one hundred and five apples.", 105, 1),
        ("minus forty", -40, 1),
        ("one million two hundred thousand", 1_200_000, 1),
        ("the twenty-first", 20, 0),
        ("答案是十五。", 15, 1),
        ("一百二十三个", 123, 1),
        ("一亿两千万", 120_000_000, 1),
        ("答案是三分之一。", "1/3", 1),
        ("百分之十五", "15%", 1),
        ("统一的万一", 10_001, 0),
    ],
)
def test_numbers_are_read_in_english_words_and_chinese_numerals(said: str, answer: Any, expected: float) -> None:
    assert parse_check("number").score(answered(said), answer).value == expected
