"""Ways in which an answer names a choice by its letter: behind the word "answer" of many languages, before it, in a
list that judges each choice, or behind weaker words."""

import re
import unicodedata
from collections.abc import Collection

from agentkit.evaluation.answer_words import OTHERS

_OTHER_ANSWER = re.compile(OTHERS, re.IGNORECASE)
AND_ANOTHER = (
    r"(?!\s?[(\[]?(?:,|/|&|\+|、|(?:and|or|und|oder|et|ou|o|y|atau|dan|и|или|و|أو|veya|ve|hoặc|và|หรือ|และ|या|और)\s"
    r"|和|或|と|か|또는|와|과|이나|및)\s?"
    r"(?:(?:and|or|maybe|possibly|perhaps|even|option|choice) ){0,3}[(\[]?[A-Z](?![A-Za-z0-9À-ɏ]|\s(?:is|was)\b))"
)
"""What stands behind a letter that is no one choice: another letter beside it."""
ENDS = r"(?![A-Za-z0-9À-ɏ])(?!['’]\w)"
"""What does not stand behind a letter that is a choice: the rest of a word."""
_LETTER = r"[(\[\"'“«„]?\s?([A-Z])" + ENDS
_NEAR = re.compile(r"[^A-Z\d.;,!?。，；！？\n]{0,32}?(?<![A-Za-zÀ-ɏ])" + _LETTER + r"[^\S\n]?+[)\]]?+" + AND_ANOTHER)
"""A letter a few words behind the word "answer", as in "La respuesta correcta es la C"."""
_BEFORE = re.compile(
    r"(?<![^\W_\u3040-\u9fff\uac00-\ud7a3])(?<!\b[Ii]f\s)(?<!\bor\s)(?<!\band\s)[(\[\"'“]?([A-Z])[)\]\"'”]?"
    r"(?:\s(?:is|must be)\s(?:(?:the|therefore|thus|indeed|clearly|probably)\s){0,2}"
    r"(?:\w{1,12}\s){0,2}|번?\s?(?:가|이|은|는)\s?(?:옳은\s|올바른\s)?|\s?(?:が|は)\s?(?:正しい)?|(?:项|項)?\s?(?:是|为|為)\s?(?:正确|正確)?)$"
)
"""A letter that is the answer, before that word: "C is the right answer", "C가 정답"."""
_IF = re.compile(r"[^.;\n]{0,20}\b(?:if|when|were)\b")
_RIGHT = r"correct|right|true|yes|valid|正确|正確|对|對|是|✅|✓|✔|☑"
_WRONG = r"incorrect|wrong|false|no|invalid|错误|錯誤|不正确|不正確|错|錯|❌|✗|✘|✖|☒"
_JUDGED = re.compile(
    r"(?<![^\W_])[(\[]?([A-Z])[)\]]?(?:选项|選項|项|項)?(?:\s?[:：.)、=—–-]\s{0,2}|\s|(?<=[项項]))(?:(?i:"
    + _RIGHT
    + r")|((?i:"
    + _WRONG
    + r")))(?![^\W_\u3400-\u9fff])"
)
"""A letter and a verdict right behind it."""
_LINE = re.compile(
    r"^\W{0,5}([A-Z])\s?[:：.)\]—–-][^\n]{1,300}?\s(?:—|–|-|→|=>|:|is)?\s?"
    r"(?:(?i:" + _RIGHT + r")|((?i:" + _WRONG + r")))\W{0,3}$",
    re.MULTILINE,
)
"""A line that begins with a letter and ends with a verdict."""
_HINT = re.compile(
    r"(?:\b(?:(?i:correct|right|best)\s(?:\w{1,12}\s){0,2}(?:is|would be|must be)|(?i:correct|right)(?=:)"
    r"|(?i:verdict|conclusion|solution|response|decision|letter|pick)(?:\sis|(?=:))"
    r"|(?i:therefore|thus|hence|so|it is|it's|it must be|that leaves|which leaves|by elimination))"
    r"|因此|所以|故)[,:：，]?\s{0,3}(?:(?i:option|choice|选项)\s?)?"
    + _LETTER
    + r"[^\S\n]?+[)\]]?+"
    + AND_ANOTHER
    + r"(?=\s?(?:$|[.,;:。，；\n]|(?:because|since|as|for|is)\b|[-–—]))"
)
"""Words that a choice may follow, and a letter right behind them that is followed by nothing else."""
LOOKED_BEFORE = 48


def near_behind(said: str, word: "re.Match[str]", choices: Collection[str]) -> str:
    """The choice a few words behind the word "answer" in another language than English; "" for none."""
    if not _OTHER_ANSWER.match(said, word.start()):
        return ""
    found = _NEAR.match(said, word.end())
    return found[1] if found and found[1] in choices else ""


def before(said: str, word: "re.Match[str]", choices: Collection[str]) -> str:
    """The choice of which it is said that it is the answer, where this is that word; "" for none."""
    place = word.start()
    found = _BEFORE.search(said[max(0, place - LOOKED_BEFORE) : place])
    if found is None or found[1] not in choices or word[0][-1] in ":：=" or _IF.match(said, word.end()):
        return ""
    return found[1]


def judged(said: str, choices: Collection[str]) -> list[str]:
    """The choices that are right where an answer judges several, each by its letter, and some of them as wrong."""
    verdicts: dict[str, set[bool]] = {}
    for pattern in (_LINE, _JUDGED):
        for found in pattern.finditer(said):
            verdicts.setdefault(found[1], set()).add(found[2] is None)
    right = [letter for letter, each in verdicts.items() if each == {True}]
    are_choices = all(letter in choices for letter in verdicts)
    return right if are_choices and {False} in verdicts.values() else []


def hinted(said: str, choices: Collection[str]) -> str:
    """The choice that stands behind the last word that may lead to it, such as "So"; "" for none."""
    letters = [found[1] for found in _HINT.finditer(said) if found[1] in choices]
    return letters[-1] if letters else ""


_CAPITAL = re.compile(r"(?<![^\W_])[A-Z](?![^\W_])")
_OF_NUMBER = re.compile(r"\d[.,]\d")
_ARABIC = re.compile(
    r"(?:(?:الإجابة|الجواب|إجابة|جواب)[^\n.،؛]{0,24}?[\s:(\[]|[(\[]|^\W{0,3})[أبجد](?![^\W_\u064b-\u0652])"
)
"""A letter with which Arabic counts choices, where it is hardly a word or an abbreviation."""
_LATIN_OF = {"أ": "A", "ب": "B", "ج": "C", "د": "D"}


def with_latin_letters(said: str) -> str:
    """An answer in Arabic about choices that are counted A to D, with these letters."""
    return _ARABIC.sub(lambda found: found[0][:-1] + _LATIN_OF[found[0][-1]], said)


def capitals_of(labels: Collection[str]) -> dict[str, str]:
    """The capital letters for labels that are each one other sign, such as А, Б, В or 1, 2, 3; empty for others."""
    are_signs = all(
        len(label) == 1 and label.isalnum() and not (label.isascii() and label.isalpha()) for label in labels
    )
    return dict(zip(labels, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", strict=False)) if are_signs and len(labels) < 27 else {}


def with_capitals(said: str, capitals: dict[str, str]) -> str:
    """An answer with capital letters for labels that stand alone, and without those that stand there."""
    made = list(_CAPITAL.sub(lambda found: found[0].lower(), said))
    for place, sign in enumerate(said):
        if sign in capitals and _is_alone(said, place):
            made[place] = capitals[sign]
    return "".join(made)


def _is_alone(said: str, place: int) -> bool:
    """Whether a sign is no part of a word or of a number."""
    sign, beside = said[place], (said[place - 1 : place], said[place + 1 : place + 2])
    if "\u3400" <= sign <= "\u9fff":
        return True
    if "\u30a0" <= sign <= "\u30ff":
        return not any("\u30a0" <= each <= "\u30ff" for each in beside if each)
    if sign.isdecimal():
        return not (
            any(each.isalnum() and each.isascii() for each in beside)
            or _OF_NUMBER.search(said, max(0, place - 2), place + 3)
        )
    return not any(each.isalnum() or (each and unicodedata.category(each)[0] == "M") for each in beside)
