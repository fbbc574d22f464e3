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
from agentkit.message import ToolCall, text_of, user
from agentkit.session import Entry, SessionInfo, Sessions, messages_of
from agentkit.transcript import Due, Transcript, whats_due
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

    def set(self, project: Project, session: str | None, text: str) -> None:
        """Set the prompt of a session, or of all sessions and those to come."""
        name = "*" if session is None else session_key(project, session)
        with self._lock:
            known = self._of(project)
            if session is None:
                known.clear()
            known[name] = text
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
        if project.name not in self._known:
            found: dict[str, str] = {}
            for message in self._kept(project).messages:
                name = str(message.get("name"))
                if name == "*":
                    found.clear()
                found[name] = text_of(message)
            self._known[project.name] = found
        return self._known[project.name]


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

    def answer(self, message: UserMessage, tell: Callable[[str], object] | None = None) -> str:
        """The answer to a user's message. tell: told of its text as it comes.

        A model server that fails is an answer that begins with "Error: ", which the session does not keep.
        """
        session = self.sessions[message.key]
        entries = session.entries()
        known = self._begun(message, entries)
        if known is not None:
            return known
        before = len(entries)
        agent = self._agent(message, self._tools_of(message.project), self.templates.prompt(message))
        try:
            with self._room, agent.stream(_prompt(message, entries), session=session) as run:
                for event in run:
                    if tell is not None and isinstance(event, TextDelta):
                        tell(event.text)
                result = run.result
        except Exception as error:  # noqa: BLE001 - whatever fails is told to the client
            return self._failed(session, error)
        assert result is not None
        was_cut = any(entry.kind == "view" for entry in session.entries()[before:])
        return (RESET if was_cut else "") + (result.output.strip() or NO_ANSWER)

    def was_answered(self, message: UserMessage) -> bool:
        """Whether a bridge has answered this request before."""
        return _state_of(message, self.sessions[message.key].entries())[0] == "answered"

    def note_answered(self, message: UserMessage) -> None:
        """Note that the client has the answer to this request."""
        if message.request_id:
            with self.sessions[message.key].hold() as writer:
                writer.note_request(message.request_id, "answered")

    def _begun(self, message: UserMessage, entries: Sequence[Entry]) -> str | None:
        """Note that a request is being answered. Gives the answer that is there already, when a bridge was killed
        before it could send it."""
        if not message.request_id:
            return None
        state, last = _state_of(message, entries)
        if state == "begun":
            return last
        with self.sessions[message.key].hold() as writer:
            writer.note_request(message.request_id, "begun")
        return None

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

    def hint(self, message: UserMessage, state: Mapping[str, Any]) -> dict[str, Any]:
        """What the maze gets for a state: the reply's text, and a key for each function that the model called."""
        session = self.sessions[message.key]
        text = maze.state_message(state, *_repeats(session, maze.state_message(state)))
        agent = self._agent(message, list(maze.tools()), self.templates.prompt(message))
        said, calls = "", list[ToolCall]()
        try:
            with self._room, agent.stream(text, session=session) as run:
                for event in run:
                    if isinstance(event, ReplyStarted) and event.turn > 1:
                        break  # the calls are the game's: the model is not asked what to make of them
                    if isinstance(event, ReplyFinished):
                        said = text_of(event.reply.message).strip()
                        calls = list(event.reply.message.get("tool_calls") or ())
        except Exception as error:  # noqa: BLE001 - whatever fails is told to the client
            return {"hint": self._failed(session, error)}
        return maze.hint_payload(said, calls)

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
) -> str:
    """The answer to a user's message: the one way that leads from each door to the model."""
    return answerer.answer(message, tell)


def _state_of(message: UserMessage, entries: Sequence[Entry]) -> tuple[str, str | None]:
    """How far a request is, and the text that stands behind its beginning."""
    state, said, is_its_own = "", None, False
    for entry in entries:
        if entry.kind == "request":
            is_its_own = entry.value.get("id") == message.request_id
            state = str(entry.value.get("state")) if is_its_own else state
        elif entry.kind == "message" and is_its_own:
            reply = entry.value
            is_last_word = reply.get("role") == "assistant" and not reply.get("tool_calls")
            said = text_of(reply).strip() if is_last_word else None
    return state, said


def _prompt(message: UserMessage, entries: Sequence[Entry]) -> str | None:
    """The message; None to go on where a bridge was killed that had begun to answer it."""
    said, held = messages_of(entries)
    messages = said + held
    asked = [text_of(each) for each in messages if each["role"] == "user"]
    is_begun = whats_due(messages) is not Due.NOTHING and asked[-1:] == [message.text]
    return None if is_begun else message.text


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
