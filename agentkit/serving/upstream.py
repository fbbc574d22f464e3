"""The upstream model server of a service: OpenAI-compatible, usually without an API key and with a single model."""

import re

from agentkit._text import without_credentials
from agentkit.backends import OpenAIBackend
from agentkit.errors import ConfigurationError


def base_url(server: str) -> str:
    """Return the base URL of the API, ending with /v1. server: the URL with or without /v1."""
    return server.rstrip("/").removesuffix("/v1") + "/v1"


def model_server(
    server: str,
    *,
    timeout: float,
    temperature: float,
    top_p: float,
    max_tokens: int,
    thinks: bool,
    model: str = "default",
    api_key: str = "not-needed",
) -> OpenAIBackend:
    """Return the backend for a model server. timeout: in seconds. thinks: whether thinking is enabled. model: its name,
    which servers with a single model ignore. Raises ConfigurationError for a URL that is none."""
    if not re.match(r"https?://[^/\s]", server, re.IGNORECASE):
        written = without_credentials(server)
        raise ConfigurationError(
            f"the model server {written!r} is not a URL: it begins with http:// or https://, such as "
            f"http://{written or 'localhost:8080'}"
        )
    return OpenAIBackend(
        model,
        base_url=base_url(server),
        api_key=api_key,
        timeout=timeout,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        enable_thinking=thinks,
        chat_template_kwargs={"enable_thinking": thinks},  # read by newer llama.cpp servers
    )
