"""Anthropic's Messages API: the agent as a model for Claude Code and Anthropic's SDKs.

As in chat completions, the service's tools run here, and calls of the client's own tools are returned to it.
"""

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from agentkit.serving.http.anthropic.error_form import AnthropicErrorResponse, anthropic_error
from agentkit.serving.http.anthropic.output import PING, Output
from agentkit.serving.http.anthropic.request import AskedMessage, MessagesRequest, asked_message, estimated_tokens
from agentkit.serving.http.dependencies import State, caller_of
from agentkit.serving.http.errors import error_responses, logged_status_and_detail
from agentkit.serving.http.openai.answers import Said, refusal_in
from agentkit.serving.http.openai.chat_completions import Ending, answer_parts, json_response, streamed_said
from agentkit.serving.http.openai.models import MODEL, check_model
from agentkit.serving.http.openai.told import said_whole, taken, told
from agentkit.serving.http.sse import event_frame, streamed

routes = APIRouter(prefix="/v1", tags=["Anthropic"], responses=error_responses(AnthropicErrorResponse))


@routes.post("/messages", summary="Create a message", response_model=None)
async def create(body: MessagesRequest, request: Request) -> Response:
    """Answers a conversation, as a stream of events if `stream` is true. The service's tools run on the server; calls
    of the client's tools are returned."""
    state, subject = caller_of(request)
    model = body.model or MODEL
    check_model(model)
    call = await run_in_threadpool(asked_message, body, subject, state)
    output, headers = Output(model, call.shows_thinking), call.asked.headers(call.left_out)
    said = streamed_said(call.asked, state) if body.stream else said_whole(call.asked)
    parts = _parts(state, request, call, subject, said)
    ended = functools.partial(_ended, output)
    if not body.stream:
        await taken(parts, output.take, ended)
        return json_response(output.message, headers)
    response = await streamed(told(parts, output.begin, output.take, ended), _last_events, _text_of)
    response.headers.update(headers)
    return response


@routes.post("/messages/count_tokens", summary="Estimate the tokens of a message", response_model=None)
async def count(body: MessagesRequest, request: Request) -> Response:
    """Returns an estimate of the tokens of a request, with the service's tools: there is no request to the model."""
    state, _ = caller_of(request)
    check_model(body.model or MODEL)
    return json_response({"input_tokens": await run_in_threadpool(estimated_tokens, body, state)})


async def _parts(
    state: State, request: Request, call: AskedMessage, subject: str, said: Said
) -> AsyncGenerator[Any, None]:
    try:
        async with aclosing(answer_parts(state, request, call.asked, subject, said)) as parts:
            async for each in parts:
                yield each
    except HTTPException as error:
        raise call.told(error) from error


async def _ended(output: Output, ending: Ending) -> AsyncIterator[Any]:
    refusal = None if ending.calls else refusal_in(ending.answer)
    for event in output.end(ending.calls, ending.finish_reason, refusal, ending.answer.usage):
        yield event


def _last_events(error: Exception | None) -> Sequence[Any]:
    if error is None:
        return []
    if isinstance(error, HTTPException):
        return [anthropic_error(error.status_code, str(error.detail))]
    return [anthropic_error(*logged_status_and_detail(error))]


def _text_of(event: Any) -> str:
    """The frame of an event; None is a keep-alive."""
    return event_frame(PING if event is None else event)
