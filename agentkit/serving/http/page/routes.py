"""The routes of answers that belong to the service: following one that is in progress, and stopping it."""

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import Field

from agentkit.serving.http.chat import STREAM, stream_of
from agentkit.serving.http.dependencies import caller_of
from agentkit.serving.http.errors import error_responses
from agentkit.serving.http.schemas import Done, ErrorResponse, SessionReference
from agentkit.session import MAX_REQUEST_ID

routes = APIRouter(prefix="/api/llm/chat/session", tags=["chat"], responses=error_responses(ErrorResponse))


@routes.post("/join", summary="Follow the answer in progress", response_class=StreamingResponse, responses=STREAM)
async def join(body: SessionReference, request: Request) -> StreamingResponse:
    """Streams the answer of a session that is in progress (`background`), from its beginning: first a frame `question`
    with what is answered (`content`, `images`; null for a decision), then the frames of the answer so far, in larger
    pieces, then those to come. Any number of clients may follow an answer; it goes on when they leave."""
    state, subject = caller_of(request)
    live = state.conversations.live_answer(subject, body.session_id)
    if live is None:
        raise HTTPException(404, "No answer is in progress")
    return await stream_of(live.joined(), {"session_id": body.session_id})


class StopRequest(SessionReference):
    """Whose answers are stopped."""

    request_id: str | None = Field(
        default=None,
        alias="requestId",
        min_length=1,
        max_length=MAX_REQUEST_ID,
        description="The `requestId` of a message that is on its way: it is stopped, too, if it comes to this worker "
        "in the next 30 seconds.",
    )


@routes.post("/stop", summary="Stop the answer in progress")
async def stop(body: StopRequest, request: Request) -> Done:
    """Stops the answers of a session that belong to the service (`background`). What came of the one in progress is
    kept in the history. Waits up to 3 seconds for its end."""
    state, subject = caller_of(request)
    has_ended = await state.conversations.stop(subject, body.session_id, body.request_id or "")
    return Done(message="No answer is in progress" if has_ended else "The answer is being stopped")
