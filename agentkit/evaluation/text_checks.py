"""Checks that compare the text of an answer with a right one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentkit._text import in_a_line
from agentkit.batch.item import Record
from agentkit.errors import ConfigurationError
from agentkit.evaluation.regexes import check_regex, matches
from agentkit.evaluation.score import Grade, Grader, right, text_of, texts_of
from agentkit.evaluation.script_rules import RULES, Rule
from agentkit.evaluation.values import Tolerance, compared, expected_quantity, is_in_words
from agentkit.evaluation.words import f1, has_phrase, readings, words

SHOWN = 60
OWN = "words"
"""The rule by which words are compared in all scripts; others are those of `agentkit.evaluation.script_rules`."""
WHICH = ("answer", "line", "any", "first", "last", "only")
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
    """The answer has the same words as a right one, and no others. rule: see F1."""

    rule: str = OWN

    def grade(self, record: Record, answer: Any) -> Grade:
        rights, said = self.rights(answer), text_of(record)
        return right(any(_rule(self.rule).is_equal(said, each) for each in rights), _not(record, rights))


@dataclass(frozen=True)
class F1(_WithTexts):
    """How many words the answer and a right one have in common, of the right one that is nearest. Punctuation is left
    out, as SQuAD's script does, or parts words, whichever has more in common. rule: "words", or whose script's."""

    rule: str = OWN

    def grade(self, record: Record, answer: Any) -> Grade:
        rights, said = self.rights(answer), text_of(record)
        value = max(_rule(self.rule).f1(said, each) for each in rights)
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
            return Grade(share, f"lacks {listed(lacking)}" if lacking else "")
        return right(len(lacking) < len(wanted), f"has none of {listed(wanted)}")


@dataclass(frozen=True)
class Lacks(_WithTexts):
    """The answer has none of the texts."""

    raw: bool = False

    def grade(self, record: Record, answer: Any) -> Grade:
        there = [each for each in self.rights(answer) if _has(record, each, self.raw)]
        return right(not there, f"has {listed(there)}")


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
        return right(found, f"no match of {listed(expressions)} in {quoted(said)}")


@dataclass(frozen=True)
class Number(Grader):
    """The answer has the right number. number: of the check; None: of the item. which: see `WHICH`."""

    number: int | float | str | None = None
    tolerance: Tolerance = Tolerance()  # noqa: RUF009 - it is frozen
    which: str = "answer"

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


def _has(record: Record, text: str, raw: bool) -> bool:
    said = text_of(record)
    if raw or not any(map(str.isalnum, text)):
        return text in said
    return any(map(has_phrase, readings(text, said), readings(said, text)))


def _is_equal(said: str, text: str) -> bool:
    return any(one == other for one, other in zip(readings(said, text), readings(text, said), strict=True))


def _f1(said: str, text: str) -> float:
    found, wanted = words(said), words(text)
    if not found or not wanted:
        return float(_is_equal(said, text))
    parted = f1(readings(said)[1], readings(text)[1])
    return max(f1(found, wanted), parted)


def _rule(name: str) -> Rule:
    return RULES.get(name, _OWN_RULE)


_OWN_RULE = Rule(_f1, _is_equal)


def _not(record: Record, rights: Sequence[str]) -> str:
    return f"{quoted(text_of(record))}, not {listed(rights)}"


def listed(texts: Sequence[str]) -> str:
    """The first of several texts, for a message."""
    return " or ".join([*map(quoted, texts[:3]), *(["..."] if len(texts) > 3 else [])])


def quoted(text: str) -> str:
    """The beginning of a text, for a message."""
    return f'"{in_a_line(text, SHOWN)}"'
