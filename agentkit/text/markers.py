"""Finds the markers of a reply in text that arrives in chunks of any size."""

import re

from agentkit.text.call_format import any_of, first_characters, partial_word_start
from agentkit.text.computed_once import ComputedOnce


class MarkerSearch:
    """Searches for words. held: text at the end of what was searched that may be the beginning of one. is_last: no more
    text follows, so nothing is held back."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.held = ""
        self.is_last = False
        self._words = words
        self._longest = max(map(len, words))
        self._pattern, self._first = _patterns(words)

    def may_find(self, text: str) -> bool:
        """Whether a text has a character that one of the words begins with."""
        return self._first.search(text) is not None

    def take(self) -> str:
        """Returns the text held back, and holds it no longer."""
        held, self.held = self.held, ""
        return held

    def split(self, text: str) -> tuple[str, str, str]:
        """Returns the text before the first word, the word ("" if there is none), and the text after it."""
        if self.held:
            text = self.take() + text
        if self._first.search(text) is None:
            return text, "", ""
        found = self._pattern.search(text)
        if found is not None and (self.is_last or not self._may_begin_before(found, text)):
            return text[: found.start()], found.group(), text[found.end() :]
        if self.is_last:
            return text, "", ""
        keep = partial_word_start(text, self._words)
        self.held = text[keep:]
        return text[:keep], "", ""

    def _may_begin_before(self, found: "re.Match[str]", text: str) -> bool:
        """Whether the text ends inside a longer word that begins where this one does, or before it."""
        if len(text) - found.start() >= self._longest:
            return False
        begin = partial_word_start(text, self._words)
        if begin != found.start():
            return begin < found.start()
        return any(word != found.group() and word.startswith(text[begin:]) for word in self._words)


@ComputedOnce
def _patterns(words: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    return any_of(words), first_characters(words)
