"""What a trace is made from: the JSON records of a file, or the entries of a stored session, as records of events."""

import codecs
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, BinaryIO

from agentkit._text import in_a_line
from agentkit.cli.streams import codec_of
from agentkit.errors import AgentkitError
from agentkit.message import unwrapped_response
from agentkit.sessions.log import Entry, begins_turn
from agentkit.tooling.outcome import is_failure

MAX_LINE = 200_000_000
"""Characters of a line: it is read as a whole."""

Record = dict[str, Any]


def of_file(file: BinaryIO, complain: Callable[[str], object]) -> Iterator[Record]:
    """The records of a file: JSON lines of events and results, and what `agentkit ask --json` prints, in any order and
    number. complain: gets a sentence for each line that is left out. Raises AgentkitError for a line without end."""
    for number, text in _texts(file):
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            complain(f"line {number} is no JSON: {in_a_line(text[:200], 60)}")
            continue
        if isinstance(record, dict) and isinstance(record.get("event"), str):
            yield record
        elif isinstance(record, dict) and isinstance(record.get("messages"), list):
            yield {"event": "whole", "result": record}
        else:
            complain(f"line {number} is no event and no result: {in_a_line(text[:200], 60)}")


def _texts(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """The JSON texts of a file with the numbers of their lines: a line each, or from a line "{" to a line "}"."""
    begun: list[str] = []
    number = 0
    for number, line in enumerate(_lines(file), 1):
        if begun and line.startswith('{"'):  # an indented object that is not complete
            yield number - len(begun), "\n".join(begun)
            begun = []
        if begun or line == "{":
            begun.append(line)
            if line == "}":
                yield number - len(begun) + 1, "\n".join(begun)
                begun = []
        elif line.strip():
            yield number, line
    if begun:
        yield number - len(begun) + 1, "\n".join(begun)


def _lines(file: BinaryIO) -> Iterator[str]:
    head = file.read(4)
    decoder = codecs.getincrementaldecoder(codec_of(head) or "utf-8")("replace")
    pieces: list[str] = []
    size = 0
    for block in (head, *iter(lambda: file.read(1 << 20), b""), None):
        for number, text in enumerate(decoder.decode(block or b"", final=block is None).split("\n")):
            if number:
                yield "".join(pieces).rstrip()
                pieces, size = [], 0
            pieces.append(text)
            size += len(text)
        if size > MAX_LINE:
            raise AgentkitError(f"a line has more than {MAX_LINE:,} characters")
    yield "".join(pieces).rstrip()


def of_whole(record: Record) -> Iterator[Record]:
    """The records of a whole result, or of a run that failed; they have no times."""
    messages = [each for each in record["messages"] if isinstance(each, dict)]
    begin = next((n for n in range(len(messages), 0, -1) if messages[n - 1].get("role") == "user"), 0)
    yield {"event": "run_started", "given": messages[:begin]}
    for message in messages[begin:]:
        yield from of_message(message, None)
    yield {"event": "run_finished", "result": record}


def of_message(message: Mapping[str, Any], at: float | None, ends_run: bool = False, **more: Any) -> Iterator[Record]:
    """The records of a message of a transcript. ends_run: with this result. more: further fields of a reply."""
    role = message.get("role")
    if role == "assistant":
        yield {"event": "reply_finished", "at": at, "reply": {"message": message, **more}}
    elif role == "tool":
        text = unwrapped_response(text_in(message.get("content")))
        made = {"id": message.get("tool_call_id"), "response": text, "error": text if is_failure(text) else None}
        yield {"event": "tool_finished", "at": at, "record": made, "ends_run": ends_run}
    else:
        yield {"event": "message", "at": at, "message": message}


def of_session(entries: Iterable[Entry]) -> Iterator[Record]:
    """The records of a session's entries. Each question begins a run; times count from it."""
    began: datetime | None = None
    replied: float | None = None
    started: set[Any] = set()
    is_open = False
    for entry in entries:
        time = _time(entry.at)
        if begins_turn(entry) and not is_open:
            yield {"event": "run_started", "at": 0.0, "clock": entry.at}
            began = time
        is_open = entry.kind == "request" and begins_turn(entry)
        at = max(0.0, (time - began).total_seconds()) if time and began else None
        if entry.kind == "started":
            started.add(entry.value["id"])
            yield {"event": "tool_started", "at": at, "raw_arguments": entry.value["arguments"], **entry.value}
        elif entry.kind == "message":
            if entry.value.get("role") == "assistant":
                replied, started = at, set()
            elif entry.value.get("role") == "tool" and (name := entry.value.get("tool_call_id")) not in started:
                yield {"event": "tool_started", "at": replied, "id": name}
            reason = entry.extra.get("finish_reason") or entry.extra.get("stopped") or ""
            ends_run = bool(entry.extra.get("ends"))
            yield from of_message(entry.value, at, ends_run, usage=entry.usage, finish_reason=reason)
            if entry.extra.get("unknown"):
                yield {"event": "unknown_effect", "calls": [{"id": entry.value.get("tool_call_id")}]}
        elif entry.kind in ("undo", "view"):
            what = f"messages undone: {entry.value}" if entry.kind == "undo" else "a shortened history is sent"
            yield {"event": "note", "at": at, "text": what}


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def text_in(content: Any) -> str:
    """The text of a message's content, with a note in place of an image or another part."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return "" if content is None else json.dumps(content, ensure_ascii=False)
    return "\n".join(_part(part) for part in content)


def _part(part: Any) -> str:
    if not isinstance(part, dict):
        return json.dumps(part, ensure_ascii=False)
    if isinstance(part.get("text"), str):
        return str(part["text"])
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else None
    if isinstance(url, str):
        return (
            f"[image: {url.partition(',')[0]}, {len(url):,} characters]"
            if url.startswith("data:")
            else f"[image: {url}]"
        )
    return f"[{part.get('type', 'part')}]"
