"""client.completions: texts that continue raw prompts, over `/generate`, in OpenAI's form."""

import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from agentkit import LightLLMClient, OpenAICompatibleClient
from tests.support.lightllm_server import Asked, LightLLMServer, Says, serve_lightllm
from tests.support.llama_server import LlamaServer


@pytest.fixture
def server() -> Iterator[LightLLMServer]:
    with serve_lightllm(["one two three"]) as running:
        yield running


@pytest.fixture
def client(server: LightLLMServer) -> Iterator[LightLLMClient]:
    with LightLLMClient(base_url=server.url) as made:
        yield made


def test_a_prompt_is_sent_as_it_is(server: LightLLMServer, client: LightLLMClient) -> None:
    answer = client.completions.create("<|im_start|>user\nHi", model="Qwen3-8B", max_tokens=3)
    assert openai.types.Completion in type(answer).__mro__
    assert (answer.object, answer.model) == ("text_completion", "Qwen3-8B")
    assert answer.choices[0].text == answer["choices"][0]["text"] == "one two three"
    assert (answer.choices[0].finish_reason, answer.choices[0].logprobs) == ("length", None)
    assert answer.usage.completion_tokens == 3
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 3
    asked = server.requests[-1]
    assert (asked.path, asked.prompt) == ("/generate", "<|im_start|>user\nHi")
    assert asked.parameters == {
        "do_sample": True,
        "max_new_tokens": 3,
        "add_special_tokens": True,
        "skip_special_tokens": False,
    }


def test_sampling_and_the_servers_own_parameters_are_sent(server: LightLLMServer, client: LightLLMClient) -> None:
    client.completions.create(
        prompt="Hi",
        temperature=0,
        top_p=0.5,
        seed=7,
        frequency_penalty=0.5,
        user="me",
        extra_body={"min_new_tokens": 2},
    )
    sent = server.requests[-1].parameters
    assert (sent["do_sample"], sent["top_p"], sent["seed"], sent["frequency_penalty"]) == (False, 0.5, 7, 0.5)
    assert (sent["min_new_tokens"], sent["max_new_tokens"], "user" in sent) == (2, 16, False)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_several_prompts_get_a_choice_each(server: LightLLMServer, client: LightLLMClient, stream: bool) -> None:
    prompts = ["first", "second"]
    if stream:
        options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = list(client.completions.create(prompts, echo=True, **options))
        texts = ["", ""]
        for chunk in chunks:
            for choice in chunk.choices:
                texts[choice.index] += choice.text
        reasons = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
        usage = chunks[-1].usage
    else:
        answer = client.completions.create(prompts, echo=True)
        texts, usage = [choice.text for choice in answer.choices], answer.usage
        reasons = [choice.finish_reason for choice in answer.choices]
    assert texts == ["firstone two three", "secondone two three"]
    assert reasons == ["stop", "stop"]
    assert usage.completion_tokens == 8
    assert sorted(asked.prompt for asked in server.requests) == prompts


def test_prompts_are_answered_at_once_and_in_order() -> None:
    together = threading.Barrier(8, timeout=10)

    def says(asked: Asked) -> str:
        together.wait()
        return f"to {asked.prompt}"

    prompts = [f"prompt {number}" for number in range(8)]
    with serve_lightllm(says) as server, LightLLMClient(base_url=server.url) as client:
        answer = client.completions.create(prompts)
    assert [choice.text for choice in answer.choices] == [f"to {prompt}" for prompt in prompts]


def test_n_choices_are_numbered_by_prompt(client: LightLLMClient) -> None:
    answer = client.completions.create(["a", "b"], n=2)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]


def test_ids_of_tokens_are_a_prompt(server: LightLLMServer, client: LightLLMClient) -> None:
    client.completions.create([1, 2, 3])
    assert server.requests[-1].body["inputs"] == [1, 2, 3]
    assert len(client.completions.create([[1], [2, 3]]).choices) == 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_stop_string_is_cut(client: LightLLMClient, stream: bool) -> None:
    answer = client.completions.create("Hi", stop=[" three", "o th"], stream=stream, logprobs=0)
    choices = [chunk.choices[0] for chunk in answer] if stream else [answer.choices[0]]
    assert "".join(choice.text for choice in choices) == "one tw"
    assert choices[-1].finish_reason == "stop"
    told = [token for choice in choices if choice.logprobs for token in choice.logprobs.tokens]
    assert told == ["one", " two"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_logprobs_are_in_openais_form(client: LightLLMClient, stream: bool) -> None:
    answer = client.completions.create("Hi", echo=True, logprobs=1, max_tokens=3, stream=stream)
    choices = [chunk.choices[0] for chunk in answer] if stream else [answer.choices[0]]
    told: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for choice in choices:
        if choice.logprobs is not None:
            for name, values in told.items():
                values += choice.logprobs[name]
    assert told == {
        "tokens": ["Hi", "one", " two", " three"],
        "token_logprobs": [None, -0.25, -0.25, -0.25],
        "top_logprobs": [None, {"one": -0.25}, {" two": -0.25}, {" three": -0.25}],
        "text_offset": [0, 2, 5, 9],
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"prompt": "a", "suffix": "b"}, "suffix="),
        ({"prompt": "a", "best_of": 3}, "best_of=3"),
        ({"prompt": "a", "n": 2, "stream": True}, "n=2 with stream"),
        ({"prompt": [1, 2], "echo": True}, "echo=True"),
        ({"prompt": []}, "prompt must be"),
        ({"prompt": ""}, "a prompt is empty"),
        ({"prompt": [1, "a"]}, "prompt must be"),
        ({"prompt": "a", "max_tokens": 0}, "max_new_tokens"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_can_not_be_done_is_refused_by_name(client: LightLLMClient, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(openai.BadRequestError, match=said):
        client.completions.create(**arguments)


def test_errors_in_a_stream_come_after_its_text() -> None:
    with serve_lightllm([Says("one two three", error_after=2, error="out of memory")]) as server:
        with LightLLMClient(base_url=server.url) as client:
            chunks = client.completions.create("Hi", stream=True)
            assert next(chunks).choices[0].text == "one"
            with pytest.raises(openai.APIError, match="out of memory"):
                list(chunks)


def test_a_compatible_server_is_asked_itself(llama: LlamaServer) -> None:
    clients = [
        OpenAICompatibleClient(base_url=llama.url),
        LightLLMClient(base_url=llama.root, mode="chat"),
        openai.OpenAI(base_url=llama.url, api_key="k"),
    ]
    for client in clients:
        with client:
            answer = client.completions.create(model="tiny", prompt="Hello", max_tokens=4)
            chunks = client.completions.create(model="tiny", prompt="Hello", max_tokens=4, stream=True)
            assert "".join(chunk.choices[0].text for chunk in chunks) == answer.choices[0].text
            assert answer.usage is not None
            assert answer.usage.completion_tokens > 0
