"""What a question refers to in a conversation, and whether it is Chinese."""

import re

from agentkit.retrieval.stop_words import NO_SUBJECT, STOP_WORDS
from agentkit.retrieval.words import content_words, is_unspaced

_REFERS = re.compile(
    r"\b(?:its?|they|their|theirs|them|he|his|him|she|hers?|sie|seine?[nmrs]?|ihre?[nmrs]?|dessen|deren|ils?|elles?|ses"
    r"|leurs?|sus?|suyos?|ellas?|ellos|seus?|suas?|dele|dela|suo|loro|он|она|оно|они|его|её|ее|их|ему|ей|им|там|वह|यह|इसक[ाीे]"
    r"|उसक[ाीे]|उनक[ाीे])\b|^\W*(?:and|but|also|(?:what|how) about|und|et|y|e|а|и|और|و)\b"
    r"|[它她]|他(?!们?的?国)|(?<![尤土])其(?![中实實他它余餘])|[该該]|^那|[这這]|呢\W*$|それ|その|彼",
    re.IGNORECASE,
)
"""Pronouns, and beginnings of questions that go on from another one."""

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7ff]")
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


def refers_back(question: str) -> bool:
    """Whether a question needs an earlier one to be understood: it has a pronoun, or hardly a word of its own."""
    words = content_words(question)
    few = 2 if any(map(is_unspaced, words)) else 1
    return len(words) <= few or bool(_REFERS.search(question))


def subject_of(question: str) -> str:
    """The words of a question that say what it is about, as they are written."""
    words = _WORD.findall(NO_SUBJECT.sub(" ", question))
    return " ".join(word for word in dict.fromkeys(words) if word.casefold() not in STOP_WORDS)


def is_chinese(text: str) -> bool:
    """Whether a text is written in Chinese: with Chinese characters, and neither Kana nor Hangul."""
    return bool(_HAN.search(text)) and not _KANA_OR_HANGUL.search(text)
