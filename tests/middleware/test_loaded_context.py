"""Servers that cut a prompt that is too long without a word: Ollama and LM Studio, which report the context of a model
once they have loaded it."""

import json
import logging
from typing import Any

import pytest

from agentkit import Agent, tool
from agentkit.backends import OpenAIBackend
from tests.support.model_server import Answer, Asked, ModelServer, serve, whole

CONTEXT = 4096
BYTES = 4  # per token
REPORTS = {
    "Ollama": ("/api/ps", {"models": [{"name": "m:latest", "model": "m:latest", "context_length": CONTEXT}]}),
    "LM Studio": (
        "/api/v0/models",
        {"data": [{"id": "other", "loaded_context_length": 9}, {"id": "m", "loaded_context_length": CONTEXT}]},
    ),
}


def tokens_of(asked: Asked) -> int:
    return len(json.dumps([asked.body["messages"], asked.body.get("tools", [])])) // BYTES


class Truncating:
    """Such a server. tokens: of each request, before it is cut. It has loaded nothing before the first."""

    def __init__(self, kind: str) -> None:
        self.path, self.report = REPORTS[kind]
        self.tokens: list[int] = []
        self.server: ModelServer

    def __call__(self, asked: Asked) -> Answer:
        self.tokens.append(tokens_of(asked))
        self.server.found[self.path] = self.report
        body = json.loads(whole("An answer. " + "More of it. " * 40).body)
        body["usage"] = {"prompt_tokens": min(self.tokens[-1], CONTEXT), "completion_tokens": 130}
        return Answer(json.dumps(body).encode())


@pytest.mark.parametrize("kind", REPORTS)
@pytest.mark.parametrize("first", [100, 13_000], ids=["short", "long"])
def test_a_history_is_cut_before_a_server_cuts_it_without_a_word(kind: str, first: int) -> None:
    """ollama/ollama#3839, ollama/ollama#14259, NousResearch/hermes-agent#43900, evalstate/fast-agent#128,
    can1357/oh-my-pi#6082"""
    model = Truncating(kind)
    with serve(model) as model.server:
        agent = Agent(OpenAIBackend("m", base_url=model.server.url), instructions="Be kind.")
        messages: list[Any] = []
        for turn in range(12):
            question = f"Question {turn}: " + "x" * (first if turn == 0 else 1500)
            messages = agent.run(question, messages=messages).messages
        sent = [asked.body["messages"] for asked in model.server.requests]
    assert len(messages) == 25
    assert max(model.tokens) < CONTEXT
    assert all(each[0]["content"].startswith("Be kind.") for each in sent)
    assert all(each[-1]["content"].startswith(f"Question {turn}:") for turn, each in enumerate(sent))


def test_a_request_that_no_cut_makes_fit_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """ollama/ollama#18107, co-l/openfox#49"""

    @tool
    def manual(topic: str) -> str:
        """Read."""
        return topic

    model = Truncating("Ollama")
    with serve(model) as model.server, caplog.at_level(logging.WARNING, "agentkit"):
        agent = Agent(OpenAIBackend("m", base_url=model.server.url), instructions="Rule. " * 4000, tools=[manual])
        messages = agent.run("Hello").messages
        for _ in range(2):
            messages = agent.run("And now?", messages=messages).messages
    logged = [each.getMessage() for each in caplog.records if "context of" in each.getMessage()]
    assert len(logged) == 1
    assert "has 4096" in logged[0]
    assert "OLLAMA_CONTEXT_LENGTH" in logged[0]


@pytest.mark.parametrize(
    "report",
    [
        [],
        {"models": None},
        {"models": ["m"]},
        {"models": [{"name": "m", "context_length": "many"}]},
        {"models": [{"name": "m", "context_length": 0}]},
        {"models": [{"name": "another", "context_length": 4096}]},
    ],
    ids=str,
)
def test_a_report_of_another_form_or_model_is_none(report: Any) -> None:
    with serve([whole("Hi")]) as server:
        server.found["/api/ps"] = report
        assert OpenAIBackend("m", base_url=server.url).capabilities(ask=True).context_length is None
