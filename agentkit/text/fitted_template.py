"""Messages in the form that a chat template takes, whichever that is.

A template was written for the messages that its makers had in mind. Given others, it raises an error, or leaves
something out without a word: texts where it expects a list of parts, the system message, calls beside a text that is
not null. What it leaves out is found out by rendering short conversations, once for each template; what it refuses,
when it refuses it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

from agentkit.errors import TranscriptError
from agentkit.message import tool_response
from agentkit.text.chat_template import ChatTemplate
from agentkit.tooling.call_names import short_id

Made = dict[str, Any]
"""A message as `PromptMaker` makes it: its content is a text, the arguments of its calls are values."""

_WORD = "zebrafinch"
_TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look something up.",
        "parameters": {"type": "object", "properties": {_WORD: {"type": "string"}}},
    },
}
_HELLO: Made = {"role": "user", "content": "Hello."}
_CALL: Made = {
    "id": "call00001",  # nine letters and digits, without which Mistral's templates refuse a call
    "type": "function",
    "function": {"name": "look_up", "arguments": {_WORD: "x"}},
}
_CALLED: Sequence[Made] = (
    _HELLO,
    {"role": "assistant", "content": "", "tool_calls": [_CALL]},
    {"role": "tool", "name": "look_up", "tool_call_id": "call00001", "content": "42"},
)


@dataclass(frozen=True)
class _Form:
    """What a template takes. has_parts: contents as lists of parts, not as texts. has_system: a system message; else
    its text stands before that of the first question. has_calls: calls and results; else they are texts. has_null:
    calls only beside a content of null. has_json: arguments as JSON text, not as values."""

    has_parts: bool = False
    has_system: bool = True
    has_calls: bool = True
    has_null: bool = False
    has_json: bool = False

    def of(self, messages: Sequence[Mapping[str, Any]]) -> list[Made]:
        """The messages in this form."""
        made = [dict(message) for message in messages]
        if not self.has_system:
            made = _with_system_in_question(made)
        if not self.has_calls:
            made = [_as_text(message) for message in made]
        if self.has_null:
            made = [each for message in made for each in _with_null(message)]
        if self.has_json:
            made = [_with_json(message) for message in made]
        return [_with_parts(message) for message in made] if self.has_parts else made


class FittedTemplate:
    """Renders with a template that is not a family's own. template: the template."""

    def __init__(self, template: ChatTemplate) -> None:
        self._template = template

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        **variables: Any,
    ) -> str:
        """See `ChatTemplate.render`. Raises TranscriptError, with the template's words on the messages as they were
        given, when it rejects them in every form."""
        refused: TranscriptError | None = None
        for each in _ways(messages):
            try:
                return self._template.render(self._form.of(each), tools, **variables)
            except TranscriptError as error:
                refused = refused or error
        assert refused is not None
        raise refused

    @cached_property
    def _form(self) -> _Form:
        form = _Form(has_parts=not self._shows([_HELLO], "Hello.", _Form()))
        if not self._shows([_HELLO], "Hello.", form):  # it needs what is not known here
            return _Form()
        if not self._shows([{"role": "system", "content": _WORD}, _HELLO], _WORD, form):
            form = replace(form, has_system=False)
        for has_null, has_json in product((False, True), repeat=2):
            called = replace(form, has_null=has_null, has_json=has_json)
            if self._shows_call(called):
                return called
        return replace(form, has_calls=False)

    def _shows(self, messages: Sequence[Made], words: str, form: _Form) -> bool:
        return words in self._rendered(messages, form)

    def _shows_call(self, form: _Form) -> bool:
        """Whether the arguments of a call are shown, and not as Python writes them."""
        text = self._rendered(_CALLED, form, [_TOOL])
        beside = self._rendered(_CALLED[:1], form, [_TOOL])  # which has the word in the description of the tool
        in_python = f"{{'{_WORD}'"
        return text.count(_WORD) > beside.count(_WORD) and text.count(in_python) <= beside.count(in_python)

    def _rendered(self, messages: Sequence[Made], form: _Form, tools: Sequence[Mapping[str, Any]] | None = None) -> str:
        try:
            return self._template.render(form.of(messages), tools)
        except TranscriptError:
            return ""


def _ways(messages: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    """The messages, and what a template may take that refuses them: roles that take turns, one system message, short
    ids of calls, calls and results as texts."""
    yield messages
    in_turns = _in_turns(messages)
    yield in_turns
    yield [_with_short_ids(message) for message in messages]
    yield [_with_short_ids(message) for message in in_turns]
    yield _in_turns([_as_text(message) for message in messages])


def _in_turns(messages: Sequence[Mapping[str, Any]]) -> list[Made]:
    """Texts of one role in a row are one message; instructions behind the beginning are the user's."""
    made: list[Made] = []
    for given in messages:
        message = dict(given)
        if message["role"] == "system" and made and made[-1]["role"] != "system":
            message["role"] = "user"
        if made and _is_text(made[-1]) and _is_text(message) and made[-1]["role"] == message["role"]:
            made[-1]["content"] = _joined(made[-1]["content"], message["content"])
        else:
            made.append(message)
    return made


def _as_text(message: Mapping[str, Any]) -> Made:
    if message["role"] == "tool":
        return {"role": "user", "content": tool_response(message["content"])}
    calls = [json.dumps(call["function"], ensure_ascii=False) for call in message.get("tool_calls") or ()]
    return {**_without_calls(message), "content": _joined(message["content"], *calls)}


def _without_calls(message: Mapping[str, Any]) -> Made:
    return {key: value for key, value in message.items() if key != "tool_calls"}


def _is_text(message: Mapping[str, Any]) -> bool:
    return message["role"] != "tool" and not message.get("tool_calls")


def _joined(*texts: str) -> str:
    return "\n\n".join(filter(None, texts))


def _with_system_in_question(messages: Sequence[Made]) -> list[Made]:
    instructions = [message["content"] for message in messages if message["role"] == "system"]
    others = [message for message in messages if message["role"] != "system"]
    if not instructions:
        return others
    place = next((at for at, message in enumerate(others) if message["role"] == "user"), None)
    if place is None:
        return [{"role": "user", "content": _joined(*instructions)}, *others]
    question = {**others[place], "content": _joined(*instructions, others[place]["content"])}
    return [*others[:place], question, *others[place + 1 :]]


def _with_null(message: Made) -> list[Made]:
    """The calls of a message with a content of null; its text is a message before it."""
    if not message.get("tool_calls"):
        return [message]
    calls = {"role": message["role"], "content": None, "tool_calls": message["tool_calls"]}
    return [_without_calls(message), calls] if message["content"] else [{**message, "content": None}]


def _with_json(message: Made) -> Made:
    calls = message.get("tool_calls")
    return {**message, "tool_calls": [_with_function(call) for call in calls]} if calls else message


def _with_function(call: Mapping[str, Any]) -> Made:
    arguments = call["function"]["arguments"]
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {**call, "function": {**call["function"], "arguments": text}}


def _with_parts(message: Made) -> Made:
    content = message["content"]
    return message if content is None else {**message, "content": [{"type": "text", "text": content}]}


def _with_short_ids(message: Mapping[str, Any]) -> Made:
    made = dict(message)
    if isinstance(made.get("tool_call_id"), str):
        made["tool_call_id"] = short_id(made["tool_call_id"])
    if made.get("tool_calls"):
        made["tool_calls"] = [{**call, "id": short_id(call["id"])} for call in made["tool_calls"]]
    return made
