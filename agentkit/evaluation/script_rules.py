"""How the scripts of public data sets compare an answer with a right one, for figures that are compared with published
ones. Their flaws are theirs: SQuAD's knows the punctuation of ASCII only, and gives nothing to a Chinese answer that is
not equal; CMRC's splits Chinese alone into characters.

SQuAD 1.1 (Rajpurkar and others 2016): lower case, without ASCII's punctuation and the articles, bags of words. CMRC
2018 (Cui and others 2019): a Chinese character is a word, some punctuation is left out, and what counts is the longest
run of words that both have.
"""

import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentkit.evaluation.words import f1

_ARTICLE = re.compile(r"\b(a|an|the)\b")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
_LEFT_OUT = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
"""What CMRC's script leaves out. Its list has an ellipsis of two characters too, which it never finds."""
_CMRC_WORD = re.compile(r"[\u4e00-\u9fa5]|(?:(?![\u4e00-\u9fa5])\w)+(?:[.,'](?:(?![\u4e00-\u9fa5])\w)+)*|[^\w\s]")
"""A Chinese character, or a word or a sign of other scripts, nearly as NLTK splits them."""
_BASE, _MODULUS = 1_000_003, (1 << 61) - 1


@dataclass(frozen=True)
class Rule:
    """How an answer is compared with a right one. f1: their common words, 0 to 1. is_equal: whether they are one."""

    f1: Callable[[str, str], float]
    is_equal: Callable[[str, str], bool]


def _squad_text(text: str) -> str:
    return " ".join(_ARTICLE.sub(" ", text.lower().translate(_ASCII_PUNCTUATION)).split())


def _squad_f1(said: str, right: str) -> float:
    one, other = _squad_text(said).split(), _squad_text(right).split()
    return f1(one, other) if one and other else 0.0


def _cmrc_text(text: str) -> str:
    return text.lower().strip().translate(_LEFT_OUT)


def _cmrc_f1(said: str, right: str) -> float:
    one, other = _CMRC_WORD.findall(_cmrc_text(said)), _CMRC_WORD.findall(_cmrc_text(right))
    return 2 * longest_run(one, other) / (len(one) + len(other)) if one and other else 0.0


def longest_run(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words the longest run has that stands in both, in nearly linear time: where there is one of a length,
    there are shorter ones."""
    numbers: dict[str, int] = {}
    first, second = ([numbers.setdefault(word, len(numbers) + 1) for word in words] for words in (one, other))
    least, most = 0, min(len(first), len(second))
    while least < most:
        size = (least + most + 1) // 2
        least, most = (least, size - 1) if _runs(first, size).isdisjoint(_runs(second, size)) else (size, most)
    return least


def _runs(numbers: Sequence[int], size: int) -> set[int]:
    """All runs of a length, each as a number."""
    highest, value, found = pow(_BASE, size, _MODULUS), 0, set()
    for place, number in enumerate(numbers):
        gone = numbers[place - size] * highest if place >= size else 0
        value = (value * _BASE + number - gone) % _MODULUS
        if place >= size - 1:
            found.add(value)
    return found


RULES = {
    "squad": Rule(_squad_f1, lambda said, right: _squad_text(said) == _squad_text(right)),
    "cmrc": Rule(_cmrc_f1, lambda said, right: _cmrc_text(said) == _cmrc_text(right)),
}
