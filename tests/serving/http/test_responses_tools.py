"""The tools that agents such as Codex list in requests of the Responses API: custom tools, namespaces, OpenAI's own.

Reports of users of other servers that refuse or drop them: CommandCodeAI/command-code#885, ggml-org/llama.cpp#20156
(a 400 for each request with web_search), openai/codex#36942, MetaFARS/codex-relay#6, router-for-me/CLIProxyAPI#4255
(tools of MCP servers are not offered, or called without their namespace), decolua/9router#1007 (custom tools without
their input), router-for-me/CLIProxyAPI#4414 (without their grammar).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.serving.http.openai.responses.items import chat_messages
from agentkit.serving.http.openai.responses.tools import MAX_NAME, function_name, offered_tools
from tests.support.growth import assert_linear
from tests.support.http_service import LOOK_UP, Service
from tests.support.model_server import ModelServer, calls, streamed, whole
from tests.support.scripted_agent import agent

SHELL: Any = {
    "type": "function",
    "name": "shell",
    "description": "Run a command.",
    "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
    "strict": False,
}
PATCH: Any = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edit files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: patch"},
}
ROUTE: Any = {"type": "function", "name": "route", "parameters": SHELL["parameters"], "defer_loading": True}
MAPS: Any = {"type": "namespace", "name": "mcp__maps__", "tools": [ROUTE, {"type": "custom", "name": "draw"}]}
CODEX = [SHELL, PATCH, {"type": "web_search", "external_web_access": False}, MAPS, {"type": "image_generation"}]
FUNCTIONS = ["shell", "apply_patch", "mcp__maps__route", "mcp__maps__draw"]
CALLED = calls(
    ("apply_patch", {"input": "*** Begin"}),
    ("mcp__maps__route", {"command": "Rome"}),
    ("mcp__maps__draw", {"text": "a line"}),  # a model that gives the input another name
    ("shell", {"command": "ls"}),
)
WRITTEN = [
    {"type": "custom_tool_call", "call_id": "c0", "name": "apply_patch", "input": "*** Begin"},
    {"type": "function_call", "call_id": "c1", "name": "route", "namespace": "mcp__maps__"},
    {"type": "custom_tool_call", "call_id": "c2", "name": "draw", "namespace": "mcp__maps__", "input": "a line"},
    {"type": "function_call", "call_id": "c3", "name": "shell", "arguments": '{"command": "ls"}'},
]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Service, ModelServer]]:
    with agent(tmp_path, [CALLED, whole("Done.")], agentkit_tools=(LOOK_UP,)) as running:
        yield running


def test_what_codex_sends_is_answered_in_its_own_forms(served: tuple[Service, ModelServer]) -> None:
    service, server = served
    body: dict[str, Any] = {"model": "agentkit", "tools": CODEX, "input": [{"role": "user", "content": "Go"}]}
    body |= {"store": False, "include": ["reasoning.encrypted_content"], "tool_choice": "auto"}
    response = service.ask("POST", "/v1/responses", body)
    assert response.status_code == 200, response.text
    assert response.headers["x-tools-not-offered"] == "web_search, image_generation"
    made = response.json()
    assert [{**each, **expected} for each, expected in zip(made["output"], WRITTEN, strict=True)] == made["output"]
    assert [each["type"] for each in made["tools"]] == ["function", "custom", "namespace"]
    offered = {each["function"]["name"]: each["function"] for each in server.requests[0].body["tools"]}
    assert [*offered][1:] == FUNCTIONS
    assert offered["apply_patch"]["parameters"]["required"] == ["input"]
    assert "start: patch" in offered["apply_patch"]["parameters"]["properties"]["input"]["description"]
    results = [
        {"type": each["type"] + "_output", "call_id": each["call_id"], "output": f"ok {place}"}
        for place, each in enumerate(made["output"])
    ]
    body["input"] += [*made["output"], *results]
    assert service.ask("POST", "/v1/responses", body).json()["output"][0]["content"][0]["text"] == "Done."
    sent = server.requests[1].body["messages"]
    assert [call["function"]["name"] for call in sent[1]["tool_calls"]] == [FUNCTIONS[1], *FUNCTIONS[2:], "shell"]
    assert [json.loads(call["function"]["arguments"]) for call in sent[1]["tool_calls"]][2] == {"input": "a line"}
    assert [each["content"] for each in sent[2:]] == ["ok 0", "ok 1", "ok 2", "ok 3"]


@pytest.mark.parametrize(
    ("choice", "offered"),
    [
        pytest.param({"type": "custom", "name": "apply_patch"}, ["apply_patch"], id="custom"),
        pytest.param({"type": "function", "name": "shell"}, ["shell"], id="function"),
        pytest.param(
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "apply_patch"}]},
            ["apply_patch"],
            id="allowed tools",
        ),
    ],
)
def test_a_tool_of_any_kind_can_be_chosen(choice: Any, offered: list[str], served: Any) -> None:
    service, server = served
    body = {"model": "agentkit", "tools": CODEX, "input": "Go", "tool_choice": choice}
    assert service.ask("POST", "/v1/responses", body).status_code == 200
    assert [each["function"]["name"] for each in server.requests[0].body["tools"]] == offered


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param({"tools": [{"type": "web_search"}]}, "tools[0].type", id="only OpenAI's own"),
        pytest.param({"tools": [SHELL, {"type": "robot"}]}, "tools[1].type", id="unknown"),
        pytest.param({"tools": [{"type": "web_search"}, {**SHELL, "name": "a b"}]}, "tools[1].name", id="bad name"),
        pytest.param({"tools": [{"type": ["web_search"]}]}, "tools[0].type", id="no text"),
        pytest.param({"tools": [{"type": "custom"}]}, "tools[0].name", id="no name"),
        pytest.param({"tools": [{**MAPS, "tools": 5}]}, "tools[0].tools", id="no list"),
        pytest.param({"tools": [{**MAPS, "tools": [MAPS]}]}, "tools[0].tools[0].type", id="a namespace in one"),
        pytest.param(
            {"tools": [{**MAPS, "tools": [ROUTE, {**ROUTE, "name": "a b"}]}]},
            "tools[0].tools[1].name",
            id="bad name in a namespace",
        ),
        pytest.param({"tools": [SHELL, {**PATCH, "name": "shell"}]}, "tools", id="a name twice"),
        pytest.param({"tools": CODEX, "tool_choice": {"type": "web_search"}}, "tool_choice", id="choice"),
        pytest.param({"include": ["reasoning.encrypted_content", "everything"]}, "include[1]", id="include"),
    ],
)
def test_what_is_wrong_with_tools_is_told_by_their_place(fields: Any, param: str, served: Any) -> None:
    service, server = served
    response = service.ask("POST", "/v1/responses", {"model": "agentkit", "input": "Go", **fields})
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert not server.requests


NAMES = st.text("abc_", min_size=1, max_size=70)


@given(NAMES, st.none() | NAMES, st.text(max_size=20))
def test_a_call_comes_back_as_the_client_wrote_its_tool(name: str, namespace: str | None, text: str) -> None:
    tool: Any = {"type": "custom", "name": name}
    offered = offered_tools([tool if namespace is None else {**MAPS, "name": namespace, "tools": [tool]}])
    (function,) = [each["function"] for each in offered.functions]
    assert len(function["name"]) <= (MAX_NAME if namespace is not None else len(name))
    written = offered.forms[function["name"]].written(json.dumps({"input": text}))
    item = {"type": "custom_tool_call", "call_id": "c", **written}
    (message,) = chat_messages([item], ())
    (call,) = message["tool_calls"]
    assert call["function"]["name"] == function["name"] == function_name(name, namespace)
    assert (written["input"], json.loads(call["function"]["arguments"])) == (text, {"input": text})


def test_audio_and_files_are_passed_on_and_addresses_are_not(tmp_path: Path) -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}
    with agent(tmp_path, [whole("Hi")], agentkit_tools=(LOOK_UP,)) as (service, server):

        def asked(*parts: Any) -> Any:
            body = {"model": "agentkit", "input": [{"role": "user", "content": list(parts)}]}
            return service.ask("POST", "/v1/responses", body)

        assert asked(audio, {"type": "input_file", **file}).status_code == 200
        assert server.requests[0].body["messages"][0]["content"] == [audio, {"type": "file", "file": file}]
        refused = asked({"type": "input_audio", "input_audio": {"data": "http://10.0.0.1/a.wav", "format": "wav"}})
        assert "is not fetched" in refused.json()["error"]["message"]
        assert asked({"type": "input_file", "file_id": "file-1"}).status_code == 400
        assert len(server.requests) == 1


def test_calls_without_answers_stream_an_item_each(tmp_path: Path) -> None:
    """lemonade-sdk/lemonade#3607, sgl-project/sglang#12644: indices of streamed items were left out, or began at 1."""
    chunk = json.loads(CALLED.body)["choices"][0]["message"]["tool_calls"]
    pieces = [{"index": place, **call} for place, call in enumerate(chunk)]
    answer = {"choices": [{"index": 0, "delta": {"tool_calls": pieces}, "finish_reason": "tool_calls"}]}
    with agent(tmp_path, [streamed(answer)], agentkit_tools=(LOOK_UP,)) as (service, _):
        events = service.frames("/v1/responses", {"model": "agentkit", "input": "x", "tools": CODEX, "stream": True})
    assert [each.get("output_index") for each in events] == [None, None, *(n // 4 for n in range(16)), None]
    assert [each["sequence_number"] for each in events] == list(range(len(events)))


@pytest.mark.parametrize("kind", ["web_search", "custom", "namespace"])
def test_a_long_list_of_tools_is_read_in_linear_time(kind: str) -> None:
    tool: Any = {**MAPS, "type": kind, "tools": [ROUTE]}
    assert_linear(lambda size: offered_tools([SHELL, *([tool] * size), {"type": "web_search"}]), 1000)


SEARCH: Any = {
    "type": "tool_search",
    "execution": "client",
    "description": "Find tools.",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
}


def test_a_search_for_tools_is_the_clients_and_what_it_finds_can_be_called(tmp_path: Path) -> None:
    """CommandCodeAI/command-code#893, openai/codex#20574, vllm-project/agentic-api#140: the items were refused, so that
    no tool of an MCP server could be reached."""
    answers = [
        calls(("tool_search", {"query": "maps"})),
        calls(("mcp__maps__route", {"command": "Rome"})),
        whole("Ok."),
    ]
    with agent(tmp_path, answers, agentkit_tools=(LOOK_UP,)) as (service, server):
        body: dict[str, Any] = {"model": "agentkit", "tools": [SHELL, SEARCH], "store": False, "input": [HELLO]}
        (searched,) = service.ask("POST", "/v1/responses", body).json()["output"]
        expected = {"type": "tool_search_call", "execution": "client", "call_id": "c0", "arguments": {"query": "maps"}}
        assert {**searched, **expected, "status": "completed"} == searched
        found = {"type": "tool_search_output", "execution": "client", "call_id": "c0", "tools": [MAPS, MAPS]}
        body["input"] += [searched, found]
        (called,) = service.ask("POST", "/v1/responses", body).json()["output"]
        assert (called["type"], called["name"], called["namespace"]) == ("function_call", "route", "mcp__maps__")
        body["input"] += [called, {"type": "function_call_output", "call_id": called["call_id"], "output": {"km": 5}}]
        assert service.ask("POST", "/v1/responses", body).json()["output"][0]["content"][0]["text"] == "Ok."
    offered = [[each["function"]["name"] for each in asked.body["tools"]][1:] for asked in server.requests]
    first = ["shell", "tool_search"]
    assert offered == [first, *([[*first, "mcp__maps__route", "mcp__maps__draw"]] * 2)]
    sent = server.requests[2].body["messages"]
    assert sent[1]["tool_calls"][0]["function"]["name"] == "tool_search"
    assert sent[2]["content"] == "Tools that can be called now: mcp__maps__route, mcp__maps__draw"
    assert json.loads(sent[4]["content"]) == {"km": 5}


HELLO: Any = {"type": "message", "role": "user", "content": "Go"}


def test_a_search_goes_on_from_a_stored_response_and_is_streamed_as_it_is_sent_whole(tmp_path: Path) -> None:
    search = calls(("tool_search", {"query": "maps"}))
    chunk = {"index": 0, **json.loads(search.body)["choices"][0]["message"]["tool_calls"][0]}
    stream = streamed({"choices": [{"index": 0, "delta": {"tool_calls": [chunk]}, "finish_reason": "tool_calls"}]})
    with agent(tmp_path, [search, whole("None."), stream], agentkit_tools=(LOOK_UP,)) as (service, server):
        body = {"model": "agentkit", "tools": [SEARCH], "input": "Go"}
        first = service.ask("POST", "/v1/responses", body).json()
        reference = {"type": "item_reference", "id": first["output"][0]["id"]}
        found = {"type": "tool_search_output", "call_id": "c0", "tools": []}
        follow = {**body, "previous_response_id": first["id"], "input": [reference, found]}
        response = service.ask("POST", "/v1/responses", follow)
        assert response.status_code == 200, response.text
        assert server.requests[1].body["messages"][-1]["content"] == "No tools were found."
        events = service.frames("/v1/responses", {**body, "stream": True})
    added, done = (each["item"] for each in events if "output_item" in each["type"])
    assert (added["status"], done["status"]) == ("in_progress", "completed")
    assert {**done, "id": ""} == {**first["output"][0], "id": ""}


def test_tools_that_come_as_an_item_of_the_input_are_offered(served: Any) -> None:
    """mxyhi/token_proxy#307, 10/chatgpt-codex-proxy#9, openai/codex#39532: each request of Codex was a 400."""
    service, server = served
    item = {"type": "additional_tools", "role": "developer", "tools": [*CODEX, SHELL]}
    bodies: tuple[dict[str, Any], ...] = ({}, {"tools": []}, {"tools": [SHELL]})
    for body in bodies:
        response = service.ask("POST", "/v1/responses", {"model": "agentkit", "input": [item, HELLO], **body})
        assert response.status_code == 200, response.text
    for request in server.requests:
        names = [each["function"]["name"] for each in request.body["tools"]]
        assert sorted(names) == sorted(["look_up", *FUNCTIONS])
        assert request.body["messages"] == [{"role": "user", "content": "Go"}]


def test_a_tool_that_is_there_already_keeps_its_form(served: Any) -> None:
    service, server = served
    more = [{"type": "custom", "name": "shell"}, {"name": "flat"}, {"name": "other"}, {"name": "flat"}]
    item = {"type": "additional_tools", "tools": more}
    body = {"model": "agentkit", "input": [item, HELLO], "tools": [*CODEX, SHELL][1:]}
    made = service.ask("POST", "/v1/responses", body).json()["output"]
    assert [each["type"] for each in made if each["name"] == "shell"] == ["function_call"]
    names = [each["function"]["name"] for each in server.requests[0].body["tools"]]
    assert sorted(names) == sorted(["look_up", *FUNCTIONS, "flat", "other"])


@pytest.mark.parametrize(
    "item",
    [
        pytest.param({"role": "assistant", "content": "x", "tool_calls": 5}, id="no list"),
        pytest.param({"role": "assistant", "content": "x", "tool_calls": ["a"]}, id="no call"),
        pytest.param({"role": "tool", "content": "x"}, id="no id"),
        pytest.param({"type": "tool_search_call", "call_id": "c", "arguments": 5}, id="no arguments"),
        pytest.param({"role": "user", "content": [{"type": "image_url", "image_url": {"url": 5}}]}, id="no address"),
    ],
)
def test_an_item_in_the_form_of_a_chat_message_that_can_not_be_read_is_refused(item: Any, served: Any) -> None:
    service, server = served
    response = service.ask("POST", "/v1/responses", {"model": "agentkit", "input": [HELLO, item]})
    assert response.status_code == 400, response.text
    assert not server.requests


@pytest.mark.parametrize(
    ("item", "param"),
    [
        pytest.param({"type": "additional_tools"}, "input[0].tools", id="no tools"),
        pytest.param({"type": "additional_tools", "tools": [SHELL, 5]}, "input[0].tools[1].type", id="no tool"),
        pytest.param(
            {"type": "additional_tools", "tools": [{**SHELL, "name": "a b"}]}, "input[0].tools[0].name", id="bad name"
        ),
        pytest.param({"type": "tool_search_output", "call_id": "x", "tools": []}, "input", id="no such search"),
    ],
)
def test_what_is_wrong_with_tools_of_an_item_is_told_by_their_place(item: Any, param: str, served: Any) -> None:
    service, server = served
    response = service.ask("POST", "/v1/responses", {"model": "agentkit", "input": [item, HELLO]})
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert not server.requests


def test_items_in_the_form_of_chat_messages_are_read(served: Any) -> None:
    """Clients that put a chat's messages into `input`, as the agent mode of Cursor does: BerriAI/litellm#34029."""
    service, server = served
    image: Any = {
        "type": "image_url",
        "image_url": {"url": "data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs="},
    }
    call = {"id": "c0", "type": "function", "function": {"name": "shell", "arguments": {"command": "ls"}}}
    items = [
        {"role": "user", "content": [{"type": "text", "text": "Look"}, image]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c0", "content": "a.txt"},
    ]
    response = service.ask("POST", "/v1/responses", {"model": "agentkit", "input": items, "tools": [SHELL]})
    assert response.status_code == 200, response.text
    asked, said, told = server.requests[0].body["messages"]
    assert asked["content"][1]["image_url"]["url"] == image["image_url"]["url"]
    assert json.loads(said["tool_calls"][0]["function"]["arguments"]) == {"command": "ls"}
    assert (told["role"], told["tool_call_id"], told["content"]) == ("tool", "c0", "a.txt")
