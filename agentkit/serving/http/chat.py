"""The chat API of the Prompt Portal's clients: single shots and sessions, whole and streamed."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from agentkit.errors import SessionBusyError
from agentkit.event import (
    Event,
    ReasoningDelta,
    ReplyDiscarded,
    TextDelta,
    ToolFinished,
    ToolProgress,
    ToolRecord,
    ToolStarted,
)
from agentkit.serving.exchange import Answer, UserInput
from agentkit.serving.http.conversations import SessionMeta
from agentkit.serving.http.dependencies import Service, State, Subject, allowed
from agentkit.serving.http.errors import promised, told
from agentkit.serving.http.schemas import (
    ChatAnswer,
    ChatBody,
    Done,
    History,
    NewName,
    Problem,
    PromptOut,
    PromptsOut,
    Renamed,
    SessionAnswer,
    SessionBody,
    SessionNamed,
    SessionsOut,
    ToolCallOut,
    UsageOut,
)
from agentkit.serving.http.sse import streamed

CLEAR_SECONDS = 3.0
STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}, "description": "data: frames"}}

routes = APIRouter(prefix="/api/llm", tags=["chat"], dependencies=[Depends(allowed)], responses=promised(Problem))


@routes.post("/chat")
async def chat(body: ChatBody, request: Request, state: Service) -> ChatAnswer:
    """Answer a single shot; nothing is kept."""
    answer = await state.runs.answer(state.conversations.single(body), request.is_disconnected)
    state.metrics.note(answer)
    return ChatAnswer(**_seen(answer))


@routes.post("/chat/session")
async def session_chat(body: SessionBody, request: Request, state: Service, subject: Subject) -> SessionAnswer:
    """Answer the next message of a session."""
    asked, about = await run_in_threadpool(state.conversations.next, subject, body)
    answer = await state.runs.answer(asked, request.is_disconnected)
    state.metrics.note(answer, _version(about))
    await run_in_threadpool(state.conversations.keep, subject, body.session_id, about)
    return SessionAnswer(session_id=body.session_id, history_was_cut=answer.was_cut, prompt=about.seen, **_seen(answer))


@routes.post("/chat/stream", response_class=StreamingResponse, responses=STREAM)
async def chat_stream(body: ChatBody, request: Request, state: Service) -> StreamingResponse:
    """Answer a single shot, piece by piece."""
    return await _streamed(state, request, state.conversations.single(body), {})


@routes.post("/chat/session/stream", response_class=StreamingResponse, responses=STREAM)
async def session_stream(body: SessionBody, request: Request, state: Service, subject: Subject) -> StreamingResponse:
    """Answer the next message of a session, piece by piece."""
    asked, about = await run_in_threadpool(state.conversations.next, subject, body)
    return await _streamed(state, request, asked, {"session_id": body.session_id}, about, subject)


async def _streamed(
    state: State,
    request: Request,
    asked: UserInput,
    named: dict[str, str],
    about: SessionMeta | None = None,
    subject: str = "",
) -> StreamingResponse:
    """A stream. named: what each piece and the end say of the session."""

    async def frames() -> AsyncGenerator[Any, None]:
        async with aclosing(state.runs.follow(asked, request.is_disconnected)) as happens:
            async for each in happens:
                if isinstance(each, Answer):
                    state.metrics.note(each, _version(about))
                    if about is not None:
                        await run_in_threadpool(state.conversations.keep, subject, named["session_id"], about)
                    seen = _seen(each)
                    yield {"usage": seen["usage"].model_dump(), "stopped": seen["stopped"]}
                elif each is None:
                    yield None
                elif (told_of := frame_of(each)) is not None:
                    yield {**told_of, **named} if "content" in told_of else told_of

    def ending(failed: Exception | None) -> list[dict[str, Any]]:
        return [*([{"error": told(failed)[1]}] if failed else []), {"done": True, **named}]

    return await streamed(frames(), ending)


def frame_of(event: Event) -> dict[str, Any] | None:
    """A frame for what happens in a run."""
    if isinstance(event, TextDelta):
        return {"content": event.text}
    if isinstance(event, ReasoningDelta):
        return {"reasoning": event.text}
    if isinstance(event, ToolStarted):
        return {"tool": {"id": event.id, "name": event.name, "arguments": event.raw_arguments, "state": "started"}}
    if isinstance(event, ToolProgress):
        return {"tool": {"id": event.id, "progress": event.text, "state": "running"}}
    if isinstance(event, ToolFinished):
        return {"tool": {**_fields(event.record), "state": "finished"}}
    return {"discarded": True} if isinstance(event, ReplyDiscarded) else None


def _fields(record: ToolRecord) -> dict[str, Any]:
    """A tool call as clients read it: its arguments are JSON text, as in chat completions."""
    fields = asdict(record)
    return {**fields, "arguments": fields.pop("raw_arguments")}


def _seen(answer: Answer) -> dict[str, Any]:
    result = answer.result
    calls = [ToolCallOut(**_fields(record)) for record in result.tool_calls] if result else []
    usage = UsageOut(**{name: getattr(answer.usage, name) for name in UsageOut.model_fields})
    stopped = result.stopped if result else "answer"
    return {"response": answer.text, "stopped": stopped, "usage": usage, "tool_calls": calls}


def _version(about: SessionMeta | None) -> tuple[str, str] | None:
    return (about.prompt, about.version) if about is not None and about.prompt else None


@routes.get("/chat/sessions")
def sessions(state: Service, subject: Subject) -> SessionsOut:
    """Your sessions, the one that was written to last first."""
    return SessionsOut(sessions=state.conversations.list(subject))


@routes.get("/chat/session/{session_id:path}/history")
def history(session_id: str, state: Service, subject: Subject) -> History:
    """What was said in a session."""
    return state.conversations.history(subject, session_id)


@routes.post("/chat/session/history")
def history_of(body: SessionNamed, state: Service, subject: Subject) -> History:
    """What was said in a session whose id does not fit a path."""
    return state.conversations.history(subject, body.session_id)


@routes.post("/chat/session/clear")
async def clear_of(body: SessionNamed, state: Service, subject: Subject) -> Done:
    """Forget a session whose id does not fit a path."""
    return await clear(body.session_id, state, subject)


@routes.post("/chat/session/rename")
def rename_of(body: Renamed, state: Service, subject: Subject) -> Done:
    """Name a session whose id does not fit a path."""
    return rename(body.session_id, body, state, subject)


@routes.delete("/chat/session/{session_id:path}")
async def clear(session_id: str, state: Service, subject: Subject) -> Done:
    """Forget a session; a run in it that was just stopped is given some seconds to end."""
    end = time.monotonic() + CLEAR_SECONDS
    while True:
        try:
            await run_in_threadpool(state.conversations.clear, subject, session_id)
            return Done(message=f"Session {session_id} cleared")
        except SessionBusyError:
            if time.monotonic() > end:
                raise
        await asyncio.sleep(0.1)  # not in a thread: those of all subjects are few


@routes.patch("/chat/session/{session_id:path}")
def rename(session_id: str, body: NewName, state: Service, subject: Subject) -> Done:
    """Name a session, for people."""
    state.conversations.rename(subject, session_id, body.name)
    return Done(message=f"Session {session_id} renamed")


@routes.get("/prompts")
def prompts(state: Service) -> PromptsOut:
    """The system prompts of the service, with their versions and weights."""
    versions = [each for found in state.conversations.prompts.all().values() for each in found]
    return PromptsOut(
        prompts=[PromptOut(name=each.prompt, version=each.version, weight=each.weight) for each in versions]
    )
