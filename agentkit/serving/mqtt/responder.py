"""Produces the responses to clients: answers to user messages, and hints for states of the maze."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit._text import in_a_line
from agentkit.backends.chat_protocol import laid_over
from agentkit.errors import RequestConflictError
from agentkit.event import Event, ReasoningDelta, ReplyDiscarded, TextDelta
from agentkit.message import Message, text_of
from agentkit.record import frame_of, last_frame
from agentkit.running.append_only import AppendOnlyText, ReplyChangedError
from agentkit.running.decisions import Approvals
from agentkit.serving.addresses import without_addresses
from agentkit.serving.chat_service import ChatService, DeliveredError, process_user_input_with_llm
from agentkit.serving.decisions import DecisionError, checked_decisions, waiting_record
from agentkit.serving.exchange import Answer, UserInput
from agentkit.serving.key_values import KeyValueStore
from agentkit.serving.mqtt import maze
from agentkit.serving.mqtt.idle import IdleTimes
from agentkit.serving.mqtt.payloads import Command, UserMessage, in_session, session_key
from agentkit.serving.mqtt.projects import Project
from agentkit.serving.tool_loading import AnyTool, load
from agentkit.session import INTERNAL, SessionInfo, Sessions

logger = logging.getLogger("agentkit.mqtt")
messages = logging.getLogger("agentkit.mqtt.messages")

MAX_TEMPLATES = 1000
MORE_TEMPLATES = 100
"""How many more there are before the oldest are deleted: each deletion writes those anew that stay."""

RESET = "[Session history was too long and was reset]\n\n"
NO_ANSWER = "Error: the model gave no answer."
OVERTAKEN = (
    "is that of a message which has called tools that may have had effects, before another message was answered: it is "
    "not asked again; to ask it all the same, use a new one"
)


Deliver = Callable[[str, Callable[[], None]], object]
"""What is called with the text of an answer, and with what records that it was delivered."""


@dataclass(frozen=True)
class Response:
    """What a client is sent. is_error: whether it is a failure, after which the client may send its request again."""

    text: str
    is_error: bool = False


class Templates:
    """System prompts that clients set at run time, for a project or a single session.

    Those of the last MAX_TEMPLATES sessions are kept, at least. They are stored in the session store.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._stores: dict[str, KeyValueStore] = {}

    def set(self, project: Project, session: str | None, text: str) -> None:
        """Set the prompt of a session, or of all current and future sessions of the project."""
        name = "*" if session is None else session_key(project, session)

        def made(known: Mapping[str, str]) -> Mapping[str, str]:
            others = [each for each in known if each not in ("*", name)]
            if session is None:
                return {**dict.fromkeys(others, ""), name: text}
            too_many = len(others) >= MAX_TEMPLATES + MORE_TEMPLATES
            return {**dict.fromkeys(others[:-MAX_TEMPLATES] if too_many else (), ""), name: text}

        self._of(project).change(made)

    def drop(self, project: Project, session: str | None) -> None:
        """Delete the prompt of a session, or of all sessions."""
        name = "*" if session is None else session_key(project, session)
        self._of(project).set(name, "", alone=session is None)

    def prompt(self, message: UserMessage) -> str:
        """The system prompt for a message: from the message, its session, or its project, in that order."""
        if message.system_prompt:
            return message.system_prompt
        return self._of(message.project).first(message.key, "*") or message.project.system_prompt

    def _of(self, project: Project) -> KeyValueStore:
        return self._stores.setdefault(
            project.name, KeyValueStore(self._sessions, f"{INTERNAL}{project.name}.templates")
        )


class Responder:
    """Answers messages through a chat service. Thread-safe."""

    def __init__(self, service: ChatService) -> None:
        self.service = service
        self.sessions = service.sessions
        self.templates = Templates(service.sessions)
        self.idle_times = IdleTimes()
        self._tools: dict[str, tuple[AnyTool, ...]] = {}

    def answer(
        self,
        message: UserMessage,
        on_frame: Callable[[Mapping[str, Any]], object] | None = None,
        deliver: Deliver | None = None,
    ) -> Response | None:
        """The answer to a user message; None when its client has it already.

        Where the run stops for calls that wait for a person it is JSON: {"stopped": "approval", "text": ..., "asked":
        ..., "pending": [...]}. on_frame: called with each frame of the answer but those of its reasoning
        (`agentkit.record.frame_of`), with these calls ({"approval": ...}), and last with its usage. {"discarded": true}
        means that what was sent of a reply is not a part of it, and that no more text of that reply follows. deliver:
        called with the answer, and with what records that it was delivered, while the session is still locked. When the
        model server fails, returns a text that begins with "Error: ", which is not kept in the session.
        """

        on_event = None if on_frame is None else _framing(on_frame, AppendOnlyText(self.service.late_reasoning))

        def text_of_answer(answer: Answer) -> str:
            if on_frame is not None:
                if answer.waiting is not None:
                    on_frame({"approval": waiting_record(answer.waiting)})
                on_frame(last_frame(answer.usage, answer.stopped))
            return _answer_text(answer) if answer.waiting is None else _waiting_answer(message, answer)

        def user_input() -> UserInput:
            return self._user_input(message, message.text, self._tools_of(message.project))

        return self._response(message, user_input, text_of_answer, deliver, on_event)

    def hint(self, message: UserMessage, state: Mapping[str, Any], deliver: Deliver | None = None) -> Response | None:
        """The hint for a state of the maze as JSON: the reply's text, and a key for each function that the model
        called. deliver: as of `answer`.

        Returns None when the client has it already.
        """

        def text(earlier: Sequence[Message]) -> str:
            return maze.state_message(state, *_repeats(earlier, maze.state_message(state)))

        def text_of_answer(answer: Answer) -> str:
            replies = (each for each in reversed(answer.result.messages) if each["role"] == "assistant")
            reply = next(replies, None)
            return _as_json(_hint(reply) if reply is not None else {"hint": NO_ANSWER})

        def user_input() -> UserInput:
            return self._user_input(message, text, tuple(maze.tools()))

        response = self._response(message, user_input, text_of_answer, deliver)
        if response is not None and response.is_error:
            return Response(_as_json({"hint": response.text}), is_error=True)
        return response

    def _response(
        self,
        message: UserMessage,
        made: Callable[[], UserInput],
        text_of_answer: Callable[[Answer], str],
        deliver: Deliver | None,
        on_event: Callable[[Event], object] | None = None,
    ) -> Response | None:
        """The answer to a message; None when its client has it already. An error that comes when the answer is there,
        as it may when the session is unlocked, is none for the client."""
        response: Response | None = None

        def on_answer(answer: Answer, record: Callable[[], None]) -> None:
            nonlocal response
            response = Response(text_of_answer(answer))
            if deliver is not None:
                deliver(response.text, record)

        try:
            user_input = made()
            streams = on_event is not None
            answer = process_user_input_with_llm(self.service, user_input, on_event, None, None, streams, on_answer)
            if messages.isEnabledFor(logging.DEBUG):
                sampling, asked = dict(user_input.sampling), answer.result.messages
                messages.debug("asked in session %s with %s: %s", user_input.session, sampling, _as_json(asked))
        except DeliveredError:
            return None
        except BaseException as error:  # noqa: BLE001 - any failure is reported to the client
            if response is None:
                return Response(_error_text(message, error), is_error=True)
            logger.warning("an error behind an answer: %s", type(error).__name__)
        return response

    def is_answered(self, message: UserMessage) -> bool:
        """Whether a message has its answer, which is no error. Raises RequestConflictError when its id was used for
        another message."""
        try:
            return self.service.is_answered(self._user_input(message, message.text, ()))
        except RequestConflictError as error:
            if error.was_overtaken:
                return False
            raise
        except DecisionError:
            return False

    def note_delivered(self, message: UserMessage) -> None:
        """Record that the answer to a request was delivered."""
        self.service.note_delivered(message.key, message.log_id)

    def knows(self, key: str) -> bool:
        """Whether the store has a session with this id."""
        return key in self.sessions

    def began(self, message: UserMessage) -> UserMessage:
        """A redelivered message that names no session, in the session in which it was begun, if there is one. Raises
        SessionError."""
        for info in self.sessions.list(prefix=message.new_sessions):
            if self.sessions[info.id].is_begun(message.log_id):
                return in_session(message, info.id)
        return message

    def obey(self, command: Command) -> None:
        """Change the sessions that a command names. Raises SessionError; it may be called again then."""
        project, session = command.project, command.session
        if command.kind == "template":
            self.templates.set(project, session, command.template)
        if command.kind == "delete":
            self.templates.drop(project, session)
        if not command.keeps_sessions:
            if not command.left:
                command.left.extend(self.sessions_of(project) if session is None else [session_key(project, session)])
            self.service.forget(command.left)

    def sessions_of(self, project: Project) -> list[str]:
        """The ids of a project's sessions in the store."""
        return [info.id for info in self._session_infos(project)]

    def _session_infos(self, project: Project) -> list[SessionInfo]:
        return self.sessions.list(prefix=f"{project.name}:")

    def tidy(self, project: Project, max_sessions: int, idle_seconds: float) -> None:
        """Drop a project's histories that are idle for over `idle_seconds`, and the oldest beyond `max_sessions`; those
        that are written to meanwhile stay."""
        self.idle_times.look()
        infos = self._session_infos(project)
        old = [info for info in infos if self.idle_times.seconds(info.updated) > idle_seconds]
        for info in {info.id: info for info in (*old, *infos[max_sessions:])}.values():
            self.sessions.delete_unchanged(info)

    def _user_input(
        self,
        message: UserMessage,
        text: str | Callable[[Sequence[Message]], str],
        tools: tuple[AnyTool, ...],
    ) -> UserInput:
        project = message.project
        choice = {"tool_choice": project.tool_choice} if tools and project.tool_choice else {}
        return UserInput(
            text if message.approve is None else None,
            message.key,
            system_prompt=self.templates.prompt(message),
            sampling={**choice, **laid_over(project.sampling, message.sampling)},
            tools=tools,
            request_id=message.log_id,
            content=message.text,
            is_retry=message.is_retry,
            approve=_decisions_in(message),
            asked=message.asked,
        )

    def _tools_of(self, project: Project) -> tuple[AnyTool, ...]:
        if project.name not in self._tools:
            self._tools[project.name] = tuple(
                tool for each in project.tools for tool in (load(each) if isinstance(each, str) else [each])
            )
        return self._tools[project.name]


def _framing(on_frame: Callable[[dict[str, Any]], object], text: AppendOnlyText) -> Callable[[Event], None]:
    """What makes frames of the events of a run."""

    def on_event(event: Event) -> None:
        if (frame := _frame_of(event, text)) is not None:
            on_frame(frame)

    return on_event


def _frame_of(event: Event, text: AppendOnlyText) -> dict[str, Any] | None:
    """The frame of an event; None for one without. text: what was sent so far."""
    try:
        said = text.take(event)
    except ReplyChangedError:
        return frame_of(ReplyDiscarded())
    if said:
        return frame_of(TextDelta(said))
    return None if isinstance(event, TextDelta | ReasoningDelta | ReplyDiscarded) else frame_of(event)


def _error_text(message: UserMessage, error: BaseException) -> str:
    """The answer to return for a failure."""
    # Log neither the error's text nor a traceback, whose last line contains it: servers quote messages in errors.
    status = getattr(error, "status_code", "")
    logger.warning("failed to answer a message of session %s: %s %s", message.key, type(error).__name__, status)
    messages.debug("failed", exc_info=error)
    if isinstance(error, RequestConflictError):  # the id in its text is the one in the log
        what = OVERTAKEN if error.was_overtaken else "was used before with another message: use a new one"
        return f"Error: the requestId {message.request_id!r:.80} {what}"
    request = getattr(error, "request", None)  # of openai's errors
    told = without_addresses(str(error), str(getattr(request, "url", "")))
    return f"Error: {in_a_line(told, 300)}"


def _answer_text(answer: Answer) -> str:
    return (RESET if answer.was_cut else "") + (answer.text or NO_ANSWER)


def _decisions_in(message: UserMessage) -> Approvals | None:
    """The decisions of a message. Raises DecisionError, also where `asked` is missing: any client may name any session,
    and only who has read the answer knows it."""
    if message.approve is None:
        return None
    if not message.asked:
        raise DecisionError("asked: is missing; send that of the answer which has the calls")
    return checked_decisions(message.approve)


def _waiting_answer(message: UserMessage, answer: Answer) -> str:
    """The answer where the run has stopped for calls that wait for a person."""
    assert answer.waiting is not None
    record = waiting_record(answer.waiting)
    says = {"stopped": answer.stopped, "sessionId": message.session, "requestId": message.request_id}
    text = next((text_of(each) for each in reversed(answer.result.messages) if each["role"] == "assistant"), "")
    return _as_json({**says, "text": text.strip(), "asked": record["asked"], "pending": record["calls"]})


def _as_json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, as JSON may have it: what is written as ASCII can be sent
        return json.dumps(value)
    return text


def _hint(reply: Message) -> dict[str, Any]:
    return maze.hint_payload(text_of(reply).strip(), list(reply.get("tool_calls") or ()))


def _repeats(earlier: Sequence[Message], state: str) -> tuple[int, int]:
    """How often the same state, and the same answer, were repeated immediately before."""
    messages = earlier[-60:]
    states = [text_of(each).partition("\n\n")[0] for each in messages if each["role"] == "user"]
    answers = [_answer_key(each) for each in messages if each["role"] == "assistant"]
    same = _repeated_at_end([*states, state]) - 1
    return same, max(0, _repeated_at_end(answers) - 1)


def _repeated_at_end(texts: list[str]) -> int:
    """How many of the last texts are equal."""
    count = 0
    for text in reversed(texts):
        if text != texts[-1]:
            break
        count += 1
    return count


def _answer_key(message: Any) -> str:
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return text_of(message) + json.dumps(calls)
