"""JSON: each value with the path to it, and each record a paragraph."""

from collections.abc import Iterator
from typing import Any

from agentkit_tools.file_text.form import FileText, joined
from agentkit_tools.file_text.texts import decoded
from agentkit_tools.json_text import Members, Number, parsed

KEY, PATH = 80, 200
"""Maximum length of a key, and of the path to a value, in characters."""

SHORT = 300
"""Maximum length of a record that is written as one line, and of several in one paragraph, in characters."""


def read_json(path: str, content: bytes) -> FileText:
    """A JSON document; what is no valid JSON (comments, cut off) is read as text."""
    text = decoded(path, content)
    try:
        value = parsed(text)
    except (ValueError, RecursionError):
        return FileText("", text)
    return FileText(_title(value), joined(_paragraphs(value)))


def read_json_lines(path: str, content: bytes) -> FileText:
    """Records, one a line; a line that is no valid JSON is read as text."""
    lines = decoded(path, content).split("\n")
    return FileText("", joined(paragraph for line in lines for paragraph in _record(line)))


def _record(line: str) -> Iterator[str]:
    try:
        yield from _paragraphs(parsed(line))
    except (ValueError, RecursionError):
        yield line


def _title(value: Any) -> str:
    named = dict(value) if isinstance(value, Members) else {}
    titles = (named.get(key) for key in ("title", "name"))
    return next((title for title in titles if isinstance(title, str) and not isinstance(title, Number)), "")


def _paragraphs(value: Any) -> Iterator[str]:
    """The records of a document: short ones a line each, some of them a paragraph; others a value a line."""
    group: list[str] = []
    length = 0
    for record in filter(None, _records(value)):
        line = "; ".join(record)
        is_short = len(line) <= SHORT and "\n" not in line
        if group and (not is_short or length + len(line) > SHORT):
            yield "\n".join(group)
            group, length = [], 0
        group.append(f"- {line}" if is_short else "\n".join(record))
        length += len(line)
    yield "\n".join(group)


def _records(value: Any) -> Iterator[list[str]]:
    """The lines of each item of a list, and those of what is in none."""
    record: list[str] = []
    for line, is_first in _lines(value):
        if record and is_first:
            yield record
            record = []
        record.append(line)
    yield record


def _lines(value: Any) -> Iterator[tuple[str, bool]]:
    """Each line, and whether a record begins with it. Without recursion, since documents may be deep."""
    todo: list[tuple[str, Any, bool]] = [("", value, False)]
    while todo:
        path, value, is_first = todo.pop()
        below: list[tuple[str, Any]] = []
        if isinstance(value, Members):
            below = [(_joined(path, key), each) for key, each in value]
        elif isinstance(value, list) and any(isinstance(each, Members | list) for each in value):
            below = [(f"{path}[{number}]", each) for number, each in enumerate(value)]
        else:
            said = _said(value)
            if said:
                yield f"{path}: {said}" if path else said, is_first
            continue
        begins = isinstance(value, list)
        todo.extend((name, each, begins or (is_first and name is below[0][0])) for name, each in reversed(below))


def _joined(path: str, key: str) -> str:
    key = key[:KEY]
    return (f"{path}.{key}" if path else key)[-PATH:]


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(filter(None, map(_said, value)))
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
