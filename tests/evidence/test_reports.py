"""What users reported of the citations of other programs, with the right value here."""

import time

import pytest

from agentkit.evidence.check import checked
from agentkit.evidence.claims import claims
from agentkit.evidence.source import Source

PUMP = (
    "The pump of the Reinholt mill was installed in 1932. It lifts 45 litres a second to a basin on the hill.\n"
    "Renal failure developed in 21/28 patients [12]. Hearing loss\noccurred in 12/28 [ 2 , 6 , 7 ] of the cohort. The "
    "keeper’s note says “well-oiled — never repaired”."
)
SOURCES = {1: Source(1, "https://example.org/pump", "The pump", texts=(PUMP,))}
SUPPORTED = {
    "open-webui/open-webui#30277: a mark in bold": "**The pump of the Reinholt mill was installed in 1932 [1]**",
    "uzh-bf/klicker-uzh#6045: a mark with pages": "The pump of the mill lifts 45 litres a second [1, p. 6–7].",
    "infiniflow/ragflow#8594: a mark with a word": "7. The pump of the mill lifts 45 litres a second [ID:1]。",
    "danny-avila/LibreChat#3437: another program's mark": "The pump lifts 45 litres a second【10:13†source】 [1].",
    "monarch-initiative/dismech#10734: marks in what is quoted": 'It says "developed in 21/28 patients. Hearing loss '
    'occurred in 12/28 of the cohort" [1].',
    "Cinnamon/kotaemon#541: another line break in what is quoted": "It says “Hearing loss occurred in 12/28 of the "
    "cohort” [1].",
    "ForumMagnum/ForumMagnum#12442: other quotation marks and dashes": "The keeper's note on the pump says "
    '"the keeper\'s note says" and "well-oiled - never repaired" [1].',
}


@pytest.mark.parametrize("answer", SUPPORTED.values(), ids=SUPPORTED)
def test_what_others_did_not_recognise_is_supported(answer: str) -> None:
    assert [(each.source, each.verdict) for each in checked(answer, SOURCES)] == [(1, "supported")]


FLAGGED = {
    "ItzCrazyKns/Vane#845: a link to a page that does not say it": "The pump of the mill handled 20 M documents "
    "[1](https://example.org/pump).",
    "qx-labs/agents-deep-research#15: an invented number": "The pump of the mill lifts 45 litres a second [22].",
    "rpatrik96/hallmark#36: a real source, another claim": "The turbine of the Reinholt mill drives nine looms [1].",
}


@pytest.mark.parametrize("answer", FLAGGED.values(), ids=FLAGGED)
def test_what_others_let_pass_is_flagged(answer: str) -> None:
    (found,) = checked(answer, SOURCES)
    assert found.verdict != "supported"


NO_CLAIM = {
    "HKUDS/DeepTutor#468: an index in a code block": "```python\nfirst = pump_litres[1]\n```",
    "onyx-dot-app/onyx#911: an index in a list's code": "- As code:\n\n  ~~~js\n  lifts = 45 + litres[1]\n  ~~~",
    "brave/brave-core#36236: an index in code in a line": "`pump[1]`",
    "u14app/deep-research#61: escaped brackets": "\\[1] 中国社会科学网\\\n\\[2] 民国网\\\n\\[3] 百度百科",
    "uzh-bf/klicker-uzh#5864: a list of sources by the model": "Sources:\n- [1] The pump, https://example.org/pump\n"
    "- [2] https://example.org/other",
    "ItzCrazyKns/Vane#1109: the same reference again and again": "## References\n\n"
    + "[1] Reinholt mill, 1932, https://example.org/pump\n" * 4,
}


@pytest.mark.parametrize("answer", NO_CLAIM.values(), ids=NO_CLAIM)
def test_what_others_took_for_citations_is_no_claim(answer: str) -> None:
    said = "The pump of the mill lifts 45 litres a second [1].\n\n"
    assert [each.verdict for each in checked(said + answer, SOURCES)] == ["supported"]


HARBOUR = (
    "The tower was built in 1794. It is 31 metres high, stands at the harbour, and cost 1,200,000 rupees. It was "
    "opened on 05/05/1794. The keeper of the light-\nhouse slept."
)
HARBOURS = {
    1: Source(1, "https://example.org/tower_(old)", "The tower", texts=(HARBOUR,)),
    2: Source(2, "https://example.org/ships", "Ships", texts=("Of ships and their crews alone.",)),
}
LINKED = {
    "a link behind the sentence": "The tower was built in 1794 ([source](https://example.org/tower_(old))).",
    "a link within": "The tower at the harbour was built in 1794, as [the page](https://example.org/tower_(old)) says.",
    "an address in brackets": "The tower was built in 1794 (https://example.org/tower_(old)).",
    "an address in angle brackets": "The tower was built in 1794 <https://example.org/tower_(old)>.",
    "a link behind the full stop": "The tower was built in 1794. [x](https://example.org/tower_(old))",
    "an address in brackets behind the full stop": "The tower was built in 1794. (https://example.org/tower_(old))",
    "a source in brackets": "The tower was built in 1794. (Source: [The tower](https://example.org/tower_(old)))",
    "a source by its address": "**The tower** was built in 1794. Source: https://example.org/tower_(old)",
    "an address before a link": "As https://example.org/x has it, the tower was built in 1794, and [the page]"
    "(https://example.org/tower_(old)) has it, too.",
    "as a search engine links": "The tower is 31 metres high ([x](https://www.example.org/tower_(old)/?utm_source=openai)).",
}


@pytest.mark.parametrize("answer", LINKED.values(), ids=LINKED)
def test_a_link_to_a_source_cites_it(answer: str) -> None:
    """Albert-Weasker/niubigeo#12: an address in the answer is that of a source, too."""
    (found,) = checked(answer, HARBOURS)
    assert (found.source, found.verdict) == (1, "supported")
    (wrong,) = checked(answer.replace("1794", "1893").replace("31", "47"), HARBOURS)
    assert (wrong.source, wrong.verdict) == (1, "not found")
    (other,) = checked(answer.replace("tower_(old)", "ships"), HARBOURS)
    assert (other.source, other.verdict) == (2, "not found")
    (unknown,) = checked(answer.replace("tower_(old)", "unknown"), HARBOURS)
    assert (unknown.source, unknown.verdict) == (None, "no source")


@pytest.mark.parametrize(
    "listed",
    [
        "Sources:\n- The tower of the old harbour and its keepers (https://example.org/ships).",
        "## Sources\n\n- The tower of the old harbour and its keepers (https://example.org/ships).",
        "[The tower of the old harbour](https://example.org/ships), a page about it.",
        "The tower of the old harbour and its keepers [x](https://example.org/ships)",
        "Keeper, Anna. The tower of the old harbour and its keepers, 1990, https://example.org/ships.",
        "- Keeper, Anna. A history of the tower of the old harbour. [x](https://example.org/ships)",
        "- [Ships](https://example.org/ships)\n- [Tower](https://example.org/tower_(old))",
    ],
)
def test_links_in_a_list_of_sources_claim_nothing(listed: str) -> None:
    (found,) = checked(f"The tower was built in 1794 [1].\n\n{listed}", HARBOURS)
    assert (found.source, found.verdict) == (1, "supported")


def test_a_link_by_itself_is_of_the_sentence_before_alone() -> None:
    address = "https://example.org/tower_(old)"
    found = checked(
        f"The tower is 31 metres high. The tower was built in 1893. [The tower, in 1794]({address}).", HARBOURS
    )
    assert [(each.sentence, each.source, each.verdict) for each in found] == [
        ("The tower is 31 metres high.", None, "no source"),
        ("The tower was built in 1893.", 1, "not found"),
    ]
    said = f"The tower is 31 metres high. [The page]({address}) says that the tower was built in 1893."
    assert [(each.source, each.verdict) for each in checked(said, HARBOURS)] == [(None, "no source"), (1, "not found")]


@pytest.mark.parametrize(
    "piece", ["It fell. [x](https://example.org/ships) ", "[x](https://example.org/ships) ", "[ It fell. "]
)
def test_many_links_are_read_in_linear_time(piece: str) -> None:
    def seconds(times: int) -> float:
        start = time.process_time()
        list(claims(piece * times, HARBOURS, {"example.org/ships": 2}))
        return time.process_time() - start

    assert min(seconds(4000) for _ in range(2)) < 6 * min(seconds(1000) for _ in range(3)) + 0.1


@pytest.mark.parametrize(
    "answer",
    [
        "The tower was opened on May 5th, 1794 [1].",
        "The tower was opened on 5 May 1794 [1].",
        "The tower cost 12 lakh rupees [1].",
        'It says "the keeper of the lighthouse slept" [1].',
    ],
    ids=[
        "a date in numbers before a full stop",
        "May is no name",
        "lakh",
        "a hyphen at a line's end",
    ],
)
def test_what_stands_there_in_another_form_is_supported(answer: str) -> None:
    assert [(each.source, each.verdict) for each in checked(answer, HARBOURS)] == [(1, "supported")]


@pytest.mark.parametrize("source", ["塔的高度是31米，建于1794年。", "塔的高度是３１米，建于１７９４年。"])
def test_digits_are_words_of_a_sentence_also_where_no_spaces_are(source: str) -> None:
    """A Chinese source that says the same, word for word, was "only a part of it"."""
    (found,) = checked("塔的高度是31米，建于1794年[1]。", {1: Source(1, "塔.txt", "塔", texts=(source,))})
    assert found.verdict == "supported"


@pytest.mark.parametrize("label", ["(Source: [1])", "(see [1])", "（出典：[1]）", "(vgl. [1], [2])"])
def test_a_word_before_a_mark_is_no_part_of_the_sentence(label: str) -> None:
    # it counted as a name that the source does not have
    page = "The harbour lighthouse was lit on 4 March 1871. Its tower of grey granite is 38 metres tall."
    sources = {number: Source(number, f"https://example.org/{number}", texts=(page,)) for number in (1, 2)}
    found = checked(f"Its granite tower is 38 metres tall {label}.", sources)
    assert {citation.verdict for citation in found} == {"supported"}
