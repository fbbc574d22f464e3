"""The Responses API, used with the openai package; all that is sent fits its types."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import openai
import pytest
from openai.types.responses import Response, ResponseItem, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from agentkit.serving.http.keys import Keys
from agentkit.serving.http.openai import pruning
from agentkit.serving.http.openai.responses import store
from agentkit.sessions import open_sessions
from tests.serving.http.test_responses_tools import CALLED, CODEX, WRITTEN
from tests.support.http_service import LOOK_UP, Service, serve_http, settings_for
from tests.support.model_server import Answer, Asked, ModelServer, calls, delta, serve, streamed, whole
from tests.support.waiting import until

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
EVENT: Any = TypeAdapter(ResponseStreamEvent)
ITEM: Any = TypeAdapter(ResponseItem)


class Served(Protocol):
    """Serves the answers of a model; yields a client, the model server and the service. has_tools: whether the service
    has a tool."""

    def __call__(
        self, answers: Any, has_tools: bool = False
    ) -> AbstractContextManager[tuple[openai.OpenAI, ModelServer, Service]]: ...


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with ExitStack() as stack:
        server = stack.enter_context(serve([whole("")]))
        services = [
            stack.enter_context(
                serve_http(settings_for(tmp_path_factory.mktemp("service"), server.url, agentkit_tools=tools))
            )
            for tools in ((), (LOOK_UP,))
        ]

        @contextmanager
        def serving(answers: Any, has_tools: bool = False) -> Iterator[tuple[openai.OpenAI, ModelServer, Service]]:
            server.requests.clear()
            server._answers = answers
            service = services[has_tools]
            with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:
                yield client, server, service

        yield serving


def talk(request: Asked) -> Answer:
    """Repeats all texts of the conversation."""
    said = " | ".join(str(message["content"]) for message in request.body["messages"])
    if request.body.get("stream"):
        return streamed(delta(content=said), delta("stop"))
    return whole(said)


def posted(service: Service, **body: Any) -> Any:
    response = service.ask("POST", "/v1/responses", {"model": "agentkit", **body})
    assert response.status_code == 200, response.text
    made = response.json()
    Response.model_validate(made)
    return made


def refused(service: Service, status: int = 400, **body: Any) -> dict[str, Any]:
    response = service.ask("POST", "/v1/responses", {"model": "agentkit", **body})
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    return error


def events_of(service: Service, **body: Any) -> list[dict[str, Any]]:
    events = service.frames("/v1/responses", {"model": "agentkit", "stream": True, **body})
    for event in events:
        EVENT.validate_python(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def comparable(response: dict[str, Any]) -> Any:
    """A response without what differs each time."""
    token = response["id"].removeprefix("resp_")
    text = json.dumps({k: v for k, v in response.items() if k not in ("created_at", "completed_at")})
    return json.loads(text.replace(token, "TOKEN"))


def test_a_text_is_answered_whole(served: Served) -> None:
    with served(talk) as (client, server, _):
        made = client.responses.create(
            model="agentkit",
            input="Hello",
            instructions="Be brief.",
            max_output_tokens=20,
            temperature=0.1,
            metadata={"project": "a"},
        )
        assert made.output_text == "Be brief. | Hello"
        assert (made.status, made.metadata, made.max_output_tokens) == ("completed", {"project": "a"}, 20)
        sent = server.requests[0].body
        assert [message["role"] for message in sent["messages"]] == ["system", "user"]
        assert (sent["max_tokens"], sent["temperature"]) == (20, 0.1)


REASONED = streamed(
    delta(reasoning_content="I "),
    delta(reasoning_content="see."),
    delta(content="It is "),
    delta(content="hot."),
    delta("stop"),
)


def test_a_stream_has_the_events_in_the_order_of_openai(served: Served) -> None:
    with served([REASONED]) as (_, _, service):
        events = events_of(service, input="Hello")
        kinds = [event["type"].removeprefix("response.") for event in events]
        assert [kind for place, kind in enumerate(kinds) if kinds[place - 1] != kind] == [
            *("created", "in_progress"),
            *("output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.done"),
            *("content_part.done", "output_item.done"),
            *("output_item.added", "content_part.added", "output_text.delta", "output_text.done"),
            *("content_part.done", "output_item.done", "completed"),
        ]
        assert events[-1]["response"]["output"][1]["content"][0]["text"] == "It is hot."
        assert events[-1]["response"]["output"][0]["content"][0]["text"] == "I see."


def test_the_openai_package_streams(served: Served) -> None:
    with served([REASONED]) as (client, _, _):
        with client.responses.stream(model="agentkit", input="Hello") as stream:
            said = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
            assert said == "It is hot." == stream.get_final_response().output_text
        last = list(client.responses.create(model="agentkit", input="Hello", stream=True))[-1]
        assert last.type == "response.completed"


def test_reasoning_is_a_summary_where_one_is_asked_for(served: Served) -> None:
    with served([REASONED]) as (_, server, service):
        events = events_of(service, input="Hello", reasoning={"effort": "low", "summary": "auto"})
        said = "".join(e["delta"] for e in events if e["type"] == "response.reasoning_summary_text.delta")
        assert said == "I see."
        assert events[-1]["response"]["output"][0]["summary"] == [{"type": "summary_text", "text": "I see."}]
        assert server.requests[0].body["reasoning_effort"] == "low"


def preamble(request: Asked) -> Answer:
    """Thinks and speaks, calls a tool of the service, then thinks and speaks again."""
    if request.body["messages"][-1]["role"] == "tool":
        return streamed(delta(reasoning_content="Now I know."), delta(content="It is hot."), delta("stop"))
    call = {"index": 0, "id": "c0", "function": {"name": "look_up", "arguments": '{"topic": "Rome"}'}}
    return streamed(
        delta(reasoning_content="What is it?"),
        delta(content="Let me look. "),
        delta(tool_calls=[call]),
        delta("tool_calls"),
    )


def test_streamed_equals_whole_and_replies_stand_apart(served: Served) -> None:
    with served(preamble, has_tools=True) as (_, _, service):
        made = posted(service, input="Rome?")
        events = events_of(service, input="Rome?")
        assert comparable(events[-1]["response"]) == comparable(made)
        assert [item["type"] for item in made["output"]] == ["reasoning", "message", "reasoning", "message"]
        assert Response.model_validate(made).output_text == "Let me look.\n\nIt is hot."
        said = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
        assert said == "Let me look.\n\nIt is hot."


BOTH = calls(("weather", {"city": "Rome"}), ("look_up", {"topic": "tides"}))


@pytest.mark.parametrize("by_id", [True, False], ids=["previous_response_id", "whole history"])
def test_calls_of_the_clients_tools_go_on_with_their_outputs(served: Served, by_id: bool) -> None:
    with served([BOTH, whole("It is hot.")], has_tools=True) as (client, server, _):
        first = client.responses.create(model="agentkit", input="Both", tools=[WEATHER])
        (call,) = first.output
        assert call.type == "function_call"
        assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Rome"})
        output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "40 degrees"}
        if by_id:
            second = client.responses.create(
                model="agentkit", input=[output], tools=[WEATHER], previous_response_id=first.id
            )
        else:
            history: list[Any] = [{"role": "user", "content": "Both"}, *(item.model_dump() for item in first.output)]
            second = client.responses.create(model="agentkit", input=[*history, output], tools=[WEATHER])
        assert second.output_text == "It is hot."
        sent = server.requests[1].body["messages"]
        assert [each["role"] for each in sent] == ["user", "assistant", "tool", "tool"]
        assert "all about tides" in sent[2]["content"]
        assert "40 degrees" in sent[3]["content"]
        assert [each["tool_call_id"] for each in sent[2:]] == [each["id"] for each in sent[1]["tool_calls"]]


def test_calls_are_streamed_as_events(served: Served) -> None:
    with served([BOTH], has_tools=True) as (_, _, service):
        events = events_of(service, input="Both", tools=[WEATHER])
        kinds = [event["type"].removeprefix("response.") for event in events]
        assert kinds == [
            *("created", "in_progress", "output_item.added"),
            *("function_call_arguments.delta", "function_call_arguments.done", "output_item.done", "completed"),
        ]


def test_calls_of_custom_tools_are_streamed_as_the_client_writes_them(served: Served) -> None:
    with served([CALLED]) as (_, _, service):
        events = events_of(service, input="Go", tools=CODEX)
    assert [event["type"] for event in events[2:6]] == [
        "response.output_item.added",
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
        "response.output_item.done",
    ]
    output = events[-1]["response"]["output"]
    assert [{**each, **expected} for each, expected in zip(output, WRITTEN, strict=True)] == output
    assert [ITEM.validate_python(each).type for each in output] == [each["type"] for each in WRITTEN]


def test_a_conversation_goes_on_without_its_instructions_and_can_branch(served: Served) -> None:
    with served(talk) as (client, _, _):
        first = client.responses.create(model="agentkit", input="A", instructions="Be brief.")
        second = client.responses.create(model="agentkit", input="B", previous_response_id=first.id)
        assert second.output_text == "A | Be brief. | A | B"
        other = client.responses.create(model="agentkit", input="C", previous_response_id=first.id, instructions="I")
        assert other.output_text == "I | A | Be brief. | A | C"
        third = client.responses.create(model="agentkit", input="D", previous_response_id=second.id, store=False)
        assert third.output_text == "A | Be brief. | A | B | A | Be brief. | A | B | D"
        client.responses.delete(first.id)
        assert client.responses.create(model="agentkit", input="E", previous_response_id=second.id).output_text
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model="agentkit", input="F", previous_response_id=third.id)
        assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


def test_responses_are_retrieved_and_deleted_by_their_subject_alone(tmp_path: Path) -> None:
    with serve(talk) as server:
        settings = settings_for(tmp_path, server.url)
        ann, bob = (Keys(settings.agentkit_keys_file).add(name) for name in ("ann", "bob"))
        with serve_http(settings) as service, openai.OpenAI(base_url=f"{service.url}/v1", api_key=ann) as client:
            check_owners(client, client.with_options(api_key=bob))


def check_owners(of_ann: openai.OpenAI, of_bob: openai.OpenAI) -> None:
    made = of_ann.responses.create(model="agentkit", input="A secret")
    assert of_ann.responses.retrieve(made.id) == made
    for act in (of_bob.responses.retrieve, of_bob.responses.delete, of_bob.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            act(made.id)
    with pytest.raises(openai.BadRequestError):
        of_bob.responses.create(model="agentkit", input="B", previous_response_id=made.id)
    reference: Any = {"type": "item_reference", "id": made.output[0].id}
    with pytest.raises(openai.NotFoundError):
        of_bob.responses.create(model="agentkit", input=[reference, {"role": "user", "content": "B"}])
    of_ann.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        of_ann.responses.retrieve(made.id)
    for strange in ("resp_x", "resp_" + "0" * 48, "../models", "_agentkit.names"):
        with pytest.raises(openai.NotFoundError):
            of_ann.responses.retrieve(strange)


def test_the_input_is_listed_in_pages(served: Served) -> None:
    with served(talk) as (client, _, _):
        items: Any = [{"role": "user", "content": f"number {place}"} for place in range(5)]
        made = client.responses.create(model="agentkit", input=items)
        listed = client.responses.input_items.list(made.id, limit=2, order="asc")
        assert [item.model_dump()["content"][0]["text"] for item in listed] == [f"number {place}" for place in range(5)]
        (newest, *_) = client.responses.input_items.list(made.id).data
        assert newest.model_dump()["content"][0]["text"] == "number 4"
        for item in listed.data:
            ITEM.validate_python(item.model_dump())


def test_items_of_stored_answers_can_be_referenced(served: Served) -> None:
    with served([BOTH, whole("It is hot.")], has_tools=True) as (client, server, _):
        first = client.responses.create(model="agentkit", input="Both", tools=[WEATHER])
        (call,) = first.output
        assert call.type == "function_call"
        items: Any = [
            {"role": "user", "content": "Both"},
            {"type": "item_reference", "id": call.id},
            {"type": "function_call_output", "call_id": call.call_id, "output": "40 degrees"},
        ]
        assert client.responses.create(model="agentkit", input=items, tools=[WEATHER]).output_text == "It is hot."
        assert [each["role"] for each in server.requests[1].body["messages"]] == ["user", "assistant", "tool", "tool"]


def test_all_forms_of_input_are_messages(served: Served) -> None:
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"}
    items: Any = [
        {"role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
        {"role": "user", "content": [{"type": "input_text", "text": "See"}, image]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "a", "name": "weather", "arguments": '{"city": "Rome"}'},
        {"type": "function_call", "call_id": "b", "name": "weather", "arguments": '{"city": "Oslo"}'},
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "hot"}]},
        {"type": "function_call_output", "call_id": "b", "output": "cold"},
        {"role": "user", "content": "And?"},
    ]
    with served(talk) as (client, server, _):
        client.responses.create(model="agentkit", input=items, tools=[WEATHER])
        sent = server.requests[-1].body["messages"]
        assert [each["role"] for each in sent] == ["system", "user", "assistant", "tool", "tool", "user"]
        assert sent[1]["content"][1]["image_url"]["url"].endswith(PNG)
        assert (sent[2]["content"], len(sent[2]["tool_calls"])) == ("I look.", 2)
        assert sent[2]["reasoning_content"] == "Hm."


class City(BaseModel):
    name: str
    people: int


ROME = '{"name": "Rome", "people": 3}'


def test_the_openai_package_parses_structured_answers(served: Served) -> None:
    with served([whole(ROME), whole(ROME), streamed(delta(content=ROME), delta("stop"))]) as (client, up, _):
        parsed = client.responses.parse(model="agentkit", input="Rome", text_format=City)
        assert parsed.output_parsed == City(name="Rome", people=3)
        asked = up.requests[0].body["response_format"]["json_schema"]
        assert (asked["name"], asked["strict"]) == ("City", True)
        loose = client.responses.create(model="agentkit", input="R", text={"format": {"type": "json_object"}})
        assert json.loads(loose.output_text) == json.loads(ROME)
        with client.responses.stream(model="agentkit", input="Rome", text_format=City) as stream:
            assert stream.get_final_response().output_parsed == City(name="Rome", people=3)


def test_a_structured_answer_with_tools_is_remembered_as_its_text(served: Served) -> None:
    final = calls(("final_answer", json.loads(ROME)))
    with served([calls(("look_up", {"topic": "Rome"})), final, whole("Yes.")], has_tools=True) as (
        client,
        server,
        _,
    ):
        made = client.responses.parse(model="agentkit", input="Rome", text_format=City)
        assert made.output_parsed == City(name="Rome", people=3)
        client.responses.create(model="agentkit", input="Sure?", previous_response_id=made.id)
        last = server.requests[-1].body["messages"]
        assert last[-2]["content"] == ROME
        assert "final_answer" not in json.dumps(last)


def test_an_answer_that_is_cut_off_is_incomplete(served: Served) -> None:
    with served([streamed(delta(content="It is"), delta("length"))]) as (_, _, service):
        made = posted(service, input="Hello")
        assert (made["status"], made["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
        assert made["output"][0]["status"] == "incomplete"
        last = events_of(service, input="Hello")[-1]
        assert last["type"] == "response.incomplete"
        assert comparable(last["response"]) == comparable(made)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("no input", {}, "input"),
    ("empty input", {"input": []}, "input"),
    ("number", {"input": 3}, "input"),
    ("background", {"input": "A", "background": True}, "background"),
    ("conversation", {"input": "A", "conversation": "conv_1"}, "conversation"),
    ("prompt", {"input": "A", "prompt": {"id": "pmpt_1"}}, "prompt"),
    ("field of chats", {"input": "A", "max_tokens": 3}, "max_tokens"),
    ("messages", {"input": "A", "messages": []}, "messages"),
    ("built-in tool", {"input": "A", "tools": [{"type": "web_search"}]}, "tools[0].type"),
    ("tool of chats", {"input": "A", "tools": [{"type": "function", "function": {"name": "a"}}]}, "tools[0].name"),
    ("bad name", {"input": "A", "tools": [{"type": "function", "name": "a b"}]}, "tools[0].name"),
    ("unknown choice", {"input": "A", "tool_choice": {"type": "function", "name": "x"}}, "tool_choice"),
    ("bad schema", {"input": "A", "text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
    ("bad format", {"input": "A", "text": {"format": {"type": "yaml"}}}, "text.format.type"),
    ("unknown option", {"input": "A", "text": {"style": "x"}}, "text.style"),
    ("unknown item", {"input": [{"type": "web_search_call"}]}, "input[0].type"),
    ("file", {"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].type"),
    (
        "image by id",
        {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
        "input[0].content[0].image_url",
    ),
    ("role", {"input": [{"role": "robot", "content": "A"}]}, "input[0].role"),
    ("output alone", {"input": [{"type": "function_call_output", "call_id": "x", "output": "y"}]}, "input"),
    ("call alone", {"input": [{"type": "function_call", "call_id": "x", "name": "y", "arguments": "{}"}]}, "input"),
    ("nothing", {"input": [None]}, "input[0]"),
]


def test_what_cannot_be_met_is_a_400_that_names_the_field(served: Served) -> None:
    with served(talk) as (_, server, service):
        for name, body, param in REFUSED:
            error = refused(service, **body)
            assert error["param"] == param, (name, error)
            assert error["type"] == "invalid_request_error", name
        assert not server.requests


def test_errors_of_the_model_server_are_told_by_status_or_as_events(served: Served) -> None:
    too_long = {"error": {"message": "the request exceeds the available context size", "code": 400}}
    answers = [Answer(json.dumps(too_long).encode(), 400)]
    with served(answers) as (_, _, service):
        for stream in (False, True):
            assert refused(service, input="A", stream=stream)["code"] == "context_length_exceeded"
    broken = streamed(delta(content="It "), {"error": {"message": "out of memory", "code": 400}}, done=False)
    with served([broken]) as (_, _, service):
        events = events_of(service, input="A")
        assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
        assert events[-1]["response"]["error"]["code"] == "invalid_prompt"
        assert "out of memory" in events[-2]["message"]
        (item,) = events[-1]["response"]["output"]
        assert (item["status"], item["content"][0]["text"]) == ("incomplete", "It")


def test_unknown_fields_are_passed_on(served: Served) -> None:
    with served(talk) as (client, server, _):
        client.responses.create(
            model="agentkit", input="A", extra_body={"top_k": 4, "chat_template_kwargs": {"a": True}}, user="ann"
        )
        sent = server.requests[0].body
        assert (sent["top_k"], sent["chat_template_kwargs"]["a"]) == (4, True)
        assert not {"user", "store", "input", "truncation"} & sent.keys()


def test_what_is_told_of_a_request_fits_the_types_whatever_its_form(served: Served) -> None:
    choices: list[Any] = [
        "required",
        {"type": "function", "name": "weather"},
        {"type": "function", "function": {"name": "weather"}},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]},
    ]
    bare = {"type": "function", "name": "weather"}
    with served(talk) as (_, server, service):
        for choice in choices:
            made = posted(service, model="default", input="A", tools=[bare], tool_choice=choice)
            assert (made["model"], made["tools"][0]["name"]) == ("default", "weather")
            assert server.requests[-1].body["tools"][0]["function"]["name"] == "weather"


def test_an_answer_that_was_cut_off_while_thinking_has_its_reasoning_alone(served: Served) -> None:
    with served([streamed(delta(reasoning_content="Hm, I"), delta("length")), whole("B")]) as (
        client,
        up,
        service,
    ):
        made = posted(service, input="A")
        assert [(item["type"], item["status"]) for item in made["output"]] == [("reasoning", "incomplete")]
        again: Any = [{"role": "user", "content": "A"}, *made["output"], {"role": "user", "content": "Go on"}]
        assert client.responses.create(model="agentkit", input=again).output_text == "B"
        assert [message["role"] for message in up.requests[-1].body["messages"]] == ["user", "user"]


REPORTS: list[tuple[str, list[Any], list[str]]] = [
    (
        "vllm#41355, ai-gateway#1879: an assistant's output without id and status",
        [
            {"role": "user", "content": "Hi"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
            {"role": "user", "content": [{"type": "input_text", "text": "And?"}]},
        ],
        ["user", "assistant", "user"],
    ),
    (
        "llama.cpp#27751: reasoning without a summary",
        [
            {"role": "user", "content": "Hi"},
            {"type": "reasoning", "content": None, "encrypted_content": None},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
            {"role": "user", "content": "And?"},
        ],
        ["user", "assistant", "user"],
    ),
    (
        "litellm#13420: reasoning items as the openai package writes them",
        [
            {"role": "user", "content": "Hi"},
            {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "status": None},
            {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "hot"},
        ],
        ["user", "assistant", "tool"],
    ),
    (
        "llama.cpp#23465: an output of a call that is a list of texts and an image",
        [
            {"role": "user", "content": "Hi"},
            {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
            {
                "type": "function_call_output",
                "call_id": "c",
                "output": [
                    {"type": "input_text", "text": "hot"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                ],
            },
        ],
        ["user", "assistant", "tool"],
    ),
    (
        "openai-cs-agents-demo#34: made-up ids",
        [
            {"role": "user", "content": "Hi"},
            {"id": "__fake_id__", "type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
            {"id": "__fake_id__", "type": "function_call_output", "call_id": "c", "output": "hot"},
        ],
        ["user", "assistant", "tool"],
    ),
    (
        "ogx#3134: outputs of calls one after the other",
        [
            {"role": "user", "content": "Hi"},
            {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "hot"},
            {"type": "function_call", "call_id": "d", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "d", "output": "cold"},
        ],
        ["user", "assistant", "tool", "assistant", "tool"],
    ),
]


@pytest.mark.parametrize(
    ("items", "roles"), [each[1:] for each in REPORTS], ids=[each[0].split(":")[0] for each in REPORTS]
)
def test_what_other_servers_refuse_of_histories_is_taken(served: Served, items: list[Any], roles: list[str]) -> None:
    with served(talk) as (client, server, _):
        assert client.responses.create(model="agentkit", input=items, tools=[WEATHER]).status == "completed"
        sent = server.requests[-1].body["messages"]
        assert [message["role"] for message in sent][: len(roles)] == roles


def test_a_response_can_be_continued_as_soon_as_its_stream_says_it_is_complete(served: Served) -> None:
    """lmstudio-bug-tracker#1188: previous_response_not_found after a stream."""
    with served(talk) as (client, _, _):
        for event in client.responses.create(model="agentkit", input="A", stream=True):
            if event.type == "response.completed":
                made = client.responses.create(model="agentkit", input="B", previous_response_id=event.response.id)
                assert made.output_text == "A | A | B"


def test_hostile_ids_and_deep_input_are_refused(served: Served) -> None:
    deep = "[" * 900 + "]" * 900
    with served(talk) as (_, server, service):
        body = '{"model": "agentkit", "input": [{"role": "user", "content": "A", "x": ' + deep + "}]}"
        response = service.ask("POST", "/v1/responses", None, headers={"Content-Type": "application/json"}, data=body)
        assert response.status_code in (200, 400), response.text
        for name in ("resp_" + "g" * 48, "resp_" + "0" * 4000, "resp_", "_agentkit.response.x", "a/b"):
            refused(service, input="A", previous_response_id=name)
            assert service.ask("GET", f"/v1/responses/{name}").status_code == 404
        refused(service, 404, input=[{"type": "item_reference", "id": "msg_" + "0" * 50}])
        refused(service, 404, input=[{"type": "item_reference"}])
        assert len(server.requests) < 2


def test_a_client_that_leaves_stops_its_run(served: Served) -> None:
    slow = streamed(*(delta(content="word ") for _ in range(500)), piece=100, pause=0.02)
    with served([slow]) as (client, server, service):
        left = server.left
        with client.responses.create(model="agentkit", input="A", stream=True) as stream:
            next(iter(stream))
        until(lambda: server.left == left + 1)
        until(lambda: service.app.state.service.runs.count == 0)


def test_what_is_too_old_or_too_much_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_STORED", 3)
    monkeypatch.setattr(pruning, "PRUNE_AFTER", 1)
    with open_sessions(tmp_path / "sessions.db") as sessions:
        stored = store.Responses(sessions)
        ids = [f"resp_{place:048x}" for place in range(6)]
        for subject in ("ann", "bob"):
            for each in ids:
                assert stored.keep(subject, {"id": each, "output": []}, [], [])
        for subject, count in (("ann", 3), ("bob", 4)):  # each time before one more is stored
            assert sum(stored.get(subject, each) is not None for each in ids) == count
        monkeypatch.setattr(store, "MAX_AGE", -1.0)
        assert stored.keep("ann", {"id": ids[0], "output": []}, [], [])
        assert [stored.get("bob", each) for each in ids] == [None] * 6
        monkeypatch.setattr(store, "MAX_CHARACTERS", 10)
        assert not stored.keep("ann", {"id": ids[1], "output": []}, [], [])


def test_log_probabilities_are_part_of_the_text_that_was_asked_for(served: Served) -> None:
    token = {"id": 3, "token": "Hi", "logprob": -0.5, "bytes": [72, 105]}
    logprobs = {"content": [{**token, "top_logprobs": [token]}]}
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    answer = Answer(json.dumps({"choices": [{**choice, "logprobs": logprobs}]}).encode())
    with served([answer]) as (_, server, service):
        made = posted(service, input="A", include=["message.output_text.logprobs"], top_logprobs=1)
        (found,) = made["output"][0]["content"][0]["logprobs"]
        assert (found["token"], found["logprob"], found["top_logprobs"][0]["bytes"]) == ("Hi", -0.5, [72, 105])
        assert (server.requests[0].body["logprobs"], server.requests[0].body["top_logprobs"]) == (True, 1)
