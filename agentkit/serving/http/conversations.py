"""Sessions per subject: ownership, display names, system prompts and histories."""

import asyncio
import contextlib
import functools
import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from starlette.concurrency import run_in_threadpool

from agentkit._text import in_a_line
from agentkit.errors import SessionError
from agentkit.limits import Usage
from agentkit.message import system, text_of
from agentkit.record import usage_from, usage_record
from agentkit.serving.chat_service import ChatService
from agentkit.serving.decisions import waiting_record
from agentkit.serving.exchange import UserInput
from agentkit.serving.http.cited_history import source_text, with_citations
from agentkit.serving.http.evidence_schemas import SourceText
from agentkit.serving.http.page import snapshots
from agentkit.serving.http.page.branch_schemas import BranchOut
from agentkit.serving.http.page.live import LiveAnswer, LiveAnswers
from agentkit.serving.http.page.metadata import Catalogue, branches_of, read
from agentkit.serving.http.page.metadata import SessionMeta as SessionMeta
from agentkit.serving.http.page.turns import turns
from agentkit.serving.http.prompts import Prompts, Version
from agentkit.serving.http.schemas import (
    ChatRequest,
    History,
    PendingCallOut,
    PromptOut,
    SessionOut,
    SessionRequest,
    UsageOut,
)
from agentkit.serving.key_values import KeyValueStore
from agentkit.serving.tool_loading import AnyTool
from agentkit.serving.unattended import unattended
from agentkit.session import INTERNAL, Session, SessionInfo, busy
from agentkit.sessions.log import ordered
from agentkit.sessions.waiting import Waiting, waiting_in

DEFAULT_SYSTEM_PROMPT = "You are a helpful AI assistant."

MAX_NAME = 60
MAX_SUBJECTS = 1000
"""Maximum number of subjects whose session metadata is cached in memory."""

MAX_CLEARED = 1000
"""Maximum number of deleted sessions that are remembered for requests that delete them at the same time."""

MAX_PROMPTS = 200
"""Maximum number of system prompts that are cached in memory."""

MAX_BRANCHES_READ = 10_000
"""Of how many branches it is kept in memory whether they have messages of their own."""


class UnknownSessionError(Exception):
    """The session does not exist or belongs to another subject."""


class UnknownPromptError(Exception):
    """The named system prompt does not exist."""


@dataclass
class Conversations:
    """The sessions of all subjects. Thread-safe. live: their answers that belong to the service."""

    service: ChatService
    tools: tuple[AnyTool, ...]
    prompts: Prompts

    def __post_init__(self) -> None:
        self.live = LiveAnswers(self.service.sessions)
        self._cleared: dict[tuple[str, str], float] = {}
        self._clearing = threading.Lock()
        self._metadata_of = functools.lru_cache(MAX_SUBJECTS)(self._metadata)
        self._has_own = functools.lru_cache(MAX_BRANCHES_READ)(self._read_own)
        self._prompt_of = functools.lru_cache(MAX_PROMPTS)(self._read_prompt)  # stored under its digest: never changes

    def single(self, body: ChatRequest) -> UserInput:
        """Return the user input of a stateless chat request."""
        messages: list[dict[str, Any]] = [turn.model_dump() for turn in body.messages]
        tools = unattended(self.tools, ends_run=False)
        return UserInput(None, messages=messages, sampling=body.sampling, tools=tools)

    def next(self, subject: str, body: SessionRequest, request_id: str) -> tuple[UserInput, SessionMeta]:
        """Return the user input and the metadata for the next message of a session, or a decision on its calls. The
        first message sets its display name and its system prompt. request_id: the client's id of the request, or "".
        Raises UnknownPromptError, UnknownSessionError for a decision, SessionError."""
        key = _key(subject, body.session_id)
        meta = self._begun(subject, body) if body.message is not None else self._existing(subject, body.session_id)
        text = self._system_prompt(subject, meta)
        user_input = UserInput(
            body.user_message,
            key,
            system_prompt=text,
            sampling=body.sampling,
            tools=self.tools,
            request_id=request_id,
            approve=body.approve,
            asked=body.asked or "",
        )
        return user_input, meta

    def _begun(self, subject: str, body: SessionRequest) -> SessionMeta:
        known = self._metadata_of(subject).get(body.session_id)
        return read(known) if known is not None else self._first(subject, body)

    def _first(self, subject: str, body: SessionRequest) -> SessionMeta:
        """Create a session; of several concurrent calls the first one wins. Each distinct system prompt is stored once
        per subject."""
        name, text, version = in_a_line(body.message or "", MAX_NAME), DEFAULT_SYSTEM_PROMPT, None
        if body.system_prompt is not None and body.system_prompt.strip():
            text = body.system_prompt
        elif body.prompt is not None:
            version = self.version(body.prompt, f"{subject}\n{body.session_id}")
            text = version.text
        named = (version.prompt, version.version) if version else ("", "")
        meta = SessionMeta(name, _prompt_digest(text), *named)
        return self._added(subject, body.session_id, meta, text)

    def _added(self, subject: str, session_id: str, meta: SessionMeta, prompt: str) -> SessionMeta:
        """The metadata of a session, which gets these and its system prompt unless it has some."""
        there = meta

        def made(known: Catalogue) -> dict[str, SessionMeta]:
            nonlocal there
            there = known.get(session_id) or meta
            stored_prompt = self.service.sessions[_prompt_key(subject, there.told)]
            if there is meta and not stored_prompt.entries():  # while nobody deletes it with another session
                stored_prompt.append([system(prompt)])
            return {session_id: meta} if there is meta else {}

        self.change(subject, made)
        return there

    def _system_prompt(self, subject: str, meta: SessionMeta) -> str:
        with contextlib.suppress(LookupError):  # of a session that has just been deleted
            return self._prompt_of(_prompt_key(subject, meta.told)) or DEFAULT_SYSTEM_PROMPT
        return DEFAULT_SYSTEM_PROMPT

    def _read_prompt(self, key: str) -> str:
        """A system prompt as it is stored. Raises LookupError when there is none, which is not kept in memory."""
        return text_of(self.service.sessions[key].messages[0])

    def keep(self, subject: str, session_id: str, meta: SessionMeta, prompt: str) -> None:
        """Restore the metadata and the system prompt of a session that was deleted while it was answered, as a
        conversation of its own. Raises SessionError."""
        if self._metadata_of(subject).get(session_id) is None:
            alone = replace(meta, told=_prompt_digest(prompt), of="", parent="", begins=0, shared="")
            self._added(subject, session_id, alone, prompt)

    def named_prompts(self) -> list[PromptOut]:
        """Return the named system prompts of the service, with all their versions."""
        found = [each for versions in self.prompts.all().values() for each in versions]
        return [PromptOut(name=each.prompt, version=each.version, weight=each.weight) for each in found]

    def version(self, prompt: str, who: str) -> Version:
        """Return the version of a named system prompt for a session. Raises UnknownPromptError."""
        version = self.prompts.choose(prompt, who)
        if version is None:
            raise UnknownPromptError(f"system prompt {prompt!r:.80} not found")
        return version

    def history(self, subject: str, session_id: str) -> History:
        """Return the messages of a session. Raises UnknownSessionError, SessionError."""
        key, known = _key(subject, session_id), self._catalogue(subject)
        session, is_live = self.service.sessions[key], self.live.is_live(key)
        meta = self._existing(subject, session_id, known, is_live)
        running = self.live.running(key)  # before it is read: half of an answer is never taken for all of it
        entries = session.entries()
        spent = sum((usage_from(entry.usage) for entry in entries if entry.usage), Usage())
        shown = turns(entries)
        return History(
            session_id=session_id,
            messages=shown if self.service.evidence == "off" else with_citations(shown, session, entries),
            **waiting_fields(waiting_in(entries)),
            name=meta.name,
            prompt=meta.prompt_out,
            usage=UsageOut(**usage_record(spent)),
            branches=self._branches(subject, session_id, known.conversation(session_id)),
            shared=meta.shared or None,
            pinned=meta.pinned,
            running=bool(running),
        )

    def _branches(self, subject: str, session_id: str, branches: Mapping[str, SessionMeta]) -> list[BranchOut]:
        if len(branches) < 2:
            return []
        keys = {_key(subject, each): each for each in branches}
        infos = [info for info in self.service.sessions.list(prefix=_key_prefix(subject)) if info.id in keys]
        updated = {
            keys[info.id]: info.updated.isoformat()
            for info in infos
            if keys[info.id] == session_id or self._is_shown(branches[keys[info.id]], info)
        }
        return branches_of(session_id, branches, updated)

    def _is_shown(self, meta: SessionMeta, info: SessionInfo) -> bool:
        """Whether a session is no branch, or one with a message of its own: there may be none when the first one was
        refused, or not sent."""
        if not meta.parent:
            return True
        return info.entries > meta.begins and self._has_own(info.id, info.entries, info.created, meta.begins)

    def _read_own(self, key: str, entries: int, created: datetime, copied: int) -> bool:
        """Whether a branch has messages behind those that were copied. entries, created: as the store has it at this
        moment: it stays true of a log of that length."""
        session = self.service.sessions[key]
        try:
            last = session.entries(entries - 1, count=1, images=False)
            if last and last[0].kind not in ("undo", "view"):  # what ends a run that has failed
                return True
            return any(ordered(session.entries(copied, count=entries - copied, images=False)))
        except SessionError:  # whoever opens it is told
            return True

    def live_answer(self, subject: str, session_id: str) -> LiveAnswer | None:
        """Return the answer of a session in progress that belongs to the service, None for none."""
        return self.live.in_progress(_key(subject, session_id))

    async def stop(self, subject: str, session_id: str, request_id: str = "") -> bool:
        """Stop the answers of a session that belong to the service; returns whether none is in progress any more. In
        the event loop. request_id: of a message that is stopped also if it has not come yet. Raises SessionError."""
        key = _key(subject, session_id)
        if request_id and not await run_in_threadpool(self.service.sessions[key].is_begun, request_id):
            self.live.stop_when_it_comes(key, request_id)
        return await self.live.stop(key)

    async def stop_branches(self, subject: str, session_id: str) -> None:
        """Stop the answers of all branches of a session's conversation, as `stop`."""

        def running() -> set[str]:
            branches = self._catalogue(subject).conversation(session_id)
            return self.live.running(_key_prefix(subject)) & {_key(subject, each) for each in branches}

        keys = {_key(subject, session_id), *await run_in_threadpool(running)}
        await asyncio.gather(*map(self.live.stop, keys))

    def source(self, subject: str, session_id: str, number: int) -> SourceText | None:
        """Return a source of a session as it was read, None when there is none with this number. Raises
        UnknownSessionError, SessionError."""
        self._existing(subject, session_id)
        return source_text(self.service.sessions[_key(subject, session_id)], number)

    def clear(self, subject: str, session_id: str) -> None:
        """Delete a session with all branches of its conversation, and its link. Raises UnknownSessionError,
        SessionError, and SessionBusyError without waiting."""
        branches = self.branches(subject, session_id)
        held = next((each for each in branches if self.session(subject, each).is_held), None)
        if held is not None:
            raise busy(held, 0.0)
        for each in branches:
            self._note_cleared(subject, each)  # another request that finds it gone must see why at once
        try:
            self.change(subject, lambda known: self._deleted(subject, known, known.conversation(session_id)))
        except SessionError:
            with self._clearing:
                for each in branches:
                    self._cleared.pop((subject, each), None)
            raise
        for each in branches:
            self._note_cleared(subject, each)

    def _deleted(self, subject: str, known: Catalogue, branches: Mapping[str, SessionMeta]) -> dict[str, None]:
        """Delete sessions of a conversation, with what is shared of them, and the system prompts that no other session
        has. Returns their changed metadata."""
        links = [key for meta in branches.values() if meta.shared for key in snapshots.keys(meta.shared)]
        others = {known[each].told for each in known if each not in branches}
        prompts = {_prompt_key(subject, meta.told) for meta in branches.values() if meta.told not in others}
        keys = [_key(subject, each) for each in branches]
        self.service.sessions.delete_all([*keys, *links, *prompts], wait=0.0)
        return dict.fromkeys(branches)

    def _note_cleared(self, subject: str, session_id: str) -> None:
        with self._clearing:
            self._cleared[subject, session_id] = time.monotonic()
            while len(self._cleared) > MAX_CLEARED:
                self._cleared.pop(next(iter(self._cleared)))

    def was_cleared(self, subject: str, session_id: str, since: float) -> bool:
        """Return whether another request has deleted a session since a time of the monotonic clock."""
        with self._clearing:
            return self._cleared.get((subject, session_id), float("-inf")) >= since

    def rename(self, subject: str, session_id: str, name: str) -> None:
        """Set the display name of a conversation. Raises UnknownSessionError, SessionError."""
        self.set_fields(subject, session_id, name=name)

    def set_fields(self, subject: str, session_id: str, **values: Any) -> None:
        """Set fields of the metadata of all branches of a conversation. Raises UnknownSessionError, SessionError."""
        self.branches(subject, session_id)
        self.change(
            subject,
            lambda known: {each: replace(meta, **values) for each, meta in known.conversation(session_id).items()},
        )

    def change(self, subject: str, made: Callable[[Catalogue], Mapping[str, SessionMeta | None]]) -> None:
        """Change metadata, which nobody else changes meanwhile. made: called with that of all sessions of the subject;
        returns what changes, None deletes. What it raises is raised, and nothing is changed. Raises SessionError."""
        self._metadata_of(subject).change(
            lambda texts: {each: meta.as_json if meta else "" for each, meta in made(Catalogue(texts)).items()}
        )

    def branches(self, subject: str, session_id: str) -> dict[str, SessionMeta]:
        """Return the branches of a session's conversation, oldest first, at least this one. Raises UnknownSessionError,
        SessionError."""
        known = self._catalogue(subject)
        self._existing(subject, session_id, known)
        return known.conversation(session_id)

    def session(self, subject: str, session_id: str) -> Session:
        """Return a session in the store, whether it exists or not."""
        return self.service.sessions[_key(subject, session_id)]

    def list(self, subject: str) -> list[SessionOut]:
        """Return the conversations of a subject, most recently updated first, each as the branch that was written last.
        Raises SessionError."""
        shown: dict[str, SessionOut] = {}
        running = self.live.running(_key_prefix(subject))
        for found, conversation, info in self.newest(subject):
            listed = shown.setdefault(conversation, found)
            listed.running = listed.running or info.id in running
        return [*shown.values()]

    def newest(self, subject: str) -> Iterator[tuple[SessionOut, str, SessionInfo]]:
        """Yield the sessions of a subject that have messages, most recently updated first: as they are listed, the
        session with which the conversation began, and what the store knows. A branch with nothing but copied messages
        comes at the end, where there is nothing else of its conversation. Raises SessionError."""
        prefix, catalogue = _key_prefix(subject), self._catalogue(subject)
        known, branched = {f"{prefix}{_key_end(each)}": each for each in catalogue}, catalogue.branched()
        shown: set[str] = set()
        copies: dict[str, tuple[SessionOut, str, SessionInfo]] = {}
        for info in self.service.sessions.list(prefix=prefix):
            session_id = known.get(info.id)
            if session_id is None:
                continue
            meta = catalogue[session_id]
            conversation = meta.of or session_id
            branches = branched.get(conversation, [])
            updated = info.updated.isoformat()
            out = SessionOut(
                session_id=session_id, name=meta.name, updated=updated, pinned=meta.pinned, branches=branches
            )
            if self._is_shown(meta, info):
                shown.add(conversation)
                yield out, conversation, info
            else:
                copies.setdefault(conversation, (out, conversation, info))
        yield from (each for conversation, each in copies.items() if conversation not in shown)

    def _existing(
        self, subject: str, session_id: str, known: Catalogue | None = None, is_live: bool = False
    ) -> SessionMeta:
        """The metadata of a session that has messages, or is a branch from its first one. known: what was read of the
        subject already. is_live: whether a first message is about to be stored. Raises UnknownSessionError."""
        meta = (known or self._catalogue(subject)).get(session_id)
        is_empty_branch = meta is not None and meta.parent != "" and meta.begins == 0
        if meta is None or not (is_live or is_empty_branch or _key(subject, session_id) in self.service.sessions):
            raise UnknownSessionError("Session not found")
        return meta

    def _catalogue(self, subject: str) -> Catalogue:
        return Catalogue(self._metadata_of(subject).all())

    def _metadata(self, subject: str) -> KeyValueStore:
        return KeyValueStore(self.service.sessions, f"{INTERNAL}http.{_digest(subject)}.names")


def waiting_fields(waiting: Waiting | None) -> dict[str, Any]:
    """The fields of an answer, or a history, for the calls that wait for a person."""
    if waiting is None:
        return {}
    record = waiting_record(waiting)
    return {"pending": [PendingCallOut(**call) for call in record["calls"]], "asked": record["asked"]}


def _digest(subject: str) -> str:
    return hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _prompt_digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]


def _prompt_key(subject: str, digest: str) -> str:
    return f"{INTERNAL}http.{_digest(subject)}.prompt.{digest}"


def _key(subject: str, session_id: str) -> str:
    """Return the id in the store. It contains the subject's digest, so that ids of different subjects never collide."""
    return f"{_key_prefix(subject)}{_key_end(session_id)}"


def _key_end(session_id: str) -> str:
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _key_prefix(subject: str) -> str:
    return f"http.{_digest(subject)}:"
