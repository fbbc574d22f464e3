"""Drop-in clients with the interface of the openai package: see LIGHTLLM_USAGE.md.

    from agentkit import LightLLMClient as OpenAI

Both are an `openai.OpenAI` whose requests agentkit sends. `LightLLMClient` renders the chat template, calls LightLLM's
`/generate` and parses the tool calls in the text. `OpenAICompatibleClient` is for servers that implement chat
completions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import httpx2
import openai
from openai import NotGiven, Omit

from agentkit.errors import ConfigurationError
from agentkit.lightllm.generate_api import TextServer, root_of
from agentkit.lightllm.lightllm_transport import LightLLMTransport, Mode
from agentkit.lightllm.openai_types import ChatCompletion, ChatCompletionChunk
from agentkit.lightllm.over_requests import (
    EventStream,
    RequestsClient,
    RequestsTransport,
    retries_of_requests,
    timeout_of,
)
from agentkit.lightllm.request import Tools
from agentkit.lightllm.resources import (
    LightLLMCompletions,
    PlainCompletions,
    Resources,
    accepts_omitted,
    as_message,
)
from agentkit.net.error_text import display_url
from agentkit.net.http_client import Transport
from agentkit.net.image_bytes import MAX_BYTES
from agentkit.net.images import ImageLoader
from agentkit.net.keys import checked_key
from agentkit.text.chat_template import ChatTemplate
from agentkit.text.prompt import Clock

Key = str | Callable[[], str] | None
Seconds = float | openai.Timeout | None
LIGHTLLM_URL = "http://localhost:8000"
COMPATIBLE_URL = "http://localhost:8000/v1"


class _DropIn(openai.OpenAI):
    """An `openai.OpenAI` whose requests agentkit sends; it reads none of the package's environment variables."""

    _kind: type[PlainCompletions]

    def __init__(
        self,
        answering: Callable[[Mapping[str, str]], RequestsTransport],
        url: str,
        own: Mapping[str, Any],
        *,
        api_key: Key,
        http_client: httpx2.Client | None,
        organization: str | None,
        project: str | None,
        default_headers: Mapping[str, Any] | None,
        **options: Any,
    ) -> None:
        key = None if callable(api_key) else checked_key(api_key, "api_key", spaces=True)
        self._own = own
        if http_client is None or isinstance(http_client, RequestsClient):
            made_for = (url, key, own)
            if http_client is None or http_client.made_for != made_for:
                by_default = {"Authorization": f"Bearer {key}"} if key else {}
                http_client = RequestsClient(answering(by_default), made_for)
        super().__init__(
            api_key=api_key or "none",
            base_url=url,
            http_client=http_client,
            default_headers=default_headers,
            **options,
        )
        if not api_key:
            self.api_key = ""
        self._custom_headers = dict(default_headers or {})
        self.organization, self.project, self.admin_api_key = organization, project, options.get("admin_api_key")
        self._resources = Resources(self, self._kind)

    @property
    def chat(self) -> Any:
        """`chat.completions` with create, parse, stream, with_raw_response and with_streaming_response."""
        return self._resources.chat

    @property
    def completions(self) -> Any:
        """`create` for raw prompts."""
        return self._resources.completions

    @property
    def beta(self) -> Any:
        """`beta.chat` is `chat`."""
        return self._resources.beta

    def request(self, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None) -> Any:
        """Send a request; the methods of the resources call this one. Raises the openai package's errors."""
        options = options.model_copy(update={"headers": self._with_authorization(options.headers)})
        if cast_to is openai.types.chat.ChatCompletion and isinstance(options.post_parser, NotGiven):
            cast_to, stream_cls = ChatCompletion, EventStream[ChatCompletionChunk]
        if not isinstance(self._client, RequestsClient):
            return super().request(cast_to, options, stream=stream, stream_cls=stream_cls)
        if self.is_closed():
            raise ConfigurationError("this client is closed: create a new one")
        with retries_of_requests(options.get_max_retries(self.max_retries)):
            options = options.model_copy(update={"max_retries": 0})
            return super().request(cast_to, options, stream=stream, stream_cls=stream_cls)

    def _with_authorization(self, headers: Any) -> Mapping[str, Any]:
        """Return the headers of a request; the package wants a key, or to be told that there is none."""
        given = {} if isinstance(headers, NotGiven | Omit) or headers is None else dict(headers)
        has_one = any(name.lower() == "authorization" for name in (*given, *self._custom_headers))
        if self.api_key or self._api_key_provider is not None or has_one:
            return given
        return {**given, "Authorization": Omit()}

    def copy(self, **changes: Any) -> Self:
        """Return a client with other options, as the openai package's `with_options`. It shares the connections, unless
        the address, the key or an option of agentkit's own changes."""
        changes = {name: value for name, value in changes.items() if not isinstance(value, NotGiven | Omit)}
        own = {name: changes.pop(name, value) for name, value in self._own.items()}
        return super().copy(_extra_kwargs=own, **changes)

    with_options = copy


class LightLLMClient(_DropIn):
    """A LightLLM server with the interface of `openai.OpenAI`; thread-safe.

    api_key: for a gateway in front of the server; LightLLM itself needs none. base_url: the server's root, or its
    `/generate`. timeout: read timeout in seconds, an openai.Timeout, or None for no limit. organization, project,
    default_headers, default_query: sent with each request, for a gateway. max_retries: maximum retries after connection
    errors, 408, 409, 429 and 5xx. mode: "generate", or "chat" for the server's `/v1/chat/completions`. family: the
    model family (see agentkit/text/families), needed when neither the model's name nor the server identifies it; a
    request for a model of which neither family nor template is known raises ConfigurationError.
    template: a Jinja file, a tokenizer_config.json, the model's folder, or a ChatTemplate, instead of the family's.
    image_placeholder: the text that represents an image in the prompt. escape_special_tokens: whether special tokens in
    user and tool text are escaped; turn it off only where all text is trusted. clock: returns the time, for templates
    that write the day into the prompt (Llama 3.2, gpt-oss). files: whether `file:` images are read, from regular files
    only. allow_hosts: hosts from which images may be loaded although they are not public. max_image_bytes: maximum size
    of one image in bytes. options: what else `openai.OpenAI` takes.

    Raises ConfigurationError for an invalid option.
    """

    _kind = LightLLMCompletions

    @accepts_omitted
    def __init__(
        self,
        api_key: Key = None,
        base_url: str | httpx2.URL | None = LIGHTLLM_URL,
        timeout: Seconds = 600.0,
        *,
        organization: str | None = None,
        project: str | None = None,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, object] | None = None,
        max_retries: int = 2,
        http_client: httpx2.Client | None = None,
        mode: Mode = "generate",
        family: str | None = None,
        template: str | Path | ChatTemplate | None = None,
        image_placeholder: str | None = None,
        escape_special_tokens: bool = True,
        clock: Clock = datetime.now,
        files: bool = True,
        allow_hosts: Iterable[str] = (),
        max_image_bytes: int = MAX_BYTES,
        **options: Any,
    ) -> None:
        if mode not in ("generate", "chat"):
            raise ConfigurationError(f'mode={mode!r} is invalid: use "generate" or "chat"')
        if http_client is not None and not isinstance(http_client, RequestsClient):
            raise ConfigurationError(
                "LightLLMClient sends its requests itself and can't use http_client=: leave it out; a proxy "
                "is set in HTTPS_PROXY, certificates in SSL_CERT_FILE"
            )
        if isinstance(template, str | Path):
            template = ChatTemplate.from_file(template)
        own = {
            "mode": mode,
            "family": family,
            "template": template,
            "image_placeholder": image_placeholder,
            "escape_special_tokens": escape_special_tokens,
            "clock": clock,
            "files": files,
            "allow_hosts": tuple(allow_hosts),
            "max_image_bytes": max_image_bytes,
        }
        url = root_of(str(base_url or LIGHTLLM_URL))
        parts: Any = timeout  # an openai.Timeout, or that of another version of httpx
        limit = timeout_of(getattr(parts, "connect", parts), getattr(parts, "read", parts))

        def answering(headers: Mapping[str, str]) -> LightLLMTransport:
            images = ImageLoader(files, tuple(allow_hosts), max_image_bytes)
            server = TextServer(
                url,
                headers=headers,
                timeout=limit,
                max_retries=max_retries,
                family=family,
                template=template,
                image_placeholder=image_placeholder,
                neutral=escape_special_tokens,
                clock=clock,
                images=images,
            )
            return LightLLMTransport(server, mode)

        super().__init__(
            answering,
            url,
            own,
            api_key=api_key,
            timeout=timeout,
            organization=organization,
            project=project,
            default_headers=default_headers,
            default_query=default_query,
            max_retries=max_retries,
            http_client=http_client,
            **options,
        )

    def __repr__(self) -> str:
        return f"LightLLMClient(base_url={display_url(self.base_url)!r})"

    @property
    def _server(self) -> TextServer:
        answering: LightLLMTransport = self._client.answering  # type: ignore[attr-defined]
        return answering.server

    def count_tokens(self, messages: Sequence[Any], tools: Tools = None, *, model: str = "", **variables: Any) -> int:
        """Count the tokens of the prompt for messages and tools, with the server's tokenizer (`/tokens`).

        variables: of the chat template, such as enable_thinking. Raises what `create` raises.
        """
        maker = self._server.maker(model)
        return self._server.count(maker.prompt([as_message(message) for message in messages], tools, variables))

    def health(self) -> bool:
        """Return whether the server reports that it is healthy; False if it can't be reached."""
        try:
            self._server.transport.get("/health", timeout=10.0)
        except openai.APIError:
            return False
        return True


class OpenAICompatibleClient(_DropIn):
    """Any server with OpenAI's chat completions, with the interface of `openai.OpenAI`.

    api_key, base_url (up to and including "/v1"), timeout (read timeout in seconds), max_retries and options: as in the
    openai package. http_client: an httpx client that sends the requests instead, with the package's own retries and
    errors.
    """

    _kind = PlainCompletions

    @accepts_omitted
    def __init__(
        self,
        api_key: Key = None,
        base_url: str | httpx2.URL | None = COMPATIBLE_URL,
        timeout: Seconds = 600.0,
        *,
        organization: str | None = None,
        project: str | None = None,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, object] | None = None,
        max_retries: int = 2,
        http_client: httpx2.Client | None = None,
        **options: Any,
    ) -> None:
        url = str(base_url or COMPATIBLE_URL).rstrip("/").removesuffix("/chat/completions")
        super().__init__(
            lambda headers: RequestsTransport(Transport(url, headers=headers)),
            url,
            {},
            api_key=api_key,
            timeout=timeout,
            organization=organization,
            project=project,
            default_headers=default_headers,
            default_query=default_query,
            max_retries=max_retries,
            http_client=http_client,
            **options,
        )

    def __repr__(self) -> str:
        return f"OpenAICompatibleClient(base_url={display_url(self.base_url)!r})"
