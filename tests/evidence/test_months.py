"""Months of an answer are compared with those of its source by whole words, in many languages."""

import pytest

from agentkit.evidence.check import checked
from agentkit.evidence.month_names import month_of
from agentkit.evidence.numbers import months
from agentkit.evidence.source import Source


def verdict(source: str, answer: str) -> str:
    (found,) = checked(answer, {1: Source(1, "https://example.org", texts=(source,))})
    return found.verdict


WRONG = {
    "English": (
        "The harbour lighthouse was lit on 4 March 1871. Visitors may climb its tower in summer.",
        "The harbour lighthouse was lit on 4 May 1871 [1].",
    ),
    "German": (
        "Die Brücke in Frankfurt am Main wurde am 4. März 1871 eröffnet.",
        "Die Brücke in Frankfurt wurde am 4. Mai 1871 eröffnet [1].",
    ),
    "French": (
        "Le phare de Marseille fut allumé le 4 mai 1871.",
        "Le phare de Marseille fut allumé le 4 mars 1871 [1].",
    ),
    "Spanish": ("El faro del mar se encendió el 4 de mayo de 1871.", "El faro se encendió el 4 de marzo de 1871 [1]."),
    "Russian": ("Маяк был зажжён 4 марта 1871 года.", "Маяк был зажжён 4 мая 1871 года [1]."),
    "Ukrainian": ("Маяк було запалено 4 березня 1871 року.", "Маяк було запалено 4 травня 1871 року [1]."),
    "Hebrew": ("המגדלור הודלק ב-4 במרץ 1871.", "המגדלור הודלק ב-4 במאי 1871 [1]."),
    "Arabic": ("أضيئت المنارة في 4 مارس 1871.", "أضيئت المنارة في 4 مايو 1871 [1]."),
    "Polish": (
        "Latarnia morska została zapalona 4 marca 1871 roku.",
        "Latarnia morska została zapalona 4 października 1871 roku [1].",
    ),
    "Turkish": ("Deniz feneri 4 Mart 1871 tarihinde yakıldı.", "Deniz feneri 4 Haziran 1871 tarihinde yakıldı [1]."),
    "Greek": ("Ο φάρος άναψε στις 4 Μαρτίου 1871.", "Ο φάρος άναψε στις 4 Ιουνίου 1871 [1]."),
    "Chinese": ("港口灯塔于1871年3月4日点亮。", "港口灯塔于1871年4月3日点亮[1]。"),
    "Chinese, the day": ("港口灯塔于1871年3月4日点亮。", "港口灯塔于1871年3月3日点亮[1]。"),
    "Korean": ("등대는 1871년 3월 4일에 켜졌다.", "등대는 1871년 4월 3일에 켜졌다 [1]."),
}


@pytest.mark.parametrize(("source", "answer"), WRONG.values(), ids=WRONG)
def test_another_month_is_not_supported(source: str, answer: str) -> None:
    assert verdict(source, answer) == "not found"


RIGHT = {
    "the same": ("The lighthouse was lit on 4 May 1871.", "The lighthouse was lit on May 4, 1871 [1]."),
    "shortened": ("The lighthouse was lit on 4 September 1871.", "The lighthouse was lit on 4 Sept. 1871 [1]."),
    "shortened there": ("The lighthouse was lit on 4 Sept 1871.", "The lighthouse was lit on 4 September 1871 [1]."),
    "away from a number": (
        "In March of the year after, 1871, the lighthouse was lit.",
        "The lighthouse was lit in March 1871 [1].",
    ),
    "May away from a number": (
        "The lighthouse was lit in May. That was the year 1871.",
        "The lighthouse was lit in May 1871 [1].",
    ),
    "in numbers": ("The lighthouse was lit on 1871-05-04.", "The lighthouse was lit on 4 May 1871 [1]."),
    "a range": ("港口灯塔于1871年3-4月点亮，3日后开放。", "港口灯塔于1871年3月点亮[1]。"),
    "none": ("She wrote three novels, 3 out of 5 of them at sea.", "She wrote 3 novels, 3 out of 5 at sea [1]."),
}


@pytest.mark.parametrize(("source", "answer"), RIGHT.values(), ids=RIGHT)
def test_the_same_month_is_supported(source: str, answer: str) -> None:
    assert verdict(source, answer) == "supported"


def test_a_month_in_another_case_is_the_same() -> None:
    found = verdict("Маяк был зажжён в мае того же года, 1871.", "Маяк был зажжён в мая 1871 года [1].")
    assert found == "supported"


@pytest.mark.parametrize("word", ["set", "out", "ago", "maybe", "mayor", "marseille", "novels", "decent", "маяк", "ב"])
def test_other_words_are_no_months(word: str) -> None:
    assert month_of(word) == 0
    assert months(f"4 {word} 1871") == {}
