"""The resources of the drop-in clients: `client.chat.completions`, `client.completions` and `client.beta.chat`.

They are the openai package's own, so that parse, stream, with_raw_response and the rest are its own too; `create` has
the parameters of the guide, and returns objects that can be subscripted.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any, Literal, TypeVar, cast, overload

from openai import NotGiven, Omit, Stream
from openai.resources import Completions as _TextCompletions
from openai.resources.beta import Beta as _Beta
from openai.resources.chat import Chat as _Chat
from openai.resources.chat import Completions as _ChatCompletions
from pydantic import BaseModel

from agentkit.history.plain import plain, plain_message
from agentkit.lightllm.defaults import DEFAULTS
from agentkit.lightllm.openai_types import ChatCompletion, ChatCompletionChunk, TextCompletion
from agentkit.lightllm.over_requests import EventStream
from agentkit.lightllm.request import Tools

F = TypeVar("F", bound=Callable[..., Any])


def accepts_omitted(function: F) -> F:
    """Let NOT_GIVEN and omit stand for the default of any parameter, as in the openai package."""
    names = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*args: Any, **given: Any) -> Any:
        if not any(isinstance(value, NotGiven | Omit) for value in (*args, *given.values())):
            return function(*args, **given)
        named = dict(zip(names, args, strict=False))
        if len(named) < len(args) or named.keys() & given.keys():
            return function(*args, **given)  # raises the TypeError
        given = {**named, **given}
        return function(**{name: value for name, value in given.items() if not isinstance(value, NotGiven | Omit)})

    return cast(F, call)


class Resources:
    """What a client has: `chat`, `completions` and `beta`, whose `create` are those of one class of each kind."""

    def __init__(self, client: Any, chat_completions: type["PlainCompletions"]) -> None:
        self.chat = _ChatOf(client, chat_completions)
        self.completions = TextCompletions(client)
        self.beta = _BetaOf(client, self.chat)


class _ChatOf(_Chat):
    def __init__(self, client: Any, kind: type["PlainCompletions"]) -> None:
        super().__init__(client)
        self._kind = kind

    @functools.cached_property
    def completions(self) -> Any:
        """The resource `/chat/completions`."""
        return self._kind(self._client)


class _BetaOf(_Beta):
    def __init__(self, client: Any, chat: _Chat) -> None:
        super().__init__(client)
        self._chat = chat

    @property
    def chat(self) -> Any:
        """The same as `client.chat`."""
        return self._chat


class PlainCompletions(_ChatCompletions):
    """`client.chat.completions` of an OpenAI-compatible server."""

    @accepts_omitted
    def create(  # type: ignore[override]
        self, *, model: str, messages: Iterable[Any], stream: bool | None = False, **fields: Any
    ) -> Any:
        """Return a ChatCompletion, or with stream=True a Stream of ChatCompletionChunk.

        messages: dicts, messages of replies, objects of other SDKs, in any mixture. fields: any field the server
        supports (temperature, tools, tool_choice, response_format, ...), of which None omits a field; extra_headers,
        extra_query, extra_body, timeout. Raises the openai package's errors.
        """
        _check_response_format(fields.get("response_format"))
        body = {"model": model, "messages": [as_message(message) for message in messages], **_given(fields)}
        return self._sent(body, stream)

    def _sent(self, body: dict[str, Any], stream: bool | None) -> Any:
        if type(vars(_ChatCompletions)["create"]) is FunctionType:
            return send(self._client, "/chat/completions", body, stream, (ChatCompletion, ChatCompletionChunk))
        # a tracing library has wrapped the package's own `create`, and is to see this call
        theirs = inspect.signature(_ChatCompletions.create).parameters
        more = {name: body.pop(name) for name in list(body) if name not in theirs}
        extra = {**more, **(body.pop("extra_body", None) or {})}
        create: Any = super().create
        return create(**body, stream=bool(stream), extra_body=extra)


class LightLLMCompletions(PlainCompletions):
    """`client.chat.completions` of a LightLLM server."""

    @overload  # type: ignore[override]
    def create(
        self, model: str, messages: Iterable[Any], *, stream: Literal[True], **kwargs: Any
    ) -> Stream[ChatCompletionChunk]: ...
    @overload
    def create(self, model: str, messages: Iterable[Any], **kwargs: Any) -> ChatCompletion: ...
    @accepts_omitted
    def create(
        self,
        model: str,
        messages: Iterable[Any],
        temperature: float | None = DEFAULTS["temperature"],
        top_p: float | None = DEFAULTS["top_p"],
        max_tokens: int | None = DEFAULTS["max_tokens"],
        stop: str | Sequence[str] | None = None,
        presence_penalty: float | None = DEFAULTS["presence_penalty"],
        logprobs: bool | None = False,
        tools: Tools = None,
        top_k: int | None = DEFAULTS["top_k"],
        repetition_penalty: float | None = DEFAULTS["repetition_penalty"],
        **kwargs: Any,
    ) -> Any:
        """Return a ChatCompletion, or with stream=True a Stream of ChatCompletionChunk.

        max_tokens: None means 10000. stop: up to eight strings. kwargs: stream, stream_options, n, seed, tool_choice
        ("none", "auto", "required" or a function), response_format, frequency_penalty, max_completion_tokens,
        chat_template_kwargs, extra_body (parameters under LightLLM's names), extra_headers, extra_query, timeout
        (seconds, or an openai.Timeout). OpenAI's other arguments are accepted where they ask for nothing that a text
        server can't do.

        Raises the openai package's APIError and its subclasses, BadRequestError for an argument that can't be followed;
        TypeError for an unknown argument.
        """
        unknown = sorted(kwargs.keys() - _known_arguments())
        if unknown:
            raise TypeError(
                f"create() got an unknown argument {unknown[0]!r}; pass parameters of the server in extra_body"
            )
        _check_response_format(kwargs.get("response_format"))
        body = {
            "model": model,
            "messages": [as_message(message) for message in messages],
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
            "stop": stop,
            "presence_penalty": presence_penalty,
            "logprobs": logprobs,
            "tools": list(tools) if tools else None,
            "top_k": top_k,
            "repetition_penalty": repetition_penalty,
            **kwargs,
        }
        return self._sent(body, body.pop("stream", None))


class TextCompletions(_TextCompletions):
    """`client.completions`: texts that continue raw prompts, to which no chat template is applied."""

    @accepts_omitted
    def create(  # type: ignore[override]
        self,
        prompt: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]],
        model: str = "",
        *,
        stream: bool | None = False,
        **fields: Any,
    ) -> Any:
        """Return a Completion, or with stream=True a Stream of them.

        prompt: a text, the ids of its tokens, or a list of either, each of which gets `n` choices. fields: max_tokens
        (16), temperature, top_p, stop, n, logprobs, echo, seed, presence_penalty, frequency_penalty, stream_options,
        extra_headers, extra_query, extra_body, timeout; None omits a field. Raises the openai package's errors.
        """
        body = {"model": model, "prompt": prompt, **_given(fields)}
        return send(self._client, "/completions", body, stream, (TextCompletion, TextCompletion))


def send(
    client: Any, path: str, body: dict[str, Any], stream: bool | None, kinds: tuple[type[BaseModel], type[BaseModel]]
) -> Any:
    """Send a request with the openai package, and return an object of the first kind, or a stream of the second."""
    options: dict[str, Any] = {"headers": body.pop("extra_headers", None), "params": body.pop("extra_query", None)}
    options = {**options, "extra_json": body.pop("extra_body", None)}
    options = {name: value for name, value in options.items() if value is not None}
    if "timeout" in body:
        options["timeout"] = body.pop("timeout")
    values = {name: value if name == "messages" else plain(value) for name, value in body.items()}
    return client.post(
        path,
        cast_to=kinds[0],
        body={**values, "stream": bool(stream)},
        options=options,
        stream=bool(stream),
        stream_cls=EventStream[kinds[1]],  # type: ignore[valid-type]
    )


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields without those that are None, which as a timeout means that there is none."""
    return {name: value for name, value in fields.items() if value is not None or name == "timeout"}


def as_message(message: Any) -> dict[str, Any]:
    """Return a message as plain data: it may be a dict with objects in it, a message of a reply, or of another SDK.
    Raises TypeError for what is no message."""
    if isinstance(message, dict):
        for name, value in message.items():
            if isinstance(value, Iterator):  # what pydantic makes of the lists in the openai package's types
                message[name] = list(value)  # it can be read once, and the message is sent again with the next one
    made = plain_message(message)
    if not isinstance(made, Mapping):
        raise TypeError(f"a message must be a dict or the message of a reply, not a {type(message).__name__}")
    return dict(made)


def _check_response_format(response_format: Any) -> None:
    if inspect.isclass(response_format):
        raise TypeError("create() can't take a class as response_format: use chat.completions.parse() for it")


@functools.cache
def _known_arguments() -> frozenset[str]:
    return frozenset(inspect.signature(_ChatCompletions.create).parameters) | {"chat_template_kwargs"}
