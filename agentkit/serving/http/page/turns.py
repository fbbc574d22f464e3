"""A session as it is shown to a user: its questions and answers, from the entries of its log."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, get_args

from agentkit.backend import ending_of
from agentkit.event import CutOff
from agentkit.executor import open_call
from agentkit.limits import LAST_WORDS, Usage, is_remark_of_the_run
from agentkit.message import (
    INVALID_ANSWER,
    Message,
    is_shown_by_a_tool,
    reasoning_of,
    response_of,
    text_of,
    user,
    without_stop_note,
)
from agentkit.record import amount_of, call_record, usage_from, usage_record
from agentkit.serving.attachments import with_attachments
from agentkit.serving.exchange import UserInput
from agentkit.serving.http.page.attachment_schemas import AttachmentOut
from agentkit.serving.http.schemas import TurnCallOut, TurnOut, UsageOut
from agentkit.sessions.log import Entry, begins_turn, messages_of, ordered, stops
from agentkit.sessions.waiting import is_waiting, waiting_in
from agentkit.tooling.outcome import is_failure

_LIMITS = {text: limit for limit, text in LAST_WORDS.items()}


def question_record(user_input: UserInput) -> dict[str, Any] | None:
    """A message as a client that follows its answer is told it; None for a decision."""
    prompt = user_input.prompt()
    if prompt is None:
        return None
    return question_turn(user(prompt)).model_dump(include={"content", "images", "attachments"})


def question_turn(message: Message) -> TurnOut:
    """A message of the user."""
    typed, attached = with_attachments(message)
    documents = [AttachmentOut(name=each.name, characters=len(each.text)) for each in attached]
    return TurnOut(role="user", content=typed, images=_images(message), attachments=documents)


def turns(entries: Sequence[Entry]) -> list[TurnOut]:
    """The messages of a session, each answer with its tool calls and images, what it took and why it ended."""
    sent, held = ordered(entries)
    made = _Turns(_seconds_worked(entries), stops(entries))
    messages = [each for part in messages_of(entries) for each in part]
    for entry, message in zip([*sent, *held], messages, strict=True):
        made.add(entry, message)
    made.close("approval" if waiting_in(entries) is not None else "")
    return made.turns


@dataclass(frozen=True)
class _Spent:
    """What an answer has taken so far. begun, ended: seconds that the session had worked. limit: the limit of the run
    that was reached, "" for none."""

    usage: Usage | None = None
    begun: float = 0.0
    ended: float = 0.0
    limit: str = ""


class _Turns:
    """Puts the messages of a session together."""

    def __init__(self, worked: dict[int, float], stops: dict[int, Entry]) -> None:
        self.turns: list[TurnOut] = []
        self._worked = worked
        self._stops = stops
        self._stop: Entry | None = None  # what says that the run was stopped here, until a later try goes on
        self._open_calls: dict[str, TurnCallOut] = {}  # of the last reply: servers may reuse ids in later replies
        self._pending = TurnOut(role="assistant", content="")
        self._spent = self._spent_before = _Spent()
        self._count = 0

    def add(self, entry: Entry, message: Message) -> None:
        """Add a message. entry: that of the log."""
        seconds, number = self._worked[id(entry)], self._count
        self._count += 1
        if begins_turn(entry) and not _is_of_the_run(message):
            self.close("")  # after a stopped run, its calls do not belong to a later answer
            self._stop = self._stops.get(id(entry))
            self._pending.begins = self._count
            self.turns.append(question_turn(message).model_copy(update={"time": entry.at or None, "begins": number}))
            self._spent = _Spent(begun=seconds)
            return
        is_last = message["role"] == "assistant" and not message.get("tool_calls")
        self._stop = None if is_last else self._stops.get(id(entry))
        self._spent = replace(self._spent, ended=seconds)
        self._pending.time = entry.at or None
        if not self._pending.content and not self._pending.tool_calls:
            self._pending.begins = number
        if message["role"] == "assistant":
            self._add_reply(entry, message)
        elif message["role"] == "tool":
            self._add_result(entry, message)
        elif is_shown_by_a_tool(message):
            self._pending.images += _images(message)
        elif text_of(message).startswith(INVALID_ANSWER):
            self._take_back()
        elif reached := _LIMITS.get(text_of(message)):
            self._spent = replace(self._spent, limit=reached)

    def _add_reply(self, entry: Entry, message: Message) -> None:
        if entry.usage:
            self._spent = replace(self._spent, usage=(self._spent.usage or Usage()) + usage_from(entry.usage))
        records = [call_record(open_call(call), as_text=True) for call in message.get("tool_calls") or ()]
        calls = [TurnCallOut(**record) for record in records]
        self._open_calls = {call.id: call for call in calls}
        pending = self._pending
        pending.tool_calls += calls
        text = without_stop_note(message) if entry.extra.get("stopped") else text_of(message)
        if calls:
            calls[0].said = text
        else:
            pending.content = text
        pending.reasoning = "\n\n".join(text for text in (pending.reasoning, _reasoning(message)) if text)
        if not calls:
            self.close(_why(entry, pending.content, self._spent.limit))

    def _take_back(self) -> None:
        """A check has refused the last answer, and the model writes it again: it is no turn of its own."""
        if self.turns and self.turns[-1].role == "assistant" and not self._pending.tool_calls:
            refused = self.turns.pop()
            self._pending = refused.model_copy(update={"content": "", "stopped": "", "usage": None})
            self._spent = self._spent_before

    def _add_result(self, entry: Entry, message: Message) -> None:
        call = self._open_calls.get(message.get("tool_call_id", ""))
        if call is not None:
            call.response = response_of(message)
            call.error = call.response if is_failure(call.response) else None
            call.seconds = amount_of(entry.extra.get("seconds"))
        if entry.extra.get("ends"):
            self._pending.stopped = "answer"

    def _add_stop(self, entry: Entry) -> str:
        """The run was stopped before a reply. Returns why."""
        pending, reasoning = self._pending, entry.extra.get("reasoning")
        pending.time = entry.at or None
        if isinstance(reasoning, str):
            pending.reasoning = "\n\n".join(text for text in (pending.reasoning, reasoning) if text)
        self._spent = replace(self._spent, ended=self._worked[id(entry)])
        return str(entry.extra.get("stopped") or "")

    def close(self, stopped: str) -> None:
        """The answer is complete, or nothing more of it is there. stopped: why."""
        stop, self._stop = self._stop, None
        if stop is not None:
            why = self._add_stop(stop)
            stopped = stopped or why
        pending, spent = self._pending, self._spent
        if pending.content or pending.tool_calls or stop is not None:
            pending.stopped = stopped or pending.stopped
            if spent.usage is not None:
                calls = sum(1 for call in pending.tool_calls if call.response is not None)
                usage = replace(spent.usage, tool_calls=calls, seconds=round(spent.ended - spent.begun, 3))
                pending.usage = UsageOut(**usage_record(usage))
            self.turns.append(pending)
        self._pending = TurnOut(role="assistant", content="")
        self._spent, self._spent_before = replace(spent, usage=None, begun=spent.ended), spent


def _is_of_the_run(message: Message) -> bool:
    """Whether the user did not write a message that says nothing of it, as those of a copied session."""
    return is_shown_by_a_tool(message) or is_remark_of_the_run(text_of(message))


def _why(entry: Entry, content: str, limit: str) -> str:
    """Why the run of a last reply has ended."""
    reason = str(entry.extra.get("stopped") or "")
    ending = ending_of(str(entry.extra.get("finish_reason") or ""))
    found = limit or reason or (ending if ending in get_args(CutOff) else "")
    return found or ("answer" if content.strip() else "empty")


def _seconds_worked(entries: Sequence[Entry]) -> dict[int, float]:
    """How long the session had worked at each entry, without the times in which it waited for a person."""
    worked, total, before, waits = {}, 0.0, None, True
    for entry in entries:
        at = _seconds(entry.at)
        if not waits and before is not None and at is not None:
            total += max(0.0, at - before)
        worked[id(entry)] = total
        before, waits = at, is_waiting(entry)
    return worked


def _seconds(at: str) -> float | None:
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return None


def _reasoning(message: Message) -> str:
    return reasoning_of(message).strip()


def _images(message: Message) -> list[str]:
    parts: Any = message.get("content")
    parts = parts if isinstance(parts, list) else []
    return [part["image_url"]["url"] for part in parts if part.get("type") == "image_url"]
