"""Checks that compare the text of an answer with a right one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit._text import in_a_line
from agentkit.batch.item import Record
from agentkit.errors import ConfigurationError
from agentkit.evaluation.regexes import check_regex, matches
from agentkit.evaluation.score import Grade, Grader, right, text_of, texts_of
from agentkit.evaluation.values import Tolerance, compared, expected_quantity, is_in_words
from agentkit.evaluation.words import f1, has_phrase, normal, words

SHOWN = 60
WHICH = ("line", "any", "first", "last", "only")
"""Which numbers of an answer are compared (see `agentkit.evaluation.values.compared`)."""


@dataclass(frozen=True)
class _WithTexts(Grader):
    """What compares with texts: those of the check, or else the item's right answers, of which one is enough."""

    texts: tuple[str, ...] = ()

    @property
    def reads_answer(self) -> bool:  # type: ignore[override]
        return not self.texts

    def accept(self, answer: Any) -> None:
        self.rights(answer)

    def rights(self, answer: Any) -> list[str]:
        """What the answer is compared with."""
        return list(self.texts) or texts_of(answer)


@dataclass(frozen=True)
class Exact(_WithTexts):
    """The answer has the same words as a right one, and no others."""

    def grade(self, record: Record, answer: Any) -> Grade:
        rights = self.rights(answer)
        said = normal(text_of(record))
        return right(any(said == normal(each) for each in rights), _not(record, rights))


@dataclass(frozen=True)
class F1(_WithTexts):
    """How many words the answer and a right one have in common, of the right one that is nearest."""

    def grade(self, record: Record, answer: Any) -> Grade:
        rights = self.rights(answer)
        said = words(text_of(record))
        value = max(f1(said, words(each)) for each in rights)
        return Grade(value, "" if value == 1 else _not(record, rights))


@dataclass(frozen=True)
class Contains(_WithTexts):
    """The answer has all texts of the check, or one of the item's right answers. raw: as they are written, instead of
    their words."""

    raw: bool = False

    def grade(self, record: Record, answer: Any) -> Grade:
        wanted = self.rights(answer)
        lacking = [each for each in wanted if not _has(record, each, self.raw)]
        if self.texts:
            share = 1 - len(lacking) / len(wanted)
            return Grade(share, f"lacks {_listed(lacking)}" if lacking else "")
        return right(len(lacking) < len(wanted), f"has none of {_listed(wanted)}")


@dataclass(frozen=True)
class Lacks(_WithTexts):
    """The answer has none of the texts."""

    raw: bool = False

    def grade(self, record: Record, answer: Any) -> Grade:
        there = [each for each in self.rights(answer) if _has(record, each, self.raw)]
        return right(not there, f"has {_listed(there)}")


@dataclass(frozen=True)
class Regex(_WithTexts):
    """The answer has what a regular expression describes. flags: of `re`. whole: is it, from begin to end."""

    flags: int = 0
    whole: bool = False

    def accept(self, answer: Any) -> None:
        for each in self.rights(answer):
            check_regex(each, self.flags)

    def grade(self, record: Record, answer: Any) -> Grade:
        said, expressions = text_of(record), self.rights(answer)
        found = any(matches(each, self.flags, said, self.whole) for each in expressions)
        return right(found, f"no match of {_listed(expressions)} in {_quoted(said)}")


@dataclass(frozen=True)
class Number(Grader):
    """The answer has the right number. number: of the check; None: of the item. which: see `WHICH`."""

    number: int | float | str | None = None
    tolerance: Tolerance = Tolerance()  # noqa: RUF009 - it is frozen
    which: str = "line"

    @property
    def reads_answer(self) -> bool:  # type: ignore[override]
        return self.number is None

    def accept(self, answer: Any) -> None:
        for each in self._rights(answer):
            expected_quantity(each)

    def grade(self, record: Record, answer: Any) -> Grade:
        said, rights = text_of(record), self._rights(answer)
        for each in rights:
            expected = expected_quantity(each)
            found = compared(said, self.which, expected.unit)
            if any(quantity.agrees(expected, self.tolerance) for quantity in found):
                return Grade(1.0)
            if not found and is_in_words(said, expected):
                return Grade(1.0)
        return Grade(0.0, _not(record, [str(each) for each in rights]))

    def _rights(self, answer: Any) -> Sequence[Any]:
        if self.number is not None:
            return [self.number]
        if answer is None or answer == []:
            raise ConfigurationError("the item has no answer that is a number")
        return answer if isinstance(answer, list | tuple) else [answer]


_SAYS = re.compile(
    r"\b(?:answer|option|choice|antwort|réponse|respuesta|ответ)\b|答案|选|選|الجواب|الإجابة", re.IGNORECASE
)
_LETTER = re.compile(r"(?<![^\W_])([A-Z])(?![^\W_])")
_MARKUP = re.compile(r"[*_`#]|\\boxed|\\text")
_WORD_BEHIND = re.compile(r"(?:['’][a-z]|[^\S\n]{1,3}[^\W\d_A-Z]|\.[A-Z])")


@dataclass(frozen=True)
class Choice(Grader):
    """The answer names the right one of several choices, and no other. choices: by the label of each its text, "" where
    it has none but its label; the item's answer is a label or a text. picked: the right one, if the check has it."""

    choices: Mapping[str, str]
    picked: str = ""

    @property
    def reads_answer(self) -> bool:  # type: ignore[override]
        return not self.picked

    def accept(self, answer: Any) -> None:
        self._label(self.picked or answer)

    def grade(self, record: Record, answer: Any) -> Grade:
        expected, said = self._label(self.picked or answer), text_of(record)
        named = self._named(said)
        if named == {expected}:
            return Grade(1.0)
        return Grade(0.0, f"names {_listed(sorted(named)) if named else 'no choice'}, not {expected}: {_quoted(said)}")

    def _label(self, answer: Any) -> str:
        said = normal(str(answer))
        for label, text in self.choices.items():
            if said and said in (normal(label) or label.casefold(), normal(text)):
                return label
        raise ConfigurationError(f"{_quoted(str(answer))} is none of the choices {_listed(list(self.choices))}")

    def _named(self, said: str) -> set[str]:
        """The choices that an answer names: at its end, if it names several in all."""
        said = _MARKUP.sub("", said)
        named = self._in(said)
        if len(named) < 2:
            return named
        parts = [line for line in said.splitlines() if line.strip()][-1:]
        announced = list(_SAYS.finditer(said))
        if announced:
            parts.insert(0, said[announced[-1].end() :])
        return next((found for part in parts if len(found := self._in(part)) == 1), named)

    def _in(self, said: str) -> set[str]:
        letters = {found[1] for found in _LETTER.finditer(said) if not _is_word(said, found)}
        rest, named = f" {normal(said)} ", set[str]()
        by_length = sorted(self.choices.items(), key=lambda each: -len(each[1] or each[0]))
        for label, text in by_length:
            phrase = normal(text) if text else "" if _is_letter(label) else normal(label)
            if phrase and f" {phrase} " in rest:
                named.add(label)
                rest = rest.replace(f" {phrase} ", "  ")  # "entailment" is not named by "not entailment"
            if _is_letter(label) and label.upper() in letters:
                named.add(label)
        return named or {label for label in self.choices if said.strip().casefold().strip("().:") == label.casefold()}


def _is_letter(label: str) -> bool:
    return len(label) == 1 and label.isascii() and label.isalpha()


def _is_word(said: str, found: re.Match[str]) -> bool:
    """Whether a capital letter is a word of a sentence, as in "A dog" and "I think", or one of "U.S."."""
    return bool(_WORD_BEHIND.match(said, found.end())) and (found[1] in "AI" or said[found.end()] != " ")


def _has(record: Record, text: str, raw: bool) -> bool:
    said, phrase = text_of(record), words(text)
    return text in said if raw or not phrase else has_phrase(phrase, words(said))


def _not(record: Record, rights: Sequence[str]) -> str:
    return f"{_quoted(text_of(record))}, not {_listed(rights)}"


def _listed(texts: Sequence[str]) -> str:
    return " or ".join([*map(_quoted, texts[:3]), *(["..."] if len(texts) > 3 else [])])


def _quoted(text: str) -> str:
    return f'"{in_a_line(text, SHOWN)}"'
