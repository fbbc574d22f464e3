"""OpenAI's chat completions, and every server that speaks them, through the openai package's own client.

The client is used as a transport: ready JSON goes through its `post`, since `chat.completions.create` rebuilds the
whole history in models at each turn (18 ms of CPU with 100 messages, against 0.6 ms). Its retries, time limits,
connection pool and error classes stay.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from agentkit.backend import Accumulator, Backend, Pieces, Request, chat_completions_body
from agentkit.errors import ConfigurationError
from agentkit.event import ReasoningDelta, TextDelta

if TYPE_CHECKING:
    import httpx2
    from openai import APIError, OpenAI, Stream

LOCAL = {
    "llamacpp": "http://localhost:8080/v1",
    "vllm": "http://localhost:8000/v1",
    "ollama": "http://localhost:11434/v1",
}
"""Servers of one's own, where they listen unless told otherwise; they take any key."""

NO_KEY = "not-needed"
RESERVED = ("model", "messages", "stream", "stream_options", "tools")


class OpenAIBackend:
    """A model behind OpenAI's chat completions API.

    model: its name on the server. base_url: up to and with "/v1"; None is OpenAI's own. api_key: may be left out for
    a server of one's own. timeout: seconds without a byte. max_retries: after connection errors,
    408, 409, 429 and 5xx, with back-off. images: whether the server takes images; None finds out. text_calls:
    whether tool calls that the server has left in a reply's text (`<tool_call>...`) are taken for calls.
    sampling: more fields of the request, such as temperature=0.2, tool_choice="required" or
    response_format={...}; None leaves a field out.

    Raises ConfigurationError when there is neither a key nor a base_url, or a field of `sampling` is not the
    user's to set.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 600.0,
        max_retries: int = 2,
        images: bool | None = None,
        text_calls: bool = True,
        **sampling: Any,
    ) -> None:
        for name in RESERVED:
            if name in sampling:
                raise ConfigurationError(f"OpenAIBackend({name}=...): the agent sets this field of a request itself")
        self.model = model
        self.base_url = base_url
        if not api_key and not base_url:
            raise ConfigurationError(
                f'OpenAIBackend({model!r}) needs api_key=... or base_url=...; the name "openai:{model}" reads '
                "OPENAI_API_KEY from the environment"
            )
        self._api_key = api_key or NO_KEY
        self._timeout = timeout
        self._max_retries = max_retries
        self._images = images
        self._text_calls = text_calls
        self._sampling = {key: value for key, value in sampling.items() if value is not None}
        self._takes_stream_options = True
        self._lock = threading.Lock()
        self._client: OpenAI | None = None
        self._closed = False

    def __repr__(self) -> str:
        where = f", base_url={_shown(self.base_url)!r}" if self.base_url else ""
        return f"OpenAIBackend({self.model!r}{where})"

    def reply(self, request: Request) -> Pieces:
        """See `agentkit.backend.Backend.reply`."""
        from openai import APIConnectionError, APIError

        try:
            yield from self._replied(request)
        except (AttributeError, KeyError, TypeError) as error:
            raise _api_error(None, f"the server's reply has a form that no chat completion has: {error}") from error
        except APIConnectionError as error:
            error.message = f"{error.message.rstrip('.')}: {_shown(error.request.url)} (is the server running?)"
            error.args = (error.message,)
            raise
        except APIError as error:
            if self._api_key != NO_KEY and self._api_key in f"{error} {error.body}":
                raise _without_key(error, self._api_key) from None
            raise

    def _replied(self, request: Request) -> Pieces:
        client = self._connected()
        accumulator = Accumulator(f"call_{len(request.transcript)}")
        if request.stream:
            yield from self._streamed(client, request, accumulator)
        else:
            response = cast("httpx2.Response", self._post(client, request))
            for _ in accumulator.feed(_answer(response)):
                pass
        if accumulator.is_empty:
            raise _api_error(client, "the server sent no reply: no text, no tool call, no reason for ending")
        reply = accumulator.reply()
        if self._text_calls and request.tools and _may_hold_calls(reply.message):
            from agentkit.text_calls import with_text_calls  # the parsers: few replies need them

            reply = with_text_calls(reply, request.tools.schemas, self.model, f"call_{len(request.transcript)}")
        yield reply

    def close(self) -> None:
        """Close the connections; a later request raises ConfigurationError."""
        with self._lock:
            client, self._client, self._closed = self._client, None, True
        if client is not None:
            client.close()

    def _connected(self) -> "OpenAI":
        with self._lock:
            if self._closed:
                raise ConfigurationError(f"{self!r} is closed: make a new one")
            if self._client is None:
                from openai import OpenAI  # takes half a second of CPU: not before the first request

                self._client = OpenAI(
                    api_key=self._api_key,
                    base_url=self.base_url or "https://api.openai.com/v1",
                    timeout=self._timeout,
                    max_retries=self._max_retries,
                )
            return self._client

    def _streamed(
        self, client: "OpenAI", request: Request, accumulator: Accumulator
    ) -> Iterator[TextDelta | ReasoningDelta]:
        with closing(cast("Stream[Any]", self._post(client, request))) as stream:
            kind = stream.response.headers.get("content-type", "")
            if "json" in kind or "html" in kind:  # it does not stream, or is no model server
                stream.response.read()
                yield from accumulator.feed(_answer(stream.response))
                return
            try:
                for chunk in stream:
                    if isinstance(chunk, dict):
                        _raise_if_error(client, chunk)
                        yield from accumulator.feed(chunk)
            except json.JSONDecodeError as error:
                raise _api_error(client, f"the server sent an event that is not JSON: {error}") from None

    def _post(self, client: "OpenAI", request: Request) -> "httpx2.Response | Stream[Any]":
        """Send a request; once more without what the server turns out to refuse."""
        from openai import APIStatusError

        try:
            return self._send(client, request)
        except APIStatusError as error:
            if not self._learns_from(error, request):
                raise
        return self._send(client, request)

    def _send(self, client: "OpenAI", request: Request) -> "httpx2.Response | Stream[Any]":
        import httpx2
        from openai import Stream

        options: Any = {"headers": {"content-type": "application/json"}}
        body = self._body(request)
        if request.stream:
            stream_class: Any = Stream[object]
            streamed: Stream[Any] = client.post(
                "/chat/completions", cast_to=object, content=body, options=options, stream=True, stream_cls=stream_class
            )
            return streamed
        return client.post("/chat/completions", cast_to=httpx2.Response, content=body, options=options)

    def _body(self, request: Request) -> bytes:
        fields: dict[str, Any] = {"model": self.model, **self._sampling}
        if request.stream and self._takes_stream_options:
            fields["stream_options"] = {"include_usage": True}
        return chat_completions_body(fields, request, images=self._images is not False)

    def _learns_from(self, error: Any, request: Request) -> bool:
        """Whether the server refused something that can be left out, which is remembered."""
        said = str(error.body or error.message).lower()
        if request.stream and self._takes_stream_options and "stream_options" in said:
            self._takes_stream_options = False
            return True
        if self._images is None and request.transcript.has_images and "image" in said:
            self._images = False
            return True
        return False


def from_name(provider: str, model: str, url: str | None, environment: Mapping[str, str]) -> Backend:
    """The backend for `openai:MODEL`, `llamacpp:MODEL`, `vllm:MODEL` or `ollama:MODEL`, each with `@url`."""
    if provider == "openai":
        url = _with_path(url) or environment.get("OPENAI_BASE_URL") or None
        if not model:
            raise ConfigurationError('"openai:" names no model: write openai:gpt-5-mini, or whatever the server has')
        key = environment.get("OPENAI_API_KEY")
        if not key and not url:
            raise ConfigurationError(
                f"openai:{model} needs a key: set OPENAI_API_KEY, or name a server of your own with "
                f"openai:{model}@http://host:port/v1"
            )
    else:
        url = _with_path(url) or LOCAL[provider]
        key = None
        if not model and provider != "llamacpp":
            raise ConfigurationError(f'"{provider}:" names no model: write {provider}:NAME[@url]')
    return OpenAIBackend(model or "default", base_url=url, api_key=key)


def _may_hold_calls(message: Mapping[str, Any]) -> bool:
    """Whether the text of a reply without calls has a letter that all markup begins with."""
    content = message.get("content")
    return "tool_calls" not in message and isinstance(content, str) and any(mark in content for mark in "<[{")


def _with_path(url: str | None) -> str | None:
    """A server's address with the path that all of them answer on, where none was given."""
    if url is None or urlsplit(url).path.strip("/"):
        return url
    return url.rstrip("/") + "/v1"


def _answer(response: "httpx2.Response") -> dict[str, Any]:
    """The JSON of a whole answer, or the error it turns out to be."""
    from openai import APIResponseValidationError

    try:
        answer = response.json()
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        _raise_if_error(None, answer, response)
        if isinstance(answer.get("choices"), list) and answer["choices"]:
            return answer
    kind = response.headers.get("content-type", "no content type").split(";")[0]
    raise APIResponseValidationError(
        response,
        answer,
        message=f"{_shown(response.request.url)} answered {response.status_code} with {kind}, which is no chat "
        f"completion (is the base URL right? it mostly ends in /v1): {response.text[:200]!r}",
    )


def _raise_if_error(client: "OpenAI | None", answer: Mapping[str, Any], response: Any = None) -> None:
    """Raise what a server says in an error object although it answered 200."""
    error = answer.get("error")
    if not error:
        return
    message = error.get("message") if isinstance(error, dict) else error
    raise _api_error(client, str(message or error), response, error)


def _shown(url: object) -> str:
    """An address for a message, without a user's name and password."""
    return re.sub(r"(?<=//)[^/@]*@", "", str(url))


def _without_key(error: "APIError", key: str) -> "APIError":
    """The same error without the key, which some servers repeat when they refuse it."""
    error.message = error.message.replace(key, "(key)")
    error.args = (error.message,)
    error.body = None
    return error


def _api_error(client: "OpenAI | None", message: str, response: Any = None, body: object = None) -> Exception:
    import httpx2
    from openai import APIError

    if response is not None:
        request = response.request
    else:
        request = httpx2.Request("POST", f"{client.base_url if client else ''}chat/completions")
    return APIError(message, request, body=body)
