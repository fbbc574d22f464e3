"""Makes tests/cases/prompts: what a model's official chat template renders of tests/cases/conversations.json.

    python -m tests.support.official_prompts TEMPLATE --family NAME --model NAME --source TEXT [--bos TOKEN]
        [--thoughts FIELD]

TEMPLATE is a Jinja file or a tokenizer_config.json, rendered as Hugging Face's transformers does (its 5.x
utils/chat_template_utils.py says how), by nothing of agentkit. The templates are their makers' and are not kept here;
--source says where this one is published, and --thoughts in which field of a message it reads the reasoning, where
that isn't reasoning_content. The rows go to tests/cases/prompts/FAMILY.jsonl, in place of those of that
model. A maker that publishes a program in place of a template has its prompts written by it, in the same form
(`replace_rows`).
"""

import argparse
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

CASES = Path(__file__).parents[1] / "cases"
DAY = datetime(2026, 1, 15, 12, 30)
"""The time of the prompts that tell the day."""


def conversations() -> list[dict[str, Any]]:
    """The conversations: id, messages, tools, variables of the template."""
    found: list[dict[str, Any]] = json.loads((CASES / "conversations.json").read_text(encoding="utf-8"))
    return found


def rendered(
    source: str, conversation: Mapping[str, Any], variables: Mapping[str, Any], thoughts: str = "reasoning_content"
) -> dict[str, str]:
    """Returns the row of a conversation: its "prompt", or the "error" with which the template refuses it. thoughts: the
    field of the reasoning."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = DAY.strftime
    given = {
        "messages": [_with_parts(message, thoughts) for message in conversation["messages"]],
        "tools": conversation["tools"],
        "add_generation_prompt": True,
        **conversation["variables"],
        **variables,
    }
    try:
        return {"prompt": environment.from_string(source).render(**given)}
    except Exception as error:  # noqa: BLE001 - whatever a template raises
        return {"error": f"{type(error).__name__}: {error}"}


def replace_rows(family: str, model: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows of a model into its family's file, in place of those that it had."""
    path = CASES / "prompts" / f"{family}.jsonl"
    kept = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    rows = [*(row for row in kept if row["model"] != model), *rows]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _with_parts(message: Mapping[str, Any], thoughts: str) -> dict[str, Any]:
    """An image in the form of transformers, and the reasoning in its field."""
    message = {thoughts if key == "reasoning_content" else key: value for key, value in message.items()}
    content = message["content"]
    if not isinstance(content, list):
        return dict(message)
    parts = [part if part["type"] == "text" else {"type": "image", "image": "a.png"} for part in content]
    return {**message, "content": parts}


def _to_json(value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, **more: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, **more)


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _main() -> None:
    parser = argparse.ArgumentParser(description="Render the prompts of an official chat template.")
    parser.add_argument("template", type=Path)
    for name in ("family", "model", "source"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--bos", default="")
    parser.add_argument("--eos", default="")
    parser.add_argument("--thoughts", default="reasoning_content")
    given = parser.parse_args()
    source = given.template.read_text(encoding="utf-8")
    if given.template.suffix == ".json":
        source = json.loads(source)["chat_template"]
    tokens = {"bos_token": given.bos, "eos_token": given.eos}
    rows = [
        {
            "model": given.model,
            "source": given.source,
            "conversation": each["id"],
            **rendered(source, each, tokens, given.thoughts),
        }
        for each in conversations()
    ]
    replace_rows(given.family, given.model, rows)
    print(f"{len(rows)} prompts, {sum('error' in row for row in rows)} refused")


if __name__ == "__main__":
    _main()
