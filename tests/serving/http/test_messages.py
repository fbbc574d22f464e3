"""Anthropic's Messages API, as Claude Code and Anthropic's SDKs use it."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agentkit.serving.http.keys import Keys
from tests.support.http_service import LOOK_UP, Service
from tests.support.model_server import Answer, calls, delta, streamed, whole
from tests.support.scripted_agent import agent

WEATHER = {
    "name": "weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "cache_control": {"type": "ephemeral"},
}
USAGE = {"prompt_tokens": 70, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 64}}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def ask(service: Service, *messages: Any, **fields: Any) -> Any:
    body = {"model": "agentkit", "max_tokens": 500, "messages": messages, **fields}
    return service.ask("POST", "/v1/messages?beta=true", body).json()


def events_of(service: Service, *messages: Any, **fields: Any) -> list[dict[str, Any]]:
    body = {"model": "agentkit", "max_tokens": 500, "messages": messages, "stream": True, **fields}
    response = service.ask("POST", "/v1/messages", body, stream=True)
    assert response.status_code == 200, response.text
    lines = [line.decode() for line in response.iter_lines() if line]
    names, data = lines[::2], [json.loads(line.removeprefix("data: ")) for line in lines[1::2]]
    assert names == [f"event: {each['type']}" for each in data]
    return data


DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


def message_in(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The message that a client makes of a stream, which has each block begun, and one open at a time."""
    first, *rest, last = copy.deepcopy(events)
    assert (first["type"], last["type"]) == ("message_start", "message_stop")
    message: dict[str, Any] = first["message"]
    written, is_open = "", False
    for event in rest:
        kind = event["type"]
        if kind == "content_block_start":
            assert (is_open, event["index"]) == (False, len(message["content"]))
            message["content"].append(event["content_block"])
            is_open, written = True, ""
        elif kind == "content_block_delta":
            assert (is_open, event["index"]) == (True, len(message["content"]) - 1)
            written += event["delta"].get("partial_json", "")
            name = DELTAS.get(event["delta"]["type"])
            if name is not None:
                message["content"][-1][name] += event["delta"][name]  # a KeyError in a block of another kind
        elif kind == "content_block_stop":
            assert is_open
            is_open = False
            message["content"][-1].update({"input": json.loads(written)} if written else {})
        elif kind == "message_delta":
            assert not is_open
            message |= {**event["delta"], "usage": event["usage"]}
    return message


def called(**more: Any) -> Answer:
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    return streamed(
        delta(**more),
        delta(tool_calls=[first]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"city": "Rome"}'}}]),
        delta("tool_calls"),
    )


def test_an_answer_is_a_message_streamed_and_whole(tmp_path: Path) -> None:
    answer = whole("Hello.", usage=USAGE)
    with agent(tmp_path, [answer, answer]) as (service, server):
        made = ask(service, user("Hi"), system="Be brief.", stop_sequences=["END"], top_k=5)
        in_pieces = message_in(events_of(service, user("Hi")))
        sent = server.requests[0].body
    assert made["content"] == in_pieces["content"] == [{"type": "text", "text": "Hello."}]
    assert (made["type"], made["role"], made["stop_reason"]) == ("message", "assistant", "end_turn")
    # input_tokens are those that were not read from a cache (vllm-project/vllm#40912)
    assert (made["usage"]["input_tokens"], made["usage"]["cache_read_input_tokens"]) == (6, 64)
    assert in_pieces["usage"] == made["usage"]
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (sent["stop"], sent["top_k"], sent["max_tokens"]) == (["END"], 5, 500)


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
def test_a_clients_call_ends_the_answer_and_goes_on_with_its_result(tmp_path: Path, is_streamed: bool) -> None:
    with agent(tmp_path, [called(content="I look."), whole("It is hot.")]) as (service, server):
        asked: dict[str, Any] = {"tools": [WEATHER], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
        question = user("Weather in Rome?")
        first = message_in(events_of(service, question, **asked)) if is_streamed else ask(service, question, **asked)
        text, call = first["content"]
        assert (first["stop_reason"], text["text"]) == ("tool_use", "I look.")
        assert (call["type"], call["name"], call["input"]) == ("tool_use", "weather", {"city": "Rome"})
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": [{"type": "text", "text": "40 degrees"}]}
        answer = {"role": "assistant", "content": first["content"]}
        again = user([result, {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}])
        second = ask(service, question, answer, again, tools=[WEATHER])
        assert second["content"][0]["text"] == "It is hot."
        sent = [request.body for request in server.requests]
    assert sent[0]["tools"] == [
        {"type": "function", "function": {**sent[0]["tools"][0]["function"], "name": "weather"}}
    ], "fields of Anthropic's own are not sent to a model server"
    assert sent[0]["parallel_tool_calls"] is False
    assert [each["role"] for each in sent[1]["messages"]] == ["user", "assistant", "tool", "user"]
    assert "40 degrees" in str(sent[1]["messages"][2]["content"])
    assert "cache_control" not in json.dumps(sent)


def test_the_input_of_a_call_is_json_whatever_the_model_writes(tmp_path: Path) -> None:
    written = {"name": "weather", "arguments": "{'city': 'Rome',}"}
    call = {"index": 0, "id": "call_1", "type": "function", "function": written}
    reply = streamed(delta(tool_calls=[call]), delta("tool_calls"))
    with agent(tmp_path, [reply, reply]) as (service, _):
        made = ask(service, user("Hi"), tools=[WEATHER])["content"]
        in_pieces = message_in(events_of(service, user("Hi"), tools=[WEATHER]))["content"]
    assert [block["input"] for block in (*made, *in_pieces)] == [{"city": "Rome"}] * 2


def test_who_has_no_key_is_told_so_in_anthropics_form(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    key = Keys(keys).add("ann")
    body = {"model": "agentkit", "messages": [user("Hi")]}
    with agent(tmp_path, [whole("Hi")], agentkit_keys_file=keys) as (service, _):
        refused = service.ask("POST", "/v1/messages", body, key="wrong")
        taken = service.ask("POST", "/v1/messages", body, headers={"x-api-key": key})
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
    assert taken.status_code == 200


def test_calls_of_the_services_tools_are_run_and_not_shown(tmp_path: Path) -> None:
    answers = [calls(("look_up", {"topic": "tides"})), whole("Twice a day.")]
    with agent(tmp_path, answers, agentkit_tools=(LOOK_UP,)) as (service, server):
        made = ask(service, user("When?"))
        assert made["content"] == [{"type": "text", "text": "Twice a day."}]
        assert "all about tides" in str(server.requests[1].body["messages"][-1]["content"])


THOUGHTS = streamed(
    delta(content="---\n"),
    delta(reasoning_content="Hmm. "),
    delta(reasoning_content="Yes."),
    delta(content="Forty"),
    delta(content="-two"),
    delta("length"),
)


def test_a_text_before_the_reasoning_is_a_block_of_its_own(tmp_path: Path) -> None:
    """Not "Content block not found" (ollama/ollama#17101), nor "Content block is not a thinking block"
    (BerriAI/litellm#33224); a thinking block ends with a signature (ggml-org/llama.cpp#18551)."""
    with agent(tmp_path, [THOUGHTS, THOUGHTS]) as (service, server):
        thinking = {"type": "enabled", "budget_tokens": 1024}
        events = events_of(service, user("Think"), thinking=thinking)
        made = ask(service, user("Think"), thinking=thinking)
        sent = server.requests[0].body
    kinds = [(block["type"], block.get("text") or block.get("thinking")) for block in message_in(events)["content"]]
    assert kinds == [("text", "---"), ("thinking", "Hmm. Yes."), ("text", "Forty-two")]
    assert made["content"] == message_in(events)["content"]
    assert made["stop_reason"] == "max_tokens"
    assert "signature_delta" in json.dumps(events)
    assert (sent["enable_thinking"], sent["chat_template_kwargs"]) == (True, {"enable_thinking": True})
    assert "thinking" not in sent


def test_reasoning_is_not_sent_to_whoever_does_not_ask_for_it(tmp_path: Path) -> None:
    """Programs take the text from the first block."""
    thought = whole({"role": "assistant", "content": "Forty-two", "reasoning_content": "Hmm."})
    with agent(tmp_path, [thought, thought]) as (service, _):
        made = ask(service, user("Think"))
        omitted = ask(service, user("Think"), thinking={"type": "adaptive", "display": "omitted"})
    assert made["content"] == omitted["content"] == [{"type": "text", "text": "Forty-two"}]


def test_a_system_message_may_stand_between_others(tmp_path: Path) -> None:
    """Claude Code sends such ones (vllm-project/vllm#44000)."""
    with agent(tmp_path, [whole("Yes.")]) as (service, server):
        note = {"role": "system", "content": [{"type": "text", "text": "A file has changed."}]}
        made = ask(service, user("Hi"), note, user("Go on"), system=[{"type": "text", "text": "You help."}])
        assert made["content"][0]["text"] == "Yes."
        texts = json.dumps(server.requests[0].body["messages"])
    assert texts.index("You help.") < texts.index("Hi") < texts.index("A file has changed.")


def test_the_line_that_differs_in_each_request_is_no_part_of_the_system_prompt(tmp_path: Path) -> None:
    """With it no server finds the prompt in its cache (ggml-org/llama.cpp#20623, waybarrios/vllm-mlx#277)."""
    line = "x-anthropic-billing-header: cc_version=2.1.37.0d9; cc_entrypoint=cli; cch=fa690;"
    with agent(tmp_path, [whole("Yes."), whole("Yes.")]) as (service, server):
        ask(service, user("Hi"), system=[{"type": "text", "text": line}, {"type": "text", "text": "You help."}])
        ask(service, user("Hi"), system=f"{line}\nYou help.")
        sent = [request.body["messages"][0]["content"] for request in server.requests]
    assert sent == ["You help.", "You help."]


def test_thoughts_images_and_documents_of_a_history_are_sent(tmp_path: Path) -> None:
    with agent(tmp_path, [whole("A dot.")]) as (service, server):
        source = {"type": "base64", "media_type": "image/png", "data": PNG}
        thought = {"type": "thinking", "thinking": "A picture.", "signature": ""}
        document = {"type": "document", "title": "a", "source": {"type": "text", "data": "A text."}}
        made = ask(
            service,
            user([{"type": "image", "source": source}, document, {"type": "text", "text": "What is it?"}]),
            {"role": "assistant", "content": [thought, {"type": "text", "text": "Let me see."}]},
            user("Well?"),
        )
        first, second, _ = server.requests[0].body["messages"]
    assert made["content"][0]["text"] == "A dot."
    assert [part["type"] for part in first["content"]] == ["image_url", "text", "text"]
    assert first["content"][1]["text"] == "A text."
    assert second["content"] in ("Let me see.", [{"type": "text", "text": "Let me see."}])
    assert second.get("reasoning_content") in (None, "A picture.")


def test_an_image_in_the_result_of_a_call_reaches_the_model(tmp_path: Path) -> None:
    """ggml-org/llama.cpp#22536: a screenshot that the client's tool has made was lost."""
    with agent(tmp_path, [whole("A dot.")]) as (service, server):
        call = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Rome"}}
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
        texts = [{"type": "text", "text": "40"}, {"type": "tool_reference", "tool_name": "wind"}]
        result = {"type": "tool_result", "tool_use_id": "call_1", "content": [*texts, image]}
        tools = [{**WEATHER, "type": "custom", "defer_loading": True}]
        ask(service, user("Hi"), {"role": "assistant", "content": [call]}, user([result]), tools=tools)
        body = server.requests[0].body
        sent = json.dumps(body["messages"])
    assert PNG in sent
    assert "wind" in sent
    assert "defer_loading" not in json.dumps(body["tools"])  # router-for-me/CLIProxyAPI#1725


TOO_LONG = (
    "This model's maximum context length is 8192 tokens. However, you requested {} tokens ({} in the messages, "
    "500 in the completion). Please reduce the length of the messages or completion."
)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (9000, "prompt is too long: 9000 tokens > 7692 maximum"),
        (8000, "input length and `max_tokens` exceed context limit: 8000 + 500 > 8192"),
    ],
)
def test_what_is_too_long_is_told_in_the_words_that_claude_code_knows(tmp_path: Path, prompt: int, said: str) -> None:
    """It makes the conversation or the reply shorter then, and else repeats the request (musistudio/claude-code-router
    #1799)."""
    refused = Answer(json.dumps({"error": {"message": TOO_LONG.format(prompt + 500, prompt)}}).encode(), 400)
    with agent(tmp_path, [refused]) as (service, _):
        body = {"model": "agentkit", "max_tokens": 500, "messages": [user("word " * 9000)], "stream": True}
        response = service.ask("POST", "/v1/messages", body)
    assert response.status_code == 400
    assert response.json() == {"type": "error", "error": {"type": "invalid_request_error", "message": said}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [user([{"type": "server_tool_use"}])]}, "messages[0].content[0].type"),
        ({"messages": [user([{"type": "text", "text": 5}])]}, "messages[0].content[0]"),
        ({"messages": [user([{"type": "tool_use", "id": "a", "name": "b"}])]}, "messages[0].content[0]"),
        ({"messages": [user("Hi")], "system": "Be", "temperature": 7}, "temperature"),
        ({"messages": [user([{"type": "image", "source": {"type": "base64", "data": "?"}}])]}, "messages[0].content"),
        ({"messages": [user("Hi")], "tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"messages": [user("Hi")], "tools": [{"name": "x"}]}, "tools[0].input_schema"),
        ({"messages": [user("Hi")], "tools": [WEATHER, WEATHER]}, "tools"),
        ({"messages": [user("Hi")], "tool_choice": "auto"}, "tool_choice"),
        ({"messages": [user("Hi")], "thinking": {"type": "maybe"}}, "thinking"),
        ({"messages": [user("Hi")], "mcp_servers": [{"url": "https://example.org"}]}, "mcp_servers"),
        ({"messages": [user("Hi")], "output_config": {"format": {"type": "xml"}}}, "output_config.format"),
    ],
)
def test_a_request_at_fault_is_told_which_field(tmp_path: Path, fields: dict[str, Any], param: str) -> None:
    with agent(tmp_path, [whole("Hi")]) as (service, server):
        response = service.ask("POST", "/v1/messages", {"model": "agentkit", "max_tokens": 5, **fields})
        assert server.requests == []
    error = response.json()["error"]
    assert (response.status_code, response.json()["type"], error["type"]) == (400, "error", "invalid_request_error")
    assert error["message"].startswith(param)


def test_tools_of_anthropics_own_beside_others_are_named_and_not_offered(tmp_path: Path) -> None:
    with agent(tmp_path, [whole("Hi")]) as (service, server):
        tools = [WEATHER, {"type": "bash_20250124", "name": "bash"}]
        body = {"model": "agentkit", "messages": [user("Hi")], "tools": tools}
        response = service.ask("POST", "/v1/messages", body)
        names = [each["function"]["name"] for each in server.requests[0].body["tools"]]
    assert (response.status_code, names) == (200, ["weather"])
    assert response.headers["X-Tools-Not-Offered"] == "bash_20250124"


def test_an_answer_in_json_has_the_form_that_is_asked_for(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    with agent(tmp_path, [whole('{"n": 5}')]) as (service, server):
        made = ask(service, user("Hi"), output_config={"format": {"type": "json_schema", "schema": schema}})
        assert json.loads(made["content"][0]["text"]) == {"n": 5}
        assert server.requests[0].body["response_format"]["type"] == "json_schema"


def test_fields_of_anthropics_own_have_no_effect(tmp_path: Path) -> None:
    """Claude Code sends new ones with each version."""
    with agent(tmp_path, [whole("Hi")]) as (service, server):
        more = {"metadata": {"user_id": "u"}, "context_management": {"edits": []}, "speed": "fast", "unheard_of": 1}
        ask(service, user("Hi"), **more, min_p=0.1)
        sent = server.requests[0].body
    assert sent["min_p"] == 0.1
    assert not sent.keys() & more.keys()


def test_tokens_are_estimated_without_the_model(tmp_path: Path) -> None:
    """Claude Code asks for them (lmstudio-ai/lmstudio-bug-tracker#2055)."""
    with agent(tmp_path, [whole("Hi")]) as (service, server):
        few, more = (
            service.ask("POST", "/v1/messages/count_tokens", {"model": "agentkit", "messages": [user(text)], **fields})
            for text, fields in (("Hi", {}), ("word " * 700, {"tools": [WEATHER]}))
        )
        assert server.requests == []
    assert 1 <= few.json()["input_tokens"] < 100
    assert 1000 < more.json()["input_tokens"] < 1400


def test_errors_have_anthropics_form(tmp_path: Path) -> None:
    with agent(tmp_path, [Answer(b"{}", 500, drop=True)]) as (service, _):
        wrong = service.ask("POST", "/v1/messages", {"model": "claude-sonnet-4-5", "messages": [user("Hi")]})
        twice = service.ask("POST", "/v1/v1/messages", {"model": "agentkit", "messages": [user("Hi")]})
        method = service.ask("GET", "/v1/messages")
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (404, "not_found_error")
    assert (twice.status_code, twice.json()["type"]) == (404, "error")
    assert "base URL" in twice.json()["error"]["message"]
    assert (method.status_code, method.json()["type"]) == (405, "error")
    assert wrong.headers["request-id"].startswith("req_")


def test_an_error_in_the_middle_of_a_stream_is_an_event(tmp_path: Path) -> None:
    broken = streamed(delta(content="Hel"), {"error": {"message": "out of memory", "code": 500}}, done=False)
    with agent(tmp_path, [broken] * 5) as (service, _):
        *_, last = events_of(service, user("Hi"))
    assert last["type"] == "error"
    assert last["error"]["type"] in ("api_error", "overloaded_error")


def test_the_model_is_listed_for_anthropics_clients_too(tmp_path: Path) -> None:
    with agent(tmp_path, [whole("Hi")]) as (service, _):
        listed = service.ask("GET", "/v1/models").json()
    (model,) = listed["data"]
    assert (model["id"], model["type"], listed["has_more"], listed["last_id"]) == (
        "agentkit",
        "model",
        False,
        "agentkit",
    )
