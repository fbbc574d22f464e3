"""Long texts are cut to what matches a goal."""

import pytest

from agentkit_tools.cutting import PASSAGE, cut_to_goal, passages_of
from tests.support.growth import assert_linear

OTHERS = {
    "en": "Paragraph {0} is about the weather of day {0}. It rained in the morning. The evening was dry and cold. "
    "Nobody was surprised by that, since it was autumn. ",
    "zh": "第{0}段讲的是第{0}天的天气。早上下了雨。晚上又干又冷。因为是秋天，谁也不觉得奇怪。",
    "ru": "Абзац {0} рассказывает о погоде в день {0}. Утром шёл дождь. Вечером было сухо и холодно. ",
    "hi": "अनुच्छेद {0} दिन {0} के मौसम के बारे में है। सुबह बारिश हुई। शाम सूखी और ठंडी थी। ",
}
FACTS = {
    "en": (
        "What did the keeper of the lighthouse collect?",
        "The keeper of the lighthouse collected 412 old compasses.",
    ),
    "zh": ("灯塔看守人收藏了什么？", "灯塔的看守人收藏了412个旧罗盘。"),
    "ru": ("Что собирал смотритель маяка?", "Смотрители маяка собрали 412 старых компасов."),
    "hi": ("प्रकाशस्तंभ के रखवाले ने क्या जमा किया?", "प्रकाशस्तंभ के रखवाले ने 412 पुराने कम्पास जमा किए।"),
}


@pytest.mark.parametrize("language", FACTS)
def test_the_sentence_with_the_answer_survives_the_cut(language: str) -> None:
    goal, fact = FACTS[language]
    paragraphs = [4 * OTHERS[language].format(number) for number in range(100)]
    paragraphs[61] = 2 * OTHERS[language].format(61) + fact + " " + 2 * OTHERS[language].format(61)
    cut = cut_to_goal("\n\n".join(paragraphs), goal, 2_000)
    assert fact in cut
    assert len(cut) < 2_200


def test_a_goal_that_matches_nothing_gets_the_beginning_and_is_told() -> None:
    text = "\n\n".join(OTHERS["en"].format(number) for number in range(100))
    cut = cut_to_goal(text, "zxqv", 1_000)
    assert cut.startswith("Paragraph 0")
    assert "no passage matches the goal" in cut


def test_a_passage_that_matches_less_is_cut_to_its_sentences_below_its_heading() -> None:
    best = "\n\n".join(f"The lighthouse keeper of port {number} had a compass. {'x' * 300}." for number in range(5))
    weak = (
        "## Compasses\n\nThe sun rose. It was warm. "
        + "Birds sang. " * 60
        + "A compass hung there. Then it fell. It broke."
    )
    cut = cut_to_goal(f"{best}\n\n{weak}", "Which compass had the lighthouse keeper?", 1_200)
    assert "## Compasses\n\n[…] Birds sang. A compass hung there. Then it fell. […]" in cut


@pytest.mark.parametrize("end", ["。", "！", "？", "।", ". "])
def test_a_long_paragraph_is_split_behind_a_sentence(end: str) -> None:
    parts = passages_of(("字" * 70 + end) * 60)
    assert len(parts) > 1
    assert all(part.endswith(end.strip()) and len(part) <= PASSAGE for part in parts)


def test_each_part_of_a_long_table_has_the_names_of_its_columns() -> None:
    rows = "\n".join(f"| city {number} | {number * 1_000} |" for number in range(200))
    text = f"Cities:\n\n| name | people |\n|------|-------:|\n{rows}\n\n| other | table |"
    _, *parts, other = passages_of(text)
    assert len(parts) > 3
    assert all("| name | people |\n|------|-------:|\n| city" in part for part in parts)
    assert other == "| other | table |"


def test_a_block_of_code_is_not_divided_at_its_empty_lines() -> None:
    code = "```python\n# Load the file\n\nimport json\n\n\ndata = json.load(file)\n```"
    assert passages_of(f"It is read so.\n\n{code}\n\nThat is all of it.") == [
        "It is read so.",
        code,
        "That is all of it.",
    ]
    assert len(passages_of("```\n\nOne never closed.\n\nTwo goes on.")) > 1


@pytest.mark.parametrize("piece", ["a. ", "。", "```\n\n", "|a|\n|-|\n", "a\n\n", " ", ".)", "- a\n", "\t"])
def test_any_text_is_cut_in_linear_time(piece: str) -> None:
    assert_linear(lambda size: cut_to_goal(piece * size, "a", 1_000), 4_000)
