"""The part of a passage that a search shows: that in which the words of the query stand."""

from collections.abc import Iterator, Sequence

from agentkit.retrieval import cover, sentence_ends

LEAD = 60
"""Characters before the first word, in a sentence that is longer than what is shown."""


def excerpt(passage: str, words: Sequence[str], max_chars: int) -> str:
    """Returns of a passage, as one line, the beginning, or the part of `max_chars` characters that has more of the
    words. words: of the query, as from `agentkit.retrieval.content_words`."""
    line = " ".join(passage.split())
    if len(line) <= max_chars:
        return line
    shown = max_chars - 4  # beside the marks of what is left out
    begin = max(_begins(line, shown), key=lambda place: (cover(words, line[place : place + shown]), -place))
    return f"… {line[begin:]}" if begin else line


def _begins(line: str, max_chars: int) -> Iterator[int]:
    """Where the part may begin: at sentences, and at words inside of long ones."""
    last = 0
    for begin in (0, *sentence_ends(line)):
        yield from (_at_word(line, place) for place in range(last + max_chars - LEAD, begin, max_chars // 2))
        yield begin
        last = begin
    yield from (_at_word(line, place) for place in range(last + max_chars - LEAD, len(line), max_chars // 2))


def _at_word(line: str, place: int) -> int:
    """The beginning of the word at a place; the place itself in a text without spaces."""
    found = line.rfind(" ", max(0, place - LEAD), place) + 1
    return found or place
