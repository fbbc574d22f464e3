"""Sentences that deny what their sources say, and marks and quotations that were reported to be missed."""

import pytest

from agentkit.evidence.check import checked
from agentkit.evidence.source import Source
from tests.support.growth import assert_linear


def verdicts(answer: str, *texts: str) -> list[str]:
    sources = {
        number: Source(number, f"https://example.org/{number}", texts=(text,)) for number, text in enumerate(texts, 1)
    }
    return [citation.verdict for citation in checked(answer, sources)]


@pytest.mark.parametrize(
    ("answer", "source"),
    [
        ("The tower is not made of granite [1].", "The tower is made of grey granite and was built in 1871."),
        ("The tower was never painted red [1].", "The tower was painted red in 1900."),
        ("The tower isn’t made of granite [1].", "The tower is made of granite."),
        ("Der Turm ist nicht aus Granit [1].", "Der Turm ist aus Granit gebaut."),
        ("塔不是花岗岩建造的[1]。", "塔是花岗岩建造的。"),
        ("塔は花崗岩でできていません[1]。", "塔は花崗岩でできています。"),
        ("Башня не построена из гранита [1].", "Башня построена из гранита."),
    ],
)
def test_a_sentence_that_denies_what_its_passage_says_is_weak(answer: str, source: str) -> None:
    assert verdicts(answer, source) == ["weak"]


@pytest.mark.parametrize(
    ("answer", "source"),
    [
        ("The tower is not made of granite [1].", "The tower isn't made of granite."),
        ("The tower is not made of granite but of brick [1].", "Built of brick without any granite, the tower stands."),
        ("The tower is not only made of granite [1].", "The tower is made of granite, and of brick."),
        ("It has no keeper since 1990 [1].", "Since 1990 the tower stands without a keeper."),
        ("塔不仅由花岗岩建造[1]。", "塔由花岗岩建造，还有砖。"),
        ("Der Turm ist nicht aus Granit [1].", "Der Turm wurde ohne Granit gebaut."),
    ],
)
def test_a_sentence_that_denies_what_its_passage_denies_is_supported(answer: str, source: str) -> None:
    assert verdicts(answer, source) == ["supported"]


@pytest.mark.parametrize("mark", ["[cite: 1]", "[cite:1]", "[Cite: 1]"])
def test_marks_of_other_programs_are_marks(mark: str) -> None:
    # teng-lin/notebooklm-py#2141
    assert verdicts(f"The tower is 38 metres tall {mark}.", "The tower is 38 metres tall.") == ["supported"]


@pytest.mark.parametrize(
    "source",
    [
        "We show that English constitu\u00ad\nency parsing generalizes well.",
        "We show that English constitu-\n\n12\n\nency parsing generalizes well.",
        "We show that English constituency\n\n  - 3 -\n\nparsing generalizes well.",
        "We show that English constituency parsing\n7\n\fgeneralizes well.",
    ],
)
def test_a_quotation_over_the_end_of_a_line_or_a_page_is_found(source: str) -> None:
    # LLMQuant/quant-mind#157
    assert verdicts('They say "English constituency parsing generalizes well" [1].', source) == ["supported"]


def test_a_quotation_of_another_number_is_none() -> None:
    assert verdicts('They say "it was built in 1871 of granite" [1].', "It was built in 1872\n\n3\n\nof granite.") == [
        "not found"
    ]


@pytest.mark.parametrize("unit", ["not ", "n't", "不仅", "no ", "x\n1\n", "a-\n\n"])
def test_long_sources_are_read_in_linear_time(unit: str) -> None:
    assert_linear(lambda size: verdicts('It was not "lit in the year" [1].', unit * size + " It was lit."), 5_000)
