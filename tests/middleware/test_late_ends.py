"""A reply that has arrived whole is kept and recorded, whenever and however its HTTP message ends."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import openai
import pytest

from agentkit import Agent, Limits, ReplyCache
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.evaluation.replay import recorded_or_replayed
from tests.support.lightllm_server import Says, serve_lightllm
from tests.support.model_server import Answer, delta, serve, streamed

PIECES = (delta(content="Hello"), delta(content="."), delta("stop"))
ENDS: dict[str, Answer] = {
    "at once": streamed(*PIECES),
    "late": streamed(*PIECES, linger=0.4),
    "broken off behind [DONE]": streamed(*PIECES, cut=True),
    "broken off behind the finish reason": streamed(*PIECES, done=False, cut=True),
    "without [DONE]": streamed(*PIECES, done=False),
}


def backend(url: str, has_client: bool) -> OpenAIBackend:
    client: Any = openai.OpenAI(base_url=url, api_key="x", max_retries=0) if has_client else None
    return OpenAIBackend("m", client=client) if client else OpenAIBackend("m", base_url=url, max_retries=0)


@pytest.mark.parametrize("has_client", [False, True])
@pytest.mark.parametrize("how", ENDS)
def test_a_whole_reply_is_kept_however_its_message_ends(how: str, has_client: bool, tmp_path: Path) -> None:
    with serve([ENDS[how]]) as server:
        agent = Agent(backend(server.url, has_client), middleware=[ReplyCache(tmp_path / "replies.db")])
        assert ["".join(agent.stream_text("Go.")) for _ in range(3)] == ["Hello."] * 3
        assert len(server.requests) == 1


@pytest.mark.parametrize("has_client", [False, True])
@pytest.mark.parametrize("how", ENDS)
def test_a_whole_reply_is_recorded_however_its_message_ends(how: str, has_client: bool, tmp_path: Path) -> None:
    with serve([ENDS[how]]) as server:
        agent = Agent(backend(server.url, has_client))
        with recorded_or_replayed(tmp_path / "rec", None):
            assert "".join(agent.stream_text("Go.")) == "Hello."
        with recorded_or_replayed(None, tmp_path / "rec"):
            assert "".join(agent.stream_text("Go.")) == "Hello."
        assert len(server.requests) == 1


def test_a_reply_that_broke_off_is_not_kept(tmp_path: Path) -> None:
    broken = streamed(*PIECES[:2], done=False, cut=True)
    with serve([broken, broken, broken, streamed(*PIECES)]) as server:
        agent = Agent(backend(server.url, False), middleware=[ReplyCache(tmp_path / "replies.db")])
        outputs = []
        for _ in range(4):
            with suppress(openai.APIConnectionError):
                outputs.append(agent.run("Go.", limits=Limits(seconds=60)).output)
        assert (set(outputs), len(server.requests)) == ({"Hello."}, 4)


def test_a_text_servers_reply_is_kept(tmp_path: Path) -> None:
    with serve_lightllm([Says("Hello.")]) as server:
        model = LightLLMBackend("Qwen3-8B", server.url)
        agent = Agent(model, middleware=[ReplyCache(tmp_path / "replies.db")])
        assert ["".join(agent.stream_text("Go.")) for _ in range(2)] == ["Hello."] * 2
        assert len(server.requests) == 1
