"""What the sources of a stored conversation say of its answers."""

from collections.abc import Mapping, Sequence

from agentkit.message import without_stop_note
from agentkit.record import source_records
from agentkit.running.cited_answers import among, citations_of
from agentkit.serving.http.evidence_schemas import SourceText, citations_out
from agentkit.serving.http.schemas import TurnOut
from agentkit.session import Session
from agentkit.sessions.log import Entry, begins_turn, ordered

MAX_CHECKED = 30
"""How many answers of a conversation are checked: the last ones."""
MAX_COMPARED = 20_000_000
"""How many characters of sources their sentences are compared with, at most: two or three seconds for the longest
answers over the longest sources, some milliseconds for each other answer."""
SENTENCE = 100
"""The length of a sentence, in characters, by which that is estimated."""
MAX_TEXT = 100_000
"""Maximum characters of a source's text that a client is sent."""


def with_citations(turns: list[TurnOut], session: Session, entries: Sequence[Entry]) -> list[TurnOut]:
    """The turns of a session, the last answers with their citations: they are checked again, with the texts that the
    session has kept. entries: those of the session. Raises SessionError."""
    sources = session.sources
    answers = [turn for turn in turns if turn.role == "assistant" and turn.content]
    if not answers or not sources:
        return turns
    given = _sources_by_answer(entries)[::-1]
    left = MAX_COMPARED
    for turn in answers[: -MAX_CHECKED - 1 : -1]:
        place = next((place for place, (text, _) in enumerate(given) if text == turn.content), None)
        if place is not None:
            known = among(sources, given[place][1], turn.content)
            longest = max((len(text) for source in known.values() for text in source.texts), default=0)
            left -= longest * (len(turn.content) // SENTENCE + 1)
            if left <= 0:
                break
            if longest:  # else they were not kept
                turn.citations = citations_out(citations_of(turn.content, known))
            given = given[place + 1 :]
    return turns


def source_text(session: Session, number: int) -> SourceText | None:
    """A source of a session with the text that was read of it last; None when there is none. Raises SessionError."""
    source = session.sources.get(number)
    if source is None:
        return None
    text = source.texts[-1] if source.texts else ""
    (fields,) = source_records([source])
    return SourceText(**fields, text=text[:MAX_TEXT], was_cut=len(text) > MAX_TEXT)


def _sources_by_answer(entries: Sequence[Entry]) -> list[tuple[str, frozenset[int]]]:
    """The text of each final answer, and the numbers of the sources that the tools of its run have given."""
    found: list[tuple[str, frozenset[int]]] = []
    given: set[int] = set()
    for entry in ordered(entries)[0]:
        message = entry.value
        if begins_turn(entry):
            given = set()
        given.update(_numbers(entry.extra.get("sources")))
        if message["role"] == "assistant" and not message.get("tool_calls"):
            found.append((without_stop_note(message), frozenset(given)))
    return found


def _numbers(records: object) -> list[int]:
    """The numbers in what an entry has of sources."""
    numbers = [each.get("number") for each in records if isinstance(each, Mapping)] if isinstance(records, list) else []
    return [each for each in numbers if isinstance(each, int)]
