"""The conversations of subjects: whose session is which, what it is called, and what it is told first."""

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from agentkit._text import in_a_line
from agentkit.message import Message, ToolCall, is_shown_by_a_tool, system, text_of
from agentkit.serving.chat_service import ChatService
from agentkit.serving.exchange import UserInput
from agentkit.serving.http.prompts import Prompts, Version
from agentkit.serving.http.schemas import (
    ChatBody,
    History,
    PromptOut,
    SessionBody,
    SessionOut,
    ToolCallOut,
    TurnOut,
)
from agentkit.serving.key_values import KeyValueStore
from agentkit.serving.tool_loading import AnyTool

SYSTEM_PROMPT = "You are a helpful AI assistant."

MAX_NAME = 60
MAX_SUBJECTS = 1000
"""Whose lists of sessions are kept in memory."""


class UnknownSessionError(Exception):
    """There is no such session, or it is another subject's."""


class UnknownPromptError(Exception):
    """There is no such system prompt."""


@dataclass(frozen=True)
class SessionMeta:
    """What is kept of a session beside what is said. told: the name under which its system prompt is kept; prompt,
    version: of which system prompt of the service it is."""

    name: str = ""
    told: str = ""
    prompt: str = ""
    version: str = ""

    @property
    def seen(self) -> PromptOut | None:
        """The system prompt of the service that it has."""
        return PromptOut(name=self.prompt, version=self.version) if self.prompt else None


@dataclass
class Conversations:
    """Those of all subjects. Shared by threads."""

    answerer: ChatService
    tools: tuple[AnyTool, ...]
    prompts: Prompts

    def __post_init__(self) -> None:
        self._of = functools.lru_cache(MAX_SUBJECTS)(self._notes)

    def single(self, body: ChatBody) -> UserInput:
        """What a single shot asks: the messages as they are."""
        messages: list[dict[str, Any]] = [turn.model_dump() for turn in body.messages]
        return UserInput(None, messages=messages, sampling=body.sampling, tools=self.tools)

    def next(self, subject: str, body: SessionBody) -> tuple[UserInput, SessionMeta]:
        """What the next message of a session asks; the first sets its name and its system prompt. Raises
        UnknownPromptError, SessionError."""
        key = _key(subject, body.session_id)
        known = self._of(subject).get(body.session_id)
        about = SessionMeta(**json.loads(known)) if known is not None else self._first(subject, body)
        text = self._system_prompt(subject, about)
        asked = UserInput(body.said, key, system_prompt=text, sampling=body.sampling, tools=self.tools)
        return asked, about

    def _first(self, subject: str, body: SessionBody) -> SessionMeta:
        """Begin a session; of several that do so at once the first counts. The system prompt is kept once, however
        many sessions have it, and not in memory."""
        name, text, version = in_a_line(body.message, MAX_NAME), SYSTEM_PROMPT, None
        if body.system_prompt is not None and body.system_prompt.strip():
            text = body.system_prompt
        elif body.prompt is not None:
            version = self.version(body.prompt, f"{subject}\n{body.session_id}")
            text = version.text
        told = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]
        kept = self.answerer.sessions[f"http.{_digest(subject)}.prompt.{told}"]
        if not kept.entries():
            kept.append([system(text)])
        about = SessionMeta(name, told, version.prompt if version else "", version.version if version else "")
        noted = self._of(subject).add(body.session_id, _text(about))
        return SessionMeta(**json.loads(noted))

    def _system_prompt(self, subject: str, about: SessionMeta) -> str:
        said = self.answerer.sessions[f"http.{_digest(subject)}.prompt.{about.told}"].messages
        return text_of(said[0]) if said else SYSTEM_PROMPT

    def keep(self, subject: str, session_id: str, about: SessionMeta) -> None:
        """Note again what is known of a session that was forgotten while it was answered. Raises SessionError."""
        if self._of(subject).get(session_id) is None:
            self._of(subject).add(session_id, _text(about))

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
        """Forget a session. Raises UnknownSessionError, SessionBusyError at once, SessionError."""
        self._existing(subject, session_id)
        self.answerer.sessions.delete(_key(subject, session_id), wait=0.0)
        self._of(subject).set(session_id, "")

    def rename(self, subject: str, session_id: str, name: str) -> None:
        """Give a session a name for people. Raises UnknownSessionError, SessionError."""
        about = self._existing(subject, session_id)
        self._of(subject).set(session_id, _text(replace(about, name=name)))

    def list(self, subject: str) -> list[SessionOut]:
        """The sessions of a subject, the one that was written to last first. Raises SessionError."""
        known = {
            _key(subject, each): (each, SessionMeta(**json.loads(text)))
            for each, text in self._of(subject).all().items()
        }
        return [
            SessionOut(session_id=known[info.id][0], name=known[info.id][1].name, updated=info.updated.isoformat())
            for info in self.answerer.sessions.list()
            if info.id in known
        ]

    def _existing(self, subject: str, session_id: str) -> SessionMeta:
        known = self._of(subject).get(session_id)
        if known is None or _key(subject, session_id) not in self.answerer.sessions:
            raise UnknownSessionError("Session not found")
        return SessionMeta(**json.loads(known))

    def _notes(self, subject: str) -> KeyValueStore:
        return KeyValueStore(self.answerer.sessions, f"http.{_digest(subject)}.names")


def turns(messages: Sequence[Message]) -> list[TurnOut]:
    """What a user sees of a transcript: what was said, and with an answer the tool calls that it rests on."""
    found: list[TurnOut] = []
    due = TurnOut(role="assistant", content="")
    open_calls: dict[str, ToolCallOut] = {}  # of the last reply: servers give the same ids again in later ones

    def close() -> None:
        nonlocal due
        if due.content or due.tool_calls:
            found.append(due)
        due = TurnOut(role="assistant", content="")

    for message in messages:
        if message["role"] == "assistant":
            calls = [_seen(call) for call in message.get("tool_calls") or ()]
            open_calls = {call.id: call for call in calls}
            due.tool_calls += calls
            due.content = text_of(message)
            if not calls:
                close()
        elif message["role"] == "tool" and message.get("tool_call_id") in open_calls:
            open_calls[message["tool_call_id"]].response = text_of(message)
        elif is_shown_by_a_tool(message):
            due.images += _pictures(message)
        elif message["role"] == "user":
            close()  # a run that was stopped: its calls belong to no later answer
            found.append(TurnOut(role="user", content=text_of(message), images=_pictures(message)))
    close()
    return found


def _seen(call: ToolCall) -> ToolCallOut:
    return ToolCallOut(id=call["id"], name=call["function"]["name"], arguments=call["function"]["arguments"])


def _pictures(message: Message) -> list[str]:
    parts: Any = message.get("content")
    parts = parts if isinstance(parts, list) else []
    return [part["image_url"]["url"] for part in parts if part.get("type") == "image_url"]


def _text(about: SessionMeta) -> str:
    return json.dumps(asdict(about), ensure_ascii=False)


def _digest(subject: str) -> str:
    return hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _key(subject: str, session_id: str) -> str:
    """The id in the store: under the subject's digest, so that no id of one subject is one of another."""
    digest = hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()[:40]
    return f"http.{_digest(subject)}:{digest}"
