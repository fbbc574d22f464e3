"""An annotated bibliography: the sources with the sentences that answer the question best."""

from collections.abc import Mapping, Sequence

from agentkit.evidence.source import Source
from agentkit.research.notes import Note
from agentkit.research.writing import Group, as_heading, as_item


def bibliography(groups: Sequence[Group], known: Mapping[int, Source]) -> str:
    """A section for each source that a note cites, in the order in which they were found."""
    by_source: dict[int, list[Note]] = {}
    for group in groups:
        for note in group.notes:
            own = note.cited[-1:] if note.automatic else note.cited[:1]  # the number stands behind a quotation
            for number in own:
                by_source.setdefault(number, []).append(note)
    sections = []
    for number in sorted(by_source):
        source = known.get(number)
        if source is not None:
            title = as_heading(source.title or source.address)
            sections.append("\n".join([f"## {title}", "", *map(as_item, by_source[number])]))
    return "\n\n".join(sections)
