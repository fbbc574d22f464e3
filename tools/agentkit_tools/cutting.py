"""Cuts a long text to its most relevant passages."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from agentkit import Context
from agentkit.retrieval import PassageIndex, content_words, cover, sentence_ends, sentences
from agentkit_tools.page_marks import PAGE, page_line, with_page_lines
from agentkit_tools.reader_process import LARGE, in_reader_process

PASSAGE = 1_200
"""Maximum length of a passage, in characters."""

HEADINGS = 300
"""Maximum length of the headings kept with the paragraph below them, in characters."""

MAX_NOTES = 3
"""Notes at the end of a text that are kept."""
_NOTE = re.compile(r"\[… [^\n\[\]]{1,300}\]")

WHOLE = 0.45
"""How much of a cut text is whole passages; in the rest, passages that match less are cut to their best sentences, so
that more of them are there (benchmarks/cutting.py)."""

_NO_PROSE = re.compile(r"^(?: {4}|\t|[ \t]*(?:[-*•+|]\s|\d+[.)]\s|\||```|~~~|\.\. ))", re.MULTILINE)


_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})", re.MULTILINE)
_HEAD_OF_TABLE = re.compile(r"^[ \t]*\|[^\n]*\n[ \t]*\|[ \t]*:?-[-|: \t]*$", re.MULTILINE)


def passages_of(text: str) -> list[str]:
    """Splits a text into its paragraphs, each with the headings above it; long ones are split at the end of a line,
    sentence or word. Each part of a long table has the names of the columns."""
    passages, head = [], ""
    for each in split_into_passages(text):
        passage = each.strip()
        is_row = passage.startswith("|") and not _HEAD_OF_TABLE.match(passage)
        if passage:
            passage = passage.replace(PAGE, "")
            passages.append(f"{head}\n{passage}" if head and is_row else passage)
        if each[len(each.rstrip()) :].count("\n") > 1:  # the paragraph ends
            head = ""
        elif found := _HEAD_OF_TABLE.search(passage):
            head = found.group() if len(found.group()) <= HEADINGS else ""
    return passages


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
    """The paragraphs of a text, each with the blank lines behind it; a fenced block of code is one."""
    parts = [*re.split(r"(\n\s*\n)", text), ""]
    paragraphs = []
    held: list[str] = []
    fence = ""
    for paragraph in filter(None, map("".join, zip(parts[::2], parts[1::2], strict=True))):
        held.append(paragraph)
        fence = _fence_behind(paragraph, fence)
        if not fence:
            paragraphs.append("".join(held))
            held = []
    return [*paragraphs, *held]  # the last fence may not be closed


def _fence_behind(paragraph: str, fence: str) -> str:
    """The fence that is open behind a paragraph, if any. fence: the one that is open before it."""
    for mark in _FENCE.findall(paragraph):
        if not fence:
            fence = mark
        elif mark.startswith(fence):
            fence = ""
    return fence


def _is_heading(paragraph: str) -> bool:
    is_other = paragraph.startswith(("- ", "* ", "|", "```", "~~~"))
    return len(paragraph) < 80 and paragraph[-1:] not in ".!?:;。！？：；।؟۔" and not is_other


def _parts(paragraph: str) -> list[str]:
    parts, start = [], 0
    while len(paragraph) - start > PASSAGE:
        head = paragraph[start : start + PASSAGE]
        end = next((end for end in _ends_of(head) if end > PASSAGE // 2), PASSAGE)
        parts.append(head[:end])
        start += end
    return [*parts, paragraph[start:]]


def _ends_of(head: str) -> Iterator[int]:
    """Where the beginning of a long paragraph may be split, best first: behind a line, a sentence, a word."""
    yield head.rfind("\n") + 1
    yield max(sentence_ends(head), default=0)
    yield head.rfind(" ") + 1


def cut_to_goal(text: str, goal: str, max_chars: int) -> str:
    """Returns the whole text if it has at most `max_chars` characters, else what matches the goal best, in its original
    order, with a note on what was omitted: the best passages, and of the next ones the sentences that match. What its
    reader has noted at its end is kept. Pages have a line with their number before them."""
    if len(text) <= max_chars:
        return with_page_lines(text)
    length = len(text)
    text, notes = _without_notes(text)
    passages = passages_of(text) or [""]
    with PassageIndex(passages) as index:
        ranked = index.best(goal, least_share=0)
    kept = _fitting(passages, ranked, goal, max_chars) if ranked else _beginning(passages, max_chars)
    omitted = len(passages) - len(kept)
    characters = max(0, sum(len(passage) for passage in passages) - sum(len(passage) for passage in kept.values()))
    why = "that match the goal less" if ranked else "(no passage matches the goal: this is the beginning)"
    note = f"[… {omitted:,} passages {why} were omitted: {characters:,} of {length:,} characters]"
    return "\n\n".join([*_in_order(kept, text), note, *notes])


def _without_notes(text: str) -> tuple[str, list[str]]:
    """A text, and the notes at its end by which its reader says what of a document it has not read."""
    notes: list[str] = []
    while len(notes) < MAX_NOTES and _NOTE.fullmatch(last := text[text.rfind("\n\n") + 2 :]) and "\n\n" in text:
        notes.insert(0, last)
        text = text[: text.rfind("\n\n")]
    return text, notes


def _in_order(kept: Mapping[int, str], text: str) -> Iterator[str]:
    """Yield what is kept, with the number of its page before what is the first of a page."""
    pages = _pages_of(text) if PAGE in text else []
    page = 0
    for number in sorted(kept):
        if pages and pages[number] != page:
            page = pages[number]
            yield page_line(page)
        yield kept[number]


def _pages_of(text: str) -> list[int]:
    """The page of each passage of a text: that of its last line, since a heading may stand at the end of a page."""
    pages: list[int] = []
    page = 1
    for each in split_into_passages(text):
        if each.strip():
            pages.append(page + each.rstrip().count(PAGE))
        page += each.count(PAGE)
    return pages


def cut_for(text: str, goal: str, max_chars: int, context: Context[Any]) -> str:
    """The same for a run; a very long text is cut in another process. Raises TooComplexError, and ToolError when the
    run ends before."""
    if len(text) <= LARGE:
        return cut_to_goal(text, goal, max_chars)
    return in_reader_process(cut_to_goal, text, goal, max_chars, size=len(text), context=context)


def _fitting(passages: Sequence[str], ranked: Sequence[int], goal: str, max_chars: int) -> dict[int, str]:
    """Returns the passages that fit, best first: whole ones up to WHOLE of the room, then the best sentences of each;
    if the first one does not fit, as much of it as does."""
    kept: dict[int, str] = {}
    room, whole = max_chars, int(WHOLE * max_chars)
    words = content_words(goal)
    for number in ranked:
        passage = passages[number]
        is_whole = len(passage) <= whole
        part = passage if is_whole else _best_sentences(passage, words)
        if not is_whole:
            whole = 0  # the next ones are cut too: a shorter passage is no better one
        if len(part) <= room:
            kept[number] = part
            room -= len(part)
            whole -= len(part)
    return kept or {ranked[0]: passages[ranked[0]][:max_chars]}


def _beginning(passages: Sequence[str], max_chars: int) -> dict[int, str]:
    """Returns the first passages that fit, and of a first one that does not fit as much as does."""
    ends = list(accumulate(map(len, passages)))
    kept = {number: passage for number, passage in enumerate(passages) if ends[number] <= max_chars}
    return kept or {0: passages[0][:max_chars]}


def _best_sentences(passage: str, words: Sequence[str]) -> str:
    """Returns the headings of a passage, and of its text the sentence with most of these words, the one before it and
    the one behind it; the whole passage where it is no prose (a list, a table, code)."""
    headings, gap, body = passage.rpartition("\n\n")
    parts = sentences(body)
    if len(parts) <= 3 or _NO_PROSE.search(body):
        return passage
    best = max(range(len(parts)), key=lambda place: (cover(words, parts[place]), -place))
    begin, end = max(0, best - 1), best + 2
    before, behind = ["[…]"] if begin > 0 else [], ["[…]"] if end < len(parts) else []
    return headings + gap + " ".join([*before, *parts[begin:end], *behind])
