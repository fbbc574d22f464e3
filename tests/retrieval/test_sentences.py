"""Paragraphs are split into sentences, in any script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.retrieval import sentences
from tests.support.growth import assert_linear

SPLIT = {
    "Chinese": "他走了。|真的？！|好。",
    "a Chinese question in brackets": "她问（真的吗？）我说是。",
    "full stops of full width": "第一文です．|第二文です．",
    "decimals of full width": "値は３．５です。|次。",
    "a quotation that goes on, Japanese": "この値段は3.5です。|「本当ですか？」と彼は聞いた。",
    "Hindi": "भारत 1947 ई. में आज़ाद हुआ।|फिर क्या?",
    "Urdu": "اب درست رائے ہے۔|وہ ہے۔",
    "Arabic": "هل ستنجح؟|نعم، غدا.",
    "a Greek question": "Τι είναι αυτό;|Είναι το σπίτι.",
    "Armenian": "Ինչպե՞ս ես։|Սա թեստ է։",
    "Burmese": "ကျောင်းသွားသည်။|ပြန်လာ၏။",
    "a German quotation": "Louis kam.|„Darf ich?“, fragte sie.|Ja.",
    "French quotation marks with spaces": "« Bonjour ! » dit-il.|Elle partit.",
    "German dates and ordinals": "Am 15. Oktober 1880 begann es.|Der 2. Weltkrieg war aus.|Es waren 15.|Dann nicht.",
    "Spanish titles": "El Sr. García y la Dra. López vinieron.|Fin.",
    "figures": "See Fig. 3 and Eq. 4.|Next.",
    "citations": "Yan et al. [2004] analysed it.|It grew.",
    "months": "On Sept. 9 it rained.|It was in Dec.|It snowed.",
    "numbers of items": "1. First thing.|2. Second thing.",
    "decimals and versions": "It costs $3.50 now.|Version 1.2.3 is out.|See v1.2.",
}


@pytest.mark.parametrize("written", SPLIT.values(), ids=SPLIT)
def test_sentences_end_at_their_marks(written: str) -> None:
    joint = "" if written[-1] in "。．" else " "
    assert sentences(joint.join(written.split("|"))) == written.split("|")


def test_long_text_in_thai_is_split_at_its_spaces() -> None:
    clause = "ช้างเป็นสัตว์ประจำชาติของประเทศไทยและอาศัยอยู่ในป่า"
    parts = sentences(" ".join([clause] * 20))
    assert len(parts) > 4
    assert " ".join(parts) == " ".join([clause] * 20)
    assert all(len(part) < 350 for part in parts)


@given(st.text("aA1.。 ;»ก\n[", max_size=60))
def test_no_character_is_lost(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@pytest.mark.parametrize("piece", ["1. ", "ก ", "。", " »", "al. ["])
def test_any_paragraph_is_split_in_linear_time(piece: str) -> None:
    assert_linear(lambda size: sentences(piece * size), 8_000)
