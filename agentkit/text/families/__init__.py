"""The model families, one file each, and those of other packages; loaded on first use.

Another package adds a family by an entry point in the group "agentkit.families": its name is the family's, its value a
`Family` or several.
"""

import logging
import re
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from agentkit.errors import ConfigurationError
from agentkit.text.families.family import Family, Variant

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["DEFAULT", "Family", "Variant", "families", "family_named", "family_of"]

MODULES = ("qwen3_coder", "deepseek", "hermes", "kimi", "glm", "qwen3", "qwen2_5", "llama", "mistral")
"""In this order: names overlap (DeepSeek-R1-Distill-Qwen, Hermes-3-Llama), and the first family that fits is taken."""

DEFAULT = "qwen3"
GROUP = "agentkit.families"

logger = logging.getLogger("agentkit")


def families() -> tuple[Family, ...]:
    """Returns all families: first those of other packages, then agentkit's own. An entry point that can't be loaded is
    left out, with a warning in the log."""
    return _loaded()[0]


def family_named(name: str) -> Family:
    """Returns the family of that name. Raises ConfigurationError when there is none, or its package can't be loaded."""
    found, failed = _loaded()
    if name in failed:
        raise ConfigurationError(f"the model family {name!r} can't be loaded: {failed[name]}")
    for family in found:
        if family.name == name:
            return family
    known = ", ".join(each.name for each in found)
    left_out = "".join(f"; left out is {each!r}, since {reason}" for each, reason in failed.items())
    raise ConfigurationError(f"unknown model family {name!r}: known are {known}{left_out}")


def family_of(model: str) -> Family | None:
    """Returns the family that a model's name, such as "Qwen/Qwen3-8B", belongs to, as it is for this model; None when
    it is not known."""
    return next((found for family in families() if (found := family.for_model(model))), None)


@cache
def _loaded() -> tuple[tuple[Family, ...], dict[str, str]]:
    """Returns the families, and what is wrong with each entry point that can't be loaded."""
    from importlib.metadata import entry_points

    found: list[Family] = []
    failed: dict[str, str] = {}
    for entry_point in entry_points(group=GROUP):
        try:
            found += _families_in(entry_point)
        except Exception as error:  # noqa: BLE001 - code of another package
            reason = f"the entry point {entry_point.value!r} ({GROUP}) raised {type(error).__name__}: {error}"
            failed[entry_point.name] = reason
            logger.warning("a model family is left out: %s", reason)
    found += [import_module(f"{__name__}.{module}").FAMILY for module in MODULES]
    return tuple(found), failed


def _families_in(entry_point: "EntryPoint") -> list[Family]:
    loaded = entry_point.load()
    found = [loaded] if isinstance(loaded, Family) else list(loaded)
    for family in found:
        if not isinstance(family, Family):
            raise TypeError(f"{family!r:.100} is not a Family")
        for pattern in (*family.patterns, *(variant.pattern for variant in family.variants)):
            re.compile(pattern)
    return found
