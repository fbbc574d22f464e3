"""Cutting a long text to the passages that matter."""

import re

from agentkit import PassageIndex

PASSAGE = 1_200
"""Characters that a passage has at most."""


def passages_of(text: str) -> list[str]:
    """The paragraphs of a text, a heading with what stands below it, long ones in pieces at the ends of lines,
    sentences or words."""
    paragraphs = [paragraph.strip() for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]
    passages, heading = [], ""
    for place, paragraph in enumerate(paragraphs):
        if place + 1 < len(paragraphs) and _is_heading(paragraph):
            heading += f"{paragraph}\n\n"
        else:
            passages += _pieces(heading + paragraph)
            heading = ""
    return passages


def _is_heading(paragraph: str) -> bool:
    return len(paragraph) < 80 and paragraph[-1] not in ".!?:;" and not paragraph.startswith(("- ", "* "))


def _pieces(paragraph: str) -> list[str]:
    pieces = []
    while len(paragraph) > PASSAGE:
        head = paragraph[:PASSAGE]
        ends = [head.rfind(mark) + 1 for mark in ("\n", ". ", "? ", "! ", " ")]
        end = next((place for place in ends if place > PASSAGE // 2), PASSAGE)
        pieces.append(paragraph[:end].strip())
        paragraph = paragraph[end:].strip()
    return [*pieces, paragraph] if paragraph else pieces


def cut_to_goal(text: str, goal: str, most: int) -> str:
    """The whole text if it has at most `most` characters, else the passages that match the goal best, in their
    order, with a note of what was left out."""
    if len(text) <= most:
        return text
    passages = passages_of(text)
    with PassageIndex(passages) as index:
        ranked = index.best(goal)
    kept: set[int] = set()
    room = most
    for number in [*ranked, *(() if ranked else range(len(passages)))]:
        if len(passages[number]) > room:
            break
        kept.add(number)
        room -= len(passages[number])
    left_out = len(passages) - len(kept)
    characters = sum(len(passage) for number, passage in enumerate(passages) if number not in kept)
    why = "that match the goal less" if ranked else "(no passage matches the goal: this is the beginning)"
    note = f"[… {left_out:,} passages {why} were left out: {characters:,} of {len(text):,} characters]"
    return "\n\n".join([*(passages[number] for number in sorted(kept)), note])


def without_forged_sources(text: str) -> str:
    """A text in which no line begins as ours do that name a source."""
    return re.sub(r"^(?=source:)", " ", text, flags=re.MULTILINE | re.IGNORECASE)


def block(source: str, title: str, text: str) -> str:
    """One source as a tool tells it."""
    head = f"source: {source}" + (f"\ntitle: {' '.join(title.split())}" if title.strip() else "")
    return f"{head}\n\n{without_forged_sources(text)}"
