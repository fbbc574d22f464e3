"""The request of a response, and what a run makes of it."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentkit.message import AWAITS_REPLY, Message, system
from agentkit.serving.http.dependencies import State
from agentkit.serving.http.openai.chat_request import Asked, CompletionRequest, MaxTokens, asked_of
from agentkit.serving.http.openai.errors import RefusedRequestError
from agentkit.serving.http.openai.models import MODEL
from agentkit.serving.http.openai.response_format import format_of_text
from agentkit.serving.http.openai.responses.items import chat_messages, input_items, listed, refused, resolved
from agentkit.serving.http.openai.responses.tools import Offered, chat_choice, offered_tools
from agentkit.serving.http.schemas import Temperature, TopP
from agentkit.serving.http.validation import problems_of

MOVED: Mapping[str, str] = {
    "messages": "input",
    "response_format": "text.format",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "logprobs": "include",
    "functions": "tools",
    "function_call": "tool_choice",
}
"""Fields of a chat completion that this API has elsewhere."""

REFUSED: Mapping[str, str] = {
    "conversation": "is not supported: use previous_response_id",
    "prompt": "is not supported: there are no stored prompts",
    "max_tool_calls": "is not supported",
    "context_management": "is not supported",
    "n": "is not supported: a response has one answer",
}
"""Fields that can't be met, and why."""

WITHOUT_EFFECT = ("stream_options", "prompt_cache_options", "client_metadata")
"""Fields about the request that change nothing of its answer, beside those of a chat completion."""

ECHOED = ("user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention")
"""Fields that the response repeats."""

LOGPROBS = "message.output_text.logprobs"
INCLUDABLE = (
    *(LOGPROBS, "reasoning.encrypted_content", "message.input_image.image_url"),
    *("file_search_call.results", "web_search_call.results", "web_search_call.action.sources"),
    *("code_interpreter_call.outputs", "computer_call_output.output.image_url"),
)
"""What a request may ask to be sent as well: log probabilities; of the rest a response here has nothing."""


class ResponseRequest(BaseModel):
    """A request of the Responses API. Fields not listed here are passed on to the model server."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(default=MODEL, description="Model ID: `agentkit` or `default`.")
    input: Any = Field(default=None, description="A text, or items: messages, function calls and their outputs, ...")
    instructions: str | None = Field(default=None, description="System message, of this response only.")
    previous_response_id: str | None = Field(default=None, description="The response that this one continues.")
    store: bool | None = Field(default=True, description="Whether the response can be retrieved and continued.")
    stream: bool | None = Field(default=False, description="Whether to stream events as server-sent events.")
    background: bool | None = Field(default=None, description="Must be false.")
    temperature: Temperature = None
    top_p: TopP = None
    max_output_tokens: Annotated[MaxTokens, Field(description="Maximum tokens per model reply.")] = None
    tools: Any = Field(default=None, description="The client's own functions, beside the tools of the service.")
    tool_choice: Any = Field(default=None, description="As in the OpenAI API, over all tools.")
    parallel_tool_calls: bool | None = Field(default=None, description="Whether a reply may have several calls.")
    text: dict[str, Any] | None = Field(default=None, description="`format`: text, json_object or json_schema.")
    reasoning: dict[str, Any] | None = Field(
        default=None, description="`effort`; with `summary` the reasoning is sent as a summary."
    )
    include: list[str] | None = Field(default=None, description="What to send as well.")
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(default=None, description="For each token.")
    metadata: Annotated[dict[str, str], Field(max_length=16)] | None = Field(
        default=None, description="Returned with the response."
    )
    truncation: Literal["auto", "disabled"] | None = Field(
        default="disabled", description="auto: the oldest messages are left out when the conversation is too long."
    )


@dataclass(frozen=True)
class AskedResponse:
    """A request as it is run. response: the object with which the response begins. offered: its tools. items: the input
    as it is listed. instructed: how many messages of the run are instructions. summarizes: whether reasoning is sent as
    a summary."""

    asked: Asked
    response: dict[str, Any]
    offered: Offered
    items: list[dict[str, Any]]
    instructed: int
    summarizes: bool
    stores: bool

    def conversation(self, added: list[Message]) -> list[Message]:
        """The messages of the conversation with the answer. added: those of the answer."""
        sent = self.asked.user_input.messages[self.instructed :]
        return [{k: v for k, v in each.items() if k != AWAITS_REPLY} for each in (*sent, *added)]  # type: ignore[misc]


def asked_response(body: ResponseRequest, subject: str, state: State) -> AskedResponse:
    """Return what to run for a request; it reads the session store. Raises RefusedRequestError for what can't be met,
    SessionError."""
    extra, items = _passed(body), resolved(input_items(body.input), state.responses.items_of(subject))
    offered = offered_tools(body.tools, items)
    earlier = _earlier(body, subject, state)
    instructions = [system(body.instructions)] if body.instructions else []
    calls = {call["id"] for message in earlier for call in message.get("tool_calls") or ()}
    messages = chat_messages(items, calls)
    fields = {"messages": messages, **_chat_fields(body, offered), **extra}
    try:
        asked = asked_of(CompletionRequest(**fields), subject, state, (*instructions, *earlier))
    except ValidationError as error:
        raise _invalid(error, fields) from None
    except RefusedRequestError as error:
        raise as_response_error(error, offered) from None
    if body.truncation == "auto":
        asked = replace(asked, user_input=replace(asked.user_input, is_whole=False))
    token = secrets.token_hex(24)
    reasoning = body.reasoning or {}
    return AskedResponse(
        asked,
        _object(body, f"resp_{token}", offered),
        offered,
        listed(items, token),
        len(instructions),
        bool(reasoning.get("summary") or reasoning.get("generate_summary")),
        body.store is not False,
    )


def _earlier(body: ResponseRequest, subject: str, state: State) -> list[Message]:
    """The conversation that a request continues."""
    if body.previous_response_id is None:
        return []
    earlier = state.responses.conversation(subject, body.previous_response_id)
    if earlier is None:
        raise RefusedRequestError(
            400,
            f"Previous response with id {body.previous_response_id!r:.80} not found.",
            "previous_response_id",
            "previous_response_not_found",
        )
    return earlier


def _passed(body: ResponseRequest) -> dict[str, Any]:
    """The fields of a request that a chat completion has under the same name. Raises RefusedRequestError."""
    given = {name: value for name, value in (body.model_extra or {}).items() if value is not None}
    for name in given:
        if name in MOVED:
            raise refused(name, f"in the Responses API this is {MOVED[name]}", "unsupported_parameter")
        if name in REFUSED:
            raise refused(name, REFUSED[name], "unsupported_parameter")
    for place, name in enumerate(body.include or ()):
        if name not in INCLUDABLE:
            text = f"{name!r:.80} is not known: use {', '.join(INCLUDABLE)}"
            raise refused(f"include[{place}]", text)
    if body.background:
        raise refused("background", "is not supported: responses are made while the client waits", "unsupported_value")
    return {name: value for name, value in given.items() if name not in WITHOUT_EFFECT}


def _chat_fields(body: ResponseRequest, offered: Offered) -> dict[str, Any]:
    """The fields of a request as a chat completion has them."""
    text, reasoning = body.text or {}, body.reasoning or {}
    _check(text, ("format", "verbosity"), "text")
    _check(reasoning, ("effort", "summary", "generate_summary", "context"), "reasoning")
    fields = {
        "model": MODEL,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "max_tokens": body.max_output_tokens,
        "tools": offered.functions,
        "tool_choice": chat_choice(body.tool_choice),
        "parallel_tool_calls": body.parallel_tool_calls,
        "response_format": format_of_text(text.get("format")),
        "verbosity": text.get("verbosity"),
        "reasoning_effort": reasoning.get("effort"),
        "top_logprobs": body.top_logprobs,
        "logprobs": True if LOGPROBS in (body.include or ()) or body.top_logprobs else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _check(given: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in given:
        if name not in names and given[name] is not None:
            raise refused(f"{where}.{name}", "is not known", "unknown_parameter")


def _object(body: ResponseRequest, response_id: str, offered: Offered) -> dict[str, Any]:
    """The response when it begins."""
    reasoning, text, extra = body.reasoning or {}, body.text or {}, body.model_extra or {}
    return {
        "id": response_id,
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "completed_at": None,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "model": body.model or MODEL,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "service_tier": "default",
        "store": body.store is not False,
        "temperature": body.temperature,
        "text": {"format": {"type": "text"}, **{k: v for k, v in text.items() if v is not None}},
        "tool_choice": _told_choice(body.tool_choice),
        "tools": list(map(_told_tool, offered.told)),
        "top_logprobs": body.top_logprobs or 0,
        "top_p": body.top_p,
        "truncation": body.truncation or "disabled",
        "usage": None,
        **{name: extra.get(name) for name in ECHOED},
    }


_TOLD: Mapping[Any, Mapping[str, Any]] = {
    "function": dict.fromkeys(("description", "parameters", "strict")),
    "namespace": {"description": ""},
}
"""Fields that the tools of a response always have."""


def _told_tool(given: Mapping[str, Any]) -> dict[str, Any]:
    """A tool as the response repeats it: with its fields beside the type."""
    kind, inner = given.get("type", "function"), given.get("function")
    return {**_TOLD.get(kind, {}), **(inner if isinstance(inner, Mapping) else given), "type": kind}


def _told_choice(given: Any) -> Any:
    """A choice of tools in the form of this API, whichever it was given in."""
    if not isinstance(given, Mapping):
        return given or "auto"
    function, allowed = given.get("function"), given.get("allowed_tools")
    if isinstance(function, Mapping):
        return {"type": "function", "name": function.get("name")}
    if not isinstance(allowed, Mapping):
        return dict(given)
    return {"mode": "auto", **allowed, "type": "allowed_tools"}


def as_response_error(error: Exception, offered: Offered) -> Exception:
    """An error about a chat completion, with the names of this API."""
    if not isinstance(error, RefusedRequestError) or error.param is None:
        return error
    param = _renamed(offered.param(error.param))
    if param == error.param:
        return error
    text = str(error.detail).replace(f"{error.param}:", f"{param}:", 1)
    text = text.replace("messages:", "input:", 1).replace("response_format", "text.format")
    return RefusedRequestError(error.status_code, text, param, error.code, error.headers)


def _renamed(param: str) -> str:
    if param.startswith("response_format.json_schema"):
        return param.replace("response_format.json_schema", "text.format", 1)
    name, _, _ = param.partition(".")
    name = name.partition("[")[0]
    if name == "messages":
        return "input"
    return param.replace(name, MOVED[name], 1) if name in MOVED else param


def _invalid(error: ValidationError, fields: Mapping[str, Any]) -> RefusedRequestError:
    problem = problems_of(error.errors(), fields)[0]
    param = _renamed(problem.param or "input")
    return RefusedRequestError(400, f"{param}: {problem.text}", param, problem.code)
