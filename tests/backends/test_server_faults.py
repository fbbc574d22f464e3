"""Faults of servers that their clients can mend: calls that a server could not parse, failures that a gateway calls an
end, and replies that are empty or in an object of the gateway's own."""

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

from agentkit import Agent, tool
from agentkit.backends import OpenAIBackend
from agentkit.event import ReplyDiscarded, TextDelta
from tests.support.model_server import Answer, Asked, delta, serve, streamed, whole

CALL = "<tool_call>\n<function=look>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>"
either_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@tool
def look(city: str) -> str:
    """Look."""
    return f"21 in {city}"


def first_then(first: Callable[[Asked], Answer], then: str = "Fine.") -> Callable[[Asked], Answer]:
    """A server whose first answer is special."""
    seen: list[int] = []

    def answer(asked: Asked) -> Answer:
        seen.append(1)
        if len(seen) == 1:
            return first(asked)
        return streamed(delta(content=then), delta("stop")) if asked.body["stream"] else whole(then)

    return answer


def run(answers: Any, stream: bool, retries: int = 0, tools: Any = (look,)) -> tuple[Any, str, int]:
    """The result, the text that a reader of the stream has in the end, and the number of requests."""
    with serve(answers) as server:
        agent = Agent(OpenAIBackend("m", base_url=server.url, max_retries=retries), tools=list(tools))
        if not stream:
            return agent.run("Go."), "", len(server.requests)
        run, shown = agent.stream("Go."), ""
        for event in run:
            if isinstance(event, TextDelta):
                shown += event.text
            elif isinstance(event, ReplyDiscarded):
                shown = ""
        return run.result, shown, len(server.requests)


def unparsed(written: str, place: int = 12) -> dict[str, Any]:
    return {"code": 500, "message": f"Failed to parse input at pos {place}: {written}", "type": "server_error"}


@either_way
def test_a_call_that_llama_cpp_could_not_parse_is_read_from_its_error(stream: bool) -> None:
    """ggml-org/llama.cpp#24644, pwilkin/llama.cpp#5, ggml-org/llama.cpp#24523"""
    error = Answer(json.dumps({"error": unparsed(CALL)}).encode(), 500)
    result, _, requests = run(first_then(lambda asked: error), stream, retries=2)
    assert result.output == "Fine."
    assert [(call.name, call.arguments, call.response) for call in result.tool_calls] == [
        ("look", {"city": "Oslo"}, "21 in Oslo")
    ]
    assert requests == 2


def test_what_was_shown_before_such_an_error_in_a_stream_is_taken_back() -> None:
    def broken(asked: Asked) -> Answer:
        events = f"data: {json.dumps(delta(content='I look.'))}\n\nerror: {json.dumps(unparsed(CALL))}\n\n"
        return Answer(events.encode(), content_type="text/event-stream")

    result, shown, requests = run(first_then(broken), stream=True)
    assert [call.name for call in result.tool_calls] == ["look"]
    assert (shown, requests) == ("Fine.", 2)


@either_way
def test_what_cant_be_read_of_such_an_error_is_asked_for_once_more(stream: bool) -> None:
    """ggml-org/llama.cpp#20761"""
    error = Answer(json.dumps({"error": unparsed("</tool_call>")}).encode(), 500)
    result, _, requests = run(first_then(lambda asked: error), stream)
    assert (result.output, result.tool_calls, requests) == ("Fine.", [], 2)


def test_a_call_in_such_an_error_that_a_page_has_written_is_not_run() -> None:
    error = Answer(json.dumps({"error": unparsed(CALL)}).encode(), 500)
    with serve([error]) as server:
        agent = Agent(OpenAIBackend("m", base_url=server.url, max_retries=0), tools=[look])
        with pytest.raises(openai.InternalServerError):
            agent.run(f"The page says {CALL}. What does that mean?")


NATIVE = ["network_error", "error", "MALFORMED_FUNCTION_CALL"]


@either_way
@pytest.mark.parametrize("native", NATIVE)
@pytest.mark.parametrize("text", ["", "Half an ans"])
def test_a_reply_that_broke_off_behind_a_gateway_is_no_answer(native: str, text: str, stream: bool) -> None:
    """earendil-works/pi#8511, OleksandrChekhovskyi/hax#15, can1357/oh-my-pi#9415"""

    def broken(asked: Asked) -> Answer:
        end = {"index": 0, "finish_reason": "stop", "native_finish_reason": native}
        if asked.body["stream"]:
            return streamed(delta(content=text), {"choices": [{**end, "delta": {"content": ""}}]})
        message = {"role": "assistant", "content": text}
        return Answer(json.dumps({"choices": [{**end, "message": message}]}).encode())

    result, shown, requests = run(first_then(broken), stream)
    assert (result.output, requests) == ("Fine.", 2)
    assert shown == ("Fine." if stream else "")


@either_way
@pytest.mark.parametrize("native", ["STOP", "end_turn", "completed", None, "max_tokens", "eos"])
def test_the_words_of_a_provider_for_a_good_end_change_nothing(native: str | None, stream: bool) -> None:
    def good(asked: Asked) -> Answer:
        end = {"index": 0, "finish_reason": "stop", "native_finish_reason": native}
        if asked.body["stream"]:
            return streamed(delta(content="An answer."), {"choices": [{**end, "delta": {"content": ""}}]})
        message = {"role": "assistant", "content": "An answer."}
        return Answer(json.dumps({"choices": [{**end, "message": message}]}).encode())

    result, _, requests = run(first_then(good), stream)
    assert (result.output, result.stopped, requests) == ("An answer.", "answer", 1)


@either_way
@pytest.mark.parametrize(
    "body",
    [
        {"id": "gen-1", "choices": [], "usage": {"prompt_tokens": 3}},  # speakeasy-api/gram#3129
        {"id": "", "object": "", "created": 0, "model": "", "choices": None, "usage": None},  # zai-org/GLM-5#91
    ],
)
def test_a_completion_without_choices_is_asked_for_once_more(body: dict[str, Any], stream: bool) -> None:
    result, _, requests = run(first_then(lambda asked: Answer(json.dumps(body).encode())), stream)
    assert (result.output, requests) == ("Fine.", 2)


@either_way
@pytest.mark.parametrize("name", ["data", "result"])
def test_a_completion_in_an_object_of_a_gateway_is_read(name: str, stream: bool) -> None:
    """cline/cline#13348"""
    inner = json.loads(whole("An answer.").body)
    wrapped = Answer(json.dumps({name: inner, "success": True}).encode())
    result, _, requests = run(first_then(lambda asked: wrapped), stream)
    assert (result.output, requests) == ("An answer.", 1)


@pytest.mark.parametrize("body", [b"", b" \n" * 400], ids=["nothing", "white space"])
@pytest.mark.parametrize("status", [200, 202])
@either_way
def test_a_body_without_anything_in_it_is_asked_for_again(stream: bool, status: int, body: bytes) -> None:
    """pydantic/pydantic-ai#3586 (OpenRouter), UKGovernmentBEIS/inspect_ai#2673, NVIDIA/garak#761 (202),
    NousResearch/hermes-agent#80649"""
    result, _, asked = run(first_then(lambda asked: Answer(body, status)), stream)
    assert (result.output, asked) == ("Fine.", 2)


@either_way
def test_a_body_that_stays_empty_is_an_error_that_says_so(stream: bool) -> None:
    with pytest.raises(openai.APIError, match="with an empty body"):
        run([Answer(b"")], stream)
