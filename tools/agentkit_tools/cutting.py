"""Cutting a long text to the passages that matter."""

import re

from agentkit.retrieval import PassageIndex

PASSAGE = 1_200
"""Characters that a passage has at most."""

HEADINGS = 300
"""Characters of headings that are kept with what stands below them."""


def passages_of(text: str) -> list[str]:
    """The paragraphs of a text, a heading with what stands below it, long ones in pieces at the ends of lines,
    sentences or words."""
    paragraphs = [paragraph.strip() for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]
    passages, heading = [], ""
    for place, paragraph in enumerate(paragraphs):
        if place + 1 < len(paragraphs) and len(heading) < HEADINGS and _is_heading(paragraph):
            heading += f"{paragraph}\n\n"
        else:
            passages += _pieces(heading + paragraph)
            heading = ""
    return passages


def _is_heading(paragraph: str) -> bool:
    return len(paragraph) < 80 and paragraph[-1] not in ".!?:;" and not paragraph.startswith(("- ", "* "))


def _pieces(paragraph: str) -> list[str]:
    pieces, start = [], 0
    while len(paragraph) - start > PASSAGE:
        head = paragraph[start : start + PASSAGE]
        ends = [head.rfind(mark) + 1 for mark in ("\n", ". ", "? ", "! ", " ")]
        end = next((place for place in ends if place > PASSAGE // 2), PASSAGE)
        pieces.append(head[:end].strip())
        start += end
    return [piece for piece in (*pieces, paragraph[start:].strip()) if piece]


def cut_to_goal(text: str, goal: str, max_chars: int) -> str:
    """The whole text if it has at most `max_chars` characters, else the passages that match the goal best, in their
    order, with a note of what was left out."""
    if len(text) <= max_chars:
        return text
    passages = passages_of(text)
    with PassageIndex(passages) as index:
        ranked = index.best(goal)
    kept = _fitting(passages, ranked or list(range(len(passages))), max_chars)
    left_out = len(passages) - len(kept)
    characters = sum(len(passage) for passage in passages) - sum(len(passage) for passage in kept.values())
    why = "that match the goal less" if ranked else "(no passage matches the goal: this is the beginning)"
    note = f"[… {left_out:,} passages {why} were left out: {characters:,} of {len(text):,} characters]"
    return "\n\n".join([*(kept[number] for number in sorted(kept)), note])


def _fitting(passages: list[str], order: list[int], max_chars: int) -> dict[int, str]:
    """The passages that fit, taken in this order until one does not; of the first, as much as fits."""
    kept: dict[int, str] = {}
    room = max_chars
    for number in order:
        if len(passages[number]) > room:
            break
        kept[number] = passages[number]
        room -= len(passages[number])
    return kept or {order[0]: passages[order[0]][:max_chars]}
