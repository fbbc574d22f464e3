"""Names of models, `provider:model[@url]`, and where the providers with OpenAI's API are."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from agentkit._text import without_credentials
from agentkit.errors import ConfigurationError
from agentkit.net.keys import checked_key

OPENAI_URL = "https://api.openai.com/v1"
LOCAL = {
    "llamacpp": "http://localhost:8080/v1",
    "vllm": "http://localhost:8000/v1",
    "ollama": "http://localhost:11434/v1",
}
"""Default base URLs of self-hosted servers; these accept any key."""

_URL = re.compile(r"@(?=[A-Za-z][A-Za-z0-9+.-]{0,20}://)")

NO_KEY = "not-needed"


def split_name(name: str) -> tuple[str, str, str | None]:
    """Return the provider, the model and the URL of a name."""
    provider, _, rest = name.strip().partition(":")
    at = _URL.search(rest)  # not the last @, which may be that of a password in the URL
    return (provider, rest, None) if at is None else (provider, rest[: at.start()], rest[at.end() :])


def openai_address(
    provider: str, model: str, url: str | None, environment: Mapping[str, str]
) -> tuple[str | None, str | None]:
    """Return the base URL, None for OpenAI's, and the key of `openai:MODEL`, `llamacpp:MODEL`, `vllm:MODEL` or
    `ollama:MODEL`, each with or without `@url`. Raises ConfigurationError."""
    url = _with_path(url)
    if provider != "openai":
        if not model and provider != "llamacpp":
            raise ConfigurationError(f'"{provider}:" contains no model name: write {provider}:NAME[@url]')
        return url or LOCAL[provider], None
    url = url or environment.get("OPENAI_BASE_URL") or None
    if not model:
        raise ConfigurationError('"openai:" contains no model name: write openai:gpt-5-mini, or a model of the server')
    key = checked_key(environment.get("OPENAI_API_KEY"), "OPENAI_API_KEY")
    if not key and not url:
        raise ConfigurationError(
            f"openai:{model} needs a key: set OPENAI_API_KEY, store it with agentkit keys set openai, or use a "
            f"self-hosted server with openai:{model}@http://host:port/v1"
        )
    return url, key


def _with_path(url: str | None) -> str | None:
    """Add the common path "/v1" to a base URL without a path. Raises ConfigurationError for what is not a URL."""
    try:
        if url is None or urlsplit(url).path.strip("/"):
            return url
    except ValueError:
        raise ConfigurationError(f"{without_credentials(url)!r} is not a valid URL") from None
    return url.rstrip("/") + "/v1"
