"""Requests with an id (`requestId`, `Idempotency-Key`) are answered once, over real HTTP."""

import functools
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from agentkit import tool
from agentkit.serving.http.keys import Keys
from tests.serving.http.test_process import served
from tests.support.http_service import Service, serve_http, settings_for, talk
from tests.support.model_server import Answer, Asked, ModelServer, calls, delta, serve, streamed, whole
from tests.support.redis_server import serve_redis
from tests.support.waiting import until

USAGE = {"prompt_tokens": 10, "completion_tokens": 2}
FAILURE = Answer(b'{"error": {"message": "no memory left"}}', status=500)
CHAT = "/api/llm/chat/session"

effects: list[str] = []


def send(to: str) -> str:
    """Send a message.

    Args:
        to: Who gets it.
    """
    effects.append(to)
    return f"sent to {to}"


approved_send = tool(name="approved_send", approve=True)(send)


def reply(asked: Asked) -> Answer:
    """Call the tool when the last message asks for it; else say how many questions there are."""
    messages = asked.body["messages"]
    last = messages[-1]
    if last["role"] == "user" and str(last["content"]).startswith("send to "):
        name = asked.body["tools"][0]["function"]["name"]
        return calls((name, {"to": str(last["content"]).split()[-1]}), usage=USAGE)
    count = sum(message["role"] == "user" for message in messages)
    if asked.body.get("stream"):
        return streamed(delta(content="Answer "), delta(content=str(count)))
    return whole(f"Answer {count}", usage=USAGE)


@pytest.fixture(autouse=True)
def no_effects() -> None:
    effects.clear()


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serve(reply) as running:
        yield running


@pytest.fixture
def service(tmp_path: Path, server: ModelServer) -> Iterator[Service]:
    with serve_http(settings_for(tmp_path, server.url, agentkit_tools=(f"{__name__}:send",))) as running:
        yield running


def body(message: str, request_id: str | None = None, session: str = "s") -> dict[str, Any]:
    return {"session_id": session, "message": message, **({"requestId": request_id} if request_id else {})}


def streamed_text(service: Service, message: str, request_id: str) -> str:
    frames = service.frames(f"{CHAT}/stream", body(message, request_id))
    assert frames[-1] == {"done": True, "session_id": "s"}, frames
    return "".join(frame.get("content", "") for frame in frames)


def history(service: Service, session: str = "s") -> list[tuple[str, str]]:
    found = service.ask("GET", f"{CHAT}/{session}/history").json()
    return [(turn["role"], turn["content"]) for turn in found.get("messages", [])]


def together(*work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def test_the_same_request_gets_the_answer_that_it_has(service: Service, server: ModelServer) -> None:
    first = talk(service, "s", "send to ann", requestId="r1")
    talk(service, "s", "And now?")
    for again in (
        talk(service, "s", "send to ann", requestId="r1"),
        service.ask("POST", CHAT, body("send to ann"), headers={"Idempotency-Key": "r1"}).json(),
        service.ask("POST", CHAT, body("send to ann"), headers={"Idempotency-Key": '"r1"'}).json(),
        service.ask("POST", CHAT, body("send to ann", "r1"), headers={"Idempotency-Key": '"r1"'}).json(),
    ):
        assert (again["response"], again["stopped"]) == (first["response"], "answer")
        assert [(each["name"], each["response"]) for each in again["tool_calls"]] == [("send", "sent to ann")]
        assert {name: again["usage"][name] for name in ("requests", "input_tokens", "output_tokens", "tool_calls")} == {
            "requests": 0,
            "input_tokens": 0,
            "output_tokens": 0,
            "tool_calls": 0,
        }
    assert (effects, len(server.requests)) == (["ann"], 3)
    assert [role for role, _ in history(service)] == ["user", "assistant"] * 2
    metrics = service.ask("GET", "/metrics").text
    for line in (
        'agentkit_tokens_total{kind="input"} 30.0',  # of three replies
        'agentkit_answers_total{stopped="answer"} 2.0',
        'agentkit_tool_calls_total{outcome="ok",tool="send"} 1.0',
        "agentkit_replays_total 4.0",
    ):
        assert line in metrics, metrics


def test_a_replayed_stream_yields_its_text(service: Service, server: ModelServer) -> None:
    assert [streamed_text(service, "Hi", "r1") for _ in range(3)] == ["Answer 1"] * 3
    assert talk(service, "s", "Hi", requestId="r1")["response"] == "Answer 1"
    assert len(server.requests) == 1


@pytest.mark.parametrize("path", [CHAT, f"{CHAT}/stream"])
def test_another_message_with_the_same_id_is_refused(service: Service, path: str) -> None:
    talk(service, "s", "Hi", requestId="r1")
    refused = service.ask("POST", path, body("Hello", "r1"))
    assert refused.status_code == 409
    assert "'r1' was used before with another content" in refused.json()["detail"]
    image = "data:image/png;base64,aGk="
    assert service.ask("POST", path, {**body("Hi", "r1"), "images": [image]}).status_code == 409
    assert len(history(service)) == 2


def test_without_an_id_nothing_is_recognised(service: Service) -> None:
    assert [talk(service, "s", "Hi", requestId=None)["response"] for _ in range(2)] == ["Answer 1", "Answer 2"]


@pytest.mark.parametrize(
    ("in_body", "in_header"),
    [
        ("a", "b"),
        ("a", '"b"'),
        ("", None),
        ("x" * 257, None),
        (7, None),
        ("\ud800", None),
        (None, ""),
        (None, '""'),
        (None, "x" * 257),
        (None, "x" * 1001),
    ],
)
@pytest.mark.parametrize("path", [CHAT, f"{CHAT}/stream"])
def test_invalid_ids_are_the_clients_error(service: Service, path: str, in_body: Any, in_header: str | None) -> None:
    sent = {**body("Hi"), **({} if in_body is None else {"requestId": in_body})}
    headers = {} if in_header is None else {"Idempotency-Key": in_header}
    refused = service.ask("POST", path, sent, headers=headers)
    assert refused.status_code in (400, 422)
    assert any(name in refused.json()["detail"] for name in ("requestId", "Idempotency-Key", "idempotency-key"))
    assert history(service) == []


@pytest.mark.parametrize("request_id", ["\0", "🙂" * 128, "a b/c?d#e%", '"', "request:r1"])
def test_any_text_is_an_id(service: Service, server: ModelServer, request_id: str) -> None:
    assert [talk(service, "s", "Hi", requestId=request_id)["response"] for _ in range(2)] == ["Answer 1"] * 2
    assert len(server.requests) == 1


def test_a_quoted_header_may_have_escaped_characters(service: Service, server: ModelServer) -> None:
    talk(service, "s", "Hi", requestId='a"b\\c')
    again = service.ask("POST", CHAT, body("Hi"), headers={"Idempotency-Key": '"a\\"b\\\\c"'})
    assert (again.json()["response"], len(server.requests)) == ("Answer 1", 1)


def test_an_id_belongs_to_one_session_of_one_subject(tmp_path: Path, server: ModelServer) -> None:
    keys = Keys(tmp_path / "keys.json")
    ann, bob = keys.add("ann"), keys.add("bob")
    with serve_http(settings_for(tmp_path, server.url)) as service:
        for key, session in ((ann, "s"), (ann, "t"), (bob, "s")):
            answer = service.ask("POST", CHAT, body(f"Hi from {session}", "r1", session), key=key)
            assert answer.json()["response"] == "Answer 1"
    assert len(server.requests) == 3


@pytest.mark.parametrize("kind", ["sqlite", "redis", "memory"])
def test_eight_callers_with_one_id_make_one_request(tmp_path: Path, kind: str) -> None:
    """As in https://github.com/danny-avila/LibreChat/issues/14339: one message, two requests to the model, both paid
    for."""

    def slow(asked: Asked) -> Answer:
        return replace(reply(asked), delay=0.3)

    with serve(slow) as server, serve_redis(tmp_path) if kind == "redis" else serve([]) as other:
        where = {"redis": other.url, "memory": "memory:", "sqlite": str(tmp_path / "s.db")}[kind]
        with serve_http(settings_for(tmp_path, server.url, agentkit_sessions=where)) as service:
            texts: list[str] = []
            whole_ = lambda: texts.append(talk(service, "s", "Hi", requestId="r1")["response"])  # noqa: E731
            stream = lambda: texts.append(streamed_text(service, "Hi", "r1"))  # noqa: E731
            together(*[whole_, stream] * 4)
            assert (texts, len(server.requests)) == (["Answer 1"] * 8, 1)
            assert history(service) == [("user", "Hi"), ("assistant", "Answer 1")]
            assert service.app.state.service.runs.count == 0


class Holding:
    """A model server that holds the answers in the session "busy" back until `go` is set."""

    def __init__(self) -> None:
        self.asked, self.go = threading.Event(), threading.Event()

    def __call__(self, asked: Asked) -> Answer:
        if str(asked.body["messages"][-1]["content"]).startswith("busy"):
            self.asked.set()
            self.go.wait(20)
        return reply(asked)


def test_messages_that_wait_for_their_session_leave_the_places_to_others(tmp_path: Path) -> None:
    holding = Holding()
    with serve(holding) as server, serve_http(settings_for(tmp_path, server.url, agentkit_max_runs=4)) as service:
        answers: list[Any] = []
        threads = [
            threading.Thread(target=lambda: answers.append(talk(service, "busy", "busy", requestId="r1")))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        runs = service.app.state.service.runs
        until(lambda: runs.count == 4)
        for _ in range(3):
            assert talk(service, "other", "Hi")["response"].startswith("Answer")
        assert not answers
        holding.go.set()
        for thread in threads:
            thread.join(20)
        assert [each["response"] for each in answers] == ["Answer 1"] * 4


def test_so_many_wait_and_more_are_told_to_try_again(tmp_path: Path) -> None:
    holding = Holding()
    with serve(holding) as server, serve_http(settings_for(tmp_path, server.url, agentkit_max_runs=2)) as service:
        statuses: list[int] = []
        ask = lambda: statuses.append(service.ask("POST", CHAT, body("busy", "r1")).status_code)  # noqa: E731
        threads = [threading.Thread(target=ask) for _ in range(9)]
        runs = service.app.state.service.runs
        for number, thread in enumerate(threads):
            thread.start()
            until(lambda number=number: len(runs._waiting) == number)  # type: ignore[misc]
            assert holding.asked.wait(10)
        refused = service.ask("POST", CHAT, body("busy", "r1"))
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert "8 messages wait" in refused.json()["detail"]
        holding.go.set()
        for thread in threads:
            thread.join(20)
    assert statuses == [200] * 9


@pytest.mark.parametrize("path", [CHAT, f"{CHAT}/stream"])
def test_a_client_that_leaves_while_it_waits_frees_its_place(tmp_path: Path, path: str) -> None:
    holding = Holding()
    with serve(holding) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        thread = threading.Thread(target=talk, args=(service, "s", "busy"))
        thread.start()
        assert holding.asked.wait(10)
        runs = service.app.state.service.runs
        with pytest.raises(requests.Timeout):
            requests.post(service.url + path, json=body("busy too", "r2"), timeout=0.5)
        until(lambda: runs.count == 1, 3)  # the store's wait is 30 seconds
        holding.go.set()
        thread.join(20)
        assert [text for role, text in history(service) if role == "user"] == ["busy"]


@pytest.mark.parametrize("path", [CHAT, f"{CHAT}/stream"])
@pytest.mark.parametrize("failure", [FAILURE, replace(FAILURE, drop=True)], ids=["500", "reset"])
def test_an_effect_is_had_once_when_the_model_server_fails_after_it(tmp_path: Path, path: str, failure: Answer) -> None:
    """As in https://github.com/crewAIInc/crewAI/issues/5802: the retry of a task has the effects of its tools again."""
    is_down = True

    def failing(asked: Asked) -> Answer:
        return failure if is_down and asked.body["messages"][-1]["role"] == "tool" else reply(asked)

    with (
        serve(failing) as server,
        serve_http(settings_for(tmp_path, server.url, agentkit_tools=(f"{__name__}:send",))) as service,
    ):
        for _ in range(2):
            answer = service.ask("POST", path, body("send to ann", "r1"))
            assert answer.status_code == 503 or '"error"' in answer.text
        is_down = False
        assert talk(service, "s", "send to ann", requestId="r1")["response"] == "Answer 1"
        assert effects == ["ann"]
        assert [role for role, _ in history(service)] == ["user", "assistant"]


def test_a_stream_that_breaks_after_a_tool_adds_no_second_question(tmp_path: Path) -> None:
    """As in https://github.com/RooCodeInc/Roo-Code/pull/9249: two user messages in a row, which servers refuse."""
    broken = [streamed(*(delta(content="word ") for _ in range(5)), done=False, cut=True)] * 4

    def breaking(asked: Asked) -> Answer:
        return broken.pop() if broken and asked.body["messages"][-1]["role"] == "tool" else reply(asked)

    with (
        serve(breaking) as server,
        serve_http(settings_for(tmp_path, server.url, agentkit_tools=(f"{__name__}:send",))) as service,
    ):
        frames = service.frames(f"{CHAT}/stream", body("send to ann", "r1"))
        assert "error" in frames[-2]
        broken.clear()
        assert streamed_text(service, "send to ann", "r1") == "Answer 1"
        roles = [message["role"] for message in server.requests[-1].body["messages"]]
    assert (effects, roles) == (["ann"], ["system", "user", "assistant", "tool"])


def test_a_request_that_failed_before_an_effect_leaves_no_trace(tmp_path: Path) -> None:
    is_down = True
    with serve(lambda asked: FAILURE if is_down else reply(asked)) as server:
        with serve_http(settings_for(tmp_path, server.url)) as service:
            assert service.ask("POST", CHAT, body("Hi", "r1")).status_code == 503
            assert history(service) == []
            is_down = False
            assert talk(service, "s", "Another message", requestId="r1")["response"] == "Answer 1"


def test_a_retry_after_a_timeout_of_the_client_adds_no_second_turn(tmp_path: Path) -> None:
    """As in https://github.com/anthropics/anthropic-sdk-java/issues/370: a request that timed out for the client, but
    arrived, is sent again."""
    holding = Holding()
    with serve(holding) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        with pytest.raises(requests.Timeout):
            requests.post(service.url + CHAT, json=body("busy", "r1"), timeout=0.5)
        holding.go.set()
        assert talk(service, "s", "busy", requestId="r1")["response"] == "Answer 1"
        assert history(service) == [("user", "busy"), ("assistant", "Answer 1")]


def test_two_tabs_get_an_answer_each(tmp_path: Path) -> None:
    """As in https://github.com/epam/ai-dial-chat/issues/8688: the same message from two tabs, while the first one is
    answered; the second one got an empty answer. Each tab has an id of its own."""
    with serve(lambda asked: replace(reply(asked), delay=0.3)) as server:
        with serve_http(settings_for(tmp_path, server.url)) as service:
            texts: list[str] = []
            ask = lambda name: texts.append(streamed_text(service, "Hi", name))  # noqa: E731
            tabs = [functools.partial(ask, name) for name in ("tab1", "tab2")]
            together(*tabs)
            assert sorted(texts) == ["Answer 1", "Answer 2"]


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_two_workers_answer_a_request_once(tmp_path: Path, kind: str) -> None:
    (tmp_path / "effect_tool.py").write_text(EFFECT_TOOL)
    is_down = True

    def failing(asked: Asked) -> Answer:
        is_after_tool = asked.body["messages"][-1]["role"] == "tool"
        return FAILURE if is_down and is_after_tool else replace(reply(asked), delay=0.05)

    with serve(failing) as server, serve_redis(tmp_path) if kind == "redis" else serve([]) as other:
        settings = {"LLM_SERVER_URL": server.url, "AGENTKIT_TOOLS": "effect_tool:send", "AGENTKIT_RATE": "10000"}
        options = ["--workers", "2", "--store", other.url if kind == "redis" else str(tmp_path / "shared.db")]
        path = f"{tmp_path}:{Path(__file__).parents[3]}"
        with served(tmp_path, *options, **settings, PYTHONPATH=path) as (url, _):
            answers: list[Any] = []

            def ask() -> None:
                answers.append(requests.post(f"{url}{CHAT}", json=body("send to ann", "r1"), timeout=30).json())

            ask()
            assert "model server error" in answers.pop()["detail"]
            is_down = False
            together(*[ask] * 8)
            assert {each["response"] for each in answers} == {"Answer 1"}
            assert sum(each["usage"]["requests"] for each in answers) == 1
            found = requests.get(f"{url}{CHAT}/s/history", timeout=10).json()["messages"]
    assert [turn["role"] for turn in found] == ["user", "assistant"]
    assert (tmp_path / "effects").read_text() == "ann\n"


EFFECT_TOOL = '''
from pathlib import Path

def send(to: str) -> str:
    """Send a message."""
    with (Path(__file__).parent / "effects").open("a") as file:
        file.write(f"{to}\\n")
    return "sent"
'''


def test_a_pause_for_approval_repeats_without_a_request(tmp_path: Path, server: ModelServer) -> None:
    settings = settings_for(tmp_path, server.url, agentkit_tools=(f"{__name__}:approved_send",))
    with serve_http(settings) as service:
        for _ in range(2):
            answer = talk(service, "s", "send to ann", requestId="r1")
            assert (answer["stopped"], answer["response"]) == ("approval", "")
        assert (effects, len(server.requests)) == ([], 1)


def test_a_stopped_answer_is_made_again(tmp_path: Path) -> None:
    endless = streamed(*(delta(content="word ") for _ in range(500)), piece=200, pause=0.02)
    answers = iter([endless])
    with serve(lambda asked: next(answers, None) or reply(asked)) as server:
        with serve_http(settings_for(tmp_path, server.url)) as service:
            with requests.post(f"{service.url}{CHAT}/stream", json=body("Hi", "r1"), stream=True, timeout=10) as stream:
                assert next(stream.iter_content(10))
            until(lambda: service.app.state.service.runs.count == 0)
            assert streamed_text(service, "Hi", "r1") == "Answer 1"
            assert history(service) == [("user", "Hi"), ("assistant", "Answer 1")]


def test_the_id_is_in_the_api_description(service: Service) -> None:
    described = json.dumps(service.ask("GET", "/openapi.json").json())
    assert "requestId" in described
    assert "Idempotency-Key" in described
