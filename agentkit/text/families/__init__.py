"""The model families, one file each, and those of other packages; loaded on first use.

Another package adds a family by an entry point in the group "agentkit.families": its name is the family's, its value a
`Family` or several.
"""

import logging
import re
from importlib import import_module
from typing import TYPE_CHECKING

from agentkit._lazy import load_entry_point
from agentkit.errors import AgentkitError, ConfigurationError
from agentkit.text.computed_once import ComputedOnce
from agentkit.text.families.family import Family, Variant

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["Family", "Variant", "families", "family_named", "family_of"]

MODULES = (
    "apertus",
    "bielik",
    "command_r",
    "command_r7b",
    "deepseek",
    "deepseek_r1",
    "deepseek_r1_0528",
    "deepseek_v3",
    "deepseek_v3_2",
    "deepseek_v4",
    "firefunction_v2",
    "functionary_v3_1",
    "functionary_v3_2",
    "functiongemma",
    "gemma",
    "gemma4",
    "gigachat3",
    "gigachat3_1",
    "glm",
    "glm_4_7",
    "gpt_oss",
    "granite3",
    "granite3_0",
    "granite4",
    "granite_20b",
    "hermes",
    "hunyuan",
    "hy3",
    "internlm2",
    "jamba",
    "kimi",
    "kimi_k2_thinking",
    "kimi_k3",
    "laguna_s",
    "laguna_xs",
    "lfm2",
    "lfm2_5",
    "ling_3",
    "llama",
    "llama2",
    "llama3",
    "llama4",
    "mimo",
    "mimo_v2_5",
    "minicpm5",
    "minimax_m1",
    "minimax_m2",
    "minimax_m3",
    "mistral",
    "mistral_v1",
    "mistral_v11",
    "mistral_v13",
    "mistral_v7",
    "nemotron_3",
    "nemotron_nano_v2",
    "nemotron_super_v1_5",
    "north",
    "olmo2",
    "olmo3",
    "phi3",
    "phi4",
    "phi4_mini",
    "qwen2_5",
    "qwen3",
    "qwen3_5",
    "qwen3_coder",
    "qwq",
    "reka_edge",
    "seed_oss",
    "smollm2",
    "smollm3",
    "spark2_5",
    "step_3_5",
    "tinyllama",
    "xlam2",
    "xlam2_llama",
)
"""A model belongs to one of them: their patterns do not overlap."""

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
        raise ConfigurationError(failed[name])
    for family in found:
        if family.name == name:
            return family
    known = ", ".join(each.name for each in found)
    left_out = "".join(f"; left out is {each!r}: {reason}" for each, reason in failed.items())
    raise ConfigurationError(f"unknown model family {name!r}: known are {known}{left_out}")


def family_of(model: str) -> Family | None:
    """Returns the family that a model's name, such as "Qwen/Qwen3-8B", belongs to, as it is for this model; None when
    it is not known."""
    return next((found for family in families() if (found := family.for_model(model))), None)


@ComputedOnce
def _loaded() -> tuple[tuple[Family, ...], dict[str, str]]:
    """Returns the families, and what is wrong with each entry point that can't be loaded."""
    from importlib.metadata import entry_points

    found: list[Family] = []
    failed: dict[str, str] = {}
    for entry_point in entry_points(group=GROUP):
        try:
            found += _families_in(entry_point)
        except AgentkitError as error:
            failed[entry_point.name] = str(error)
            logger.warning("a model family is left out: %s", error)
    found += [import_module(f"{__name__}.{module}").FAMILY for module in MODULES]
    return tuple(found), failed


def _families_in(entry_point: "EntryPoint") -> list[Family]:
    loaded = load_entry_point(entry_point)
    found = list(loaded) if isinstance(loaded, list | tuple) else [loaded]
    for family in found:
        if not isinstance(family, Family):
            raise ConfigurationError(f"the entry point {entry_point.value} ({GROUP}) is not a Family: {family!r:.100}")
        for pattern in (*family.patterns, *(variant.pattern for variant in family.variants)):
            _check(pattern, entry_point)
    return found


def _check(pattern: str, entry_point: "EntryPoint") -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(
            f"the entry point {entry_point.value} ({GROUP}) has an invalid pattern {pattern!r}: {error}"
        ) from None
