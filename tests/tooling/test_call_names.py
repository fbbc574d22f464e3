"""Names of calls as models write them: which tool is meant, and what is sent back."""

import re

from hypothesis import given
from hypothesis import strategies as st

from agentkit.tooling.call_names import (
    meant,
    meant_with_qualifier,
    nearest,
    short_id,
    valid_author,
    valid_id,
    valid_name,
)
from tests.support.growth import assert_linear

NAMES = st.lists(st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True), max_size=6, unique=True)
PREFIXES = st.sampled_from(["functions.", "default_api:", "tool:", "tools.functions.", "<|channel|>commentary to=", ""])
AROUND = st.sampled_from(["", " ", "\n", "`", '"', "<|channel|>commentary", "()", "\u200b"])


@given(NAMES, st.text(max_size=60))
def test_any_text_means_at_most_one_tool_and_goes_back_as_a_name_of_none(names: list[str], text: str) -> None:
    for found in (meant(text, names), meant_with_qualifier(text, names), nearest(text, names)):
        assert found is None or found in names
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", valid_name(text, names))
    assert valid_name(text, names) not in names
    assert re.fullmatch(r"[a-zA-Z0-9_-]{0,64}", valid_author(text))


@given(st.sampled_from(["search", "get_weather", "read-file"]), PREFIXES, AROUND)
def test_a_name_with_anything_known_around_it_means_its_tool(name: str, prefix: str, behind: str) -> None:
    assert meant(prefix + name + behind, ["send", "search", "get_weather", "read-file"]) == name


@given(NAMES)
def test_a_tool_is_always_meant_by_its_own_name(names: list[str]) -> None:
    for name in names:
        assert name.strip("-_") == "" or meant(name, names) == name


@given(st.text(max_size=500), st.text(max_size=500))
def test_ids_are_valid_and_as_different_as_they_were(one: str, other: str) -> None:
    for made in (valid_id(one), valid_id(other)):
        assert len(made) <= 40
        assert valid_id(made) == made
    for short in (short_id(one), short_id(other)):
        assert re.fullmatch(r"[a-zA-Z0-9]{9}", short)
        assert short_id(short) == short
    assert (valid_id(one) == valid_id(other)) == (one == other)
    assert (short_id(one) == short_id(other)) == (one == other)


def test_names_are_read_in_linear_time() -> None:
    for unit in ("<|channel|>", "commentary ", "functions.", "to=x ", "</a>", "[A]", "a_", ":0", "<", "x__", " ="):

        def read(size: int, unit: str = unit) -> None:
            text = unit * size
            meant(text, ["send"]), nearest(text, ["send"]), valid_name(text), valid_author(text)

        assert_linear(read, 100_000)
