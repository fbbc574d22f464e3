"""The size of the context of a model, as servers report it, under the names that each of them has for it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard


def context_length_in(models: Any, model: str) -> int | None:
    """Return the context length in a server's list of models.

    vLLM and LightLLM: max_model_len; OpenRouter: context_length; Groq: context_window; Mistral: max_context_length;
    llama.cpp: meta.n_ctx.
    """
    names = ("max_model_len", "context_length", "context_window", "max_context_length")
    entries = list(_entries(models, "data"))
    named = [entry for entry in entries if entry.get("id") == model]
    for entry in named or (entries if len(entries) == 1 else []):
        meta = entry.get("meta") if isinstance(entry.get("meta"), dict) else {}
        for value in (*(entry.get(name) for name in names), (meta or {}).get("n_ctx")):
            if _is_length(value):
                return value
    return None


def context_length_of_props(props: Any) -> int | None:
    """Return the context length in what llama.cpp reports of itself."""
    settings = props.get("default_generation_settings") if isinstance(props, Mapping) else None
    length = settings.get("n_ctx") if isinstance(settings, Mapping) else None
    return length if _is_length(length) else None


def loaded_context_length(find: Callable[[str], Any], root: str, model: str) -> int | None:
    """Return the context length with which Ollama or LM Studio have loaded a model; None while they have not.

    Both cut a prompt that is longer without a word. find: the JSON at a URL, or None. root: the server's, without /v1.
    """
    for entry in _entries(find(f"{root}/api/ps"), "models"):
        names = (entry.get("name"), entry.get("model"))
        if (model in names or f"{model}:latest" in names) and _is_length(entry.get("context_length")):
            return int(entry["context_length"])
    for entry in _entries(find(f"{root}/api/v0/models"), "data"):
        if entry.get("id") == model and _is_length(entry.get("loaded_context_length")):
            return int(entry["loaded_context_length"])
    return None


def _entries(answer: Any, key: str) -> Iterator[dict[str, Any]]:
    found = answer.get(key) if isinstance(answer, Mapping) else None
    return (entry for entry in (found if isinstance(found, list) else ()) if isinstance(entry, dict))


def _is_length(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
