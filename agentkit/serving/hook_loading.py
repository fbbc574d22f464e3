"""Loads hooks given by name or as `module:name`."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from agentkit._lazy import Registry
from agentkit.errors import ConfigurationError
from agentkit.hooks import Hook
from agentkit.serving.tool_loading import attribute_of

logger = logging.getLogger("agentkit")

_WANTED = "it is neither a Hook, nor a subclass of it or a function that makes one, nor a non-empty list of these"


def _listed(found: object) -> list[Any]:
    return list(found) if isinstance(found, list | tuple) else [found]


def _problem(found: object) -> str:
    listed = _listed(found)
    return "" if listed and all(isinstance(each, Hook) or callable(each) for each in listed) else _WANTED


OTEL = "otel"
HOOKS = Registry("agentkit.hooks", {OTEL: "agentkit.telemetry:Otel"}, _problem)
"""The hooks that have a name, each a hook, a class or a function without parameters that makes one, or a list of
these."""


def load_hooks(names: Sequence[str]) -> list[Hook]:
    """Return the hooks of these names, in this order. Raises ConfigurationError when one can't be loaded or made."""
    hooks = [hook for name in names for hook in _load(name)]
    if OTEL in names and _is_unheard():
        logger.warning(
            "--hook otel sends nothing: OpenTelemetry is not set up in this process. Start the command with "
            "opentelemetry-instrument (pip install opentelemetry-distro opentelemetry-exporter-otlp)"
        )
    return hooks


def _is_unheard() -> bool:
    from agentkit.telemetry.otel import is_unheard  # it needs the extra `otel`, as the hook does

    return is_unheard()


def _load(name: str) -> list[Hook]:
    module, _, attribute = name.partition(":")
    found = attribute_of("--hook", name) if module and attribute else HOOKS.find(name)
    if found is None:
        raise ConfigurationError(
            f"--hook {name!r}: there is no such hook: write module:name, such as myhooks:Masked, or one of "
            f"{', '.join(HOOKS.names())}{HOOKS.hint()}"
        )
    if problem := _problem(found):
        raise ConfigurationError(f"--hook {name!r}: {problem}")
    return [each if isinstance(each, Hook) else _made(name, each) for each in _listed(found)]


def _made(name: str, make: Callable[[], object]) -> Hook:
    try:
        hook = make()
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"--hook {name!r}: it can't be made without arguments: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(hook, Hook):
        raise ConfigurationError(
            f"--hook {name!r}: it made a {type(hook).__name__}, which is not an agentkit.hooks.Hook"
        )
    return hook
