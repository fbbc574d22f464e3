"""The conversations of subjects: whose session is which, what it is called, and what it is told first."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from agentkit.message import Message, text_of
from agentkit.wording import in_a_line

SYSTEM_PROMPT = "You are a helpful AI assistant."

MOST_NAME = 60


class UnknownSessionError(Exception):
    """There is no such session, or it is another subject's."""


class UnknownPromptError(Exception):
    """There is no such system prompt."""


@dataclass(frozen=True)
class About:
    """What is kept of a session beside what is said."""

    name: str = ""
    system_prompt: str = SYSTEM_PROMPT
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
    _notes: dict[str, Notes] = field(default_factory=dict)

    def single(self, body: ChatBody) -> UserInput:
        """What a single shot asks: the messages as they are."""
        messages: list[dict[str, Any]] = [turn.model_dump() for turn in body.messages]
        return UserInput(None, messages=messages, sampling=body.sampling, tools=self.tools)

    def next(self, subject: str, body: SessionBody) -> tuple[UserInput, About]:
        """What the next message of a session asks; the first sets its name and its system prompt. Raises
        UnknownPromptError, SessionError."""
        key = _key(subject, body.session_id)
        known = self._of(subject).all().get(body.session_id)
        about = About(**json.loads(known)) if known and key in self.answerer.sessions else None
        if about is None:
            about = self._first(subject, body)
            self._note(subject, body.session_id, about)
        asked = UserInput(body.said, key, system_prompt=about.system_prompt, sampling=body.sampling, tools=self.tools)
        return asked, about

    def _first(self, subject: str, body: SessionBody) -> About:
        name = in_a_line(body.message, MOST_NAME)
        if body.system_prompt is not None and body.system_prompt.strip():
            return About(name, body.system_prompt)
        if body.prompt is None:
            return About(name)
        version = self.version(body.prompt, f"{subject}\n{body.session_id}")
        return About(name, version.text, version.prompt, version.version)

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
        self._note(subject, session_id, About(name, about.system_prompt, about.prompt, about.version))

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

    def _of(self, subject: str) -> Notes:
        digest = _digest(subject)
        return self._notes.setdefault(digest, Notes(self.answerer.sessions, f"http.{digest}.names"))


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
