"""The check of an answer that names one of several choices."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agentkit.batch.item import Record
from agentkit.errors import ConfigurationError
from agentkit.evaluation.score import Grade, Grader, text_of
from agentkit.evaluation.text_checks import listed, quoted
from agentkit.evaluation.words import normal

_SAYS = re.compile(
    r"(?:\b(?:answer|option|choice|antwort|réponse|respuesta|ответ)\b|答案|选择?|選擇?|الجواب|الإجابة)"
    r"(?:\s{0,3}(?:is|are|was|ist|est|es|是|为|為|هو|هي|[:：=]))?",
    re.IGNORECASE,
)
_SMALL = re.compile(r"\s{0,3}[(\[\"'“]?\s?([a-z])\s?(?:[)\].,:\"'”\s]{0,3}$|[)\].]\s)", re.MULTILINE)
"""A letter in lower case behind "answer:", and nothing else."""
_LETTER = re.compile(r"(?<![^\W_])([A-Z])(?![^\W_\u3400-\u9fff])(?!['’]\w)")
_MARKUP = re.compile(r"[*_`#$]|\\boxed|\\text")
_WORD_BEHIND = re.compile(r"[^\S\n]{1,3}(?!(?:is|or|and|because|since|ist|oder|und)\b)[^\W\d_A-Z]")
"""A word behind an article or a pronoun, which these are not."""
_ENDS = re.compile(r"(?<=\S)[.;!?](?=\s|$)|[。；！？\n]")


@dataclass(frozen=True)
class Choice(Grader):
    """The answer names the right one of several choices, and no other: behind its last "answer", if it has one.

    choices: by the label of each its text, "" where it has none but its label; the item's answer is a label or a text.
    picked: the right one, if the check has it.
    """

    choices: Mapping[str, str]
    picked: str = ""

    @property
    def reads_answer(self) -> bool:  # type: ignore[override]
        return not self.picked

    def accept(self, answer: Any) -> None:
        self._label(self.picked or answer)

    def grade(self, record: Record, answer: Any) -> Grade:
        expected, said = self._label(self.picked or answer), text_of(record)
        named = self._named(_MARKUP.sub("", said))
        if named == [expected]:
            return Grade(1.0)
        return Grade(0.0, f"names {listed(named) if named else 'no choice'}, not {expected}: {quoted(said)}")

    def _label(self, answer: Any) -> str:
        given = str(answer).strip()
        if given in self.choices:
            return given
        said = normal(given) or given.casefold()
        for label, text in self.choices.items():
            if said in (normal(label) or label.casefold(), normal(text)):
                return label
        raise ConfigurationError(f"{quoted(given)} is none of the choices {listed(list(self.choices))}")

    def _named(self, said: str) -> list[str]:
        """The choices that an answer names: where it says that something is the answer, else in all, else at its
        end."""
        for announced in reversed(list(_SAYS.finditer(said))[-20:]):
            small = _SMALL.match(said, announced.end())
            if small and small[1].upper() in self.choices:
                return [small[1].upper()]
            found = next(filter(None, map(self._in, _pieces(said, announced.end()))), [])
            if found:
                return found
        named = self._in(said)
        if len(named) > 1:
            last = self._in(said.strip().rpartition("\n")[2])
            return last if len(last) == 1 else named
        return named or [label for label in self.choices if said.strip(" \n().:").casefold() == label.casefold()]

    def _in(self, said: str) -> list[str]:
        """The choices that a text names, by their letters or by their texts."""
        letters = {found[1] for found in _LETTER.finditer(said) if not _is_word(said, found)}
        rest, named = f" {normal(said)} ", []
        for label, text in sorted(self.choices.items(), key=lambda each: -len(each[1] or each[0])):
            phrase = f" {normal(text or ('' if _is_letter(label) else label))} "
            if phrase.strip() and phrase in rest:
                named.append(label)
                rest = rest.replace(phrase, "  ")  # "entailment" is not named by "not entailment"
            elif _is_letter(label) and label.upper() in letters:
                named.append(label)
        return sorted(named)


def _pieces(said: str, start: int) -> Iterator[str]:
    """Yield the sentences of a text from a place on, a few."""
    for _ in range(5):
        end = _ENDS.search(said, start)
        yield said[start : end.start() if end else len(said)]
        if end is None:
            return
        start = end.end()


def _is_letter(label: str) -> bool:
    return len(label) == 1 and label.isascii() and label.isalpha()


def _is_word(said: str, found: re.Match[str]) -> bool:
    """Whether a capital letter is a word of a sentence, as in "A dog" and "I think"."""
    return found[1] in "AI" and bool(_WORD_BEHIND.match(said, found.end()))
