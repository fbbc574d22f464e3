"""Patterns in schemas as llama.cpp compiles them: one that it doesn't know fails each request that has the tool."""

import re
from typing import Any

import pytest

from agentkit import Agent, Tool
from agentkit.backends import OpenAIBackend
from tests.support.model_server import Answer, Asked, calls, serve, whole

_UNKNOWN = re.compile(r"\\[^\[\]tnru^$.()|{}*+?]|\(\?|\[[^\]]*\\[^\[\]tnru]|[*+?}]\?")
"""What llama.cpp's grammars don't have: other escapes, kinds of groups, punctuation escaped in sets, lazy counts."""

# ggml-org/llama.cpp#27580, #26930, #25895, NousResearch/hermes-agent#18530, #67349, lidge-jun/opencodex#2135,
# aebrer/dreb#422
KNOWN = [
    (r"^\d+$", ["12"], ["", "a", "1a"]),
    (r"^\S+$", ["a-b"], ["a b", ""]),
    (r"^[\w.\-]+@[\w-]+\.[a-z]{2,}$", ["a.b-c@d-e.org"], ["a@b", "a b@c.de"]),
    (r"^(\d+|imap:[A-Za-z0-9_-]+)$", ["7", "imap:a_b-c"], ["imap:", "x"]),
    (r"^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2})?$", ["2026-12-01", "2026-12-01T10:00"], ["2026-12-1"]),
    (r"^https?:\/\/.+$", ["http://a"], ["ftp://a"]),
    (r"^[-+]?\d+(?:\.\d+)??$", ["-1.5", "+2"], ["1."]),
    (r"^[\u4e00-\u9fa5]+$", ["中文"], ["a"]),
    (r"^é+$", ["éé"], ["e"]),
    (r"^[^\s/]+$", ["ab"], ["a/b", "a b"]),
]
TOLD = [r"\S", r"^\d", r"^a|b$", r"^$", r"^a}$", r"^a]$", r"^{a}$", r'^"a"$', r"^a\$", r"^\\d$", r"^[\D-]$", r"^a$|^b$"]


def sent(regex: str, nested: bool = False) -> dict[str, Any]:
    """The schema of a tool's argument with this pattern, as a self-hosted server gets it."""
    text: dict[str, Any] = {"type": "string", "pattern": regex}
    argument = {"type": "array", "items": text} if nested else text
    parameters = {"type": "object", "properties": {"x": argument}, "required": ["x"]}
    look = Tool("look", "Look.", parameters, lambda x: "21")
    with serve([whole("Fine.")]) as server, Agent(OpenAIBackend("m", base_url=server.url), tools=[look]) as agent:
        assert agent.run("Hi.").output == "Fine."
        found: dict[str, Any] = server.requests[0].body["tools"][0]["function"]["parameters"]["properties"]["x"]
        return found["items"] if nested else found


@pytest.mark.parametrize(("regex", "right", "wrong"), KNOWN)
@pytest.mark.parametrize("nested", [False, True])
def test_a_pattern_is_sent_as_grammars_have_it_and_means_the_same(
    regex: str, right: list[str], wrong: list[str], nested: bool
) -> None:
    made = sent(regex, nested)["pattern"]
    assert not _UNKNOWN.search(made)
    assert [re.search(made, each) is not None for each in (*right, *wrong)] == [True] * len(right) + [False] * len(
        wrong
    )


@pytest.mark.parametrize("regex", TOLD)
def test_a_pattern_that_grammars_do_not_have_is_told_in_words(regex: str) -> None:
    made = sent(regex)
    assert "pattern" not in made
    assert regex in made["description"]


def test_an_argument_against_a_pattern_that_was_told_is_still_an_error_for_the_model() -> None:
    ran: list[str] = []
    parameters = {"type": "object", "properties": {"x": {"type": "string", "pattern": r"\S"}}, "required": ["x"]}
    look = Tool("look", "Look.", parameters, lambda x: ran.append(x) or "21")  # type: ignore[func-returns-value]

    def answer(asked: Asked) -> Answer:
        if "pattern" in asked.body["tools"][0]["function"]["parameters"]["properties"]["x"]:
            return Answer(b'{"error": {"code": 400, "message": "failed to parse grammar"}}', 400)
        results = [each for each in asked.body["messages"] if each["role"] == "tool"]
        return calls(("look", {"x": "  " if not results else "a"})) if len(results) < 2 else whole("Fine.")

    with serve(answer) as server, Agent(OpenAIBackend("m", base_url=server.url), tools=[look]) as agent:
        assert agent.run("Hi.").output == "Fine."
    assert ran == ["a"]
