"""Reads an uploaded document: bytes in, text out, which the client then sends with a message.

The work is done in a process of its own (`agentkit.serving.documents`), for which the request waits in a thread that no
other route needs. What one caller and all callers may have read at once is limited, so that no document, and no number
of them, keeps the service from answering.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.requests import ClientDisconnect

from agentkit._threads import WORKERS
from agentkit.serving.attachments import with_attachments
from agentkit.serving.documents import (
    DocumentText,
    MissingDocumentReaderError,
    StoppedReadingError,
    UnreadableDocumentError,
    document_text,
)
from agentkit.serving.http.dependencies import Service, Subject, caller_of
from agentkit.serving.http.errors import error_responses
from agentkit.serving.http.page.attachment_schemas import DocumentOut, SentOut, SentReference, file_name
from agentkit.serving.http.runs import POLL_SECONDS, ClientDisconnectedError
from agentkit.serving.http.schemas import ErrorResponse
from agentkit.sessions.log import messages_of

READ_AT_ONCE = 2
"""Documents of one caller that are read at the same time; further ones wait."""

READ_OF_ALL = 3
"""The same of all callers: fewer than may be read at once in a process, so that the tools of an answer have room."""

MAX_OF_ONE = 16
"""Documents of one caller that are received, wait or are read."""

MAX_OF_ALL = 48
"""The same of all callers. Each may hold as many bytes as a document may have."""

_BYTES = {
    "requestBody": {
        "required": True,
        "description": "The bytes of the file.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}

routes = APIRouter(prefix="/api/llm/documents", tags=["documents"])


class DocumentPlaces:
    """How many documents are received or read. For one event loop."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._turn_of_all = asyncio.Semaphore(READ_OF_ALL)

    @property
    def count(self) -> int:
        """Documents that are received, wait or are read."""
        return self._taken.total()

    @asynccontextmanager
    async def taken(self, subject: str) -> AsyncIterator[AbstractAsyncContextManager[None]]:
        """Hold a place for a document of a caller. Yields its turn to be read, which it waits for. Raises HTTPException
        when there are too many."""
        if self._taken[subject] >= MAX_OF_ONE:
            detail = f"{MAX_OF_ONE} of your documents are being read; send this one when they are done"
            raise HTTPException(429, detail, {"Retry-After": "5"})
        if self.count >= MAX_OF_ALL:
            raise HTTPException(503, "too many documents are being read; try again later")
        self._taken[subject] += 1
        try:
            yield self._turn(self._turns.setdefault(subject, asyncio.Semaphore(READ_AT_ONCE)))
        finally:
            self._taken[subject] -= 1
            if not self._taken[subject]:
                del self._taken[subject]
                self._turns.pop(subject, None)

    @asynccontextmanager
    async def _turn(self, of_one: asyncio.Semaphore) -> AsyncIterator[None]:
        async with of_one, self._turn_of_all:
            yield


@routes.post(
    "/read",
    summary="Read a document",
    responses=error_responses(ErrorResponse, 400, 401, 413, 415, 422, 429, 503),
    openapi_extra=_BYTES,
)
async def read_document(
    request: Request,
    name: Annotated[
        str, Query(max_length=1000, description="Name of the file; its ending says which kind of document it is.")
    ],
) -> DocumentOut:
    """Returns the text of a document whose bytes are the request body: plain text in any charset, Markdown, HTML, CSV,
    PDF, Word, Excel, PowerPoint, OpenDocument, EPUB, mail, source code and more (`GET /api/llm/about` lists the
    endings). Nothing is stored. Why a document can't be read is said with 422."""
    state, subject = caller_of(request)
    try:
        name = file_name(name)
    except ValueError as error:
        problem = {"type": "value_error", "loc": ("query", "name"), "msg": str(error)}
        raise RequestValidationError([problem]) from None
    limit, characters = state.settings.max_attachment, state.settings.attachment_characters
    places: DocumentPlaces = request.app.state.document_places
    async with places.taken(subject) as turn:
        content = await _body(request, limit)
        async with turn:
            found = await _read(partial(document_text, name, content, characters), request.is_disconnected)
    return DocumentOut(name=name, text=found.text, characters=found.characters, was_cut=found.was_cut)


@routes.post("/sent", summary="Get a document of a message", responses=error_responses(ErrorResponse))
def sent_document(body: SentReference, state: Service, subject: Subject) -> SentOut:
    """Returns a document that was sent with a message of a session, such as to send it again."""
    conversations = state.conversations
    conversations.branches(subject, body.session_id)
    messages = [
        each for part in messages_of(conversations.session(subject, body.session_id).entries()) for each in part
    ]
    _, attached = with_attachments(messages[body.begins]) if body.begins < len(messages) else ("", [])
    if body.number >= len(attached):
        raise HTTPException(404, "Document not found")
    found = attached[body.number]
    return SentOut(name=found.name, text=found.text)


async def _body(request: Request, limit: int) -> bytes:
    """The body of a request. Raises HTTPException with 413 when it is larger than this."""
    content = bytearray()
    try:
        async for piece in request.stream():
            content += piece
            if len(content) > limit:
                raise HTTPException(413, f"the document is larger than {limit:,} bytes, the most that is read here")
    except ClientDisconnect:
        raise ClientDisconnectedError from None
    return bytes(content)


async def _read(
    read: Callable[[threading.Event], DocumentText], is_disconnected: Callable[[], Awaitable[bool]]
) -> DocumentText:
    """Return what `read` returns, which works in a thread until the event is set that it is given. Raises
    HTTPException for a document that can't be read, and ClientDisconnectedError."""
    cancel, loop = threading.Event(), asyncio.get_running_loop()
    came: asyncio.Future[DocumentText | BaseException] = loop.create_future()

    def end(outcome: DocumentText | BaseException) -> None:
        if not came.done():
            came.set_result(outcome)

    def work() -> None:
        outcome: DocumentText | BaseException
        try:
            outcome = read(cancel)
        except BaseException as error:  # noqa: BLE001 - raised again by the request
            outcome = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(end, outcome)

    WORKERS.submit(work)
    try:
        while not came.done():
            await asyncio.wait((came,), timeout=POLL_SECONDS)
            if not came.done() and await is_disconnected():
                raise ClientDisconnectedError
    finally:
        cancel.set()
    return _read_or_refused(came.result())


def _read_or_refused(outcome: DocumentText | BaseException) -> DocumentText:
    if isinstance(outcome, DocumentText):
        return outcome
    if isinstance(outcome, MissingDocumentReaderError):
        raise HTTPException(501, str(outcome))
    if isinstance(outcome, UnreadableDocumentError):
        raise HTTPException(422, str(outcome))
    if isinstance(outcome, StoppedReadingError):
        raise ClientDisconnectedError
    raise outcome
