"""Chat completions: the agent as a model of the OpenAI API.

The service's tools run here, and of them a client sees only what the model says; calls of the client's own tools are
returned to it.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from agentkit._text import joined_surrogates, json_bytes
from agentkit.event import Event, ToolStarted
from agentkit.limits import Usage
from agentkit.middleware.structured_output import FINAL
from agentkit.serving.exchange import Answer
from agentkit.serving.http.dependencies import State, caller_of
from agentkit.serving.http.errors import body_of_error, error_responses
from agentkit.serving.http.openai.annotations import completion_annotations
from agentkit.serving.http.openai.answers import (
    BETWEEN,
    Delta,
    Said,
    SaidAsJson,
    SaidAtOnce,
    SaidInPieces,
    SaidReasoning,
    calls_delta,
    client_call_ids,
    finish_reason,
    head_of,
    logprobs_in,
    refusal_in,
    usage_fields,
    waiting_text,
)
from agentkit.serving.http.openai.chat_request import Asked, CompletionRequest, asked_of
from agentkit.serving.http.openai.errors import not_to_be_sent_again, refusal_of
from agentkit.serving.http.openai.models import MODEL, check_model
from agentkit.serving.http.openai.tool_forms import as_written
from agentkit.serving.http.runs import ClientDisconnectedError
from agentkit.serving.http.schemas import OpenAIErrorResponse
from agentkit.serving.http.sse import frame, streamed

routes = APIRouter(prefix="/v1", tags=["OpenAI"], responses=error_responses(OpenAIErrorResponse))


@dataclass(frozen=True)
class Ending:
    """The end of an answer. calls: of the client's tools, as the client writes them."""

    answer: Answer
    calls: list[Any]

    @property
    def finish_reason(self) -> str:
        """How the answer ended."""
        return finish_reason(self.answer, self.calls)

    @property
    def marks(self) -> dict[str, Any]:
        """The field that says that the answer was given to an earlier request."""
        return {"cached": True} if self.answer.was_kept else {}


@routes.post("/chat/completions", summary="Create a chat completion", response_model=None)
async def complete(body: CompletionRequest, request: Request) -> Response:
    """Answers a conversation, as a stream of chunks if `stream` is true. The service's tools run on the server; calls
    of the client's tools are returned."""
    state, subject = caller_of(request)
    model = body.model or MODEL
    check_model(model)
    if body.is_plain:  # the way to another thread and back costs more
        asked = asked_of(body, subject, state)
    else:
        asked = await run_in_threadpool(asked_of, body, subject, state)
    head = head_of(model, state.fingerprint)
    if body.stream:
        frames = _chunks(state, request, asked, subject, head, body.wants_usage)
        response: Response = await streamed(frames, _last_frames, _text_of)
        response.headers.update(asked.headers())
        return response
    return json_response(await _whole(state, request, asked, subject, head), asked.headers())


def json_response(content: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A response as JSON, whatever the texts of models and clients in it: half a surrogate pair is replaced."""
    return Response(json_bytes(content), headers=headers, media_type="application/json")


async def _whole(state: State, request: Request, asked: Asked, subject: str, head: dict[str, Any]) -> dict[str, Any]:
    found = [await _answer(state, request, each, subject) for each in asked.each()]
    choices = [
        {
            "index": place,
            "message": message,
            "logprobs": logprobs_in(ending.answer),
            "finish_reason": ending.finish_reason,
        }
        for place, (message, ending) in enumerate(found)
    ]
    first, *more = (ending for _, ending in found)
    usage = sum((ending.answer.usage for ending in more), first.answer.usage)
    marks = first.marks if all(ending.marks for ending in more) else {}
    return {**head, "object": "chat.completion", "choices": choices, "usage": usage_fields(usage), **marks}


async def _answer(state: State, request: Request, asked: Asked, subject: str) -> tuple[dict[str, Any], Ending]:
    """One answer: its message, and its ending. Raises what the run raises, as clients are told it."""
    said: Said = SaidAtOnce()
    said = said if asked.json is None else SaidAsJson(said, streams=False)
    taken = Taken(said)
    note = state.noting(subject)
    try:
        answer = await state.runs.answer(asked.user_input, request.is_disconnected, note, taken.take)
    except ClientDisconnectedError:
        raise
    except Exception as error:
        raise taken.told(error, asked) from error
    note(answer)
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    for delta in [*taken.deltas, *_rest(said, answer, asked, taken.has_text)]:
        message |= delta
    ending = await _ending(state, asked, subject, answer)
    return _ended(message, ending), ending


class Taken:
    """What was taken of the events of a run. deltas: the parts of the answer's message that were not read yet."""

    def __init__(self, said: Said) -> None:
        self.deltas: list[Delta] = []
        self.has_text = self._had_effect = False
        self._said = said

    def take(self, event: Event) -> None:
        """Take in an event."""
        self._had_effect = self._had_effect or _has_effect(event)
        for delta in self._said.take(event):
            self.has_text = self.has_text or "content" in delta
            self.deltas.append(delta)

    def taken(self) -> list[Delta]:
        """The deltas since the last call."""
        deltas, self.deltas = self.deltas, []
        return deltas

    def told(self, error: Exception, asked: Asked) -> Exception:
        """What the client is told of the error of the run."""
        told = refusal_of(error, asked.fields)
        return not_to_be_sent_again(told) if self._had_effect else told


def _ended(message: dict[str, Any], ending: Ending) -> dict[str, Any]:
    if annotations := completion_annotations(ending.answer, len(message["content"] or "")):
        message["annotations"] = annotations
    if ending.calls:
        message["tool_calls"] = ending.calls
    elif message["content"] is None:
        message["refusal"] = refusal_in(ending.answer)
        message["content"] = "" if message["refusal"] is None else None
    return message


async def _chunks(
    state: State, request: Request, asked: Asked, subject: str, head: dict[str, Any], wants_usage: bool
) -> AsyncGenerator[Any, None]:
    """Yield the chunks of all answers, as many at once as there are; None is a keep-alive."""
    head = {**head, "object": "chat.completion.chunk"}
    more = {"usage": None} if wants_usage else {}
    usage = Usage()
    for place, each in enumerate(asked.each()):
        choices = _Choices(place)
        async with aclosing(answer_parts(state, request, each, subject, streamed_said(each, state))) as parts:
            async for part in parts:
                yield None if part is None else [{**head, **choice, **more} for choice in choices.of(part)]
        if choices.ending is None:  # the client has disconnected
            return
        usage += choices.ending.answer.usage
    if wants_usage:
        yield [{**head, "choices": [], "usage": usage_fields(usage)}]


class _Choices:
    """The parts of one answer as the fields of chunks. place: of the answer. ending: that of the answer, once it has
    come."""

    def __init__(self, place: int) -> None:
        self.ending: Ending | None = None
        self._place = place
        self._role: Delta = {"role": "assistant", "content": ""}
        self._texts: list[str] = []

    def of(self, part: Delta | Ending) -> list[dict[str, Any]]:
        """The choices with a part of the answer; with its ending, those with what follows the text come before."""
        if not isinstance(part, Ending):
            self._texts.append(part.get("content", ""))
            return [self._choice(part)]
        self.ending = part
        more = [self._choice(delta) for delta in _last_deltas(part, "".join(self._texts))]
        return [*more, {**self._choice({}, logprobs_in(part.answer), part.finish_reason), **part.marks}]

    def _choice(self, delta: Delta, logprobs: Any = None, reason: str | None = None) -> dict[str, Any]:
        if not delta.keys().isdisjoint(("tool_calls", "refusal")):  # no text is null, as in an answer that is whole
            self._role.pop("content", None)
        delta, self._role = {**self._role, **delta}, {}
        return {"choices": [{"index": self._place, "delta": delta, "logprobs": logprobs, "finish_reason": reason}]}


def streamed_said(asked: Asked, state: State) -> Said:
    """How an answer is streamed."""
    service = state.conversations.service
    if asked.json is None:
        return SaidInPieces(service.late_reasoning)
    if asked.user_input.tools or not service.capabilities().takes_schema(has_tools=False):
        return SaidAsJson(SaidReasoning(), streams=False)
    return SaidAsJson(SaidInPieces(service.late_reasoning), streams=True)


def _last_deltas(ending: Ending, text: str) -> list[Delta]:
    if ending.calls:
        return [calls_delta(ending.calls)]
    if annotations := completion_annotations(ending.answer, len(joined_surrogates(text))):
        return [{"annotations": annotations}]
    refusal = refusal_in(ending.answer)
    return [{"refusal": refusal}] if refusal is not None else []


async def answer_parts(
    state: State, request: Request, asked: Asked, subject: str, said: Said
) -> AsyncGenerator[Delta | Ending | None, None]:
    """Yield the parts of an answer's message, and its ending; None is a keep-alive. Raises what the run raises, as
    clients are told it."""
    taken, note = Taken(said), state.noting(subject)
    async with aclosing(state.runs.follow(asked.user_input, request.is_disconnected, note)) as updates:
        while True:
            try:
                each = await anext(updates)
            except StopAsyncIteration:
                return
            except Exception as error:
                raise taken.told(error, asked) from error
            if isinstance(each, Answer):
                note(each)
                taken.deltas += _rest(said, each, asked, taken.has_text)
            elif each is not None:
                taken.take(each)
            for delta in taken.taken() if each is not None else (None,):
                yield delta
            if isinstance(each, Answer):
                yield await _ending(state, asked, subject, each)


def _rest(said: Said, answer: Answer, asked: Asked, has_text: bool) -> list[Delta]:
    """The last parts of an answer, with what is said of a call that waits for a person. has_text: whether text was sent
    before."""
    deltas = list(said.rest(answer))
    text = waiting_text(answer, asked.client_names)
    place = next((place for place in reversed(range(len(deltas))) if "content" in deltas[place]), None)
    if text and place is not None:
        deltas[place] = {**deltas[place], "content": deltas[place]["content"] + BETWEEN + text}
    elif text:
        deltas.append({"content": BETWEEN + text if has_text else text})
    return deltas


def _has_effect(event: Event) -> bool:
    return isinstance(event, ToolStarted) and not event.read_only and event.name != FINAL


async def _ending(state: State, asked: Asked, subject: str, answer: Answer) -> Ending:
    call_ids = client_call_ids(answer, asked.client_names)
    if not call_ids or waiting_text(answer, asked.client_names):
        return Ending(answer, [])
    earlier = asked.user_input.messages or ()
    calls = await run_in_threadpool(state.continuations.keep, subject, answer.added, call_ids, earlier)
    return Ending(answer, as_written(calls, asked.custom_names) if asked.custom_names else calls)


def _last_frames(error: Exception | None) -> Sequence[Any]:
    return [[body_of_error("/v1/", error) if error else "[DONE]"]]


def _text_of(chunks: Sequence[Any] | None) -> str:
    """The frames of chunks; None is a keep-alive."""
    return frame(None) if chunks is None else "".join(map(frame, chunks))
