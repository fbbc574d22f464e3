"""Calls that stand in the text of an assistant message, followed by their results: so a program writes a history that
reads the calls of a text server itself."""

import functools

from agentkit.text.any_format import any_format
from agentkit.text.call_format import Call, Format, Text, resolve_reasoning
from agentkit.text.parser import ReplyParser


def calls_in(text: str) -> tuple[str, list[Call]]:
    """The text without its calls, and the calls; none when there is any doubt about one."""
    parser = ReplyParser(_format(), stops=(), keep_reasoning=True)
    parts = resolve_reasoning([*parser.feed(text), *parser.finish()])
    if not all(isinstance(part, Text | Call) for part in parts):
        return text, []
    rest = "".join(part.text for part in parts if isinstance(part, Text))
    return rest.strip(), [part for part in parts if isinstance(part, Call)]


@functools.cache
def _format() -> Format:
    return any_format(None)
