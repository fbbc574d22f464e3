"""Simplified and traditional Chinese are found by each other, and are the same for the check of citations."""

from pathlib import Path

from agentkit.evidence.check import checked
from agentkit.evidence.folding import Folding
from agentkit.evidence.source import Source
from agentkit.retrieval.chinese import TRADITIONAL, simplified
from agentkit.retrieval.words import letters
from agentkit_tools import documents

TRADITIONAL_TEXT = "乾隆年間，臺灣府城設有書院三所，學生共計一百二十人。後來因戰亂而關閉，圖書館亦毀於火災。"
SIMPLIFIED_TEXT = "乾隆年间，台湾府城设有书院三所，学生共计一百二十人。后来因战乱而关闭，图书馆亦毁于火灾。"


def test_documents_are_found_by_a_question_in_the_other_form(tmp_path: Path) -> None:
    # Ontos-AI/knowhere#234, mindoc-org/mindoc#119, siyuan-note/siyuan#13304
    (tmp_path / "hant.txt").write_text(TRADITIONAL_TEXT, encoding="utf-8")
    (tmp_path / "hans.txt").write_text("苏州园林建于明代，园中有池塘与假山。", encoding="utf-8")
    search, read = documents(tmp_path, keep_index=False)
    assert "source: hant.txt" in search(["书院有多少学生"])
    assert "source: hans.txt" in search(["蘇州園林"])
    assert TRADITIONAL_TEXT in read(["hant.txt"], "书院")  # what is shown stays as it is written


def test_an_answer_is_supported_by_a_source_in_the_other_form() -> None:
    # xr843/fojin#439
    answer = "台湾府城设有书院三所，学生共计一百二十人[1]。碑文说「图书馆亦毁于火灾」[1]。"
    found = checked(answer, {1: Source(1, "a", texts=(TRADITIONAL_TEXT,))})
    assert [each.verdict for each in found] == ["supported", "supported"]
    wrong = checked("苏州园林建于明代，园中有池塘与假山[1]。", {1: Source(1, "a", texts=(TRADITIONAL_TEXT,))})
    assert [each.verdict for each in wrong] == ["not found"]


def test_a_text_is_folded_as_a_whole_as_its_words_are() -> None:
    for text in (TRADITIONAL_TEXT, SIMPLIFIED_TEXT, TRADITIONAL, "Taiwan 臺灣, Zürich, 日本の図書館 後"):
        assert Folding.of(text)[1].split() == letters(text).split()
    assert letters(TRADITIONAL_TEXT) == letters(SIMPLIFIED_TEXT)


def test_no_simplified_form_has_another_one() -> None:
    assert not {ord(each) for each in simplified().values()} & simplified().keys()
