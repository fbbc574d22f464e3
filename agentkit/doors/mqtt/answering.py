"""One message in, one answer out: what the bridge and the HTTP service both do with a user's words."""

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from agentkit import (
    Agent,
    Limits,
    ReplyFinished,
    ReplyStarted,
    Session,
    SessionError,
    TextDelta,
    Tool,
    Window,
)
from agentkit.backend import Request
from agentkit.backends import OpenAIBackend
from agentkit.doors.loading import load
from agentkit.doors.mqtt import maze
from agentkit.doors.mqtt.projects import Project
from agentkit.doors.mqtt.wire import UserMessage, session_key
from agentkit.message import Message, text_of, user
from agentkit.session import Entry, SessionInfo, Sessions
from agentkit.transcript import Transcript
from agentkit.wording import in_a_line

logger = logging.getLogger("agentkit")

RESET = "[Session history was too long and was reset]\n\n"
NO_ANSWER = "Error: the model gave no answer."


@dataclass
class Templates:
    """System prompts that were sent while the bridge runs: for a project, and for single sessions. They are kept in a
    session of the store, so that a restart does not lose them."""

    sessions: Sessions
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _known: dict[str, dict[str, str]] = field(default_factory=dict)
    _read: dict[str, int] = field(default_factory=dict)

    def set(self, project: Project, session: str | None, text: str) -> None:
        """Set the prompt of a session, or of all sessions and those to come."""
        name = "*" if session is None else session_key(project, session)
        self._kept(project).append([{"role": "system", "content": text, "name": name}])

    def prompt(self, message: UserMessage) -> str:
        """The system prompt of a message: its own, its session's, the project's."""
        if message.system_prompt:
            return message.system_prompt
        with self._lock:
            known = self._of(message.project)
            return known.get(message.key) or known.get("*") or message.project.system_prompt

    def _kept(self, project: Project) -> Session:
        return self.sessions[f"{project.name}.templates"]

    def _of(self, project: Project) -> dict[str, str]:
        """What is known, and what was written since, perhaps by another bridge."""
        known = self._known.setdefault(project.name, {})
        new = self._kept(project).entries(self._read.get(project.name, 0))
        self._read[project.name] = self._read.get(project.name, 0) + len(new)
        for entry in new:
            name = str(entry.value.get("name"))
            if name == "*":
                known.clear()
            known[name] = text_of(entry.value)
        return known


class Answerer:
    """Answers messages from a model server and a store of sessions; shared by threads.

    history_tokens: of a session, that are sent. calls_at_once: to the model server.
    """

    def __init__(
        self,
        backend: OpenAIBackend,
        sessions: Sessions,
        *,
        history_tokens: int = 10_000,
        calls_at_once: int = 8,
    ) -> None:
        self.sessions = sessions
        self.templates = Templates(sessions)
        self._backend = backend
        self._window = Window(history_tokens)
        self._room = threading.BoundedSemaphore(calls_at_once)
        self._tools: dict[str, list[Tool[..., Any] | Callable[..., Any]]] = {}

    def test(self) -> None:
        """Ask the model server for a word. Raises the openai package's APIError when it can't be used."""
        with closing(self._backend.with_sampling(max_tokens=1).reply(Request(Transcript([user("Hello")])))) as pieces:
            for _ in pieces:
                pass

    def answer(self, message: UserMessage, tell: Callable[[str], object] | None = None) -> str | None:
        """The answer to a user's message; None when it was answered before. tell: told of its text as it comes.

        A model server that fails is an answer that begins with "Error: ", which the session does not keep.
        """
        session = self.sessions[message.key]
        begun = self._begun(message, session)
        if begun.is_answered or begun.is_said:
            return None if begun.is_answered else begun.text
        agent = self._agent(message, self._tools_of(message.project), self.templates.prompt(message))
        try:
            with self._room, agent.stream(None if begun.is_asked else message.text, session=session) as run:
                for event in run:
                    if tell is not None and isinstance(event, TextDelta):
                        tell(event.text)
                result = run.result
        except Exception as error:  # noqa: BLE001 - whatever fails is told to the client
            return self._failed(session, error)
        assert result is not None
        return _told(result.output, _Begun.read(session.entries(begun.start)).is_cut)

    def note_answered(self, message: UserMessage) -> None:
        """Note that the client has the answer to this request."""
        if message.mark:
            with self.sessions[message.key].hold() as writer:
                writer.note_request(message.mark, "answered")

    def knows(self, key: str) -> bool:
        """Whether there is a session of that id in the store."""
        return key in self.sessions

    def is_busy(self, message: UserMessage) -> bool:
        """Whether somebody is answering in its session just now."""
        return self.sessions[message.key].is_held

    def _begun(self, message: UserMessage, session: Session) -> "_Begun":
        """How far the answer to a message is: a bridge may have been killed that had begun it. It is begun now."""
        entries = session.entries()
        begun = _Begun.of(message, entries)
        if message.mark and not begun.is_begun:
            with session.hold() as writer:
                writer.note_request(message.mark, "begun")
        return begun

    def sessions_of(self, project: Project) -> list[str]:
        """The sessions of a project, by their ids in the store."""
        return [info.id for info in self._kept(project)]

    def _kept(self, project: Project) -> list[SessionInfo]:
        return [info for info in self.sessions.list() if info.id.startswith(f"{project.name}:")]

    def tidy(self, project: Project, most: int, idle_seconds: float) -> None:
        """Drop the histories of a project that are idle for so long, and the oldest of more than `most`."""
        kept = self._kept(project)
        now = datetime.now(UTC)
        old = [info.id for info in kept if (now - info.updated).total_seconds() > idle_seconds]
        self.forget({*old, *(info.id for info in kept[most:])})

    def forget(self, keys: Iterable[str]) -> None:
        """Forget the histories of sessions."""
        for key in keys:
            with contextlib.suppress(SessionError):
                self.sessions.delete(key)

    def hint(self, message: UserMessage, state: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the maze gets for a state: the reply's text, and a key for each function that the model called; None
        when it was answered before."""
        session = self.sessions[message.key]
        begun = self._begun(message, session)
        if begun.is_answered:
            return None
        if begun.replies:
            return _hint(begun.replies[0])
        text = maze.state_message(state, *_repeats(session, maze.state_message(state)))
        agent = self._agent(message, list(maze.tools()), self.templates.prompt(message))
        reply: Message | None = None
        try:
            with self._room, agent.stream(None if begun.is_asked else text, session=session) as run:
                for event in run:
                    if isinstance(event, ReplyStarted) and event.turn > 1:
                        break  # the calls are the game's: the model is not asked what to make of them
                    if isinstance(event, ReplyFinished):
                        reply = event.reply.message
        except Exception as error:  # noqa: BLE001 - whatever fails is told to the client
            return {"hint": self._failed(session, error)}
        return _hint(reply) if reply is not None else {"hint": NO_ANSWER}

    def _agent(self, message: UserMessage, tools: list[Tool[..., Any] | Callable[..., Any]], prompt: str) -> Agent:
        choice = {"tool_choice": message.project.tool_choice} if tools and message.project.tool_choice else {}
        backend = self._backend.with_sampling(**{**message.project.sampling, **choice, **message.sampling})
        return Agent(backend, tools=tools, instructions=prompt, window=self._window, limits=Limits(turns=10))

    def _tools_of(self, project: Project) -> list[Tool[..., Any] | Callable[..., Any]]:
        if project.name not in self._tools:
            self._tools[project.name] = [tool for name in project.tools for tool in load(name)]
        return self._tools[project.name]

    def _failed(self, session: Session, error: Exception) -> str:
        """The answer for a failure; the message that got it is taken back, so that it is no part of the history."""
        logger.warning("a message of session %s got no answer: %s", session.id, type(error).__name__, exc_info=True)
        with contextlib.suppress(SessionError), session.hold() as writer:
            messages = session.messages
            places = [place for place, each in enumerate(messages) if each["role"] == "user"]
            if places:
                writer.undo(len(messages) - places[-1])
        return f"Error: {in_a_line(str(error), 300)}"


def process_user_input_with_llm(
    answerer: Answerer, message: UserMessage, tell: Callable[[str], object] | None = None
) -> str | None:
    """The answer to a user's message, None when it was answered before: the one way that leads from each door to the
    model."""
    return answerer.answer(message, tell)


@dataclass
class _Begun:
    """What the log of a session tells of one request. start: of its entries. is_asked: the message is in the log."""

    is_begun: bool = False
    is_answered: bool = False
    is_asked: bool = False
    is_cut: bool = False
    replies: list[Message] = field(default_factory=list)
    is_said: bool = False
    start: int = 0

    @classmethod
    def of(cls, message: UserMessage, entries: Sequence[Entry]) -> "_Begun":
        """What is known of a message."""
        begins = [place for place, entry in enumerate(entries) if _is_mark(entry, "begun")]
        own = [place for place in begins if entries[place].value.get("id") == message.mark]
        if not (message.mark and own and message.is_known_again):
            return cls(start=len(entries))
        end = next((place for place in begins if place > own[-1]), len(entries))
        found = cls.read(entries[own[-1] : end])
        found.is_answered = any(
            _is_mark(entry, "answered") and entry.value.get("id") == message.mark for entry in entries[own[-1] :]
        )
        found.start = own[-1]
        return found

    @classmethod
    def read(cls, entries: Sequence[Entry]) -> "_Begun":
        """What was done since a request was begun."""
        found = cls(is_begun=True)
        for entry in entries:
            if entry.kind == "view":
                found.is_cut = True
            elif entry.kind == "undo":
                found = cls(is_begun=True)
            elif entry.kind == "message":
                found._add(entry.value)
        return found

    def _add(self, message: Message) -> None:
        if message["role"] == "user":
            self.is_asked = True
        elif message["role"] == "assistant":
            self.replies.append(message)
        self.is_said = message["role"] == "assistant" and not message.get("tool_calls")

    @property
    def text(self) -> str:
        """The answer for the client."""
        return _told(text_of(self.replies[-1]) if self.replies else "", self.is_cut)


def _told(said: str, is_cut: bool) -> str:
    return (RESET if is_cut else "") + (said.strip() or NO_ANSWER)


def _is_mark(entry: Entry, state: str) -> bool:
    return entry.kind == "request" and entry.value.get("state") == state


def _hint(reply: Message) -> dict[str, Any]:
    return maze.hint_payload(text_of(reply).strip(), list(reply.get("tool_calls") or ()))


def _repeats(session: Session, state: str) -> tuple[int, int]:
    """How often the same state, and the same answer, have come before in a row."""
    messages = session.messages[-60:]
    states = [text_of(each).partition("\n\n")[0] for each in messages if each["role"] == "user"]
    answers = [_answer_of(each) for each in messages if each["role"] == "assistant"]
    same = _in_a_row([*states, state]) - 1
    return same, max(0, _in_a_row(answers) - 1)


def _in_a_row(texts: list[str]) -> int:
    """How many of the last are the same."""
    count = 0
    for text in reversed(texts):
        if text != texts[-1]:
            break
        count += 1
    return count


def _answer_of(message: Any) -> str:
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return text_of(message) + json.dumps(calls)
