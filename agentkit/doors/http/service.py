"""The conversations of subjects: whose session is which, what it is called, and what it is told first."""

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.doors.answering import Answerer, UserInput
from agentkit.doors.http.bodies import (
    ChatBody,
    History,
    PromptSeen,
    SessionBody,
    SessionSeen,
    ToolSeen,
    TurnSeen,
)
from agentkit.doors.http.prompts import Prompts, Version
from agentkit.doors.loading import AnyTool
from agentkit.doors.notes import Notes
from agentkit.message import Message, system, text_of
from agentkit.wording import in_a_line

SYSTEM_PROMPT = "You are a helpful AI assistant."

MOST_NAME = 60
MOST_SUBJECTS = 1000
"""Whose lists of sessions are kept in memory."""


class UnknownSessionError(Exception):
    """There is no such session, or it is another subject's."""


class UnknownPromptError(Exception):
    """There is no such system prompt."""


@dataclass(frozen=True)
class About:
    """What is kept of a session beside what is said."""

    name: str = ""
    prompt: str = ""
    version: str = ""

    @property
    def seen(self) -> PromptSeen | None:
        """The system prompt of the service that it has."""
        return PromptSeen(name=self.prompt, version=self.version) if self.prompt else None


@dataclass
class Conversations:
    """Those of all subjects. Shared by threads."""

    answerer: Answerer
    tools: tuple[AnyTool, ...]
    prompts: Prompts

    def __post_init__(self) -> None:
        self._of = functools.lru_cache(MOST_SUBJECTS)(self._notes)

    def single(self, body: ChatBody) -> UserInput:
        """What a single shot asks: the messages as they are."""
        messages: list[dict[str, Any]] = [turn.model_dump() for turn in body.messages]
        return UserInput(None, messages=messages, sampling=body.sampling, tools=self.tools)

    def next(self, subject: str, body: SessionBody) -> tuple[UserInput, About]:
        """What the next message of a session asks; the first sets its name and its system prompt. Raises
        UnknownPromptError, SessionBusyError, SessionError."""
        key = _key(subject, body.session_id)
        known = self._of(subject).all().get(body.session_id)
        if known is None or key not in self.answerer.sessions:
            about = self._first(subject, key, body)
        else:
            about = About(**json.loads(known))
        return UserInput(body.said, key, sampling=body.sampling, tools=self.tools), about

    def _first(self, subject: str, key: str, body: SessionBody) -> About:
        """Begin a session: its system prompt is the first of its messages."""
        about, text = About(in_a_line(body.message, MOST_NAME)), SYSTEM_PROMPT
        if body.system_prompt is not None and body.system_prompt.strip():
            text = body.system_prompt
        elif body.prompt is not None:
            version = self.version(body.prompt, f"{subject}\n{body.session_id}")
            about, text = About(about.name, version.prompt, version.version), version.text
        session = self.answerer.sessions[key]
        with session.hold() as writer:
            if not session.entries():  # else another first message was quicker
                self._note(subject, body.session_id, about)
                writer.append([system(text)])
        return about

    def version(self, prompt: str, who: str) -> Version:
        """The version of a system prompt for somebody. Raises UnknownPromptError."""
        version = self.prompts.choose(prompt, who)
        if version is None:
            raise UnknownPromptError(f"there is no system prompt {prompt!r:.80}")
        return version

    def history(self, subject: str, session_id: str) -> History:
        """What was said in a session. Raises UnknownSessionError, SessionError."""
        about = self._existing(subject, session_id)
        messages = self.answerer.sessions[_key(subject, session_id)].messages
        return History(session_id=session_id, messages=turns(messages), name=about.name, prompt=about.seen)

    def clear(self, subject: str, session_id: str) -> None:
        """Forget a session. Raises UnknownSessionError, SessionBusyError, SessionError."""
        self._existing(subject, session_id)
        self.answerer.sessions.delete(_key(subject, session_id))
        self._of(subject).set(session_id, "")

    def rename(self, subject: str, session_id: str, name: str) -> None:
        """Give a session a name for people. Raises UnknownSessionError, SessionError."""
        about = self._existing(subject, session_id)
        self._note(subject, session_id, About(name, about.prompt, about.version))

    def list(self, subject: str) -> list[SessionSeen]:
        """The sessions of a subject, the one that was written to last first. Raises SessionError."""
        known = {
            _key(subject, each): (each, About(**json.loads(text))) for each, text in self._of(subject).all().items()
        }
        return [
            SessionSeen(session_id=known[info.id][0], name=known[info.id][1].name, updated=info.updated.isoformat())
            for info in self.answerer.sessions.list()
            if info.id in known
        ]

    def _existing(self, subject: str, session_id: str) -> About:
        known = self._of(subject).all().get(session_id)
        if known is None or _key(subject, session_id) not in self.answerer.sessions:
            raise UnknownSessionError("Session not found")
        return About(**json.loads(known))

    def _note(self, subject: str, session_id: str, about: About) -> None:
        self._of(subject).set(session_id, json.dumps(about.__dict__, ensure_ascii=False))

    def _notes(self, subject: str) -> Notes:
        return Notes(self.answerer.sessions, f"http.{_digest(subject)}.names")


def turns(messages: Sequence[Message]) -> list[TurnSeen]:
    """What a user sees of a transcript: what was said, and the tool calls that an answer rests on."""
    found: list[TurnSeen] = []
    calls: dict[str, ToolSeen] = {}
    for message in messages:
        if message["role"] == "assistant":
            for call in message.get("tool_calls") or ():
                function = call["function"]
                calls[call["id"]] = ToolSeen(id=call["id"], name=function["name"], arguments=function["arguments"])
            if text_of(message).strip() or not message.get("tool_calls"):
                found.append(TurnSeen(role="assistant", content=text_of(message), tool_calls=list(calls.values())))
                calls = {}
        elif message["role"] == "tool":
            call_id = str(message.get("tool_call_id"))
            if call_id in calls:
                calls[call_id].response = text_of(message)
        elif message["role"] == "user":
            found.append(TurnSeen(role="user", content=text_of(message), images=_pictures(message)))
    return found


def _pictures(message: Message) -> list[str]:
    parts: Any = message.get("content")
    parts = parts if isinstance(parts, list) else []
    return [part["image_url"]["url"] for part in parts if part.get("type") == "image_url"]


def _digest(subject: str) -> str:
    return hashlib.sha256(subject.encode()).hexdigest()[:24]


def _key(subject: str, session_id: str) -> str:
    """The id in the store: under the subject's digest, so that no id of one subject is one of another."""
    digest = hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()[:40]
    return f"http.{_digest(subject)}:{digest}"
