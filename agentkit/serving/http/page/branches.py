"""Branches of a conversation, each a session of its own, and pinned conversations."""

from dataclasses import replace

from fastapi import APIRouter, HTTPException
from pydantic import Field

from agentkit.serving.http.conversations import Conversations
from agentkit.serving.http.dependencies import Service, Subject
from agentkit.serving.http.errors import error_responses
from agentkit.serving.http.page.metadata import Catalogue, SessionMeta
from agentkit.serving.http.page.turns import turns
from agentkit.serving.http.schemas import Done, ErrorResponse, SessionId, SessionReference
from agentkit.sessions.log import ordered

MAX_BRANCHES = 100
"""Maximum number of branches of a conversation."""

routes = APIRouter(prefix="/api/llm", tags=["chat"], responses=error_responses(ErrorResponse))


class BranchRequest(SessionReference):
    """Where a conversation branches."""

    begins: int | None = Field(
        default=None,
        ge=0,
        description="The `begins` of a turn: the branch has the messages before it. Null: all there are.",
    )
    new_session_id: SessionId


class PinRequest(SessionReference):
    """Whether a conversation is pinned."""

    pinned: bool = Field(description="Whether it is to be.")


@routes.post("/chat/session/branch", summary="Branch a conversation")
def branch(body: BranchRequest, state: Service, subject: Subject) -> Done:
    """Creates a session of the same conversation with the messages before a turn, to go on differently. The other stays
    as it is, and may be in the middle of an answer. Sent again, it changes nothing."""
    conversations = state.conversations
    begins = _place(conversations, subject, body)

    def made(known: Catalogue) -> dict[str, SessionMeta | None]:
        branches, there = known.conversation(body.session_id), known.get(body.new_session_id)
        if body.session_id not in branches:
            raise HTTPException(404, "Session not found")  # it was deleted just now
        meta = branches[body.session_id]
        new = replace(meta, of=meta.of or body.session_id, parent=body.session_id, begins=begins)
        if there is not None:
            if (there.of, there.parent, there.begins) != (new.of, new.parent, new.begins):
                raise HTTPException(409, "a session with the ID new_session_id exists already")
            return {}
        if len(branches) > MAX_BRANCHES:
            raise HTTPException(409, f"the conversation has {MAX_BRANCHES} branches, which is the most it can have")
        _copy(conversations, subject, body, begins)
        return {body.new_session_id: new}

    conversations.change(subject, made)
    return Done(message=f"Session {body.new_session_id} created")


def _place(conversations: Conversations, subject: str, body: BranchRequest) -> int:
    """The number of messages that the branch has. Raises HTTPException where no turn begins."""
    conversations.branches(subject, body.session_id)
    entries = conversations.session(subject, body.session_id).entries(images=False)
    count = sum(map(len, ordered(entries)))
    if body.begins is None or body.begins in (0, count):
        return count if body.begins is None else body.begins
    if body.begins not in {turn.begins for turn in turns(entries)}:
        raise HTTPException(400, "begins: no turn of the session begins there; the history has the begins of each")
    return body.begins


def _copy(conversations: Conversations, subject: str, body: BranchRequest, begins: int) -> None:
    """Make the session. What is there under its ID without metadata is left from one that was broken off."""
    sessions = conversations.service.sessions
    old, new = (conversations.session(subject, each).id for each in (body.session_id, body.new_session_id))
    sessions.delete_all([new], wait=0.0)
    if begins > 0:
        sessions.fork(old, new, at=begins)


@routes.post("/chat/session/pin", summary="Pin a conversation")
def pin(body: PinRequest, state: Service, subject: Subject) -> Done:
    """Pins a conversation, or ends that."""
    state.conversations.set_fields(subject, body.session_id, pinned=body.pinned)
    return Done(message=f"Session {body.session_id} {'pinned' if body.pinned else 'no longer pinned'}")
