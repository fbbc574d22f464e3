"""Backends by name: "openai:gpt-5-mini", "llamacpp:@http://host:8080", "gguf:model.gguf", "extractive"."""

from collections.abc import Mapping
from typing import cast

from agentkit._lazy import Registry, not_callable
from agentkit.backend import Backend, MadeByName
from agentkit.errors import ConfigurationError
from agentkit.net.hosted import SHORT_NAMES
from agentkit.net.model_names import split_name
from agentkit.net.stored_keys import environment_with_keys

PROVIDERS = Registry(
    "agentkit.backends",
    {
        "openai": "agentkit.backends.openai:from_name",
        "openai-responses": "agentkit.backends.responses:from_name",
        "llamacpp": "agentkit.backends.openai:from_name",
        "vllm": "agentkit.backends.openai:from_name",
        "ollama": "agentkit.backends.openai:from_name",
        "lightllm": "agentkit.backends.lightllm:from_name",
        **dict.fromkeys(SHORT_NAMES, "agentkit.backends.openai:from_name"),
        "vlmrun": "agentkit.backends.vlmrun:from_name",
        "gguf": "agentkit.backends.gguf:from_name",
        "extractive": "agentkit.backends.extractive:from_name",
    },
    not_callable,
)
"""What makes the backend of each provider: a function of the provider, the model, the URL or None, and the environment
variables."""


def resolve(name: str, environment: Mapping[str, str] | None = None) -> Backend:
    """Return the backend for a name `provider:model[@url]`, such as "openai:gpt-5-mini", "llamacpp:@http://host:8080",
    "gguf:model.gguf" or "extractive".

    environment: variables from which keys and base URLs are read (default: the process's, and for a key that is unset
    the one stored with `agentkit keys set`). Raises ConfigurationError when the provider is unknown or a key is
    missing, MissingExtraError when a package is missing.
    """
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f'{name!r} is not a model name: write provider:model, such as "openai:gpt-5-mini"')
    provider, model, url = split_name(name)
    make = PROVIDERS.find(provider)
    if make is None:
        raise ConfigurationError(
            f"there is no model provider {provider!r}; use one of {', '.join(PROVIDERS.names())}{PROVIDERS.hint()}. A "
            'model name is provider:model[@url], such as "openai:gpt-5-mini" or "openai:NAME@http://localhost:8000/v1"'
        )
    given = environment_with_keys() if environment is None else environment
    made = make(provider, model, url, given)
    if not callable(getattr(made, "reply", None)):
        raise ConfigurationError(
            f"the model provider {provider!r} made a {type(made).__name__} for {model!r}: it has to be a backend, with "
            "the methods of agentkit.backend.Backend"
        )
    if environment is None and isinstance(made, MadeByName):
        made._made_from = (resolve, name)
    return cast(Backend, made)
