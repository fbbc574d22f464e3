"""Any text as a value: it arrives as it is given, or is refused in a sentence, and changes nothing else."""

import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentkit._text import joined_surrogates
from tests.openapi.specs import answer, of_get, parameter, tool_of
from tests.support.api_server import ApiServer, serve_api

EXAMPLES = 60 * int(os.environ.get("AGENTKIT_FUZZ", "1"))
NASTY = st.sampled_from(
    [
        *("../x", "..", ".", "%2e%2e", "%2f", "a/../../b", "..\\..", "//evil.invalid/", "http://evil.invalid", "@evil"),
        *(
            "?a=b",
            "&a=b",
            "#f",
            ";a=b",
            "a=b",
            "+",
            " ",
            "%",
            "%zz",
            "a,b",
            "[x]",
            "{q}",
            "\r\nHost: x",
            "\x00",
            "\ud800",
        ),
        *("null", "true", "1", "[]", "{}", '"', "'", "\u2028", "é", "😀", "\ufeff"),
    ]
)
TEXTS = st.one_of(NASTY, st.text(max_size=40), st.lists(NASTY, max_size=4).map("".join))


@pytest.fixture(scope="module")
def api() -> Iterator[ApiServer]:
    with serve_api() as server:
        yield server


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=TEXTS, query=TEXTS, header=TEXTS, reserved=TEXTS, slashes=st.booleans())
def test_any_text_arrives_as_it_is_given_or_is_refused(
    api: ApiServer, path: str, query: str, header: str, reserved: str, slashes: bool
) -> None:
    parameters = [
        parameter("id", "path"),
        parameter("q"),
        parameter("X-H", "header"),
        parameter("r", allowReserved=True),
    ]
    tool = tool_of(of_get(parameters, "/things/{id}/end"), f"{api.url}/base", slashes_in_path=slashes)
    before = len(api.received)
    values = {"id": path, "q": query, "X-H": header, "r": reserved}
    said = answer(tool, json.dumps(values))
    path, query, header, reserved = map(joined_surrogates, values.values())
    if said != "{}":
        assert "the arguments of call don't fit: " in said
        assert "can't" in said or "is empty" in said
        assert len(api.received) == before
        steps = [*path.replace("\\", "/").split("/"), *unquote(path).replace("\\", "/").split("/")]
        is_step = not path or "." in steps or ".." in steps or (len(steps) > 2 and not slashes)
        assert is_step or header != header.strip() or any(each < " " or each == "\x7f" for each in header)
        return
    assert len(api.received) == before + 1
    assert api.last.segments == ["base", "things", path, "end"]
    assert api.last.pairs == [("q", query), ("r", reserved)]
    assert api.last.headers["x-h"] == header
    assert api.last.headers["host"] == api.url.removeprefix("http://")


VALUES = st.recursive(
    st.one_of(st.text(max_size=8), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)
STYLES = ["form", "spaceDelimited", "pipeDelimited", "deepObject", "nonsense"]


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=VALUES, style=st.sampled_from(STYLES), explode=st.booleans(), place=st.sampled_from(["query", "cookie"]))
def test_any_value_in_any_style_leaves_the_other_parameters_alone(
    api: ApiServer, value: Any, style: str, explode: bool, place: str
) -> None:
    parameters = [
        parameter("first"),
        {"name": "v&", "in": "query", "schema": {}, "style": style, "explode": explode},
        parameter("last"),
    ]
    tool = tool_of(of_get(parameters), api.url)
    assert answer(tool, json.dumps({"first": "1", "v": value, "last": "2"})) == "{}"
    assert api.last.path == "/things"
    assert (api.last.pairs[0], api.last.pairs[-1]) == (("first", "1"), ("last", "2"))
