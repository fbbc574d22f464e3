"""Texts that arrive in the pieces of a recorded stream: what stands in several of them is seen in none alone."""

import json
from collections.abc import Callable, Iterator
from typing import Any

_OF_ITEM = ("type", "item_id", "output_index", "content_index", "index")
"""Fields of an event that say to which text its pieces belong."""

Path = tuple[str | int, ...]


def changed_across(body: str, change: Callable[[str], str]) -> str:
    """Apply `change` to the texts whose pieces the lines of a stream hold (server-sent events, or JSON a line). Only
    lines with a piece that changes are written anew: what takes the place of several pieces stands in the first one."""
    lines = body.split("\n")
    events = dict(_events(lines)) if len(lines) > 1 else {}
    if len(events) < 2:
        return body
    texts: dict[Any, list[tuple[int, Path, str]]] = {}
    for number, event in events.items():
        of_item = tuple(str(event.get(name)) for name in _OF_ITEM)
        for path, place, piece in _strings(event):
            texts.setdefault((of_item, place), []).append((number, path, piece))
    written: set[int] = set()
    for pieces in texts.values():
        for number, path, piece in _changed(pieces, change):
            _set(events[number], path, piece)
            written.add(number)
    for number in written:
        lines[number] = _rewritten(lines[number], events[number])
    return "\n".join(lines)


def _events(lines: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines):
        text = line.removeprefix("data:").strip()
        if text.startswith("{"):
            try:
                event = json.loads(text)
            except (ValueError, RecursionError):
                continue
            yield number, event


def _rewritten(line: str, event: dict[str, Any]) -> str:
    begin, end = line[: line.index("{")], "\r" if line.endswith("\r") else ""
    return f"{begin}{json.dumps(event, ensure_ascii=False, separators=(',', ':'))}{end}"


def _strings(event: dict[str, Any]) -> Iterator[tuple[Path, Path, str]]:
    """Each text of an event: where it stands there, and to which text it belongs: an item of a list that says its own
    index is that one, wherever it stands."""
    todo: list[tuple[Any, Path, Path]] = [(event, (), ())]
    while todo:
        value, path, place = todo.pop()
        if isinstance(value, str):
            yield path, place, value
        elif isinstance(value, dict):
            todo.extend((each, (*path, name), (*place, name)) for name, each in value.items())
        elif isinstance(value, list):
            todo.extend((each, (*path, at), (*place, _index(each, at))) for at, each in enumerate(value))


def _index(item: Any, at: int) -> int:
    index = item.get("index") if isinstance(item, dict) else None
    return index if isinstance(index, int) else at


def _changed(pieces: list[tuple[int, Path, str]], change: Callable[[str], str]) -> Iterator[tuple[int, Path, str]]:
    """The pieces of a text that are others when it is changed as a whole."""
    text = "".join(piece for _, _, piece in pieces)
    new = change(text) if len(pieces) > 1 else text
    if new == text:
        return
    begin = min(_common(text, new), len(text) - 1)  # something is always replaced, nothing only put in
    end = len(text) - min(_common(text[begin:][::-1], new[begin:][::-1]), len(text) - begin - 1)
    put = new[begin : len(new) - (len(text) - end)]
    at = 0
    for number, path, piece in pieces:
        first, last = max(begin - at, 0), min(max(end - at, 0), len(piece))
        if first < last:
            yield number, path, piece[:first] + put + piece[last:]
            put = ""
        at += len(piece)


def _common(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def _set(value: Any, path: Path, text: str) -> None:
    for name in path[:-1]:
        value = value[name]
    value[path[-1]] = text
