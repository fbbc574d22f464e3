"""Clients of the versions with a handshake, as VS Code, Cursor and Claude Code are, that are asked in the middle of a
call over standard input and output."""

from typing import Any

import pytest

from agentkit import Context, tool
from agentkit.mcp.serving import answering, asked
from agentkit.mcp.serving.answering import Server
from tests.mcp.serving.conftest import Connect
from tests.support import mcp_tools
from tests.support.mcp_clients import Lines, call_of, initialize, request, text_of


def shaken(client: Lines, version: str = "2025-11-25", **capabilities: Any) -> Lines:
    """The client, once it has said what it can do."""
    message = initialize(version)
    message["params"]["capabilities"] = capabilities
    assert client.ask(message)["result"]["protocolVersion"] == version
    return client


def question(client: Lines, call: Any) -> Any:
    """What a client is asked when it makes a call."""
    client.send(call)
    asked_for = client.receive()
    assert asked_for["method"] == "elicitation/create"
    return asked_for


def answered(client: Lines, number: Any, **result: Any) -> Any:
    client.send({"jsonrpc": "2.0", "id": number, "result": result})
    return client.receive()


PAY = call_of("pay_much", amount=100)


def test_a_person_approves_a_call_while_it_waits(client: Lines) -> None:
    asked_for = question(shaken(client, elicitation={}), PAY)
    assert 'pay_much with {"amount": 100}' in asked_for["params"]["message"]
    assert mcp_tools.NOTED == []
    assert client.ask(request("ping", number=7))["result"] == {}, "other messages are answered meanwhile"
    assert text_of(answered(client, asked_for["id"], action="accept", content={})) == "paid 100"
    assert mcp_tools.NOTED == ["paid 100"]


@pytest.mark.parametrize("answer", [{"action": "decline"}, {"action": "cancel"}, {"action": "yes"}, {}])
def test_what_is_no_yes_does_not_run_the_call(client: Lines, answer: dict[str, Any]) -> None:
    asked_for = question(shaken(client, elicitation={}), PAY)
    got = answered(client, asked_for["id"], **answer)
    if got.get("method") == "elicitation/create":  # what is no answer is asked again
        got = answered(client, got["id"], action="decline")
    assert got["result"]["isError"] is True
    assert mcp_tools.NOTED == []


def test_a_client_that_answers_with_an_error_has_not_approved(client: Lines) -> None:
    asked_for = question(shaken(client, elicitation={"form": {}}), PAY)
    client.send({"jsonrpc": "2.0", "id": asked_for["id"], "error": {"code": -32601, "message": "no"}})
    assert "did not approve" in text_of(client.receive())
    assert mcp_tools.NOTED == []


@pytest.mark.parametrize(("version", "has_mode"), [("2025-06-18", False), ("2025-11-25", True)])
def test_the_question_of_a_tool_is_answered_in_the_form_of_the_version(
    client: Lines, version: str, has_mode: bool
) -> None:
    asked_for = question(shaken(client, version, elicitation={}), call_of("book", train="ICE 5"))
    assert asked_for["params"]["message"] == "Which seat in ICE 5?"
    assert ("mode" in asked_for["params"]) == has_mode
    assert "seat" in asked_for["params"]["requestedSchema"]["properties"]
    got = answered(client, asked_for["id"], action="accept", content={"seat": "window"})
    assert text_of(got) == "booked window in ICE 5"


def test_a_tool_that_is_approved_may_ask_on_its_own(connect: Connect) -> None:
    @tool(approve=True)
    def order(item: str, ctx: Context) -> str:
        """Order an item."""
        answer = ctx.ask("How many?", {"type": "object", "properties": {"count": {"type": "integer"}}})
        return f"{answer['count']} {item}"

    client = shaken(connect(Server([order])), elicitation={})
    first = question(client, call_of("order", item="tea"))
    second = answered(client, first["id"], action="accept")
    assert second["params"]["message"] == "How many?"
    assert text_of(answered(client, second["id"], action="accept", content={"count": 2})) == "2 tea"


@pytest.mark.parametrize("capabilities", [{}, {"elicitation": {"url": {}}}, {"elicitation": None}])
def test_a_client_that_can_not_ask_is_told(client: Lines, capabilities: dict[str, Any]) -> None:
    assert "can't be asked" in text_of(shaken(client, **capabilities).ask(PAY))
    assert mcp_tools.NOTED == []


def test_a_call_that_is_cancelled_while_it_waits_asks_no_more(client: Lines) -> None:
    asked_for = question(shaken(client, elicitation={}), PAY)
    client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": PAY["id"]}})
    note = client.receive()
    assert (note["method"], note["params"]["requestId"]) == ("notifications/cancelled", asked_for["id"])
    client.send({"jsonrpc": "2.0", "id": asked_for["id"], "result": {"action": "accept"}})
    assert client.ask(request("ping", number=7))["result"] == {}
    assert mcp_tools.NOTED == []


def test_a_person_who_does_not_answer_has_not_approved(client: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "SECONDS", 0.2)
    question(shaken(client, elicitation={}), PAY)
    assert client.receive()["method"] == "notifications/cancelled"
    assert "did not approve" in text_of(client.receive())


def test_questions_have_an_end_and_calls_that_ask_keep_their_places(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "MAX_QUESTIONS", 3)

    @tool
    def endless(ctx: Context) -> str:
        """Ask for ever."""
        return str(ctx.ask("Again?", {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}))

    server = Server([endless])
    client = shaken(connect(server), elicitation={})
    got = question(client, call_of("endless"))
    for _ in range(2):
        got = answered(client, got["id"], action="accept", content={"n": "none"})
    assert "was ended: it has asked 3 questions" in text_of(answered(client, got["id"], action="accept", content={}))
    free = [server._room.acquire(blocking=False) for _ in range(answering.MAX_CALLS + 1)]
    assert free == [True] * answering.MAX_CALLS + [False]


def test_several_calls_wait_for_their_own_answers(client: Lines) -> None:
    shaken(client, elicitation={})
    first = question(client, call_of("book", 11, train="A"))
    second = question(client, call_of("book", 12, train="B"))
    later = answered(client, second["id"], action="accept", content={"seat": "aisle"})
    assert (later["id"], text_of(later)) == (12, "booked aisle in B")
    sooner = answered(client, first["id"], action="accept", content={"seat": "window"})
    assert (sooner["id"], text_of(sooner)) == (11, "booked window in A")
