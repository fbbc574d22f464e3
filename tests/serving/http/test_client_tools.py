"""Clients of the OpenAI-compatible API that bring their own tools, beside those of the service."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from agentkit import tool
from agentkit.serving.http.keys import Keys
from tests.support.http_service import LOOK_UP, Service
from tests.support.model_server import Answer, Asked, calls, whole
from tests.support.scripted_agent import agent

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "strict": True,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def complete(service: Service, messages: Any, **fields: Any) -> Any:
    body = {"model": "agentkit", "messages": messages, "tools": [WEATHER], **fields}
    response = service.ask("POST", "/v1/chat/completions", body)
    return response.json()


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_a_call_of_a_clients_tool_ends_the_answer_and_goes_on_with_its_result(tmp_path: Path) -> None:
    answers = [calls(("weather", {"city": "Rome"}), usage=USAGE), whole("It is hot.", usage=USAGE)]
    with agent(tmp_path, answers) as (service, server):
        first = complete(service, [user("Weather in Rome?")])
        (choice,) = first["choices"]
        (call,) = choice["message"]["tool_calls"]
        assert choice["finish_reason"] == "tool_calls"
        assert (call["type"], call["function"]["name"]) == ("function", "weather")
        assert json.loads(call["function"]["arguments"]) == {"city": "Rome"}
        assert choice["message"]["content"] is None
        result = {"role": "tool", "tool_call_id": call["id"], "content": "40 degrees"}
        second = complete(service, [user("Weather in Rome?"), choice["message"], result])
        assert second["choices"][0]["message"]["content"] == "It is hot."
        assert second["choices"][0]["finish_reason"] == "stop"
        assert server.requests[0].body["tools"][-1]["function"]["name"] == "weather"
        roles = [message["role"] for message in server.requests[1].body["messages"]]
        assert roles == ["user", "assistant", "tool"]
        assert "40 degrees" in server.requests[1].body["messages"][-1]["content"]


@pytest.mark.parametrize(
    "answer",
    [
        calls(("weather", {"city": "Rome"}), usage=USAGE),
        whole({"role": "assistant", "content": None, "refusal": "No."}, usage=USAGE),
    ],
    ids=["call", "refusal"],
)
def test_an_answer_without_text_has_none_streamed_and_whole(tmp_path: Path, answer: Answer) -> None:
    asked: Any = {"model": "agentkit", "messages": [user("Weather in Rome?")], "tools": [WEATHER]}
    with agent(tmp_path, [answer]) as (service, _):
        at_once = service.ask("POST", "/v1/chat/completions", asked).json()["choices"][0]["message"]
        with (
            openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client,
            client.chat.completions.stream(**asked) as stream,
        ):
            message = stream.get_final_completion().choices[0].message
    assert (message.content, message.refusal) == (None, at_once["refusal"])
    assert at_once["content"] is None
    assert bool(message.tool_calls) == bool(at_once.get("tool_calls"))


def test_a_clients_tool_may_be_named_as_agents_name_the_one_for_their_answer(tmp_path: Path) -> None:
    answers = [calls(("final_answer", {"answer": "42"})), whole("It is 42.")]
    with agent(tmp_path, answers) as (service, _):
        message = complete(service, [user("Hello")], tools=[named("final_answer")])["choices"][0]["message"]
        (call,) = message["tool_calls"]
        assert call["function"] == {"name": "final_answer", "arguments": '{"answer": "42"}'}
        result = {"role": "tool", "tool_call_id": call["id"], "content": "42"}
        history = [user("Hello"), message, result]
        again = complete(service, history, tools=[named("final_answer")])["choices"][0]
        assert (again["finish_reason"], again["message"]["content"]) == ("stop", "It is 42.")


BOTH = calls(("weather", {"city": "Rome"}), ("look_up", {"topic": "tides"}), usage=USAGE)


def test_in_a_reply_with_calls_of_both_the_services_run_first_and_are_remembered(tmp_path: Path) -> None:
    with agent(tmp_path, [BOTH, whole("Done.")], agentkit_tools=(LOOK_UP,)) as (service, server):
        message = complete(service, [user("Both")])["choices"][0]["message"]
        (call,) = message["tool_calls"]
        assert call["function"]["name"] == "weather"
        result = {"role": "tool", "tool_call_id": call["id"], "content": "40 degrees"}
        complete(service, [user("Both"), message, result])
        sent = server.requests[1].body["messages"]
        assert [each["role"] for each in sent] == ["user", "assistant", "tool", "tool"]
        assert [each["function"]["name"] for each in sent[1]["tool_calls"]] == ["look_up", "weather"]
        assert "all about tides" in sent[2]["content"]
        assert "40 degrees" in sent[3]["content"]
        assert [each["tool_call_id"] for each in sent[2:]] == [each["id"] for each in sent[1]["tool_calls"]]


def test_what_is_kept_of_an_answer_is_its_subjects_alone(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    ann, bob = (Keys(keys).add(name) for name in ("ann", "bob"))
    body = {"model": "agentkit", "tools": [WEATHER]}
    with agent(
        tmp_path, [BOTH, whole("Done."), whole("Done.")], agentkit_tools=(LOOK_UP,), agentkit_keys_file=keys
    ) as (service, server):
        answer = service.ask("POST", "/v1/chat/completions", {**body, "messages": [user("Both")]}, key=ann).json()
        message = answer["choices"][0]["message"]
        result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "40 degrees"}
        body["messages"] = [user("Both"), message, result]
        for key, sees in ((bob, False), (ann, True)):
            assert service.ask("POST", "/v1/chat/completions", body, key=key).status_code == 200
            assert ("all about tides" in str(server.requests[-1].body)) is sees


removed: list[str] = []


@tool(approve=True)
def remove(path: str) -> str:
    """Remove a file.

    Args:
        path: Which.
    """
    removed.append(path)
    return "done"


def refused(service: Service, **fields: Any) -> dict[str, Any]:
    body = {"model": "agentkit", "messages": [user("Hello")], **fields}
    response = service.ask("POST", "/v1/chat/completions", body)
    assert response.status_code == 400, response.text
    error: dict[str, Any] = response.json()["error"]
    return error


def named(name: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param({"tools": [named("look_up")]}, "tools", id="a name of the service"),
        pytest.param({"tools": [named("earlier_result")]}, "tools", id="a reserved name"),
        pytest.param(
            {"tools": [named("final_answer")], "response_format": {"type": "json_object"}},
            "tools",
            id="the name of the tool for an answer in JSON",
        ),
        pytest.param({"tools": [WEATHER, WEATHER]}, "tools", id="a name twice"),
        pytest.param({"tools": [{"type": "web_search"}]}, "tools[0].type", id="another type"),
        pytest.param({"tools": [named("my tool")]}, "tools[0].function.name", id="a bad name"),
        pytest.param({"tools": [named(None)]}, "tools[0].function.name", id="no name"),
        pytest.param({"tools": {"a": 1}}, "tools", id="no list"),
        pytest.param({"tools": ["x"]}, "tools[0].type", id="a text"),
        pytest.param(
            {"tools": [{"type": "function", "function": {"name": "a", "parameters": [1]}}]},
            "tools[0].function.parameters",
            id="no schema",
        ),
        pytest.param({"tool_choice": named("weather")}, "tool_choice", id="a choice that is not there"),
        pytest.param({"tool_choice": "must"}, "tool_choice", id="a choice of another kind"),
        pytest.param({"functions": [{"name": "a"}]}, "functions", id="the deprecated form"),
        pytest.param({"n": 2}, "n", id="two answers"),
    ],
)
def test_what_can_not_be_met_is_a_400_that_names_it(fields: Any, param: str, shared: Service) -> None:
    error = refused(shared, **fields)
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with agent(tmp_path_factory.mktemp("shared"), [whole("Hi")], agentkit_tools=(LOOK_UP,)) as (service, _):
        yield service


def names_sent(request: Asked) -> list[str]:
    return [each["function"]["name"] for each in request.body.get("tools", ())]


@pytest.mark.parametrize(
    ("choice", "names", "sent"),
    [
        pytest.param("none", [], None, id="none"),
        pytest.param("auto", ["look_up", "weather"], "auto", id="auto"),
        pytest.param("required", ["look_up", "weather"], "required", id="required"),
        pytest.param(named("weather"), ["weather"], "required", id="a client's"),
        pytest.param({"type": "function", "name": "weather"}, ["weather"], "required", id="flat"),
        pytest.param(named("look_up"), ["look_up", "weather"], named("look_up"), id="a service's"),
        pytest.param(
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named("weather")]}},
            ["weather"],
            "auto",
            id="allowed tools",
        ),
    ],
)
def test_a_tool_choice_in_any_form_is_met(choice: Any, names: list[str], sent: Any, tmp_path: Path) -> None:
    with agent(tmp_path, [whole("Hi")], agentkit_tools=(LOOK_UP,)) as (service, server):
        complete(service, [user("Hello")], tool_choice=choice)
        assert names_sent(server.requests[0]) == names
        assert server.requests[0].body.get("tool_choice") == sent


def test_required_stays_until_a_clients_tool_is_called(tmp_path: Path) -> None:
    answers = [calls(("look_up", {"topic": "tides"})), calls(("weather", {"city": "Rome"}))]
    with agent(tmp_path, answers, agentkit_tools=(LOOK_UP,)) as (service, server):
        answer = complete(service, [user("Hello")], tool_choice="required")
        assert answer["choices"][0]["finish_reason"] == "tool_calls"
        assert [request.body["tool_choice"] for request in server.requests] == ["required", "required"]


@pytest.mark.parametrize("choice", ["required", named("weather")], ids=["required", "named"])
def test_a_required_call_is_not_evaded_by_an_answer_in_the_response_format(choice: Any, tmp_path: Path) -> None:
    described = {"name": "sky", "schema": {"type": "object", "properties": {"blue": {"type": "boolean"}}}}
    response_format = {"type": "json_schema", "json_schema": described}
    with agent(tmp_path, [calls(("weather", {"city": "Rome"}))]) as (service, server):
        answer = complete(service, [user("Hello")], tool_choice=choice, response_format=response_format)
        assert answer["choices"][0]["finish_reason"] == "tool_calls"
        assert names_sent(server.requests[0]) == ["weather"]
        assert server.requests[0].body["tool_choice"] == "required"


def test_a_call_whose_arguments_can_not_be_read_goes_back_to_the_model(tmp_path: Path) -> None:
    function = {"name": "weather", "arguments": '{"city": '}
    broken = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "a", "type": "function", "function": function}],
    }
    answers = [whole(broken, finish_reason="tool_calls"), calls(("weather", {"city": "Rome"}))]
    with agent(tmp_path, answers) as (service, server):
        answer = complete(service, [user("Hello")])
        assert json.loads(answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]) == {"city": "Rome"}
        assert "Error" in server.requests[1].body["messages"][-1]["content"]


def test_a_call_that_needs_a_persons_approval_is_not_run_and_the_answer_says_so(tmp_path: Path) -> None:
    """An answer in JSON can't say so: there the model is told. Beside a call of the client's, both are told."""
    both = [calls(("remove", {"path": "all"}), ("weather", {"city": "Oslo"})), whole("Cold.")]
    answers = [calls(("remove", {"path": "all"})), calls(("remove", {"path": "all"})), whole('{"a": 1}'), *both]
    tools = ("tests.serving.http.test_client_tools:remove",)
    with agent(tmp_path, answers, agentkit_tools=tools) as (service, server):
        said = service.ask("POST", "/v1/chat/completions", {"messages": [user("Remove all")]}).json()["choices"][0]
        assert said["message"]["content"].startswith('`remove({"path": "all"})` needs a person\'s approval')
        assert (said["finish_reason"], len(server.requests)) == ("stop", 1)
        as_json = {"messages": [user("Remove all")], "response_format": {"type": "json_object"}}
        said = service.ask("POST", "/v1/chat/completions", as_json).json()["choices"][0]
        assert json.loads(said["message"]["content"]) == {"a": 1}
        assert "approval" in server.requests[2].body["messages"][-1]["content"]
        (choice,) = complete(service, [user("Remove all, and the weather?")])["choices"]
        message = choice["message"]
        assert [call["function"]["name"] for call in message["tool_calls"]] == ["weather"]
        assert "needs a person's approval" in message["content"]
        result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "cold"}
        answer = complete(service, [user("Remove all, and the weather?"), message, result])
        assert answer["choices"][0]["message"]["content"] == "Cold."
        assert removed == []


def test_a_call_that_the_clients_limit_cuts_off_ends_the_answer(tmp_path: Path) -> None:
    function = {"name": "weather", "arguments": '{"ci'}
    message = {"role": "assistant", "content": "I ask", "tool_calls": [{"id": "a", "function": function}]}
    with agent(tmp_path, [whole(message, finish_reason="length")]) as (service, server):
        (choice,) = complete(service, [user("Hello")], max_tokens=5)["choices"]
        assert (choice["finish_reason"], choice["message"]["content"]) == ("length", "I ask")
        assert "tool_calls" not in choice["message"]
        assert len(server.requests) == 1


@tool
def order(what: str) -> str:
    """Order something.

    Args:
        what: What to order.
    """
    ordered.append(what)
    return "ordered"


ordered: list[str] = []


def test_a_request_that_fails_after_an_effect_is_not_sent_again_by_the_sdk(tmp_path: Path) -> None:
    answers = [calls(("order", {"what": "tea"})), whole("half", finish_reason="abort")]
    with agent(tmp_path, answers, agentkit_tools=("tests.serving.http.test_client_tools:order",)) as (service, _):
        client = openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=2)
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="agentkit", messages=[{"role": "user", "content": "Order tea"}])
    assert ordered == ["tea"]


def test_calls_without_results_at_the_end_are_refused_and_never_run(shared: Service) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "look_up", "arguments": '{"topic": "x"}'}}
    error = refused(shared, messages=[user("Hello"), {"role": "assistant", "content": None, "tool_calls": [call]}])
    assert "tool_call_id" in error["message"]


@pytest.mark.parametrize("through", ["chat", "responses"])
def test_a_client_gets_no_id_twice_in_a_conversation(tmp_path: Path, through: str) -> None:
    """vllm-project/vllm#50295, NVIDIA-NeMo/Switchyard#502, NousResearch/hermes-agent#102629: the model numbers the
    calls of each reply anew, and clients that find results by ids took the first for the second call's."""
    made = [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "weather:0", "type": "function", "function": {"name": "weather", "arguments": city}}],
        }
        for city in ('{"city": "Oslo"}', '{"city": "Rome"}')
    ]
    script = [*(whole(each, finish_reason="tool_calls") for each in made), whole("Done.")]
    ids: list[str] = []
    tools: Any = [WEATHER]
    function: Any = WEATHER["function"]
    with agent(tmp_path, script) as (service, server):
        client = openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0)
        if through == "chat":
            messages: list[Any] = [user("Compare them")]
            for _ in made:
                given = client.chat.completions.create(model="agentkit", messages=messages, tools=tools)
                message = given.choices[0].message
                ids.append(message.tool_calls[0].id)  # type: ignore[index]
                result = {"role": "tool", "tool_call_id": ids[-1], "content": f"result {len(ids)}"}
                messages += [message.model_dump(exclude_none=True), result]
            client.chat.completions.create(model="agentkit", messages=messages, tools=tools)
        else:
            tools = [{"type": "function", **function}]
            asked: Any = "Compare them"
            before = None
            for _ in range(3):
                response = client.responses.create(
                    model="agentkit", input=asked, tools=tools, previous_response_id=before
                )
                before = response.id
                for each in response.output:
                    if each.type == "function_call":
                        ids.append(each.call_id)
                        output = f"result {len(ids)}"
                        asked = [{"type": "function_call_output", "call_id": each.call_id, "output": output}]
        sent = server.requests[-1].body["messages"]
    assert len(ids) == len(set(ids)) == 2
    assert [each["role"] for each in sent] == ["user", "assistant", "tool", "assistant", "tool"]
    for number, place in enumerate((1, 3)):
        (call,) = sent[place]["tool_calls"]
        assert call["function"] == made[number]["tool_calls"][0]["function"]  # type: ignore[index]
        assert sent[place + 1]["tool_call_id"] == call["id"]
        assert f"result {number + 1}" in sent[place + 1]["content"]
