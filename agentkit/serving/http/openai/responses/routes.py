"""The Responses API: the agent as a model of the OpenAI API that remembers its conversations.

As in chat completions, the service's tools run here, and calls of the client's own tools are returned to it.
"""

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from agentkit.limits import Usage
from agentkit.message import Message, ToolCall
from agentkit.serving.http.dependencies import Service, State, Subject, caller_of
from agentkit.serving.http.errors import body_of_error, error_responses, status_and_detail
from agentkit.serving.http.openai.annotations import response_annotations
from agentkit.serving.http.openai.answers import Said, client_call_ids, logprobs_in, refusal_in
from agentkit.serving.http.openai.chat_completions import Ending, answer_parts, json_response, streamed_said
from agentkit.serving.http.openai.errors import RefusedRequestError
from agentkit.serving.http.openai.models import MODEL, check_model
from agentkit.serving.http.openai.responses.output import Output
from agentkit.serving.http.openai.responses.request import (
    AskedResponse,
    ResponseRequest,
    as_response_error,
    asked_response,
)
from agentkit.serving.http.openai.responses.store import StoredResponse
from agentkit.serving.http.openai.told import said_whole, taken, told
from agentkit.serving.http.schemas import OpenAIErrorResponse
from agentkit.serving.http.sse import event_frame, streamed

ResponseId = Annotated[str, Path(description="Response ID.")]

routes = APIRouter(
    prefix="/v1/responses",
    tags=["OpenAI"],
    responses=error_responses(OpenAIErrorResponse),
)


@routes.post("", summary="Create a response", response_model=None)
async def create(body: ResponseRequest, request: Request) -> Response:
    """Answers a conversation, as a stream of events if `stream` is true. The service's tools run on the server; calls
    of the client's tools are returned."""
    state, subject = caller_of(request)
    check_model(body.model or MODEL)
    call = await run_in_threadpool(asked_response, body, subject, state)
    output = Output(call.response, call.summarizes, call.offered.forms)
    headers = call.asked.headers(call.offered.left_out)

    def ending(error: Exception | None) -> Sequence[Any]:
        return [] if error is None else list(output.fail(_told(error)))

    async def ended(end: Ending) -> AsyncIterator[Any]:
        for event in _ended(output, end):
            yield event
        await _keep(state, subject, call, output, end)
        yield output.last()

    said = streamed_said(call.asked, state) if body.stream else said_whole(call.asked)
    parts = _parts(state, request, call, subject, said)
    if not body.stream:
        await taken(parts, output.take, ended)
        return json_response(output.response, headers=headers)
    response = await streamed(told(parts, output.begin, output.take, ended), ending, event_frame)
    response.headers.update(headers)
    return response


async def _parts(
    state: State, request: Request, call: AskedResponse, subject: str, said: Said
) -> AsyncGenerator[Any, None]:
    try:
        async with aclosing(answer_parts(state, request, call.asked, subject, said)) as parts:
            async for each in parts:
                yield each
    except RefusedRequestError as error:
        raise as_response_error(error, call.offered) from error


def _ended(output: Output, ending: Ending) -> Any:
    answer = ending.answer
    output.response |= {"usage": _usage(answer.usage), **ending.marks}
    refusal = None if ending.calls else refusal_in(answer)
    annotate = functools.partial(response_annotations, answer)
    return output.end(ending.calls, ending.finish_reason, refusal, logprobs_in(answer), annotate)


async def _keep(state: State, subject: str, call: AskedResponse, output: Output, ending: Ending) -> None:
    """Store the response where it is to be stored; a response that is not says so."""
    if not call.stores:
        return
    added = _as_the_client_knows_it(list(ending.answer.added), call, ending)
    messages = call.conversation(added)
    keep = state.responses.keep
    output.response["store"] = await run_in_threadpool(keep, subject, output.response, call.items, messages)


def _as_the_client_knows_it(added: list[Message], call: AskedResponse, ending: Ending) -> list[Message]:
    """The messages of an answer with the ids of calls that the client was given, and an answer in JSON as its text."""
    if ending.calls:
        had = client_call_ids(ending.answer, call.asked.client_names)
        given = dict(zip(had, ending.calls, strict=False))
        place = max(place for place, message in enumerate(added) if message.get("tool_calls"))
        added[place] = {**added[place], "tool_calls": [_renamed(each, given) for each in added[place]["tool_calls"]]}
    elif call.asked.json is not None and isinstance(ending.answer.result.output, str):
        return [{"role": "assistant", "content": ending.answer.result.output}]
    return added


def _renamed(call: ToolCall, given: dict[str, ToolCall]) -> ToolCall:
    return {**call, "id": given[call["id"]]["id"]} if call["id"] in given else call


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "cost": usage.cost,
    }


def _told(error: Exception) -> dict[str, Any]:
    body: dict[str, Any] = body_of_error("/v1/", error)["error"]
    status = error.status_code if isinstance(error, HTTPException) else status_and_detail(error)[0]
    return {**body, "status": status}


# ---- stored responses


async def _stored(state: State, subject: str, response_id: str) -> StoredResponse:
    found = await run_in_threadpool(state.responses.get, subject, response_id)
    if found is None:
        raise _not_found(response_id)
    return found


def _not_found(response_id: str) -> RefusedRequestError:
    return RefusedRequestError(404, f"Response with id {response_id!r:.80} not found.", None, "not_found")


@routes.get("/{response_id}", summary="Get a response", response_model=None)
async def retrieve(
    response_id: ResponseId,
    state: Service,
    subject: Subject,
    stream: Annotated[bool, Query(description="Must be false: a stored response is not streamed again.")] = False,
) -> Response:
    """Returns a stored response of the caller."""
    if stream:
        raise RefusedRequestError(400, "stream: a stored response is returned whole", "stream", "unsupported_value")
    return json_response((await _stored(state, subject, response_id)).response)


@routes.delete("/{response_id}", summary="Delete a response", response_model=None)
async def delete(response_id: ResponseId, state: Service, subject: Subject) -> Response:
    """Deletes a stored response of the caller. Responses that continue it keep their conversation."""
    if not await run_in_threadpool(state.responses.delete, subject, response_id):
        raise _not_found(response_id)
    return json_response({"id": response_id, "object": "response", "deleted": True})


@routes.post("/{response_id}/cancel", summary="Cancel a response", response_model=None)
async def cancel(response_id: ResponseId, state: Service, subject: Subject) -> Response:
    """Refused: only responses in the background can be cancelled; close the connection of any other."""
    await _stored(state, subject, response_id)
    raise RefusedRequestError(400, "Only responses with background=true can be cancelled.", None, None)


@routes.post("/{name}", include_in_schema=False)
async def unknown(name: str) -> Response:
    """Refused: what OpenAI has beside responses (`compact`, `input_tokens`) is not there."""
    raise HTTPException(404)  # as for any other path


@routes.get("/{response_id}/input_items", summary="List the input of a response", response_model=None)
async def list_input(
    response_id: ResponseId,
    state: Service,
    subject: Subject,
    limit: Annotated[int, Query(ge=1, le=100, description="How many.")] = 20,
    order: Annotated[Literal["asc", "desc"], Query(description="asc: oldest first.")] = "desc",
    after: Annotated[str | None, Query(description="ID of the item after which to begin.")] = None,
) -> Response:
    """Returns the items of a stored response's request."""
    items = (await _stored(state, subject, response_id)).input
    items = items if order == "asc" else items[::-1]
    if after is not None:
        ids = [item["id"] for item in items]
        if after not in ids:
            raise RefusedRequestError(400, f"after: there is no item {after!r:.80}", "after", "invalid_value")
        items = items[ids.index(after) + 1 :]
    page = items[:limit]
    first_id, last_id = (page[0]["id"], page[-1]["id"]) if page else (None, None)
    body = {"object": "list", "data": page, "first_id": first_id, "last_id": last_id, "has_more": len(items) > limit}
    return json_response(body)
