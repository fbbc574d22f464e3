"""`multipleOf` of schemas: numbers are taken as they are written."""

from typing import Any

import pytest

from agentkit.errors import ArgumentsError
from agentkit.evaluation.checks import parse_check
from agentkit.tooling.argument_readers import schema_reader
from tests.evaluation.records import answered

PRICE = {"type": "number", "multipleOf": 0.01}
DRAFTS = ["https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema#"]
MULTIPLES = ["19.99", "0.07", "1.1", "-4.35", "1e22", "3", "1" * 400, "123456789012.34"]
OTHERS = ["19.995", "0.001", "1e999", "-1e999", "1e-300"]


def schemas() -> list[dict[str, Any]]:
    plain = {"type": "object", "properties": {"price": PRICE}}
    nested = {"type": "object", "properties": {"price": {"$ref": "#/$defs/p"}}, "$defs": {"p": PRICE}}
    itself = {"type": "object", "properties": {"price": PRICE, "more": {"$ref": "#"}}}
    return [plain, nested, itself, *({**itself, "$schema": draft} for draft in DRAFTS)]


@pytest.mark.parametrize("schema", schemas(), ids=["plain", "reference", "itself", "2020-12", "draft 7"])
def test_numbers_are_multiples_as_they_are_written(schema: dict[str, Any]) -> None:
    # python-jsonschema/jsonschema#1234: 19.99 was no multiple of .01, and large numbers raised OverflowError
    read, check = schema_reader(schema, "pay"), parse_check({"check": "json", "schema": schema})
    inside = '{{"price": {}}}', '{{"more": {{"price": {}}}}}' if "more" in schema["properties"] else '{{"price": {}}}'
    for given in (text.format(number) for text in inside for number in MULTIPLES):
        if len(given) < 100:  # larger numbers may be a text by then
            assert read(given)[1] == []
        assert check.score(answered(given)).value == 1
    for given in (text.format(number) for text in inside for number in OTHERS):
        with pytest.raises(ArgumentsError, match="price: "):
            read(given)
        score = check.score(answered(given))
        assert (score.value, "is not a multiple of 0.01" in score.why) == (0, True)


@pytest.mark.parametrize(
    ("step", "number", "fits"), [(5, "15", True), (5, "15.0", True), (5, "16", False), (0.3, "0.9", True)]
)
def test_steps_may_be_whole(step: float, number: str, fits: bool) -> None:
    schema = {"type": "object", "properties": {"count": {"multipleOf": step}}}
    check = parse_check({"check": "json", "schema": schema})
    assert check.score(answered(f'{{"count": {number}}}')).value == fits
    assert check.score(answered('{"count": "no number"}')).value == 1
