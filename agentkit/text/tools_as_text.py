"""A conversation with tools as plain messages, for a model whose chat template or server leaves tools out.

The system message describes the tools, and an exchange for each of the first tools shows how they are used: a question,
the call as JSON, its result, the answer. Calls and results of the conversation have the same form: what the model reads
is what it is to write. All of it but the newest messages is the same in each request of a run.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from agentkit._text import json_text
from agentkit.message import AWAITS_REPLY, Message, response_of, system, text_of, tool_response, user
from agentkit.text.special_tokens import neutralised, neutralised_values
from agentkit.tooling.reply_choice import ANSWER, ARGUMENTS, TOOL
from agentkit.tooling.schema_forms import Schema, inlined, normal

MAX_EXAMPLES = 12
"""How many tools have an exchange that shows their use."""

MAX_SHOWN = 3
"""How many arguments an exchange shows where none has to be given."""

_HOW = (
    "You can call tools. Write each reply as JSON, in one of these forms:\n"
    '{"tool": the name of a tool, "arguments": {its arguments}} to call a tool; several calls are a list of these.\n'
    '{"answer": your answer} to answer the user. What a tool returns comes as the next message.\n\n'
    "The tools:\n"
)
_WORDS = ("Alpha", "Beta", "Gamma", "Delta")
_FORMATS = {
    "date": "2025-03-14",
    "time": "09:30:00",
    "date-time": "2025-03-14T09:30:00Z",
    "email": "alpha@example.com",
    "uri": "https://example.com/alpha",
    "uuid": "3b241101-e2bb-4255-8caf-4136c566a962",
}
_MAX_DEPTH = 4
"""Levels of nested values in an example; what is deeper is empty."""


def heading(tools: Sequence[Mapping[str, Any]]) -> str:
    """What the system message says of the tools. tools: in OpenAI's format."""
    return _HOW + "\n".join(_line(tool["function"]) for tool in tools)


def _line(function: Mapping[str, Any]) -> str:
    function = neutralised_values(function, neutralised)
    return f"{function['name']}: {function.get('description') or ''}\nArguments: {json_text(function['parameters'])}"


def examples(tools: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Exchanges that show how the tools are used, and one without a tool."""
    made = [message for tool in tools[:MAX_EXAMPLES] for message in _exchange(tool["function"])]
    return [*made, user("Hello!"), _said(json.dumps({ANSWER: "Hello! How can I help you?"}))]


def _exchange(function: Mapping[str, Any]) -> Iterator[Message]:
    name, arguments = function["name"], _arguments(inlined(normal(function["parameters"])))
    what = (str(function.get("description") or "").strip() or name).split("\n")[0].rstrip(".")
    given = ", ".join(f"{key}: {value if isinstance(value, str) else _json(value)}" for key, value in arguments.items())
    yield user(neutralised(f"{what}. {given}".strip()))
    yield _said(_call(name, _json(arguments)))
    yield user(tool_response(f"the result of {name}"))
    yield _said(json.dumps({ANSWER: f"Here is the result of {name}."}))


def _arguments(parameters: Schema) -> dict[str, Any]:
    """Values of the arguments that must be given; of a few where none must."""
    properties: Mapping[str, Schema] = parameters.get("properties") or {}
    required = [name for name in properties if name in (parameters.get("required") or ())]
    shown = required or list(properties)[:MAX_SHOWN]
    return {name: _value(properties[name], _WORDS[place % len(_WORDS)]) for place, name in enumerate(shown)}


def _value(schema: Schema, word: str, depth: int = 0) -> Any:
    """A value of a schema. word: what a text says."""
    if "const" in schema:
        return schema["const"]
    listed = schema.get("enum") or schema.get("examples")
    if isinstance(listed, list) and listed:
        return listed[0]
    if schema.get("default") is not None:
        return schema["default"]
    choices = [each for key in ("anyOf", "oneOf", "allOf") for each in schema.get(key, ())]
    choices = [each for each in choices if each.get("type") != "null"]
    if choices:
        return _value(choices[0], word, depth)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = next((each for each in kind if each != "null"), "null") if isinstance(kind, list) else kind
    if kind in ("integer", "number"):
        return _number(schema, _WORDS.index(word) * 2 + 3)
    if kind == "array":
        return [_value(schema.get("items") or {}, word, depth + 1)] if depth < _MAX_DEPTH else []
    if kind == "object":
        inner = (schema.get("properties") or {}) if depth < _MAX_DEPTH else {}
        return {name: _value(each, word, depth + 1) for name, each in inner.items()}
    return {"boolean": True, "null": None}.get(kind, _FORMATS.get(str(schema.get("format")), word))


def _number(schema: Schema, number: int) -> Any:
    """A number within the bounds of a schema, this one if it is."""
    least, most = schema.get("minimum"), schema.get("maximum")
    if isinstance(most, int | float) and number > most:
        return most
    return least if isinstance(least, int | float) and number < least else number


def as_text(messages: Iterable[Message]) -> list[Message]:
    """The messages without calls and tool messages: a call is JSON in the model's text, a result the user's text."""
    made: list[Message] = []
    joins = False  # whether the next message of the user continues the last one
    for message in messages:
        if message["role"] == "tool":
            _add_of_user(made, tool_response(response_of(message)), joins)
            joins = True
        elif message["role"] == "user" and joins:
            _add_of_user(made, message["content"], joins)
        else:
            joins = False
            made.append(_of_model(message) if message["role"] == "assistant" else message)
    return made


def _add_of_user(made: list[Message], content: Any, joins: bool) -> None:
    """Add what a tool or the user says; what follows on a result becomes one message with it, since many templates
    refuse two messages of the user in a row."""
    if not joins:
        made.append({"role": "user", "content": content})
        return
    before = made[-1]["content"]
    if isinstance(before, str) and isinstance(content, str):
        made[-1] = {"role": "user", "content": f"{before}\n{content}"}
    else:
        made[-1] = {"role": "user", "content": [*_parts(before), *_parts(content)]}


def _parts(content: Any) -> list[dict[str, Any]]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def _of_model(message: Message) -> Message:
    """A reply in the form of the examples; one that the model is to continue stays as it is."""
    calls, text = message.get("tool_calls"), text_of(message)
    if message.get(AWAITS_REPLY) or not (calls or text):
        return message
    rest = {key: value for key, value in message.items() if key not in ("tool_calls", "content")}
    if not calls:
        return cast(Message, {**rest, "content": f'{{"{ANSWER}": {_answer(text)}}}'})
    written = [_call(call["function"]["name"], call["function"]["arguments"]) for call in calls]
    content = written[0] if len(written) == 1 else f"[{', '.join(written)}]"
    return cast(Message, {**rest, "content": f"{text}\n{content}" if text else content})


def _answer(text: str) -> str:
    """An answer as JSON: a typed one is JSON already."""
    if text.lstrip().startswith("{"):
        try:
            if isinstance(json.loads(text), dict):
                return text.strip()
        except (ValueError, RecursionError):
            pass
    return _json(text)


def _call(name: str, arguments: str) -> str:
    return f'{{"{TOOL}": {_json(name)}, "{ARGUMENTS}": {arguments}}}'


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _said(text: str) -> Message:
    return {"role": "assistant", "content": text}


def with_heading(
    messages: Sequence[Message], text: str, shown: Sequence[Message], *, has_system: bool
) -> list[Message]:
    """The messages of a conversation behind what is said of the tools. shown: the examples. has_system: whether the
    server takes a system message; else it stands at the beginning of the first question."""
    own = bool(messages) and messages[0]["role"] in ("system", "developer")
    rest = messages[1:] if own else messages
    text = "\n\n".join(part for part in (text_of(messages[0]) if own else "", text) if part)
    if not text:
        return [*shown, *rest]
    if has_system:
        return [cast(Message, {**messages[0], "content": text}) if own else system(text), *shown, *rest]
    first, *others = [*shown, *rest]
    _add_of_user(made := [cast(Message, {"role": "user", "content": f"{text}\n"})], first["content"], joins=True)
    return [*made, *others]
