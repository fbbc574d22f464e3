"""Tools that need a person's approval, served to MCP clients."""

import enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from agentkit import Context, tool
from agentkit.mcp.serving.answering import Server
from tests.mcp.serving.conftest import Connect
from tests.support import mcp_fixture, mcp_tools
from tests.support.mcp_clients import Lines, call_of, request, stateless

FORM: dict[str, Any] = {"elicitation": {}}
ACCEPT = {"approval": {"action": "accept", "content": {}}}


def pay(amount: int = 100, **more: Any) -> dict[str, Any]:
    return request("tools/call", {"name": "pay_much", "arguments": {"amount": amount}, **more})


def asked(client: Lines, **options: Any) -> Any:
    result = client.ask(stateless(pay(**options), **FORM))["result"]
    assert result["resultType"] == "input_required"
    return result


def test_a_client_that_can_ask_is_asked_and_the_call_runs_once_approved(client: Lines) -> None:
    result = asked(client)
    question = result["inputRequests"]["approval"]
    assert question["method"] == "elicitation/create"
    assert 'pay_much with {"amount": 100}' in question["params"]["message"]
    assert mcp_tools.NOTED == []
    again = pay(inputResponses=ACCEPT, requestState=result["requestState"])
    assert client.ask(stateless(again, **FORM))["result"]["content"][0]["text"] == "paid 100"
    assert mcp_tools.NOTED == ["paid 100"]


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a_call_that_is_not_approved_is_not_run(client: Lines, action: str) -> None:
    state = asked(client)["requestState"]
    again = pay(inputResponses={"approval": {"action": action}}, requestState=state)
    result = client.ask(stateless(again, **FORM))["result"]
    assert result["isError"] is True
    assert "did not approve" in result["content"][0]["text"]
    assert mcp_tools.NOTED == []


def test_an_approval_is_for_one_call(client: Lines) -> None:
    again = stateless(pay(inputResponses=ACCEPT, requestState=asked(client)["requestState"]), **FORM)
    client.ask(again)
    assert client.ask(again)["result"]["resultType"] == "input_required"
    assert mcp_tools.NOTED == ["paid 100"]


def test_an_approval_is_for_the_arguments_that_were_shown(client: Lines) -> None:
    state = asked(client)["requestState"]
    error = client.ask(stateless(pay(5000, inputResponses=ACCEPT, requestState=state), **FORM))["error"]
    assert error["code"] == -32602
    assert mcp_tools.NOTED == []


@pytest.mark.parametrize("state", ["x", "", "e30=.00", "ü.ü", ".\ud800", 5, ["x"], "." * 100_000])
def test_a_state_that_is_none_of_this_server_is_refused(client: Lines, state: Any) -> None:
    error = client.ask(stateless(pay(inputResponses=ACCEPT, requestState=state), **FORM))["error"]
    assert error["code"] == -32602


def test_an_answer_that_was_not_asked_for_asks(client: Lines) -> None:
    result = client.ask(stateless(pay(inputResponses=ACCEPT), **FORM))["result"]
    assert result["resultType"] == "input_required"
    assert mcp_tools.NOTED == []


@pytest.mark.parametrize("answer", [5, [], {"approval": 5}, {"approval": "accept"}])
def test_answers_that_are_none_are_refused(client: Lines, answer: Any) -> None:
    assert client.ask(stateless(pay(inputResponses=answer), **FORM))["error"]["code"] == -32602


@pytest.mark.parametrize("capabilities", [{}, {"sampling": {}}, {"elicitation": {"url": {}}}])
def test_a_client_that_can_not_ask_is_told_what_it_lacks(client: Lines, capabilities: Any) -> None:
    error = client.ask(stateless(pay(), **capabilities))["error"]
    assert (error["code"], error["data"]) == (-32021, {"requiredCapabilities": {"elicitation": {}}})
    assert mcp_tools.NOTED == []


def test_a_client_with_a_handshake_is_refused_with_a_sentence(client: Lines) -> None:
    result = client.ask(pay())["result"]
    assert result["isError"] is True
    assert "a person has to approve it" in result["content"][0]["text"]
    assert mcp_tools.NOTED == []


def test_calls_that_need_no_approval_run_at_once(client: Lines) -> None:
    assert client.ask(pay(50))["result"]["isError"] is False
    assert client.ask(call_of("pay", amount=1000))["result"]["isError"] is False
    assert mcp_tools.NOTED == ["paid 50", "paid 1000"]


def test_nobody_is_asked_about_a_call_that_can_not_run(client: Lines) -> None:
    message = request("tools/call", {"name": "pay_much", "arguments": {"amount": "much"}})
    assert client.ask(stateless(message, **FORM))["result"]["isError"] is True


def test_a_tool_with_questions_of_its_own_is_asked_again_with_the_answers(connect: Connect) -> None:
    client = connect(Server(mcp_fixture.TOOLS))
    name = "test_input_required_result_multi_round"
    first = client.ask(stateless(call_of(name), **FORM))["result"]
    answers = {"step1": {"action": "accept", "content": {"name": "Ada"}}}
    params = {"name": name, "arguments": {}, "inputResponses": answers, "requestState": first["requestState"]}
    second = client.ask(stateless(request("tools/call", params), **FORM))["result"]
    assert list(second["inputRequests"]) == ["step2"]
    assert "can't be asked" in client.ask(call_of(name))["result"]["content"][0]["text"]


def book(train: str = "ICE 5", **more: Any) -> dict[str, Any]:
    return stateless(request("tools/call", {"name": "book", "arguments": {"train": train}, **more}), **FORM)


def seat(value: str) -> dict[str, Any]:
    return {"question": {"action": "accept", "content": {"seat": value}}}


def test_the_question_of_a_tool_is_asked_and_answered(client: Lines) -> None:
    result = client.ask(book())["result"]
    form = result["inputRequests"]["question"]["params"]
    assert form["message"] == "Which seat in ICE 5?"
    assert form["requestedSchema"]["properties"] == {"seat": {"type": "string", "enum": ["aisle", "window"]}}
    again = book(inputResponses=seat("roof"), requestState=result["requestState"])
    result = client.ask(again)["result"]
    assert "roof" in result["inputRequests"]["question"]["params"]["message"]  # what was wrong
    assert client.ask(again)["result"]["resultType"] == "input_required"
    done = client.ask(book(inputResponses=seat("window"), requestState=result["requestState"]))
    assert done["result"]["content"][0]["text"] == "booked window in ICE 5"
    assert mcp_tools.NOTED == ["booked window"]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Order(BaseModel):
    colour: Colour
    size: Literal["s", "l"] = "s"
    note: str | None = Field(default=None, description="For the parcel.")
    second: Colour | None = None
    extras: list[Colour] = []
    kind: Literal["gift"] = "gift"


def test_a_form_describes_each_field_where_it_stands(connect: Connect) -> None:
    """PrefectHQ/fastmcp#1565: enums as references, and fields that may be null, are lines of text at clients."""

    @tool
    def order(ctx: Context) -> str:
        """Order something."""
        return str(ctx.ask("What?", Order.model_json_schema()))

    client = connect(Server([order]))
    call = request("tools/call", {"name": "order", "arguments": {}})
    result = client.ask(stateless(call, **FORM))["result"]
    form = result["inputRequests"]["question"]["params"]["requestedSchema"]
    assert set(form) == {"type", "properties", "required"}
    kinds = {name: (each["type"], each.get("enum")) for name, each in form["properties"].items()}
    assert kinds == {
        "colour": ("string", ["red", "blue"]),
        "size": ("string", ["s", "l"]),
        "note": ("string", None),
        "second": ("string", ["red", "blue"]),
        "extras": ("array", None),
        "kind": ("string", ["gift"]),
    }
    fields = form["properties"]
    assert fields["extras"]["items"]["enum"] == ["red", "blue"]
    assert (fields["note"]["description"], "default" in fields["note"]) == ("For the parcel.", False)
    answer = {"question": {"action": "accept", "content": {"colour": "blue", "extras": ["red"]}}}
    more = {"inputResponses": answer, "requestState": result["requestState"]}
    done = client.ask(stateless(request("tools/call", {"name": "order", "arguments": {}, **more}), **FORM))["result"]
    assert "'colour': 'blue'" in done["content"][0]["text"]


def test_a_form_of_a_schema_that_leads_to_itself_has_what_it_refers_to(connect: Connect) -> None:
    schema = {
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/Tree"}, "lost": {"$ref": "#/$defs/Nothing"}},
        "$defs": {"Tree": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]}},
    }

    @tool
    def plant(ctx: Context) -> str:
        """Plant something."""
        return str(ctx.ask("What?", schema))

    client = connect(Server([plant]))
    result = client.ask(stateless(request("tools/call", {"name": "plant", "arguments": {}}), **FORM))["result"]
    form = result["inputRequests"]["question"]["params"]["requestedSchema"]
    assert form["$defs"] == schema["$defs"]


def test_a_tool_asks_after_it_was_approved(client: Lines) -> None:
    first = client.ask(book("ICE 7"))["result"]
    assert list(first["inputRequests"]) == ["approval"]
    second = client.ask(book("ICE 7", inputResponses=ACCEPT, requestState=first["requestState"]))["result"]
    assert list(second["inputRequests"]) == ["question"]
    done = client.ask(book("ICE 7", inputResponses=seat("aisle"), requestState=second["requestState"]))
    assert done["result"]["content"][0]["text"] == "booked aisle in ICE 7"


def test_a_question_that_is_not_answered_ends_the_call(client: Lines) -> None:
    state = client.ask(book())["result"]["requestState"]
    done = client.ask(book(inputResponses={"question": {"action": "decline"}}, requestState=state))["result"]
    assert (done["isError"], mcp_tools.NOTED) == (True, [])
    refused = client.ask(request("tools/call", {"name": "book", "arguments": {"train": "ICE 5"}}))["result"]
    assert refused["isError"] is True
    assert "Nobody can answer" in refused["content"][0]["text"]
