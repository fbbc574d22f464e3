"""What an answer's sources say of it, in each of the service's APIs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from websockets.sync.client import connect

from tests.support.cited_tools import CITING, READ, citing, said
from tests.support.http_service import Service, serve_http, settings_for, talk
from tests.support.model_server import Answer, Asked, ModelServer, calls, serve
from tests.support.scripted_agent import agent

OSLO, BERGEN = "https://a.example/oslo", "notes/bergen.txt"
VERDICTS = [(1, "supported"), (1, "not found"), (2, "supported"), (9, "no source")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cited")


@pytest.fixture
def service(folder: Path) -> Iterator[Service]:
    with agent(folder, citing, agentkit_tools=(READ,)) as (running, _):
        yield running


@pytest.fixture
def client(service: Service) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0)


def verdicts(citations: Any) -> list[tuple[int, str]]:
    return [(each["source"], each["verdict"]) for each in citations if each["source"] is not None]


def stand_in(text: str, citations: Any) -> None:
    """Each sentence stands in the text where it says, counted in code points."""
    assert citations
    assert [text[each["start"] : each["end"]] for each in citations] == [each["sentence"] for each in citations]


def test_an_answer_has_its_citations_and_sources_without_their_texts(service: Service) -> None:
    answer = talk(service, "whole", "Norway?")
    assert answer["response"] == CITING.strip()
    stand_in(answer["response"], answer["citations"])
    assert verdicts(answer["citations"]) == VERDICTS
    assert [(each["number"], each["address"]) for each in answer["sources"]] == [(1, OSLO), (2, BERGEN)]
    assert "717,710" not in json.dumps(answer["sources"])
    thanks = talk(service, "none", "thanks")
    assert (thanks["citations"], thanks["sources"]) == ([], [])


def test_a_stream_has_them_behind_the_text_and_again_when_it_is_asked_for_again(service: Service) -> None:
    body = {"session_id": "streamed", "message": "Norway?", "requestId": "one"}
    path = "/api/llm/chat/session/stream"
    first, again = service.frames(path, body), service.frames(path, body)
    text = "".join(frame.get("content", "") for frame in first)
    (place,) = [place for place, frame in enumerate(first) if "citations" in frame]
    assert "usage" in first[place + 1]
    stand_in(text, first[place]["citations"])
    assert verdicts(first[place]["citations"]) == VERDICTS
    (repeated,) = [frame["citations"] for frame in again if "citations" in frame]
    assert repeated == first[place]["citations"]
    assert not any("citations" in frame for frame in service.frames(path, {"session_id": "no", "message": "thanks"}))


def test_a_socket_has_them_as_a_stream_has(service: Service) -> None:
    with connect(f"{service.url.replace('http', 'ws', 1)}/api/llm/chat/ws") as socket:
        socket.send(json.dumps({"session_id": "socket", "message": "Norway?"}))
        frames: list[Any] = []
        while "done" not in (frames or [{}])[-1]:
            frames.append(json.loads(socket.recv(timeout=20)))
    assert [verdicts(frame["citations"]) for frame in frames if "citations" in frame] == [VERDICTS]


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with serve(citing) as server:
        yield server


def test_a_stored_conversation_has_them_after_a_restart(tmp_path: Path, model: ModelServer) -> None:
    """owndev/Open-WebUI-Functions#161, open-webui/open-webui#29715, coleam00/dark-factory-experiment#91: they are lost
    with a reload."""
    settings = settings_for(tmp_path, model.url, agentkit_tools=(READ,))
    with serve_http(settings) as service:
        for message in ("Norway?", "thanks"):
            told = talk(service, "kept", message)
        assert told["citations"] == []
    with serve_http(settings_for(tmp_path, model.url)) as service:
        history = service.ask("POST", "/api/llm/chat/session/history", {"session_id": "kept"}).json()
        _, cited, _, thanks = history["messages"]
        stand_in(cited["content"], cited["citations"])
        assert verdicts(cited["citations"]) == VERDICTS
        assert cited["citations"][0]["quote"].startswith("Oslo is the capital")
        assert thanks["citations"] == []
        body = {"session_id": "kept", "number": 1}
        source = service.ask("POST", "/api/llm/chat/session/source", body).json()
        assert (source["address"], source["read"], source["was_cut"]) == (OSLO, True, False)
        assert "717,710 inhabitants" in source["text"]
        for unknown in ({**body, "number": 9}, {**body, "session_id": "other"}):
            assert service.ask("POST", "/api/llm/chat/session/source", unknown).status_code == 404


def test_a_chat_completion_has_annotations(client: openai.OpenAI) -> None:
    made = client.chat.completions.create(model="agentkit", messages=[{"role": "user", "content": "Norway?"}])
    message = made.choices[0].message
    assert message.content is not None
    first, second = message.annotations or []
    said = [message.content[each.url_citation.start_index : each.url_citation.end_index] for each in (first, second)]
    assert said[0].startswith("Oslo is the capital of Norway")
    assert "42 zoos" in said[1]
    assert (first.url_citation.url, first.url_citation.title) == (OSLO, "Oslo")
    assert [getattr(each, "verdict", "") for each in (first, second)] == ["supported", "not found"]


def test_a_streamed_chat_completion_has_the_same_in_its_last_delta(client: openai.OpenAI) -> None:
    """openai/openai-agents-js#251, #1617, vercel/ai#7754, OpenRouterTeam/ai-sdk-provider#63: streams lose them."""
    whole = client.chat.completions.create(model="agentkit", messages=[{"role": "user", "content": "Norway?"}])
    stream = client.chat.completions.create(
        model="agentkit", messages=[{"role": "user", "content": "Norway?"}], stream=True
    )
    deltas = [chunk.choices[0].delta for chunk in stream]
    assert "".join(delta.content or "" for delta in deltas) == whole.choices[0].message.content
    found = [each for delta in deltas[:-1] for each in getattr(delta, "annotations", None) or ()]
    assert found == [each.to_dict() for each in whole.choices[0].message.annotations or ()]
    assert getattr(deltas[-2], "annotations", None)
    with client.chat.completions.stream(model="agentkit", messages=[{"role": "user", "content": "Norway?"}]) as events:
        assert len(events.get_final_completion().choices[0].message.annotations or ()) == len(found)


def test_an_answer_without_sources_has_no_annotations(client: openai.OpenAI) -> None:
    made = client.chat.completions.create(model="agentkit", messages=[{"role": "user", "content": "thanks"}])
    assert made.choices[0].message.annotations is None


def test_a_response_has_annotations_and_events_of_them(client: openai.OpenAI) -> None:
    made = client.responses.create(model="agentkit", input="Norway?")
    item: Any = made.output[-1]
    page, number, file = item.content[0].annotations
    text = item.content[0].text
    assert text[page.start_index : page.end_index].startswith("Oslo is the capital of Norway")
    assert (page.type, page.url, number.type, number.verdict) == ("url_citation", OSLO, "url_citation", "not found")
    assert (file.type, file.file_id, file.filename) == ("file_citation", BERGEN, "bergen.txt")
    assert client.responses.retrieve(made.id).output == made.output

    events = list(client.responses.create(model="agentkit", input="Norway?", stream=True))
    added = [event for event in events if event.type == "response.output_text.annotation.added"]
    assert [event.annotation_index for event in added] == [0, 1, 2]
    last: Any = events[-1]
    final = last.response.output[-1].content[0]
    assert [each.to_dict() for each in final.annotations] == [event.to_dict()["annotation"] for event in added]
    assert [each.to_dict() for each in final.annotations] == [each.to_dict() for each in item.content[0].annotations]
    kinds = [event.type for event in events]
    assert kinds.index(added[-1].type) < kinds.index("response.output_text.done")
    more: Any = [*[each.to_dict() for each in made.output], {"role": "user", "content": "thanks"}]
    assert client.responses.create(model="agentkit", input=more).output_text == "You are welcome."


def test_nothing_is_checked_where_that_is_turned_off(tmp_path: Path, model: ModelServer) -> None:
    settings = settings_for(tmp_path, model.url, agentkit_tools=(READ,), agentkit_evidence="Off")
    with serve_http(settings) as service:
        assert talk(service, "off", "Norway?")["citations"] == []
    with serve_http(settings_for(tmp_path, model.url)) as service:  # what was not kept can't be checked later
        history = service.ask("POST", "/api/llm/chat/session/history", {"session_id": "off"}).json()
        assert history["messages"][1]["citations"] == []


DRAFT, CORRECTED = "The mayor of Oslo founded 42 zoos in 1999 [1].", "Oslo is the capital of Norway [1]."


def corrected(request: Asked) -> Answer:
    """Read the pages, then say what they don't, until it is told so."""
    last = request.body["messages"][-1]
    if last["role"] == "tool":
        return said(request, DRAFT)
    return (
        said(request, CORRECTED) if "not backed by the sources" in str(last["content"]) else calls(("read_pages", {}))
    )


def test_an_answer_that_the_model_is_told_to_correct_is_in_no_api(folder: Path) -> None:
    with agent(folder, corrected, agentkit_tools=(READ,), agentkit_evidence="ask-again") as (service, model):
        messages: Any = [{"role": "user", "content": "Norway?"}]
        assert service.ask("POST", "/api/llm/chat", {"messages": messages}).json()["response"] == CORRECTED
        for path, body in (
            ("/api/llm/chat/stream", {"messages": messages}),
            ("/api/llm/chat/session/stream", {"session_id": "corrected", "message": "Norway?", "requestId": "one"}),
            ("/api/llm/chat/session/stream", {"session_id": "corrected", "message": "Norway?", "requestId": "one"}),
        ):
            frames = service.frames(path, body)
            text = "".join(frame.get("content", "") for frame in frames)
            assert text == CORRECTED
            (citations,) = [frame["citations"] for frame in frames if "citations" in frame]
            stand_in(text, citations)
        _, answer = service.ask("GET", "/api/llm/chat/session/corrected/history").json()["messages"]
        assert (answer["content"], answer["stopped"], len(answer["tool_calls"])) == (CORRECTED, "answer", 1)
        assert answer["usage"]["requests"] == 3
        client = openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0)
        made: Any = client.chat.completions.create(model="agentkit", messages=messages)
        chunks: Any = client.chat.completions.create(model="agentkit", messages=messages, stream=True)
        parts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
        assert made.choices[0].message.content == "".join(parts) == CORRECTED
        response = client.responses.create(model="agentkit", input="Norway?")
        assert response.output_text == CORRECTED
        assert any(DRAFT in str(request.body["messages"]) for request in model.requests)
