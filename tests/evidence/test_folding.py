"""Texts of sources are folded quickly, and as the words of an answer are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.evidence.folding import Folding, words_in
from agentkit.retrieval.words import letters

SCRIPTS = {
    "ASCII": range(128),
    "Latin": range(0xC0, 0x180),
    "Greek": range(0x391, 0x3D0),
    "Cyrillic": range(0x400, 0x460),
    "Hebrew": range(0x5D0, 0x5EB),
    "Arabic": range(0x621, 0x64B),
    "Thai": range(0xE01, 0xE3B),
    "Japanese": range(0x3041, 0x30FB),
    "Chinese": range(0x4E00, 0x4F00),
    "Korean": range(0xAC00, 0xAD00),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_text_is_folded_as_its_letters_are(script: str) -> None:
    text = " ".join(f"{chr(code)}, {chr(code)}" for code in SCRIPTS[script])

    folding, folded = Folding.of(text)

    assert folded.split() == folding(text).split() == letters(text).split()
    assert words_in(text).split() == letters(text).split()


@given(st.text(alphabet="aéæœþłøđıİIŞßﬁςǾǣ\u0301\u0327\u00ad\u200b 1,.أ字ไक्षি", max_size=8))
def test_a_text_with_accents_and_unseen_signs_is_folded_as_its_letters_are(text: str) -> None:
    assert Folding.of(text)[1].split() == letters(text).split()


@pytest.mark.parametrize(("written", "plain"), [("Ǿrsted", "Ørsted"), ("ǽ", "æ"), ("Ǣþel", "Æþel"), ("ø\u0301", "o")])
def test_letters_with_a_stroke_or_of_two_letters_lose_their_accents_first(written: str, plain: str) -> None:
    assert letters(written) == letters(plain)
    assert letters(letters(written)) == letters(written)
