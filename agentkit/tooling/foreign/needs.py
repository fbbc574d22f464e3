"""What a function of another framework needs that only its framework has: its state, its runtime, its context."""

import inspect
import re
import typing
from collections.abc import Iterator
from typing import Annotated, Any

from agentkit.tooling.annotations import annotations_of, signature_of
from agentkit.tooling.hidden import UNMISTAKABLE, marker_of

_WORD = re.compile(r"\w++")


def injected(function: Any, *, given: frozenset[str] = frozenset()) -> Iterator[tuple[inspect.Parameter, str]]:
    """The parameters of a function that a framework fills in itself, each with what says so. given: types with which
    it is filled in here too."""
    try:
        parameters = signature_of(function).parameters.values()
    except (TypeError, ValueError):
        return
    hints = _hints(function)
    for parameter in parameters:
        marker = _marker(parameter, hints.get(parameter.name, parameter.annotation))
        if marker is not None and marker not in given:
            yield parameter, marker


def injected_fields(model: Any) -> dict[str, tuple[str, bool]]:
    """The fields of a pydantic class of version 1 or 2 that are not for the model: what says so, and whether it has to
    be given."""
    hints = _hints(model)
    found: dict[str, tuple[str, bool]] = {}
    for name, field in (getattr(model, "model_fields", None) or getattr(model, "__fields__", {})).items():
        hint = hints.get(name, getattr(field, "annotation", Any))
        metadata = tuple(getattr(field, "metadata", None) or ())
        hint = Annotated[(hint, *metadata)] if metadata else hint
        marker = _marker(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY), hint)
        if marker is not None:
            is_required = getattr(field, "is_required", None)
            found[name] = marker, bool(is_required() if callable(is_required) else getattr(field, "required", True))
    return found


def _hints(holder: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(getattr(holder, "__func__", holder), include_extras=True)
    except Exception:  # noqa: BLE001 - names that are not there at run time
        return annotations_of(holder)


def _marker(parameter: inspect.Parameter, hint: Any) -> str | None:
    if isinstance(hint, str):
        return next((word for word in _WORD.findall(hint[:1000]) if word in UNMISTAKABLE), None)
    # Without a type, a name alone says nothing: LangChain has the model choose an `agent` as any other argument.
    return None if hint in (Any, inspect.Parameter.empty) else marker_of(parameter.replace(name="_"), hint)
