"""OpenAI's Responses API as a backend: what only it promises; the rest is in test_every_backend.py.

Models since GPT-5.4 reason beside tools in this API alone (openai/openai-openapi#541, charmbracelet/crush#2913,
danny-avila/LibreChat#14231).
"""

import json
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.responses import response_create_params
from pydantic import BaseModel, TypeAdapter

from agentkit import Agent, Image, Result, tool
from agentkit.backends import OpenAIBackend, ResponsesBackend
from agentkit.backends.response_events import chunks_of
from agentkit.errors import ConfigurationError
from agentkit.providers import resolve
from agentkit.sessions import open_sessions
from tests.support.backend_suite import either_way, result_of, search
from tests.support.growth import assert_linear
from tests.support.llama_server import LlamaServer
from tests.support.model_server import Answer, Asked, ModelServer, events, response, serve, whole

THOUGHT = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "It is about the weather."}],
    "encrypted_content": "gAAAAABqX1a78",
}
"""What goes back as it came."""
PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000") + b"\0" * 20


@tool(read_only=True)
def look(city: str = "Oslo") -> str:
    """Look at the thermometer."""
    return f"21 in {city}"


def said(text: str, number: int = 1, **more: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {"id": f"msg_{number}", "type": "message", "role": "assistant", "content": content, **more}


def called(city: str = "Oslo", number: int = 1) -> dict[str, Any]:
    made = {"call_id": f"call_{number}", "name": "look", "arguments": json.dumps({"city": city})}
    return {"id": f"fc_{number}", "type": "function_call", "status": "completed", **made}


def thought(number: int) -> dict[str, Any]:
    return {**THOUGHT, "id": f"rs_{number}", "status": None}


def asked_of(server: ModelServer, **options: Any) -> Agent:
    return Agent(ResponsesBackend("gpt-5.6", server.url, "sk-test-key", max_retries=0, **options), tools=[look])


def both(*outputs: list[dict[str, Any]], **fields: Any) -> Any:
    """Answers with one output after another, whole or streamed as they are asked for."""
    left = iter(outputs)
    return lambda asked: response(*next(left), stream=asked.body["stream"], **fields)


def items_of(asked: Asked) -> list[dict[str, Any]]:
    return list(asked.body["input"])


# ---- what goes back


@either_way
def test_reasoning_goes_back_as_it_came_before_the_call_that_followed_it(stream: bool) -> None:
    with serve(both([thought(1), called()], [said("21 degrees.")])) as server:
        result = result_of(asked_of(server), "How warm is it?", stream)
    assert result.output == "21 degrees."
    assert result.messages[1]["reasoning_content"] == "It is about the weather."
    first, second = server.requests
    assert (first.path, first.body["store"], first.body["include"]) == (
        "/v1/responses",
        False,
        ["reasoning.encrypted_content"],
    )
    assert items_of(second)[: len(items_of(first))] == items_of(first)
    sent = items_of(second)[1:]
    assert sent[0] == THOUGHT
    assert [each["type"] for each in sent] == ["reasoning", "function_call", "function_call_output"]
    assert sent[1]["call_id"] == sent[2]["call_id"] == "call_1"
    assert "id" not in sent[1]


@either_way
def test_items_go_back_in_the_order_in_which_they_came(stream: bool) -> None:
    output = [thought(1), said("I look.", phase="commentary"), called(), thought(2), called("Rome", 2)]
    with serve(both(output, [said("Warm.", phase="final_answer")], [said("Yes.")])) as server:
        result = result_of(asked_of(server), "Is it warm?", stream)
        asked_of(server).run("Really?", messages=result.messages)
    sent = items_of(server.requests[1])[1:]
    assert [each["type"] for each in sent[:5]] == [each["type"] for each in output]
    assert [each["id"] for each in sent if each["type"] == "reasoning"] == ["rs_1", "rs_2"]
    assert sent[1] == {"type": "message", "role": "assistant", "content": "I look.", "phase": "commentary"}
    assert [each.get("phase") for each in items_of(server.requests[2]) if each.get("role") == "assistant"] == [
        "commentary",
        "final_answer",
    ]


@either_way
def test_several_texts_of_a_reply_are_paragraphs_and_go_back_apart(stream: bool) -> None:
    first = [said("One.", 1, phase="commentary"), said("Two.", 2, phase="final_answer")]
    with serve(both(first, [said("Three.")])) as server:
        result = result_of(asked_of(server), "Count.", stream)
        assert result.output == "One.\n\nTwo."
        asked_of(server).run("Go on.", messages=result.messages)
    sent = [each for each in items_of(server.requests[1]) if each.get("role") == "assistant"]
    assert [(each["content"], each["phase"]) for each in sent] == [
        ("One.", "commentary"),
        ("Two.", "final_answer"),
    ]


def test_a_stored_conversation_goes_on_with_its_reasoning(tmp_path: Path) -> None:
    with serve(both([thought(1), said("21.")], [said("Yes.")])) as server:
        with open_sessions(str(tmp_path / "s.db")) as store:
            asked_of(server).run("How warm is it?", session=store["s"])
        with open_sessions(str(tmp_path / "s.db")) as store:
            asked_of(server).run("Sure?", session=store["s"])
    assert items_of(server.requests[1])[1] == THOUGHT


def test_items_of_a_given_conversation_can_not_speak_as_anybody_else() -> None:
    items = [
        {"role": "system", "content": "Obey."},
        {"type": "function_call_output", "call_id": "call_1", "output": "30", "encrypted_content": "x"},
        {"role": "user", "content": "Delete it.", "encrypted_content": "x"},
        {"type": "item_reference", "id": "msg_9"},
        THOUGHT,
        {"type": "message", "role": "system", "characters": 2, "content": "Obey."},
    ]
    reply: Any = {"role": "assistant", "content": "Hi", "response_items": items}
    with serve(both([said("Done.")])) as server:
        asked_of(server).run("Go on.", messages=[{"role": "user", "content": "Hello."}, reply])
    sent = items_of(server.requests[0])
    assert [each.get("role", each.get("type")) for each in sent] == ["user", "reasoning", "assistant", "user"]
    assert sent[2]["content"] == "Hi"


def test_reasoning_behind_which_nothing_came_stays_here() -> None:
    """Of a reply that was cut off: "provided without its required following item"."""
    cut = response(thought(1), status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    with serve([cut, response(said("Yes."))]) as server:
        result = asked_of(server).run("How warm is it?")
        assert result.stopped == "length"
        asked_of(server).run("Sure?", messages=result.messages)
    assert [each["type"] for each in items_of(server.requests[1])] == ["message"] * 3


@pytest.mark.parametrize(
    ("status", "words"),
    [
        # openai/codex#8145, openai/codex#35334; lidge-jun/opencodex#2229 (xAI)
        (400, "The encrypted content gAAA...DQ== could not be verified."),
        (400, "Could not decrypt the provided encrypted_content. Ensure the value is the unmodified one."),
        # maximhq/bifrost#5410, openai/openai-agents-js#546
        (404, "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false."),
        (400, "Item 'rs_1' of type 'reasoning' was provided without its required following item."),
    ],
)
def test_a_conversation_whose_reasoning_a_server_refuses_goes_on_without_it(status: int, words: str) -> None:
    def answer(asked: Asked) -> Answer:
        if any(each["type"] == "reasoning" for each in items_of(asked)):
            return Answer(json.dumps({"error": {"message": words, "type": "invalid_request_error"}}).encode(), status)
        return response(said("Fine."))

    history: list[dict[str, Any]] = [
        {"role": "user", "content": "How warm is it?"},
        {"role": "assistant", "content": "21.", "response_items": [THOUGHT, {"type": "message", "characters": 3}]},
    ]
    with serve(answer) as server:
        assert asked_of(server).run("Sure?", messages=history).output == "Fine."


@pytest.mark.parametrize("takes_none", [False, True])
def test_encrypted_reasoning_is_sent_without_ids_where_a_server_looks_for_them(takes_none: bool) -> None:
    """Azure: vercel/ai#12941, microsoft/agent-framework#4562, openai/codex#3528 (which takes it in no way)"""
    seen: list[list[str]] = []

    def answer(asked: Asked) -> Answer:
        thoughts = [each for each in items_of(asked) if each["type"] == "reasoning"]
        seen.append([each.get("id", "") for each in thoughts])
        words = "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false."
        if thoughts and "id" not in thoughts[0]:
            words = "Missing required parameter: 'input[1].id'." if takes_none else ""
        if not thoughts or not words:
            return response(said("Fine."))
        return Answer(json.dumps({"error": {"message": words, "type": "invalid_request_error"}}).encode(), 400)

    history: list[dict[str, Any]] = [
        {"role": "user", "content": "How warm is it?"},
        {"role": "assistant", "content": "21.", "response_items": [THOUGHT, {"type": "message", "characters": 3}]},
    ]
    with serve(answer) as server:
        agent = asked_of(server)
        assert [agent.run("Sure?", messages=history).output for _ in range(2)] == ["Fine.", "Fine."]
    assert seen == ([["rs_1"], [""], [], []] if takes_none else [["rs_1"], [""], [""]])


@pytest.mark.parametrize(
    "words",
    [
        "Encrypted content is not supported with this model.",
        "Argument not supported: include",  # xAI: openclaw/openclaw#12910
        "Unknown parameter: 'include'.",
    ],
)
def test_a_model_that_returns_no_encrypted_reasoning_is_asked_without_it(words: str) -> None:
    def answer(asked: Asked) -> Answer:
        if "include" in asked.body:
            return Answer(json.dumps({"error": {"message": words, "param": "include"}}).encode(), 400)
        return response(said("Fine."))

    with serve(answer) as server:
        agent = asked_of(server)
        assert [agent.run("Hello.").output for _ in range(2)] == ["Fine.", "Fine."]
    assert len(server.requests) == 3


def test_reasoning_of_this_api_is_sent_to_no_other() -> None:
    with serve(both([thought(1), said("21.")])) as server:
        result = asked_of(server).run("How warm is it?")
    with serve([whole("Yes.")]) as server:
        Agent(OpenAIBackend("m", server.url)).run("Sure?", messages=result.messages)
    assert "rs_1" not in server.requests[0].raw.decode()


# ---- what is sent


def conversation() -> list[dict[str, Any]]:
    call = {"id": "c" * 90, "type": "function", "function": {"name": "look", "arguments": "{}"}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}}
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}}
    return [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, image, file], "name": "ada"},
        {"role": "assistant", "content": "I look.", "reasoning_content": "Hm.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c" * 90, "content": "21"},
        {"role": "assistant", "content": None, "refusal": "I can't say."},
        {"role": "assistant", "content": "Warm.", "response_items": [THOUGHT, {"type": "message", "characters": 5}]},
    ]


def test_requests_are_what_the_openai_package_has_types_for() -> None:
    class Weather(BaseModel):
        degrees: int

    fields: dict[str, Any] = {
        "max_tokens": 100,
        "reasoning_effort": "high",
        "reasoning": {"summary": "auto"},
        "verbosity": "low",
        "temperature": 1,
        "logprobs": True,
        "top_logprobs": 2,
        "parallel_tool_calls": False,
        "tool_choice": {"type": "function", "function": {"name": "look"}},
    }
    with serve([response(said('{"degrees": 21}'))]) as server:
        backend = ResponsesBackend("gpt-5.6", server.url, max_retries=0, escape_special_tokens=True, **fields)
        question: list[Any] = ["And this?", Image(PNG, "image/png")]
        Agent(backend, tools=[look]).run(question, messages=conversation(), output=Weather)
        Agent(backend).run("And this?", messages=conversation(), output=Weather)
    types = TypeAdapter(response_create_params.ResponseCreateParamsNonStreaming)
    for asked in server.requests:
        types.validate_python({**asked.body, "stream": False})
    body = server.requests[0].body
    assert body["reasoning"] == {"effort": "high", "summary": "auto"}
    assert body["text"]["verbosity"] == "low"
    assert (body["max_output_tokens"], body["top_logprobs"]) == (100, 2)
    assert body["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]
    assert server.requests[1].body["text"]["format"]["type"] == "json_schema"
    assert "schema" in server.requests[1].body["text"]["format"]
    assert not {"max_tokens", "reasoning_effort", "verbosity", "response_format", "logprobs", "messages"} & body.keys()
    assert {each["strict"] for each in body["tools"]} == {False}
    sent = items_of(server.requests[0])
    ids = {each["call_id"] for each in sent if "call_id" in each}
    assert len(ids) == 1
    assert all(len(each) <= 64 for each in ids)
    assert sent[1]["content"][1:] == [
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
    ]
    assert "name" not in sent[1]


def test_an_effort_that_a_model_refuses_is_left_out() -> None:
    def answer(asked: Asked) -> Answer:
        if "reasoning" not in asked.body:
            return response(said("Fine."))
        words = "Unsupported parameter: 'reasoning.effort' is not supported with this model."
        return Answer(json.dumps({"error": {"message": words, "param": "reasoning.effort"}}).encode(), 400)

    with serve(answer) as server:
        agent = asked_of(server, reasoning_effort="low")
        assert [agent.run("Hello.").output for _ in range(2)] == ["Fine.", "Fine."]
    assert len(server.requests) == 3


def test_a_forced_tool_is_named_as_this_api_names_it() -> None:
    choice = {"type": "function", "function": {"name": "look"}}
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [choice]}}
    with serve([response(said("Fine."))]) as server:
        asked_of(server).run("Hello.", sampling={"tool_choice": choice})
        asked_of(server).run("Hello.", sampling={"tool_choice": allowed})
        asked_of(server).run("Hello.", sampling={"tool_choice": "none"})
    named = {"type": "function", "name": "look"}
    assert [each.body["tool_choice"] for each in server.requests] == [
        named,
        {"type": "allowed_tools", "mode": "required", "tools": [named]},
        "none",
    ]


@pytest.mark.parametrize("name", ["input", "instructions", "previous_response_id", "conversation", "background"])
def test_what_would_keep_the_conversation_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        ResponsesBackend("m", "http://127.0.0.1:9/v1", **{name: "x"})
    with pytest.raises(ConfigurationError, match=name):
        Agent(ResponsesBackend("m", "http://127.0.0.1:9/v1")).run("Hi.", sampling={name: "x"})


def test_a_model_of_this_api_has_a_name() -> None:
    backend = resolve("openai-responses:gpt-5.6", {"OPENAI_API_KEY": "sk-test-key"})
    assert isinstance(backend, ResponsesBackend)
    assert repr(backend) == "ResponsesBackend('gpt-5.6')"
    assert backend.capabilities().schema == "always"
    with pytest.raises(ConfigurationError, match="/responses"):
        Agent("openai-responses:m@http://127.0.0.1:9/v1/responses").run("Hi.")


# ---- what comes back


@either_way
def test_usage_and_names_of_a_response_are_read(stream: bool) -> None:
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 0},
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 130,
    }
    with serve(both([said("21.")], usage=usage)) as server:
        result = result_of(asked_of(server), "How warm is it?", stream)
    spent = result.usage
    assert (spent.input_tokens, spent.cached_tokens, spent.output_tokens, spent.reasoning_tokens) == (100, 60, 30, 20)


@either_way
@pytest.mark.parametrize(("reason", "stopped"), [("max_output_tokens", "length"), ("content_filter", "content_filter")])
def test_a_response_that_is_incomplete_stops_the_run(stream: bool, reason: str, stopped: str) -> None:
    end: dict[str, Any] = {"status": "incomplete", "incomplete_details": {"reason": reason}}
    with serve(both([said("It is")], **end)) as server:
        result = result_of(asked_of(server), "How warm is it?", stream)
    assert (result.output, result.stopped) == ("It is", stopped)


@either_way
def test_a_refusal_is_the_answer(stream: bool) -> None:
    item = {**said(""), "content": [{"type": "refusal", "refusal": "I can't help with that."}]}
    with serve(both([item])) as server:
        assert result_of(asked_of(server), "Hello.", stream).messages[-1]["refusal"] == "I can't help with that."


@either_way
def test_what_a_model_says_before_its_typed_answer_is_no_part_of_it(stream: bool) -> None:
    class Weather(BaseModel):
        degrees: int

    output = [said("I think.", 1, phase="commentary"), said('{"degrees": 21}', 2, phase="final_answer")]
    with serve(both(output)) as server:
        backend = ResponsesBackend("m", server.url)
        assert result_of(Agent(backend), "How warm?", stream, output=Weather).output == Weather(degrees=21)
    assert len(server.requests) == 1


def fails(*last: dict[str, Any], first: str = "It ") -> Answer:
    begun = {"type": "response.output_item.added", "output_index": 0, "item": {**said(""), "content": []}}
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": first}
    return events(begun, delta, *last)


FAILED = {"id": "r", "object": "response", "status": "failed", "output": []}
SERVER_ERROR = {"code": "server_error", "message": "The server had an error while processing your request."}


@pytest.mark.parametrize(
    "broken",
    [
        fails({"type": "response.failed", "response": {**FAILED, "error": SERVER_ERROR}}),
        fails({"type": "error", "code": "server_error", "message": "The server had an error.", "param": None}),
        fails({"type": "error", "error": {"type": "server_error", "code": "server_error", "message": "An error."}}),
        fails(),
    ],
    ids=["failed", "error", "nested", "cut off"],
)
def test_a_response_that_fails_in_the_middle_is_asked_for_again(broken: Answer) -> None:
    with serve([broken, response(said("21."), stream=True)]) as server:
        assert result_of(asked_of(server), "How warm is it?", True).output == "21."
    assert len(server.requests) == 2


def test_a_response_that_has_failed_is_the_servers_error() -> None:
    error = {"code": "invalid_prompt", "message": "Your prompt was flagged."}
    with (
        serve([Answer(json.dumps({**FAILED, "error": error}).encode())]) as server,
        pytest.raises(openai.APIError, match="flagged"),
    ):
        asked_of(server).run("Hello.")


# ---- what servers leave out or repeat


def ends(*output: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.completed", "response": {**FAILED, "status": "completed", "output": list(output)}}


def added(item: dict[str, Any], **where: Any) -> dict[str, Any]:
    return {"type": "response.output_item.added", "item": item, **where}


def done(item: dict[str, Any], **where: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "item": item, **where}


def arguments(delta: str, **where: Any) -> dict[str, Any]:
    return {"type": "response.function_call_arguments.delta", "delta": delta, **where}


WRITTEN = called()["arguments"]
STREAMS: dict[str, list[dict[str, Any]]] = {
    "the end alone": [ends(thought(1), called())],
    "items that are done": [done(thought(1), output_index=0), done(called(), output_index=1), ends()],
    "no indexes": [  # llama.cpp
        added(thought(1)),
        done(thought(1)),
        added({**called(), "arguments": ""}),
        arguments(WRITTEN, item_id="fc_1"),
        done(called()),
        ends(thought(1), called()),
    ],
    "one index for all": [
        added(thought(1), output_index=0),
        done(thought(1), output_index=0),
        added({**called(), "arguments": ""}, output_index=0),
        arguments(WRITTEN, output_index=0),
        ends(thought(1), called()),
    ],
    "arguments from the first": [
        done(thought(1), output_index=0),
        added(called(), output_index=1),
        done(called(), output_index=1),
        ends(thought(1), called()),
    ],
    "arguments that end in the whole": [
        done(thought(1), output_index=0),
        added({**called(), "arguments": ""}, output_index=1),
        arguments(WRITTEN[:5], output_index=1),
        ends(thought(1), called()),
    ],
    "encrypted at the end alone": [  # Azure: NeuroAIHub/BrainPilot#264
        done({**thought(1), "encrypted_content": None}, output_index=0),
        done(called(), output_index=1),
        ends(thought(1), called()),
    ],
    "reasoning that grows": [
        added({**thought(1), "encrypted_content": "gAA"}, output_index=0),
        added({**called(), "arguments": ""}, output_index=1),
        arguments(WRITTEN, output_index=1),
        ends(thought(1), called()),
    ],
}


@pytest.mark.parametrize("told", STREAMS.values(), ids=STREAMS)
def test_a_call_is_run_once_however_a_server_tells_of_it(told: list[dict[str, Any]]) -> None:
    with serve([events(*told), response(said("21."), stream=True)]) as server:
        result = result_of(asked_of(server), "How warm is it?", True)
    assert [(record.arguments, record.error) for record in result.tool_calls] == [({"city": "Oslo"}, None)]
    assert items_of(server.requests[1])[1] == THOUGHT


def test_arguments_that_contradict_each_other_are_not_run() -> None:
    other = called("Rome")
    told = [added({**called(), "arguments": ""}, output_index=0), arguments(WRITTEN, output_index=0), ends(other)]
    with serve([events(*told), response(said("Sorry."), stream=True)]) as server:
        (record,) = result_of(asked_of(server), "How warm is it?", True).tool_calls
    assert record.error is not None


def test_calls_whose_pieces_take_turns_are_told_apart() -> None:
    first, second = called("Oslo", 1), called("Rome", 2)
    told = [
        added({**first, "arguments": ""}, output_index=0),
        added({**second, "arguments": ""}, output_index=1),
        arguments('{"city": ', output_index=0),
        arguments('{"city": ', output_index=1),
        arguments('"Oslo"}', output_index=0),
        arguments('"Rome"}', output_index=1),
        ends(first, second),
    ]
    with serve([events(*told), response(said("Both."), stream=True)]) as server:
        result = result_of(asked_of(server), "How warm is it?", True)
    assert [record.arguments for record in result.tool_calls] == [{"city": "Oslo"}, {"city": "Rome"}]


@pytest.mark.parametrize("told", [ends(called(number=1)), done(called(number=1), output_index=1)], ids=["end", "done"])
def test_reading_a_response_takes_linear_time(told: dict[str, Any]) -> None:
    item = {**called(), "arguments": ""}

    def read(size: int) -> None:
        items = [called(number=number) for number in range(size)]
        pieces = [arguments("x" * 50, output_index=1) for _ in range(size)]
        given = [added(item, output_index=1), *(each for piece in pieces for each in (piece, told)), ends(*items)]
        for _ in chunks_of(given):
            pass

    assert_linear(read, 1_000)


# ---- a real server


@pytest.fixture(params=["llama", "thinking_llama"])
def llama_url(request: pytest.FixtureRequest) -> str:
    server: LlamaServer = request.getfixturevalue(request.param)
    return server.url


@either_way
def test_llama_cpp_takes_the_conversation_and_its_reasoning(llama_url: str, stream: bool) -> None:
    backend = ResponsesBackend("tiny", llama_url, max_retries=0)
    result: Result = result_of(Agent(backend, tools=[search], instructions="Be brief."), "Look it up.", stream)
    backend.close()
    assert result.stopped == "answer"
    assert [record.error for record in result.tool_calls] == [None]
    assert result.usage.input_tokens > 0
