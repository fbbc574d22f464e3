"""Names of models, `provider:model[@url]`, and where the providers with OpenAI's API are."""

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from agentkit._lazy.patterns import pattern
from agentkit._text import without_credentials
from agentkit.errors import ConfigurationError
from agentkit.net.hosted import SHORT_NAMES
from agentkit.net.keys import checked_key

OPENAI_URL = "https://api.openai.com/v1"
LOCAL = {
    "llamacpp": "http://localhost:8080/v1",
    "vllm": "http://localhost:8000/v1",
    "ollama": "http://localhost:11434/v1",
}
"""Default base URLs of self-hosted servers; these accept any key."""

WITH_OPENAI_API = ("openai", *LOCAL, *SHORT_NAMES)
"""The providers whose addresses `openai_address` knows."""

_URL = pattern(r"@(?=[A-Za-z][A-Za-z0-9+.-]{0,20}://)")

NO_KEY = "not-needed"


def split_name(name: str) -> tuple[str, str, str | None]:
    """Return the provider, the model and the URL of a name."""
    provider, _, rest = name.strip().partition(":")
    at = _URL.search(rest)  # not the last @, which may be that of a password in the URL
    return (provider, rest, None) if at is None else (provider, rest[: at.start()], rest[at.end() :])


def openai_address(
    provider: str, model: str, url: str | None, environment: Mapping[str, str]
) -> tuple[str | None, str | None]:
    """Return the base URL, None for OpenAI's, and the key of `provider:model[@url]`. provider: one of WITH_OPENAI_API.
    Raises ConfigurationError."""
    url = _with_path(url)
    if not model and provider != "llamacpp":
        example = "openai:gpt-5-mini, or a model of the server" if provider == "openai" else f"{provider}:NAME[@url]"
        raise ConfigurationError(f'"{provider}:" contains no model name: write {example}')
    if provider in LOCAL:
        return url or LOCAL[provider], None
    variable = key_variable(provider)
    key = checked_key(environment.get(variable), variable)
    if provider == "openai":
        url = url or environment.get("OPENAI_BASE_URL", "").strip() or None
    if not key and not url:
        server = "a self-hosted server" if provider == "openai" else "another server with the same API"
        raise ConfigurationError(
            f"{provider}:{model} needs a key: set {variable}, store it with agentkit keys set {provider}, or use "
            f"{server} with {provider}:{model}@http://host:port/v1"
        )
    return url or (SHORT_NAMES[provider].url if provider in SHORT_NAMES else None), key


def key_variable(provider: str) -> str:
    """The environment variable of the key of "openai" or a provider with a short name."""
    return SHORT_NAMES[provider].key if provider in SHORT_NAMES else "OPENAI_API_KEY"


def _with_path(url: str | None) -> str | None:
    """Add the common path "/v1" to a base URL without a path. Raises ConfigurationError for what is not a URL."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigurationError(f"{without_credentials(url)!r} is not a valid URL") from None
    return url if parts.path.strip("/") else urlunsplit(parts._replace(path="/v1"))
