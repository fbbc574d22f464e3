"""The request of a chat completion, and what a run makes of it."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agentkit.middleware.structured_output import FINAL
from agentkit.running.held_messages import HELD
from agentkit.running.open_questions import QUESTION
from agentkit.serving.exchange import UserInput
from agentkit.serving.http.dependencies import State
from agentkit.serving.http.openai.anthropic_parts import as_chat_messages
from agentkit.serving.http.openai.client_tools import client_tools, tool_choice
from agentkit.serving.http.openai.errors import RefusedRequestError
from agentkit.serving.http.openai.fields import MAX_ANSWERS, needing_a_model, sampling_of
from agentkit.serving.http.openai.history import run_messages
from agentkit.serving.http.openai.images import ImageAddress, with_images
from agentkit.serving.http.openai.models import MODEL
from agentkit.serving.http.openai.response_format import JsonAnswer, json_answer
from agentkit.serving.http.openai.responses.as_chat import as_chat
from agentkit.serving.http.openai.title_requests import is_title_request
from agentkit.serving.http.openai.tool_forms import as_function_calls, custom_names
from agentkit.serving.http.schemas import Penalty, Temperature, TopP
from agentkit.serving.unattended import unattended
from agentkit.tools import Tool

TextType = Literal["text", "input_text", "output_text"]
ImageType = Literal["image_url", "input_image"]
MediaType = Literal["input_audio", "audio_url", "input_video", "video_url", "file"]
PartType = Literal[TextType, ImageType, MediaType, "refusal", "thinking"]

OF_THE_SERVICE = frozenset({QUESTION, HELD})
"""Keys of a message that only this service writes: a client's history can't say what a call has asked a person, so that
a decision would count for it, nor have messages that are not looked at as the others are."""

_TEXTS, _IMAGES, _MEDIA = map(get_args, (TextType, ImageType, MediaType))
_ADDRESS = re.compile(r"\s*(?:[a-z][a-z0-9+.-]{0,20}://|file:)", re.IGNORECASE)

MaxTokens = Annotated[int | None, Field(ge=-1, le=10_000_000)]


class ImageUrl(BaseModel):
    """An image."""

    model_config = ConfigDict(extra="allow")

    url: ImageAddress = Field(
        description="Image as a base64 data URL (PNG, JPEG, WebP or GIF), or its public http(s) address, which is "
        "fetched by this service."
    )


class ContentPart(BaseModel):
    """One part of a message, also as clients of the Responses API write it."""

    model_config = ConfigDict(extra="allow")

    type: PartType = Field(
        description="Type of the part. A text part requires the field `text`, an image part the field `image_url`."
    )
    text: str | None = Field(default=None, description="The text of a text part.")
    image_url: ImageUrl | ImageAddress | None = Field(default=None, description="The image of an image part.")

    @model_validator(mode="after")
    def _has_content(self) -> "ContentPart":
        name = "image_url" if self.type in _IMAGES else "text"
        if self.type in (*_IMAGES, *_TEXTS) and getattr(self, name) is None:
            raise ValueError(f"a part of type {self.type!r} requires the field {name!r}")
        if self.type in _MEDIA and any(_ADDRESS.match(text) for text in _texts_in(self.model_extra)):
            raise ValueError(f"the address in a part of type {self.type!r} is not fetched: send its data")
        return self


def _texts_in(values: Mapping[str, Any] | None) -> Iterator[str]:
    for value in (values or {}).values():
        yield from (each for each in (value.values() if isinstance(value, dict) else (value,)) if isinstance(each, str))


class ChatMessage(BaseModel):
    """One message. Further fields (`reasoning_content`, ...) are passed on where model servers know them."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"] = Field(
        description="Role of the message's author. `developer` is treated as `system`."
    )
    content: str | list[ContentPart] | None = Field(default=None, description="Text or content parts of the message.")
    name: str | None = Field(default=None, description="Name of the message's author.")
    tool_calls: list[dict[str, Any]] | None = Field(
        default=None, description="Calls of tools that were made earlier in the conversation."
    )
    tool_call_id: str | None = Field(default=None, description="Of a message with the role `tool`: ID of its call.")

    def as_dict(self) -> dict[str, Any]:
        """The message as it is sent to a model."""
        made = {key: value for key, value in self.model_dump(exclude_none=True).items() if key not in OF_THE_SERVICE}
        if self.tool_calls:
            made["tool_calls"] = as_function_calls(made["tool_calls"])
        if "content" not in made and self.role != "assistant":
            made["content"] = ""
        return {**made, "role": "system"} if self.role == "developer" else made


class StreamOptions(BaseModel):
    """Options of a streamed response."""

    include_usage: bool | None = Field(
        default=None, description="Whether to send a last chunk with the token usage before `[DONE]`."
    )


class CompletionRequest(BaseModel):
    """A chat completion request of the OpenAI API. Fields not listed here are passed on to the model server."""

    model_config = ConfigDict(extra="allow")

    messages: Annotated[
        list[ChatMessage],
        Field(min_length=1, max_length=10_000, description="The conversation, oldest message first. It is sent whole."),
    ]
    model: str | None = Field(default=MODEL, description="Model ID: `agentkit` or `default`.")
    stream: bool | None = Field(default=False, description="Whether to stream the answer as server-sent events.")
    stream_options: StreamOptions | None = Field(default=None, description="Options of a streamed response.")
    temperature: Temperature = None
    top_p: TopP = None
    max_tokens: Annotated[MaxTokens, Field(description="Maximum tokens per model reply; -1: no limit.")] = None
    max_completion_tokens: Annotated[MaxTokens, Field(description="The same; takes precedence.")] = None
    n: Annotated[int, Field(ge=1, le=MAX_ANSWERS)] | None = Field(
        default=None, description="Number of answers; more than 1 where no tool of the service can have an effect."
    )
    tools: Any = Field(
        default=None,
        description="The client's own functions, beside the tools of the service: a call of one ends the answer with "
        '`finish_reason` "tool_calls".',
    )
    tool_choice: Any = Field(default=None, description="As in the OpenAI API, over all tools.")
    response_format: Any = Field(default=None, description="`text`, `json_object` or `json_schema`.")
    stop: str | list[str] | None = Field(default=None, description="Stop sequences.")
    seed: int | None = Field(default=None, description="Seed for sampling.")
    presence_penalty: Annotated[Penalty, Field(description="Presence penalty.")] = None
    frequency_penalty: Annotated[Penalty, Field(description="Frequency penalty.")] = None

    @model_validator(mode="before")
    @classmethod
    def _as_chat(cls, values: Any) -> Any:
        """The fields of a request that is written as another API has them."""
        made = as_chat(values)
        is_chat = isinstance(made, dict) and "messages" in made
        return {**made, "messages": as_chat_messages(made["messages"])} if is_chat else made

    @property
    def given(self) -> dict[str, Any]:
        """The fields that are not null, known or not."""
        fields_set = self.model_fields_set
        known = {name: value for name, value in self.__dict__.items() if name in fields_set}
        return {name: value for name, value in {**known, **(self.model_extra or {})}.items() if value is not None}

    @property
    def is_plain(self) -> bool:
        """Whether these are texts without tools, for which nothing is looked up."""
        texts = (type(message.content) is str and not message.tool_calls for message in self.messages)
        return not self.tools and self.response_format is None and all(texts)

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


NOT_OFFERED = "X-Tools-Not-Offered"
"""The header of a response that names the types of tools in the request which the model was not offered; "all": it was
offered none."""


@dataclass(frozen=True)
class Asked:
    """A request as it is run. user_input: for the run. client_names: names of the client's tools. fields: names of the
    fields that are passed on to the model. json: the form of the answer, None for a text. answers: how many are made.
    custom_names: names of the client's tools whose input is a text. offers_none: whether no tool is offered, since a
    front end asks for something beside a conversation.
    """

    user_input: UserInput
    client_names: frozenset[str]
    fields: frozenset[str]
    json: JsonAnswer | None = None
    answers: int = 1
    custom_names: frozenset[str] = frozenset()
    offers_none: bool = False

    def headers(self, left_out: Iterable[str] = ()) -> dict[str, str]:
        """Those of a response that say what the model was not offered. left_out: types of tools in the request."""
        names = [*left_out, *(["all"] if self.offers_none else [])]
        return {NOT_OFFERED: ", ".join(names)} if names else {}

    def each(self) -> "Iterator[Asked]":
        """The request once for each answer: with a seed of its own, where there is one."""
        yield self
        seed = self.user_input.sampling.get("seed")
        for place in range(1, self.answers):
            more = {"seed": seed + place} if isinstance(seed, int) else {}
            yield replace(self, user_input=replace(self.user_input, sampling={**self.user_input.sampling, **more}))


def asked_of(body: CompletionRequest, subject: str, state: State, earlier: Sequence[Mapping[str, Any]] = ()) -> Asked:
    """Return what to run for a request; it reads the session store. earlier: messages of the run before those of the
    request. Raises RefusedRequestError for what can't be met."""
    sampling = sampling_of(body.given)
    if "llm_max_tokens" not in state.settings.model_fields_set:
        sampling.setdefault("max_tokens", None)  # OpenAI's clients expect no limit where they give none
    answer = json_answer(body.response_format)
    own = unattended(state.conversations.tools, ends_run=answer is None)
    own_names = [tool.name for tool in own]
    client = client_tools(body.tools, own_names if answer is None else [*own_names, FINAL])
    client_names = [tool.name for tool in client]
    messages = [message.as_dict() for message in body.messages]
    offers_none = bool(own) and not client and body.tool_choice in (None, "auto") and _is_aside(messages, state)
    choice = tool_choice("none" if offers_none else body.tool_choice, [*own_names, *client_names], client_names)
    with_images(messages, state.settings.agentkit_image_hosts)
    tools = (*own, *client)
    if choice.allowed is not None:
        tools = tuple(tool for tool in tools if tool.name in choice.allowed)
    if choice.value is not None and (tools or answer is None):
        sampling["tool_choice"] = choice.value
    needing = needing_a_model({**sampling, "response_format": answer})
    if needing is not None and not state.conversations.service.capabilities().samples:
        text = f"{needing}: can't be met, since this service answers without a language model"
        raise RefusedRequestError(400, text, needing, "unsupported_parameter")
    answers = body.n or 1
    if answers > 1:
        _check_no_effects(tools, client_names)
    if choice.value == "required" and any(tool.name in client_names for tool in tools):
        answer = None  # the answer ends with a call of the client's, so that it has no text
    user_input = UserInput(
        None,
        messages=run_messages([*earlier, *state.continuations.restored(subject, messages)]),
        sampling=sampling,
        tools=tools,
        output=str if answer is None else answer,
        is_whole=True,
    )
    fields = {name for name, value in sampling.items() if value is not None}
    passed = frozenset({*fields, "response_format"})
    custom = custom_names(body.tools)
    return Asked(user_input, frozenset(client_names), passed, answer, answers, custom, offers_none)


def _is_aside(messages: Sequence[Mapping[str, Any]], state: State) -> bool:
    return state.settings.agentkit_title_requests and is_title_request(messages)


def _check_no_effects(tools: Iterable[Tool[..., Any]], client_names: Collection[str]) -> None:
    """Raises RefusedRequestError for several answers where a tool of the service would have its effect for each."""
    for tool in tools:
        if tool.name not in client_names and not tool.options.read_only:
            text = f"n: with the tool {tool.name!r} of this service, which may have effects, one answer is made; "
            raise RefusedRequestError(400, f'{text}for more, set tool_choice to "none"', "n", "unsupported_value")
