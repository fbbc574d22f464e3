"""The check of an answer that names one of several choices."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agentkit.batch.item import Record
from agentkit.errors import ConfigurationError
from agentkit.evaluation.answer_words import OTHERS
from agentkit.evaluation.choice_forms import (
    AND_ANOTHER,
    ENDS,
    before,
    capitals_of,
    hinted,
    judged,
    near_behind,
    with_capitals,
    with_latin_letters,
)
from agentkit.evaluation.score import Grade, Grader, text_of
from agentkit.evaluation.text_checks import listed, quoted
from agentkit.evaluation.words import normal

NO_CHOICE = "names no choice"
"""How it begins why an answer is wrong in which no choice is found."""
_BEHIND = (
    r"(?:[\"'”]?\s{0,3}(?:should be|is|are|was|were|ist|est|es|应该是|应为|是|为|為|选|選"
    r"|هو|هي|은|는|이|は|が|[:：=]))?"
)
_SAYS = (
    re.compile(rf"(?:\banswer\b|{OTHERS})(?:是|为|為)?{_BEHIND}", re.IGNORECASE),
    re.compile(rf"(?:\b(?:option|choice|choose|pick|select|go with)\b|选项|選項|选择?|選擇?){_BEHIND}", re.IGNORECASE),
)
"""What says that a choice follows: first of all that it is the answer."""
_DIRECT = re.compile(
    r"\s{0,3}(?:(?i:option|choice|letter)\s)?[(\[\"'“]?\s?([A-Z])" + ENDS + r"\s?+[)\]]?+" + AND_ANOTHER
)
"""A letter right behind that, and no other beside it."""
_FIRST = re.compile(
    r"\W{0,5}([A-Z])\s?[)\]]?\s?(?:$|[.:\n—–]|번|입니다|です|,(?=\s(?:because|since|as|which|for)\b)|-\s)"
)
"""A letter with which an answer begins, and which is no word and none of several."""
_NOT = re.compile(
    r"(?:\b(?i:not|isn't|isn’t|never|neither|nor|rather than|instead of|unlike|nicht|no es(?: la)?|non è(?: la)?"
    r"|n['’]est pas(?: la)?|não é(?: a)?|bukan|không phải(?: là)?|niet|nie jest|inte|ikke|non|не)"
    r"|不是|并非|不选|而非|排除|ليست?|ไม่ใช่)"
    r"\s{0,2}(?:(?:option|choice|选项)\s{0,2})?[(\[]?([A-Z])(?![^\W_\u3400-\u9fff])[)\]]?(?!['’]\w)"
)
_IS_DENIED = re.compile(
    r"(?<![^\W_\u3040-\u9fff\uac00-\ud7a3])[(\[]?[A-Z][)\]]?\s?"
    r"(?:नहीं|নয়|নয়|değil|(?:가|이|은|는)? ?아니|(?:では|じゃ)(?:な|あり))"
)
"""A letter that is not the answer, by a word behind it."""
_LEFT_OUT = re.compile(
    r"\b(?i:rul(?:es?|ed|ing) out|(?:exclud|eliminat)(?:es?|ed|ing)|(?:reject|discard)(?:s|ed|ing)?)\s(?:options?\s)?"
    r"(?:(?:[(\[]?[A-Z][)\]]?,?\s){1,6}(?:and|or)\s)?[(\[]?[A-Z](?![^\W_])[)\]]?"
)
_ARE = (
    r"(?<![^\W_\u3400-\u9fff])[(\[]?[A-Z][)\]]?(?:(?:,| and| or)\s[(\[]?[A-Z][)\]]?){0,5}\s?"
    r"(?:(?:is|are|was|were|can|ist|sind)\s(?:\w+ )?"
)
_IS_WRONG = re.compile(
    _ARE + r"(?:wrong|incorrect|false|not\b|falsch|out)|[.:]\s?(?i:wrong|incorrect|false)\b"
    r"|(?:是错|错误|不正确|不对|是錯|錯誤|不正確))",
)
"""A letter of which it is said that it is not the answer."""
_IS_RIGHT = re.compile(
    r"(?<![A-Za-z0-9À-ɏ_])(?<!\b[Ii]f\s)([A-Z])(?:(?:\s(?:is|must be)\s(?:(?:the|therefore|thus|indeed)\s)?|:\s?)"
    r"(?i:correct|right|true|(?:best|only)\b)|\s(?:es|est|è|é|ist)\s(?:la |a |die )?"
    r"(?:correcta|correcte|corretta|correta|bonne|richtig)\b|(?:选项|選項|项|項)?\s?是?(?:正确|正確))"
)
"""A letter of which it is said that it is the answer."""
_IS_LEFT_OUT = re.compile(_ARE + "(?:eliminated|excluded))")
_SMALL = re.compile(r"\s{0,3}[(\[\"'“]?\s?([a-z])\s?(?:[)\].,:\"'”\s]{0,3}$|[)\].]\s)", re.MULTILINE)
"""A letter in lower case behind "answer:", and nothing else."""
_LETTER = re.compile(
    r"(?:(?<![^\W_\u3040-\u309f])|(?<=[或和与與、과와나은는]))([A-Z])(?![^\W_\u3040-\u9fff\uac00-\ud7a3])(?!['’]\w)"
)
_MARKUP = re.compile(r"[*_`#$]|\\(?:boxed|text(?:bf|rm|it)?|math(?:bf|rm))(?![^\W_])")
_TAG = re.compile(r"<\s?(/?)\s?(?:final_?)?(?:answer|choice|option)\s?>", re.IGNORECASE)
_WORD_BEHIND = re.compile(
    r"[^\S\n]{1,3}(?!(?:is|are|was|or|and|because|since|as|ist|oder|und|weil|denn|da|es|est|porque|ya|pues|pois|car|parce"
    r"|perché|poiché|karena|sebab|adalah|kwa|vì|là|çünkü|ponieważ|bo|omdat|want|eftersom|fordi|protože|deoarece|mert"
    r"|et|ou|o|y|e|i|ve|veya|dan|atau)\b)[a-zà-ɏ]"
)
"""A word behind an article or a pronoun, which these are not."""
_PRONOUN = re.compile(
    r"\s{0,3}[(\[\"'“]?\s?I\s(?:think|believe|guess|suppose|would|will|am|was|do|did|don|can|could|cannot|have|had|choose"
    r"|chose|pick|picked|select|go|say|know|must|may|might|conclude|find|found|see|feel|get|got|need|want)\b"
)
"""The word "I", which is no choice if there is another, behind "answer:"."""
_OF_ALL = re.compile(r"(?<=\d)\s?(?:/|out of|von|sur)\s?\d{1,3}(?!\d)")
"""What stands behind a mark: "4/5"."""
_DENIES = re.compile(r"n['’]t\b|\b(?:not|cannot|never|no)\b", re.IGNORECASE)
_ENDS_FIRST = re.compile(r"[.,;:!。，；：！\n—–]")
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
        named = self._found(said)
        if named == [expected]:
            return Grade(1.0)
        return Grade(0.0, f"{f'names {listed(named)}' if named else NO_CHOICE}, not {expected}: {quoted(said)}")

    def _found(self, said: str) -> list[str]:
        """The choices that an answer names."""
        plain = _TAG.sub(_of_tag, _MARKUP.sub("", unicodedata.normalize("NFKC", said)))
        if all(map(str.isdecimal, self.choices)):
            plain = _OF_ALL.sub("", plain)
        capitals = {} if any(self.choices.values()) and _are_numbers(self.choices) else capitals_of(self.choices)
        if capitals:
            named = Choice({capitals[label]: text for label, text in self.choices.items()})._left(
                with_capitals(plain, capitals)
            )
            if named:
                return [label for label, letter in capitals.items() if letter in named]
        return self._left(with_latin_letters(plain) if all(map(_is_letter, self.choices)) else plain)

    def _left(self, plain: str) -> list[str]:
        """The choices that a text names and does not rule out."""
        cut = _IS_WRONG.sub(" ", _NOT.sub(" ", _IS_DENIED.sub(" ", plain)))
        # "The filter rejects B." rules nothing out where it names no other
        return self._named(_without_others(cut), plain) or self._named(cut, plain)

    def _label(self, answer: Any) -> str:
        given = unicodedata.normalize("NFKC", str(answer)).strip()
        if given in self.choices:
            return given
        said = normal(given) or given.casefold()
        for label, text in self.choices.items():
            if said in (normal(label) or label.casefold(), normal(text)):
                return label
        raise ConfigurationError(f"{quoted(given)} is none of the choices {listed(list(self.choices))}")

    def _named(self, said: str, plain: str) -> list[str]:
        """The choices that an answer names: where it says that something is the answer, else the one that it judges as
        right, else at its beginning, else the one that it calls right, else in all, else at its end, else behind words
        that may lead to one. plain: with what it rules out."""
        for says in _SAYS:
            for announced in reversed(list(says.finditer(said))[-20:]):
                letter = before(said, announced, self.choices) or near_behind(said, announced, self.choices)
                found = [letter] if letter else self._behind(said, announced.end())
                if found:
                    return found
            first = judged(plain, self.choices) or self._first(said)
            if first:
                return first
        right = {found[1] for found in _IS_RIGHT.finditer(said)}.intersection(self.choices)
        if len(right) == 1:
            return list(right)
        named = self._in(said)
        if len(named) > 1:
            return self._last(said) or named
        return named or [label for label in self.choices if said.strip(" \n().:").casefold() == label.casefold()]

    def _last(self, said: str) -> list[str]:
        """The only choice of the last line, else the one behind words that may lead to one."""
        last = self._in(said.strip().rpartition("\n")[2])
        letter = "" if len(last) == 1 else hinted(said, self.choices)
        return last if len(last) == 1 else [letter] if letter else []

    def _behind(self, said: str, place: int) -> list[str]:
        """The choices behind the place where it is said that something is the answer."""
        small = _SMALL.match(said, place)
        if small and small[1].upper() in self.choices:
            return [small[1].upper()]
        direct = _DIRECT.match(said, place)
        is_direct = direct is not None and direct[1] in self.choices and not _is_word(said, direct)
        if direct and is_direct and not _PRONOUN.match(said, place):
            return [direct[1]]
        found = next(filter(None, map(self._in, _pieces(said, place))), [])
        if found or not direct or not is_direct or _DENIES.search(next(_pieces(said, place))):
            return found
        return [direct[1]]

    def _first(self, said: str) -> list[str]:
        """The choice with which an answer begins: a letter, or a text of no letters with a comma or a full stop behind
        it. Where other lines begin so too it is a list of all choices."""
        found = _FIRST.match(said)
        if found and found[1] in self.choices:
            lines = {each[1] for each in map(_FIRST.match, said.splitlines()[:50]) if each and each[1] in self.choices}
            return [found[1]] if len(lines) == 1 else []
        if any(map(_is_letter, self.choices)):
            return []
        begins = normal(_ENDS_FIRST.split(said.strip(), maxsplit=1)[0])
        return [label for label, text in self.choices.items() if begins and begins in (normal(label), normal(text))]

    def _in(self, said: str) -> list[str]:
        """The choices that a text names, by their letters or by their texts."""
        letters = {found[1] for found in _LETTER.finditer(said) if not _is_word(said, found)}
        rest, named = f" {normal(said)} ", []
        for label, text in sorted(self.choices.items(), key=lambda each: -len(each[1] or each[0])):
            phrase = f" {normal(text or ('' if _is_letter(label) else label))} "
            if phrase.strip():
                rest = rest.replace(f" not{phrase}", "  ").replace(f" 不{phrase}", "  ")
            if phrase.strip() and phrase in rest:
                named.append(label)
                rest = rest.replace(phrase, "  ")  # "entailment" is not named by "not entailment"
            elif _is_letter(label) and label.upper() in letters:
                named.append(label)
        return sorted(named)


def _without_others(said: str) -> str:
    """A text without the letters of choices that it rules out."""
    return _IS_LEFT_OUT.sub(" ", _LEFT_OUT.sub(" ", said))


def _pieces(said: str, start: int) -> Iterator[str]:
    """Yield the sentences of a text from a place on, a few."""
    for _ in range(5):
        end = _ENDS.search(said, start)
        yield said[start : end.start() if end else len(said)]
        if end is None:
            return
        start = end.end()


def _of_tag(found: re.Match[str]) -> str:
    """What a tag around an answer says."""
    return "\n" if found[1] else "\nanswer: "


def _are_numbers(labels: Iterable[str]) -> bool:
    return all(map(str.isdecimal, labels))


def _is_letter(label: str) -> bool:
    return len(label) == 1 and label.isascii() and label.isalpha()


def _is_word(said: str, found: re.Match[str]) -> bool:
    """Whether a capital letter is a word of a sentence, as in "A dog" and "I think"."""
    return found[1] in "AI" and found[0][-1] not in ")]" and bool(_WORD_BEHIND.match(said, found.end()))
