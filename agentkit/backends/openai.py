"""The backend for OpenAI's chat completions API and compatible servers.

Encoded JSON goes through agentkit's own transport, or through a client of the openai package that the user gives; the
errors are that package's in both cases.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from agentkit._forking import awaited_by_forks, notice_fork
from agentkit._lazy.records import replace
from agentkit._text import json_bytes
from agentkit.backend import Backend, Capabilities, MadeByName, ReplyStream, Request
from agentkit.backends.adapting import Adapting
from agentkit.backends.chat_protocol import (
    Accumulator,
    chat_completions_body,
    check_sampling,
    merged_sampling,
)
from agentkit.backends.end_tokens import WithoutEndTokens
from agentkit.backends.fallback_calls import PassThrough, ReplyText
from agentkit.backends.message_form import MessageForm, message_form_of
from agentkit.backends.tool_arrival import LEFT_OUT, SHOWS_TOOLS, note_arrival, note_missing_call, template_shows_tools
from agentkit.errors import ConfigurationError
from agentkit.event import Reply, ReplyDiscarded
from agentkit.net.error_kinds import is_api_error
from agentkit.net.error_text import display_url
from agentkit.net.hosted import is_hosted
from agentkit.net.keys import checked_key
from agentkit.net.learned import Learned
from agentkit.net.model_names import NO_KEY, OPENAI_URL, openai_address
from agentkit.net.outgoing import URLLIB3, check_environment, openai_account
from agentkit.net.server_urls import ENDPOINT
from agentkit.net.time_limits import Timeout
from agentkit.net.wording import OPENAI
from agentkit.tooling.schema_dialects import dialect_of
from agentkit.transcript import Transcript

if TYPE_CHECKING:
    from openai import OpenAI

    from agentkit.net.chat_objects import ModelServer
    from agentkit.net.http_client import Transport

PROPS_TIMEOUT = 1.0
"""Seconds that a server may take to report its properties."""


class OpenAIBackend(MadeByName):
    """A model behind OpenAI's chat completions API.

    model: its name on the server. base_url: up to and including "/v1"; None means OpenAI's. api_key: optional for
    self-hosted servers. timeout: seconds of each read, or (connecting, each read), or (connecting, each read, the whole
    request). max_retries: maximum retries after connection errors, 408, 409, 429 and 5xx, with backoff; None: 2, and
    more after a 429, as long as the waits take less than a minute. images: whether the server accepts images; None
    detects it. text_calls: whether tool calls that the server left in the text of a reply (`<tool_call>...`) are parsed
    as calls. escape_special_tokens: whether special tokens (`<|im_end|>`) in tool results and user messages are escaped
    in requests. By default, both are on for self-hosted servers and off for hosted APIs (`agentkit.net.hosted`).
    client: an `openai.OpenAI` or `AzureOpenAI` through which the requests go, with its own address, key, timeout and
    retries; whoever has made it closes it. sampling: further fields of the request, such as temperature=0.2,
    tool_choice="required" or response_format={...}; None omits a field.

    OPENAI_ORG_ID and OPENAI_PROJECT_ID are sent as the openai package sends them.

    Raises ConfigurationError without api_key, base_url and client, with client and one of the others, for a key that
    can't be one (with white space, quotation marks, "Bearer "), for a proxy or TLS files of the environment that can't
    be used, or when `sampling` contains a field that the agent sets itself, or a value that is no JSON.
    """

    _endpoint = ENDPOINT
    _encoded = staticmethod(chat_completions_body)

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: Timeout | None = 600.0,
        max_retries: int | None = None,
        images: bool | None = None,
        text_calls: bool | None = None,
        escape_special_tokens: bool | None = None,
        client: "OpenAI | None" = None,
        **sampling: Any,
    ) -> None:
        check_sampling(sampling)
        self.model = model
        self.client = client
        if client is not None:
            base_url, api_key = _address_of(client, base_url, api_key)
        self.base_url = base_url = base_url.strip() if base_url else base_url
        if not api_key and not base_url:
            raise ConfigurationError(
                f'OpenAIBackend({model!r}) needs api_key=... or base_url=...; the name "openai:{model}" reads '
                "OPENAI_API_KEY from the environment"
            )
        self._api_key = checked_key(api_key, "api_key") or NO_KEY
        if client is None:
            check_environment(base_url or OPENAI_URL, URLLIB3)
        self._timeout = timeout
        self._max_retries = max_retries
        self._images = images
        self._is_self_hosted = not is_hosted(base_url)
        self._text_calls = self._is_self_hosted if text_calls is None else text_calls
        self._reads_text = self._is_self_hosted or self._text_calls
        self._escapes = self._is_self_hosted if escape_special_tokens is None else escape_special_tokens
        self._sampling = {key: value for key, value in sampling.items() if value is not None}
        self._learned = Learned()
        self._lock = awaited_by_forks(threading.RLock())  # held while OpenSSL is set up
        self._server: ModelServer | None = None
        self._closed = False
        self._context_length: int | None = None

    def __repr__(self) -> str:
        where = f", base_url={display_url(self.base_url)!r}" if self.base_url else ""
        return f"OpenAIBackend({self.model!r}{where})"

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        try:
            yield from self._replied(request)
        except (AttributeError, KeyError, TypeError) as error:
            invalid = _api_error(f"the server's reply is not a valid chat completion: {error}")
            raise self._without_key(invalid) from error
        except Exception as error:
            self._without_key(error)
            raise

    def forward(self, path: str, fields: Mapping[str, Any]) -> Any:
        """Send a request to another endpoint of the server (`/embeddings`) and return its response, whose body is not
        read: the caller reads (`pieces`) and closes it. fields: the body, sent as it is.

        Raises the openai package's APIError, with the server's key in none of them.
        """
        try:
            return self._connected().answered("POST", path, json_bytes(fields), max_retries=0)  # the client has its own
        except Exception as error:
            self._without_key(error)
            raise

    def broken(self, response: Any, error: Exception) -> Exception:
        """The openai package's error for a response of `forward` that broke off; any other error as it is."""
        return self._connected().broken(response, error)

    def _without_key(self, error: Exception) -> Exception:
        """The same error without the server's key, which some servers repeat when they reject it."""
        if self._api_key != NO_KEY and is_api_error(error):
            from agentkit.net.api_errors import without_key

            without_key(error, self._api_key)  # type: ignore[arg-type]  # it is one of the openai package
        return error

    def _replied(self, request: Request) -> ReplyStream:
        """Send a request, and again without what the server refuses of it."""
        server, known = self._connected(), self.capabilities()
        sending = Adapting(
            self,
            request,
            self._learned,
            merged_sampling(self._sampling, request),
            images=self._images,
            schema=known.schema,
            tells_schema=known.tells_schema,
        )
        while True:
            accumulator = Accumulator(f"call_{len(request.transcript)}", request.begin, request.call_deltas)
            try:
                yield from self._attempted(server, request, sending, accumulator)
                return
            except Exception as error:
                if not is_api_error(error):
                    raise
                from agentkit.backends.failed_calls import chunk_of

                if request.tools and (written := chunk_of(error)) is not None:
                    yield from self._reread(request, written, error, has_begun=not accumulator.is_empty)
                    return
                is_refusal = accumulator.is_empty and (
                    self._narrows_messages(error, request) or sending.adapts_to(error)
                )
                if not is_refusal:
                    raise

    def _reread(self, request: Request, written: Mapping[str, Any], error: Exception, has_begun: bool) -> ReplyStream:
        """The reply with the calls in what the model wrote, which the server could not parse, in place of what of it
        was shown. Raises its error when there are none."""
        accumulator = Accumulator(f"call_{len(request.transcript)}", request.begin, request.call_deltas)
        text = ReplyText(request, self.model, reads_calls=True)
        deltas = [visible for delta in accumulator.feed(written) for visible in text.read(delta)]
        *rest, reply = text.finish(accumulator.reply())
        if not isinstance(reply, Reply) or not reply.message.get("tool_calls"):
            raise error
        if request.stream:
            if has_begun:
                yield ReplyDiscarded("its server could not parse the tool call", self.model)
            yield from (*deltas, *rest)
        yield reply

    def _attempted(
        self, server: "ModelServer", request: Request, sending: Adapting, accumulator: Accumulator
    ) -> ReplyStream:
        from agentkit.net.chat_objects import objects_of

        text = self._text_reader(request)
        body = self._body(sending)
        answer = server.answered("POST", self._endpoint, body, whole=not sending.stream)
        try:
            objects = objects_of(server, answer, lambda: bool(accumulator.finish_reason))
            deltas = chain.from_iterable(map(accumulator.feed, self._chunks(objects, request)))
            for delta in chain(deltas, accumulator.rest()):
                for visible in text.read(delta):
                    if request.stream:
                        yield visible
        finally:
            answer.close()
        if accumulator.is_empty:
            from agentkit.net.api_errors import mark_in_body

            raise mark_in_body(_api_error("the server sent an empty reply: no text, no tool call and no finish_reason"))
        sending.note_accepted()
        for item in text.finish(accumulator.reply()):
            if isinstance(item, Reply):
                self._note(request, item)
            if request.stream or isinstance(item, Reply):
                yield item

    def _chunks(self, objects: Iterator[dict[str, Any]], request: Request) -> Iterable[Mapping[str, Any]]:
        """The chunks of a chat completion in what a server has sent."""
        return objects

    def _note(self, request: Request, reply: Reply) -> None:
        """Log what a reply shows of the server's use of tools."""
        note_missing_call(self._learned, self, request, self._sampling, reply)
        if self._is_self_hosted:
            note_arrival(self._learned, self, request, reply, self._shows_tools)

    def _text_reader(self, request: Request) -> ReplyText | PassThrough | WithoutEndTokens:
        if not self._reads_text:
            return PassThrough()
        reads_calls = self._text_calls and {**self._sampling, **request.sampling}.get("tool_choice") != "none"
        reader = ReplyText(request, self.model, reads_calls=reads_calls)
        return WithoutEndTokens(reader) if self._is_self_hosted else reader

    @property
    def stops_on_abort(self) -> bool:
        """Whether agentkit's own transport waits for the server, which is loaded with the first request
        (`agentkit.middleware.base.stops_on_abort`)."""
        return self.client is None and self._server is not None

    def capabilities(self, ask: bool = False) -> Capabilities:
        """See `agentkit.backend.Backend.capabilities`. Only OpenAI's own API accepts a schema together with tools;
        other servers would apply it to tool calls too."""
        if ask and self._context_length is None:
            self._context_length = self._queried_context_length()
        return self._learned.derived((self.model, self.base_url, self._context_length), self._capabilities)

    def _capabilities(self) -> Capabilities:
        is_openai = self.base_url is None or "//api.openai.com" in self.base_url
        known = self._learned.value
        return Capabilities(
            self.model,
            self.base_url,
            schema="no" if known("no schema") else "always" if is_openai else "text",
            tells_schema=is_openai,
            images=False if self._images is None and known("no images") else self._images,
            context_length=self._context_length,
            tools=False if known(LEFT_OUT) else known(SHOWS_TOOLS),
            tool_choice=self._sampling.get("tool_choice"),
        )

    def _queried_context_length(self) -> int | None:
        from agentkit.backends.context_length import context_length_in, context_length_of_props, loaded_context_length

        find = self._connected().find
        length = context_length_in(find("/models"), self.model)
        if length is None:  # llama.cpp reports it in its own endpoint
            length = context_length_of_props(self._props())
        if length is None and self._is_self_hosted:
            length = loaded_context_length(find, self._root, self.model)
        return length

    def _shows_tools(self) -> bool | None:
        """Whether the server says that its chat template shows tools; asked once in a while."""
        if self._learned.value(SHOWS_TOOLS) is None:
            try:
                self._props(timeout=PROPS_TIMEOUT, max_retries=0)
            except Exception as error:
                if not is_api_error(error):
                    raise
        shows: bool | None = self._learned.value(SHOWS_TOOLS)
        return shows

    def _props(self, **options: Any) -> Any:
        """What llama.cpp reports of itself; None where there is nothing. Raises APIConnectionError."""
        props = self._connected().find(f"{self._root}/props", **options)
        if props is not None:
            self._learned.learn(SHOWS_TOOLS, template_shows_tools(props))
        return props

    @property
    def _root(self) -> str:
        """The server's URL without /v1, below which it has what is not OpenAI's."""
        return (self.base_url or OPENAI_URL).partition("?")[0].rstrip("/").removesuffix("/v1")

    def close(self) -> None:
        """Close the connections, but those of `client`; a later request raises ConfigurationError."""
        with self._lock:
            server, self._server, self._closed = self._server, None, True
        if server is not None:
            server.close()

    def _connected(self) -> "ModelServer":
        server = self._server
        if server is not None:
            return server
        notice_fork()
        with self._lock:
            if self._closed:
                raise ConfigurationError(f"{self!r} is closed: create a new one")
            if self._server is None:
                self._server = self._transport() if self.client is None else _through(self.client)
            return self._server

    def _transport(self) -> "Transport":
        from agentkit.net.http_client import Transport  # loads `http.client`, so at the first request

        return Transport(
            self.base_url or OPENAI_URL,
            api_key=self._api_key,
            timeout=self._timeout,
            max_retries=self._max_retries,
            headers=openai_account(),
            wording=OPENAI,
        )

    def _body(self, sending: Adapting) -> bytes:
        request = sending.sent()
        fields: dict[str, Any] = {"model": self.model, **sending.fields}
        if sending.stream and sending.stream_options:
            fields["stream_options"] = {"include_usage": True}
        dialect, form = dialect_of(self.model, self.base_url), self._form()
        if form.turns or not form.has_system:
            from agentkit.backends.turns import in_turns

            turns = Transcript(in_turns(request.transcript, has_system=form.has_system))
            request = replace(request, transcript=turns, conversation=request.said)
        return self._encoded(fields, request, sending.images, self._escapes, dialect, form)

    def _form(self) -> MessageForm:
        """What the server takes of messages, as far as it is known."""
        form: MessageForm | None = self._learned.value(MessageForm)
        return form or message_form_of(self.model, self.base_url)

    def _narrows_messages(self, error: Any, request: Request) -> bool:
        """Whether the server has refused something of the messages that is left out for a while, or sent in another
        form."""
        words = str(error.body or error.message)
        narrower = self._form().narrowed(words, request.transcript)
        if narrower is None or getattr(error, "status_code", None) not in (400, 403, 404, 422, 500, 501):
            return False
        self._learned.learn(
            MessageForm, narrower, f"{self!r} refuses messages as they are: they are sent as {narrower!r}"
        )
        return True


def from_name(provider: str, model: str, url: str | None, environment: Mapping[str, str]) -> Backend:
    """Return the backend for `openai:MODEL`, `llamacpp:MODEL`, `vllm:MODEL` or `ollama:MODEL`, each with `@url`."""
    base_url, key = openai_address(provider, model, url, environment)
    return OpenAIBackend(model or "default", base_url=base_url, api_key=key)


def _address_of(client: Any, base_url: str | None, api_key: str | None) -> tuple[str, str | None]:
    """The address and the key of a client. Raises ConfigurationError when others are given too."""
    if base_url or api_key:
        raise ConfigurationError("client= has its own address and key: leave out base_url= and api_key=")
    through = _through(client)
    return through.base_url, through.api_key


def _through(client: Any) -> Any:
    from agentkit.net.openai_client import OpenAIClient

    return OpenAIClient(client)


def _api_error(message: str) -> Any:
    from agentkit.net.api_errors import api_error  # loads openai, so only when there is an error

    return api_error(message)
