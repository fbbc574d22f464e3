"""Merges the `allOf` of a schema, which is how descriptions write inheritance."""

from collections.abc import Mapping
from typing import Any

from agentkit._text import cut
from agentkit.openapi.budget import Budget
from agentkit.openapi.document import Document, UnresolvableError, items, mapping

HIDDEN = "x-agentkit-hidden"
"""A key of a merged schema: the names of properties that only the server sets."""
MAX_LEVELS = 40
"""Levels of `allOf` in each other."""
_OF_A_CHOICE = ("oneOf", "anyOf", "discriminator")


def flattened(
    schema: Mapping[str, Any], document: Document, budget: Budget, inside: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A schema, as it was written, with the members of its `allOf` merged into it. inside: the references that led to
    it, "" where it stands in the place itself. Raises UnresolvableError when it consists of itself."""
    made: dict[str, Any] = {}
    for member in items(schema.get("allOf")):
        if not budget.spend():
            break
        target, reference = document.followed(member)
        if reference and reference in inside:
            raise UnresolvableError(f"the schema {cut(reference, 120)!r} consists of itself")
        if len(inside) == MAX_LEVELS:
            raise UnresolvableError(f"the schema {cut(reference, 120)!r} is made of too many others")
        if isinstance(target, Mapping):
            whole = flattened(target, document, budget, (*inside, reference))
            _merge(made, _without_choice(whole) if "discriminator" in whole else whole, document)
    _merge(made, {key: value for key, value in schema.items() if key != "allOf"}, document)
    return made


def _without_choice(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A base, whose alternatives are made of it: the one that is being read is chosen already."""
    return {key: value for key, value in schema.items() if key not in _OF_A_CHOICE}


def _merge(made: dict[str, Any], more: Mapping[str, Any], document: Document) -> None:
    for key, value in more.items():
        if key == "properties":
            made[key] = {**made.get(key, {}), **mapping(value)}
            hidden = [str(name) for name, each in mapping(value).items() if is_read_only(each, document)]
            made[HIDDEN] = [*made.get(HIDDEN, ()), *hidden]
        elif key in ("required", HIDDEN, "allOf"):  # the last: what was left of an inner one
            made[key] = [*made.get(key, ()), *items(value)]
        elif key in ("oneOf", "anyOf") and key in made:
            made["allOf"] = [*made.get("allOf", ()), {key: value}]
        elif key == "additionalProperties" and value is False:
            made.setdefault(key, True)  # each member forbids what the others have
        else:
            made[key] = value


def is_read_only(schema: Any, document: Document) -> bool:
    """Whether a property is set by the server alone."""
    for _ in range(3):
        if not isinstance(schema, Mapping):
            return False
        if schema.get("readOnly") is True:
            return True
        members = items(schema.get("allOf"))
        if any(isinstance(each, Mapping) and each.get("readOnly") is True for each in members):
            return True
        if not isinstance(schema.get("$ref"), str):
            return False
        try:
            schema = document.target(schema["$ref"])
        except UnresolvableError:
            return False
    return False
