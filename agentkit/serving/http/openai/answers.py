"""The answer of a run as the OpenAI API gives it, the same whole and streamed.

What the model says in the replies of one answer (before calls of the service's tools, and last) are its paragraphs: the
texts without surrounding white space, with an empty line between them. Its reasoning is put together in the same way.
"""

import hashlib
import os
import time
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Protocol, get_args

from agentkit._text import json_bytes
from agentkit.backend import ending_of
from agentkit.backends.streamed_parts import THOUGHTS, text_of_part
from agentkit.event import (
    CutOff,
    Event,
    ReasoningDelta,
    ReplyDiscarded,
    ReplyFinished,
    ReplyStarted,
    TextDelta,
    ToolFinished,
)
from agentkit.limits import Usage
from agentkit.message import Message, ToolCall, reasoning_of, text_of
from agentkit.running.append_only import AppendOnlyText, LateReasoningSeen, ReplyChangedError
from agentkit.serving.exchange import Answer
from agentkit.serving.http.openai.client_tools import cut_off_text
from agentkit.serving.unattended import told

NOT_VALID = "the model's answer does not match response_format, and a part of it was sent"

_CUT_OFF = get_args(CutOff)

BETWEEN = "\n\n"
"""What stands between the texts of two replies of one answer."""

Delta = dict[str, Any]
"""A part of the answer's message: `{"content": ...}`, `{"reasoning_content": ...}` or `{"tool_calls": ...}`."""


class Said(Protocol):
    """Makes the parts of an answer's message from the events of its run."""

    def take(self, event: Event) -> Iterable[Delta]:
        """The parts that can be sent after an event."""
        ...

    def rest(self, answer: Answer) -> Iterable[Delta]:
        """The parts that are left when the run has ended."""
        ...


def is_refused(event: ReplyFinished) -> bool:
    """Whether the text of a reply is no part of the answer: a check has refused it, and the model answers again."""
    return bool(event.reply.then) and not event.reply.message.get("tool_calls")


class SaidAtOnce:
    """The parts of an answer that is sent whole: one for its text, one for its reasoning."""

    def __init__(self) -> None:
        self._ending = EndingResult()
        self._texts: dict[str, list[str]] = {"reasoning_content": [], "content": []}
        self._arriving: dict[str, list[str]] = {"reasoning_content": [], "content": []}

    def take(self, event: Event) -> Iterable[Delta]:
        """See `Said.take`."""
        if isinstance(event, TextDelta):
            self._arriving["content"].append(event.text)
        elif isinstance(event, ReasoningDelta):
            self._arriving["reasoning_content"].append(event.text)
        elif isinstance(event, ReplyDiscarded):
            self._forget()
        elif isinstance(event, ReplyFinished):
            if not any(self._arriving.values()):
                self._arrive_whole(event.reply.message)
            if is_refused(event):
                self._arriving["content"].clear()
            self._finish()
        elif isinstance(event, ReplyStarted):
            self._finish()
        elif text := self._ending.take(event).strip():
            self._texts["content"].append(text)
        return ()

    def rest(self, answer: Answer) -> Iterator[Delta]:
        """See `Said.rest`."""
        self._finish()
        for name, texts in self._texts.items():
            if texts:
                yield {name: BETWEEN.join(texts)}

    def _arrive_whole(self, message: Message) -> None:
        """Take the texts of a reply that was not streamed."""
        self._arriving["reasoning_content"].append(reasoning_of(message))
        content = message.get("content")
        thoughts = [part for part in content if part.get("type") in THOUGHTS] if isinstance(content, list) else []
        self._arriving["reasoning_content"] += [text_of_part(part) for part in thoughts]
        self._arriving["content"].append(text_of(message))

    def _finish(self) -> None:
        for name, parts in self._arriving.items():
            if not parts:
                continue
            if text := "".join(parts).strip():
                self._texts[name].append(text)
            parts.clear()

    def _forget(self) -> None:
        for parts in self._arriving.values():
            parts.clear()


class EndingResult:
    """The result of the call that ends a run, of a tool whose result is the answer."""

    def __init__(self) -> None:
        self._is_over = False

    def take(self, event: Event) -> str:
        """The result, if an event has it: the first one counts."""
        if self._is_over or not (isinstance(event, ToolFinished) and event.ends_run):
            return ""
        self._is_over = True
        return event.record.response


class Paragraphs:
    """Puts texts that arrive in pieces together as paragraphs, without taking anything back."""

    def __init__(self) -> None:
        self._held = ""
        self._is_begun = True
        self._has_text = False

    def begin(self) -> None:
        """What follows is a paragraph of its own."""
        self._held, self._is_begun = "", False

    def take(self, text: str) -> str:
        """What to send, given the next piece; white space is held until more follows."""
        said = text.rstrip()
        if not said:
            self._held += text if self._is_begun and self._has_text else ""
            return ""
        if not self._is_begun or not self._has_text:
            said = (BETWEEN if self._has_text else "") + said.lstrip()
        else:
            said = self._held + said
        self._held, self._is_begun, self._has_text = text[len(text.rstrip()) :], True, True
        return said


class SaidInPieces:
    """The parts of an answer that is streamed. late: see `AppendOnlyText`.

    Raises ReplyChangedError where a reply that was begun anew differs from what was sent of its text. Reasoning that
    differs is not sent.
    """

    def __init__(self, late: LateReasoningSeen) -> None:
        self._text = AppendOnlyText(late)
        self._paragraphs = Paragraphs()
        self._reasoning = Reasoning()
        self._ending = EndingResult()

    def take(self, event: Event) -> Iterator[Delta]:
        """See `Said.take`."""
        if isinstance(event, ReplyStarted | ToolFinished):
            self._paragraphs.begin()
        if reasoning := self._reasoning.take(event):
            yield {"reasoning_content": reasoning}
        if text := self._paragraphs.take(self._text.take(event) or self._ending.take(event)):
            yield {"content": text}

    def rest(self, answer: Answer) -> Iterable[Delta]:
        """See `Said.rest`."""
        return ()


class SaidReasoning:
    """The reasoning of an answer that is streamed, without its text."""

    def __init__(self) -> None:
        self._reasoning = Reasoning()

    def take(self, event: Event) -> Iterator[Delta]:
        """See `Said.take`."""
        if reasoning := self._reasoning.take(event):
            yield {"reasoning_content": reasoning}

    def rest(self, answer: Answer) -> Iterable[Delta]:
        """See `Said.rest`."""
        return ()


class SaidAsJson:
    """The parts of an answer in JSON: what the model says beside it (before calls, in an answer that is not valid) is
    left out. Its reasoning is sent with `said`, as for any other answer.

    streams: whether the JSON is sent as it arrives, where it begins like JSON. Raises ReplyChangedError when the answer
    is then another one.
    """

    def __init__(self, said: Said, streams: bool) -> None:
        self._said = said
        self._spoken = SaidAtOnce()
        self._streams = streams
        self._sent = ""

    def take(self, event: Event) -> Iterator[Delta]:
        """See `Said.take`."""
        if isinstance(event, ReplyStarted) and self._sent:
            raise ReplyChangedError(NOT_VALID)
        self._spoken.take(event)
        for delta in self._said.take(event):
            if "content" not in delta:
                yield delta
            elif self._streams and (self._sent or delta["content"].startswith(("{", "["))):
                self._sent += delta["content"]
                yield delta
            else:
                self._streams = False

    def rest(self, answer: Answer) -> Iterator[Delta]:
        """See `Said.rest`."""
        yield from (delta for delta in self._said.rest(answer) if "content" not in delta)
        spoken = {name: text for delta in self._spoken.rest(answer) for name, text in delta.items()}
        output = answer.result.output
        text = output if isinstance(output, str) else spoken.get("content", "")
        if not text.startswith(self._sent):
            raise ReplyChangedError(NOT_VALID)
        if text := text.removeprefix(self._sent):
            yield {"content": text}


class Reasoning:
    """The reasoning of an answer in pieces, of which nothing is taken back: what a reply that is begun anew repeats is
    not sent again, and nothing more of one that differs."""

    def __init__(self) -> None:
        self._paragraphs = Paragraphs()
        self._sent = ""
        self._begin()

    def _begin(self) -> None:
        self._paragraphs.begin()
        self._parts: list[str] = []
        self._expected = ""
        self._position = 0
        self._is_over = False

    def take(self, event: Event) -> str:
        """What to send after an event, "" for nothing."""
        if isinstance(event, ReplyStarted):
            self._begin()
        elif isinstance(event, ReplyDiscarded):
            self._expected, self._position = self._expected if self._is_over else "".join(self._parts), 0
        elif isinstance(event, ReasoningDelta) and not self._is_over:
            return self._paragraphs.take(self._new(event.text))
        return ""

    def _new(self, text: str) -> str:
        repeated = self._expected[self._position : self._position + len(text)]
        if not text.startswith(repeated):
            self._is_over = True
            return ""
        self._position += len(repeated)
        text = text[len(repeated) :]
        self._parts.append(text)
        return text


def finish_reason(answer: Answer, calls: Collection[Any]) -> str:
    """How an answer ended. calls: those of the client's tools."""
    if calls:
        return "tool_calls"
    ending = ending_of(answer.result.finish_reason)
    return ending if ending is not None and ending in _CUT_OFF else "stop"


def client_call_ids(answer: Answer, names: Collection[str]) -> list[str]:
    """The ids of the calls that the client is to answer, without one that is cut off. names: of its tools."""
    if not answer.result.pending:
        return []
    mine = (call for call in answer.result.pending if call.name in names)
    return [call.id for call in mine if cut_off_text(call.raw_arguments) is None]


def waiting_text(answer: Answer, names: Collection[str]) -> str:
    """What a client is told where the run has stopped for a call of the service's own that a person has to approve; ""
    for any other answer. names: of the client's tools."""
    if not answer.result.pending:
        return ""
    own = next((call for call in answer.result.pending if call.name not in names), None)
    return "" if own is None else told(own.name, own.raw_arguments, own.question)


def calls_delta(calls: Iterable[ToolCall]) -> Delta:
    """The calls of an answer as a part of its message in a stream."""
    return {"tool_calls": [{"index": place, **call} for place, call in enumerate(calls)]}


def refusal_in(answer: Answer) -> str | None:
    """The model's refusal, where the last reply is one."""
    return (answer.added[-1].get("refusal") or None) if answer.added else None


def logprobs_in(answer: Answer) -> Any:
    """The log probabilities of the last reply's tokens, None where none were asked for."""
    return answer.extra.get("logprobs")


def usage_fields(usage: Usage) -> dict[str, Any]:
    """The usage of a run as an object of the API: of all its model replies."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "cost": usage.cost,
    }


def head_of(model: str, fingerprint: str) -> dict[str, Any]:
    """The fields that all objects of one answer share."""
    return {
        "id": f"chatcmpl-{os.urandom(12).hex()}",
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": fingerprint,
    }


def fingerprint_of(*what: Any) -> str:
    """A fingerprint of the configuration that makes the answers. what: JSON values."""
    return f"fp_{hashlib.sha256(json_bytes(list(what))).hexdigest()[:10]}"
