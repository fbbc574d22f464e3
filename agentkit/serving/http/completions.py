"""The agent as a model of the OpenAI chat completions API; its tools run on the server.

Supported request fields: messages (texts, images as data URLs, and calls of tools with their results), stream,
stream_options.include_usage, and the sampling fields below; other fields are ignored. Client-defined tools are
rejected: the client would wait for calls that it never receives.
"""

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, model_validator
from starlette.exceptions import HTTPException

from agentkit.event import CutOff, Event
from agentkit.limits import Usage
from agentkit.serving.append_only import AppendOnlyText
from agentkit.serving.exchange import Answer, UserInput
from agentkit.serving.http.dependencies import Service, State, check_rate
from agentkit.serving.http.errors import body_of, error_responses, logged_status_and_detail
from agentkit.serving.http.schemas import ImageDataUrl, MaxTokens, OpenAIErrorResponse, Penalty, Temperature, TopP
from agentkit.serving.http.sse import streamed

MODEL = "agentkit"

routes = APIRouter(
    prefix="/v1", tags=["OpenAI"], dependencies=[Depends(check_rate)], responses=error_responses(OpenAIErrorResponse)
)


class ImageUrl(BaseModel):
    """An image. Only data URLs are accepted, because the model server would fetch any other URL."""

    url: ImageDataUrl = Field(description="Image as a base64 data URL (PNG, JPEG, WebP or GIF).")


class ContentPart(BaseModel):
    """One part of a message: a text or an image, also as clients of the Responses API write it."""

    type: Literal["text", "image_url", "input_text", "output_text", "input_image"] = Field(
        description="Type of the part. A text part requires the field `text`, an image part the field `image_url`."
    )
    text: str | None = Field(default=None, description="The text of a text part.")
    image_url: ImageUrl | ImageDataUrl | None = Field(default=None, description="The image of an image part.")

    @model_validator(mode="after")
    def _has_content(self) -> "ContentPart":
        name = "image_url" if self.type in ("image_url", "input_image") else "text"
        if getattr(self, name) is None:
            raise ValueError(f"a part of type {self.type!r} requires the field {name!r}")
        return self


class ChatMessage(BaseModel):
    """One message. Calls of tools without a result are not run. Fields other than these are ignored."""

    role: Literal["system", "developer", "user", "assistant", "tool"] = Field(
        description="Role of the message's author. `developer` is treated as `system`."
    )
    content: str | list[ContentPart] | None = Field(default=None, description="Text or content parts of the message.")
    name: str | None = Field(default=None, description="Name of the message's author.")
    tool_calls: list[dict[str, Any]] | None = Field(
        default=None, description="Calls of tools that were made earlier in the conversation."
    )
    tool_call_id: str | None = Field(default=None, description="Of a message with the role `tool`: ID of its call.")


class StreamOptions(BaseModel):
    """Options of a streamed response."""

    include_usage: bool | None = Field(
        default=None, description="Whether to send a last chunk with the token usage before `[DONE]`."
    )


class CompletionRequest(BaseModel):
    """A chat completion request of the OpenAI API. Fields not listed here are ignored."""

    messages: Annotated[
        list[ChatMessage],
        Field(
            min_length=1,
            max_length=10_000,
            description="The conversation, oldest message first. The last message must have the role `user`.",
        ),
    ]
    model: str = Field(default=MODEL, description="Model ID: `agentkit` or `default`.")
    stream: bool | None = Field(default=False, description="Whether to stream the answer as server-sent events.")
    stream_options: StreamOptions | None = Field(default=None, description="Options of a streamed response.")
    temperature: Temperature = None
    top_p: TopP = None
    max_tokens: MaxTokens = None
    max_completion_tokens: Annotated[
        MaxTokens, Field(description="Maximum number of tokens per model reply; takes precedence over `max_tokens`.")
    ] = None
    n: int | None = Field(default=None, description="Number of answers; only 1 is supported.")
    tools: list[Any] | None = Field(default=None, description="Not supported: the agent uses its own tools.")
    stop: str | list[str] | None = Field(default=None, description="Stop sequences.")
    seed: int | None = Field(default=None, description="Seed for sampling.")
    presence_penalty: Annotated[Penalty, Field(description="Presence penalty.")] = None
    frequency_penalty: Annotated[Penalty, Field(description="Frequency penalty.")] = None


@routes.get("/models", summary="List models")
def models() -> dict[str, Any]:
    """Returns the available models. The agent is the only one."""
    return {"object": "list", "data": [_model()]}


@routes.get("/models/{name:path}", summary="Get a model")
def model(name: Annotated[str, Path(description="Model ID: `agentkit` or `default`.")]) -> dict[str, Any]:
    """Returns a model by ID."""
    _check_model(name)
    return _model()


def _model() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "agentkit"}


def _check_model(name: str) -> None:
    if name not in (MODEL, "default"):
        raise HTTPException(404, f"model {name!r:.80} not found; the only model is {MODEL!r}")


@routes.post("/chat/completions", summary="Create a chat completion", response_model=None)
async def complete(body: CompletionRequest, request: Request, state: Service) -> Response:
    """Answers a conversation, as a stream of chunks if `stream` is true. Tool calls run on the server."""
    _check_model(body.model)
    user_input = _user_input(body, state)
    head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": body.model}
    if body.stream:
        wants_usage = bool(body.stream_options and body.stream_options.include_usage)
        return await streamed(_chunks(state, request, user_input, head, wants_usage), _ending)
    answer = await state.runs.answer(user_input, request.is_disconnected)
    state.metrics.note(answer)
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(answer)}
    return JSONResponse({**head, "object": "chat.completion", "choices": [choice], "usage": _usage(answer.usage)})


def _user_input(body: CompletionRequest, state: State) -> UserInput:
    if body.tools:
        raise HTTPException(
            400, "tools: client-defined tools are not supported; the agent uses its own tools, which run on the server"
        )
    if body.n not in (None, 1):
        raise HTTPException(400, "n: only one answer is supported")
    messages = [found for each in body.messages if (found := _message(each)) is not None]
    if not messages or messages[-1]["role"] != "user":
        raise HTTPException(400, "messages: the last message must have the role 'user'")
    names = ("temperature", "top_p", "stop", "seed", "presence_penalty", "frequency_penalty")
    sampling = {name: value for name in names if (value := getattr(body, name)) is not None}
    max_tokens = body.max_completion_tokens or body.max_tokens
    if max_tokens is not None:
        sampling["max_tokens"] = max_tokens
    return UserInput(None, messages=messages, sampling=sampling, tools=state.conversations.tools)


def _message(message: ChatMessage) -> dict[str, Any] | None:
    if not message.content and not message.tool_calls and message.role != "tool":
        return None
    role = "system" if message.role == "developer" else message.role
    content: Any = message.content
    if isinstance(content, list):
        content = [part.model_dump(exclude_none=True) for part in content]
    names = ("name", "tool_calls", "tool_call_id")
    more = {name: value for name in names if (value := getattr(message, name)) is not None}
    return {"role": role, "content": content, **more}


async def _chunks(
    state: State, request: Request, user_input: UserInput, head: dict[str, Any], wants_usage: bool
) -> AsyncGenerator[Any, None]:
    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        more = {"usage": None} if wants_usage else {}
        return {**head, "object": "chat.completion.chunk", "choices": [choice], **more}

    has_started = False
    text = AppendOnlyText(state.conversations.service.late_reasoning)
    async with aclosing(state.runs.follow(user_input, request.is_disconnected)) as updates:
        async for each in updates:
            if each is None:
                yield None
            elif isinstance(each, Event):
                if said := text.take(each):
                    yield chunk({"content": said} if has_started else {"role": "assistant", "content": said})
                    has_started = True
            else:
                state.metrics.note(each)
                yield chunk({}, _finish_reason(each))
                if wants_usage:
                    yield {**head, "object": "chat.completion.chunk", "choices": [], "usage": _usage(each.usage)}


def _ending(error: Exception | None) -> Sequence[Any]:
    return [body_of("/v1/", *logged_status_and_detail(error))] if error else ["[DONE]"]


def _finish_reason(answer: Answer) -> str:
    return answer.stopped if answer.stopped in get_args(CutOff) else "stop"


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "cost": usage.cost,
    }
