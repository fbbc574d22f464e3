"""A streamed chat completion of the OpenAI-compatible API equals the whole one, also where its form is asked for."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit import tool
from agentkit.event import ReasoningDelta, Reply, ReplyDiscarded, ReplyFinished, ReplyStarted, TextDelta
from agentkit.running.append_only import LateReasoningSeen
from agentkit.serving.http.openai.answers import SaidAtOnce, SaidInPieces
from agentkit.serving.http.openai.response_format import json_answer
from tests.support import scripted_agent
from tests.support.http_service import LOOK_UP, Service
from tests.support.model_server import Answer, Asked, ModelServer, delta, streamed, whole
from tests.support.model_server import calls as called

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}


def as_stream(answer: Answer) -> Answer:
    """The chunks of a complete answer: its text and its reasoning word by word."""
    body = json.loads(answer.body)
    (choice,) = body["choices"]
    message = choice["message"]
    chunks = []
    for name in ("reasoning_content", "content", "refusal"):
        chunks += [delta(**{name: piece}) for piece in (message.get(name) or "").partition(" ") if piece]
    for place, call in enumerate(message.get("tool_calls") or ()):
        chunks.append(delta(tool_calls=[{**call, "index": place}]))
    end = delta(finish_reason=choice["finish_reason"])
    if choice.get("logprobs"):
        end["choices"][0]["logprobs"] = choice["logprobs"]
    return streamed(*chunks, end, {"choices": [], "usage": body["usage"]})


@contextmanager
def agent(folder: Path, script: Callable[[Asked], Answer], **settings: Any) -> Iterator[tuple[Service, ModelServer]]:
    def answer(asked: Asked) -> Answer:
        found = script(asked)
        return as_stream(found) if asked.body.get("stream") and found.status == 200 else found

    with scripted_agent.agent(folder, answer, **settings) as running:
        yield running


def by_results(*answers: Answer) -> Callable[[Asked], Answer]:
    """Plays an answer by the number of replies that the history has."""
    return lambda asked: answers[sum(each["role"] == "assistant" for each in asked.body["messages"])]


def joined(frames: list[Any]) -> dict[str, Any]:
    """The completion that the chunks of a stream make."""
    message: dict[str, Any] = {"tool_calls": []}
    choices = [choice for frame in frames for choice in frame["choices"]]
    for choice in choices:
        for name, value in choice["delta"].items():
            message[name] = message.get(name, [] if isinstance(value, list) else "") + value
    assert [choice["finish_reason"] for choice in choices[:-1]] == [None] * (len(choices) - 1)
    assert choices[0]["delta"]["role"] == "assistant"
    assert len({frame["id"] for frame in frames}) == 1
    assert {frame["usage"] for frame in frames[:-1]} == {None}
    return {"message": message, **choices[-1], "usage": frames[-1]["usage"], "head": frames[0]}


def both(service: Service, text: str = "Hello", **fields: Any) -> dict[str, Any]:
    """The whole answer, which equals the streamed one."""
    body = {"model": "agentkit", "messages": [{"role": "user", "content": text}], **fields}
    response = service.ask("POST", "/v1/chat/completions", body)
    assert response.status_code == 200, response.text
    answer = response.json()
    choice: dict[str, Any]
    (choice,) = answer["choices"]
    made = [
        line.removeprefix(b"data: ")
        for line in service.ask(
            "POST",
            "/v1/chat/completions",
            {**body, "stream": True, "stream_options": {"include_usage": True}},
            stream=True,
        ).iter_lines()
        if line.startswith(b"data: ")
    ]
    assert made[-1] == b"[DONE]"
    stream = joined([json.loads(each) for each in made[:-1]])
    message = choice["message"]
    for name in ("content", "reasoning_content", "refusal"):
        assert (stream["message"].get(name) or None) == (message.get(name) or None), name
    assert stream["finish_reason"] == choice["finish_reason"]
    assert stream["logprobs"] == choice["logprobs"]
    assert stream["usage"] == answer["usage"]
    assert stream["head"]["system_fingerprint"] == answer["system_fingerprint"]
    assert stream["head"]["id"].startswith("chatcmpl-")
    shown = [(call["type"], call["function"]) for call in message.get("tool_calls") or ()]
    assert [(call["type"], call["function"]) for call in stream["message"]["tool_calls"]] == shown
    assert len(answer["id"]) == len(stream["head"]["id"])
    return choice


def said(text: str | None, *made: tuple[str, Any], reasoning: str = "", **more: Any) -> Answer:
    calls = json.loads(called(*made).body)["choices"][0]["message"]["tool_calls"] if made else None
    message = {"role": "assistant", "content": text, "reasoning_content": reasoning, "tool_calls": calls}
    return whole(message, finish_reason="tool_calls" if made else "stop", usage=USAGE, **more)


LOOKS = ("look_up", {"topic": "tides"})


def test_what_is_said_before_a_call_of_the_service_is_a_paragraph_of_its_own(tmp_path: Path) -> None:
    script = by_results(said("Let me look.\n", LOOKS, reasoning="Hm. "), said("\n It is high.", reasoning="I know."))
    with agent(tmp_path, script, agentkit_tools=(LOOK_UP,)) as (service, _):
        choice = both(service)
        assert choice["message"]["content"] == "Let me look.\n\nIt is high."
        assert choice["message"]["reasoning_content"] == "Hm.\n\nI know."
        assert choice["finish_reason"] == "stop"


@tool(ends_run=True)
def hand_over(to: str) -> str:
    """Hand the question over.

    Args:
        to: To whom.
    """
    return f"Handed over to {to}."


def test_the_result_of_a_tool_that_ends_the_run_is_the_answer(tmp_path: Path) -> None:
    script = by_results(said("One moment.", ("hand_over", {"to": "Ann"})))
    tools = ("tests.serving.http.test_streamed_equals_whole:hand_over",)
    with agent(tmp_path, script, agentkit_tools=tools) as (service, _):
        assert both(service)["message"]["content"] == "One moment.\n\nHanded over to Ann."


def test_a_refusal_is_told_and_not_asked_about(tmp_path: Path) -> None:
    refusal = whole({"role": "assistant", "content": None, "refusal": "I can't."}, usage=USAGE)
    with agent(tmp_path, by_results(refusal)) as (service, server):
        forms: list[dict[str, Any]] = [{}, {"response_format": FORMAT}]
        for fields in forms:
            message = both(service, **fields)["message"]
            assert (message["content"], message["refusal"]) == (None, "I can't.")
        assert len(server.requests) == 4


def test_calls_of_the_client_stream_as_they_are_returned_whole(tmp_path: Path) -> None:
    script = by_results(said("I ask.", ("weather", {}), LOOKS))
    with agent(tmp_path, script, agentkit_tools=(LOOK_UP,)) as (service, _):
        choice = both(service, tools=[WEATHER])
        assert choice["message"]["content"] == "I ask."
        assert choice["finish_reason"] == "tool_calls"


def test_fields_that_the_model_server_takes_reach_it_and_its_log_probabilities_come_back(tmp_path: Path) -> None:
    found: Any = {"content": [{"token": "Hi", "logprob": -0.5, "bytes": None, "top_logprobs": []}], "refusal": None}

    def script(asked: Asked) -> Answer:
        answer = json.loads(said("Hi").body)
        answer["choices"][0]["logprobs"] = found
        return Answer(json.dumps(answer).encode())

    fields: dict[str, Any] = {
        "logprobs": True,
        "top_logprobs": 2,
        "logit_bias": {"5": 1},
        "reasoning_effort": "low",
        "chat_template_kwargs": {"enable_thinking": False},
        "top_k": 7,
        "thinking_budget": 100,
        "seed": 3,
        "stop": ["x"],
        "min_p": 0.1,
        "some_new_field": {"a": [1]},
        "schema": {"type": "object"},  # named like an attribute of the request's class
        "copy": 1,
    }
    with agent(tmp_path, script) as (service, server):
        assert both(service, **fields, user="ann", metadata={"a": "b"})["logprobs"] == found
        for asked in server.requests:
            assert fields.items() <= asked.body.items()
            assert not {"user", "metadata"} & asked.body.keys()


def test_minus_one_means_that_there_is_no_limit_on_the_tokens(tmp_path: Path) -> None:
    with agent(tmp_path, by_results(said("Hi"))) as (service, server):
        both(service, max_tokens=-1)
        assert "max_tokens" not in server.requests[0].body


@pytest.mark.parametrize(
    "text", ['{"name": "Ann", "age": 7}', '{\n "age": 7, "name": "Ann"\n}\n'], ids=["line", "lines"]
)
def test_a_schema_reaches_the_model_server_as_it_is(text: str, tmp_path: Path) -> None:
    with agent(tmp_path, by_results(said(text, reasoning="Hm."))) as (service, server):
        assert both(service, response_format=FORMAT)["message"]["content"] == text.strip()
        sent = server.requests[0].body["response_format"]
        assert sent["type"] == "json_schema"
        assert sent["json_schema"]["schema"]["properties"] == PERSON["properties"]


@pytest.mark.parametrize(
    "text",
    ['```json\n{"name": "Ann", "age": 7}\n```', 'Here it is: {"name": "Ann", "age": "7"}', "{'name': 'Ann', 'age': 7}"],
    ids=["fenced", "in prose", "python"],
)
def test_an_answer_that_only_looks_different_is_sent_as_json(text: str, tmp_path: Path) -> None:
    with agent(tmp_path, by_results(said(text), said(text), said('{"name": "Ann", "age": 7}'))) as (service, _):
        body = {"model": "agentkit", "messages": [{"role": "user", "content": "x"}], "response_format": FORMAT}
        answer = service.ask("POST", "/v1/chat/completions", body).json()
        assert json.loads(answer["choices"][0]["message"]["content"]) == {"name": "Ann", "age": 7}


def test_an_answer_of_another_form_is_asked_for_again(tmp_path: Path) -> None:
    with agent(tmp_path, by_results(said("Ann is seven."), said('{"name": "Ann", "age": 7}'))) as (service, server):
        choice = both(service, response_format=FORMAT)
        assert json.loads(choice["message"]["content"]) == {"name": "Ann", "age": 7}
        assert "not valid" in server.requests[1].body["messages"][-1]["content"]


def test_with_tools_the_last_answer_has_the_form(tmp_path: Path) -> None:
    done = said(None, ("final_answer", {"name": "Ann", "age": 7}))
    script = by_results(said("Let me look.", LOOKS), done)
    with agent(tmp_path, script, agentkit_tools=(LOOK_UP,)) as (service, _):
        choice = both(service, response_format=FORMAT)
        assert json.loads(choice["message"]["content"]) == {"name": "Ann", "age": 7}
        assert choice["finish_reason"] == "stop"


def test_with_a_form_a_call_of_the_client_is_still_a_call(tmp_path: Path) -> None:
    with agent(tmp_path, by_results(said("I ask.", ("weather", {})))) as (service, _):
        choice = both(service, response_format=FORMAT, tools=[WEATHER])
        assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", "I ask.")


def test_a_json_object_is_any_object(tmp_path: Path) -> None:
    with agent(tmp_path, by_results(said('{"a": [1, null]}'))) as (service, server):
        choice = both(service, response_format={"type": "json_object"})
        assert choice["message"]["content"] == '{"a": [1, null]}'
        assert server.requests[0].body["response_format"] == {"type": "json_object"}


def test_an_answer_that_is_cut_off_by_its_length_is_given_as_it_is(tmp_path: Path) -> None:
    cut = whole('{"name": "An', finish_reason="length", usage=USAGE)
    with agent(tmp_path, by_results(cut)) as (service, server):
        choice = both(service, response_format=FORMAT)
        assert (choice["message"]["content"], choice["finish_reason"]) == ('{"name": "An', "length")
        assert len(server.requests) == 2


def test_an_answer_beside_tools_that_is_cut_off_is_given_as_it_is(tmp_path: Path) -> None:
    function = {"name": "final_answer", "arguments": '{"name": "An'}
    message = {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "function": function}]}
    script = by_results(whole(message, finish_reason="length", usage=USAGE))
    with agent(tmp_path, script, agentkit_tools=(LOOK_UP,)) as (service, server):
        choice = both(service, response_format=FORMAT)
        assert (choice["message"]["content"], choice["finish_reason"]) == ('{"name": "An', "length")
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("given", "param"),
    [
        pytest.param({"type": "xml"}, "response_format.type", id="another type"),
        pytest.param("json", "response_format.type", id="a text"),
        pytest.param({"type": "json_schema"}, "response_format.json_schema", id="nothing in it"),
        pytest.param(
            {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": 3}}},
            "response_format.json_schema.schema",
            id="no schema",
        ),
    ],
)
def test_a_form_that_is_none_is_a_400_that_names_it(given: Any, param: str, tmp_path: Path) -> None:
    with agent(tmp_path, by_results(said("Hi"))) as (service, _):
        body = {"model": "agentkit", "messages": [{"role": "user", "content": "x"}], "response_format": given}
        response = service.ask("POST", "/v1/chat/completions", body)
        assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_a_field_that_the_model_server_refuses_is_a_400_that_names_it(tmp_path: Path) -> None:
    refusal = Answer(b'{"error": {"message": "Unsupported parameter: \'top_k\' is not supported"}}', status=400)
    with agent(tmp_path, lambda asked: refusal) as (service, _):
        body = {"model": "agentkit", "messages": [{"role": "user", "content": "x"}], "top_k": 5, "seed": 1}
        for stream in (False, True):
            response = service.ask("POST", "/v1/chat/completions", {**body, "stream": stream})
            assert (response.status_code, response.json()["error"]["param"]) == (400, "top_k")


PIECES = st.lists(st.text(alphabet="ab \n{", max_size=6), max_size=5)


@given(st.lists(st.tuples(PIECES, PIECES), max_size=4))
def test_pieces_joined_are_what_is_said_at_once(replies: list[tuple[list[str], list[str]]]) -> None:
    def parts(said: Any) -> dict[str, str]:
        made = {"content": "", "reasoning_content": ""}
        for turn, (reasoning, texts) in enumerate(replies):
            events = [ReplyStarted(turn), *map(ReasoningDelta, reasoning), *map(TextDelta, texts)]
            events.append(ReplyFinished(Reply({"role": "assistant", "content": "".join(texts)})))
            for event in events:
                for found in said.take(event):
                    made |= {name: made[name] + text for name, text in found.items()}
        for found in said.rest(None):
            made |= {name: made[name] + text for name, text in found.items()}
        return made

    assert parts(SaidInPieces(LateReasoningSeen())) == parts(SaidAtOnce())


@given(PIECES, PIECES, st.integers(0, 5))
def test_reasoning_that_is_begun_anew_is_not_doubled(reasoning: list[str], text: list[str], broken: int) -> None:
    said = SaidInPieces(LateReasoningSeen())
    again = [ReplyDiscarded(), *map(ReasoningDelta, reasoning), *map(TextDelta, text)]
    events = [ReplyStarted(1), *map(ReasoningDelta, reasoning[:broken]), *again]
    found = [part for event in events for part in said.take(event)]
    for name, pieces in (("reasoning_content", reasoning), ("content", text)):
        assert "".join(part.get(name, "") for part in found) == "".join(pieces).strip()


@pytest.mark.parametrize(
    ("schema", "text", "made"),
    [
        pytest.param({"type": "array", "items": {"type": "integer"}}, "[1, 2]", "[1, 2]", id="a list"),
        pytest.param({"enum": ["x", "y"]}, '"x"', '"x"', id="an enumeration"),
        pytest.param(
            PERSON, '<think>{?}</think>{"name": "A", "age": 1}', '{"name": "A", "age": 1}', id="reasoning before"
        ),
        pytest.param(
            {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}},
            json.dumps({"a": "a" * 40 + "!"}),
            json.dumps({"a": "a" * 40 + "!"}),
            id="a pattern that takes forever",
        ),
        pytest.param(
            {"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}}},
            '{"next": {"next": {}}}',
            '{"next": {"next": {}}}',
            id="one that refers to itself",
        ),
        pytest.param(
            {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:1/x"}}},
            '{"a": 1}',
            '{"a": 1}',
            id="elsewhere",
        ),
    ],
)
def test_a_schema_of_any_kind_is_read(schema: Any, text: str, made: str) -> None:
    kind = json_answer({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert kind is not None
    assert kind.read(text) == made


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    )
)
def test_any_object_is_given_as_it_was_written(value: Any) -> None:
    kind = json_answer({"type": "json_object"})
    assert kind is not None
    text = json.dumps({"a": value})
    assert json.loads(kind.read(text)) == json.loads(text)


def test_thoughts_among_the_parts_of_a_content_are_the_reasoning(tmp_path: Path) -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Here."}]
    with scripted_agent.agent(tmp_path, lambda asked: whole({"role": "assistant", "content": parts})) as (service, _):
        body = {"model": "agentkit", "messages": [{"role": "user", "content": "Hello"}]}
        (choice,) = service.ask("POST", "/v1/chat/completions", body).json()["choices"]
    assert (choice["message"]["content"], choice["message"]["reasoning_content"]) == ("Here.", "Hm.")
