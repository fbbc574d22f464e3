"""Sharing a conversation by a link: what is there at that moment, for anybody who has the link, until it is revoked."""

import re
from dataclasses import replace
from datetime import UTC, datetime

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from agentkit.serving.http.conversations import Conversations
from agentkit.serving.http.dependencies import Service, Subject, state_of
from agentkit.serving.http.errors import error_responses
from agentkit.serving.http.evidence_schemas import CitationOut
from agentkit.serving.http.page import snapshots
from agentkit.serving.http.page.metadata import Catalogue, SessionMeta
from agentkit.serving.http.schemas import Done, ErrorResponse, SessionReference, TurnCallOut, TurnOut

MAX_SHARED = 20_000_000
"""Maximum characters of a shared conversation, its images included."""
MAX_REQUEST = 1000
"""Maximum bytes of the request for one, which needs no key."""

SHOWN = {"role", "content", "images", "attachments", "stopped", "time"}
"""Fields of a turn that are shown as they are."""
NOT_FOUND = "There is no such shared conversation"
PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_WEB = re.compile("https?://", re.IGNORECASE)

routes = APIRouter(prefix="/api/llm", tags=["chat"], responses=error_responses(ErrorResponse))
public = APIRouter(
    prefix="/api/llm", tags=["shared"], responses=error_responses(ErrorResponse, 400, 404, 413, 429, 503)
)


class SharedOut(BaseModel):
    """The link of a conversation."""

    token: str = Field(description="Token of the link. Whoever has it can read what was shared.")


class SharedReference(BaseModel):
    """A shared conversation."""

    token: str = Field(min_length=1, max_length=snapshots.MAX_TOKEN, description="Token of its link.")


class SharedConversation(BaseModel):
    """A conversation as it was when it was shared."""

    name: str = Field(description="Display name of the conversation.")
    messages: list[TurnOut] = Field(
        description="Messages, oldest first; of tool calls the names, of citations no text of their source."
    )
    time: str = Field(description="When it was shared (ISO 8601, UTC).")


@routes.post(
    "/chat/session/share",
    summary="Share a conversation by a link",
    responses={403: {"model": ErrorResponse, "description": "Sharing is switched off"}},
)
def share(body: SessionReference, state: Service, subject: Subject) -> SharedOut:
    """Shares what is there of the conversation at this moment, read-only. Shared again, the link stays and has what is
    there then. It ends when it is revoked, and with the conversation."""
    if not state.settings.agentkit_sharing:
        raise HTTPException(403, "sharing is switched off: AGENTKIT_SHARING=true allows it")
    conversations, token = state.conversations, snapshots.new_token()
    text = _snapshot(conversations, subject, body.session_id)

    def made(known: Catalogue) -> dict[str, SessionMeta | None]:
        nonlocal token
        branches = known.conversation(body.session_id)
        if not branches:
            raise HTTPException(404, "Session not found")  # it was deleted just now
        token = branches[body.session_id].shared or token
        snapshots.write(conversations.service.sessions, token, text)
        return {each: replace(meta, shared=token) for each, meta in branches.items()}

    conversations.change(subject, made)
    return SharedOut(token=token)


@routes.post("/chat/session/unshare", summary="End the link of a conversation")
def unshare(body: SessionReference, state: Service, subject: Subject) -> Done:
    """Ends the link of a conversation at once. A later one has another token."""
    conversations = state.conversations
    conversations.branches(subject, body.session_id)

    def made(known: Catalogue) -> dict[str, SessionMeta | None]:
        branches = known.conversation(body.session_id)
        for token in {meta.shared for meta in branches.values() if meta.shared}:
            snapshots.delete(conversations.service.sessions, token)
        return {each: replace(meta, shared="") for each, meta in branches.items() if meta.shared}

    conversations.change(subject, made)
    return Done(message=f"Session {body.session_id} is not shared")


def _snapshot(conversations: Conversations, subject: str, session_id: str) -> str:
    """What is shared of a session, as JSON. Raises HTTPException when there is nothing, or too much."""
    history = conversations.history(subject, session_id)
    if not history.messages:
        raise HTTPException(400, "there is nothing to share: the session has no messages yet")
    messages = [_shown(turn) for turn in history.messages]
    time = datetime.now(UTC).isoformat(timespec="seconds")
    text = SharedConversation(name=history.name, messages=messages, time=time).model_dump_json()
    if len(text) > MAX_SHARED:
        raise HTTPException(400, f"the conversation is too long to be shared: it has over {MAX_SHARED} characters")
    return text


def _shown(turn: TurnOut) -> TurnOut:
    """What anybody may see of a turn: what is named here, and nothing that is added to turns later."""
    return TurnOut(
        **turn.model_dump(include=SHOWN),
        tool_calls=[
            TurnCallOut(id="", name=call.name, arguments="", raw_arguments="", said=call.said)
            for call in turn.tool_calls
        ],
        citations=[_without_text(each) for each in turn.citations],
    )


def _without_text(citation: CitationOut) -> CitationOut:
    """A citation without what a tool has read; where the source is a file or the like, without its path."""
    address = citation.address if _WEB.match(citation.address) else ""
    return citation.model_copy(update={"address": address, "quote": "", "span": None, "reason": "", "page": None})


@public.post(
    "/shared",
    summary="Read a shared conversation",
    response_model=SharedConversation,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": SharedReference.model_json_schema()}},
        }
    },
)
async def shared(request: Request) -> Response:
    """Returns a conversation as it was when it was shared. Needs no key; requests count for the rate of the client's
    address."""
    state = state_of(request)
    token = await _token(request)
    found = None
    if state.settings.agentkit_sharing:
        found = await run_in_threadpool(snapshots.find, state.conversations.service.sessions, token)
    if found is None:
        raise HTTPException(404, NOT_FOUND, PRIVATE)
    return Response(found, media_type="application/json", headers=PRIVATE)


async def _token(request: Request) -> str:
    """The token in a request. Raises HTTPException for another body."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_REQUEST:
            raise HTTPException(413, f"the request body is larger than {MAX_REQUEST} bytes", PRIVATE)
    try:
        return SharedReference.model_validate_json(body).token
    except ValidationError:
        raise HTTPException(400, "the body must be JSON with the token of a link", PRIVATE) from None
