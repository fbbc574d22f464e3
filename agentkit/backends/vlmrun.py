"""VLM Run: its agents serve chat completions under `{base_url}/openai`, requested through the openai package itself.

client = VLMRun(api_key="...")
client.agent.completions.create(model="vlm-1", messages=[...])
client.agent.execute(name="invoices", inputs={"file": {"url": "https://example.org/invoice.pdf"}})
"""

import os
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agentkit._closing import Closable
from agentkit._forking import awaited_by_forks
from agentkit.backend import Backend
from agentkit.backends.openai import OpenAIBackend
from agentkit.errors import ConfigurationError, DependencyError
from agentkit.net.error_text import display_url
from agentkit.net.keys import checked_key
from agentkit.net.outgoing import HTTPX, async_httpx_client, check_environment, httpx_client

if TYPE_CHECKING:
    import builtins

    from openai import AsyncOpenAI, OpenAI
    from openai.resources.chat import AsyncCompletions, Completions

    from agentkit.backends.vlmrun_agents import AgentCreation, AgentExecution, AgentInfo, AgentRoutes
    from agentkit.net.http_client import Transport

BASE_URL = "https://agent.vlm.run/v1"


class VLMRun(Closable):
    """A client of VLM Run; thread-safe.

    api_key: None reads VLMRUN_API_KEY. base_url: up to and including "/v1"; if it is None or the default,
    VLMRUN_BASE_URL takes precedence. timeout: seconds. max_retries: maximum retries after connection errors, 408, 409,
    429 and 5xx.

    `agent.completions` and `agent.async_completions` are the openai package's `chat.completions`, unchanged; its
    clients are `openai` and `async_openai`. Each is created once, on first use. `agent.create`, `execute`, `get`,
    `get_by_id` and `list` are VLM Run's own routes for agents.

    Raises ConfigurationError without a key or for one that can't be one; DependencyError on first use if the openai
    package is missing.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = BASE_URL,
        timeout: float = 120.0,
        max_retries: int = 2,
    ) -> None:
        if base_url is None or base_url == BASE_URL:
            base_url = os.environ.get("VLMRUN_BASE_URL") or BASE_URL
        key = checked_key(api_key, "api_key") or checked_key(os.environ.get("VLMRUN_API_KEY"), "VLMRUN_API_KEY")
        if not key:
            raise ConfigurationError("VLMRun() needs a key: pass api_key=..., or set VLMRUN_API_KEY")
        self.base_url = _without_openai(base_url)
        check_environment(self.base_url, HTTPX)
        self.timeout = timeout
        self.max_retries = max_retries
        self.api_key = key
        self._lock = awaited_by_forks(threading.RLock())  # held while OpenSSL is set up
        self._clients: dict[str, Any] = {}
        self._transport: Transport | None = None
        self.agent = VLMRunAgent(self)

    def __repr__(self) -> str:
        return f"VLMRun(base_url={display_url(self.base_url)!r})"

    @property
    def openai(self) -> "OpenAI":
        """The openai package's client."""
        client: OpenAI = self._client("OpenAI")
        return client

    @property
    def transport(self) -> "Transport":
        """The connections to VLM Run's own routes, beside those of the openai package."""
        from agentkit.net.http_client import Transport
        from agentkit.net.wording import OPENAI

        with self._lock:
            if self._transport is None:
                self._transport = Transport(
                    self.base_url,
                    api_key=self.api_key,
                    timeout=self.timeout,
                    max_retries=self.max_retries,
                    wording=OPENAI,
                )
            return self._transport

    @property
    def async_openai(self) -> "AsyncOpenAI":
        """The openai package's client for asyncio."""
        client: AsyncOpenAI = self._client("AsyncOpenAI")
        return client

    def close(self) -> None:
        """Close the connections of `openai`, and those of `agent.create`, `execute`, `get` and `list`. For those of
        `async_openai`, call `await aclose()` in their event loop."""
        if self._transport is not None:
            self._transport.close()
        if "OpenAI" in self._clients:
            self.openai.close()

    async def aclose(self) -> None:
        """Close the connections of both clients."""
        self.close()
        if "AsyncOpenAI" in self._clients:
            await self.async_openai.close()

    def _client(self, kind: str) -> Any:
        """Return a client, created once under a lock."""
        try:
            import openai
        except ImportError as error:
            raise _openai_is_missing() from error
        with self._lock:
            if kind not in self._clients:
                url = f"{self.base_url}/openai"
                make = httpx_client if kind == "OpenAI" else async_httpx_client
                self._clients[kind] = getattr(openai, kind)(
                    api_key=self.api_key,
                    base_url=url,
                    timeout=self.timeout,
                    max_retries=self.max_retries,
                    http_client=make(url, timeout=self.timeout),
                )
            return self._clients[kind]


class VLMRunAgent:
    """`client.agent`. Its methods raise the openai package's errors; ConfigurationError for arguments that can't be."""

    def __init__(self, client: VLMRun) -> None:
        self._client = client

    @property
    def _routes(self) -> "AgentRoutes":
        try:
            from agentkit.backends.vlmrun_agents import AgentRoutes
        except ImportError as error:
            raise _openai_is_missing() from error
        return AgentRoutes(self._client.transport)

    def create(
        self, config: Any, name: str | None = None, inputs: Any = None, callback_url: str | None = None
    ) -> "AgentCreation":
        """Create an agent; it is being created when this returns.

        config: a dict, or an object, with the `prompt`, and with `json_schema` or `response_model` (a pydantic model)
        for the form of its answers. inputs: an example, by name. callback_url: called when it is created.
        """
        return self._routes.create(config, name, inputs, callback_url)

    def execute(
        self,
        name: str | None = None,
        inputs: Any = None,
        batch: bool = True,
        config: Any = None,
        metadata: Any = None,
        callback_url: str | None = None,
        **fields: Any,
    ) -> "AgentExecution":
        """Run an agent; it may still be running when this returns (see `status`).

        name: "invoices", or with a version "invoices:v2"; without it the prompt of the config says which agent. inputs:
        by name. config: as in `create`. metadata: a dict. callback_url: called when it is done. fields: any other that
        VLM Run knows.
        """
        body = {**fields, "name": name, "inputs": inputs, "callback_url": callback_url}
        return self._routes.execute(batch, config, metadata, **body)

    def get(self, name: str | None = None, id: str | None = None, prompt: str | None = None) -> "AgentInfo":
        """Return the agent with a name ("invoices", or with a version "invoices:v2"), an id or a prompt: give one."""
        return self._routes.get(name=name, id=id, prompt=prompt)

    def get_by_id(self, agent_id: str) -> "AgentInfo":
        """Return the agent with an id."""
        return self._routes.get_by_id(agent_id)

    def list(self, skip: int | None = None, limit: int | None = None) -> "builtins.list[AgentInfo]":
        """Return your agents. skip: how many to leave out. limit: the most to return."""
        return self._routes.list(skip, limit)

    @property
    def completions(self) -> "Completions":
        """The openai package's `chat.completions`: create, stream, parse."""
        return self._client.openai.chat.completions

    @property
    def async_completions(self) -> "AsyncCompletions":
        """The same for asyncio."""
        return self._client.async_openai.chat.completions


def from_name(provider: str, model: str, url: str | None, environment: Mapping[str, str]) -> Backend:
    """Return the backend for `vlmrun:MODEL`, with `@url` up to "/v1" (which is optional), or VLMRUN_BASE_URL.

    Raises ConfigurationError without VLMRUN_API_KEY, DependencyError without the openai package.
    """
    if not model:
        raise ConfigurationError('"vlmrun:" contains no model name: write vlmrun:vlm-1')
    key = checked_key(environment.get("VLMRUN_API_KEY"), "VLMRUN_API_KEY")
    if not key:
        raise ConfigurationError(f"vlmrun:{model} needs a key: set VLMRUN_API_KEY, or agentkit keys set vlmrun")
    if find_spec("openai") is None:  # checks for it without importing it
        raise _openai_is_missing()
    if url and not urlsplit(url).path.strip("/"):
        url = url.rstrip("/") + "/v1"
    base = _without_openai(url or environment.get("VLMRUN_BASE_URL") or BASE_URL)
    return OpenAIBackend(model, base_url=f"{base}/openai", api_key=key)


def _without_openai(url: str) -> str:
    """Normalize a base URL to end at "/v1"; only a path is cut, since a host may be called openai."""
    url = url.rstrip("/")
    return url.removesuffix("/openai") if urlsplit(url).path else url


def _openai_is_missing() -> DependencyError:
    return DependencyError("VLMRun needs the openai package", "pip install openai")
