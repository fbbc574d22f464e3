"""Whole descriptions, in the manner of well-known APIs, and that of our own service, whose endpoints are called."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, Context, Tool
from agentkit.openapi import openapi
from agentkit.serving.http.keys import Keys
from agentkit.testing import ScriptedBackend
from agentkit.toolbox import Toolbox
from agentkit.tooling.schema_dialects import Dialect
from tests.openapi.specs import answer, tools_of
from tests.support.api_server import ApiServer
from tests.support.http_service import Service, serve_http, settings_for
from tests.support.model_server import serve, whole

CASES = Path(__file__).parents[1] / "cases" / "openapi"

CALLS: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("pets.yaml", "getPetById", {"petId": "7"}, "GET /pet/7", ""),
    (
        "pets.yaml",
        "findPetsByStatus",
        {"status": ["sold", "pending"]},
        "GET /pet/findByStatus?status=sold&status=pending",
        "",
    ),
    (
        "pets.yaml",
        "addPet",
        {"name": "Rex", "category": {"name": "dogs"}, "weight": None, "friends": [{"name": "Tom"}]},
        "POST /pet",
        '{"name":"Rex","category":{"name":"dogs"},"weight":null,"friends":[{"name":"Tom"}]}',
    ),
    ("pets.yaml", "deletePet", {"petId": 7, "X-Reason": "sold"}, "DELETE /pet/7", ""),
    (
        "pets.yaml",
        "placeOrder",
        {"petId": 7, "shipDate": "2026-01-02T03:04:05Z", "complete": True},
        "POST /store/order",
        "petId=7&shipDate=2026-01-02T03%3A04%3A05Z&complete=true",
    ),
    (
        "mail.json",
        "listMails",
        {"box": "in+out", "labels": ["a", "b"], "ids": [1, 2]},
        "GET /boxes/in%2Bout/mails?labels=a%7Cb&ids=1&ids=2",
        "",
    ),
    (
        "mail.json",
        "sendMail",
        {"box": "x", "to": [{"mail": "a@b"}], "subject": None},
        "POST /boxes/x/mails",
        '{"to":[{"mail":"a@b"}],"subject":null}',
    ),
    ("mail.json", "addRule", {"from": ["a", "b,c"], "stop": False}, "POST /rules", "from=a,b%2Cc&stop=false"),
    (
        "payments.json",
        "GetCustomers",
        {"created": {"gt": 5}, "expand": ["a"], "limit": 3},
        "GET /v1/customers?created%5Bgt%5D=5&expand%5B%5D=a&limit=3",
        "",
    ),
    ("payments.json", "GetCustomers", {"created": 5}, "GET /v1/customers?created=5", ""),
    (
        "payments.json",
        "PostCustomers",
        {
            "address": {"city": "Oslo"},
            "items": [{"price": "p", "quantity": 2}],
            "metadata": {"a b": "c"},
            "balance": -5,
        },
        "POST /v1/customers",
        "address%5Bcity%5D=Oslo&balance=-5&items%5B0%5D%5Bprice%5D=p&items%5B0%5D%5Bquantity%5D=2&metadata%5Ba%20b%5D=c",
    ),
    (
        "messages.json",
        "messages_send",
        {"to": "+47", "content": {"type": "text", "text": "Hi"}},
        "POST /messages",
        '{"to":"+47","content":{"type":"text","text":"Hi"}}',
    ),
    (
        "messages.json",
        "messages_raw",
        {"body": {"type": "group", "parts": [{"type": "location", "latitude": 1.5}]}},
        "POST /raw",
        '{"type":"group","parts":[{"type":"location","latitude":1.5}]}',
    ),
    ("devices.json", "device", {"id": "a b", "since": None}, "GET /devices/a%20b", ""),
    (
        "devices.json",
        "change",
        {"id": 5, "on": None, "brightness": 3},
        "PATCH /devices/5",
        '{"on":null,"brightness":3}',
    ),
    (
        "devices.json",
        "run_scene",
        {"name": "evening", "level": "40", "mode": "dim", "colour": [1, 2, 3]},
        "POST /scenes",
        '{"name":"evening","level":40,"mode":"dim","colour":[1,2,3]}',
    ),
]


@pytest.mark.parametrize(
    ("file", "name", "arguments", "request_line", "body"),
    CALLS,
    ids=[f"{number}-{case[1]}" for number, case in enumerate(CALLS)],
)
def test_the_operations_of_a_description_are_called_as_it_says(
    api: ApiServer, file: str, name: str, arguments: dict[str, Any], request_line: str, body: str
) -> None:
    tool = tools_of(CASES / file, api.url)[name]
    said = answer(tool, json.dumps(arguments))
    assert said == "{}"
    assert f"{api.last.method} {api.last.target}" == request_line
    assert api.last.body.decode() == body


@pytest.mark.parametrize("file", ["pets.yaml", "mail.json", "payments.json", "messages.json", "devices.json"])
@pytest.mark.parametrize("dialect", list(Dialect), ids=lambda each: each.name)
def test_the_tools_of_a_description_can_be_sent_to_every_server(file: str, dialect: Dialect) -> None:
    assert json.loads(Toolbox(openapi(CASES / file)).encoded_for(dialect))


@pytest.mark.parametrize(
    ("file", "base"),
    [
        ("pets.yaml", "https://eu.pets.example/v3"),
        ("mail.json", "https://mail.example/api"),
        ("payments.json", "https://api.payments.example"),
        ("messages.json", "https://messages.example"),
        ("devices.json", "https://home.example/api"),
    ],
)
def test_each_names_its_server(file: str, base: str) -> None:
    made: Any = openapi(CASES / file)[0].function
    assert made.api.base_url == base


def test_an_operation_of_payments_has_a_server_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert [each.name for each in openapi(CASES / "payments.json")] == ["GetCustomers", "PostCustomers"]
    assert "PostFiles (POST /v1/files): its server is https://files.payments.example" in caplog.text


def test_what_is_wrong_with_arguments_is_told_before_anything_is_sent(api: ApiServer) -> None:
    pets, messages = tools_of(CASES / "pets.yaml", api.url), tools_of(CASES / "messages.json", api.url)
    assert "weight: 0 is less than or equal to the minimum of 0" in answer(pets["addPet"], '{"name": "a", "weight": 0}')
    assert "'lost' is not one of" in answer(pets["findPetsByStatus"], '{"status": ["lost"]}')
    assert "don't fit" in answer(messages["messages_raw"], '{"body": {"type": "location", "text": "Hi"}}')
    assert api.received == []


# Our own service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with serve([whole("Oslo has 717,710 people.")]) as model:
        settings = settings_for(folder, model.url)
        key = Keys(settings.agentkit_keys_file).add("ann")
        with serve_http(settings, key) as made:
            yield made


def said_by(tool: Tool[..., Any], arguments: Any) -> str:
    outcome = tool.answer(json.dumps(arguments), Context())
    assert not outcome.failed, outcome.text
    return outcome.text


def test_the_tools_of_our_own_service_call_it(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "agentkit"):
        tools = {each.name: each for each in openapi(f"{service.url}/openapi.json", auth=service.key)}
    assert not [each for each in caplog.records if "openapi" in each.getMessage()]
    for dialect in Dialect:
        assert Toolbox(tools.values()).encoded_for(dialect)
    reads = [each for each in tools.values() if each.options.read_only and not each.parameters.get("required")]
    assert len(reads) >= 8
    for read in reads:
        assert said_by(read, {})
    question = {"message": "How many people live in Oslo?", "session_id": "a.b-c"}
    assert "717,710" in said_by(tools["session_chat_api_llm_chat_session_post"], question)
    path = {"session_id": "a.b-c"}
    assert "717,710" in said_by(tools["history_api_llm_chat_session_session_id_history_get"], path)
    assert said_by(tools["rename_api_llm_chat_session_session_id_patch"], {**path, "name": "Oslo!"})
    assert "Oslo!" in said_by(tools["sessions_api_llm_chat_sessions_get"], {})
    assert said_by(tools["clear_api_llm_chat_session_session_id_delete"], path)
    assert (
        "answered 404"
        in tools["history_api_llm_chat_session_session_id_history_get"]
        .answer('{"session_id": "another"}', Context())
        .text
    )


def test_an_agent_uses_our_own_service_with_the_key_that_it_needs(service: Service) -> None:
    for key, said in ((service.key, "717,710 people"), ("a-wrong-secret-key", "answered 401")):
        tools = openapi(f"{service.url}/openapi.json", only="POST /v1/chat/completions", auth=key)
        call = (tools[0].name, {"model": "default", "messages": [{"role": "user", "content": "Oslo?"}]})
        result = Agent(ScriptedBackend(call, "717,710."), tools=tools).run("How many?")
        assert said in str(result.messages)
        assert str(key) not in str(result.messages)
