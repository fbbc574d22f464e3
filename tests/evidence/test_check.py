"""Each sentence of an answer is compared with the sources that it cites."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.evidence.check import MOST_CITATIONS, checked
from agentkit.evidence.citation import Citation
from agentkit.evidence.source import Source
from tests.support.growth import assert_linear, seconds

TOWER = (
    "The Brannick lighthouse\n\nThe harbour lighthouse of Brannick was lit for the first time on 4 March 1871. Its "
    "tower of grey granite is 38 metres tall. Ada Whitlow wrote: “The sea [12] forgives no lamp that fails.” It cost "
    "£1,250,000, and 3.5 million people have seen it since 2015–16."
)
BREAD = "Salt bread is baked from rye flour. A loaf weighs 1.2 kilograms and keeps for about 40 days."
SOURCES = {
    1: Source(1, "https://example.org/tower", "Lighthouse", texts=(TOWER,)),
    2: Source(2, "https://example.org/bread", "Salt bread", texts=(BREAD,)),
    3: Source(3, "https://example.org/hit", "A hit", read=False, texts=("The lighthouse is 38 metres tall.",)),
    4: Source(4, "https://example.org/empty", "Nothing", texts=("",)),
}


def verdicts(answer: str, sources: dict[int, Source] = SOURCES) -> list[tuple[int | None, str]]:
    return [(each.source, each.verdict) for each in checked(answer, sources)]


def one(answer: str, sources: dict[int, Source] = SOURCES) -> Citation:
    (found,) = checked(answer, sources)
    return found


def test_a_supported_sentence_comes_with_the_passage_that_says_it() -> None:
    found = one("The lighthouse of Brannick is a granite tower, 38 metres tall [1].")
    assert (found.verdict, found.source, found.reason) == ("supported", 1, "")
    assert (found.address, found.title) == ("https://example.org/tower", "Lighthouse")
    assert found.span is not None
    assert TOWER[slice(*found.span)] == found.quote
    assert "38 metres tall" in found.quote


WRONG = {
    "a number": ("The granite tower of the lighthouse is 39 metres tall [1].", "39 is not in the source"),
    "a number with separators": ("The lighthouse of Brannick cost £1,350,000 [1].", "1,350,000 is not in the source"),
    "a month": ("The lighthouse was lit for the first time on 4 May 1871 [1].", "may is not in the source"),
    "a date in numbers": ("The lighthouse was lit for the first time on 1871-05-04 [1].", "05 is not in the source"),
    "a name": ("The lighthouse was drawn by Bernard Colley in grey granite [1].", "Bernard is not in the source"),
    "a quotation": (
        'Ada Whitlow wrote: "The sea forgives every lamp that fails" [1].',
        "the quotation is not in the source",
    ),
    "most of it": ("The lighthouse guides trawlers past the wrecks of the northern reef [1].", ""),
    "all of it": ("Salt bread is baked from rye flour [1].", "the source says nothing of it"),
    "of an unread page": ("The lighthouse is 38 metres tall [3].", "the source was found, but not read"),
    "of an empty page": ("The lighthouse is 38 metres tall [4].", "the source says nothing of it"),
    "of no page": ("The lighthouse is 38 metres tall [7].", "there is no source 7"),
}


@pytest.mark.parametrize(("answer", "reason"), WRONG.values(), ids=WRONG)
def test_what_a_source_does_not_say_is_flagged_with_the_reason(answer: str, reason: str) -> None:
    found = one(answer)
    assert found.verdict != "supported"
    assert reason in found.reason


RIGHT = {
    "another order": "On 4 March 1871 the harbour lighthouse of Brannick was first lit [1].",
    "a date in numbers": "The harbour lighthouse was lit on 1871-03-04 for the first time [1].",
    "a decimal comma": "3,5 million people have seen the lighthouse [1].",
    "a written-out scale": "The lighthouse cost 1.25 million pounds [1].",
    "the end of a range": "People have seen the lighthouse since 2016 [1].",
    "digits of full width": "The lighthouse tower is ３８ metres tall [1].",
    "other quotation marks, without the footnote": "„The sea forgives no lamp that fails“, Whitlow wrote [1].",
    "a quotation with something left out": 'Whitlow: "The sea … no lamp that fails" [1].',
    "a short answer to a question": "How tall is the tower of the lighthouse? 38 metres [1].",
}


@pytest.mark.parametrize("answer", RIGHT.values(), ids=RIGHT)
def test_what_is_said_in_other_forms_is_supported(answer: str) -> None:
    assert verdicts(answer) == [(1, "supported")]


LANGUAGES = {
    "Chinese": (
        "青河石桥建于1634年，全长76米，共有九个桥拱。石匠林守义带领两百名工人修建。",
        "石桥全长{}米，建于1634年",
    ),
    "Russian": ("Колесо мельницы диаметром 76 метров вращала река Сухая.", "Река вращала колесо диаметром {} метров"),
    "Arabic": ("بني الجسر الحجري في عام ١٦٣٤ وطوله ٧٦ مترا.", "طول الجسر الحجري {} مترا"),
    "Hindi": ("यह पुल 1634 में बना और इसकी लंबाई 76 मीटर है।", "पुल की लंबाई {} मीटर है"),
    "Thai": ("สะพานหินสร้างเสร็จในปี 1634 มีความยาว 76 เมตร", "สะพานหินมีความยาว {} เมตร"),
    "Japanese": ("石橋は1634年に建てられ、長さは76メートルです。", "石橋の長さは{}メートルです"),
    "Korean": ("돌다리는 1634년에 세워졌고 길이는 76미터이다.", "돌다리의 길이는 {}미터이다"),
    "German": ("Die Straße wurde 1634 gebaut und ist 76 Meter lang.", "Die STRASSE ist {} Meter lang"),
    "French": ("Le pont, bâti en 1634, mesure 76 mètres.", "Le pont mesure {} metres"),
}


@pytest.mark.parametrize(("text", "said"), LANGUAGES.values(), ids=LANGUAGES)
def test_the_check_reads_every_language(text: str, said: str) -> None:
    sources = {1: Source(1, "a", texts=(text,))}
    assert verdicts(f"{said.format(76)}[1]。", sources) == [(1, "supported")]
    found = one(f"{said.format(77)}[1]。", sources)
    assert found.verdict != "supported"
    assert found.reason == "77 is not in the source"


def test_a_source_in_another_script_is_not_said_to_lack_the_words() -> None:
    assert one("灯塔高38米[1]。").verdict == "weak"
    assert "another script" in one("灯塔高38米[1]。").reason
    assert (one("灯塔高39米[1]。").verdict, one("灯塔高39米[1]。").reason) == ("not found", "39 is not in the source")


def test_sources_that_support_a_sentence_together_are_both_supported() -> None:
    answer = "The granite lighthouse tower is 38 metres tall, and a loaf of rye bread weighs 1.2 kilograms [1][2]."
    assert verdicts(answer) == [(1, "supported"), (2, "supported")]


def test_a_source_that_adds_nothing_is_flagged_beside_one_that_supports_the_sentence() -> None:
    assert verdicts("The granite lighthouse tower is 38 metres tall [1, 2].")[0] == (1, "supported")
    assert verdicts("The granite lighthouse tower is 38 metres tall [1, 2].")[1][1] in {"weak", "not found"}


def test_of_the_texts_of_a_source_the_best_counts() -> None:
    source = Source(1, "a", texts=("Page not available, please wait.", TOWER, "Sign in to read the whole article."))
    found = one("The granite lighthouse tower is 38 metres tall [1].", {1: source})
    assert (found.verdict, found.quote) == ("supported", TOWER[slice(*(found.span or (0, 0)))])


def test_a_sentence_without_citation_is_compared_with_the_next_ones_of_its_paragraph() -> None:
    answer = (
        "Its granite tower is 38 metres tall. The lighthouse was first lit on 4 March 1871 [1]. It sank in 1901.\n\n"
    )
    assert verdicts(answer) == [(1, "supported"), (1, "supported"), (None, "no source")]
    assert verdicts("Its granite tower is 39 metres tall. It was first lit on 4 March 1871 [1].")[0] == (
        None,
        "no source",
    )


SAYS_NOTHING = [
    "Here is what I found:",
    "Hello! How are you?",
    "Sure.",
    "Let me know if you need more.",
    "以下是我找到的内容：",
    "你好！还需要什么吗？",
    "Вот что удалось найти:",
    "# Lighthouses of Brannick in 1871",
    "| Year | Height |\n|---|---|",
    "```python\nheight[1] = 39  # metres, Brannick\n```",
    "![The lighthouse of Brannick in 1871](https://example.org/a[1].png)",
    "- [ ]",
    "---",
]


@pytest.mark.parametrize("answer", SAYS_NOTHING)
def test_what_claims_nothing_is_left_out(answer: str) -> None:
    assert checked(answer, SOURCES) == []


@pytest.mark.parametrize("sources", [{}, {3: SOURCES[3]}], ids=["no source", "none read"])
def test_nothing_is_checked_where_nothing_was_read(sources: dict[int, Source]) -> None:
    assert checked("The lighthouse is 38 metres tall [3].", sources) == []


def test_each_invented_citation_of_an_answer_is_flagged() -> None:
    towns = ["Brannick", "Ossel", "Semmel", "Marrow", "Lenna", "Garrow", "Whitby", "Tarn", "Corvin", "Dunmore"]
    text = "{0} has a lighthouse of {1}7 metres, lit in 18{1}3. Its keeper {0}son raised {1}5 goats on the cliffs."
    sources = {
        number: Source(number, town, texts=(text.format(town, number),)) for number, town in enumerate(towns, 11)
    }
    answer, invented = [], []
    for number, town in enumerate(towns, 11):
        right = number % 2 == 0
        by_number = number % 4 == 1
        height = f"{number}7" if right or not by_number else "999"
        cited = number if right or by_number else number % 10 + 12
        answer.append(f"The lighthouse of {town}, lit in 18{number}3, is {height} metres tall [{cited}].")
        invented += [] if right else [len(answer) - 1]
    found = checked(" ".join(answer), sources)
    assert [place for place, each in enumerate(found) if each.verdict != "supported"] == invented


PIECES = [
    "The tower is 38 metres tall",
    "[1]",
    "[2, 9]",
    "[1-3]",
    ". ",
    "。",
    "\n",
    "\n\n",
    "- ",
    "| ",
    "```",
    "`",
    "**",
    "# ",
]
PIECES += [
    "https://a.b/c",
    "[1](https://a)",
    "“",
    '"',
    "？",
    "灯塔高38米",
    "\ud800",
    "e\u0301",
    "ß",
    "1,234.5",
    "1871-03-04",
    "[",
]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=25).map("".join))
def test_places_are_those_of_the_sentences_and_passages(answer: str) -> None:
    for each in checked(answer, SOURCES):
        assert answer[each.start : each.end] == each.sentence
        assert each.sentence == each.sentence.strip() != ""
        if each.span is not None:
            assert any(text[slice(*each.span)] == each.quote for text in SOURCES[each.source or 0].texts)


@given(st.lists(st.one_of(st.sampled_from([*PIECES, TOWER]), st.text(max_size=9)), max_size=20).map("".join))
def test_any_text_may_be_a_source(text: str) -> None:
    for each in checked(
        "The tower is 38 metres tall in 1871 [1]. “灯塔高38米 [1]”", {1: Source(1, "a", texts=(text,))}
    ):
        assert each.span is None or text[slice(*each.span)] == each.quote


HOSTILE = [
    "[",
    "[1]",
    "The tower [1] ",
    "The tower was lit in 1871 [1]. ",
    "a ",
    "1 234 ",
    "“",
    "\n",
    "```\n",
    "[1](",
    "[1] a\n",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_any_answer_is_read_in_linear_time(unit: str) -> None:
    assert_linear(lambda size: checked(unit * (size // len(unit)), SOURCES), 20_000)


@pytest.mark.parametrize(
    "unit", ["[", "1 234 ", "1,", "中国。", "e\u0301", "The tower was lit. ", "“a b c d”", "\n", "ß "]
)
def test_any_source_is_read_in_linear_time(unit: str) -> None:
    answer = "The tower was lit in 1871, 中国 “a b c d” [1]."
    assert_linear(lambda size: checked(answer, {1: Source(1, "a", texts=(unit * (size // len(unit)),))}), 60_000)


def test_more_than_is_looked_at_costs_nothing() -> None:
    assert seconds(lambda _: checked("[" * 10_000_000, SOURCES), 0) < 2
    assert len(checked("The tower was lit in 1871 [1]. " * 20_000, SOURCES)) <= MOST_CITATIONS


def test_the_order_of_a_run_does_not_change_the_verdicts() -> None:
    lines = [f"The granite lighthouse tower is {metres} metres tall [1]." for metres in range(30, 45)]
    before = {each.sentence: each.verdict for each in checked("\n\n".join(lines), SOURCES)}
    random.Random(1).shuffle(lines)
    assert {each.sentence: each.verdict for each in checked("\n\n".join(lines), SOURCES)} == before
    assert [each for each, verdict in before.items() if verdict == "supported"] == [
        "The granite lighthouse tower is 38 metres tall [1]."
    ]
