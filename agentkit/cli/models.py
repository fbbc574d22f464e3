"""`agentkit models`: which models can be used, and the default."""

import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from agentkit import ConfigurationError
from agentkit._text import without_credentials
from agentkit.cli.ask import BAD_USAGE, FAILED
from agentkit.cli.config import configured, variable
from agentkit.cli.options import WITH_KEYS
from agentkit.cli.printable import printable
from agentkit.cli.stores import leave
from agentkit.net.error_kinds import is_api_error
from agentkit.net.model_names import LOCAL, OPENAI_URL, WITH_OPENAI_API, openai_address, split_name
from agentkit.net.stored_keys import environment_with_keys, stored_keys, variable_of
from agentkit.serving.environment import DEFAULT_MODEL

TIMEOUT = 10.0
"""Seconds that a server may take to list its models."""

NEEDS = {
    "openai": "openai:MODEL[@url]    OpenAI's API and servers with the same",
    "openai-responses": "openai-responses:MODEL[@url] OpenAI's Responses API, and servers with the same",
    "llamacpp": "llamacpp:[MODEL][@url]",
    "vllm": "vllm:MODEL[@url]",
    "ollama": "ollama:MODEL[@url]",
    "lightllm": "lightllm:MODEL[@url]",
    "openrouter": "openrouter:MODEL[@url] OpenRouter",
    "groq": "groq:MODEL[@url]      Groq",
    "deepseek": "deepseek:MODEL[@url]  DeepSeek",
    "mistral": "mistral:MODEL[@url]   Mistral",
    "together": "together:MODEL[@url]  Together",
    "gemini": "gemini:MODEL[@url]    Google's Gemini",
    "vlmrun": "vlmrun:MODEL[@url]    VLM Run",
    "gguf": "gguf:FILE             a model file, in this process",
    "extractive": "extractive            quotes the best sentences; no model",
}


def models(
    server: Annotated[
        str | None,
        typer.Argument(
            metavar="PROVIDER|URL",
            help="Whose models to list: openai, or a server as in openai:@http://localhost:8080.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of names.")] = False,
) -> None:
    """List the providers, the model families and the default; or the models of a server.

    Exit code: 0 success, 1 the server can't be asked, 2 bad usage.
    """
    try:
        names = _served(server) if server is not None else []
        default = configured().get("model", DEFAULT_MODEL)
    except ConfigurationError as error:
        leave(str(error), BAD_USAGE)
    if as_json:
        print(json.dumps(names if server is not None else _names(), ensure_ascii=False, indent=2))
        return
    lines = names if server is not None else _overview(variable("AGENTKIT_MODEL") or default)
    for line in lines:
        print(printable(line))
    if server is not None and not names:
        print("agentkit: the server lists no models", file=sys.stderr)
        raise typer.Exit(FAILED)


def _names() -> list[str]:
    from agentkit.providers import PROVIDERS

    return PROVIDERS.names()


def _overview(default: str) -> Iterator[str]:
    from agentkit.text.families import families

    yield f"Default: {without_credentials(default)}"
    yield ""
    yield "Providers (-m NAME):"
    for name in _names():
        yield f"  {NEEDS.get(name, f'{name}:MODEL[@url]'):<62}{_state(name)}".rstrip()
    yield ""
    yield "Families of models whose prompts and tool calls are known (gguf, lightllm):"
    yield f"  {', '.join(family.name for family in families())}"
    yield ""
    yield "agentkit models openai:@http://localhost:8080 lists the models of a server."


def _state(provider: str) -> str:
    if provider in LOCAL:
        return f"default: {LOCAL[provider]}"
    if provider in WITH_KEYS:
        name = variable_of(provider)
        if variable(name):
            return f"key: {name}"
        missing = "no key" if provider == "lightllm" else "no key yet"
        is_stored = provider in stored_keys()
        return "key: stored" if is_stored else f"{missing}: set {name}, or agentkit keys set {provider}"
    return ""


def _served(server: str) -> list[str]:
    """Return the names of the models that a server lists. Exits the program when it can't be asked."""
    url, key, prefix, suffix = _address(server)
    from agentkit.net.http_client import Transport  # takes a while to load

    transport = Transport(url, api_key=key, timeout=TIMEOUT, max_retries=0)
    try:
        answer = transport.get("/models")
    except Exception as error:
        if not is_api_error(error):
            raise
        leave(str(error), FAILED)
    finally:
        transport.close()
    return [f"{prefix}:{model}{suffix}" for model in _ids_in(answer)]


def _address(server: str) -> tuple[str, str | None, str, str]:
    """Return the base URL, the key, and what stands before and after the name of a model."""
    if server.lower().startswith(("http://", "https://")):
        server = f"openai:@{server}"
    provider, _, url = split_name(server if ":" in server else f"{server}:")
    if provider not in WITH_OPENAI_API:
        raise ConfigurationError(
            f"{provider!r} can't list its models: use {', '.join(WITH_OPENAI_API)}, each with or without @url, or a URL"
        )
    base, key = openai_address(provider, "MODEL", url, environment_with_keys())
    return base or OPENAI_URL, key, provider, f"@{without_credentials(url)}" if url else ""


def _ids_in(answer: Any) -> list[str]:
    """Return the ids in a list of models: OpenAI's form, a bare list, or Ollama's."""
    entries = (answer.get("data") or answer.get("models")) if isinstance(answer, dict) else answer
    entries = entries if isinstance(entries, list) else []
    ids = [each if isinstance(each, str) else _id_of(each) for each in entries]
    return [each for each in ids if each]


def _id_of(entry: Any) -> str:
    found = (entry.get("id") or entry.get("name") or entry.get("model")) if isinstance(entry, dict) else None
    return found if isinstance(found, str) else ""
