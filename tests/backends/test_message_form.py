"""What a chat server is sent of the messages of a history."""

import json
import re
from itertools import pairwise
from typing import Any

import pytest

from agentkit import Agent, tool
from agentkit.backends.openai import OpenAIBackend
from agentkit.transcript import Transcript
from tests.support.model_server import Answer, Asked, serve, whole

ASK = {"role": "user", "content": "Go."}
CALL = {"id": "call_0123456789", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_0123456789", "content": "9"}


def sent(messages: list[Any], model: str = "m") -> tuple[list[dict[str, Any]], list[Any], list[str]]:
    """What a server is sent for these messages; the messages of the result and its repairs."""
    with serve([whole("Fine.")]) as server:
        with Agent(OpenAIBackend(model, base_url=server.url)) as agent:
            result = agent.run("And now?", messages=messages)
        assert result.output == "Fine."
        return server.requests[-1].body["messages"], result.messages, result.repairs


def test_keys_that_chat_servers_do_not_know_stay_in_the_history_and_out_of_the_request() -> None:
    extra: dict[str, Any] = {
        "id": 7,
        "metadata": {"title": None},
        "avatar": "a.png",
        "created_at": "2024",
        "options": [],
    }
    asked, kept, repairs = sent([{**ASK, **extra}, {"role": "assistant", "content": "Hi.", **extra}])
    assert asked == [ASK, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "And now?"}]
    assert kept[0] == {**ASK, **extra}
    assert repairs == []


def test_what_servers_expect_back_is_sent() -> None:
    answer: dict[str, Any] = {
        "role": "assistant",
        "content": "Hi.",
        "reasoning_content": "Hm.",
        "refusal": None,
        "annotations": [],
    }
    asked, kept, _ = sent([ASK, answer])
    assert asked[1] == {"role": "assistant", "content": "Hi.", "reasoning_content": "Hm."}
    assert kept[1] == answer


@pytest.mark.parametrize(
    "content", ["", " \n", [{"type": "text", "text": ""}], [{"type": "thinking", "thinking": "Hm."}]]
)
def test_an_answer_without_text_is_not_sent_empty(content: Any) -> None:
    asked, kept, _ = sent([ASK, {"role": "assistant", "content": content}, ASK])
    assert asked[1]["content"] == "(no answer)"
    assert kept[1]["content"] == content


def test_an_empty_part_is_not_sent() -> None:
    parts = [{"type": "text", "text": ""}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    assert sent([{"role": "user", "content": parts}])[0][0]["content"] == parts[1:]


def test_text_parts_are_sent_as_text_where_servers_want_it() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    asked, _, _ = sent([{"role": "system", "content": parts}, ASK, {"role": "assistant", "content": parts}])
    assert [message["content"] for message in asked[:3]] == ["a\nb", "Go.", "a\nb"]


THOUGHTS = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Hi."}]


def test_thoughts_as_parts_are_sent_to_the_servers_that_write_them_so() -> None:
    history = [ASK, {"role": "assistant", "content": THOUGHTS}]
    assert sent(history, "magistral-small")[0][1]["content"] == THOUGHTS
    asked, kept, _ = sent(history, "gpt")
    assert asked[1]["content"] == "Hi."
    assert kept[1]["content"] == THOUGHTS


@pytest.mark.parametrize(
    "model", ["mistral-small", "codestral-latest", "Mixtral-8x7B", "ministral-8b-latest", "Devstral-Small-2505"]
)
def test_ids_are_short_for_a_model_that_wants_them_short(model: str) -> None:
    asked, kept, _ = sent([ASK, CALLED, RESULT], model)
    made = asked[1]["tool_calls"][0]["id"]
    assert re.fullmatch("[a-zA-Z0-9]{9}", made)
    assert asked[2]["tool_call_id"] == made
    assert kept[1:3] == [CALLED, RESULT]
    assert sent([ASK, CALLED, RESULT], model)[0] == asked


REFUSALS = [
    "Tool call id was call_0123456789 but must be a-z, A-Z, 0-9, with a length of 9.",
    "Tool call IDs should be alphanumeric strings with length 9!",
    "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
    "Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 9",
    "messages.1.tool_calls.0.id: tool_call_id should match pattern '^[a-zA-Z0-9]{9}$'",
]


@pytest.mark.parametrize("status", [400, 422, 500])
@pytest.mark.parametrize("words", REFUSALS)
def test_a_server_that_refuses_ids_is_sent_short_ones_from_then_on(words: str, status: int) -> None:
    @tool
    def f() -> str:
        """Do it."""
        return "done"

    accepted: list[bytes] = []

    def strict(asked: Asked) -> Answer:
        ids = [call["id"] for message in asked.body["messages"] for call in message.get("tool_calls", ())]
        ids += [message["tool_call_id"] for message in asked.body["messages"] if message["role"] == "tool"]
        if not all(re.fullmatch("[a-zA-Z0-9]{9}", each) for each in ids):
            return Answer(json.dumps({"error": {"message": words}}).encode(), status=status)
        accepted.append(asked.raw.partition(b'"messages":')[2][:-2])
        if len(accepted) < 4:
            return whole(
                {"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": f"chat-{len(accepted)}"}]}
            )
        return whole("Done.")

    with serve(strict) as server:
        agent = Agent(OpenAIBackend("m", base_url=server.url, max_retries=0), tools=[f])
        assert agent.run("Go.").output == "Done."
        assert len(server.requests) == 5  # one was refused
    assert all(later.startswith(earlier) for earlier, later in pairwise(accepted))


KEYS = [
    "property 'reasoning_content' is unsupported, did you mean 'role'?",
    '[{"type":"extra_forbidden","loc":["body","messages",1,"assistant","reasoning_content"],'
    '"msg":"Extra inputs are not permitted"}]',
    "messages.2.assistant.reasoning_content: property 'messages.2.assistant.reasoning_content' is unsupported",
    "Additional properties are not allowed ('reasoning_content' was unexpected) - 'messages.1'",
]


@pytest.mark.parametrize("words", KEYS)
def test_a_key_that_a_server_refuses_is_left_out_from_then_on(words: str) -> None:
    def strict(asked: Asked) -> Answer:
        if any("reasoning_content" in message for message in asked.body["messages"]):
            return Answer(json.dumps({"error": {"message": words}}).encode(), status=400)
        return whole("Fine.")

    history = [ASK, {"role": "assistant", "content": "Hi.", "reasoning_content": "Hm."}]
    with serve(strict) as server, Agent(f"openai:m@{server.url}") as agent:
        assert agent.run("x", messages=history).output == "Fine."
        assert agent.run("x", messages=history).messages[1] == history[1]
        assert len(server.requests) == 3


WANTS_TEXT = [
    "Failed to deserialize the JSON body into the target type: messages[1]: invalid type: sequence, expected a string "
    "at line 1 column 98",
    "messages.1.content: Input should be a valid string",
    "[{'type': 'string_type', 'loc': ('body', 'messages', 1, 'content'), 'msg': 'Input should be a valid string'}]",
    '[{"type": "string_type", "msg": "Input should be a valid string", "loc": ["body", "messages", 1, "content"]}]',
    "Invalid value for 'content': expected a string, got an array.",
    "'messages[1].content' must be a string",
    "[{'error': \"'content' : value must be a string\"}]",
    "json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type string",
    'can only concatenate str (not "list") to str',
]


@pytest.mark.parametrize("words", WANTS_TEXT)
def test_a_server_that_takes_texts_only_is_sent_the_parts_as_one_from_then_on(words: str) -> None:
    """moeru-ai/airi#1222, openclaw/openclaw#56807, tashfeenahmed/freellmapi#69: parts of text were refused."""

    def strict(asked: Asked) -> Answer:
        if any(not isinstance(message["content"], str) for message in asked.body["messages"]):
            return Answer(json.dumps({"error": {"message": words}}).encode(), status=400)
        return whole("Fine.")

    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    history: list[Any] = [{"role": "user", "content": parts}, {"role": "assistant", "content": "Hi."}]
    with serve(strict) as server, Agent(f"openai:m@{server.url}") as agent:
        result = agent.run("x", messages=history)
        assert result.output == "Fine."
        assert result.messages[0] == history[0]
        assert agent.run("x", messages=history).output == "Fine."
        assert len(server.requests) == 3
        assert server.requests[-1].body["messages"][0]["content"] == "one\ntwo"


def test_a_refusal_of_another_string_joins_nothing() -> None:
    words = "messages.0.name: Input should be a valid string"
    refusal = Answer(json.dumps({"error": {"message": words}}).encode(), status=400)
    with serve([refusal]) as server, Agent(f"openai:m@{server.url}") as agent:
        with pytest.raises(Exception, match="valid string"):
            agent.run("x", messages=[{"role": "user", "content": [{"type": "text", "text": "one"}]}])
        assert len(server.requests) == 1


def test_a_key_that_a_server_asks_for_stays() -> None:
    words = "The `reasoning_content` in the thinking mode must be passed back to the API."
    refusal = Answer(json.dumps({"error": {"message": words}}).encode(), status=400)
    with serve([refusal]) as server, Agent(f"openai:m@{server.url}") as agent:
        with pytest.raises(Exception, match="passed back"):
            agent.run("x", messages=[ASK, {"role": "assistant", "content": "Hi.", "reasoning_content": "Hm."}])
        assert len(server.requests) == 1


def test_each_message_is_formed_once() -> None:
    formed = []

    def form(message: Any) -> Any:
        formed.append(message["content"])
        return message

    transcript = Transcript([ASK])
    for number in range(3):
        transcript.extend([{"role": "assistant", "content": str(number)}])
        transcript.encoded(form=form)
    assert formed == ["Go.", "0", "1", "2"]


REFUSED_SIGNATURES = [
    "messages.1.content.0: Invalid `signature` in `thinking` block",
    "ValidationException: messages.39.content.0: Invalid signature in thinking block",
    "Unable to submit request because Thought signature is not valid.. Learn more: https://cloud.google.com/vertex-ai",
    "Corrupted thought signature.",
]
SIGNED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]}, {}),
    ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "c2ln", "format": "google-gemini-v1"}]}, {}),
    ({}, {"extra_content": {"google": {"thought_signature": "c2ln"}}}),
]


@pytest.mark.parametrize("words", REFUSED_SIGNATURES)
@pytest.mark.parametrize(("of_message", "of_call"), SIGNED)
def test_a_conversation_whose_signatures_are_refused_goes_on_without_them(
    words: str, of_message: dict[str, Any], of_call: dict[str, Any]
) -> None:
    """anthropics/anthropic-sdk-python#1598, openclaw/openclaw#88020, anomalyco/opencode#15074, unarbos/arbos#34,
    OpenRouterTeam/ai-sdk-provider#491"""

    def strict(asked: Asked) -> Answer:
        if "c2ln" in json.dumps(asked.body["messages"]):
            return Answer(json.dumps({"error": {"message": words}}).encode(), status=400)
        return whole("Fine.")

    called = {**CALLED, "tool_calls": [{**CALL, **of_call}], **of_message}
    history = [ASK, called, RESULT, {"role": "assistant", "content": "9.", "reasoning_content": "Hm.", **of_message}]
    with serve(strict) as server, Agent(f"openai:m@{server.url}") as agent:
        result = agent.run("x", messages=history)
        assert result.output == "Fine."
        assert result.messages[:4] == history
        agent.run("y", messages=history)
        assert len(server.requests) == 3
        sent = server.requests[-1].body["messages"]
        assert sent[3]["reasoning_content"] == "Hm."
        assert ("extra_content" in sent[1]["tool_calls"][0]) == bool(of_call)  # what Google takes for none


def test_a_refused_signature_of_another_kind_is_the_servers_error() -> None:
    refusal = Answer(json.dumps({"error": {"message": "Invalid signature of the request"}}).encode(), status=400)
    with (
        serve([refusal]) as server,
        Agent(f"openai:m@{server.url}") as agent,
        pytest.raises(Exception, match="Invalid"),
    ):
        agent.run("x", messages=[ASK, {"role": "assistant", "content": "Hi.", "reasoning_content": "Hm."}])
    assert len(server.requests) == 1
