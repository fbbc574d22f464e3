"""Markdown, reStructuredText and plain text as passages to quote."""

import pytest

from agentkit.retrieval import passages_in
from agentkit.retrieval.inline_markup import without_markup
from tests.support.growth import assert_linear


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('Use **pip** to [install](https://a.example/c_(d) "t") it.', "Use pip to install it."),
        ("An ![image of a clock](clock.png) and a [`Flask`](x.html) link.", "An image of a clock and a `Flask` link."),
        ("See :ref:`the docs <index>` and :class:`~app.Flask` too.", "See the docs and app.Flask too."),
        ("Read `the manual <https://a.example>`_ and use ``pip  install``.", "Read the manual and use `pip  install`."),
        ("The ship sank in 1707.[3][12] All were lost.[^note]", "The ship sank in 1707. All were lost."),
        ("Code stays: `a * b * c[1]`, `**kwargs`, `<br>`.", "Code stays: `a * b * c[1]`, `**kwargs`, `<br>`."),
        (
            "2 * 3 * 4 and snake_case_name and 2**10 are not emphasis.",
            "2 * 3 * 4 and snake_case_name and 2**10 are not emphasis.",
        ),
        ("用**快速**的*帆船*运[新茶](x.html)。", "用快速的帆船运新茶。"),
        ("A <b>bold</b> word &amp; a < b.", "A bold word & a < b."),
    ],
)
def test_markup_is_removed_and_code_stays(written: str, said: str) -> None:
    assert without_markup(written) == said


def units_of(text: str) -> list[list[str]]:
    return [[unit.text for unit in passage.units] for passage in passages_in(text)]


def test_code_is_kept_with_the_sentence_that_introduces_it() -> None:
    markdown = "Install it:\n\n```bash\npip install x\n  # indented\n```\n"
    assert units_of(markdown) == [["Install it:", "pip install x\n  # indented"]]
    rst = "Install it::\n\n    pip install x\n      # indented\n\nThen run it.\n"
    assert units_of(rst) == [["Install it:", "pip install x\n  # indented"], ["Then run it."]]
    directive = ".. code-block:: python\n   :linenos:\n\n   x = 1\n"
    assert units_of(directive) == [["`x = 1`"]]


def test_items_rows_and_definitions_are_quoted_one_by_one() -> None:
    assert units_of("- one\n  goes on\n- two\n\n3. three") == [["one goes on"], ["two"], ["three"]]
    assert units_of("| City | People |\n|---|---:|\n| Oslo | 709,037 |") == [["City: Oslo | People: 709,037"]]
    assert units_of("--verbose   say more\n--quiet     say less") == [["--verbose say more"], ["--quiet say less"]]
    assert units_of("Capital: Oslo\nCurrency: Krone") == [["Capital: Oslo"], ["Currency: Krone"]]
    assert units_of("首都：奥斯陆\n货币：克朗") == [["首都：奥斯陆"], ["货币：克朗"]]
    assert units_of("Chronometer\n: a clock for ships") == [["Chronometer — a clock for ships"]]


@pytest.mark.parametrize(
    "text", ["# Clocks\n\n## H4\n\nIt was small.", "Clocks\n======\n\nH4\n--\n\nH4\n---\n\nIt was small."]
)
def test_the_headings_above_a_passage_are_its_context(text: str) -> None:
    passages = [passage for passage in passages_in(text) if passage.text == "It was small."]
    assert [passage.context.split()[0] for passage in passages] == ["Clocks"]
    assert passages[0].context.endswith("H4")


def test_directives_and_comments_are_no_text() -> None:
    text = ".. _label:\n\n.. image:: clock.png\n   :alt: A clock\n\n.. a comment\n\n.. note:: Wind it daily.\n"
    assert units_of(text) == [["Wind it daily."]]


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "[a](",
        "`",
        "*a",
        "**",
        "_",
        "<a ",
        "<!--",
        "| ",
        "- ",
        "# ",
        ".. a\n",
        "```\n",
        "a::\n\n  ",
        "(“。",
        "\\",
        "__a ",
    ],
)
def test_any_text_is_read_in_linear_time(piece: str) -> None:
    assert_linear(lambda size: passages_in(piece * size), 2_000)
