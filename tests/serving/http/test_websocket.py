"""The chat API over a WebSocket."""

import contextlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest

from agentkit.serving.http.keys import Keys
from tests.support.http_service import LOOK_UP, Service, reply, serve_http, settings_for, talk
from tests.support.model_server import ModelServer, delta, serve, streamed
from tests.support.waiting import until

client = pytest.importorskip("websockets.sync.client")
exceptions = pytest.importorskip("websockets.exceptions")


@contextmanager
def served(folder: Path, answers: Any, **settings: Any) -> Iterator[tuple[Service, ModelServer]]:
    with serve(answers) as server, serve_http(settings_for(folder, server.url, **settings)) as service:
        yield service, server


def opened(service: Service, **options: Any) -> Any:
    return client.connect(f"{service.url.replace('http', 'ws')}/api/llm/chat/ws", **options)


def frames(socket: Any, message: Any) -> list[Any]:
    """The frames of the answer to a message."""
    socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
    found: list[Any] = []
    while not found or "done" not in found[-1]:
        found.append(json.loads(socket.recv(timeout=20)))
    return found


def enter(connection: Any) -> None:
    """Connect, which fails."""
    with connection:
        raise AssertionError("it is connected")


def send_all(socket: Any, messages: list[Any]) -> None:
    """Send messages, and read until the connection is closed."""
    for message in messages:
        socket.send(json.dumps(message))
    while True:
        socket.recv(timeout=20)


def said(found: list[Any]) -> str:
    return "".join(each.get("content", "") for each in found)


def test_answers_have_the_frames_of_the_stream_one_after_the_other(tmp_path: Path) -> None:
    with served(tmp_path, reply, agentkit_tools=(LOOK_UP,)) as (service, _), opened(service) as socket:
        body = {"messages": [{"role": "user", "content": "Hello"}]}
        found = frames(socket, body)
        expected = service.frames("/api/llm/chat/stream", body)
        assert said(found) == said(expected) == "Hello: Hello"
        assert [list(each) for each in found[-2:]] == [list(each) for each in expected[-2:]]
        first = frames(socket, {"session_id": "s", "message": "look up tides"})
        assert [each["tool"]["state"] for each in first if "tool" in each] == ["started", "finished"]
        assert first[-1] == {"done": True, "session_id": "s"}
        assert "look up tides" in talk(service, "s", "And?")["response"]
        assert "And?" in said(frames(socket, json.dumps({"session_id": "s", "message": "Then?"}).encode()))


def test_errors_are_frames_and_the_connection_goes_on(tmp_path: Path) -> None:
    with served(tmp_path, reply) as (service, _), opened(service) as socket:
        for message, status in (
            ("no JSON", 400),
            ("[]", 400),
            ("[" * 100_000, 400),
            ({"messages": []}, 400),
            ({"messages": 3}, 422),
            ({"session_id": "s"}, 400),
            ({"session_id": "s", "message": "A", "prompt": "unknown"}, 400),
        ):
            error, done = frames(socket, message)
            assert (error["status"], done["done"]) == (status, True), message
        assert said(frames(socket, {"messages": [{"role": "user", "content": "Hi"}]})) == "Hi: Hi"


def test_a_client_shows_its_key_in_a_header_a_subprotocol_or_the_first_message(tmp_path: Path) -> None:
    key = Keys(settings_for(tmp_path, "http://127.0.0.1:1").agentkit_keys_file).add("ann")
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    with served(tmp_path, reply) as (service, server):
        with opened(service, additional_headers={"Authorization": f"Bearer {key}"}) as socket:
            assert said(frames(socket, body)) == "Hi: Hi"
        with opened(service, additional_headers={"Authorization": "Bearer another", "x-api-key": key}) as socket:
            assert said(frames(socket, body)) == "Hi: Hi"
        with opened(service, subprotocols=["agentkit", f"bearer.{key}"]) as socket:
            assert socket.subprotocol == "agentkit"
            assert said(frames(socket, body)) == "Hi: Hi"
        with opened(service) as socket:
            socket.send(json.dumps({"authorization": f"Bearer {key}"}))
            assert said(frames(socket, body)) == "Hi: Hi"
        asked = len(server.requests)
        with pytest.raises(exceptions.InvalidStatus, match="401"):
            enter(opened(service, additional_headers={"Authorization": "Bearer wrong"}))
        for first in ({"authorization": "Bearer wrong"}, body):
            with opened(service) as socket:
                socket.send(json.dumps(first))
                assert json.loads(socket.recv(timeout=20))["status"] == 401
                with pytest.raises(exceptions.ConnectionClosed):
                    socket.recv(timeout=20)
        assert len(server.requests) == asked


def test_a_client_that_does_not_show_its_key_is_disconnected(tmp_path: Path) -> None:
    Keys(settings_for(tmp_path, "http://127.0.0.1:1").agentkit_keys_file).add("ann")
    with served(tmp_path, reply, agentkit_head_seconds=0.2) as (service, _), opened(service) as socket:
        assert json.loads(socket.recv(timeout=20))["status"] == 401


def test_a_removed_key_or_an_expired_token_ends_the_connection_at_the_next_message(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys.json")
    key = keys.add("ann")
    secret = "s" * 40
    expires = int(time.time()) + 3
    token = jwt.encode({"sub": "bob", "aud": "me", "exp": expires}, secret, algorithm="HS256")
    settings = {"agentkit_jwt_secret": secret, "agentkit_jwt_audience": "me", "agentkit_jwt_leeway": 0}
    body = {"messages": [{"role": "user", "content": "Hello"}]}
    with served(tmp_path, reply, **settings) as (service, server):
        with_key = opened(service, additional_headers={"Authorization": f"Bearer {key}"})
        with opened(service) as introduced, with_key as ann:
            introduced.send(json.dumps({"authorization": f"Bearer {token}"}))
            assert "error" not in str(frames(introduced, body)) + str(frames(ann, body))
            keys.remove("ann")
            until(lambda: time.time() > expires + 1)
            before = len(server.requests)
            for socket in (introduced, ann):
                assert next(each for each in frames(socket, body) if "error" in each)["status"] == 401
                with pytest.raises(exceptions.ConnectionClosed) as ended:
                    socket.recv(timeout=20)
                assert ended.value.rcvd.code == 1008
            assert len(server.requests) == before


def test_a_websocket_outlives_the_times_of_requests(tmp_path: Path) -> None:
    times = {"agentkit_head_seconds": 0.2, "agentkit_body_seconds": 0.2, "agentkit_keep_alive": 1}
    with served(tmp_path, reply, **times) as (service, _), opened(service) as socket:
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.3)
        assert said(frames(socket, {"messages": [{"role": "user", "content": "Hi"}]})) == "Hi: Hi"


def test_only_pages_of_known_origins_open_a_websocket(tmp_path: Path) -> None:
    with served(tmp_path, reply, agentkit_cors="https://good.example") as (service, _):
        for origin in (service.url, "https://good.example", None):
            with opened(service, origin=origin):
                pass
        for origin in ("https://evil.example", "null", f"{service.url}.evil.example"):
            with pytest.raises(exceptions.InvalidStatus, match="403"):
                enter(opened(service, origin=origin))
        with pytest.raises(exceptions.InvalidStatus, match="400"):
            enter(opened(service, additional_headers={"Host": "evil.example"}))


def test_a_client_that_leaves_stops_its_run(tmp_path: Path) -> None:
    slow = streamed(*(delta(content="word ") for _ in range(500)), piece=100, pause=0.02)
    with served(tmp_path, [slow]) as (service, server):
        with opened(service) as socket:
            socket.send(json.dumps({"messages": [{"role": "user", "content": "Hi"}]}))
            assert "content" in json.loads(socket.recv(timeout=20))
        until(lambda: server.left == 1)
        until(lambda: service.app.state.service.runs.count == 0)


def test_messages_are_limited_in_size_and_number(tmp_path: Path) -> None:
    slow = streamed(*(delta(content="word ") for _ in range(500)), piece=100, pause=0.02)
    with served(tmp_path, [slow], agentkit_max_body=1000) as (service, server):
        with opened(service) as socket:
            socket.send("x" * 2000)
            with pytest.raises(exceptions.ConnectionClosed, match="1009"):
                socket.recv(timeout=20)
        with opened(service) as socket:
            with pytest.raises(exceptions.ConnectionClosed):
                send_all(socket, [{"messages": [{"role": "user", "content": "Hi"}]}] * 50)
        until(lambda: service.app.state.service.runs.count == 0)
        assert len(server.requests) < 3


def test_the_rate_limit_counts_messages(tmp_path: Path) -> None:
    with served(tmp_path, reply, agentkit_rate=2) as (service, _), opened(service) as socket:
        body = {"messages": [{"role": "user", "content": "Hi"}]}
        assert [frames(socket, body)[0].get("status") for _ in range(3)] == [None, None, 429]


def test_a_websocket_is_one_of_the_connections(tmp_path: Path) -> None:
    with served(tmp_path, reply, agentkit_max_connections=3, agentkit_max_connections_per_address=2) as (service, _):
        opening = contextlib.ExitStack()
        sockets = [opening.enter_context(opened(service)) for _ in range(3)]
        with pytest.raises(exceptions.ConnectionClosed):
            sockets[0].recv(timeout=20)  # idle for the longest time
        assert said(frames(sockets[2], {"messages": [{"role": "user", "content": "Hi"}]})) == "Hi: Hi"
        opening.close()


def test_a_service_that_stops_finishes_the_answer_and_closes_its_websockets(tmp_path: Path) -> None:
    slow = streamed(*(delta(content="word ") for _ in range(10)), delta("stop"), piece=100, pause=0.05)
    with served(tmp_path, [slow]) as (service, _), opened(service) as idle, opened(service) as busy:
        busy.send(json.dumps({"messages": [{"role": "user", "content": "Hi"}]}))
        found = [json.loads(busy.recv(timeout=20))]
        service.stop()
        while "done" not in found[-1]:
            found.append(json.loads(busy.recv(timeout=20)))
        assert said(found).split() == ["word"] * 10
        for socket in (idle, busy):
            with pytest.raises(exceptions.ConnectionClosed, match="1012"):
                socket.recv(timeout=20)
