"""What is written as a name is: with a capital, within a sentence; in Latin letters, within Chinese and the like."""

import re

from agentkit.retrieval.words import is_unspaced, letters

LEAST = 2
"""Length of a name, in letters: "I" is none."""

MOST_CAPITALS = 0.6
"""More words with capitals than this share of a sentence make none a name: it is a title, or all in capitals."""

BEGINNING = 4
"""By how many letters of its beginning a name is found, since its ending changes with its case."""

_WORD = re.compile(r"[^\W\d_](?:[^\W_]|['’.-](?=[^\W_])){0,60}")
_APOSTROPHES = ("'", "’")
_POSSESSIVE = re.compile(r"['’]s?$")


def names(sentence: str) -> list[str]:
    """The names in a sentence, as they are written; the first word, which has a capital anyway, only if it has two."""
    words = [_POSSESSIVE.sub("", word) if word[-2:-1] in _APOSTROPHES else word for word in _WORD.findall(sentence)]
    if not sentence.isascii() and any(map(is_unspaced, words)):
        return [word for part in words for word in re.findall("[A-Za-z]{2,60}", part)]
    first = words[:1]
    found = [word for word in words[1:] if word[:1].isupper()] + [
        word for word in first if sum(map(str.isupper, word)) > 1
    ]
    if len(found) > MOST_CAPITALS * len(words) and len(words) > 3:
        return []
    return [word for word in dict.fromkeys(found) if len(word) >= LEAST]


def beginning(name: str) -> str:
    """The letters by which a name is found in a folded text."""
    words = letters(name).split()
    return words[0][: min(BEGINNING, max(3, len(words[0]) - 2))] if words else ""
