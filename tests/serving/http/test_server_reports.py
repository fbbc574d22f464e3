"""What users of uvicorn, httptools and Starlette have reported, tried on this service's connections."""

import asyncio
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentkit.serving.http.protocol import PIPELINED
from agentkit.serving.http.server import config_of
from agentkit.serving.http.settings import HttpSettings
from agentkit.serving.http.updates import Ending
from tests.support.http_service import Service, reply, serve_http, settings_for
from tests.support.model_server import Answer, Asked, ModelServer, serve
from tests.support.waiting import until

COMPLETIONS = "/v1/chat/completions"
LIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n%b\r\n"


def answer(asked: Asked) -> Answer:
    """As `reply`, after a while for a message that is "slow", and letter by letter for one that is "long"."""
    text = str(asked.body["messages"][-1]["content"])
    options: dict[str, Any] = {"slow": {"delay": 0.5}, "long": {"piece": 1, "pause": 0.1}}.get(text, {})
    return replace(reply(asked), **options)


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with serve(answer) as made:
        yield made


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server: ModelServer) -> Iterator[Service]:
    with serve_http(settings_for(tmp_path_factory.mktemp("service"), server.url)) as made:
        yield made


def said(text: str, **more: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text}], **more}).encode()


def post(body: bytes, *headers: str, chunked: bool = False) -> bytes:
    if chunked:
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:7], body[7:])) + b"0\r\n\r\n"
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    lines = [f"POST {COMPLETIONS} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers, framing]
    return "\r\n".join([*lines, "", ""]).encode() + body


def opened(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2])), 20)


def received(service: Service, *pieces: bytes) -> bytes:
    """Everything until the service closes the connection. The pieces are sent one after another."""
    with opened(service) as client:
        for piece in pieces:
            client.sendall(piece)
        return b"".join(iter(lambda: client.recv(1 << 16), b""))


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("pieces", [1, 40], ids=["at once", "in pieces"])
def test_a_client_that_would_rather_speak_http_2_is_answered(service: Service, chunked: bool, pieces: int) -> None:
    """Kludex/uvicorn#2722 and #3064, MagicStack/httptools#102: with `Upgrade: h2c`, which clients in Java send, the
    body was lost, and the next request of the connection too."""
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
    sent = post(said("hello h2c"), *upgrade, chunked=chunked) + LIVE % b"Connection: close\r\n"
    size = len(sent) // pieces
    answered = received(service, *(sent[start : start + size] for start in range(0, len(sent), size)))
    assert answered.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert b"hello h2c" in answered
    assert answered.endswith(b"\r\n\r\nok")


def test_idle_connections_are_kept_longer_than_proxies_keep_theirs() -> None:
    """lsst-sqre/phalanx#5103, basetenlabs/truss#2648: a proxy, which keeps them for 60 to 90 seconds, sends its next
    request into one that the service has just closed."""
    settings = HttpSettings(_env_file=None)
    assert config_of("any:app", settings).timeout_keep_alive >= 90
    settings = HttpSettings(_env_file=None, agentkit_keep_alive=7)
    assert config_of("any:app", settings).timeout_keep_alive == 7


def test_requests_that_arrive_together_are_answered_in_their_order(tmp_path: Path, server: ModelServer) -> None:
    """Kludex/uvicorn#824 and #2243: the timer of an idle connection, left over from the first of two requests, closed
    it during the second."""
    with serve_http(settings_for(tmp_path, server.url, agentkit_keep_alive=1)) as service:
        together = LIVE % b"" + post(said("slow")) + LIVE % b"" + post(said("slow"), "Connection: close")
        parts = received(service, together).split(b"HTTP/1.1 200 OK\r\n")
        assert [b"chat.completion" in part for part in parts] == [False, False, True, False, True]


def test_nothing_is_answered_after_the_request_to_close(service: Service, server: ModelServer) -> None:
    """Kludex/uvicorn#2238: what followed was answered too, with an error."""
    before = len(server.requests)
    for rest in (post(said("again")), b"nonsense\r\n\r\n"):
        answered = received(service, LIVE % b"Connection: close\r\n" + rest)
        assert answered.count(b"HTTP/1.1 ") == 1
        assert answered.endswith(b"\r\n\r\nok")
    assert len(server.requests) == before


def test_a_request_is_answered_before_the_nonsense_behind_it_closes_the_connection(service: Service) -> None:
    """Kludex/uvicorn#344, #1345: an error of a later request came in place of the answer to an earlier one."""
    answered = received(service, post(said("slow")) + b"nonsense\r\n\r\n")
    assert answered.count(b"HTTP/1.1 ") == 1
    assert b"user" not in answered.partition(b"\r\n\r\n")[0]
    assert b'"finish_reason":"stop"' in answered


def test_what_is_no_http_is_refused_and_takes_no_memory(service: Service) -> None:
    """llhttp has no limit for a head; and httptools copies all of a header again for each part of it that arrives."""
    endless = b"x" * 600_000  # more than what is read at once
    chunked = b"%b\r\n\r\n" % post(b"", chunked=True).partition(b"\r\n\r\n")[0]
    for begin, status in (
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + endless, 431),
        (chunked + b"1;" + endless, 431),
        (chunked + b"2\r\n{}\r\n0\r\nX: " + endless, 431),
        (b"GET /livez HTTP/1.1\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: example.com\r\n\r\n", 400),
        (chunked + b"zz\r\n", 400),
        (post(b"{}", "Transfer-Encoding: chunked"), 400),
    ):
        assert received(service, begin).startswith(b"HTTP/1.1 %d " % status), begin[:200]


def test_a_health_check_without_a_host_is_answered(service: Service) -> None:
    """HAProxy's `option httpchk` sends HTTP/1.0 without one (lmenezes/cerebro#494, d2iq-archive/marathon-lb#469).
    Browsers always name a host."""
    assert received(service, b"GET /livez HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert received(service, b"GET /livez HTTP/1.0\r\nHost: example.com\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert received(service, b"GET /livez HTTP/1.0\r\nHost:\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_trailer_is_no_header(tmp_path: Path, server: ModelServer) -> None:
    """With uvicorn's protocol on httptools, unlike the one on h11, it becomes one."""
    with serve_http(settings_for(tmp_path, server.url)) as service:
        body = json.dumps({"session_id": "s", "message": "hi"}).encode()
        sent = post(body, "Connection: close", chunked=True).replace(COMPLETIONS.encode(), b"/api/llm/chat/session")
        sent = sent.removesuffix(b"\r\n") + b"Idempotency-Key: %b\r\n\r\n" % (b"x" * 2000)  # too long for one
        assert received(service, sent).startswith(b"HTTP/1.1 200 ")


def test_so_many_requests_wait_and_no_more(service: Service) -> None:
    answered = received(service, post(said("slow")) + LIVE % b"" * (PIPELINED + 2))
    assert 1 <= answered.count(b"HTTP/1.1 200 OK\r\n") <= PIPELINED + 1


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_clients_that_leave_take_everything_of_theirs_with_them(
    service: Service, server: ModelServer, stream: bool
) -> None:
    """Kludex/uvicorn#2754: tasks waited for clients that had left; microsoft/amplifier#238: threads did, until there
    were none for others; Kludex/starlette#919, #1012."""
    state, before = service.app.state.service, server.left
    clients = [opened(service) for _ in range(12)]
    for each in clients:
        each.sendall(post(said("long", stream=stream)))
    until(lambda: state.runs.count == 12)
    if stream:
        for each in clients:
            assert each.recv(10) == b"HTTP/1.1 2"
    for each in clients:
        each.close()
    until(lambda: state.runs.count == 0)
    until(lambda: server.left == before + 12, 60)


def test_the_end_of_a_run_that_nobody_reads_in_pieces_is_its_first() -> None:
    async def first_of_two() -> str:
        ending = Ending(None)
        for each in ("first", "second"):
            await asyncio.get_running_loop().run_in_executor(None, ending.add, ValueError(each))
        return str(await ending.wait(5))

    assert asyncio.run(first_of_two()) == "first"


def test_a_body_in_a_coding_that_is_not_read_is_refused(service: Service) -> None:
    body = b"5\r\nhello\r\n0\r\n\r\n"
    head = post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: gzip, chunked")
    assert received(service, head + body).startswith(b"HTTP/1.1 400")
