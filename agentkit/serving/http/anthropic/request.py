"""A request of the Messages API, and what a run makes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentkit._text import json_bytes
from agentkit.net.overflow import reply_counted, tokens_counted, too_long
from agentkit.running.agent_tools import toolbox_of
from agentkit.serving.http.anthropic.conversation import chat_messages, named
from agentkit.serving.http.anthropic.tools import choice_of, functions_of, refused
from agentkit.serving.http.dependencies import State
from agentkit.serving.http.openai.chat_request import Asked, CompletionRequest, MaxTokens, asked_of
from agentkit.serving.http.openai.errors import RefusedRequestError
from agentkit.serving.http.openai.fields import THINKING, WITHOUT_A_MODEL
from agentkit.serving.http.openai.models import MODEL
from agentkit.serving.http.schemas import Temperature, TopP
from agentkit.serving.http.validation import problems_of
from agentkit.serving.unattended import unattended

PASSED = (WITHOUT_A_MODEL | THINKING | {"seed", "logit_bias"}) - {"thinking"}
"""Fields of a chat completion that are passed on to the model server also from here. All others that are not listed
below have no effect: clients such as Claude Code send new ones of Anthropic's own with each version."""

MEANINGS: Mapping[str, str] = {
    "max_completion_tokens": "max_tokens",
    "max_tokens": "max_tokens",
    "stop": "stop_sequences",
    "response_format": "output_config.format",
    "reasoning_effort": "output_config.effort",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
}
"""Fields of this API by those of a chat completion that they become."""

BYTES_PER_TOKEN = 3.5
"""Of the JSON of a request, as the history of a session is estimated."""
MEDIA_TOKENS = 1000
"""Tokens of an image or a file, whatever its size."""

_EFFORTS: Mapping[Any, str] = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_THINKS = ("enabled", "adaptive", "disabled")


class MessagesRequest(BaseModel):
    """A request of Anthropic's Messages API."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(default=MODEL, description="Model ID: `agentkit` or `default`.")
    messages: Any = Field(default=None, description="The conversation, oldest message first.")
    system: Any = Field(default=None, description="System prompt: a text, or text blocks.")
    max_tokens: Annotated[MaxTokens, Field(description="Maximum tokens per model reply.")] = None
    stream: bool | None = Field(default=False, description="Whether to stream the answer as server-sent events.")
    temperature: Temperature = None
    top_p: TopP = None
    top_k: int | None = Field(default=None, description="Number of tokens to sample from.")
    stop_sequences: list[str] | None = Field(default=None, description="Stop sequences.")
    tools: Any = Field(default=None, description="The client's own tools, beside the tools of the service.")
    tool_choice: Any = Field(default=None, description="`auto`, `any`, `none`, or `tool` with a name; over all tools.")
    thinking: Any = Field(default=None, description="Whether the model thinks: `enabled`, `adaptive` or `disabled`.")
    output_config: Any = Field(default=None, description="`format`: a JSON schema; `effort`: how much to think.")
    output_format: Any = Field(default=None, description="The same as `output_config.format`.")
    mcp_servers: Any = Field(default=None, description="Must be empty.")


@dataclass(frozen=True)
class AskedMessage:
    """A request as it is run. left_out: types of tools that are not offered. shows_thinking: whether the client is
    sent the reasoning; those that do not ask for it take the first block for the text. places: see `chat_messages`.
    max_tokens: of the request."""

    asked: Asked
    left_out: list[str]
    shows_thinking: bool
    places: Sequence[int]
    max_tokens: int | None

    def told(self, error: Exception) -> Exception:
        """The error of the run, as clients of this API know it: what is too long in the words by which Claude Code
        makes the conversation, or the reply, shorter."""
        if not isinstance(error, RefusedRequestError):
            return error
        if error.code != "context_length_exceeded":
            return renamed(error, self.places)
        return RefusedRequestError(400, self._too_long(error), "messages", error.code, error.headers)

    def _too_long(self, error: RefusedRequestError) -> str:
        cause = error.__cause__
        room = too_long(cause) if cause is not None else None
        if cause is None or not room:
            return f"prompt is too long: {error.detail}"
        counted = tokens_counted(cause, room, len(json_bytes(list(self.asked.user_input.messages or ()))))
        if not counted:
            return f"prompt is too long: {error.detail}"
        reply = reply_counted(cause)
        if reply and reply == self.max_tokens and counted < room + reply:
            return f"input length and `max_tokens` exceed context limit: {counted} + {reply} > {room + reply}"
        return f"prompt is too long: {counted} tokens > {room} maximum"


def asked_message(body: MessagesRequest, subject: str, state: State) -> AskedMessage:
    """Return what to run for a request; it reads the session store. Raises RefusedRequestError for what can't be
    met, SessionError."""
    if body.mcp_servers:
        raise refused("mcp_servers", "is not supported: add the servers to this service (AGENTKIT_MCP)")
    messages, places = chat_messages(body.system, body.messages)
    functions, left_out = functions_of(body.tools)
    fields: dict[str, Any] = {
        "model": MODEL,
        "messages": messages,
        "tools": functions or None,
        "max_tokens": body.max_tokens,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "top_k": body.top_k,
        "stop": body.stop_sequences or None,
        **choice_of(body.tool_choice),
        **_output(body),
    }
    extra = {name: value for name, value in (body.model_extra or {}).items() if name in PASSED}
    given = {name: value for name, value in {**extra, **fields}.items() if value is not None}
    try:
        asked = asked_of(CompletionRequest(**given), subject, state)
    except ValidationError as error:
        problem = problems_of(error.errors(), given)[0]
        param = problem.param or "messages"
        told = RefusedRequestError(400, f"{param}: {problem.text}", param, problem.code)
        raise renamed(told, places) from None
    except RefusedRequestError as error:
        raise renamed(error, places) from None
    asked = _with_thinking(asked, _thinking(body.thinking, is_own=not state.settings.agentkit_model))
    return AskedMessage(asked, left_out, _shows(body.thinking), places, body.max_tokens)


def _with_thinking(asked: Asked, fields: Mapping[str, Any]) -> Asked:
    """A request with fields that say whether to think; those that the client has written itself hold."""
    sampling = asked.user_input.sampling
    more = {name: value for name, value in fields.items() if sampling.get(name) is None}
    return replace(asked, user_input=replace(asked.user_input, sampling={**sampling, **more})) if more else asked


def estimated_tokens(body: MessagesRequest, state: State) -> int:
    """An estimate of the tokens of a request, with the tools of the service. Raises RefusedRequestError."""
    messages, _ = chat_messages(body.system, body.messages)
    functions, _ = functions_of(body.tools)
    sent, media = [], 0
    for message in messages:
        content = message.get("content")
        parts = content if isinstance(content, list) else []
        texts = [part for part in parts if part.get("type") == "text"]
        media += len(parts) - len(texts)
        sent.append({**message, "content": texts} if parts else message)
    schemas = toolbox_of(unattended(state.conversations.tools, ends_run=True)).schemas
    return max(1, round(len(json_bytes([sent, functions, schemas])) / BYTES_PER_TOKEN)) + media * MEDIA_TOKENS


def _output(body: MessagesRequest) -> dict[str, Any]:
    """The fields of a chat completion for what the answer is to be like."""
    config = body.output_config or {}
    if not isinstance(config, Mapping):
        raise refused("output_config", "must be an object")
    effort, form = config.get("effort"), config.get("format") or body.output_format
    made: dict[str, Any] = {}
    if isinstance(effort, str) and effort in _EFFORTS and _kind_of(body.thinking) != "disabled":
        made["reasoning_effort"] = _EFFORTS[effort]
    if form is not None:
        if not isinstance(form, Mapping) or form.get("type") != "json_schema":
            raise refused("output_config.format", "must be an object of type json_schema with a schema")
        schema = {"name": "answer", "schema": form.get("schema"), "strict": True}
        made["response_format"] = {"type": "json_schema", "json_schema": schema}
    return made


def _shows(thinking: Any) -> bool:
    return _kind_of(thinking) in ("enabled", "adaptive") and thinking.get("display") != "omitted"


def _kind_of(thinking: Any) -> Any:
    return thinking.get("type") if isinstance(thinking, Mapping) else None


def _thinking(given: Any, *, is_own: bool) -> dict[str, Any]:
    """The fields by which a model server is told whether to think; None in them: whatever the service's setting, the
    field is omitted. is_own: whether the model is that of LLM_SERVER_URL, which is sent the fields of LLM_SKIP_THINKING
    anyway; others may refuse them."""
    if given is None:
        return {}
    kind = _kind_of(given)
    if kind not in _THINKS:
        raise refused("thinking", f"must be an object with a type: {', '.join(_THINKS)}")
    if is_own:
        return {"enable_thinking": kind != "disabled", "chat_template_kwargs": {"enable_thinking": kind != "disabled"}}
    return {} if kind == "disabled" else {"enable_thinking": None, "chat_template_kwargs": None}


def renamed(error: RefusedRequestError, places: Sequence[int]) -> RefusedRequestError:
    """An error about a chat completion, with the names of this API."""
    if error.param is None:
        return error
    name = error.param.partition(".")[0].partition("[")[0]
    param = MEANINGS.get(name) or named(error.param, places).replace(".function.parameters", ".input_schema")
    param = param.replace(".function", "", 1) if name == "tools" else param
    text = str(error.detail).replace(f"{error.param}:", f"{param}:", 1)
    return RefusedRequestError(error.status_code, text, param, error.code, error.headers)
