"""What the clients of a project get: answers to what users say, hints for states of the maze."""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from agentkit import Session
from agentkit._text import in_a_line
from agentkit.event import Event, ReplyFinished, ReplyStarted, TextDelta
from agentkit.message import Message, text_of
from agentkit.serving.chat_service import ChatService, process_user_input_with_llm, rolled_back
from agentkit.serving.exchange import Answer, UserInput
from agentkit.serving.key_values import KeyValueStore
from agentkit.serving.mqtt import maze
from agentkit.serving.mqtt.payloads import UserMessage, session_key
from agentkit.serving.mqtt.projects import Project
from agentkit.serving.tool_loading import AnyTool, load
from agentkit.session import SessionInfo, Sessions

logger = logging.getLogger("agentkit.mqtt")
messages = logging.getLogger("agentkit.mqtt.messages")

MAX_TEMPLATES = 1000

RESET = "[Session history was too long and was reset]\n\n"
NO_ANSWER = "Error: the model gave no answer."


class Templates:
    """System prompts that were sent while the bridge runs: for a project, and for single sessions, of which the last
    MOST_TEMPLATES are kept."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._notes: dict[str, KeyValueStore] = {}

    def set(self, project: Project, session: str | None, text: str) -> None:
        """Set the prompt of a session, or of all sessions and those to come."""
        name = "*" if session is None else session_key(project, session)
        notes = self._of(project)
        notes.set(name, text, alone=session is None)
        for old in [each for each in notes.all() if each != "*"][:-MAX_TEMPLATES]:
            notes.set(old, "")

    def drop(self, project: Project, session: str | None) -> None:
        """Forget the prompt of a session, or of all."""
        name = "*" if session is None else session_key(project, session)
        self._of(project).set(name, "", alone=session is None)

    def prompt(self, message: UserMessage) -> str:
        """The system prompt of a message: its own, its session's, the project's."""
        if message.system_prompt:
            return message.system_prompt
        notes = self._of(message.project)
        return notes.get(message.key) or notes.get("*") or message.project.system_prompt

    def _of(self, project: Project) -> KeyValueStore:
        return self._notes.setdefault(project.name, KeyValueStore(self._sessions, f"{project.name}.templates"))


class Responder:
    """Shared by threads."""

    def __init__(self, answerer: ChatService) -> None:
        self.answerer = answerer
        self.sessions = answerer.sessions
        self.templates = Templates(answerer.sessions)
        self._tools: dict[str, tuple[AnyTool, ...]] = {}

    def answer(self, message: UserMessage, tell: Callable[[str], object] | None = None) -> str | None:
        """The answer to a user's message; None when it was answered before. tell: told of its text as it comes.

        A model server that fails is an answer that begins with "Error: ", which the session does not keep.
        """

        def tell_text(event: Event) -> None:
            if tell is not None and isinstance(event, TextDelta):
                tell(event.text)

        try:
            asked = self._asked(message, message.text, self._tools_of(message.project))
            answer = process_user_input_with_llm(self.answerer, asked, tell_text)
        except Exception as error:  # noqa: BLE001 - whatever fails is told to the client
            return _failed(message, error)
        return None if answer is None else _told(answer)

    def hint(self, message: UserMessage, state: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the maze gets for a state: the reply's text, and a key for each function that the model called; None
        when it was answered before."""
        session = self.sessions[message.key]
        text = maze.state_message(state, *_repeats(session, maze.state_message(state)))
        asked = self._asked(message, text, tuple(maze.tools()))
        begun = self.answerer.begin(asked)
        if begun.is_answered:
            return None
        if begun.replies:
            return _hint(begun.replies[0])
        reply: Message | None = None
        try:
            agent, prompt = self.answerer.agent(asked), None if begun.is_asked else text
            with rolled_back(session, text), self.answerer.room, agent.stream(prompt, session=session) as run:
                for event in run:
                    if isinstance(event, ReplyStarted) and event.turn > 1:
                        break  # the calls are the game's: the model is not asked what to make of them
                    if isinstance(event, ReplyFinished):
                        reply = event.reply.message
        except Exception as error:  # noqa: BLE001 - whatever fails is told to the client
            return {"hint": _failed(message, error)}
        return _hint(reply) if reply is not None else {"hint": NO_ANSWER}

    def note_answered(self, message: UserMessage) -> None:
        """Note that the client has the answer to this request."""
        self.answerer.note_answered(message.key, message.log_id)

    def knows(self, key: str) -> bool:
        """Whether there is a session of that id in the store."""
        return key in self.sessions

    def is_busy(self, message: UserMessage) -> bool:
        """Whether somebody is answering in its session just now."""
        return self.sessions[message.key].is_held

    def sessions_of(self, project: Project) -> list[str]:
        """The sessions of a project, by their ids in the store."""
        return [info.id for info in self._kept(project)]

    def _kept(self, project: Project) -> list[SessionInfo]:
        return [info for info in self.sessions.list() if info.id.startswith(f"{project.name}:")]

    def tidy(self, project: Project, max_sessions: int, idle_seconds: float) -> None:
        """Drop the histories of a project that are idle for so long, and the oldest of more than `max_sessions`."""
        kept = self._kept(project)
        now = datetime.now(UTC)
        old = [info.id for info in kept if (now - info.updated).total_seconds() > idle_seconds]
        self.answerer.forget({*old, *(info.id for info in kept[max_sessions:])})

    def _asked(self, message: UserMessage, text: str, tools: tuple[AnyTool, ...]) -> UserInput:
        project = message.project
        choice = {"tool_choice": project.tool_choice} if tools and project.tool_choice else {}
        return UserInput(
            text,
            message.key,
            system_prompt=self.templates.prompt(message),
            sampling={**project.sampling, **choice, **message.sampling},
            tools=tools,
            request_id=message.log_id,
            is_retry=message.is_retry,
        )

    def _tools_of(self, project: Project) -> tuple[AnyTool, ...]:
        if project.name not in self._tools:
            self._tools[project.name] = tuple(tool for name in project.tools for tool in load(name))
        return self._tools[project.name]


def _failed(message: UserMessage, error: Exception) -> str:
    """The answer for a failure."""
    # Without its text, and without a traceback, whose last line has it: servers quote in errors what was said.
    status = getattr(error, "status_code", "")
    logger.warning("a message of session %s got no answer: %s %s", message.key, type(error).__name__, status)
    messages.debug("failed", exc_info=error)
    return f"Error: {in_a_line(str(error), 300)}"


def _told(answer: Answer) -> str:
    return (RESET if answer.was_cut else "") + (answer.text or NO_ANSWER)


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
