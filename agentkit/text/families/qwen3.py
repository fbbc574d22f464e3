"""Qwen3, its models of July 2025 (Instruct-2507, Thinking-2507), Qwen3-Next and Qwen3-VL."""

from pathlib import Path

from agentkit.text.families.chatml import END, JSON_CALL, QWEN_IMAGE, TAGS, of_qwen
from agentkit.text.families.family import Family, Variant


def _kind(pattern: str, kind: str) -> Variant:
    return Variant(pattern, {"variables": {"kind": kind}})


FAMILY = Family(
    "qwen3",
    patterns=(of_qwen(r"3(?!\.?\d|.*coder)"),),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.hermes",
    ends=(END, "<|endoftext|>"),
    forced=JSON_CALL,
    image=QWEN_IMAGE,
    variants=(
        _kind(r"instruct.*2507|2507.*instruct|3[-_ ]?(?:next|vl)", "plain"),
        _kind(r"thinking", "thinking"),
    ),
    tags=TAGS,
)
