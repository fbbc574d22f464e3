"""The chat API over real HTTP: requests and responses of the Prompt Portal's clients."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from agentkit import Image
from agentkit.message import STOP_NOTES
from agentkit.net.watcher import WATCHER
from agentkit.serving.http.conversations import Conversations
from agentkit.session import INTERNAL
from agentkit.sessions import open_sessions
from tests.support.http_service import LOOK_UP, Service, reply, serve_http, settings_for, talk
from tests.support.lightllm_server import serve_lightllm
from tests.support.llama_server import LlamaServer
from tests.support.model_server import Answer, Asked, ModelServer, calls, delta, serve, streamed, whole
from tests.support.waiting import until


@pytest.fixture
def service(tmp_path: Path, model: ModelServer) -> Iterator[Service]:
    with serve_http(settings_for(tmp_path, model.url, agentkit_tools=(LOOK_UP,))) as running:
        yield running


def test_stateless_chat_is_answered_and_nothing_is_stored(service: Service, model: ModelServer) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    body = {"messages": messages, "temperature": None, "top_p": None, "max_tokens": 7, "model": "default"}
    response = service.ask("POST", "/api/llm/chat", body)
    assert response.status_code == 200
    assert response.json()["response"] == "Be brief.: Hello"
    sent = model.requests[-1].body
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"]) == (0.6, 0.9, 7)
    assert sent["chat_template_kwargs"] == {"enable_thinking": False}
    assert service.ask("GET", "/api/llm/chat/sessions").json() == {"sessions": []}


def test_a_session_continues_and_keeps_its_first_system_prompt(service: Service) -> None:
    first = talk(service, "s1", "one", system_prompt="Be quick.")
    assert (first["response"], first["session_id"]) == ("Be quick.: one", "s1")
    assert talk(service, "s1", "two", system_prompt="Be slow.")["response"] == "Be quick.: one | two"
    assert talk(service, "s2", "one")["response"] == "You are a: one"
    history = service.ask("GET", "/api/llm/chat/session/s1/history").json()
    assert history["session_id"] == "s1"
    assert [(turn["role"], turn["content"]) for turn in history["messages"]] == [
        ("user", "one"),
        ("assistant", "Be quick.: one"),
        ("user", "two"),
        ("assistant", "Be quick.: one | two"),
    ]


def test_streams_have_the_documented_frames(service: Service) -> None:
    single = service.frames("/api/llm/chat/stream", {"messages": [{"role": "user", "content": "Hello"}]})
    assert "".join(frame.get("content", "") for frame in single) == "Hello: Hello"
    assert single[-1] == {"done": True}
    frames = service.frames("/api/llm/chat/session/stream", {"session_id": "s", "message": "Hi"})
    deltas = [frame for frame in frames if "content" in frame]
    assert "".join(frame["content"] for frame in deltas) == "You are a: Hi"
    assert {frame["session_id"] for frame in deltas} == {"s"}
    assert frames[-1] == {"done": True, "session_id": "s"}
    assert next(frame for frame in frames if "usage" in frame)["stopped"] == "answer"


def test_tool_calls_are_shown_as_they_run_and_in_the_history(service: Service) -> None:
    frames = service.frames("/api/llm/chat/session/stream", {"session_id": "t", "message": "look up tides"})
    tools = [frame["tool"] for frame in frames if "tool" in frame]
    assert [(tool["name"], tool["state"]) for tool in tools] == [("look_up", "started"), ("look_up", "finished")]
    assert "all about tides" in tools[1]["response"]
    answer = talk(service, "t2", "look up nothing")
    assert "there is nothing" in answer["tool_calls"][0]["error"]
    assert answer["usage"]["tool_calls"] == 1
    (_, said) = service.ask("GET", "/api/llm/chat/session/t/history").json()["messages"]
    assert said["tool_calls"][0]["name"] == "look_up"
    assert "all about tides" in said["tool_calls"][0]["response"]


@pytest.mark.parametrize("session", ["a/b", "../x", "ünïcode 日本", "x" * 900, "history", "a?b#c%2F", "sessions"])
def test_unusual_session_ids_work(service: Service, session: str) -> None:
    talk(service, session, "one")
    found = service.ask("POST", "/api/llm/chat/session/history", {"session_id": session}).json()
    assert (found["session_id"], found["messages"][0]["content"]) == (session, "one")
    assert service.ask("GET", "/api/llm/chat/sessions").json()["sessions"][0]["session_id"] == session
    cleared = service.ask("POST", "/api/llm/chat/session/clear", {"session_id": session})
    assert cleared.json() == {"ok": True, "message": f"Session {session} cleared"}


def test_sessions_are_listed_renamed_and_cleared(service: Service) -> None:
    talk(service, "a", "What is the tide?\nTell me all.")
    talk(service, "b", "Hello")
    listed = service.ask("GET", "/api/llm/chat/sessions").json()["sessions"]
    assert [(each["session_id"], each["name"]) for each in listed] == [
        ("b", "Hello"),
        ("a", "What is the tide? Tell me all."),
    ]
    assert service.ask("PATCH", "/api/llm/chat/session/a", {"name": "Tides"}).status_code == 200
    assert service.ask("GET", "/api/llm/chat/session/a/history").json()["name"] == "Tides"
    assert talk(service, "a", "more")["response"].endswith("| more")
    assert service.ask("DELETE", "/api/llm/chat/session/a").json() == {"ok": True, "message": "Session a cleared"}
    gone = service.ask("GET", "/api/llm/chat/session/a/history")
    assert (gone.status_code, gone.json()) == (404, {"detail": "Session not found"})
    assert service.ask("DELETE", "/api/llm/chat/session/a").status_code == 404
    assert talk(service, "a", "anew")["response"] == "You are a: anew"


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/api/llm/chat", {}, "messages"),
        ("/api/llm/chat", {"messages": []}, "messages"),
        ("/api/llm/chat/session", {"message": "x"}, "session_id"),
        ("/api/llm/chat/session", {"session_id": "", "message": "x"}, "session_id"),
        ("/api/llm/chat/session", {"session_id": "s", "message": "  "}, "message"),
        ("/api/llm/chat/session/stream", {"session_id": "s"}, "message"),
    ],
)
def test_missing_fields_are_named_in_the_error(service: Service, path: str, body: Any, named: str) -> None:
    response = service.ask("POST", path, body)
    assert response.status_code == 400
    assert response.json()["detail"].startswith(f"{named}: ")


def test_invalid_json_and_wrong_types_are_rejected(service: Service) -> None:
    options: dict[str, Any] = {"headers": {"Content-Type": "application/json"}, "data": b'{"messages": '}
    broken = service.ask("POST", "/api/llm/chat", **options)
    assert broken.status_code == 422
    assert isinstance(broken.json()["detail"], str)
    deep = service.ask("POST", "/api/llm/chat", **{**options, "data": b"[" * 100_000})
    assert deep.status_code in (400, 422)
    wrong = service.ask("POST", "/api/llm/chat", {"messages": [{"role": "robot", "content": "x"}]})
    assert wrong.status_code == 422
    assert "messages.0.role" in wrong.json()["detail"]
    assert service.ask("GET", "/nowhere").json() == {"detail": "Not Found"}


def test_a_large_body_is_rejected(tmp_path: Path, model: ModelServer) -> None:
    with serve_http(settings_for(tmp_path, model.url, agentkit_max_body=10_000)) as service:
        body = {"messages": [{"role": "user", "content": "x" * 20_000}]}
        assert service.ask("POST", "/api/llm/chat", body).status_code == 413

        def chunks() -> Iterator[bytes]:
            yield from [json.dumps(body).encode()[start : start + 1000] for start in range(0, 20_000, 1000)]

        chunked = requests.post(
            f"{service.url}/api/llm/chat", data=chunks(), headers={"Content-Type": "application/json"}, timeout=10
        )
        assert chunked.status_code == 413


def test_without_a_model_server_the_service_reports_it_and_recovers(tmp_path: Path) -> None:
    with serve([whole("Here.")] * 9) as server:
        url, port = server.url, int(server.url.split(":")[2].split("/")[0])
    with serve_http(settings_for(tmp_path, url)) as service:
        health = service.ask("GET", "/api/llm/health")
        assert (health.status_code, health.json()["status"]) == (503, "unavailable")
        assert service.ask("GET", "/livez").status_code == 200
        assert service.ask("GET", "/readyz").status_code == 503
        body = {"session_id": "s", "message": "Are you there?"}
        for path in ("/api/llm/chat/session", "/api/llm/chat/session/stream"):
            refused = service.ask("POST", path, body)
            assert refused.status_code == 503
            assert "model server" in refused.json()["detail"]
            assert refused.headers["Retry-After"]
        with serve([whole("Here.")] * 9, port=port) as server:
            assert talk(service, "s", "Are you there?")["response"] == "Here."
            assert [message["role"] for message in server.requests[-1].body["messages"]] == ["system", "user"]


def test_health_without_a_key_says_whether_the_model_server_is_reachable(tmp_path: Path, model: ModelServer) -> None:
    with serve_http(settings_for(tmp_path, model.url.removesuffix("/v1"))) as service:
        found = service.ask("GET", "/api/llm/health")
    assert found.status_code == 200
    assert found.json() == {"status": "ok", "detail": None}  # more is for callers with a key


def test_a_client_that_disconnects_stops_its_run(tmp_path: Path) -> None:
    def endless(asked: Asked) -> Answer:
        return streamed(*(delta(content="word ") for _ in range(2000)), piece=200, pause=0.05)

    with serve(endless) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        body = {"messages": [{"role": "user", "content": "Hello"}]}
        for path in ("/api/llm/chat/stream", "/v1/chat/completions"):
            with requests.post(service.url + path, json={**body, "stream": True}, stream=True, timeout=10) as stream:
                pieces = stream.iter_content(10)  # kept: the connection is closed with it
                assert next(pieces)
                assert service.app.state.service.runs.count == 1
            until(lambda: service.app.state.service.runs.count == 0)
        with pytest.raises(requests.Timeout):
            requests.post(f"{service.url}/api/llm/chat", json=body, timeout=1)
        until(lambda: service.app.state.service.runs.count == 0)


@pytest.mark.parametrize("path", ["/api/llm/chat", "/v1/chat/completions"])
def test_a_whole_answer_ends_when_its_client_leaves_though_no_thread_looks_for_that(tmp_path: Path, path: str) -> None:
    asked, may_end = threading.Event(), threading.Event()

    def thinking(request: Asked) -> Answer:
        asked.set()
        may_end.wait(60)
        return whole("Hi")

    with serve(thinking) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2])), timeout=30) as client:
            body = json.dumps({"messages": [{"role": "user", "content": "Hello"}]}).encode()
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            client.sendall(b"%bContent-Length: %d\r\n\r\n%b" % (head.encode(), len(body), body))
            assert asked.wait(30)
            assert not WATCHER._watched
        until(lambda: service.app.state.service.runs.count == 0)  # the model server has said nothing yet
        may_end.set()


def test_the_text_that_a_leaving_client_saw_is_kept_and_the_model_knows_of_it(tmp_path: Path) -> None:
    def endless(asked: Asked) -> Answer:
        if len(asked.body["messages"]) > 2:
            return reply(asked)
        return streamed(*(delta(content=f"word{number} ") for number in range(2000)), piece=200, pause=0.05)

    with serve(endless) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        url, body = f"{service.url}/api/llm/chat/session/stream", {"session_id": "s", "message": "Go."}
        with requests.post(url, json=body, stream=True, timeout=10) as stream:
            assert any(b"word3 " in line for line in stream.iter_lines())
        until(lambda: service.app.state.service.runs.count == 0)
        turns = service.ask("GET", "/api/llm/chat/session/s/history").json()["messages"]
        assert [turn["role"] for turn in turns] == ["user", "assistant"]
        assert turns[1]["content"].startswith("word0 word1 word2 word3")
        assert turns[1]["stopped"] == "cancelled"
        assert "Still there?" in talk(service, "s", "Still there?")["response"]
        told = f"{turns[1]['content']}\n\n{STOP_NOTES['cancelled']}"
        assert server.requests[1].body["messages"][2] == {"role": "assistant", "content": told}


def test_values_that_servers_refuse_stop_no_session(tmp_path: Path) -> None:
    """A model writes NaN in the arguments of a call and half a character in its answer, and so does the user."""

    def hostile(asked: Asked) -> Answer:
        json.loads(asked.raw, parse_constant=lambda constant: pytest.fail(constant))
        messages = asked.body["messages"]
        json.dumps(messages, ensure_ascii=False).encode()
        for call in (call for message in messages for call in message.get("tool_calls") or ()):
            json.loads(call["function"]["arguments"], parse_constant=lambda constant: pytest.fail(constant))
        if messages[-1]["role"] == "tool":
            return whole("half \ud800")
        function = {"name": "look_up", "arguments": '{"topic": NaN, "more": "\\ud800"}'}
        return whole({"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": function}]})

    with serve(hostile) as server:
        settings = settings_for(tmp_path, server.url, agentkit_tools=(LOOK_UP,))
        with serve_http(settings) as service:
            for _ in range(2):
                assert talk(service, "s", "Go.")["response"] == "half \ufffd"
            half = service.ask("POST", "/api/llm/chat/session", {"session_id": "s", "message": "\ud83d"})
            assert half.status_code in (200, 422)
            assert talk(service, "s", "Go.")["response"] == "half \ufffd"
            assert service.ask("GET", "/api/llm/chat/session/s/history").status_code == 200


def test_a_slow_reader_does_not_block_others(tmp_path: Path) -> None:
    def long(asked: Asked) -> Answer:
        return streamed(*(delta(content="word " * 2000) for _ in range(100)))

    with serve(long) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        body = json.dumps({"messages": [{"role": "user", "content": "Hello"}]}).encode()
        with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2]))) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            head = "POST /api/llm/chat/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            slow.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            slow.recv(10)  # and no more
            started = time.monotonic()
            frames = service.frames("/api/llm/chat/stream", json.loads(body))
            assert frames[-1] == {"done": True}
            assert service.ask("GET", "/livez").status_code == 200
            assert time.monotonic() - started < 10


def test_an_error_during_a_stream_is_sent_in_the_stream(tmp_path: Path) -> None:
    answers = [streamed(*(delta(content="word ") for _ in range(5)), done=False, cut=True)] * 4
    with serve(answers) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        frames = service.frames("/api/llm/chat/session/stream", {"session_id": "s", "message": "Hello"})
    assert "error" in frames[-2]
    assert frames[-1] == {"done": True, "session_id": "s"}


def test_runs_above_the_maximum_are_rejected(tmp_path: Path) -> None:
    def slow(asked: Asked) -> Answer:
        return Answer(whole("Done.").body, delay=1.0)

    with serve(slow) as server, serve_http(settings_for(tmp_path, server.url, agentkit_max_runs=2)) as service:
        statuses: list[int] = []
        body = {"messages": [{"role": "user", "content": "Hello"}]}
        threads = [
            threading.Thread(target=lambda: statuses.append(service.ask("POST", "/api/llm/chat", body).status_code))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(statuses) == [200, 200, 503, 503]


def test_two_hundred_concurrent_streams_are_not_mixed_up(tmp_path: Path) -> None:
    def each(asked: Asked) -> Answer:
        name = str(asked.body["messages"][-1]["content"])
        return streamed(*(delta(content=f"{name}.{piece} ") for piece in range(10)), piece=150, pause=0.05)

    with serve(each) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        got: dict[int, str] = {}

        def follow(number: int) -> None:
            frames = service.frames(
                "/api/llm/chat/session/stream", {"session_id": f"s{number}", "message": f"n{number}"}
            )
            got[number] = "".join(frame.get("content", "") for frame in frames)

        threads = [threading.Thread(target=follow, args=(number,)) for number in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert got == {number: "".join(f"n{number}.{piece} " for piece in range(10)) for number in range(200)}


def test_messages_of_one_session_are_answered_sequentially(tmp_path: Path) -> None:
    def slow(asked: Asked) -> Answer:
        return replace(reply(asked), delay=0.3)

    with serve(slow) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        threads = [threading.Thread(target=talk, args=(service, "s", f"m{number}")) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        roles = [turn["role"] for turn in service.ask("GET", "/api/llm/chat/session/s/history").json()["messages"]]
    assert roles == ["user", "assistant"] * 3


def test_a_long_history_is_cut_and_keeps_its_system_prompt(tmp_path: Path) -> None:
    def brief(asked: Asked) -> Answer:
        return whole("word " * 60)

    with serve(brief) as server, serve_http(settings_for(tmp_path, server.url, llm_max_history_tokens=400)) as service:
        answers = [talk(service, "s", f"{number} " + "so on " * 30, system_prompt="Be brief.") for number in range(8)]
        turns = service.ask("GET", "/api/llm/chat/session/s/history").json()["messages"]
    assert not answers[0]["history_was_cut"]
    assert any(each["history_was_cut"] for each in answers)
    assert all(asked.body["messages"][0]["content"].startswith("Be brief.") for asked in server.requests)
    assert all(len(asked.body["messages"]) < 10 for asked in server.requests)
    assert len(turns) == 16  # messages that are no longer sent stay stored


def test_concurrent_first_messages_create_one_session(tmp_path: Path, model: ModelServer) -> None:
    with serve_http(settings_for(tmp_path, model.url)) as service:
        threads = [
            threading.Thread(target=talk, args=(service, "s", f"m{number}"), kwargs={"system_prompt": f"P{number}."})
            for number in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        prompts = {asked.body["messages"][0]["content"] for asked in model.requests}
        assert len(prompts) == 1
        assert all(
            [message["role"] for message in asked.body["messages"]].count("system") == 1 for asked in model.requests
        )
        assert len(service.ask("GET", "/api/llm/chat/sessions").json()["sessions"]) == 1


def test_named_prompts_are_assigned_by_weight_and_counted(tmp_path: Path, model: ModelServer) -> None:
    file = tmp_path / "prompts.toml"
    file.write_text('[tutor.v1]\ntext = "First one."\n[tutor.v2]\ntext = "Second 1."\nweight = 3\n')
    with serve_http(settings_for(tmp_path, model.url, agentkit_prompts=file)) as service:
        versions = [talk(service, f"s{number}", "x", prompt="tutor")["prompt"]["version"] for number in range(60)]
        assert 4 <= versions.count("v1") <= 28
        versions.append(talk(service, "s0", "y", prompt="tutor")["prompt"]["version"])
        assert versions[-1] == versions[0]
        pinned = talk(service, "p", "x", prompt="tutor@v1")
        assert pinned["response"] == "First one: x"
        assert service.ask("GET", "/api/llm/chat/session/p/history").json()["prompt"]["version"] == "v1"
        unknown = service.ask("POST", "/api/llm/chat/session", {"session_id": "q", "message": "x", "prompt": "none"})
        assert unknown.status_code == 400
        metrics = service.ask("GET", "/metrics").text
        assert f'agentkit_prompt_uses_total{{prompt="tutor",version="v2"}} {versions.count("v2")}' in metrics
        assert [each["version"] for each in service.ask("GET", "/api/llm/prompts").json()["prompts"]] == ["v1", "v2"]
        file.write_text('[tutor.v3]\ntext = "Third one."\n')
        assert talk(service, "new", "x", prompt="tutor")["prompt"]["version"] == "v3"


def test_a_real_model_answers(tmp_path: Path, llama: LlamaServer) -> None:
    with serve_http(settings_for(tmp_path, llama.root)) as service:
        assert talk(service, "s", "Hello", max_tokens=16)["response"]
        frames = service.frames(
            "/api/llm/chat/session/stream", {"session_id": "s", "message": "More", "max_tokens": 16}
        )
    assert frames[-1] == {"done": True, "session_id": "s"}
    assert any("content" in frame for frame in frames)


def test_a_lightllm_server_gets_the_sampling_options_of_the_request(tmp_path: Path) -> None:
    with serve_lightllm(["Hello from there."]) as server:
        with serve_http(settings_for(tmp_path, "", agentkit_model=f"lightllm:Qwen3-8B@{server.url}")) as service:
            answer = talk(service, "s", "Hello", temperature=0.1, max_tokens=7)
            assert service.ask("GET", "/api/llm/health").json()["status"] == "ok"
        sent = server.requests[-1].parameters
    assert answer["response"] == "Hello from there."
    assert (sent["temperature"], sent["max_new_tokens"]) == (0.1, 7)


def test_a_message_that_times_out_does_not_undo_an_answered_one(tmp_path: Path) -> None:
    def slow(asked: Asked) -> Answer:
        return replace(whole("the precious answer"), delay=1.5)

    with serve(slow) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        service.app.state.service.conversations.service.sessions.wait = 0.5
        first = threading.Thread(target=talk, args=(service, "s", "the same words"))
        first.start()
        until(lambda: server.requests)
        late = service.ask("POST", "/api/llm/chat/session", {"session_id": "s", "message": "the same words"})
        first.join()
        said = service.ask("GET", "/api/llm/chat/session/s/history").json()["messages"]
    assert late.status_code == 409
    assert [turn["content"] for turn in said] == ["the same words", "the precious answer"]


def test_a_session_deleted_while_messages_wait_stays_listed(tmp_path: Path) -> None:
    def slow(asked: Asked) -> Answer:
        return replace(reply(asked), delay=0.4)

    with serve(slow) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        for round in range(4):
            session = f"s{round}"
            body = {"session_id": session, "system_prompt": "Be brief."}
            talking = [threading.Thread(target=talk, args=(service, session, word)) for word in ("one", "two")]
            talk(service, session, "zero", system_prompt="Be brief.")
            before = len(server.requests)
            talking[0].start()
            until(lambda: len(server.requests) > before)
            deleting = threading.Thread(target=service.ask, args=("DELETE", f"/api/llm/chat/session/{session}"))
            deleting.start()
            talking[1].start()
            for thread in (*talking, deleting):
                thread.join()
            talk(service, session, "three")
            history = service.ask("GET", f"/api/llm/chat/session/{session}/history")
            assert (history.status_code, body["session_id"]) == (200, session)
            assert history.json()["messages"][-2]["content"] == "three"
            listed = [each["session_id"] for each in service.ask("GET", "/api/llm/chat/sessions").json()["sessions"]]
            assert session in listed
        assert all(asked.body["messages"][0]["role"] == "system" for asked in server.requests)


def test_a_deleted_conversation_leaves_neither_its_name_nor_its_system_prompt(tmp_path: Path) -> None:
    with serve(reply) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        for session, prompt in (("a", "You advise Jane."), ("b", "You advise Jane."), ("c", "You advise Joe.")):
            talk(service, session, f"I am in session {session}", system_prompt=prompt)

        def left() -> str:
            with open_sessions(str(tmp_path / "sessions.db")) as sessions:
                ids = [each.id for each in (*sessions.list(), *sessions.list(INTERNAL))]
                return "\n".join(each for name in ids for each in sessions._read(name, 0))

        assert "Joe" in left()
        for session in ("a", "c"):
            assert service.ask("DELETE", f"/api/llm/chat/session/{session}").status_code == 200
        assert "Joe" not in left()
        assert "session a" not in left()
        talk(service, "b", "Who?")  # another session has the same prompt
        assert server.requests[-1].body["messages"][0] == {"role": "system", "content": "You advise Jane."}
        talk(service, "c", "Again", system_prompt="You advise Joe.")
        assert server.requests[-1].body["messages"][0] == {"role": "system", "content": "You advise Joe."}
        for session in ("b", "c"):
            assert service.ask("DELETE", f"/api/llm/chat/session/{session}").status_code == 200
        assert "Jane" not in left()


def test_deleting_a_busy_session_does_not_block_others(tmp_path: Path) -> None:
    def slow(asked: Asked) -> Answer:
        return replace(whole("x"), delay=6.0 if "slow" in str(asked.body["messages"][-1]["content"]) else 0.0)

    with serve(slow) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        threads = [threading.Thread(target=talk, args=(service, "s", "slow"))]
        threads[0].start()
        until(lambda: server.requests)
        statuses: list[int] = []
        for _ in range(50):
            deleting = threading.Thread(
                target=lambda: statuses.append(service.ask("DELETE", "/api/llm/chat/session/s").status_code)
            )
            deleting.start()
            threads.append(deleting)
        time.sleep(0.3)
        started = time.monotonic()
        assert talk(service, "other", "quick")["response"] == "x"
        assert time.monotonic() - started < 3
        for thread in threads:
            thread.join()
    assert statuses == [409] * 50


def test_two_requests_that_clear_a_session_at_once_both_succeed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, clear = Counter[str](), Conversations.clear

    def clear_with_another(conversations: Conversations, subject: str, session: str) -> None:
        arrived[session] += 1
        until(lambda: arrived[session] >= 2)
        clear(conversations, subject, session)

    monkeypatch.setattr(Conversations, "clear", clear_with_another)
    for number in range(5):
        talk(service, f"s{number}", "hello")
        path = f"/api/llm/chat/session/s{number}"
        with ThreadPoolExecutor(2) as pool:
            assert [each.status_code for each in pool.map(service.ask, ["DELETE"] * 2, [path] * 2)] == [200, 200]
    assert service.ask("DELETE", "/api/llm/chat/session/s0").status_code == 404


def test_split_surrogate_pairs_are_joined(tmp_path: Path) -> None:
    def halves(asked: Asked) -> Answer:
        return streamed(delta(content="a \ud83d"), delta(content="\ude00 b"), delta(content=" \ud83d"))

    with serve(halves) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        frames = service.frames("/api/llm/chat/session/stream", {"session_id": "s", "message": "hi"})
        assert frames[-1] == {"done": True, "session_id": "s"}
        assert talk(service, "s", "again")["response"] == "a \U0001f600 b \ufffd"
        said = service.ask("GET", "/api/llm/chat/session/s/history").json()["messages"]
    assert said[1]["content"] == "a \U0001f600 b \ufffd"


def draw() -> Image:
    """Draw an image."""
    return Image(b"\x89PNG", "image/png")


def test_the_history_has_each_tool_call_with_its_own_response(tmp_path: Path) -> None:
    def model(asked: Asked) -> Answer:
        said = [str(message["content"]) for message in asked.body["messages"]]
        if "look twice" in said[-1]:
            return calls(("look_up", {"topic": "t0"}))
        if "t0" in said[-1]:
            return calls(("look_up", {"topic": "t1"}))  # with the same id
        if said[-1] == "draw":
            return calls(("draw", {}))
        if said[-1] == "hang":
            return calls(("look_up", {"topic": "left"}))
        return replace(whole("Done."), delay=5.0 if "left" in said[-1] else 0.0)

    tools = (LOOK_UP, f"{__name__}:draw")
    with serve(model) as server, serve_http(settings_for(tmp_path, server.url, agentkit_tools=tools)) as service:
        talk(service, "s", "look twice")
        body = {"session_id": "s", "message": "hang"}
        with pytest.raises(requests.Timeout):
            requests.post(f"{service.url}/api/llm/chat/session", json=body, timeout=1)
        talk(service, "s", "draw")
        turns = service.ask("GET", "/api/llm/chat/session/s/history").json()["messages"]
        metrics = service.ask("GET", "/metrics").text
    shown = [(turn["role"], turn["content"], len(turn["tool_calls"]), len(turn["images"])) for turn in turns]
    assert shown == [
        ("user", "look twice", 0, 0),
        ("assistant", "Done.", 2, 0),
        ("user", "hang", 0, 0),
        ("assistant", "", 1, 0),
        ("user", "draw", 0, 0),
        ("assistant", "Done.", 1, 1),
    ]
    assert ["t0" in call["response"] for call in turns[1]["tool_calls"]] == [True, False]
    assert 'agentkit_tool_calls_total{outcome="ok",tool="look_up"} 2.0' in metrics


def test_invented_tools_are_counted_under_one_label(tmp_path: Path) -> None:
    answers = [calls((f"made_up_{number}", {})) for number in range(3)] + [whole("Done.")]
    with serve(answers) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        talk(service, "s", "hi")
        metrics = service.ask("GET", "/metrics").text
    assert "made_up" not in metrics
    assert 'agentkit_tool_calls_total{outcome="error",tool="unknown"} 3.0' in metrics


def test_an_internal_error_is_a_regular_500_response(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("of the inside")

    monkeypatch.setattr(service.app.state.service.conversations, "list", fail)
    failed = service.ask("GET", "/api/llm/chat/sessions")
    assert (failed.status_code, failed.json()) == (500, {"detail": "internal server error"})
    assert "default-src" in failed.headers["content-security-policy"]
    assert 'route="/api/llm/chat/sessions",status="500"} 1.0' in service.ask("GET", "/metrics").text
    assert "of the inside" in caplog.text


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/llm/chat", '{"messages": [{"role": "system", "content": "x"}]}', 400),
        ("/api/llm/chat", '{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}', 422),
        ("/v1/chat/completions", '{"messages": [{"role": "user", "content": "x"}], "presence_penalty": NaN}', 400),
        ("/v1/chat/completions", '{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', 400),
        ("/api/llm/chat/session", '{"session_id": "\\ud800", "message": "x"}', 422),
    ],
)
def test_invalid_bodies_are_rejected(service: Service, path: str, body: str, status: int) -> None:
    refused = service.ask("POST", path, data=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == status, refused.text
