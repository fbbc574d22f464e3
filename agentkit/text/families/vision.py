"""Vision models that are made of a language model of any family, and have an image placeholder of their own."""

from agentkit.text.families.family import Variant

VISION = (Variant(r"internvl|llava", {"image": "<image>\n"}),)
"""From LightLLM's guide to multimodal prompts."""
