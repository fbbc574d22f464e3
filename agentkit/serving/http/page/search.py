"""Search in the conversations of a caller: names and texts, the newest first, in bounded time and memory."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from agentkit.errors import SessionError
from agentkit.message import text_of
from agentkit.serving.http.conversations import Conversations
from agentkit.serving.http.dependencies import caller_of
from agentkit.serving.http.errors import error_responses
from agentkit.serving.http.page.folding import folded, snippet_of, words_of
from agentkit.serving.http.page.turns import turns
from agentkit.serving.http.schemas import ErrorResponse, NonBlank, SessionOut, TurnOut
from agentkit.session import Session
from agentkit.sessions.log import Entry

MAX_QUERY = 300
"""Maximum characters of a query."""
MAX_FOUND = 50
"""Maximum number of conversations that a search finds."""
MAX_READ = 10_000_000
"""Maximum characters that a search reads."""
MAX_OF_ONE = 2_000_000
"""Maximum characters that it reads of one session; the rest is not searched."""
MAX_TURN = 500_000
"""Maximum characters of one message that are searched."""
SECONDS = 2.0
"""After this time no further conversation is read."""
AT_ONCE = 4
"""How many searches a process does at a time, so that they leave threads to others."""

_CHUNK = 50
_ENTRY = 100
"""Characters that an entry counts beside its texts."""

routes = APIRouter(prefix="/api/llm", tags=["chat"], responses=error_responses(ErrorResponse))


class SearchRequest(BaseModel):
    """What is looked for."""

    query: NonBlank = Field(
        max_length=MAX_QUERY,
        description="Words, separated by spaces, all of which a conversation has to have, in its name or in its texts. "
        "Parts of words count, upper and lower case and full and half width are the same.",
    )


class FoundOut(SessionOut):
    """A conversation that was found, as the branch in which it was."""

    snippet: str = Field(description="The text around the first words; empty when only the name has them.")
    matches: list[tuple[int, int]] = Field(
        description="Where the words are in the snippet: begin and end, in characters (Unicode code points)."
    )
    begins: int | None = Field(default=None, description="The `begins` of the turn that has the snippet.")


class SearchOut(BaseModel):
    """The conversations that were found."""

    sessions: list[FoundOut] = Field(description="At most 50, most recently updated first.")
    complete: bool = Field(
        description="Whether everything was searched; false: older conversations may have the words."
    )


@routes.post("/chat/sessions/search", summary="Search in the sessions")
async def search(body: SearchRequest, request: Request) -> SearchOut:
    """Returns the caller's conversations that have all words of the query, in their names and texts, also in branches
    that are not shown in the list."""
    state, subject = caller_of(request)
    work = partial(_searched, state.conversations, subject, words_of(body.query))
    return await state.in_few_threads("searches", AT_ONCE, work)


@dataclass
class Reading:
    """What a search may still read. was_cut: whether there is more."""

    left: int = MAX_READ
    end: float = field(default_factory=lambda: time.monotonic() + SECONDS)
    was_cut: bool = False

    def goes_on(self) -> bool:
        """Whether more may be read; it is noted when not."""
        self.was_cut = self.was_cut or self.left <= 0 or time.monotonic() > self.end
        return self.left > 0 and time.monotonic() <= self.end

    def entries_of(self, session: Session, count: int) -> list[Entry]:
        """The log of a session, without what tools were given and have returned. count: number of its entries."""
        entries: list[Entry] = []
        least = self.left - MAX_OF_ONE
        for start in range(0, count, _CHUNK):
            if self.left <= least or not self.goes_on():
                self.was_cut = True
                break
            try:
                entries += map(self._counted, session.entries(start, count=_CHUNK, skip_damaged=True, images=False))
            except SessionError:  # such as one that a newer version has written
                self.was_cut = True
                break
        return entries

    def _counted(self, entry: Entry) -> Entry:
        """An entry with no more than what is searched and what its place follows from."""
        if entry.kind != "message":
            self.left -= _ENTRY
            return Entry(entry.kind, entry.value, entry.at, None, _without(entry.extra, "reasoning"))
        self.left -= _ENTRY + len(text_of(entry.value))
        return Entry(entry.kind, _bare(entry.value), entry.at, None, _without(entry.extra, "sources"))


def _without(extra: Mapping[str, Any], left_out: str) -> dict[str, Any]:
    return {name: value for name, value in extra.items() if name != left_out}


def _bare(message: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {"role": message["role"], "content": message.get("content")}
    if message["role"] == "tool":
        return {**kept, "content": "", "tool_call_id": message.get("tool_call_id", "")}
    if calls := message.get("tool_calls"):
        kept["tool_calls"] = [{**_CALL, "id": call.get("id", "")} for call in calls]
    return kept


_CALL = {"type": "function", "function": {"name": "", "arguments": "{}"}}


def _searched(conversations: Conversations, subject: str, words: Sequence[str]) -> SearchOut:
    reading = Reading()
    found = list(islice(_found(conversations, subject, words, reading), MAX_FOUND + 1))
    return SearchOut(sessions=found[:MAX_FOUND], complete=not reading.was_cut and len(found) <= MAX_FOUND)


def _found(conversations: Conversations, subject: str, words: Sequence[str], reading: Reading) -> Iterator[FoundOut]:
    """The conversations that have all words, each once."""
    found: set[str] = set()
    for listed, conversation, info in conversations.newest(subject):
        if conversation in found:
            continue
        if not reading.goes_on():
            return
        entries = reading.entries_of(conversations.session(subject, listed.session_id), info.entries)
        texts = (text_of(entry.value) for entry in entries if entry.kind == "message")
        has_all = not _missing(listed.name, texts, words)  # most have not: what they look like need not be known
        if has_all and (match := _match(listed.name, turns(entries), words)) is not None:
            found.add(conversation)
            snippet, places, begins = match
            yield FoundOut(**listed.model_dump(), snippet=snippet, matches=places, begins=begins)


Match = tuple[str, list[tuple[int, int]], int | None]
"""A snippet, the places of the words in it, and where the turn that has it begins."""


def _missing(name: str, texts: Iterable[str], words: Sequence[str]) -> list[str]:
    """The words that are neither in the name nor in the texts."""
    missing = list(words)
    for text in chain((name,), texts):
        whole = folded(text[:MAX_TURN])
        missing = [word for word in missing if word not in whole]
        if not missing:
            break
    return missing


def _match(name: str, shown: Sequence[TurnOut], words: Sequence[str]) -> Match | None:
    """The snippet of a conversation: from the first of the turns that have the most words. None when it has not all
    words."""
    if _missing(name, (turn.content for turn in shown), words):
        return None
    best, best_words = None, 0
    for turn in shown:
        text = folded(turn.content[:MAX_TURN])
        count = sum(word in text for word in words)
        if count > best_words:
            best, best_words = turn, count
        if count == len(words):
            break
    if best is None:
        return "", [], None
    return (*snippet_of(best.content[:MAX_TURN], words), best.begins)
