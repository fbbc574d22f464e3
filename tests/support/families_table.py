"""The table of the model families in LIGHTLLM_USAGE.md, made from the families and from tests/cases/prompts.

python -m tests.support.families_table --write
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from agentkit.text import families as package
from tests.support.official_prompts import CASES

GUIDE = Path(__file__).parents[2] / "LIGHTLLM_USAGE.md"
BEGIN = "<!-- families: made by python -m tests.support.families_table --write -->\n"
END = "<!-- end of families -->\n"


def table() -> str:
    """Returns the table in Markdown."""
    lines = ["| family | models | tool calls | checked |", "|---|---|---|---|"]
    for name in package.MODULES:
        module = importlib.import_module(f"agentkit.text.families.{name}")
        family = module.FAMILY
        models = " ".join((module.__doc__ or "").split("\n\n")[0].split()).rstrip(".")
        lines.append(f"| `{family.name}` | {models} | {_calls(family.format.starts)} | {_checked(family.name)} |")
    return "\n".join(lines) + "\n"


def guide_with_table() -> str:
    """Returns the text of the guide with the table of today."""
    text = GUIDE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


def _calls(starts: tuple[str, ...]) -> str:
    shown = dict.fromkeys(" ".join(start.split()).replace("|", "\\|") for start in starts)
    return ", ".join(f"`` {start} ``" if "`" in start else f"`{start}`" for start in shown if start)


def _checked(family: str) -> str:
    path = CASES / "prompts" / f"{family}.jsonl"
    by_source: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        by_source.setdefault(row["source"], []).append(row)
    return "; ".join(_of_source(source, rows) for source, rows in by_source.items())


def _of_source(source: str, rows: list[dict[str, Any]]) -> str:
    rendered = [row for row in rows if "prompt" in row]
    reasons = dict.fromkeys(row["differs"] for row in rendered if "differs" in row)
    equal = sum("differs" not in row for row in rendered)
    return f"{source}: {equal} of {len(rendered)}" + (f" ({'; '.join(reasons)})" if reasons else "")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        GUIDE.write_text(guide_with_table(), encoding="utf-8")
    else:
        print(table())
