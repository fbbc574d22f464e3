"""Endpoints of the OpenAI API that the model server answers itself: embeddings, and completions of a text.

The request goes to the server of the model as it is, and its response to the client, with the name of the model that
the client knows: none of the service's tools, instructions and settings are part of it.
"""

import json
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from openai import APIStatusError
from pydantic import BaseModel, ConfigDict, Field

from agentkit._text import in_a_line
from agentkit.backends.usage import usage_of
from agentkit.limits import Usage
from agentkit.serving.http.dependencies import State, caller_of
from agentkit.serving.http.errors import body_of_error, error_responses, without_address
from agentkit.serving.http.openai.errors import RefusedRequestError, refusal_of
from agentkit.serving.http.openai.models import MODEL, check_model
from agentkit.serving.http.runs import ClientDisconnectedError
from agentkit.serving.http.schemas import OpenAIErrorResponse
from agentkit.serving.http.sse import EventStream, frame

MAX_BYTES = 64_000_000
"""The largest response that is passed on whole, in bytes."""

USAGE_BYTES = 4_000
"""How much of the end of a response is searched for its usage, in bytes."""

MAX_LINE = 1_000_000
"""The longest line of a stream in which the name of the model is replaced, in bytes."""

_MODEL = re.compile(
    rb'"model"[ \t]{0,9}:[ \t]{0,9}"(?:[^"\\\n]|\\.)*"'
)  # a text in JSON has no quotes that are not escaped
_ABSENT = (404, 405, 501)
_STREAM = "text/event-stream"

routes = APIRouter(prefix="/v1", tags=["OpenAI"], responses=error_responses(OpenAIErrorResponse))


class PassedOn(BaseModel):
    """A request that is passed on. All other fields are passed on as well."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(
        default=MODEL,
        description="`agentkit` or `default`: the model of the service. Another one is passed on for embeddings.",
    )

    def fields(self, own: str) -> dict[str, Any]:
        """The fields that are not null. own: the name that the model of the service has on its server."""
        given = self.model_dump(exclude_none=True)
        return {**given, "model": own if given.get("model", MODEL) in (MODEL, "default") else given["model"]}


class EmbeddingsRequest(PassedOn):
    """A request for embeddings."""

    input: Annotated[Any, Field(description="A text, a list of texts, or tokens.")]


class TextRequest(PassedOn):
    """A request for the completion of a text."""

    prompt: Annotated[Any, Field(description="A text, a list of texts, or tokens.")]
    stream: bool | None = Field(default=None, description="Whether to stream the answer as server-sent events.")


@routes.post("/embeddings", summary="Create embeddings", response_model=None)
async def embeddings(body: EmbeddingsRequest, request: Request) -> Response:
    """Returns the embeddings that the model server computes, where it does."""
    return await _passed_on("/embeddings", body, request)


@routes.post("/completions", summary="Create a completion of a text", response_model=None)
async def completions(body: TextRequest, request: Request) -> Response:
    """Returns how the model goes on with a text, without chat template, tools and instructions, where the model server
    does that. Chats are at `/v1/chat/completions`."""
    check_model(body.model or MODEL)
    return await _passed_on("/completions", body, request)


async def _passed_on(path: str, body: PassedOn, request: Request) -> Response:
    state, subject = caller_of(request)
    upstream = state.upstream
    if upstream.model is None:
        raise _absent(path, "it has no server of the OpenAI API")
    fields = body.fields(upstream.model)
    pieces = upstream.ask(path, fields, request.is_disconnected)
    try:
        kind = await anext(pieces, None)
    except APIStatusError as error:
        raise _told(error, path, fields) from error
    if kind is None:
        raise ClientDisconnectedError
    named = _Named(body.model or MODEL)
    if kind == _STREAM:
        return EventStream(_streamed(pieces, named, state, subject))
    found = bytearray()
    async with aclosing(pieces):
        async for piece in pieces:
            found += piece if isinstance(piece, bytes) else b""
            if len(found) > MAX_BYTES:
                raise RefusedRequestError(502, f"the model server's answer is larger than {MAX_BYTES} bytes")
    state.note_passed_on(_usage_at(bytes(found[-USAGE_BYTES:])), subject)
    return Response(named.replaced(bytes(found)), media_type="application/json")


class _Named:
    """Gives the model in a response the name by which the client asked for it: the server's own is often the path of a
    file."""

    def __init__(self, name: str) -> None:
        self._field = b'"model":' + json.dumps(name).encode()
        self._held = b""

    def replaced(self, body: bytes) -> bytes:
        """A whole body, or lines of a stream."""
        return _MODEL.sub(lambda _: self._field, body)

    def take(self, piece: bytes) -> bytes:
        """What to send of a stream, given its next piece: whole lines."""
        lines, end, self._held = (self._held + piece).rpartition(b"\n")
        if len(self._held) > MAX_LINE:
            end, self._held = end + self._held, b""
        return self.replaced(lines + end)

    def rest(self) -> bytes:
        """What is left at the end of a stream."""
        return self.replaced(self._held)


async def _streamed(
    pieces: AsyncGenerator[bytes | str, None], named: _Named, state: State, subject: str
) -> AsyncGenerator[bytes | str, None]:
    """Yield the rest of a stream; an error is its last event."""
    end = b""
    async with aclosing(pieces):
        try:
            async for piece in pieces:
                data = piece if isinstance(piece, bytes) else b""
                end = (end + data)[-USAGE_BYTES:]
                yield named.take(data)
            yield named.rest()
        except Exception as error:  # noqa: BLE001 - the status is sent: the stream reports the error
            yield "\n\n" + frame(body_of_error("/v1/", error))
        finally:
            state.note_passed_on(_usage_at(end), subject)


def _usage_at(end: bytes) -> Usage:
    """The usage that is written near the end of a response, of which this is the last part."""
    _, mark, text = end.decode("utf-8", "replace").rpartition('"usage":')
    try:
        found = json.JSONDecoder().raw_decode(text.lstrip())[0] if mark else None
    except (ValueError, RecursionError):
        found = None
    return usage_of(found if isinstance(found, dict) else {})


def _absent(path: str, why: str) -> RefusedRequestError:
    text = f"the model of this service does not take /v1{path}: {why}"
    return RefusedRequestError(404, text, None, "unsupported_endpoint")


def _told(error: APIStatusError, path: str, fields: Mapping[str, Any]) -> Exception:
    """What the client is told of an error of the model server."""
    if error.status_code in _ABSENT:
        return _absent(path, in_a_line(without_address(error), 500))
    return refusal_of(error, fields)
