"""Histories that other programs have made: nothing readable of them is lost, and a strict server takes them."""

import base64
import dataclasses
import datetime
import enum
import json
import re
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent, tool
from agentkit.backends.message_form import PLAIN_FORM
from agentkit.errors import TranscriptError
from agentkit.message import Message, text_of
from agentkit.repair import repaired
from agentkit.sessions import MemorySessions
from tests.support.model_server import Answer, Asked, serve, whole
from tests.support.strict_messages import faults, faults_of_request

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
URL = f"data:image/png;base64,{PNG}"
IMAGE = {"type": "image_url", "image_url": {"url": URL}}
ASK = {"role": "user", "content": "Go."}
DONE = {"role": "assistant", "content": "Done."}


def call(call_id: Any = "a", name: str = "f", arguments: Any = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def said(*calls: Any, content: Any = None) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def strict(asked: Asked) -> Answer:
    found = faults_of_request(asked.body["messages"])
    if found:
        return Answer(json.dumps({"error": {"message": "; ".join(found)}}).encode(), status=400)
    return whole("Fine.")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve(strict) as server:
        yield server.url


def sent(url: str, messages: Any) -> tuple[list[Any], list[str]]:
    """What a strict server takes for a history, without the question behind it; and the repairs."""
    asked = []
    with serve(lambda request: asked.append(request) or strict(request)) as server:  # type: ignore[func-returns-value]
        with Agent(f"openai:m@{server.url}") as agent:
            result = agent.run("And now?", messages=messages)
    assert result.output == "Fine."
    return asked[-1].body["messages"][:-1], result.repairs


# ---- images and other parts


def test_an_image_in_a_tool_message_is_shown_by_a_user_message_after_all_results(url: str) -> None:
    history = [
        ASK,
        said(call("a"), call("b")),
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "one"}, IMAGE]},
        {"role": "tool", "tool_call_id": "b", "content": [IMAGE]},
        DONE,
    ]
    messages, repairs = sent(url, history)
    assert [message["role"] for message in messages] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "user",
        "user",
        "assistant",
    ]
    assert messages[2]["content"] == "one"
    assert messages[4]["content"] == [{"type": "text", "text": "Image returned by a tool: f"}, IMAGE]
    assert sum("images" in each for each in repairs) == 2


def test_an_image_in_an_assistant_message_is_shown_by_a_user_message(url: str) -> None:
    messages, repairs = sent(url, [ASK, {"role": "assistant", "content": [{"type": "text", "text": "Here."}, IMAGE]}])
    assert [message["role"] for message in messages] == ["user", "user", "assistant"]
    assert messages[1]["content"][1] == IMAGE
    assert messages[2]["content"] == "Here."
    assert "messages[1] has images" in repairs[0]


def test_an_image_does_not_ask_for_another_answer() -> None:
    made, _ = repaired([ASK, {"role": "assistant", "content": [{"type": "text", "text": "Here."}, IMAGE]}])
    assert made[-1]["role"] == "assistant"


def test_the_result_of_a_call_before_an_open_one_may_have_an_image() -> None:
    history = [
        ASK,
        said(call("a"), call("b")),
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "one"}, IMAGE]},
    ]
    made, _ = repaired(history)
    assert [message["role"] for message in made] == ["user", "user", "assistant", "tool"]
    assert repaired(made) == (made, [])


IMAGES: list[Any] = [
    {"type": "image_url", "image_url": URL},
    {"type": "image_url", "image_url": {"url": PNG}},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    {"type": "image", "data": PNG, "mimeType": "image/png"},
    {"type": "image", "image": URL},
    {"type": "image", "image": PNG},
    {"type": "image", "url": URL},
    {"type": "input_image", "image_url": URL},
    {"inline_data": {"mime_type": "image/png", "data": PNG}},
    {"inline_data": {"mime_type": "image/png", "data": base64.b64decode(PNG)}},
    {"image": {"format": "png", "source": {"bytes": base64.b64decode(PNG)}}},  # boto3, Strands
    {"image": {"format": "png", "source": {"bytes": PNG}}},
    {"image_url": {"url": URL}},
]


@pytest.mark.parametrize("part", IMAGES)
def test_an_image_in_any_form_is_an_image(url: str, part: Any) -> None:
    messages, repairs = sent(url, [{"role": "user", "content": [{"type": "text", "text": "What?"}, part]}])
    assert messages[0]["content"] == [{"type": "text", "text": "What?"}, IMAGE]
    assert "messages[0] has parts" in repairs[0]


def test_an_image_url_keeps_its_detail(url: str) -> None:
    given = {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}}
    assert sent(url, [{"role": "user", "content": [given]}]) == ([{"role": "user", "content": [given]}], [])
    part = {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "low"}
    assert sent(url, [{"role": "user", "content": [part]}])[0][0]["content"] == [given]


DOCUMENT = '{"document": {"source": {"bytes": "(4 bytes)"}}}'
TEXTS: list[tuple[Any, Any]] = [
    ([{"type": "input_text", "text": "x"}], [{"type": "text", "text": "x"}]),
    ([{"type": "output_text", "text": "x", "annotations": []}], [{"type": "text", "text": "x"}]),
    ([{"text": "x"}], [{"type": "text", "text": "x"}]),
    (["x", "y"], [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]),
    ({"type": "text", "text": "x"}, [{"type": "text", "text": "x"}]),
    ({"text": "x"}, [{"type": "text", "text": "x"}]),
    (42, "42"),
    ([{"document": {"source": {"bytes": b"%PDF"}}}], [{"type": "text", "text": DOCUMENT}]),
    ({"x": 1}, '{"x": 1}'),
    (None, ""),
    ([], ""),
    ([{"type": "resource", "uri": "u"}], [{"type": "text", "text": '{"type": "resource", "uri": "u"}'}]),
    ([{"type": "text", "text": None}], [{"type": "text", "text": '{"type": "text", "text": null}'}]),
    ([7], [{"type": "text", "text": "7"}]),
]


@pytest.mark.parametrize(("content", "right"), TEXTS)
def test_a_content_in_any_form_is_read(url: str, content: Any, right: Any) -> None:
    messages, repairs = sent(url, [{"role": "user", "content": content}])
    assert messages[0]["content"] == right
    assert len(repairs) == 1


def test_texts_of_a_result_are_one_text(url: str) -> None:
    history = [ASK, said(call()), {"role": "tool", "tool_call_id": "a", "content": ["x", "y"]}, DONE]
    assert sent(url, history)[0][2]["content"] == "x\ny"


def test_thoughts_as_parts_are_not_sent_to_a_server_that_does_not_know_them(url: str) -> None:
    parts = [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "text", "text": "Hi."}]
    messages, _ = sent(url, [ASK, {"role": "assistant", "content": parts}])
    assert messages[1] == {"role": "assistant", "content": "Hi."}


# ---- calls and results in other forms


TAGGED = 'Let me look.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'


def test_the_loop_of_a_text_server_keeps_its_results(url: str) -> None:
    history = [
        ASK,
        {"role": "assistant", "content": TAGGED},
        {"role": "tool", "content": "<tool_response>\nrain\n</tool_response>"},
        DONE,
    ]
    messages, repairs = sent(url, history)
    assert messages[1]["content"] == "Let me look."
    function = messages[1]["tool_calls"][0]["function"]
    assert (function["name"], json.loads(function["arguments"])) == ("weather", {"city": "Oslo"})
    assert messages[2]["tool_call_id"] == messages[1]["tool_calls"][0]["id"]
    assert "rain" in messages[2]["content"]
    assert "in its text" in repairs[0]


@pytest.mark.parametrize(
    "text",
    [
        "I called a tool.",
        f"{TAGGED}\n{TAGGED}",
        '<tool_call>{"name": broken</tool_call>',
        '{"name": "weather", "arguments": {}}',
    ],
)
def test_a_result_without_a_readable_call_is_kept_as_text(url: str, text: str) -> None:
    messages, _ = sent(url, [ASK, {"role": "assistant", "content": text}, {"role": "tool", "content": "rain"}, DONE])
    assert messages[1] == {"role": "assistant", "content": text}
    assert messages[2] == {"role": "user", "content": "A tool returned:\nrain"}


def test_calls_in_a_text_never_run(url: str) -> None:
    made = []

    @tool
    def weather(city: str = "") -> str:
        """Look."""
        made.append(city)
        return "rain"

    with Agent(f"openai:m@{url}", tools=[weather]) as agent:
        agent.run(messages=[ASK, {"role": "assistant", "content": TAGGED}, {"role": "tool", "content": "rain"}])
        agent.run("x", messages=[ASK, {"role": "assistant", "content": TAGGED}])
    assert made == []


USE: dict[str, Any] = {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}
USED: dict[str, Any] = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "nine"}]}
ITEM: dict[str, Any] = {"type": "function_call", "call_id": "t", "name": "f", "arguments": '{"x": 1}', "id": "fc_1"}
VERCEL: dict[str, Any] = {"type": "tool-call", "toolCallId": "t", "toolName": "f", "input": {"x": 1}}
LANGCHAIN: dict[str, Any] = {"name": "f", "args": {"x": 1}, "id": "t", "type": "tool_call"}
OTHER_APIS: dict[str, list[dict[str, Any]]] = {
    "Anthropic": [
        {"role": "assistant", "content": [{"type": "text", "text": "I"}, USE]},
        {"role": "user", "content": [USED, {"type": "text", "text": "So?"}]},
    ],
    "Responses": [ITEM, {"type": "function_call_output", "call_id": "t", "output": "nine"}],
    "Gemini": [
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"x": 1}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": "nine"}}}]},
    ],
    "LangChain": [
        {"type": "ai", "content": "", "tool_calls": [LANGCHAIN]},
        {"type": "tool", "content": "nine", "tool_call_id": "t", "name": "f"},
    ],
    "Vercel": [
        {"role": "assistant", "content": [VERCEL]},
        {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "t", "toolName": "f", "output": "nine"}]},
    ],
    "Bedrock, Strands": [
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {"x": 1}}}]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": "nine"}]}}]},
    ],
    "pydantic-ai": [
        {
            "kind": "response",
            "parts": [{"part_kind": "tool-call", "tool_name": "f", "args": '{"x": 1}', "tool_call_id": "t"}],
        },
        {
            "kind": "request",
            "parts": [{"part_kind": "tool-return", "tool_name": "f", "content": "nine", "tool_call_id": "t"}],
        },
    ],
    "AutoGen": [
        {"type": "AssistantMessage", "content": [{"id": "t", "name": "f", "arguments": '{"x": 1}'}]},
        {"type": "FunctionExecutionResultMessage", "content": [{"call_id": "t", "content": "nine", "name": "f"}]},
    ],
    "Microsoft agent-framework": [
        {
            "role": {"type": "role", "value": "assistant"},
            "contents": [{"type": "function_call", "call_id": "t", "name": "f", "arguments": '{"x": 1}'}],
        },
        {
            "role": {"type": "role", "value": "tool"},
            "contents": [{"type": "function_result", "call_id": "t", "result": "nine"}],
        },
    ],
    "Semantic Kernel": [
        {
            "role": "assistant",
            "items": [{"content_type": "function_call", "id": "t", "name": "f", "arguments": '{"x": 1}'}],
        },
        {"role": "tool", "items": [{"content_type": "function_result", "id": "t", "name": "f", "result": "nine"}]},
    ],
    "Haystack": [
        {
            "role": "assistant",
            "content": [{"tool_call": {"tool_name": "f", "arguments": {"x": 1}, "id": "t"}}],
        },
        {"role": "tool", "content": [{"tool_call_result": {"result": "nine", "origin": {"id": "t"}, "error": False}}]},
    ],
    "LlamaIndex": [
        {
            "role": "assistant",
            "blocks": [{"block_type": "tool_call", "tool_call_id": "t", "tool_name": "f", "tool_kwargs": {"x": 1}}],
        },
        {
            "role": "tool",
            "blocks": [{"block_type": "text", "text": "nine"}],
            "additional_kwargs": {"tool_call_id": "t", "name": "f"},
        },
    ],
    "LlamaIndex, calls beside": [
        {"role": "assistant", "blocks": [], "additional_kwargs": {"tool_calls": [call("t", "f", '{"x": 1}')]}},
        {
            "role": "tool",
            "blocks": [{"block_type": "text", "text": "nine"}],
            "additional_kwargs": {"tool_call_id": "t"},
        },
    ],
}


@pytest.mark.parametrize("history", OTHER_APIS.values(), ids=OTHER_APIS)
def test_calls_and_results_of_other_apis_are_calls_and_results(url: str, history: list[Any]) -> None:
    messages, repairs = sent(url, [ASK, *history])
    function = messages[1]["tool_calls"][0]["function"]
    assert (function["name"], json.loads(function["arguments"])) == ("f", {"x": 1})
    assert (messages[2]["role"], messages[2]["tool_call_id"]) == ("tool", messages[1]["tool_calls"][0]["id"])
    assert "nine" in json.dumps(messages[2]["content"])
    assert repairs


@pytest.mark.parametrize(
    "message",
    [
        {"role": "USER", "message": "Which harbour?"},
        {"role": "user", "text": "Which harbour?"},
        {"role": "user", "parts": [{"text": "Which harbour?"}]},
        {"role": "user", "blocks": [{"block_type": "text", "text": "Which harbour?"}], "additional_kwargs": {}},
        {"role": "user", "items": [{"content_type": "text", "text": "Which harbour?"}]},
        {"role": {"type": "role", "value": "user"}, "contents": [{"type": "text", "text": "Which harbour?"}]},
        {"type": "UserMessage", "content": "Which harbour?", "source": "user"},
        {"kind": "request", "parts": [{"part_kind": "user-prompt", "content": "Which harbour?"}]},
    ],
    ids=["Cohere", "rows", "Gemini", "LlamaIndex", "Semantic Kernel", "agent-framework", "AutoGen", "pydantic-ai"],
)
def test_what_a_message_says_under_another_key_is_sent(url: str, message: Any) -> None:
    """pydantic/pydantic-ai#208, #882, #3038: histories of another library are loaded from a database."""
    messages, repairs = sent(url, [message])
    assert messages[0]["role"] == "user"
    assert messages[0]["content"] in ("Which harbour?", [{"type": "text", "text": "Which harbour?"}])
    assert repairs


def test_a_content_comes_before_other_keys(url: str) -> None:
    """The parts of a page's message say the same again."""
    messages, _ = sent(url, [{**ASK, "parts": [{"type": "text", "text": "Go."}], "text": "Something else."}])
    assert messages == [ASK]


def test_a_conversation_of_pydantic_ai_is_continued(url: str) -> None:
    """pydantic/pydantic-ai#3677: its messages as a chat server takes them. As JSON and as objects."""

    def part(kind: str, **fields: Any) -> dict[str, Any]:
        return {"part_kind": kind, **fields}

    history = [
        {
            "kind": "request",
            "parts": [part("system-prompt", content="Be brief."), part("user-prompt", content=["See:", {"url": URL}])],
        },
        {
            "kind": "response",
            "parts": [
                part("thinking", content="Hm."),
                part("text", content="I look."),
                part("tool-call", tool_name="f", args={"x": 1}, tool_call_id="t"),
                part("tool-call", tool_name="f", args={"x": 2}, tool_call_id="u"),
            ],
        },
        {
            "kind": "request",
            "parts": [
                part("tool-return", tool_name="f", content={"found": 9}, tool_call_id="t"),
                part("retry-prompt", tool_name="f", content="Too large.", tool_call_id="u"),
            ],
        },
        {"kind": "response", "parts": [part("text", content="Nine.")]},
    ]
    messages, _ = sent(url, history)
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool", "tool", "assistant"]
    assert messages[1]["content"] == [{"type": "text", "text": "See:"}, IMAGE]
    assert messages[2]["content"] == "I look."
    assert [each["id"] for each in messages[2]["tool_calls"]] == ["t", "u"]
    assert [message["content"] for message in messages[3:5]] == ['{"found": 9}', "Too large."]
    assert messages[5]["content"] == "Nine."
    objects = [
        SimpleNamespace(kind=turn["kind"], parts=[SimpleNamespace(**each) for each in turn["parts"]])  # type: ignore[arg-type]
        for turn in history
    ]
    assert sent(url, objects)[0] == messages


def test_a_conversation_of_vercels_use_chat_is_what_its_own_library_makes_of_it(url: str) -> None:
    """pydantic/pydantic-ai#3392, vercel/ai#4670: the right messages are those of `convertToModelMessages` of ai 7.0."""
    shown = [{"type": "source-url", "sourceId": "s", "url": "https://x.test"}, {"type": "data-chart", "data": {"a": 1}}]
    used = {"type": "tool-f", "toolCallId": "a", "state": "output-available", "input": {"x": 1}, "output": {"y": 2}}
    failed = {"type": "dynamic-tool", "toolName": "g", "toolCallId": "b", "state": "output-error", "errorText": "no"}
    step, text = {"type": "step-start"}, {"type": "text", "text": "Two.", "state": "done"}
    image = {"type": "file", "mediaType": "image/png", "filename": "a.png", "url": URL}
    history = [
        {"id": "1", "role": "user", "parts": [{"type": "text", "text": "Go."}, image]},
        {"id": "2", "role": "assistant", "parts": [step, used, failed, step, *shown, text]},
    ]
    messages, repairs = sent(url, history)
    assert messages[:5] == [
        {"role": "user", "content": [{"type": "text", "text": "Go."}, IMAGE]},
        said(call("a", "f", '{"x": 1}'), call("b", "g", "{}")),
        {"role": "tool", "tool_call_id": "a", "content": '{"y": 2}'},
        {"role": "tool", "tool_call_id": "b", "content": "no"},
        {"role": "assistant", "content": "Two."},
    ]
    assert "UIMessage" in repairs[0]


@pytest.mark.parametrize("state", ["input-available", "approval-requested", "input-streaming"])
def test_a_call_that_waits_for_somebody_on_a_page_is_not_run(url: str, state: str) -> None:
    ran: list[str] = []

    @tool
    def pay(to: str) -> str:
        """Pay somebody."""
        ran.append(to)
        return "paid"

    part = {"type": "tool-pay", "toolCallId": "a", "state": state, "input": {"to": "ann"}}
    with Agent(f"openai:m@{url}", tools=[pay]) as agent:
        result = agent.run("And now?", messages=[ASK, {"id": "2", "role": "assistant", "parts": [part]}])
    assert (result.output, ran) == ("Fine.", [])


def test_calls_of_older_versions_of_the_ai_sdk_have_their_results(url: str) -> None:
    used = {"toolCallId": "a", "toolName": "f", "args": {"x": 1}, "state": "result", "result": "nine"}
    parts = [{"type": "tool-invocation", "toolInvocation": used}, {"type": "step-start"}, {"type": "text", "text": "9"}]
    messages, _ = sent(url, [ASK, {"id": "2", "role": "assistant", "content": "9", "parts": parts}])
    assert messages[1:3] == [
        said(call("a", "f", '{"x": 1}')),
        {"role": "tool", "tool_call_id": "a", "content": "nine"},
    ]
    assert text_of(messages[3]) == "9"


def test_a_conversation_in_which_the_server_has_searched_goes_on(url: str) -> None:
    """openai/openai-agents-python#1164: each item that was not known ended the conversation."""
    search = {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "x"},
    }
    text = {"type": "output_text", "text": "Done.", "annotations": []}
    reply = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
    messages, repairs = sent(url, [ASK, search, reply])
    assert [(each["role"], text_of(each)) for each in messages] == [("user", "Go."), ("assistant", "Done.")]
    assert "a call by the server of the Responses API" in repairs[0]


def test_a_call_of_a_custom_tool_has_its_result(url: str) -> None:
    made = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "t", "name": "run", "input": "print(1)"}
    messages, _ = sent(url, [ASK, made, {"type": "custom_tool_call_output", "call_id": "t", "output": "1"}, DONE])
    assert messages[1]["tool_calls"] == [call("t", "run", '{"input": "print(1)"}')]
    assert messages[2] == {"role": "tool", "tool_call_id": "t", "content": "1"}


def test_calls_of_one_reply_stay_together(url: str) -> None:
    items = [{"type": "function_call", "call_id": each, "name": "f", "arguments": "{}"} for each in "ab"]
    results = [{"type": "function_call_output", "call_id": each, "output": each} for each in "ab"]
    messages, _ = sent(url, [ASK, {"type": "reasoning", "summary": []}, *items, *results])
    assert [each["id"] for each in messages[1]["tool_calls"]] == ["a", "b"]
    assert [message["content"] for message in messages[2:]] == ["a", "b"]


# ---- objects and keys of other programs


class Role(enum.Enum):
    USER = "user"


@dataclasses.dataclass
class Turn:
    role: str
    content: str


def sdk_message() -> Any:
    from openai.types.chat import ChatCompletionMessage

    return ChatCompletionMessage.model_validate(said(call("a", "f", "{}")))


def test_messages_of_an_sdk_are_taken(url: str) -> None:
    result = {"role": "tool", "tool_call_id": "a", "content": "9"}
    for message in (sdk_message(), {"role": "assistant", "content": None, "tool_calls": sdk_message().tool_calls}):
        messages, repairs = sent(url, [ASK, message, result, Turn("assistant", "Done."), SimpleNamespace(**ASK)])
        assert messages == [ASK, said(call()), result, DONE, ASK]
        assert repairs == []


def test_a_dumped_message_is_sent_without_its_nulls(url: str) -> None:
    messages, repairs = sent(
        url,
        [ASK, {**sdk_message().model_dump(), "content": "x"}, {"role": "tool", "content": "9", "tool_call_id": "a"}],
    )
    assert messages[1].keys() == {"role", "content", "tool_calls"}
    assert repairs == []


def test_rows_of_a_database_are_taken_and_kept(url: str) -> None:
    when = datetime.datetime(2024, 1, 2, 3, 4, 5)
    row = {"id": uuid.UUID(int=7), "created_at": when, "role": Role.USER, "content": "Go.", "metadata": {"when": when}}
    with serve(strict) as server, Agent(f"openai:m@{server.url}") as agent:
        result = agent.run("x", messages=[row])
        assert server.requests[0].body["messages"][0] == ASK
    kept: Any = result.messages[0]
    assert kept["created_at"] == kept["metadata"]["when"] == "2024-01-02T03:04:05"
    json.dumps(result.messages)


def test_a_session_takes_what_a_run_takes(url: str) -> None:
    session = MemorySessions()["s"]
    given: list[Any] = [
        {**ASK, "metadata": {"title": "t"}},
        Turn("assistant", "Hi."),
        {"role": "human", "content": "x"},
    ]
    session.append(given)
    session.append(
        [sdk_message(), {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "9"}, IMAGE]}]
    )
    with Agent(f"openai:m@{url}") as agent:
        assert agent.run("x", session=session).output == "Fine."
    assert session.messages[0]["metadata"] == {"title": "t"}  # type: ignore[typeddict-item]
    assert [message["role"] for message in session.messages] == [
        "user",
        "assistant",
        "user",
        "assistant",
        "tool",
        "user",
        "assistant",
    ]


def test_generators_and_tuples_are_taken(url: str) -> None:
    assert sent(url, (each for each in [ASK, DONE]))[0] == [ASK, DONE]
    assert sent(url, (ASK, DONE))[0] == [ASK, DONE]


@pytest.mark.parametrize(
    ("name", "made"), [("Jürgen M.", "Jurgen_M"), ("bob smith", "bob_smith"), ("王伟", None), ("", None), (7, None)]
)
def test_a_name_is_made_valid_or_removed(url: str, name: Any, made: str | None) -> None:
    messages, repairs = sent(url, [{**ASK, "name": name}])
    assert messages[0].get("name") == made
    assert repr(name) in repairs[0]


@pytest.mark.parametrize(
    ("role", "right"),
    [
        ("human", "user"),
        ("ai", "assistant"),
        ("bot", "assistant"),
        ("model", "assistant"),
        ("tool-call", "assistant"),
        ("User", "user"),
        ("ASSISTANT", "assistant"),
    ],
)
def test_other_names_of_roles_are_understood(url: str, role: str, right: str) -> None:
    messages, repairs = sent(url, [{"role": role, "content": "x"}])
    assert messages[0]["role"] == right
    assert role in repairs[0]


@pytest.mark.parametrize(
    "messages",
    [[("user", "x")], ["x"], [None], [{"role": "wizard", "content": "x"}], [{"from": "human", "value": "x"}]],
)
def test_what_is_no_message_is_refused_with_what_one_is(messages: Any) -> None:
    with pytest.raises(
        TranscriptError, match=r"messages\[0\].*(a message is a dict with a role|valid are assistant, developer)"
    ):
        Agent("openai:m@http://127.0.0.1:1/v1").run("x", messages=messages)


@pytest.mark.parametrize("call_id", ["i" * 60, "i" * 391, "ünï", "a b"])
@pytest.mark.parametrize("name", ["functions.f", "f g", "", "f" * 99])
def test_names_and_ids_of_calls_are_made_valid(url: str, call_id: str, name: str) -> None:
    history = [ASK, said(call(call_id, name)), {"role": "tool", "tool_call_id": call_id, "content": "nine"}]
    messages, repairs = sent(url, history)
    assert messages[2]["content"] == "nine"
    assert repairs


# ---- properties

WORDS = st.integers(0, 10**9).map(lambda number: f"w{number}w")
PART = st.one_of(
    WORDS,
    st.builds(
        lambda kind, text: {"type": kind, "text": text},
        st.sampled_from(["text", "input_text", "output_text", "odd"]),
        WORDS,
    ),
    st.builds(lambda text: {"text": text}, WORDS),
    st.sampled_from(IMAGES),
    st.builds(lambda text: {"type": "document", "title": text}, WORDS),
    st.builds(lambda text: {"type": "tool_use", "id": "t", "name": "f", "input": {"x": text}}, WORDS),
    st.builds(lambda text: {"type": "tool_result", "tool_use_id": "t", "content": text}, WORDS),
)
CONTENT = st.one_of(
    st.none(),
    WORDS,
    st.lists(PART, max_size=4),
    st.builds(lambda word: {"a": word}, WORDS),
    WORDS.map(lambda word: f"<tool_call>{word}"),
)
CALL_IDS = st.sampled_from(["a", "b", "", None, 7, "i" * 60, "c d"])
CALLS = st.lists(
    st.builds(
        call,
        CALL_IDS,
        st.sampled_from(["f", "functions.f", "", "x y", "n" * 99]),
        st.builds(lambda word: json.dumps({"x": word}), WORDS),
    ),
    max_size=3,
)
MESSAGES = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "system", "assistant", "human", "ai", "developer"]), "content": CONTENT},
            optional={"name": st.text(max_size=8), "metadata": WORDS, "id": st.integers()},
        ),
        st.fixed_dictionaries(
            {"role": st.sampled_from(["assistant", "model"]), "content": CONTENT, "tool_calls": CALLS}
        ),
        st.fixed_dictionaries(
            {"role": st.sampled_from(["tool", "function"]), "content": CONTENT},
            optional={"tool_call_id": CALL_IDS, "name": st.just("f")},
        ),
    ),
    max_size=8,
)


def words_in(value: Any) -> set[str]:
    return set(re.findall(r"w\d+w", json.dumps(value)))


@given(MESSAGES, st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_history_is_valid_when_repaired_and_nothing_readable_is_lost(messages: list[Any], closed: bool) -> None:
    made, repairs = repaired(messages, closed=True)
    assert faults(made) == []
    assert faults_of_request([PLAIN_FORM(cast(Message, message)) for message in made]) == []
    assert words_in(made) == words_in(messages)
    assert repaired(made, closed=True) == (made, [])
    assert repairs or made == messages
    open_ended, _ = repaired(messages, closed=closed)
    assert repaired(open_ended, closed=closed) == (open_ended, [])
