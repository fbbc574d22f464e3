"""The agent as a model of OpenAI's chat completions API; its tools run here.

Of the request: messages (texts, and pictures as data URLs), stream, stream_options.include_usage, and what is known of
sampling; other fields are borne. A client's own tools are refused: it would wait for calls that never come.
"""

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, model_validator
from starlette.exceptions import HTTPException

from agentkit.event import TextDelta
from agentkit.limits import Usage
from agentkit.serving.exchange import Answer, UserInput
from agentkit.serving.http.dependencies import Service, State, allowed
from agentkit.serving.http.errors import body_of, promised, told
from agentkit.serving.http.schemas import MaxTokens, OpenAIProblem, Penalty, Picture, Temperature, TopP
from agentkit.serving.http.sse import streamed

MODEL = "agentkit"

routes = APIRouter(prefix="/v1", tags=["OpenAI"], dependencies=[Depends(allowed)], responses=promised(OpenAIProblem))


class Url(BaseModel):
    """A picture as a data URL: the model server would fetch others from wherever they are."""

    url: Picture


class Part(BaseModel):
    """A part of a message."""

    type: Literal["text", "image_url"]
    text: str | None = None
    image_url: Url | None = None

    @model_validator(mode="after")
    def _is_there(self) -> "Part":
        if getattr(self, self.type) is None:
            raise ValueError(f"a part of type {self.type} has the field {self.type}")
        return self


class ChatMessage(BaseModel):
    """One message. Of an assistant's or a tool's more than the text is borne, and left out."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None


class StreamOptions(BaseModel):
    """Of a stream."""

    include_usage: bool | None = None


class Completion(BaseModel):
    """A request of OpenAI's chat completions."""

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=10_000)]
    model: str = MODEL
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: Temperature = None
    top_p: TopP = None
    max_tokens: MaxTokens = None
    max_completion_tokens: MaxTokens = None
    n: int | None = None
    tools: list[Any] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: Penalty = None
    frequency_penalty: Penalty = None


@routes.get("/models")
def models() -> dict[str, Any]:
    """The models: the agent."""
    return {"object": "list", "data": [_model()]}


@routes.get("/models/{name:path}")
def model(name: str) -> dict[str, Any]:
    """One model."""
    _check_model(name)
    return _model()


def _model() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "agentkit"}


def _check_model(name: str) -> None:
    if name not in (MODEL, "default"):
        raise HTTPException(404, f"there is no model {name!r:.80} here: it is called {MODEL!r}")


@routes.post("/chat/completions", response_model=None)
async def complete(body: Completion, request: Request, state: Service) -> Response:
    """Answer as a model does; with stream=true piece by piece."""
    _check_model(body.model)
    asked = _asked(body, state)
    about = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": body.model}
    if body.stream:
        wants_usage = bool(body.stream_options and body.stream_options.include_usage)
        return await streamed(_chunks(state, request, asked, about, wants_usage), _ending)
    answer = await state.runs.answer(asked, request.is_disconnected)
    state.metrics.note(answer)
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(answer)}
    return JSONResponse({**about, "object": "chat.completion", "choices": [choice], "usage": _usage(answer.usage)})


def _asked(body: Completion, state: State) -> UserInput:
    if body.tools:
        raise HTTPException(400, "tools: the agent has its own, which run here; calls are not handed to clients")
    if body.n not in (None, 1):
        raise HTTPException(400, "n: one answer is given")
    messages = [found for each in body.messages if (found := _message(each)) is not None]
    if not messages or messages[-1]["role"] != "user":
        raise HTTPException(400, "messages: the last of them is what a user says")
    names = ("temperature", "top_p", "stop", "seed", "presence_penalty", "frequency_penalty")
    sampling = {name: value for name in names if (value := getattr(body, name)) is not None}
    max_tokens = body.max_completion_tokens or body.max_tokens
    if max_tokens is not None:
        sampling["max_tokens"] = max_tokens
    return UserInput(None, messages=messages, sampling=sampling, tools=state.conversations.tools)


def _message(message: ChatMessage) -> dict[str, Any] | None:
    if message.role == "tool":
        return None
    role = "system" if message.role == "developer" else message.role
    if isinstance(message.content, list):
        return {"role": role, "content": [part.model_dump(exclude_none=True) for part in message.content]}
    return {"role": role, "content": message.content} if message.content else None


async def _chunks(
    state: State, request: Request, asked: UserInput, about: dict[str, Any], wants_usage: bool
) -> AsyncGenerator[Any, None]:
    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        more = {"usage": None} if wants_usage else {}
        return {**about, "object": "chat.completion.chunk", "choices": [choice], **more}

    is_begun = False
    async with aclosing(state.runs.follow(asked, request.is_disconnected)) as happens:
        async for each in happens:
            if each is None:
                yield None
            elif isinstance(each, TextDelta):
                yield chunk({"content": each.text} if is_begun else {"role": "assistant", "content": each.text})
                is_begun = True
            elif isinstance(each, Answer):
                state.metrics.note(each)
                yield chunk({}, _finish_reason(each))
                if wants_usage:
                    yield {**about, "object": "chat.completion.chunk", "choices": [], "usage": _usage(each.usage)}


def _ending(failed: Exception | None) -> Sequence[Any]:
    return [body_of("/v1/", *told(failed))] if failed else ["[DONE]"]


def _finish_reason(answer: Answer) -> str:
    stopped = answer.result.stopped if answer.result else "answer"
    return stopped if stopped in ("length", "content_filter") else "stop"


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
