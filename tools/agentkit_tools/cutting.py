"""Cuts a long text to its most relevant passages."""

import re

from agentkit.retrieval import PassageIndex

PASSAGE = 1_200
"""Maximum length of a passage, in characters."""

HEADINGS = 300
"""Maximum length of the headings kept with the paragraph below them, in characters."""


def passages_of(text: str) -> list[str]:
    """Splits a text into its paragraphs, each with the headings above it; long ones are split at the end of a line,
    sentence or word."""
    return [passage for each in split_into_passages(text) if (passage := each.strip())]


def split_into_passages(text: str) -> list[str]:
    """The same with the white space between passages, so that they joined are the text."""
    paragraphs = _paragraphs(text)
    passages, heading = [], ""
    for index, paragraph in enumerate(paragraphs):
        if index + 1 < len(paragraphs) and len(heading) < HEADINGS and _is_heading(paragraph.strip()):
            heading += paragraph
        else:
            passages += _parts(heading + paragraph)
            heading = ""
    return passages


def _paragraphs(text: str) -> list[str]:
    """The paragraphs of a text, each with the blank lines behind it."""
    parts = [*re.split(r"(\n\s*\n)", text), ""]
    return [each for each in map("".join, zip(parts[::2], parts[1::2], strict=True)) if each]


def _is_heading(paragraph: str) -> bool:
    return len(paragraph) < 80 and paragraph[-1:] not in ".!?:;。！？：；।؟" and not paragraph.startswith(("- ", "* "))


_ENDS = ("\n", ". ", "? ", "! ", "。", "！", "？", "। ", "؟ ", " ")
"""Where a long paragraph is split, if possible: best first."""


def _parts(paragraph: str) -> list[str]:
    parts, start = [], 0
    while len(paragraph) - start > PASSAGE:
        head = paragraph[start : start + PASSAGE]
        ends = [head.rfind(end) + len(end) for end in _ENDS if end in head]
        end = next((end for end in ends if end > PASSAGE // 2), PASSAGE)
        parts.append(head[:end])
        start += end
    return [*parts, paragraph[start:]]


def cut_to_goal(text: str, goal: str, max_chars: int) -> str:
    """Returns the whole text if it has at most `max_chars` characters, else the passages that match the goal best, in
    their original order, with a note on what was omitted."""
    if len(text) <= max_chars:
        return text
    passages = passages_of(text)
    with PassageIndex(passages) as index:
        ranked = index.best(goal)
    kept = _fitting(passages, ranked or list(range(len(passages))), max_chars)
    omitted = len(passages) - len(kept)
    characters = sum(len(passage) for passage in passages) - sum(len(passage) for passage in kept.values())
    why = "that match the goal less" if ranked else "(no passage matches the goal: this is the beginning)"
    note = f"[… {omitted:,} passages {why} were omitted: {characters:,} of {len(text):,} characters]"
    return "\n\n".join([*(kept[number] for number in sorted(kept)), note])


def _fitting(passages: list[str], order: list[int], max_chars: int) -> dict[int, str]:
    """Returns the passages that fit, taken in this order until one does not fit; if the first one does not fit, as much
    of it as does."""
    kept: dict[int, str] = {}
    room = max_chars
    for number in order:
        if len(passages[number]) > room:
            break
        kept[number] = passages[number]
        room -= len(passages[number])
    return kept or {order[0]: passages[order[0]][:max_chars]}
