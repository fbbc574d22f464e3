"""MiniMax M2, M2.1, M2.5 and M2.7, which begin each reply inside their thoughts."""

from pathlib import Path

from agentkit.text.families.family import Family, Variant
from agentkit.text.families.names import exactly


def _named(version: str) -> dict[str, str]:
    return {"model_identity": f"You are a helpful assistant. Your name is MiniMax-{version} and is built by MiniMax."}


FAMILY = Family(
    "minimax_m2",
    patterns=(exactly(r"minimax[-_]m2(?:\.[157])?(?::cloud)?"),),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.minimax_m2",
    ends=("[e~[",),
    forced=("<minimax:tool_call>\n<invoke", '<minimax:tool_call>\n<invoke name="{name}">\n'),
    variants=(
        Variant(r"m2\.1", {"variables": _named("M2.1")}),
        Variant(r"m2\.5", {"variables": _named("M2.5")}),
        Variant(r"m2\.7", {"variables": _named("M2.7")}),
    ),
    special_tokens=("]~b]", "]~!b["),
    tags=("minimax:tool_call", "dots_function_call", "function_calls", "think", "tools", "response"),
)
