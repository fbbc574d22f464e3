"""Several answers to one chat completion (`n`): a run for each, where no tool has an effect more than once.

abetlen/llama-cpp-python#1906, vllm-project/vllm-omni#4269: `n` was taken, and one answer given.
"""

from pathlib import Path
from typing import Any

import openai
import pytest

from agentkit import tool
from tests.serving.http.test_client_tools import WEATHER, user
from tests.support.http_service import LOOK_UP, Service
from tests.support.model_server import Answer, Asked, calls, delta, streamed, whole
from tests.support.scripted_agent import agent

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


@tool(read_only=True)
def read_page(page: int) -> str:
    """Read a page."""
    return f"page {page}"


READ_PAGE = f"{__name__}:read_page"


def by_seed(asked: Asked) -> Answer:
    text = f"answer {asked.body.get('seed')}"
    if asked.body.get("stream"):
        return streamed(delta(content=text), delta("stop"), {"choices": [], "usage": USAGE})
    return whole(text, usage=USAGE)


def created(service: Service, **fields: Any) -> Any:
    client = openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0)
    return client.chat.completions.create(model="agentkit", messages=[user("x")], **fields)  # type: ignore[list-item]


def test_each_answer_is_a_choice_whole_and_streamed(tmp_path: Path) -> None:
    with agent(tmp_path, by_seed, agentkit_tools=(READ_PAGE,)) as (service, server):
        made = created(service, n=3, seed=5)
        assert [(each.index, each.message.content) for each in made.choices] == [
            (0, "answer 5"),
            (1, "answer 6"),
            (2, "answer 7"),
        ]
        assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (21, 9)
        chunks = list(created(service, n=2, seed=5, stream=True, stream_options={"include_usage": True}))
        texts = {0: "", 1: ""}
        endings = []
        for choice in (choice for chunk in chunks for choice in chunk.choices):
            texts[choice.index] += choice.delta.content or ""
            endings += [(choice.index, choice.finish_reason)] if choice.finish_reason else []
        assert texts == {0: "answer 5", 1: "answer 6"}
        assert endings == [(0, "stop"), (1, "stop")]
        assert chunks[-1].usage.total_tokens == 20
        assert len({chunk.id for chunk in chunks}) == 1
        assert all("n" not in asked.body for asked in server.requests)


def test_calls_of_the_clients_tools_are_calls_of_each_answer(tmp_path: Path) -> None:
    with agent(tmp_path, [calls(("weather", {"city": "Rome"}))], agentkit_tools=(READ_PAGE,)) as (service, _):
        choices = created(service, n=2, tools=[WEATHER]).choices
        assert [each.message.tool_calls[0].function.name for each in choices] == ["weather", "weather"]
        assert {each.finish_reason for each in choices} == {"tool_calls"}


@pytest.mark.parametrize(
    ("tool_name", "fields", "status"),
    [
        pytest.param(LOOK_UP, {"n": 2}, 400, id="a tool with effects"),
        pytest.param(LOOK_UP, {"n": 1}, 200, id="one answer"),
        pytest.param(LOOK_UP, {"n": 2, "tool_choice": "none"}, 200, id="not offered"),
        pytest.param(READ_PAGE, {"n": 2}, 200, id="a tool that reads"),
        pytest.param(READ_PAGE, {"n": 0}, 400, id="none"),
        pytest.param(READ_PAGE, {"n": 17}, 400, id="too many"),
    ],
)
def test_no_tool_has_its_effect_twice(tool_name: str, fields: Any, status: int, tmp_path: Path) -> None:
    with agent(tmp_path, [whole("Hi")], agentkit_tools=(tool_name,)) as (service, server):
        body = {"model": "agentkit", "messages": [user("x")], **fields}
        response = service.ask("POST", "/v1/chat/completions", body)
        assert response.status_code == status, response.text
        assert len(server.requests) == (fields["n"] if status == 200 else 0)
        assert status == 200 or response.json()["error"]["param"] == "n"


def test_a_stream_that_fails_in_its_second_answer_ends_with_the_error(tmp_path: Path) -> None:
    refusal = Answer(b'{"error": {"message": "no"}}', status=400)
    with agent(tmp_path, [streamed(delta(content="Hi"), delta("stop")), refusal], agentkit_tools=(READ_PAGE,)) as (
        service,
        _,
    ):
        with pytest.raises(openai.APIError, match="no"):
            list(created(service, n=2, stream=True))
