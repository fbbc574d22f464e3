"""What clients send and where answers go: payloads and topics, read without trust.

A payload is at most MOST_BYTES; JSON that is broken or too deep, bytes that are no UTF-8, and fields of a wrong type
are borne as far as a message can be made out. Of what a client names nothing gets into a topic or a store unchecked.
"""

import hashlib
import json
import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from agentkit.serving.mqtt.projects import FORBIDDEN, Project, is_plain_topic

logger = logging.getLogger("agentkit")

MAX_BYTES = 1_000_000
MAX_ID_BYTES = 512
MAX_TEMPLATE = 60_000
_ODD = re.compile(f"[/+#%{FORBIDDEN}]")
_NUMBERS = {"temperature": "temperature", "topP": "top_p", "maxTokens": "max_tokens"}


class BadPayloadError(ValueError):
    """A payload that no message can be made of; the text says why, without the payload."""


@dataclass(frozen=True)
class UserMessage:
    """One message of a client. session: its id, as the client calls it. reply_topic: where the answer goes. sampling:
    what it says of temperature and the like. request_id: by which it knows the answer, or "". mark: by which the log of
    its session knows the message, or "". is_known_again: whether another message with this mark is the same."""

    project: Project
    session: str
    text: str
    reply_topic: str
    sampling: Mapping[str, Any] = field(default_factory=dict)
    system_prompt: str | None = None
    client_id: str = ""
    request_id: str = ""
    stream: bool = False
    log_id: str = ""
    is_retry: bool = True

    @property
    def usual_topic(self) -> str:
        """Where the answer goes when the client asks for no other topic."""
        return f"{self.project.answers}/{topic_level(self.session)}"

    @property
    def answered_session(self) -> str:
        """The session that its reply topic names: the level behind the topics of answers."""
        return unquote(self.reply_topic.removeprefix(f"{self.project.answers}/").strip("/").partition("/")[0])

    @property
    def key(self) -> str:
        """The id of its session in a store."""
        return session_key(self.project, self.session)


@dataclass(frozen=True)
class Command:
    """A change of sessions: "template", "clear" or "delete". session: None means all of the project."""

    project: Project
    kind: str
    session: str | None
    template: str = ""
    reset: bool = True


def read_user_message(project: Project, payload: bytes, response_topic: str | None = None) -> UserMessage | None:
    """A message from `P/user_input`; None for a blank one. response_topic: MQTT 5's, where the payload has no
    replyTopic. Raises BadPayloadError."""
    told = _json_of(payload)
    if not isinstance(told, dict):
        text = told if isinstance(told, str) else _text_of(payload)
        return _message(project, {"message": text, "replyTopic": response_topic}) if text.strip() else None
    message = told.get("message")
    if message is not None and not isinstance(message, str):
        told = {**told, "message": json.dumps(message, ensure_ascii=False)}
    if not str(told.get("message") or "").strip():
        return None
    return _message(project, {**told, "replyTopic": told.get("replyTopic") or response_topic})


def read_state(project: Project, payload: bytes) -> tuple[UserMessage, dict[str, Any]]:
    """A state of the maze, and the message that asks for a hint. Raises BadPayloadError."""
    told = _json_of(payload)
    if not isinstance(told, dict):
        raise BadPayloadError("a state is a JSON object")
    session = session_of(told)
    topic = f"{project.hints}/{topic_level(session)}"
    return UserMessage(project, session, "state", topic, request_id=_short(told.get("requestId"))), told


def _message(project: Project, told: Mapping[str, Any]) -> UserMessage:
    session = session_of(told)
    return UserMessage(
        project,
        session,
        str(told["message"]),
        _reply_topic(project, session, told.get("replyTopic")),
        {name: value for key, name in _NUMBERS.items() if (value := _number(key, told.get(key))) is not None},
        _prompt_of(told),
        _short(told.get("clientId")),
        _short(told.get("requestId")),
        told.get("stream") is True,
    )


def session_of(told: Mapping[str, Any]) -> str:
    """The session's id; a new one where none is told. Raises BadPayloadError for one that is too long."""
    given = told.get("sessionId")
    if isinstance(given, bool) or not isinstance(given, str | int | float) or not str(given).strip():
        return f"default-{secrets.token_hex(4)}"
    session = str(given).strip()
    if len(session.encode("utf-8", "replace")) > MAX_ID_BYTES:
        raise BadPayloadError(f"the session's id has more than {MAX_ID_BYTES} bytes")
    return session


def topic_level(session: str) -> str:
    """A session's id as one level of a topic: what would make more levels of it, a wildcard, or what MQTT forbids, is
    percent-encoded."""
    return "".join(quote(letter, safe="", errors="replace") if _ODD.match(letter) else letter for letter in session)


def session_key(project: Project, session: str) -> str:
    """The id of a session in a store: as it is where it can be one, else by its digest."""
    plain = session.isascii() and all(letter.isalnum() or letter in "_.-" for letter in session) and len(session) <= 60
    if plain and not session.startswith("sha256-"):
        return f"{project.name}:{session}"
    return f"{project.name}:sha256-{hashlib.sha256(session.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"


def _reply_topic(project: Project, session: str, given: Any) -> str:
    """Where the answer goes: what the client asks for, if it is a topic of answers."""
    usual = f"{project.answers}/{topic_level(session)}"
    if given is None or given == usual:
        return usual
    rest = given.removeprefix(f"{project.answers}/") if isinstance(given, str) else ""
    if rest == given or not rest.strip("/") or not is_plain_topic(given):
        logger.warning("a replyTopic is ignored that is no topic of answers of project %s", project.name)
        return usual
    return str(given)


def _prompt_of(told: Mapping[str, Any]) -> str | None:
    template = told.get("prompt_template")
    for given in (told.get("systemPrompt"), template.get("content") if isinstance(template, Mapping) else None):
        if isinstance(given, str) and given.strip():
            return given
    return None


def _number(key: str, value: Any) -> float | int | None:
    """A number in the bounds that servers take; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if key == "maxTokens":
        return int(value) if 1 <= value <= 1_000_000 else None
    upper = 1.0 if key == "topP" else 5.0
    return value if 0 <= value <= upper else None


def read_command(project: Project, kind: str, level: str | None, payload: bytes) -> Command:
    """A change of sessions. level: the topic's last level, where it names a session. Raises BadPayloadError."""
    told = _json_of(payload)
    if told is None and payload.strip():  # broken, or plain text: not to be taken for "all"
        told = _text_of(payload) if kind != "template" and not payload.lstrip().startswith((b"{", b"[")) else []
    told = {} if told is None else told if isinstance(told, dict) else {"target": told}
    named = [each for each in map(told.get, ("sessionId", "session_id", "target")) if each is not None]
    if any(isinstance(each, bool) or not isinstance(each, str | int | float) for each in named):
        raise BadPayloadError("the session is a text or a number")
    session = next((str(each).strip() for each in named if str(each).strip()), unquote(level or ""))
    target = None if session in ("", "all") else session
    if kind != "template":
        return Command(project, kind, target)
    template = _template_of(told)
    if not template:
        raise BadPayloadError('a template has no text: {"template": "..."}')
    if len(template) > MAX_TEMPLATE:
        raise BadPayloadError(f"a template has {len(template):,} letters, and {MAX_TEMPLATE:,} are taken")
    return Command(project, kind, target, template, told.get("reset") is not False)


def _template_of(told: Mapping[str, Any]) -> str:
    for name in ("template", "system_prompt", "prompt_template"):
        given = told.get(name)
        if isinstance(given, Mapping):
            given = given.get("content") or given.get("template")
        if isinstance(given, str) and given.strip():
            return given
    return ""


def _json_of(payload: bytes) -> Any:
    """The JSON of a payload; None when it is none. Raises BadPayloadError when it is too large."""
    if len(payload) > MAX_BYTES:
        raise BadPayloadError(f"the payload has {len(payload):,} bytes, and {MAX_BYTES:,} are taken")
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None


def _text_of(payload: bytes) -> str:
    text = payload.decode("utf-8", "replace")
    if text.count("\ufffd") > len(text) // 4 or "\0" in text:
        raise BadPayloadError("the payload is neither JSON nor text")
    return text


def _short(value: Any) -> str:
    return str(value)[:200] if isinstance(value, str | int) and not isinstance(value, bool) else ""
