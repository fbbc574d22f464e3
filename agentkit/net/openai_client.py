"""A client of the openai package as the way to a model server: `openai.OpenAI`, `AzureOpenAI`, or a subclass.

What a client knows stays its own: its address, key, headers, retries, HTTP client, and how it signs or rewrites
requests.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import httpx2
import openai

import agentkit.net.pickled_errors  # noqa: F401 - whatever the client raises
from agentkit.errors import ConfigurationError
from agentkit.net.abort import track_connections
from agentkit.net.attempts import retries_allowed
from agentkit.net.drain import drain
from agentkit.net.error_text import display_url
from agentkit.net.exchanges import Stored, completed, exchanged, heard
from agentkit.net.trace_headers import trace_headers


class OpenAIClient:
    """A `ModelServer` (see `net.chat_objects`). client: of the openai package, not for asyncio. Raises
    ConfigurationError for anything else."""

    def __init__(self, client: Any) -> None:
        if not isinstance(client, openai.OpenAI):
            kind = type(client).__name__
            hint = ": agentkit is synchronous, pass openai.OpenAI" if "Async" in kind else ""
            raise ConfigurationError(f"client= has to be an openai.OpenAI or AzureOpenAI, and is a {kind}{hint}")
        self._client = client
        self.base_url = str(client.base_url).rstrip("/")
        track_connections(client._client)

    def answered(
        self, method: str, path: str, body: bytes, *, whole: bool = False, max_retries: int | None = None
    ) -> "ClientAnswer":
        """Send JSON. See `ModelServer.answered`."""
        url = self.base_url + path
        headers = {**trace_headers(), **({} if whole else {"x-stainless-raw-response": "stream"})}
        most = retries_allowed(self._client.max_retries if max_retries is None else max_retries)
        options: Any = {"headers": headers, "max_retries": most}
        send = partial(self._client.post, path, cast_to=httpx2.Response, body=json.loads(body), options=options)
        replay = partial(_replayed, method, url)
        response = self._told(lambda: exchanged(method, url, lambda: body, send, replay))
        return ClientAnswer(response, self.api_key or "", is_read=whole)

    def find(self, path: str, *, timeout: float | None = None, max_retries: int | None = None) -> Any:
        """The JSON at a path. See `ModelServer.find`."""
        options: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        most = retries_allowed(self._client.max_retries if max_retries is None else max_retries)
        client = self._client.with_options(max_retries=most, **options)
        try:
            return self._told(lambda: client.get(path, cast_to=httpx2.Response).json())
        except (openai.APIStatusError, ValueError, RecursionError):
            return None

    def broken(self, answer: Any, error: Exception) -> Exception:
        """See `ModelServer.broken`."""
        if isinstance(error, httpx2.TimeoutException):
            return self._with_address(openai.APITimeoutError(request=answer.response.request))
        if isinstance(error, httpx2.RequestError | OSError):
            return self._with_address(openai.APIConnectionError(request=answer.response.request))
        return error

    def close(self) -> None:
        """Do nothing: the client is its owner's."""

    @property
    def api_key(self) -> str | None:
        """Its key, where it is one that stays."""
        key = self._client.api_key
        return key if isinstance(key, str) and key else None

    def _told(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except openai.APIConnectionError as error:
            self._with_address(error)
            raise

    def _with_address(self, error: openai.APIConnectionError) -> openai.APIConnectionError:
        error.message = f"{error.message.rstrip('.')}: {display_url(error.request.url)}"
        error.args = (error.message,)
        return error


class ClientAnswer:
    """An `Answer` (see `net.chat_objects`) of such a client."""

    def __init__(self, response: httpx2.Response, key: str, is_read: bool) -> None:
        self.response = response
        self.key = key
        self.status_code = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.url = str(response.request.url)
        self.content = b"".join(heard(response, [response.content])) if is_read else None
        self._rest: Iterator[bytes] = iter(())

    @property
    def media_type(self) -> str:
        """The media type."""
        return str(self.response.headers.get("content-type", "")).split(";")[0].strip()

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it arrives. Raises httpx2's RequestError."""
        self._rest = heard(self.response, self.response.iter_bytes())
        return self._rest

    def drain(self) -> None:
        """Read what is behind the end of a stream, if it comes soon."""
        completed(self.response)
        network = self.response.extensions.get("network_stream")
        drain(self._rest, network and network.get_extra_info("socket"))

    def close(self) -> None:
        """Close the response."""
        self.response.close()

    def as_httpx(self) -> httpx2.Response:
        """The response."""
        return self.response


def _replayed(method: str, url: str, stored: Stored) -> httpx2.Response:
    headers = {"content-type": stored.content_type}
    return httpx2.Response(stored.status, headers=headers, content=stored.body, request=httpx2.Request(method, url))
