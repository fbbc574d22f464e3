"""Seed-OSS of ByteDance; `thinking_budget`, in tokens, limits its thoughts (0: none)."""

from pathlib import Path

from agentkit.text.families.family import Family
from agentkit.text.families.names import exactly

FAMILY = Family(
    "seed_oss",
    patterns=(exactly(r"seed[-_]oss"),),
    template=Path(__file__).with_suffix(".jinja"),
    calls="agentkit.text.formats.seed_oss",
    ends=("<seed:eos>",),
    forced=("<seed:tool_call>\n<function=", "<seed:tool_call>\n<function={name}>\n"),
    special_tokens=(
        *("<seed:bos>", "<seed:pad>", "<[BOS_never_used]>"),
        *("<seed:cot_budget_reflect>", "</seed:cot_budget_reflect>"),
    ),
    markup=("<function=", "<parameter="),
    tags=("seed:tool_call", "seed:think"),
)
