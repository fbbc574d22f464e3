"""An answer is split into sentences, each with the sources that it cites."""

import pytest

from agentkit.evidence.claims import claims

KNOWN = range(1, 10)


def cited(answer: str) -> list[tuple[str, tuple[int, ...]]]:
    return [(each.sentence, each.cited) for each in claims(answer, KNOWN)]


MARKS = {
    "[3]": (3,),
    "[3][4]": (3, 4),
    "[3] [4]": (3, 4),
    "[3, 4]": (3, 4),
    "[3; 4]": (3, 4),
    "[3-5]": (3, 4, 5),
    "[3–5, 8]": (3, 4, 5, 8),
    "[^3]": (3,),
    "[[3]](https://example.org/a_(b))": (3,),
    "[3](https://example.org/1999)": (3,),
    "\\[3\\]": (3,),
    "<sup>[3]</sup>": (3,),
    "**[3]**": (3,),
    "【3】": (3,),
    "【3†source】": (3,),
    "［３］": (3,),
    "[٣]": (3,),
    "[source 3]": (3,),
    "[^3^]": (3,),
    "[^3^][^4^]": (3, 4),
    "[citation:3]": (3,),
    "[[citation:3]]": (3,),
    "[document 3]": (3,),
    "[reference: 3]": (3,),
    "[来源3]": (3,),
    "[来源：3、4]": (3, 4),
    "[3 and 4]": (3, 4),
    "[3 p. 7]": (3,),
    "[3, §2]": (3,),
    "(Source: [3])": (3,),
    "（来源：[3]）": (3,),
    "[ID3]": (),
    "[3 May]": (),
    "[12]": (12,),
    "[3][3]": (3,),
    "[1999]": (),
    "[0]": (),
    "[5-3]": (),
    "[3-900]": (),
    "[3.5]": (),
    "`[3]`": (),
}


@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize(("mark", "numbers"), MARKS.items(), ids=MARKS)
def test_marks_before_and_behind_the_full_stop_belong_to_the_sentence(
    mark: str, numbers: tuple[int, ...], place: str
) -> None:
    first = f"One bridge fell {mark}." if place == "before" else f"One bridge fell. {mark}"
    found = cited(f"{first} Another one stands [9].")
    assert [numbers for _, numbers in found] == [numbers, (9,)]
    assert found[0][0].startswith("One bridge fell")


SPLIT = {
    "a paragraph over two lines": (
        "One bridge\nfell [1]. The other\nstands [2].",
        [("One bridge\nfell [1].", (1,)), ("The other\nstands [2].", (2,))],
    ),
    "no space behind a mark": ("One fell.[1] The other stands.[2]", [("One fell.", (1,)), ("The other stands.", (2,))]),
    "Chinese": ("桥塌了[1]。另一座还在。[2]", [("桥塌了[1]。", (1,)), ("另一座还在。", (2,))]),
    "a mark before the sentence": ("[1] One fell, they say. Yes.", [("One fell, they say.", (1,)), ("Yes.", ())]),
    "items": (
        "- One fell [1]\n- The other stands [2]\n  to this day",
        [("One fell", (1,)), ("The other stands [2]\n  to this day", (2,))],
    ),
    "numbered items": ("1. One fell [1]\n2) The other [2]", [("One fell", (1,)), ("The other", (2,))]),
    "rows of a table": (
        "| Bridge | Fate |\n|:--|---|\n| One. Two | fell [1] |\n| Three | stands [2] |",
        [("One. Two | fell", (1,)), ("Three | stands", (2,))],
    ),
    "a quotation": ("> One fell [1]\n> in a storm", [("One fell [1]\n> in a storm", (1,))]),
    "sentences within a quotation": (
        "They wrote: “One fell. The other stands.” [1] Yes.",
        [("They wrote: “One fell. The other stands.”", (1,)), ("Yes.", ())],
    ),
    "a mark in a paragraph of its own": ("One fell.\n\n[1]", [("One fell.", (1,))]),
    "a mark in a line of its own": ("One fell.\n[1]", [("One fell.", (1,))]),
    "headings and rules": (
        "# Bridges\n\nOne fell [1].\n\n---\n**More**\n\nYes.",
        [("One fell [1].", (1,)), ("Yes.", ())],
    ),
    "a link and an address": (
        "[One](https://a.b/2024) fell, see https://a.b/c_1. Yes [1].",
        [("[One](https://a.b/2024) fell, see https://a.b/c_1.", ()), ("Yes [1].", (1,))],
    ),
    "emphasis": (
        "- **Fate:** *one* fell [1]. **Two stand.** [2]",
        [("**Fate:** *one* fell [1].", (1,)), ("**Two stand.**", (2,))],
    ),
    "definitions of notes": ("One fell [^1].\n\n[^1]: Bridges of 1999, https://a.b", [("One fell [^1].", (1,))]),
    "a list of references": (
        "One fell [1].\n\n**Sources**\n1. [Bridges of 1999](https://a.b)\n2. More, https://a.b",
        [("One fell [1].", (1,))],
    ),
    "abbreviations": (
        "The U.S. bridge No. 5 [1] fell, cf. Dr. Ames [2]. Yes.",
        [("The U.S. bridge No. 5 [1] fell, cf. Dr. Ames [2].", (1, 2)), ("Yes.", ())],
    ),
}


@pytest.mark.parametrize(("answer", "sentences"), SPLIT.values(), ids=SPLIT)
def test_an_answer_is_split_into_sentences(answer: str, sentences: list[tuple[str, tuple[int, ...]]]) -> None:
    assert cited(answer) == sentences


def test_a_short_answer_is_read_with_its_question_and_an_uncited_sentence_knows_the_next_citation() -> None:
    first, question, short = claims("It is old. When was it built? In 1634 [3][4].", KNOWN)
    assert (first.cited, first.later, question.later) == ((), (3, 4), (3, 4))
    assert short.text == "When was it built? In 1634 ."
    assert short.sentence == "In 1634 [3][4]."
