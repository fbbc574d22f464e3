"""The model families, one file each, and those of other packages; loaded on first use.

Another package adds a family by an entry point in the group "agentkit.families": its name is the family's, its value a
`Family` or several.
"""

import re
from importlib import import_module
from typing import Any

from agentkit._lazy import Registry
from agentkit._lazy.logs import logger_of
from agentkit.errors import ConfigurationError
from agentkit.text.computed_once import ComputedOnce
from agentkit.text.families.family import Family, Variant

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

logger = logger_of("agentkit")


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
    found: list[Family] = []
    failed: dict[str, str] = {}
    for plugin in FAMILIES.plugins():
        try:
            found += _listed(FAMILIES.load(plugin))
        except ConfigurationError as error:
            if plugin.name not in failed:
                failed[plugin.name] = str(error)
                logger.warning("a model family is left out: %s", error)
    return (*found, *_own()), failed


def _own() -> list[Family]:
    return [import_module(f"{__name__}.{module}").FAMILY for module in MODULES]


def _listed(loaded: Any) -> list[Any]:
    return list(loaded) if isinstance(loaded, list | tuple) else [loaded]


def _problem(loaded: Any) -> str:
    """What is wrong with what an entry point stands for; "" for a family or several."""
    own = {family.name for family in _own()}
    for family in _listed(loaded):
        if not isinstance(family, Family):
            return f"it is not a Family: {family!r:.100}"
        if family.name in own:
            return f"{family.name!r} is the name of a family of agentkit's own, which a package can't replace"
        for pattern in (*family.patterns, *(variant.pattern for variant in family.variants)):
            try:
                re.compile(pattern)
            except re.error as error:
                return f"it has an invalid pattern {pattern!r}: {error}"
    return ""


FAMILIES = Registry("agentkit.families", {}, _problem)
"""The families of other packages. agentkit's own, which they can't replace, are found by `MODULES`."""
