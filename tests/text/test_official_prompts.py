"""Each family's prompts are byte for byte those of its makers' chat template: tests/cases/prompts, which
tests/support/official_prompts.py has rendered from the official templates.

A row may have "variables" for our template, and "differs": why our prompt is another one on purpose.
"""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest

from agentkit.text.families import families, family_of
from agentkit.text.prompt import PromptMaker
from tests.support.official_prompts import CASES, DAY, conversations

CONVERSATIONS = {each["id"]: each for each in conversations()}


def models() -> Iterator[Any]:
    for path in sorted((CASES / "prompts").glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for model, of_model in groupby(rows, key=lambda row: row["model"]):
            yield pytest.param(path.stem, model, list(of_model), id=f"{path.stem} {model}")


@pytest.mark.parametrize(("family", "model", "rows"), list(models()))
def test_the_prompts_of_a_model_are_those_of_its_official_template(
    family: str, model: str, rows: list[dict[str, Any]]
) -> None:
    found = family_of(model)
    assert found is not None
    assert found.name == family
    for row in rows:
        asked = CONVERSATIONS[row["conversation"]]
        variables = {**asked["variables"], **row.get("variables", {})}
        has_images = any(isinstance(message["content"], list) for message in asked["messages"])
        if has_images and (found.image is None or "error" in row):
            continue
        maker = PromptMaker(found, neutral=False, clock=lambda: DAY)
        made = maker.prompt(asked["messages"], asked["tools"], variables).text
        if not ("differs" in row or "error" in row):
            assert made == row["prompt"], row["conversation"]


def test_a_model_belongs_to_one_family() -> None:
    for each in models():
        _, model, _ = each.values
        assert len([family for family in families() if family.for_model(model)]) == 1, model


def test_every_family_is_checked_against_an_official_template() -> None:
    checked = {path.stem for path in (CASES / "prompts").glob("*.jsonl")}
    assert {family.name for family in families()} == checked
