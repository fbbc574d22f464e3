"""The events of OpenAI's Responses API, or a whole response, as the chunks of a chat completion, from which one
accumulator builds the reply, as it does from a chat server's own.

An item is told several times: in deltas, in an event when it is done, and in the response at the end. Servers leave
some of these out; each text and each call is taken once, and what was missing of it is added.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agentkit.backends.response_input import BETWEEN
from agentkit.message import RESPONSE_ITEMS

Chunk = Mapping[str, Any]

_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done")
_TEXTS = {
    "response.output_text.delta": ("message", "content"),
    "response.refusal.delta": ("message", "refusal"),
    "response.reasoning_summary_text.delta": ("reasoning", "reasoning_content"),
    "response.reasoning_text.delta": ("reasoning", "reasoning_content"),
    "response.function_call_arguments.delta": ("function_call", "arguments"),
}
"""The events with a piece of a text: of which kind of item, and under which name a chat completion has it."""
_KINDS = ("message", "reasoning", "function_call")
_ASIDE = "commentary"
"""The phase of a text that is no answer: what the model says before it calls tools."""


def chunks_of(objects: Iterable[dict[str, Any]], *, answer_alone: bool = False) -> Iterator[Chunk]:
    """Yield the chunks of a chat completion in the events of one response. answer_alone: what the model says beside its
    answer is told as reasoning, since the answer is to be JSON.

    Raises the openai package's error for a response that has failed.
    """
    response = ResponseChunks(answer_alone)
    for each in objects:
        yield from response.of(each)


class _Item:
    """An item of the output, as far as it has arrived. number: its place among those of its kind. part: which part of
    its reasoning arrived last. is_done: whether its server has told it as a whole."""

    def __init__(self, kind: str, number: int, item: Mapping[str, Any]) -> None:
        self.kind = kind
        self.number = number
        self.item = item
        self.part: object = None
        self.is_done = False
        self._pieces: dict[str, list[str]] = {}

    def add(self, name: str, piece: str) -> None:
        """Take a piece of one of its texts."""
        self._pieces.setdefault(name, []).append(piece)

    def has(self, name: str) -> bool:
        """Whether anything of a text has arrived."""
        return name in self._pieces

    def text(self, name: str) -> str:
        """What has arrived of a text."""
        pieces = self._pieces.get(name)
        if not pieces:
            return ""
        pieces[:] = ["".join(pieces)]
        return pieces[0]


class ResponseChunks:
    """Makes the chunks of one response; see `chunks_of`."""

    def __init__(self, answer_alone: bool) -> None:
        self._answer_alone = answer_alone
        self._items: list[_Item] = []
        self._by_index: dict[object, _Item] = {}
        self._by_kind: defaultdict[str, list[_Item]] = defaultdict(list)
        self._said_before: set[str] = set()

    def of(self, event: dict[str, Any]) -> Iterator[Chunk]:
        """Yield the chunks of an event, or of a whole response."""
        kind = str(event.get("type", ""))
        if "choices" in event:
            yield event  # a gateway that answers as chat completions do
        elif event.get("object") == "response" or kind in _ENDS:
            response = event.get("response")
            yield from self._ended(response if isinstance(response, Mapping) else event)
        elif kind in _TEXTS:
            yield from self._piece(event, *_TEXTS[kind])
        elif kind in ("response.output_item.added", "response.output_item.done"):
            item = event.get("item")
            if isinstance(item, Mapping):
                found = self._item(event, str(item.get("type")), item)
                if found is not None:
                    yield from self._told(found, item, is_done=kind.endswith("done"))
        elif isinstance(response := event.get("response"), Mapping):
            yield {"id": response.get("id"), "model": response.get("model"), "choices": []}

    def _item(self, event: Mapping[str, Any], kind: str, item: Mapping[str, Any]) -> _Item | None:
        """The item that an event is about, which is begun here if it is not known; None for one that says nothing."""
        index = event.get("output_index", event.get("item_id") or item.get("id"))
        known = self._by_index.get(index)
        if known is not None and known.kind == kind and not _is_another(known.item, item):
            return known
        return self._begun(kind, item, index)

    def _begun(self, kind: str, item: Mapping[str, Any], index: object) -> _Item | None:
        if kind not in _KINDS and not item.get("encrypted_content"):
            return None
        begun = _Item(kind, len(self._by_kind[kind]), item)
        self._items.append(begun)
        self._by_kind[kind].append(begun)
        self._by_index[index] = begun
        return begun

    def _piece(self, event: Mapping[str, Any], kind: str, name: str) -> Iterator[Chunk]:
        piece, item = event.get("delta"), self._item(event, kind, {})
        if isinstance(piece, str) and piece and item is not None:
            part = (event["type"], event.get("summary_index", event.get("content_index")))
            yield self._said(item, name, piece, part, event.get("logprobs"))

    def _said(self, item: _Item, name: str, piece: str, part: object = None, logprobs: Any = None) -> Chunk:
        """The chunk of a piece of a text; parts of the reasoning, and texts of several messages, are paragraphs."""
        is_first = not item.has(name)
        item.add(name, piece)
        if name == "arguments":
            return _chunk({"tool_calls": [{"index": item.number, "function": {"arguments": piece}}]})
        if name == "content" and self._answer_alone and item.item.get("phase") == _ASIDE:
            name = "reasoning_content"
        is_new = is_first or (name == "reasoning_content" and part != item.part)
        item.part = part
        if is_new and name in self._said_before:
            piece = BETWEEN + piece
        self._said_before.add(name)
        return _chunk({name: piece}, logprobs if name == "content" else None)

    def _told(self, item: _Item, told: Mapping[str, Any], *, is_done: bool) -> Iterator[Chunk]:
        """Take an item as a whole, as far as its server has it; yield what has not arrived of it."""
        item.item = {**item.item, **{name: value for name, value in told.items() if value is not None}}
        item.is_done = item.is_done or is_done
        if item.kind == "function_call":
            yield from self._called(item, told)
        elif is_done and item.kind == "message":
            content = told.get("content") or ()
            given = [{"text": content}] if isinstance(content, str) else content
            parts = [part for part in given if isinstance(part, Mapping)]
            logprobs = [token for part in parts for token in part.get("logprobs") or ()]
            yield from self._rest(item, "content", _joined(parts, "text"), logprobs)
            yield from self._rest(item, "refusal", _joined(parts, "refusal"))
        elif is_done and item.kind == "reasoning" and not item.has("reasoning_content"):
            parts = [*(told.get("summary") or ()), *(told.get("content") or ())]
            yield from self._rest(item, "reasoning_content", _joined(parts, "text", BETWEEN))

    def _called(self, item: _Item, told: Mapping[str, Any]) -> Iterator[Chunk]:
        name, call_id = told.get("name"), told.get("call_id") or told.get("id")
        if name and not item.has("name"):
            item.add("name", str(name))
            entry = {"index": item.number, "id": call_id, "function": {"name": name, "arguments": ""}}
            yield _chunk({"tool_calls": [entry]})
        arguments, written = told.get("arguments"), item.text("arguments")
        if isinstance(arguments, str) and arguments.startswith(written):
            yield from self._rest(item, "arguments", arguments)
        elif arguments and not isinstance(arguments, str | Mapping):
            return
        elif arguments and arguments != written:  # it is not clear what the model wrote, and so the call is not run
            yield _chunk({"tool_calls": [{"index": item.number, "function": {"arguments": _as_object(arguments)}}]})

    def _rest(self, item: _Item, name: str, whole: str, logprobs: Any = None) -> Iterator[Chunk]:
        written = item.text(name)
        if len(whole) > len(written) and whole.startswith(written):
            yield self._said(item, name, whole[len(written) :], item.part, None if written else logprobs)

    def _ended(self, response: Mapping[str, Any]) -> Iterator[Chunk]:
        """The response has ended: yield what has not arrived of it, and how it ended."""
        status = response.get("status")
        if response.get("error") or status == "failed":
            raise _failure(response)
        counts: Counter[str] = Counter()
        for place, told in enumerate(response.get("output") or ()):
            if not isinstance(told, Mapping):
                continue
            kind = str(told.get("type"))
            known, number = self._by_kind[kind], counts[kind]
            item = known[number] if number < len(known) else self._begun(kind, told, ("whole", place))
            counts[kind] += 1
            if item is not None and not (item.is_done and item.item.get("encrypted_content")):
                yield from self._told(item, told, is_done=True)
        kept = self._kept()
        last = _chunk({RESPONSE_ITEMS: kept} if kept else {})
        last["choices"][0]["finish_reason"] = self._reason(response)
        yield {**last, "id": response.get("id"), "model": response.get("model"), "usage": response.get("usage")}

    def _reason(self, response: Mapping[str, Any]) -> str:
        status = response.get("status")
        if status == "incomplete":
            details = response.get("incomplete_details")
            reason = details.get("reason") if isinstance(details, Mapping) else None
            return reason if isinstance(reason, str) and reason else "incomplete"
        if status not in (None, "completed"):
            return str(status)
        return "tool_calls" if self._by_kind["function_call"] else "stop"

    def _kept(self) -> list[dict[str, Any]]:
        """What the server wants back beside texts and calls: reasoning that it can read, and what it stood between."""
        made = [kept for item in self._items if (kept := _kept_of(item, self._answer_alone))]
        is_telling = any("phase" in each or each["type"] not in ("message", "function_call") for each in made)
        return made if is_telling else []


def _kept_of(item: _Item, answer_alone: bool) -> dict[str, Any]:
    if item.kind == "function_call":
        return {"type": "function_call", "id": item.item.get("call_id") or item.item.get("id")}
    if item.kind == "message":
        phase = {"phase": item.item["phase"]} if item.item.get("phase") else {}
        length = 0 if answer_alone and item.item.get("phase") == _ASIDE else len(item.text("content"))
        return {"type": "message", "characters": length, **phase} if length else {}
    if not (item.item.get("encrypted_content") or item.item.get("content")):
        return {}  # its server has not kept it, and nobody else could read it
    return {name: value for name, value in item.item.items() if name != "status"}


def _is_another(known: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """Whether an item is not the one that its server has told before at the same place."""
    names = ("id", "call_id")
    return any(known.get(name) and item.get(name) and known[name] != item[name] for name in names)


def _joined(parts: Iterable[Any], name: str, between: str = "") -> str:
    texts = (part.get(name) for part in parts if isinstance(part, Mapping))
    return between.join(text for text in texts if isinstance(text, str) and text)


def _as_object(arguments: str | Mapping[str, Any]) -> Any:
    try:
        return json.loads(arguments) if isinstance(arguments, str) else dict(arguments)
    except (ValueError, RecursionError):
        return None


def _chunk(delta: dict[str, Any], logprobs: Any = None) -> dict[str, Any]:
    tokens = {"logprobs": {"content": logprobs}} if isinstance(logprobs, list) and logprobs else {}
    return {"choices": [{"index": 0, "delta": delta, **tokens}]}


def _failure(response: Mapping[str, Any]) -> Exception:
    from agentkit.net.api_errors import error_in_body  # loads openai, so only when there is an error

    return error_in_body({"error": response.get("error") or {"message": "the response failed, without a reason"}})
