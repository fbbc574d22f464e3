"""Merges the `allOf` of a schema, which is how descriptions write inheritance."""

from collections.abc import Mapping
from typing import Any

from agentkit._text import cut
from agentkit.openapi.budget import Budget
from agentkit.openapi.document import Document, UnresolvableError, items, mapping

MAX_LEVELS = 40
"""Levels of `allOf` in each other, and members of one that are asked whether they are read-only."""
_OF_A_CHOICE = ("oneOf", "anyOf", "discriminator")


def flattened(schema: Mapping[str, Any], document: Document, budget: Budget) -> dict[str, Any]:
    """A schema, as it was written, with the members of its `allOf` merged into it. What the server alone sets, as one
    of them says, is not required. Raises UnresolvableError when it consists of itself."""
    hidden: set[str] = set()
    made = _merged(schema, document, budget, hidden)
    if hidden and "required" in made:
        made["required"] = [each for each in made["required"] if not (isinstance(each, str) and each in hidden)]
    return made


def _merged(
    schema: Mapping[str, Any], document: Document, budget: Budget, hidden: set[str], inside: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The same. hidden: takes the names of the properties that only the server sets. inside: the references that led to
    it, "" where it stands in the place itself."""
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
            whole = _merged(target, document, budget, hidden, (*inside, reference))
            _merge(made, _without_choice(whole) if "discriminator" in whole else whole)
    properties = mapping(schema.get("properties"))
    if budget.spend(len(schema) + len(properties) + len(items(schema.get("required")))):
        hidden |= {str(name) for name, each in properties.items() if is_read_only(each, document)}
        _merge(made, {key: value for key, value in schema.items() if key != "allOf"})
    return made


def _without_choice(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A base, whose alternatives are made of it: the one that is being read is chosen already."""
    return {key: value for key, value in schema.items() if key not in _OF_A_CHOICE}


def _merge(made: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if key == "properties":
            made.setdefault(key, {}).update(mapping(value))
        elif key in ("required", "allOf"):  # the last: what was left of an inner one
            made.setdefault(key, []).extend(items(value))
        elif key in ("oneOf", "anyOf") and key in made:
            made.setdefault("allOf", []).append({key: value})
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
        members = items(schema.get("allOf"))[:MAX_LEVELS]
        if any(isinstance(each, Mapping) and each.get("readOnly") is True for each in members):
            return True
        if not isinstance(schema.get("$ref"), str):
            return False
        try:
            schema = document.target(schema["$ref"])
        except UnresolvableError:
            return False
    return False
