"""The chat API over a WebSocket: the frames of its streams as messages, any number of answers one after the other."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple

from fastapi import APIRouter, WebSocket
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocketDisconnect, WebSocketState

from agentkit.serving.exchange import UserInput
from agentkit.serving.http.auth import BEARER, authorizations
from agentkit.serving.http.chat import answer_frames, last_frames
from agentkit.serving.http.conversations import SessionMeta
from agentkit.serving.http.dependencies import State
from agentkit.serving.http.errors import invalid_request, logged_status_and_detail, response_of
from agentkit.serving.http.gate import SOCKET, Refusal
from agentkit.serving.http.schemas import ChatRequest, SessionRequest

PATH = "/api/llm/chat/ws"
SUBPROTOCOL = "agentkit"
MAX_WAITING = 8
"""How many messages of a client may wait for the answer to an earlier one."""

MAX_UNKNOWN = 2
"""The same of one that has not shown its key yet."""
MAX_KEY = 20_000
"""Characters of the message with the key."""

NOT_VALID = "Could not validate credentials"
_BEARER = "bearer."
_POLICY = 1008

routes = APIRouter()


@routes.websocket(PATH)
async def chat_socket(socket: WebSocket) -> None:
    """Answers messages, each the body of a request to `/api/llm/chat/stream` or `/api/llm/chat/session/stream`, with
    the frames of those streams.

    The key is in the header Authorization, or in a subprotocol (`bearer.KEY`), or in the first message
    (`{"authorization": "Bearer KEY"}`).
    """
    state: State = socket.app.state.service
    offered = socket.scope.get("subprotocols", ())
    given = _authorizations(socket, offered)
    caller = await _known(state, given)
    if caller is None and given:
        await socket.send_denial_response(response_of(PATH, 401, NOT_VALID))
        return
    await socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
    received = _Received(socket, MAX_WAITING if caller is not None else MAX_UNKNOWN)
    reading = asyncio.create_task(received.read())
    try:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # RuntimeError: it is closed already
            if caller is None:
                caller = await _introduced(socket, state, received)
                received.limit = MAX_WAITING
            while caller is not None and (text := await received.take()) is not None:
                await _answer_noted(socket, state, caller, text, received)
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading


def _authorizations(socket: WebSocket, offered: Sequence[str]) -> tuple[str, ...]:
    """What the client has sent with its request to say who it is: in headers, or else in the subprotocol."""
    in_protocol = (f"{BEARER}{each.removeprefix(_BEARER)}" for each in offered if each.startswith(_BEARER))
    return tuple(authorizations(socket.headers.get)) or tuple(in_protocol)[:1]


class _Caller(NamedTuple):
    """Who sends messages, and what was given by which that is known."""

    subject: str
    given: tuple[str, ...]

    async def check(self, state: State) -> None:
        """Raises Refusal when a key was removed, or a token has expired, since the connection was opened."""
        if await _known(state, self.given) != self:
            raise Refusal(401, NOT_VALID)


async def _known(state: State, given: tuple[str, ...]) -> _Caller | None:
    subject = await run_in_threadpool(state.authenticator.subject_of, given or ("",))  # an open service wants nothing
    return None if subject is None else _Caller(subject, given)


class _Received:
    """The messages of a client, read while others are answered, so that it is noticed when the client leaves.

    limit: how many may wait.
    """

    def __init__(self, socket: WebSocket, limit: int) -> None:
        self.limit = limit
        self._socket = socket
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._has_left = False

    async def read(self) -> None:
        """Read until the client leaves."""
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                if self._waiting.qsize() >= self.limit:
                    await self._socket.close(_POLICY, "too many messages wait for an answer")
                    return
                text = message.get("text")
                self._waiting.put_nowait(text if text is not None else message["bytes"].decode("utf-8", "replace"))
        finally:
            self._has_left = True
            self._waiting.put_nowait(None)

    async def take(self) -> str | None:
        """The next message; None when the client has left."""
        text = await self._waiting.get()
        return None if self._has_left else text

    async def has_left(self) -> bool:
        """Whether the client has left."""
        return self._has_left


async def _introduced(socket: WebSocket, state: State, received: _Received) -> _Caller | None:
    """A client that sends its key in the first message; None, and the end, for any other."""
    text: str | None = None
    with contextlib.suppress(TimeoutError):
        text = await asyncio.wait_for(received.take(), state.settings.agentkit_head_seconds)
    value = _object(text) if text is not None and len(text) <= MAX_KEY else None
    given = value.get("authorization") if value is not None else None
    caller = await _known(state, (given,)) if isinstance(given, str) else None
    if caller is None:
        await _send(socket, {"error": NOT_VALID, "status": 401})
        await socket.close(_POLICY)
    return caller


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


async def _answer_noted(socket: WebSocket, state: State, caller: _Caller, text: str, received: _Received) -> None:
    connection = socket.scope.get("state", {}).get(SOCKET)
    if connection is None:  # another server than ours
        await _answer(socket, state, caller, text, received)
        return
    connection.begin()
    try:
        await _answer(socket, state, caller, text, received)
    finally:
        connection.finish()


async def _answer(socket: WebSocket, state: State, caller: _Caller, text: str, received: _Received) -> None:
    """Send the frames of the answer to one message; errors are frames. The connection ends with the validity of the
    caller's key or token."""
    subject = caller.subject
    session: dict[str, str] = {}
    error: dict[str, Any] | None = None
    try:
        await caller.check(state)
        await state.gate.check_rate(subject)
        user_input, session, meta = await run_in_threadpool(_asked, state, subject, text)
        async with aclosing(answer_frames(state, received.has_left, user_input, session, meta, subject)) as frames:
            await _send_all(socket, frames)
    except WebSocketDisconnect:
        raise
    except ValidationError as problem:
        found = [{**each, "loc": ("body", *each["loc"])} for each in problem.errors()]
        status, detail = invalid_request(found, _object(text))
        error = {"error": detail, "status": status}
    except Refusal as refusal:
        error = {"error": refusal.detail, "status": refusal.status}
    except HTTPException as problem:
        error = {"error": str(problem.detail), "status": problem.status_code}
    except Exception as problem:  # noqa: BLE001 - whatever it is, the client is told
        status, detail = logged_status_and_detail(problem)
        error = {"error": detail, "status": status}
    if not await received.has_left():
        for each in last_frames(error, session):
            await _send(socket, each)
        if error is not None and error["status"] == 401:
            await socket.close(_POLICY)


def _asked(state: State, subject: str, text: str) -> tuple[UserInput, dict[str, str], SessionMeta | None]:
    """What a message asks for. Raises HTTPException, ValidationError, UnknownPromptError, SessionError."""
    value = _object(text)
    if value is None:
        raise HTTPException(400, "a message must be a JSON object")
    if "session_id" not in value:
        return state.conversations.single(ChatRequest.model_validate(value)), {}, None
    body = SessionRequest.model_validate(value)
    user_input, meta = state.conversations.next(subject, body, body.request_id or "")
    return user_input, {"session_id": body.session_id}, meta


async def _send_all(socket: WebSocket, frames: AsyncIterator[dict[str, Any] | None]) -> None:
    async for each in frames:
        if each is not None:  # the protocol has its own signs of life
            await _send(socket, each)


async def _send(socket: WebSocket, payload: dict[str, Any]) -> None:
    if socket.client_state is WebSocketState.DISCONNECTED:
        raise WebSocketDisconnect
    await socket.send_text(json.dumps(payload))  # ASCII: a delta may split a surrogate pair
