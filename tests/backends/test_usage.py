"""Bookkeeping never costs a reply: usage in any form, and other fields that no answer is made of."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent
from agentkit.backends import LightLLMBackend
from agentkit.backends.usage import usage_in, usage_of
from agentkit.lightllm import OpenAICompatibleClient
from agentkit.limits import Usage
from tests.support.lightllm_server import Says, serve_lightllm
from tests.support.model_server import Answer, delta, serve, streamed, whole


def spent(usage: Any, **fields: Any) -> list[Usage]:
    """The usage of a run that is whole, streamed with it in a last chunk, and streamed with it in each chunk."""
    in_each = [{**delta(content="Hi."), "usage": usage}, {**delta("stop"), "usage": usage}]
    answers = [
        whole("Hi.", usage=usage),
        streamed(delta(content="Hi."), delta("stop"), {"choices": [], "usage": usage, **fields}),
        streamed(*in_each, {"choices": None, "usage": usage, **fields}),
    ]
    made = []
    for place, answer in enumerate(answers):
        with serve([answer]) as server, Agent(f"openai:m@{server.url}") as agent:
            result = list(agent.stream("Hi"))[-1].result if place else agent.run("Hi")  # type: ignore[attr-defined]
            assert (result.output, result.stopped, len(server.requests)) == ("Hi.", "answer", 1)
            made.append(result.usage)
    return made


FORMS: list[tuple[Any, dict[str, Any]]] = [
    (57, {}),
    ("many", {}),
    (True, {}),
    ([], {}),
    ([1, None, "x"], {}),
    ([{"prompt_tokens": 4}, {"completion_tokens": 2}], {"input_tokens": 4, "output_tokens": 2}),
    ('{"prompt_tokens": 6, "completion_tokens": 1}', {"input_tokens": 6, "output_tokens": 1}),
    ({"prompt_tokens": "12", "completion_tokens": "3"}, {"input_tokens": 12, "output_tokens": 3}),
    ({"prompt_tokens": "1,234", "completion_tokens": " 3 "}, {"input_tokens": 1234, "output_tokens": 3}),
    ({"prompt_tokens": 7.0, "completion_tokens": float("nan")}, {"input_tokens": 7}),
    ({"prompt_tokens": -4, "completion_tokens": None}, {}),
    ({"prompt_tokens": True, "completion_tokens": "a few"}, {}),
    ({"prompt_tokens": {"text": 3}, "completion_tokens": [3]}, {}),
    ({"prompt_tokens": 10**400, "completion_tokens": float("inf")}, {}),
    (
        {
            "prompt_tokens": 9,
            "completion_tokens": 2,
            "prompt_tokens_details": [{"modality": "TEXT", "token_count": 9}],
            "completion_tokens_details": [{"modality": "TEXT", "reasoning_tokens": "1"}],
        },
        {"input_tokens": 9, "output_tokens": 2, "reasoning_tokens": 1},
    ),
    ({"prompt_tokens": 5, "prompt_tokens_details": "none", "completion_tokens_details": 7}, {"input_tokens": 5}),
    ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": "3"}}, {"input_tokens": 5, "cached_tokens": 3}),
    (
        {"input_tokens": 3, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 1, "output_tokens": 2},
        {"input_tokens": 14, "cached_tokens": 10, "output_tokens": 2},
    ),
    (  # decolua/9router#2209: a gateway that has the cached ones beside the others under OpenAI's names
        {"prompt_tokens": 3, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 1, "completion_tokens": 2},
        {"input_tokens": 14, "cached_tokens": 10, "output_tokens": 2},
    ),
    (
        {"prompt_tokens": 14, "cache_read_input_tokens": 10, "completion_tokens": 2},
        {"input_tokens": 14, "cached_tokens": 10, "output_tokens": 2},
    ),
    (
        {"promptTokenCount": 5, "candidatesTokenCount": 6, "thoughtsTokenCount": 2},
        {"input_tokens": 5, "output_tokens": 6, "reasoning_tokens": 2},
    ),
    ({"prompt_tokens": 4, "cost": "$0.02"}, {"input_tokens": 4}),
    ({"prompt_tokens": 4, "cost": 0}, {"input_tokens": 4, "cost": 0.0}),
    ({"prompt_tokens": 4, "cost": {"input_tokens_cost": 0.2, "total_cost": 0.5}}, {"input_tokens": 4, "cost": 0.5}),
    ({"prompt_tokens": 4, "cost": ["?"]}, {"input_tokens": 4}),
]


@pytest.mark.parametrize(("usage", "read"), FORMS, ids=[json.dumps(usage)[:50] for usage, _ in FORMS])
def test_an_answer_stands_whatever_its_usage_is_and_what_can_be_read_counts(usage: Any, read: dict[str, Any]) -> None:
    for made in spent(usage):
        assert made == Usage(requests=1, seconds=made.seconds, **read)


def test_the_last_counts_stand_and_one_without_a_value_does_not_undo_them() -> None:
    chunks = [
        {**delta(content="H"), "usage": {"prompt_tokens": 9, "completion_tokens": 1}},
        {**delta(content="i."), "usage": {"prompt_tokens": 9, "completion_tokens": 5}},
        {**delta("stop"), "usage": {"prompt_tokens": 0, "completion_tokens": None}},
        {"choices": [], "usage": None},
    ]
    with serve([streamed(*chunks)]) as server, Agent(f"openai:m@{server.url}") as agent:
        usage = list(agent.stream("Hi"))[-1].result.usage  # type: ignore[attr-defined]
    assert (usage.input_tokens, usage.output_tokens) == (9, 5)


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": [], "x_groq": {"usage": {"prompt_tokens": 8}}},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 8}}]},
        {"usageMetadata": {"promptTokenCount": 8}},
    ],
)
def test_usage_is_found_where_servers_put_it(chunk: dict[str, Any]) -> None:
    with serve([streamed(delta(content="Hi."), delta("stop"), chunk)]) as server:
        with Agent(f"openai:m@{server.url}") as agent:
            result = list(agent.stream("Hi"))[-1].result  # type: ignore[attr-defined]
    assert (result.output, result.usage.input_tokens) == ("Hi.", 8)


BOOKKEEPING = [
    "created",
    "id",
    "model",
    "object",
    "system_fingerprint",
    "service_tier",
    "x_groq",
    "timings",
    "provider",
]


@pytest.mark.parametrize("value", [None, 0, -1.5, True, "x", [], [1], {}, {"a": [None]}], ids=repr)
def test_other_bookkeeping_of_any_type_costs_nothing(value: Any) -> None:
    noise = dict.fromkeys(BOOKKEEPING, value)
    chunks = [{**delta(content="Hi."), **noise}, {**delta("stop"), **noise}, {"choices": None, **noise}]
    for chunk in chunks[:2]:
        chunk["choices"][0] |= {"logprobs": value, "content_filter_results": value, "stop_reason": value}
    message = {"choices": [{"message": {"content": "Hi."}, "logprobs": value, "finish_reason": "stop"}], **noise}
    answers = [streamed(*chunks), Answer(json.dumps(message).encode())]
    with serve(answers) as server, Agent(f"openai:m@{server.url}") as agent:
        assert list(agent.stream("Hi"))[-1].result.output == "Hi."  # type: ignore[attr-defined]
        assert agent.run("Hi").output == "Hi."
        assert len(server.requests) == 2


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["prompt_tokens", "completion_tokens", "cost", "prompt_tokens_details", "usage", "total"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(usage=values, choices=values, groq=values)
def test_no_usage_raises_and_every_count_is_a_number_of_at_least_0(usage: Any, choices: Any, groq: Any) -> None:
    made = usage_of(usage_in({"usage": usage, "choices": choices, "x_groq": groq}))
    assert all(type(count) is int and count >= 0 for count in (made.input_tokens, made.output_tokens))
    assert type(made.cached_tokens) is type(made.reasoning_tokens) is int
    assert made.cost is None or made.cost >= 0


ODD: list[Any] = ["7", None, [7], {"a": 1}, True, -3, 1.0, "x"]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_counts_of_any_type_cost_no_reply_of_lightllm(odd: Any) -> None:
    whole_one = {"generated_text": ["Hi."], "count_output_tokens": odd, "prompt_tokens": odd, "details": odd}
    whole_one |= {"finish_reason": "stop", "logprobs": odd}
    token = {"id": odd, "text": "Hi.", "prompt_tokens": odd, "count_output_tokens": odd, "logprobs": odd}
    frame = {"token": token, "generated_text": odd, "finished": True, "finish_reason": odd, "details": odd}
    says = [Says(raw=json.dumps(whole_one).encode()), Says(raw=f"data: {json.dumps(frame)}\n\n".encode())]
    with serve_lightllm(says) as server:
        backend = LightLLMBackend("Qwen3-8B", server.url)
        agent = Agent(backend)
        results = [agent.run("Hi"), list(agent.stream("Hi"))[-1].result]  # type: ignore[attr-defined]
        backend.close()
    for result in results:
        assert (result.output, result.usage.input_tokens) == (
            "Hi.",
            7 if odd == "7" else 1 if odd == 1.0 and odd is not True else 0,
        )


@pytest.mark.parametrize("usage", [["x"], "x", 7, {"prompt_tokens": "12"}], ids=repr)
def test_usage_of_any_type_costs_no_reply_of_a_client(usage: Any) -> None:
    answers = [whole("Hi.", usage=usage), streamed({**delta(content="Hi."), "usage": usage}, delta("stop"))]
    with serve(answers) as server:
        client = OpenAICompatibleClient("k", server.url)
        options: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
        assert client.chat.completions.create(**options).choices[0].message.content == "Hi."
        parts = list(client.chat.completions.create(**options, stream=True))
        client.close()
    assert [part.choices[0].delta.content for part in parts] == ["Hi.", None]
