"""The text of a report: numbers, links, lists of sources, cut-off texts, verdicts; and its forms."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from agentkit.evidence.check import checked
from agentkit.evidence.citation import Citation
from agentkit.evidence.source import Source
from agentkit.research.addresses import web_address
from agentkit.research.assembling import assembled
from agentkit.research.bibtex import bibtex
from agentkit.research.notes import Note
from agentkit.research.report import Report
from agentkit.research.writing import Group, joined, left_out, parts_of, whole_sentences, without_list_of_sources
from tests.support.growth import assert_linear

SOURCES = {
    3: Source(
        3,
        "https://lights.example/tallow",
        "The Tallow light",
        True,
        "2026-11-29T10:00:00Z",
        texts=("It is 31 m high.",),
    ),
    7: Source(
        7, "https://lights.example/lamp", "Lamps", True, "2026-11-29T10:00:00Z", texts=("It burned herring oil.",)
    ),
    9: Source(9, "https://lights.example/found", "Only found", False, "2026-11-29T10:00:00Z", texts=("It is red.",)),
}


def report_of(text: str, known: Mapping[int, Source] = SOURCES, **fields: Any) -> Report:
    text, citations, sources = assembled(text, known, checked)
    return Report("How high is it?", text, citations, sources, **fields)


def test_numbers_with_gaps_become_1_2_3_in_the_same_order_and_others_stay() -> None:
    report = report_of("It burned herring oil [7]. It is 31 m high [3][7]. It is high [7, 3].")
    assert report.text == "It burned herring oil [2]. It is 31 m high [1][2]. It is high [2][1]."
    assert [source.address for source in report.sources] == [SOURCES[3].address, SOURCES[7].address]
    known = {1: SOURCES[3], 2: SOURCES[7]}
    assert report_of("It burned oil [2]. It is high [1].", known).text == "It burned oil [2]. It is high [1]."


def test_a_number_that_no_source_has_is_none_of_the_references_and_is_flagged() -> None:
    """nicobailon/pi-web-access#340: marks that point at nothing."""
    report = report_of("It is 31 m high [3]. It was lit in 1794 [1]. It is big [3][12].")
    assert report.text == "It is 31 m high [1]. It was lit in 1794 [no source]. It is big [1][no source]."
    assert len(report.sources) == 1
    assert "It was lit in 1794 [no source]. It is big" in report.markdown()
    assert [each.verdict for each in report.citations if "1794" in each.sentence] == ["no source"]


def test_a_report_of_any_length_is_checked_to_its_end() -> None:
    known = {
        n: Source(n, f"https://a.example/{n}", "", True, texts=(f"Light {n} is {n + 3000} cubits high.",))
        for n in (1, 2)
    }
    text = "\n\n".join(f"Light {1 + n % 2} is {3001 + n % 2} cubits high [{1 + n % 2}]." for n in range(1050))
    report = report_of(f"{text}\n\nLight 1 is 7777 cubits high [1].", known)
    assert [each.verdict for each in report.citations].count("supported") == 1050
    assert all(report.text[each.start : each.end] == each.sentence for each in report.citations)
    assert report.citations[-1].verdict != "supported"


def test_in_chinese_too() -> None:
    known = {
        4: Source(
            4,
            "https://灯塔.example/高",
            "灯塔",
            True,
            "2026-11-29T1",
            texts=("灯塔高31米。它建于1900年，由石头砌成。",),
        )
    }
    report = report_of("灯塔高31米[4]。它建于1794年[4]。", known, has_model=True)
    assert report.text == "灯塔高31米[1]。它建于1794年[1]。"
    assert [each.verdict == "supported" for each in report.citations] == [True, False]
    assert "它建于1794年[1]。 *(⚠" in report.markdown()
    html = Report("灯塔有多高？", report.text, report.citations, report.sources).html()
    assert '<html lang="zh">' in html
    assert 'href="https://xn--' in html


def test_only_what_is_cited_is_a_reference() -> None:
    assert [source.title for source in report_of("It is 31 m high [3].").sources] == ["The Tallow light"]


def test_a_link_to_what_was_read_cites_it_and_any_other_link_is_none() -> None:
    """huggingface/smolagents#1087, assafelovic/gpt-researcher#1276: links that were never fetched, or are wrong."""
    report = report_of(
        "It is 31 m high ([The Tallow light](https://www.lights.example/tallow/)). "
        "It is old [see here](https://never.example/x_(y)). It is at https://www.unread.example/a. "
        "It burned oil, see https://lights.example/lamp. "
        "![a lamp](https://evil.example/pixel.png)"
    )
    assert report.text == (
        "It is 31 m high (The Tallow light [1]). It is old see here [no source]. It is at unread.example/a. "
        "It burned oil, see [2]. a lamp"
    )
    assert "never.example" not in report.markdown()
    assert "evil.example" not in report.html()


@pytest.mark.parametrize(
    "heading",
    ["## References", "**Sources:**", "References", "### Quellen", "## 参考文献", "Sources :", "__Bibliography__"],
)
def test_the_list_of_sources_that_a_model_invents_is_left_out(heading: str) -> None:
    """stanford-oval/storm#117: placeholders of references that nobody has read."""
    text = f"It is 31 m high [3].\n\n{heading}\n\n[1] [Insert reference here]\n[2] https://never.example"
    assert without_list_of_sources(text) == "It is 31 m high [3]."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sources\n\nIt draws water from two [3].", None),
        ("It is high [3].\n\n## Sources\n\n- The Tallow rises in the hills [3].", None),
        ("It is high [3].\n\n## Sources\n\n1. The Tallow rises in the hills. [3]\n2. It is old [7].", None),
        (
            "It is high [3].\n\nSources:\n- Lights, 1911\n  (a book)\n\nIt is old [7].",
            "It is high [3].\n\nIt is old [7].",
        ),
        ("It is high [3].\n\n**Sources**\n\nI used these:\n\n1. Lights [3]\n2. Lamps\n", "It is high [3]."),
        ("It is high [3].\n\n## Sources", "It is high [3]."),
    ],
    ids=["prose", "item", "items", "text behind it", "introduced", "empty"],
)
def test_only_a_list_of_sources_is_left_out_and_not_the_text_around_it(text: str, expected: str | None) -> None:
    assert without_list_of_sources(text) == (text if expected is None else expected)


def test_a_section_on_sources_is_kept() -> None:
    text = "## Sources\n\nIt draws water from two sources [3].\n\n## Height\n\nIt is 31 m high [3]."
    assert without_list_of_sources(text) == text


def test_sentences_that_are_not_supported_are_marked_and_not_hidden() -> None:
    report = report_of("# Height\n\nIt is 31 m high [3]. It is 99 m high [3]. It is red [9].")
    assert [each.verdict == "supported" for each in report.citations] == [True, False, False]
    markdown = report.markdown()
    assert re.search(
        r"It is 31 m high \[1\]\. It is 99 m high \[1\]\. \*\(⚠ (not found|only partly) in \[1\]\)\*", markdown
    )
    assert "It is red [2]. *(⚠ only partly in [2])*" in markdown
    assert "the sources support 1 of 3 sentences" in markdown
    assert "2. Only found. <https://lights.example/found> (found, not read, 2026-11-29)" in markdown


def test_nothing_of_others_is_markup_in_markdown() -> None:
    hostile = {
        3: Source(3, "https://a.example/](javascript:alert(1))", "[x](javascript:alert(1)) <b>*</b>\n# Top", True)
    }
    report = report_of("It is <img src=x onerror=alert(1)> high [3]. `a<b` is code [3].", hostile)
    markdown = report.markdown()
    assert "&lt;img" in markdown
    assert "`a&lt;b`" in markdown
    assert not re.search(r"(?<!\\)\]\(", markdown)
    assert markdown.count("\n# ") == 0


def test_a_text_that_was_cut_off_goes_on_where_it_was() -> None:
    """assafelovic/gpt-researcher#1335: reports that end in the middle."""
    assert joined(["The light is 31 m high [1]. It was lit", "It was lit in 1794 [2]."]) == (
        "The light is 31 m high [1]. It was litIt was lit in 1794 [2]."
    )
    assert joined(["It is 31 m high, and was lit in the year", "and was lit in the year 1794 [2]."]) == (
        "It is 31 m high, and was lit in the year 1794 [2]."
    )
    assert whole_sentences("It is 31 m high [1]. It was lit in 1794 [2]. It burned herr") == (
        "It is 31 m high [1]. It was lit in 1794 [2]."
    )
    assert whole_sentences("- It is high [1]\n- It was li") == "- It is high [1]"


def test_notes_are_divided_into_parts_that_fit() -> None:
    groups = [
        Group(title, [Note(f"{title} {place} {'x' * 100} [{place}]") for place in range(50)]) for title in ("a", "b")
    ]
    parts = parts_of(groups, 3_000)
    assert all(sum(len(note.text) for group in part for note in group.notes) <= 3_000 for part in parts)
    assert [note for part in parts for group in part for note in group.notes] == [n for g in groups for n in g.notes]
    assert left_out("[1] and [2]", [Group("a", [Note("one [1]"), Note("both [1][3]"), Note("none [9]")])], {1, 2, 3})[
        0
    ].notes == [Note("both [1][3]")]


def test_the_record_is_json() -> None:
    record = json.loads(json.dumps(report_of("It is 31 m high [3].", plan=["One?"], session="x").record()))
    assert record["citations"][0]["verdict"] == "supported"
    assert record["sources"] == [
        {
            "number": 1,
            "address": "https://lights.example/tallow",
            "title": "The Tallow light",
            "read": True,
            "at": "2026-11-29T10:00:00Z",
        }
    ]
    assert record["usage"]["requests"] == 0


BIBTEX = [
    Source(
        1,
        "https://www.例え.example/ä b?x={1}&y=%20_#z",
        "Größe & Höhe: 100 % von {alles} \\input{x} $5 #1 ~^_",
        True,
        "2026-11-29T1",
    ),
    Source(2, "https://müller.example/a", "灯台の高さ", True, "2026-11-29T1"),
    Source(3, "https://müller.example/b", "灯台の高さ", True, "2026-11-29T1"),
    Source(4, "docs/höhe_1.pdf", "", True, "2026-11-29T1"),
    Source(5, "javascript:alert(1)", "x\u202ey\x00}", True),
]


def test_bibtex_is_valid_in_any_language() -> None:
    """papis/papis#870, OPUS4/application#1491: & in titles, umlauts and braces in keys."""
    text = bibtex(BIBTEX)
    keys = re.findall(r"^@\w+\{([^,]+),$", text, re.MULTILINE)
    assert len(set(keys)) == 5
    assert all(re.fullmatch(r"[a-z0-9-]+", key) for key in keys)
    assert text == bibtex(BIBTEX)
    assert "title = {{Größe \\& Höhe: 100 \\% von \\textbraceleft{}alles\\textbraceright{}" in text
    assert "url = {https://www.xn--r8jz45g.example/%C3%A4%20b?x=%7B1%7D&y=%20_#z}" in text
    assert "@misc{" in text
    assert "howpublished = {docs/höhe\\_1.pdf}" in text
    assert "\u202e" not in text
    for entry in text.split("\n\n"):
        bare = re.sub(r"\\[&%$#_]", "", entry)
        assert bare.count("{") == bare.count("}")
    assert not re.search(r"(?<!\\)[&%$#](?![^\n]*\},?$)", "\n".join(re.findall(r"title = .*", text)))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://a.example/x y", "https://a.example/x%20y"),
        ('https://a.example/"onmouseover="x', "https://a.example/%22onmouseover=%22x"),
        ("HTTPS://A.example/", "HTTPS://A.example/"),
        ("mailto:ada@a.example", "mailto:ada@a.example"),
        ("javascript:alert(1)", ""),
        (" java\nscript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("https://", ""),
        ("https://[::1", ""),
        ("//a.example", ""),
        ("notes/a.md", ""),
        ("vbscript:x", ""),
    ],
)
def test_only_web_addresses_are_links(address: str, expected: str) -> None:
    assert web_address(address) == expected


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "![",
        "[a](",
        "](",
        "[1]",
        "https://a.example/",
        "<",
        "`",
        "```",
        "*",
        "\\[",
        "(",
        "【",
        "> ",
        "- ",
        "|a|\n|-|\n",
        "~~",
        "#",
        "[[a]",
        "[a]:",
        "\\]",
        "`a`\n",
        "~~~\n",
        "## Sources\n",
        "1. a\n",
    ],
)
def test_a_text_is_read_in_linear_time(piece: str) -> None:
    def check(text: str, sources: Mapping[int, Source]) -> list[Citation]:
        return []

    def read(size: int) -> None:
        text, _, sources = assembled(piece * size, SOURCES, check)
        Report("?", text, (), sources).markdown()
        Report("?", text, (), sources).html()
        without_list_of_sources(text)
        whole_sentences(text)

    assert_linear(read, 600)
