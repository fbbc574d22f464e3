"""What a line or row asks: a text, or an object with a question or messages."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from agentkit._text import cut
from agentkit.batch.identity import KINDS, given_id
from agentkit.batch.text_lines import LineError
from agentkit.errors import TranscriptError
from agentkit.message import TEXT_ROLES, Message, text_of
from agentkit.transcript import Due, Transcript, whats_due

QUESTIONS = ("question", "prompt", "input", "messages")
"""The fields in which a question is looked for."""
INPUT, INSTRUCTION = "input", "instruction"
IDS = ("id", "custom_id")
NAME_IT = "say which one is the question (--question NAME, question=NAME)"

_NO_FIELDS: Mapping[str, Any] = {}
_QUESTIONS = set(QUESTIONS)
_SHOWN_FIELDS = 12
_HINTS = (
    (("custom_id", "response"), "this is a line of results of OpenAI's batch format, not a request"),
    (("custom_id", "params"), "this is a request of Anthropic's batch format: OpenAI's has a body with messages"),
    (("id", "ok", "output"), "this is a line of answers"),
)


class Question(NamedTuple):
    """What a line asks. id: the one it has. fields: all that stands in it; not_columns: those that are no columns. See
    `agentkit.batch.item.Item`. model: the one it names."""

    id: str | None
    prompt: str | None
    messages: Sequence[Mapping[str, Any]] = ()
    sampling: Mapping[str, Any] = {}
    fields: Mapping[str, Any] = {}
    not_columns: Collection[str] = ()
    model: str = ""

    @property
    def columns(self) -> Mapping[str, Any]:
        """See `Item.columns`. They are made when they are asked for: a line that is only checked has no use for
        them."""
        return self.fields and {name: each for name, each in self.fields.items() if name not in self.not_columns}


def question_of(value: object, column: str | None = None, *, is_named: bool = True) -> Question:
    """What a line asks. value: of its JSON. column: the field with the question; None: one of `QUESTIONS`. is_named:
    whether its user has named the column, so that an instruction beside an input is none.

    Raises LineError when it asks nothing."""
    if isinstance(value, str):
        return Question(None, asked_text(value, "the text"))
    if not isinstance(value, dict):
        raise LineError(_no_record(value))
    name = column if column is not None else question_field(value)
    if name not in value:
        raise LineError(f"has no field {name!r}; it has {names_of(value)}")
    asked = value[name]
    if name == INPUT and not (column and is_named):
        asked = _instructed(value, asked)
    if name == "messages" or (isinstance(asked, list) and asked and all(map(_has_role, asked))):
        return Question(id_of(value), None, asked_messages(asked), _NO_FIELDS, value, (name, *IDS))
    if type(asked) is not str or not asked or asked.isspace():
        asked = asked_text(asked, f"the field {name!r}")
    return Question(id_of(value), asked, (), _NO_FIELDS, value, (name, *IDS))


def _instructed(value: Mapping[str, object], asked: object) -> object:
    """What is asked by an instruction and its input, as the records of Alpaca's format have them: both, with an empty
    line between; the instruction alone where the input is empty."""
    instruction = value.get(INSTRUCTION)
    if not isinstance(instruction, str) or not instruction.strip() or not isinstance(asked, str | None):
        return asked
    return f"{instruction}\n\n{asked}" if asked and not asked.isspace() else instruction


def question_field(value: dict[str, object]) -> str:
    """The field or column with the question. Raises LineError when there is none, or more than one; what is null is
    none: programs that make rows of objects fill in the fields that others have."""
    only = _QUESTIONS.intersection(value)
    if len(only) > 1:
        only = {name for name in only if value[name] is not None} or only
    if len(only) == 1:
        return next(iter(only))
    found = [name for name in QUESTIONS if name in only]
    if found:
        raise LineError(f"has more than one of the fields {', '.join(found)}: {NAME_IT}")
    hint = next((hint for fields, hint in _HINTS if all(field in value for field in fields)), NAME_IT)
    raise LineError(f"has no question: none of {', '.join(QUESTIONS)}, but {names_of(value)}: {hint}")


def names_of(value: Mapping[str, object]) -> str:
    """The names of the fields of an object, for a message."""
    names = [cut(str(name), 40) for name in list(value)[:_SHOWN_FIELDS]]
    return ", ".join(names + ["…"] * (len(value) > len(names))) or "no fields"


def asked_text(text: object, what: str) -> str:
    """A question. what: where it stands. Raises LineError when it is no text, or an empty one."""
    if not isinstance(text, str):
        raise LineError(f"has {_kind(text)} for a text ({what})")
    if not text or text.isspace():
        raise LineError(f"asks nothing: {what} is empty")
    return text


def asked_messages(messages: object) -> Sequence[Mapping[str, Any]]:
    """The messages of a conversation in which a reply is due. Raises LineError when a model server would refuse them,
    or none is."""
    if not isinstance(messages, list):
        raise LineError(f"has messages that are {_kind(messages)}: it must be a list of messages")
    if not messages:
        raise LineError("asks nothing: its list of messages is empty")
    known: list[Message] = messages
    are_plain = _are_plain(messages)
    if are_plain and known[-1]["role"] == "user" and _says_anything(known[-1]):
        return messages
    due = whats_due(known) if are_plain else _due(known)
    if due is Due.NOTHING:
        raise LineError(f"asks nothing: its last message has the role {known[-1]['role']!r}")
    if due is not Due.REPLY:
        raise LineError("asks nothing: it has tool calls without their results")
    last = next((each for each in reversed(known) if each["role"] not in ("system", "developer")), known[-1])
    if last["role"] == "user" and not _says_anything(last):
        raise LineError("asks nothing: the text of its last message is empty")
    return messages


def _due(messages: Sequence[Message]) -> object:
    """What is due after messages that may be wrong. Raises LineError when they are."""
    try:
        return Transcript(messages).whats_due()
    except TranscriptError as error:
        raise LineError(cut(str(error), 300)) from None


def _says_anything(message: Message) -> bool:
    content = message.get("content")
    if isinstance(content, str):
        return bool(content) and not content.isspace()
    return bool(text_of(message).strip()) or (
        isinstance(content, list) and any(part.get("type") != "text" for part in content)
    )


def _are_plain(messages: Sequence[object]) -> bool:
    """Whether these are messages of the most common form, in which nothing can be wrong."""
    for each in messages:
        if (
            type(each) is not dict
            or type(each.get("role")) is not str
            or each["role"] not in TEXT_ROLES
            or type(each.get("content")) is not str
            or "tool_calls" in each
        ):
            return False
    return True


def _has_role(value: object) -> bool:
    return isinstance(value, dict) and "role" in value


def id_of(value: Mapping[str, object]) -> str | None:
    """The id that an object has, None for none. Raises LineError when it can't be one."""
    found = value.get("id")
    if found is None:
        found = value.get("custom_id")
    return None if found is None else given_id(found)


def _no_record(value: object) -> str:
    if isinstance(value, list) and value and all(map(_has_role, value)):
        return 'is a list of messages: write {"messages": [...]}'
    return f'is {_kind(value)}: a line is a text, or an object such as {{"question": "..."}}'


def _kind(value: object) -> str:
    return KINDS.get(type(value)) or f"of type {type(value).__name__}"
