"""The output of a response as it is made: its items, and the events that tell of them in a stream.

A stream and a whole response are made by the same code, so that they are the same.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from agentkit._text import joined_surrogates
from agentkit.event import Event, ReasoningDelta, ReplyDiscarded, ReplyFinished, ReplyStarted, TextDelta
from agentkit.message import ToolCall
from agentkit.serving.exchange import Answer
from agentkit.serving.http.openai.annotations import Annotation
from agentkit.serving.http.openai.answers import Delta, EndingResult, Paragraphs, is_refused
from agentkit.serving.http.openai.responses.tools import Form

StreamEvent = dict[str, Any]
Annotate = Callable[[int], list[Annotation]]

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_FUNCTION_CALL = ("function_call", "arguments", "function_call_arguments")
_CUSTOM_CALL = ("custom_tool_call", "input", "custom_tool_call_input")
_SEARCH_CALL = "tool_search_call"
_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc", _SEARCH_CALL: "tsc"}
_LOGPROB = ("token", "bytes", "logprob", "top_logprobs")


def _without(length: int) -> list[Annotation]:
    return []


class SaidInOrder:
    """The parts of an answer that is sent whole, as a stream has them: see `agentkit.serving.http.openai.answers.Said`.
    A reply that is begun anew takes the place of what had arrived of it."""

    def __init__(self) -> None:
        self._arriving: list[tuple[str, str]] = []
        self._said: list[Delta] = []
        self._paragraphs = {"reasoning_content": Paragraphs(), "content": Paragraphs()}
        self._ending = EndingResult()

    def take(self, event: Event) -> Iterable[Delta]:
        """See `Said.take`."""
        if isinstance(event, TextDelta):
            self._arriving.append(("content", event.text))
        elif isinstance(event, ReasoningDelta):
            self._arriving.append(("reasoning_content", event.text))
        elif isinstance(event, ReplyDiscarded):
            self._arriving.clear()
        elif isinstance(event, ReplyStarted | ReplyFinished):
            if isinstance(event, ReplyFinished) and is_refused(event):
                self._arriving = [each for each in self._arriving if each[0] != "content"]
            self._finish()
        elif text := self._ending.take(event):
            self._arriving.append(("content", text))
            self._finish()
        return ()

    def rest(self, answer: Answer) -> Iterable[Delta]:
        """See `Said.rest`."""
        self._finish()
        return self._said

    def _finish(self) -> None:
        for each in self._paragraphs.values():
            each.begin()
        for name, text in self._arriving:
            if said := self._paragraphs[name].take(text):
                self._said.append({name: said})
        self._arriving.clear()


class Output:
    """Makes the output of one response. response: the object with which it begins, whose `id` is resp_ and a token.

    summarizes: whether the reasoning is given as a summary. forms: of the client's tools, by the names of their
    functions. Each method returns events; numbers of events go up.
    """

    def __init__(
        self, response: dict[str, Any], summarizes: bool = False, forms: Mapping[str, Form] = MappingProxyType({})
    ) -> None:
        self._forms = forms
        self.response = response
        self._summarizes = summarizes
        self._token = str(response["id"]).removeprefix("resp_")
        self._items: list[dict[str, Any]] = []
        self._texts: list[str] = []
        self._number = 0

    def begin(self) -> Iterator[StreamEvent]:
        """The response begins."""
        yield self._event("response.created", response=dict(self.response))
        yield self._event("response.in_progress", response=dict(self.response))

    def take(self, delta: Delta) -> Iterator[StreamEvent]:
        """A part of the answer: its reasoning or its text."""
        if text := delta.get("reasoning_content"):
            yield from self._say("reasoning", text)
        if text := delta.get("content"):
            yield from self._say("message", text)

    def end(
        self,
        calls: Sequence[ToolCall],
        finish_reason: str,
        refusal: str | None = None,
        logprobs: Any = None,
        annotate: Annotate = _without,
    ) -> Iterator[StreamEvent]:
        """The answer is complete. calls: those that the client is to answer. logprobs: of the text, as in a chat
        completion. annotate: returns the annotations of the last text, given its length."""
        status = "incomplete" if finish_reason in _INCOMPLETE else "completed"
        tokens = _logprobs(logprobs)
        if refusal is not None:
            yield from self._close("completed")
            yield from self._refuse(refusal, status)
        elif not calls and not self._has_answer(status):
            yield from self._close("completed")
            yield from self._open_item("message")
        yield from self._close("completed" if calls else status, tokens, annotate)
        for call in calls:
            yield from self._call(call, status)
        self.response |= {
            "status": status,
            "output": self._items,
            "incomplete_details": {"reason": _INCOMPLETE[finish_reason]} if status == "incomplete" else None,
        }
        if status == "completed":
            self.response["completed_at"] = int(time.time())

    def last(self) -> StreamEvent:
        """The last event, with the whole response."""
        return self._event(f"response.{self.response['status']}", response=self.response)

    def fail(self, error: dict[str, Any]) -> Iterator[StreamEvent]:
        """The answer fails. error: `message`, `code` and `param` of the error, and its HTTP `status`."""
        yield from self._close("incomplete")
        self.response |= {
            "status": "failed",
            "output": self._items,
            "error": {"code": _failure_code(error["status"]), "message": error["message"]},
        }
        told = {name: error[name] for name in ("code", "message", "param")}
        yield self._event("error", **told)
        yield self._event("response.failed", response=self.response)

    def _event(self, kind: str, **fields: Any) -> StreamEvent:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return event

    def _has_answer(self, status: str) -> bool:
        """Whether there is a message, or an answer that was cut off before it came to one."""
        kinds = [item["type"] for item in self._items]
        return "message" in kinds or (status == "incomplete" and bool(kinds))

    # ---- the item that is being said

    @property
    def _current(self) -> dict[str, Any] | None:
        item = self._items[-1] if self._items else None
        return item if item is not None and item.get("status") == "in_progress" else None

    def _say(self, kind: str, text: str) -> Iterator[StreamEvent]:
        if self._current is None or self._current["type"] != kind:
            yield from self._close("completed")
            yield from self._open_item(kind)
            text = text.lstrip() if kind == "reasoning" else text
        self._texts.append(text)
        more: dict[str, Any] = {"logprobs": []} if kind == "message" else {}
        yield self._event(f"{self._text_event(kind)}.delta", **self._place(), delta=text, **more)

    def _open_item(self, kind: str) -> Iterator[StreamEvent]:
        head: dict[str, Any] = {"id": self._item_id(kind), "type": kind, "status": "in_progress"}
        if kind == "message":
            head |= {"role": "assistant", "content": []}
        else:
            head |= {"summary": []} if self._summarizes else {"summary": [], "content": []}
        self._items.append(head)
        self._texts = []
        yield self._event("response.output_item.added", output_index=len(self._items) - 1, item=dict(head))
        yield self._event(f"{self._part_event(kind)}.added", **self._place(), part=self._part(kind, ""))

    def _close(self, status: str, logprobs: Sequence[Any] = (), annotate: Annotate = _without) -> Iterator[StreamEvent]:
        item = self._current
        if item is None:
            return
        kind, text = item["type"], "".join(self._texts)
        part = self._part(kind, text)
        more: dict[str, Any] = {}
        if kind == "message":
            part["logprobs"] = list(logprobs)
            part["annotations"] = annotate(len(joined_surrogates(text)))
            yield from self._annotations(part["annotations"])
            more["logprobs"] = list(logprobs)
        yield self._event(f"{self._text_event(kind)}.done", **self._place(), text=text, **more)
        yield self._event(f"{self._part_event(kind)}.done", **self._place(), part=part)
        item["summary" if kind == "reasoning" and self._summarizes else "content"] = [part]
        yield from self._done(status)

    def _annotations(self, annotations: Sequence[Annotation]) -> Iterator[StreamEvent]:
        for index, annotation in enumerate(annotations):
            kind = "response.output_text.annotation.added"
            yield self._event(kind, **self._place(), annotation_index=index, annotation=annotation)

    def _done(self, status: str) -> Iterator[StreamEvent]:
        item = self._items[-1]
        item["status"] = status
        yield self._event("response.output_item.done", output_index=len(self._items) - 1, item=item)

    def _place(self) -> dict[str, Any]:
        item = self._items[-1]
        index = "summary_index" if item["type"] == "reasoning" and self._summarizes else "content_index"
        return {"item_id": item["id"], "output_index": len(self._items) - 1, index: 0}

    def _text_event(self, kind: str) -> str:
        reasoning = "response.reasoning_summary_text" if self._summarizes else "response.reasoning_text"
        return "response.output_text" if kind == "message" else reasoning

    def _part_event(self, kind: str) -> str:
        is_summary = kind == "reasoning" and self._summarizes
        return "response.reasoning_summary_part" if is_summary else "response.content_part"

    def _part(self, kind: str, text: str) -> dict[str, Any]:
        if kind == "message":
            return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        return {"type": "summary_text" if self._summarizes else "reasoning_text", "text": text}

    def _item_id(self, kind: str) -> str:
        prefix = _PREFIXES[kind]
        return f"{prefix}_{self._token}{len(self._items):02}"

    # ---- items that are there at once

    def _refuse(self, refusal: str, status: str) -> Iterator[StreamEvent]:
        head = {"id": self._item_id("message"), "type": "message", "status": "in_progress"}
        self._items.append({**head, "role": "assistant", "content": []})
        yield self._event("response.output_item.added", output_index=len(self._items) - 1, item=dict(self._items[-1]))
        place, part = self._place(), {"type": "refusal", "refusal": refusal}
        yield self._event("response.content_part.added", **place, part={**part, "refusal": ""})
        yield self._event("response.refusal.delta", **place, delta=refusal)
        yield self._event("response.refusal.done", **place, refusal=refusal)
        yield self._event("response.content_part.done", **place, part=part)
        self._items[-1]["content"] = [part]
        yield from self._done(status)

    def _call(self, call: ToolCall, status: str) -> Iterator[StreamEvent]:
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        form = self._forms.get(name, Form(name))
        if form.is_search:
            yield from self._search(call, form, status)
            return
        kind, key, events = _CUSTOM_CALL if form.is_custom else _FUNCTION_CALL
        fields = form.written(arguments)
        text, ending = fields[key], {} if form.is_custom else {"name": form.name}
        item = {"id": self._item_id(kind), "type": kind, "status": "in_progress", "call_id": call["id"]}
        self._items.append({**item, **fields, key: ""})
        index = len(self._items) - 1
        place = {"item_id": item["id"], "output_index": index}
        yield self._event("response.output_item.added", output_index=index, item=dict(self._items[-1]))
        yield self._event(f"response.{events}.delta", **place, delta=text)
        self._items[-1][key] = text
        yield self._event(f"response.{events}.done", **place, **{key: text}, **ending)
        yield from self._done(status)

    def _search(self, call: ToolCall, form: Form, status: str) -> Iterator[StreamEvent]:
        item = {"id": self._item_id(_SEARCH_CALL), "type": _SEARCH_CALL, "status": "in_progress", "call_id": call["id"]}
        self._items.append({**item, **form.written(call["function"]["arguments"])})
        yield self._event("response.output_item.added", output_index=len(self._items) - 1, item=dict(self._items[-1]))
        yield from self._done(status)


def _failure_code(status: int) -> str:
    if status == 429:
        return "rate_limit_exceeded"
    return "invalid_prompt" if 400 <= status < 500 else "server_error"


def _logprobs(given: Any) -> list[dict[str, Any]]:
    tokens = given.get("content") if isinstance(given, dict) else None
    return [_logprob(each) for each in tokens if isinstance(each, dict)] if isinstance(tokens, list) else []


def _logprob(given: dict[str, Any]) -> dict[str, Any]:
    made = {name: given.get(name) for name in _LOGPROB}
    made["bytes"] = made["bytes"] or []
    others = made["top_logprobs"] if isinstance(made["top_logprobs"], list) else []
    named = _LOGPROB[:3]
    made["top_logprobs"] = [
        {**{name: each.get(name) for name in named}, "bytes": each.get("bytes") or []}
        for each in others
        if isinstance(each, dict)
    ]
    return made
