"""The arguments of a call as JSON text: what servers accept of it, and what can be read of it. What a tool makes of it
is in agentkit/tooling/argument_readers.py."""

import functools
import json
from typing import Any

from agentkit._text import joined_surrogates, shown
from agentkit.errors import ArgumentsError

UNREADABLE, ERROR = "unreadable_arguments", "fault"
"""Keys of the object that replaces arguments which can't be parsed."""
UNREADABLE_CALL = "unreadable_tool_call"
"""The name of a call whose name could not be parsed either."""
MAX_REMEMBERED_LENGTH = 4000
"""Maximum characters of arguments of which it is remembered for a while whether they can be sent."""
MAX_VALUE_LENGTH = 120
"""Maximum characters of a value in an error message."""


_NO_ARGUMENTS = ("", "null", "None", "[]", '""')


def as_json_object(written: object) -> str:
    """Returns the arguments of a call as the JSON text of an object, in whatever form the server sent them.

    Valid JSON of an object is kept character for character, so that what is sent back is what was generated; values
    that servers refuse become text (see `cleaned`). Broken JSON is repaired, unless it ends in the middle of a value.
    Missing arguments become `{}`, and so does what stands for none: null, an empty text, an empty list (PHP's empty
    object). Anything but an object is kept under the key "unreadable_arguments", with what is wrong with it: servers
    parse the arguments in a history, and refuse each request with one that they can't read.
    """
    if written is None or written == [] or (isinstance(written, str) and written.strip() in _NO_ARGUMENTS):
        return "{}"
    text = written if isinstance(written, str) else json.dumps(written, ensure_ascii=False)
    if is_sendable(text):
        return text
    from agentkit.tooling.json_repair import CutOffError, read_json

    try:
        value = read_json(text)
    except CutOffError as error:
        return unreadable(text, f"the call is {error}")
    except ValueError as error:
        return unreadable(text, _not_json(text, error))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return unreadable(text, _no_object(value))


def is_sendable(text: str) -> bool:
    """Whether a text is the valid JSON of an object, without a value that a server may refuse or round."""
    return _is_short_sendable(text) if len(text) <= MAX_REMEMBERED_LENGTH else _is_sendable(text)


def _is_sendable(text: str) -> bool:
    from agentkit.tooling.json_repair import is_clean, loads  # what a program without calls does without

    try:
        value = loads(text, strict=True)
        return isinstance(value, dict) and is_clean(text, value)
    except (ValueError, RecursionError):
        return False


_is_short_sendable = functools.lru_cache(64)(_is_sendable)  # the arguments of a call are asked for several times


def is_json_object(text: str, *, strict: bool = True) -> bool:
    """Whether a text is the valid JSON of an object. strict: raw line breaks in strings are errors."""
    from agentkit.tooling.json_repair import loads

    try:
        return isinstance(loads(text, strict=strict), dict)
    except (ValueError, RecursionError):
        return False


def unreadable(text: str, error: str) -> str:
    """Returns the JSON that replaces unparsable arguments in the transcript; the call's tool message has the error."""
    return json.dumps({UNREADABLE: joined_surrogates(text), ERROR: error}, ensure_ascii=False)


def parse(arguments: str) -> dict[str, Any]:
    """Parse the JSON text of an object, repaired if possible. Raises ArgumentsError that says where the JSON becomes
    invalid, what was expected there and what was found."""
    if len(arguments) <= MAX_REMEMBERED_LENGTH and (items := _plain_items(arguments)) is not None:
        return dict(items)
    if not arguments.strip():
        return {}
    from agentkit.tooling.json_repair import CutOffError, read_json

    try:
        value = read_json(arguments)
    except CutOffError as error:
        raise ArgumentsError(f"the call is {error}") from None
    except ValueError as error:
        raise ArgumentsError(_not_json(arguments, error)) from None
    if not isinstance(value, dict):
        raise ArgumentsError(_no_object(value))
    if value.keys() == {UNREADABLE, ERROR}:
        raise ArgumentsError(str(value[ERROR]))
    if value.keys() == {UNREADABLE}:
        return parse(str(value[UNREADABLE]))
    return value


@functools.lru_cache(64)  # the tool, the events and the record of a call each get arguments of their own
def _plain_items(text: str) -> tuple[tuple[str, Any], ...] | None:
    """The names and values of an object without lists and objects inside; None for another, or for invalid JSON."""
    if not is_sendable(text):
        return None
    from agentkit.tooling.json_repair import read_json

    value = read_json(text)
    is_plain = isinstance(value, dict) and UNREADABLE not in value and all(map(_is_scalar, value.values()))
    return tuple(value.items()) if is_plain else None


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _not_json(text: str, error: ValueError) -> str:
    from agentkit.tooling.json_repair import json_error_of

    reason = json_error_of(text) if "deep" not in str(error) else str(error)
    return f"the arguments are not valid JSON: {reason}"


def _no_object(value: object) -> str:
    return f"the arguments must be a JSON object, got {shown(value, MAX_VALUE_LENGTH)}"


def read_arguments(arguments: str) -> dict[str, Any]:
    """The arguments of a call; {} when they can't be read. arguments: JSON text."""
    try:
        return parse(arguments)
    except ArgumentsError:
        return {}
