"""What is stored of a session beside its messages, and which sessions are branches of one conversation."""

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from agentkit.serving.http.page.branch_schemas import BranchOut
from agentkit.serving.http.schemas import PromptOut

ALWAYS = ("name", "told", "prompt", "version")
"""The fields that older versions of agentkit know; others are written where they say something."""

MAX_READ = 10_000
"""Metadata of how many sessions is kept as it was read: that of all is needed for each list."""


@dataclass(frozen=True)
class SessionMeta:
    """Stored metadata of a session. name: display name. told: digest under which its system prompt is stored. prompt,
    version: the named system prompt it uses, or "". of: the session that its conversation began with, "" for that one.
    parent, begins: a branch has the messages of `parent` before number `begins`. pinned: whether it stays at the top of
    the list. shared: the token of its conversation's link, or "". Name, pin and link are the same for all branches.
    """

    name: str = ""
    told: str = ""
    prompt: str = ""
    version: str = ""
    of: str = ""
    parent: str = ""
    begins: int = 0
    pinned: bool = False
    shared: str = ""

    @property
    def prompt_out(self) -> PromptOut | None:
        """The named system prompt of the session, or None."""
        return PromptOut(name=self.prompt, version=self.version) if self.prompt else None

    @property
    def as_json(self) -> str:
        """It as it is stored."""
        kept = {name: value for name, value in asdict(self).items() if value or name in ALWAYS}
        return json.dumps(kept, ensure_ascii=False)


_FIELDS = frozenset(each.name for each in fields(SessionMeta))


@functools.lru_cache(MAX_READ)
def read(text: str) -> SessionMeta:
    """Stored metadata; what a newer version of agentkit has written beside it is left out."""
    stored: dict[str, Any] = json.loads(text)
    if stored.keys() <= _FIELDS:
        return SessionMeta(**stored)
    return SessionMeta(**{name: value for name, value in stored.items() if name in _FIELDS})


class Catalogue:
    """The metadata of all sessions of a subject, at one moment. texts: as stored, by session id, oldest first."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __getitem__(self, session_id: str) -> SessionMeta:
        return read(self._texts[session_id])

    def get(self, session_id: str) -> SessionMeta | None:
        """The metadata of a session, or None."""
        text = self._texts.get(session_id)
        return None if text is None else read(text)

    def conversation(self, session_id: str) -> dict[str, SessionMeta]:
        """All branches of the conversation of a session, oldest first; none when there is no such session."""
        meta = self.get(session_id)
        if meta is None:
            return {}
        first = meta.of or session_id
        near = {each: read(text) for each, text in self._texts.items() if each == first or '"of"' in text}
        return {each: found for each, found in near.items() if (found.of or each) == first}

    def branched(self) -> dict[str, list[str]]:
        """The branches of all conversations that have several, oldest first, by the session with which each began."""
        found: dict[str, list[str]] = {}
        for each, text in self._texts.items():
            if '"of"' in text and (first := read(text).of):
                found.setdefault(first, [first] if first in self._texts else []).append(each)
        return {first: branches for first, branches in found.items() if len(branches) > 1}


def branches_of(session_id: str, branches: Mapping[str, SessionMeta], updated: Mapping[str, str]) -> list[BranchOut]:
    """The versions of a conversation's turns, as they are shown with one of its branches.

    For each turn of the session that others have differently, what there is in its place: the branch of each version,
    the session itself among them, in the order in which they were made. Where several branches have the same version,
    the one that was written last. branches: all of the conversation, oldest first. updated: when each was written last,
    without those that have no message of their own.
    """
    lines = {each: _line(each, branches) for each in (*sorted(updated, key=updated.__getitem__), session_id)}
    own = lines[session_id]
    shared = {each: _in_common(own, line) for each, line in lines.items() if each != session_id}
    found: list[BranchOut] = []
    for begins in sorted(set(shared.values())):
        versions = {_writer(lines[each], begins): each for each, count in shared.items() if count == begins}
        versions[_writer(own, begins)] = session_id
        found += [
            BranchOut(session_id=versions[each], begins=begins, updated=updated.get(versions[each], ""))
            for each in branches
            if each in versions
        ]
    return found


Line = list[tuple[str, int]]
"""A branch, the one that it was made of, and so on; each with the number of the first message of its own."""


def _line(session_id: str, branches: Mapping[str, SessionMeta]) -> Line:
    line: Line = []
    seen: set[str] = set()
    while session_id in branches and session_id not in seen:
        seen.add(session_id)
        line.append((session_id, branches[session_id].begins))
        session_id = branches[session_id].parent
    return line


def _in_common(one: Line, other: Line) -> int:
    """How many messages two branches have in common."""
    names = {session_id for session_id, _ in one} & {session_id for session_id, _ in other}
    apart = [begins for line in (one, other) for session_id, begins in line if session_id not in names]
    return min(apart, default=0) if names else 0


def _writer(line: Line, number: int) -> str:
    """The session of a line in which the message with a number was written."""
    return next((session_id for session_id, begins in line if begins <= number), line[-1][0])
