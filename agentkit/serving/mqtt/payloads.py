"""Parses untrusted payloads of clients, and determines the topics of answers.

Broken or too deeply nested JSON, invalid UTF-8 (agentkit.serving.mqtt.decoding), and fields of a wrong type are
tolerated as long as a message can be recognized. Names given by a client are checked or escaped before they are used in
a topic or a store.
"""

import contextlib
import difflib
import functools
import hashlib
import json
import logging
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote

from agentkit.serving.mqtt.decoding import (
    BadPayloadError,
    id_text,
    is_id,
    json_of,
    nearly_json_of,
    text_of,
)
from agentkit.serving.mqtt.field_names import SESSION, in_one_form
from agentkit.serving.mqtt.maze import STATE_FIELDS
from agentkit.serving.mqtt.model_fields import passed_on
from agentkit.serving.mqtt.projects import FORBIDDEN, Project, is_plain_topic
from agentkit.tooling.json_repair import cleaned

logger = logging.getLogger("agentkit")

MAX_ID_BYTES = 512
MAX_REQUEST_ID = 200
"""Maximum length of a requestId or clientId, in characters."""
MAX_TEMPLATE = 60_000
_ESCAPED = re.compile(f"[/+#%{FORBIDDEN}]")
_PLAIN = re.compile(r"[a-zA-Z0-9_.-]{0,60}")
_NUMBERS = {"temperature": "temperature", "topP": "top_p", "maxTokens": "max_tokens"}
_OWN = frozenset(
    (
        *(SESSION, "message", "systemPrompt", "prompt_template", "replyTopic", "clientId", "requestId", "stream"),
        *("approve", "asked"),
        *_NUMBERS,
    )
)
"""Fields of messages that mean something to the bridge; it passes all others on to the model server."""


_NAMING = (SESSION, "target")
"""Fields of commands with the id of a session."""
_TEMPLATE_FIELDS = ("template", "system_prompt", "prompt_template", "reset")


@dataclass(frozen=True)
class UserMessage:
    """A message of a client.

    session: the session's id as given by the client. text: the message; for a state of the maze what the model is told
    of it, for a decision its JSON. reply_topic: topic of the answer. sampling: fields of the model request:
    temperature, top_p and max_tokens, as far as given, and all that the bridge does not know. request_id: the client's
    id of the request, or "". log_id: the message's id in the log of its session, or "". is_retry: whether another
    message with this log_id is a duplicate of this one. approve: the decisions on calls of the session that wait for a
    person, as the client wrote them, None for a message; asked: of what the client has seen of them, or "".
    is_new_session: whether the client gave neither a session nor a requestId, so that it got a session of its own; in
    the store, the ids of the sessions of equal messages begin with `new_sessions`.
    """

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
    is_new_session: bool = False
    new_sessions: str = ""
    approve: Any = None
    asked: str = ""

    @functools.cached_property
    def default_topic(self) -> str:
        """The topic of the answer when the client requests no other one."""
        return f"{self.project.answers}/{topic_level(self.session)}"

    @functools.cached_property
    def key(self) -> str:
        """The id of its session in the store."""
        return session_key(self.project, self.session)


@dataclass(frozen=True)
class Command:
    """A command that changes sessions.

    kind: "template", "clear" or "delete". session: None means all sessions of the project. template: the new system
    prompt. reset: whether a new template also clears the history. left: the ids of the sessions that are still to be
    deleted, once that has begun: the next try leaves what was begun anew since.
    """

    project: Project
    kind: str
    session: str | None
    template: str = ""
    reset: bool = True
    left: list[str] = field(default_factory=list, compare=False)

    @property
    def keeps_sessions(self) -> bool:
        """Whether the sessions keep their histories."""
        return self.kind == "template" and not self.reset


def read_user_message(project: Project, payload: bytes, response_topic: str | None = None) -> UserMessage | None:
    """Parse a message on `P/user_input`, or a decision (`approve`); returns None for an empty one.

    response_topic: the MQTT 5 Response Topic, used when the payload has no replyTopic; it may be any topic, and the
    caller has to check whose it is. Raises BadPayloadError.
    """
    fields = nearly_json_of(payload)
    if not isinstance(fields, dict):
        text = fields if isinstance(fields, str) else text_of(payload)
        return _message(project, {"message": text}, response_topic, payload) if text.strip() else None
    fields = in_one_form(fields, _OWN)
    message = fields.get("message")
    if fields.get("approve") is not None and message is None:
        return _decision(project, fields, response_topic, payload)
    if message is not None and not isinstance(message, str):
        fields = {**fields, "message": json.dumps(message, ensure_ascii=False)}
    if not str(fields.get("message") or "").strip():
        return None
    return _message(project, fields, response_topic, payload)


def read_state(project: Project, payload: bytes) -> tuple[UserMessage, dict[str, Any]]:
    """Parse a state of the maze: returns the message that requests a hint, and the state. Raises BadPayloadError."""
    fields = nearly_json_of(payload)
    if not isinstance(fields, dict):
        raise BadPayloadError("a state must be a JSON object")
    try:
        fields = in_one_form(cleaned(fields), (*_OWN, *STATE_FIELDS))
    except RecursionError:
        raise BadPayloadError("the state is nested too deeply") from None
    new = _NewSession(b"state\n" + payload, fields)
    session = session_of(fields, new)
    topic = f"{project.hints}/{topic_level(session)}"
    message = UserMessage(
        project,
        session,
        "state",
        topic,
        _sampling_of(fields, STATE_FIELDS),
        _prompt_of(fields),
        request_id=_short_text(fields.get("requestId")),
        is_new_session=new.is_unnamed,
        new_sessions=new.prefix(project),
    )
    return message, fields


def _decision(project: Project, fields: Mapping[str, Any], response_topic: str | None, payload: bytes) -> UserMessage:
    """Raises BadPayloadError."""
    if not _has_session(fields):
        raise BadPayloadError("a decision (approve) needs a sessionId")
    asked = fields["asked"] if isinstance(fields.get("asked"), str) else ""
    try:
        approve = cleaned({"approve": fields["approve"]})["approve"]
        text = json.dumps({"approve": approve, "asked": asked}, sort_keys=True)
    except RecursionError:
        raise BadPayloadError("approve is nested too deeply") from None
    message = _message(project, {**fields, "message": text}, response_topic, payload)
    return replace(message, approve=approve, asked=asked)


def _message(project: Project, fields: Mapping[str, Any], response_topic: str | None, payload: bytes) -> UserMessage:
    new = _NewSession(f"{response_topic}\n".encode() + payload, fields)
    session = session_of(fields, new)
    given = fields.get("replyTopic")
    is_foreign = not given and response_topic is not None and _is_foreign(response_topic)
    return UserMessage(
        project,
        session,
        str(fields["message"]),
        str(response_topic) if is_foreign else _reply_topic(project, session, given or response_topic),
        _sampling_of(fields),
        _prompt_of(fields),
        _short_text(fields.get("clientId")),
        _short_text(fields.get("requestId")),
        _is_true(fields.get("stream")),
        is_new_session=new.is_unnamed,
        new_sessions=new.prefix(project),
    )


def _sampling_of(fields: Mapping[str, Any], others: Collection[str] = ()) -> dict[str, Any]:
    """The fields of the model request. others: names that mean something else. Raises BadPayloadError."""
    try:
        sampling = passed_on({key: value for key, value in fields.items() if key not in _OWN and key not in others})
    except ValueError as error:
        raise BadPayloadError(str(error)) from None
    for key, name in _NUMBERS.items():
        number = _number(key, fields.get(key))
        if number is not None:
            sampling[name] = number
    return sampling


class _NewSession:
    """The session of a message that names none. source: the bytes by which it is told from others.

    With a requestId, the same message has the same session each time, so that a repeated request is answered once.
    Without one, each has a session of its own; a redelivered packet finds its session by the beginning of its id.
    """

    def __init__(self, source: bytes, fields: Mapping[str, Any]) -> None:
        self.is_unnamed = not (_has_session(fields) or _short_text(fields.get("requestId")))
        self._name = f"default-{hashlib.sha256(source).hexdigest()[:24]}"

    @property
    def session(self) -> str:
        """Its id for clients."""
        return f"{self._name}-{secrets.token_hex(4)}" if self.is_unnamed else self._name

    def prefix(self, project: Project) -> str:
        """The beginning of its id in the store; "" where it has a requestId."""
        return session_key(project, f"{self._name}-") if self.is_unnamed else ""


def session_of(fields: Mapping[str, Any], new: _NewSession) -> str:
    """The session's id, or that of `new` if none is given. Raises BadPayloadError if it is too long."""
    if not _has_session(fields):
        return new.session
    session = id_text(fields[SESSION])
    if len(session.encode("utf-8", "replace")) > MAX_ID_BYTES:
        raise BadPayloadError(f"the session id is longer than {MAX_ID_BYTES} bytes")
    return session


def in_session(message: UserMessage, key: str) -> UserMessage:
    """A message that has got a session of its own, in another one. key: the id of that in the store."""
    session = key.removeprefix(f"{message.project.name}:")
    own = f"/{message.session}"
    topic = message.reply_topic
    return replace(
        message, session=session, reply_topic=f"{topic.removesuffix(own)}/{session}" if topic.endswith(own) else topic
    )


def _has_session(fields: Mapping[str, Any]) -> bool:
    given = fields.get(SESSION)
    return is_id(given) and bool(id_text(given))


def topic_level(session: str) -> str:
    """A session's id as one level of a topic.

    Level separators, wildcards, "%" and characters that MQTT forbids are percent-encoded.
    """
    return _ESCAPED.sub(lambda found: quote(found[0], safe="", errors="replace"), session)


def session_key(project: Project, session: str) -> str:
    """The id of a session in the store: the client's id if it is valid there, otherwise a digest of it."""
    if _PLAIN.fullmatch(session) and not session.startswith("sha256-"):
        return f"{project.name}:{session}"
    return f"{project.name}:sha256-{hashlib.sha256(session.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"


def _reply_topic(project: Project, session: str, given: Any) -> str:
    """The topic of the answer: the requested one if it is a valid topic of answers, otherwise the default."""
    default = f"{project.answers}/{topic_level(session)}"
    if given is None or given == default:
        return default
    rest = given.removeprefix(f"{project.answers}/") if isinstance(given, str) else ""
    if rest == given or not rest.strip("/") or not is_plain_topic(given):
        logger.warning("ignored a replyTopic that is not a valid topic of answers of project %s", project.name)
        return default
    return str(given)


def _is_foreign(topic: str) -> bool:
    """Whether a topic can be answered on, and is neither the broker's nor the bridges' own."""
    return is_plain_topic(topic) and not topic.startswith(("$", "agentkit/"))


def _prompt_of(fields: Mapping[str, Any]) -> str | None:
    template = fields.get("prompt_template")
    for given in (fields.get("systemPrompt"), template.get("content") if isinstance(template, Mapping) else None):
        if isinstance(given, str) and given.strip():
            return given
    return None


def _is_true(value: Any) -> bool:
    """Whether a switch is on, also as a text or a number: templates of Home Assistant and Node-RED write these."""
    return value in (True, 1) or (isinstance(value, str) and value.strip().lower() in ("true", "1", "yes", "on"))


def _number(key: str, value: Any) -> float | int | None:
    """The value if it is a number within the range that model servers accept, also as a text, otherwise None."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value[:40])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if key == "maxTokens":
        return int(value) if 1 <= value <= 1_000_000 else None
    upper = 1.0 if key == "topP" else 5.0
    return value if 0 <= value <= upper else None


def read_command(project: Project, kind: str, level: str | None, payload: bytes) -> Command:
    """Parse a command. level: the topic's last level, None if the topic is that for all sessions.

    Only an empty payload, {}, or the word "all" means all sessions. Raises BadPayloadError, also where a session is
    named by an empty text, or by a field that is misspelt.
    """
    fields = json_of(payload)
    if fields is None and payload.strip():  # broken JSON or plain text must not be taken for "all"
        fields = text_of(payload) if kind != "template" and not payload.lstrip().startswith((b"{", b"[")) else []
    fields = {} if fields is None else fields if isinstance(fields, dict) else {"target": fields}
    fields = in_one_form(fields, (*_NAMING, *_TEMPLATE_FIELDS))
    session = _named_session(fields, level)
    if session is None and _may_mean_a_session(fields, kind):
        raise BadPayloadError("the payload has fields, but none with a session id")
    target = None if session in (None, "all") else session
    if kind != "template":
        return Command(project, kind, target)
    template = _template_of(fields)
    if not template:
        raise BadPayloadError('the template has no text, expected {"template": "..."}')
    if len(template) > MAX_TEMPLATE:
        raise BadPayloadError(f"the template has {len(template):,} characters; the limit is {MAX_TEMPLATE:,}")
    return Command(project, kind, target, template, fields.get("reset") is not False)


def _named_session(fields: Mapping[str, Any], level: str | None) -> str | None:
    """The session that a command names; None if it names none. Raises BadPayloadError for one that is empty."""
    given = [fields[name] for name in _NAMING if name in fields]
    if not all(map(is_id, given)):
        raise BadPayloadError("the session id must be a string or a number")
    names = [id_text(each) for each in given] or ([unquote(level).strip()] if level is not None else [])
    if not all(names):
        raise BadPayloadError("the session id is empty")
    return names[0] if names else None


def _may_mean_a_session(fields: Mapping[str, Any], kind: str) -> bool:
    """Whether a field may be meant as one with a session id; where a template is set, one that is spelt nearly so."""
    unknown = [name for name in fields if name not in _TEMPLATE_FIELDS]
    if kind != "template":
        return bool(unknown)
    return any(difflib.get_close_matches(name, _NAMING, 1, 0.7) for name in unknown)


def _template_of(fields: Mapping[str, Any]) -> str:
    for name in ("template", "system_prompt", "prompt_template"):
        given = fields.get(name)
        if isinstance(given, Mapping):
            given = given.get("content") or given.get("template")
        if isinstance(given, str) and given.strip():
            return given
    return ""


def _short_text(value: Any) -> str:
    """An id of a client, "" if it is none. The end of a long one is replaced by a digest of it."""
    if not is_id(value) or (isinstance(value, float) and not value.is_integer()):
        return ""
    text = value if isinstance(value, str) else id_text(value)
    if len(text) <= MAX_REQUEST_ID:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]
    return f"{text[: MAX_REQUEST_ID - len(digest) - 1]}-{digest}"
