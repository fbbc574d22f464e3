"""The chat API of the Prompt Portal's clients: stateless chat and sessions, complete and streamed."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from agentkit.errors import SessionBusyError
from agentkit.record import call_record, frame_of, last_frame, usage_record
from agentkit.serving.decisions import waiting_record
from agentkit.serving.exchange import Answer, UserInput
from agentkit.serving.http.conversations import SessionMeta, UnknownSessionError, waiting_fields
from agentkit.serving.http.dependencies import Service, State, Subject, caller_of
from agentkit.serving.http.errors import error_responses, logged_status_and_detail
from agentkit.serving.http.evidence_schemas import SourceText, evidence_fields
from agentkit.serving.http.page.live import LiveAnswer, stays
from agentkit.serving.http.page.recording import Frames
from agentkit.serving.http.schemas import (
    ChatAnswer,
    ChatRequest,
    Done,
    ErrorResponse,
    History,
    PromptsOut,
    RenameRequest,
    SessionAnswer,
    SessionReference,
    SessionRenameRequest,
    SessionRequest,
    SessionsOut,
    SourceReference,
    SpentOnDay,
    SpentOut,
    ToolCallOut,
    UsageHistoryOut,
    UsageOut,
)
from agentkit.serving.http.sse import streamed
from agentkit.serving.unattended import told
from agentkit.serving.usage_history import Spent
from agentkit.session import MAX_REQUEST_ID

CLEAR_SECONDS = 3.0
"""Seconds to retry the deletion of a busy session."""

STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {}},
        "description": "Server-sent events. Each `data:` line is a JSON object with one of `content`, `reasoning`, "
        "`tool`, `discarded`, `approval`, `citations`, `usage` or `error`; the last one has `done`. `approval` has the "
        "calls that wait for a person (`asked` and `calls`, the `pending` of the history): the run has stopped for "
        "them. `citations` (as in an answer) follows the text of an answer that was checked; their places count in the "
        "text since the last tool call.",
    }
}

_KEY_TEXT = "The same as `requestId` in the body."
_TEXT_OR_NULL = {"anyOf": [{"type": "string", "maxLength": MAX_REQUEST_ID}, {"type": "null"}]}
IDEMPOTENCY_KEY = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {**_TEXT_OR_NULL, "title": "Idempotency-Key", "description": _KEY_TEXT},
            "description": _KEY_TEXT,
        }
    ]
}
"""The header in the description of a route that reads it itself, which takes less time than FastAPI does."""

_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
"""A string of RFC 8941, as which the IETF's draft of the header Idempotency-Key has its value."""

SessionIdPath = Annotated[str, Path(description="Session ID.")]

routes = APIRouter(prefix="/api/llm", tags=["chat"], responses=error_responses(ErrorResponse))


@routes.post("/chat", summary="Chat without a session")
async def chat(body: ChatRequest, request: Request) -> ChatAnswer:
    """Answers a conversation given in full. Nothing is stored."""
    state, subject = caller_of(request)
    note = state.noting(subject)
    answer = await state.runs.answer(state.conversations.single(body), request.is_disconnected, note)
    note(answer)
    return ChatAnswer(**_answer_fields(answer))


@routes.post("/chat/session", summary="Send a message to a session", openapi_extra=IDEMPOTENCY_KEY)
async def session_chat(body: SessionRequest, request: Request) -> SessionAnswer:
    """Answers the next message of a session, or goes on with a decision on its calls that wait for one. The first
    message creates the session."""
    state, subject = caller_of(request)
    request_id = _request_id(body, request.headers.get("idempotency-key"))
    user_input, meta = await run_in_threadpool(state.conversations.next, subject, body, request_id)
    if body.background:
        live = _in_background(state, user_input, {"session_id": body.session_id}, meta, subject)
        answer = await live.whole(request.is_disconnected)
    else:
        note = state.noting(subject, _version(meta))
        answer = await state.runs.answer(user_input, request.is_disconnected, note)
        note(answer)
        prompt = user_input.system_prompt or ""
        await run_in_threadpool(state.conversations.keep, subject, body.session_id, meta, prompt)
    return SessionAnswer(
        session_id=body.session_id,
        history_was_cut=answer.was_cut,
        prompt=meta.prompt_out,
        **_answer_fields(answer),
        **waiting_fields(answer.waiting),
    )


@routes.post(
    "/chat/stream", summary="Chat without a session, streamed", response_class=StreamingResponse, responses=STREAM
)
async def chat_stream(body: ChatRequest, request: Request) -> StreamingResponse:
    """Answers a conversation given in full as a stream of server-sent events. Nothing is stored."""
    state, subject = caller_of(request)
    return await _streamed(state, request, state.conversations.single(body), {}, None, subject)


@routes.post(
    "/chat/session/stream",
    summary="Send a message to a session, streamed",
    response_class=StreamingResponse,
    responses=STREAM,
    openapi_extra=IDEMPOTENCY_KEY,
)
async def session_stream(body: SessionRequest, request: Request) -> StreamingResponse:
    """Answers the next message of a session, or goes on with a decision, as a stream of server-sent events."""
    state, subject = caller_of(request)
    request_id = _request_id(body, request.headers.get("idempotency-key"))
    user_input, meta = await run_in_threadpool(state.conversations.next, subject, body, request_id)
    session_fields = {"session_id": body.session_id}
    if body.background:
        live = _in_background(state, user_input, session_fields, meta, subject)
        return await stream_of(live.recording.read(), session_fields)
    return await _streamed(state, request, user_input, session_fields, meta, subject)


def _in_background(
    state: State, user_input: UserInput, session_fields: dict[str, str], meta: SessionMeta, subject: str
) -> LiveAnswer:
    """Begin an answer that belongs to the service, or return the one in progress for the same request."""

    def frames(live: LiveAnswer) -> Frames:
        return answer_frames(state, stays, user_input, session_fields, meta, subject, live)

    return state.conversations.live.begin(user_input, frames, logged_status_and_detail)


def _request_id(body: SessionRequest, idempotency_key: str | None) -> str:
    """Return the id of a request, or "". The header's value may be quoted. Raises HTTPException with 400 for an invalid
    header, and when body and header differ."""
    if idempotency_key is None:
        return body.request_id or ""
    quoted = _QUOTED.fullmatch(idempotency_key.strip())
    from_header = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else idempotency_key.strip()
    if not 0 < len(from_header) <= MAX_REQUEST_ID:
        raise HTTPException(400, f"the header Idempotency-Key must have 1 to {MAX_REQUEST_ID} characters")
    if body.request_id is not None and body.request_id != from_header:
        raise HTTPException(400, "requestId and the header Idempotency-Key differ: send one of them")
    return from_header


async def _streamed(
    state: State,
    request: Request,
    user_input: UserInput,
    session_fields: dict[str, str],
    meta: SessionMeta | None,
    subject: str,
) -> StreamingResponse:
    """Return the stream of an answer. session_fields: added to each content frame and to the last frame."""
    frames = answer_frames(state, request.is_disconnected, user_input, session_fields, meta, subject)
    return await stream_of(frames, session_fields)


async def stream_of(frames: Frames, session_fields: dict[str, str]) -> StreamingResponse:
    """Return the stream of an answer from its frames. session_fields: added to the last frame. Raises what `frames`
    raises at its beginning."""

    def ending(error: Exception | None) -> list[dict[str, Any]]:
        return last_frames({"error": logged_status_and_detail(error)[1]} if error else None, session_fields)

    return await streamed(frames, ending)


async def answer_frames(
    state: State,
    is_disconnected: Callable[[], Awaitable[bool]],
    user_input: UserInput,
    session_fields: dict[str, str],
    meta: SessionMeta | None,
    subject: str,
    live: LiveAnswer | None = None,
) -> Frames:
    """Yield the frames of an answer; None is a keep-alive. live: the answer, where it belongs to the service. Raises
    what `Runs.follow` raises."""
    note = state.noting(subject, _version(meta))
    cancel = live.cancel if live is not None else None
    async with aclosing(state.runs.follow(user_input, is_disconnected, note, cancel)) as updates:
        async for each in updates:
            if isinstance(each, Answer):
                note(each)
                if live is not None:
                    live.answer = each
                if meta is not None:
                    session_id, prompt = session_fields["session_id"], user_input.system_prompt or ""
                    await run_in_threadpool(state.conversations.keep, subject, session_id, meta, prompt)
                if each.waiting is not None:
                    yield {"approval": waiting_record(each.waiting)}
                elif text := _not_asked(each):
                    yield {"content": text}
                yield {**last_frame(each.usage, each.stopped), **({"cached": True} if each.was_kept else {})}
            elif each is None:
                yield None
            elif (payload := frame_of(each)) is not None:
                yield {**payload, **session_fields} if "content" in payload else payload


def last_frames(error: dict[str, Any] | None, session_fields: dict[str, str]) -> list[dict[str, Any]]:
    """The frames at the end of an answer. error: the frame of what went wrong."""
    return [*([error] if error is not None else []), {"done": True, **session_fields}]


def _answer_fields(answer: Answer) -> dict[str, Any]:
    calls = [ToolCallOut(**call_record(record, as_text=True)) for record in answer.result.tool_calls]
    usage = UsageOut(**usage_record(answer.usage))
    return {
        "response": _not_asked(answer) or answer.text,
        "stopped": answer.stopped,
        "usage": usage,
        "tool_calls": calls,
        "cached": answer.was_kept,
        **evidence_fields(str(answer.result.output), answer.result.citations, answer.result.sources),
    }


def _not_asked(answer: Answer) -> str:
    """What is said of a call that waits for a person where there is no session to keep it; "" for any other answer."""
    call = answer.result.pending[0] if answer.waiting is None and answer.result.pending else None
    return "" if call is None else told(call.name, call.raw_arguments, call.question)


def _version(meta: SessionMeta | None) -> tuple[str, str] | None:
    return (meta.prompt, meta.version) if meta is not None and meta.prompt else None


@routes.get("/chat/sessions", summary="List sessions")
def sessions(state: Service, subject: Subject) -> SessionsOut:
    """Returns the caller's sessions, most recently updated first."""
    return SessionsOut(sessions=state.conversations.list(subject))


@routes.get("/chat/session/{session_id:path}/history", summary="Get the history of a session")
def history(session_id: SessionIdPath, state: Service, subject: Subject) -> History:
    """Returns the messages of a session."""
    return state.conversations.history(subject, session_id)


@routes.post("/chat/session/history", summary="Get the history of a session (ID in the body)")
def history_by_body(body: SessionReference, state: Service, subject: Subject) -> History:
    """Returns the messages of a session. Accepts IDs that can't be part of a path."""
    return state.conversations.history(subject, body.session_id)


@routes.post("/chat/session/source", summary="Get a source of a session")
def source(body: SourceReference, state: Service, subject: Subject) -> SourceText:
    """Returns a source that the answers of a session may cite, as it was read."""
    found = state.conversations.source(subject, body.session_id, body.number)
    if found is None:
        raise HTTPException(404, "Source not found")
    return found


@routes.post("/chat/session/clear", summary="Delete a session (ID in the body)")
async def clear_by_body(body: SessionReference, state: Service, subject: Subject) -> Done:
    """Deletes a session. Accepts IDs that can't be part of a path."""
    return await clear(body.session_id, state, subject)


@routes.post("/chat/session/rename", summary="Rename a session (ID in the body)")
def rename_by_body(body: SessionRenameRequest, state: Service, subject: Subject) -> Done:
    """Sets the display name of a session. Accepts IDs that can't be part of a path."""
    return rename(body.session_id, body, state, subject)


@routes.delete("/chat/session/{session_id:path}", summary="Delete a session")
async def clear(session_id: SessionIdPath, state: Service, subject: Subject) -> Done:
    """Deletes a session with its history, and with all branches of its conversation. Answers that belong to the service
    are stopped. Waits up to 3 seconds for any other one to end, then returns 409."""
    began = time.monotonic()
    found = False
    await state.conversations.stop_branches(subject, session_id)
    while True:
        try:
            await run_in_threadpool(state.conversations.clear, subject, session_id)
            return Done(message=f"Session {session_id} cleared")
        except UnknownSessionError:  # of two requests at once both have their wish
            if not found and not state.conversations.was_cleared(subject, session_id, began):
                raise
            return Done(message=f"Session {session_id} cleared")
        except SessionBusyError:
            found = True
            if time.monotonic() > began + CLEAR_SECONDS:
                raise
        await asyncio.sleep(0.1)  # not in a worker thread: the thread pool is shared by all subjects


@routes.patch("/chat/session/{session_id:path}", summary="Rename a session")
def rename(session_id: SessionIdPath, body: RenameRequest, state: Service, subject: Subject) -> Done:
    """Sets the display name of a session."""
    state.conversations.rename(subject, session_id, body.name)
    return Done(message=f"Session {session_id} renamed")


@routes.get("/prompts", summary="List system prompts")
def prompts(state: Service) -> PromptsOut:
    """Returns the named system prompts of the service with their versions and weights."""
    return PromptsOut(prompts=state.conversations.named_prompts())


@routes.get("/usage", summary="Get the caller's usage")
def usage(state: Service, subject: Subject) -> UsageHistoryOut:
    """Returns what the caller's answers took, by day. What other workers have answered in the last minutes may be
    missing."""
    days = state.usage.of(subject)
    made = [SpentOnDay(day=day, **_spent_fields(spent)) for day, spent in days.items()]
    total = SpentOut(**_spent_fields(sum(days.values(), Spent())))
    return UsageHistoryOut(subject=subject, total=total, days=made)


def _spent_fields(spent: Spent) -> dict[str, Any]:
    return {"answers": spent.answers, "usage": UsageOut(**usage_record(spent.usage))}
