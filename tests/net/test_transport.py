"""The transport of model servers: connections, TLS, proxies, limits of time, retries, hostile servers, hang-ups."""

import contextlib
import gc
import gzip
import http.client
import json
import logging
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import openai
import pytest
import urllib3

from agentkit import Agent, ConfigurationError
from agentkit.backends import OpenAIBackend
from agentkit.net.abort import AbortableRequest, Aborted
from agentkit.net.bounded import BoundedResponse
from agentkit.net.connections import Connections
from agentkit.net.http_client import MAX_ELSEWHERE, Transport
from agentkit.net.parsed_url import parsed_url
from agentkit.net.plain_http import PlainConnection
from tests.support.connect_proxy import serve_proxy
from tests.support.model_server import Answer, Asked, delta, serve, streamed, whole
from tests.support.raw_server import read_request, response, serve_raw
from tests.support.tls_proxy import serve_tls

KEY = "sk-a-key-that-nobody-may-see"
REPLY = whole("Here.").body


def said(url: str, stream: bool = False, **options: Any) -> str:
    """What a model at a URL answers."""
    backend = OpenAIBackend("m", base_url=url, **options)
    try:
        if stream:
            return str(list(Agent(backend).stream("Hello"))[-1].result.output)  # type: ignore[attr-defined]
        return str(Agent(backend).run("Hello").output)
    finally:
        backend.close()


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
            monkeypatch.delenv(name)


# Nothing of the openai package


def test_a_run_loads_neither_the_openai_package_nor_an_http_library() -> None:
    """Plain HTTP without a proxy needs none; and where no package declares plug-ins, none is looked for in metadata."""
    code = """
import sys
from agentkit import Agent
from agentkit.backends import OpenAIBackend
with Agent(OpenAIBackend("m", base_url=sys.argv[1])) as agent:
    assert agent.run("Hello").output == "Here."
    assert list(agent.stream("Hello"))[-1].result.output == "Here."
unused = ("openai", "httpx2", "httpcore2", "requests", "urllib3", "importlib.metadata", "html", "zipfile")
unused += ("agentkit.net.rate_headers", "agentkit.backends.refused_images", "agentkit.backends.failed_calls")
unused += ("dataclasses", "inspect", "ast", "dis", "hashlib", "logging", "pathlib", "pickle")
unused += ("agentkit.text.call_format", "agentkit.net.failed_generation", "agentkit.repair", "agentkit.sessions.writer")
unused += ("agentkit.text.parser", "agentkit.text.families", "agentkit.backends.parsed_text")
print([name for name in unused if name in sys.modules])
"""

    def answer(asked: Asked) -> Answer:
        return streamed(delta(content="Here."), delta("stop")) if asked.body["stream"] else whole("Here.")

    with serve(answer) as server:
        done = subprocess.run([sys.executable, "-c", code, server.url], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_the_openai_package_sends_of_an_organization_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    with serve([whole("Here.")]) as server:
        said(server.url, api_key=KEY)
    sent = server.requests[0].headers
    assert (sent["openai-organization"], sent["openai-project"]) == ("org-1", "proj-1")
    assert sent["authorization"] == f"Bearer {KEY}"


def test_user_and_password_of_the_address_are_sent_as_basic_authorization() -> None:
    with serve([whole("Here.")]) as server:
        said(server.url.replace("//", "//me:p%40ss@"))
    assert server.requests[0].headers["authorization"] == "Basic bWU6cEBzcw=="


def test_a_header_that_can_not_be_sent_is_named_without_its_value() -> None:
    with serve([whole("Here.")]) as server:
        transport = Transport(server.url, headers={"X-Token": "geh\u2122eim\nsecret"})
        with pytest.raises(ConfigurationError, match="header") as raised:
            transport.post("/chat/completions", {})
        transport.close()
    assert "secret" not in str(raised.value)


def test_the_debug_log_has_each_request_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    with serve([whole("Here.")]) as server, caplog.at_level(logging.DEBUG, "agentkit.http"):
        transport = Transport(server.url.replace("//", "//me:sesame@"), api_key=KEY)
        transport.post("/chat/completions?token=hidden", {"model": "m"})
        transport.close()
    lines = [record.getMessage() for record in caplog.records if record.name == "agentkit.http"]
    assert any("POST" in line and "/v1/chat/completions" in line and "200" in line for line in lines)
    assert not any(secret in caplog.text for secret in (KEY, "sesame", "hidden"))


# TLS, proxies, addresses


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_certificates_of_the_environment_are_trusted(
    variable: str, stream: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = streamed(delta(content="Here."), delta("stop")) if stream else whole("Here.")
    with serve([answer]) as server, serve_tls(tmp_path, server.http.server_port) as (port, authority):
        monkeypatch.setenv(variable, str(authority))
        assert said(f"https://127.0.0.1:{port}/v1", stream, api_key=KEY) == "Here."


def test_a_certificate_of_nobody_known_is_refused_with_the_reason(tmp_path: Path) -> None:
    with serve([whole("Here.")]) as server, serve_tls(tmp_path, server.http.server_port) as (port, _):
        with pytest.raises(openai.APIConnectionError, match=r"CERTIFICATE_VERIFY_FAILED"):
            said(f"https://127.0.0.1:{port}/v1", max_retries=0)
    assert not server.requests


def test_a_tls_server_is_reached_through_a_proxy_that_sees_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        serve([whole("Here.")]) as server,
        serve_tls(tmp_path, server.http.server_port) as (port, authority),
        serve_proxy("me:open sesame", target=port) as proxy,
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:open%20sesame@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "")
        transport = Transport(f"https://127.0.0.1:{port}/v1", api_key=KEY)
        for _ in range(2):
            assert transport.post("/chat/completions", {})["choices"]
        transport.close()
    assert len(proxy.heads) == 1  # one tunnel for both
    assert proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{port} ")
    assert KEY not in proxy.heads[0]
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert "proxy-authorization" not in server.requests[0].headers


def test_a_proxy_that_refuses_the_password_is_named_and_the_password_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_proxy("me:right") as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://me:wrong-word@127.0.0.1:{proxy.port}")
        backend = OpenAIBackend("m", base_url="https://model.example/v1", max_retries=0, api_key=KEY)
        with pytest.raises(openai.APIConnectionError, match="ALL_PROXY") as raised:
            Agent(backend).run("Hello")
        backend.close()
    assert "wrong-word" not in f"{raised.value}"


def test_a_plain_server_is_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve([whole("Here.")]) as server, serve_proxy("me:word", target=server.http.server_port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:word@127.0.0.1:{proxy.port}")
        assert said("http://model.example:8000/v1") == "Here."
    assert proxy.heads[0].startswith("POST http://model.example:8000/v1/chat/completions ")
    assert server.requests[0].headers["host"] == "model.example:8000"


def test_a_server_with_an_ipv6_address_is_reached() -> None:
    try:
        with serve_raw(lambda made, _: made.sendall(response(REPLY)) if read_request(made) else None, "::1") as server:
            assert said(f"http://[::1]:{server.port}/v1") == "Here."
    except OSError:
        pytest.skip("this machine has no IPv6")


def test_the_next_address_of_a_host_is_tried_when_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve([whole("Here.")]) as server:
        port = server.http.server_port
        _resolves(monkeypatch, "model.test", ["127.0.0.2", "127.0.0.1"])
        assert said(f"http://model.test:{port}/v1") == "Here."


def test_a_host_that_is_not_found_in_time_is_reported_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    _resolves(monkeypatch, "model.test", ["127.0.0.1"], waits_for=released)
    transport = Transport("http://model.test:9/v1", timeout=(0.2, 5.0), max_retries=0)
    try:
        with pytest.raises(openai.APIConnectionError, match=r"model\.test"):
            transport.post("/chat/completions", {})
    finally:
        released.set()
        transport.close()


def _resolves(
    monkeypatch: pytest.MonkeyPatch, name: str, addresses: list[str], waits_for: threading.Event | None = None
) -> None:
    """Have a host name resolved, perhaps only after an event."""
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        if host != name:
            return real(host, port, *rest, **options)
        if waits_for is not None:
            waits_for.wait(60)
        return [found for each in addresses for found in real(each, port, socket.AF_INET, socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


# Bodies


def test_a_compressed_body_is_read() -> None:
    with serve([Answer(gzip.compress(REPLY), headers={"content-encoding": "gzip"})]) as server:
        assert said(server.url) == "Here."
    assert "gzip" in server.requests[0].headers["accept-encoding"]


def test_a_compressed_stream_is_read_as_it_arrives() -> None:
    events = streamed(delta(content="Here."), delta("stop")).body
    packed = Answer(gzip.compress(events), content_type="text/event-stream", headers={"content-encoding": "gzip"})
    with serve([packed]) as server:
        assert said(server.url, stream=True) == "Here."


@pytest.mark.parametrize("named", ["gzip", "x-gzip", "deflate"])
def test_a_body_that_a_proxy_has_decompressed_is_read_as_it_is(named: str) -> None:
    """diegosouzapw/OmniRoute#2561, freelensapp/freelens-ai-extension#272, qualixar/superlocalmemory#79: the proxy keeps
    the header Content-Encoding, and "incorrect header check" hid what the server had said."""
    headers = {"content-encoding": named}
    events = streamed(delta(content="Here."), delta("stop"), headers=headers, piece=40)
    error = Answer(b'{"error": {"message": "no such deployment"}}', status=404, headers=headers)
    with serve([Answer(REPLY, headers=headers), events, error]) as server:
        assert said(server.url) == "Here."
        assert said(server.url, stream=True) == "Here."
        with pytest.raises(openai.NotFoundError, match="no such deployment"):
            said(server.url)


def test_a_body_that_is_shorter_than_announced_is_none_whatever_its_header_says() -> None:
    for body in (REPLY[:40], gzip.compress(REPLY)):
        answer = Answer(body, length=4000, headers={"content-encoding": "gzip"})
        with serve([answer]) as server, pytest.raises(openai.APIConnectionError):
            said(server.url, max_retries=0)


@pytest.mark.parametrize("packed", [False, True])
def test_a_body_of_any_size_is_bounded(packed: bool) -> None:
    body = b'{"text": "' + b"x" * 3_000_000 + b'"}'
    headers = {"content-encoding": "gzip"} if packed else {}
    with serve([Answer(gzip.compress(body) if packed else body, headers=headers)]) as server:
        transport = Transport(server.url, max_bytes=1_000_000)
        with pytest.raises(openai.APIError, match="more than 1,000,000 bytes"):
            transport.post("/chat/completions", {})
        transport.close()


def test_a_body_that_is_shorter_than_announced_is_no_reply() -> None:
    with serve([Answer(REPLY[:40], length=4000)]) as server, pytest.raises(openai.APIConnectionError):
        said(server.url, max_retries=0)


CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0000000a;x=1\r\n0123456789\r\n00000002\r\nab\r\n000\r\n"
)
WHOLE = {
    "with a length": response(REPLY, "x-request-id: 5"),
    "behind an interim response": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + response(REPLY),
    "in chunks": CHUNKED,
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_response_is_complete_wherever_its_connection_ends_or_it_is_an_error(name: str) -> None:
    def read(sent: bytes) -> bytes:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(sent)
            theirs.shutdown(socket.SHUT_WR)
            made = BoundedResponse(ours, method="POST")
            made.begin()
            return made.read()

    assert read(WHOLE[name]) == (b"0123456789ab" if name == "in chunks" else REPLY)
    for size in range(len(WHOLE[name])):
        with pytest.raises((http.client.IncompleteRead, http.client.RemoteDisconnected)):
            read(WHOLE[name][:size])


def test_the_trailers_of_chunks_may_be_missing() -> None:
    with serve_raw(lambda made, _: made.sendall(CHUNKED) if read_request(made) else None) as server:
        transport = Transport(f"http://127.0.0.1:{server.port}", max_retries=0)
        answer = transport.answered("POST", "/x", {}, whole=True)
        transport.close()
    assert answer.content == b"0123456789ab"


@pytest.mark.parametrize("cut", [10, 40, 75])
def test_a_connection_that_ends_within_the_headers_is_tried_again(cut: int) -> None:
    def answer(made: socket.socket, number: int) -> None:
        if read_request(made):
            made.sendall(response(REPLY, "x-request-id: 5")[: None if number else cut])

    with serve_raw(answer) as server:
        assert said(f"http://127.0.0.1:{server.port}/v1", max_retries=1) == "Here."
    assert server.count == 2


def test_a_refusal_of_a_large_request_that_is_not_read_is_told() -> None:
    def refuse(made: socket.socket, number: int) -> None:
        made.recv(1000)
        made.sendall(response(b'{"error": {"message": "too large"}}', "connection: close", status="413 No"))
        made.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):  # what is sent meanwhile is thrown away, so that the answer is not
            while made.recv(1 << 20):
                pass

    with serve_raw(refuse) as server:
        transport = Transport(f"http://127.0.0.1:{server.port}", max_retries=0)
        with pytest.raises(openai.APIStatusError, match="too large") as raised:
            transport.post("/chat/completions", {"text": "x" * 3_000_000})
        transport.close()
    assert raised.value.status_code == 413


# Kept connections


def test_a_socket_that_is_garbage_before_its_connection_is_closed_without_a_warning() -> None:
    """In a circle of garbage, the socket may be collected first."""
    with serve([whole("Here.")]) as server:
        connection = PlainConnection("127.0.0.1", int(server.url.split(":")[2].split("/")[0]), [])
        connection.timeout = 5.0
        connection.connect()
        descriptor, circle = connection.sock.fileno(), [connection.sock]
        circle.append(circle)
        connection.sock = None
        del circle
        gc.collect()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def test_a_kept_connection_that_the_server_closed_costs_no_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.net.connections.STALE_AFTER", 0.0)  # the end may arrive a little later

    def answer_once(made: socket.socket, number: int) -> None:
        read_request(made)
        made.sendall(response(REPLY))

    with serve_raw(answer_once) as server:
        transport = Transport(f"http://127.0.0.1:{server.port}", max_retries=0)
        for _ in range(3):
            assert transport.post("/chat/completions", {})["choices"]
        transport.close()
    assert server.count == 3


def test_an_idle_connection_that_is_closed_as_the_request_arrives_is_replaced_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agentkit.net.connections.STALE_AFTER", 0.0)

    def answer_once(made: socket.socket, number: int) -> None:
        read_request(made)
        made.sendall(response(REPLY))
        read_request(made)  # the next one is read, and not answered

    with serve_raw(answer_once) as server:
        transport = Transport(f"http://127.0.0.1:{server.port}", max_retries=0)
        for _ in range(3):
            assert transport.post("/chat/completions", {})["choices"]
        transport.close()
    assert server.count == 3


def test_a_connection_that_a_gateway_has_forgotten_without_a_word_is_not_waited_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """bolna#1037: what is sent on it gets no answer, and the connection stays open."""
    clock = time.monotonic
    released = threading.Event()

    def answer_once(made: socket.socket, number: int) -> None:
        read_request(made)
        made.sendall(response(REPLY))
        released.wait(60)

    with serve_raw(answer_once) as server:
        transport = Transport(f"http://127.0.0.1:{server.port}", max_retries=0)
        assert transport.post("/chat/completions", {})["choices"]
        monkeypatch.setattr("agentkit.net.connections.time.monotonic", lambda: clock() + 20)
        assert transport.post("/chat/completions", {})["choices"]
        released.set()
        transport.close()
    assert server.count == 2


def test_a_new_connection_that_is_closed_without_an_answer_is_a_failure() -> None:
    with serve_raw(lambda made, number: read_request(made)) as server:
        transport = Transport(f"http://127.0.0.1:{server.port}", max_retries=0)
        with pytest.raises(openai.APIConnectionError):
            transport.post("/chat/completions", {})
        transport.close()
    assert server.count == 1


def test_threads_that_ask_at_once_share_the_connections() -> None:
    with serve([whole("Here.")]) as server:
        transport = Transport(server.url)
        outputs: list[Any] = []

        def ask() -> None:
            for _ in range(5):
                outputs.append(transport.post("/chat/completions", {"model": "m"})["choices"])

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        transport.close()
    assert len(outputs) == 40
    assert server.connections <= 8


# Limits of time


def _hanging(seconds: float = 30.0) -> Callable[[socket.socket, int], None]:
    def hang(made: socket.socket, number: int) -> None:
        read_request(made)
        made.settimeout(seconds)
        made.recv(1)

    return hang


def _dripping(head: bytes) -> Callable[[socket.socket, int], None]:
    def drip(made: socket.socket, number: int) -> None:
        read_request(made)
        made.sendall(head)
        while True:
            made.sendall(b"x")
            time.sleep(0.02)

    return drip


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 200 OK\r\nx-name: ", response(b"")[:-4].replace(b"content-length: 0", b"x: y") + b"\r\n\r\n"],
    ids=["in the status line", "in a header", "in the body"],
)
def test_the_limit_of_the_whole_holds_however_slowly_a_server_drips(head: bytes) -> None:
    with serve_raw(_dripping(head)) as server:
        started = time.monotonic()
        with pytest.raises(openai.APITimeoutError):
            said(f"http://127.0.0.1:{server.port}/v1", timeout=(5.0, 5.0, 0.3), max_retries=0)
    assert time.monotonic() - started < 20


def test_a_server_that_is_silent_for_longer_than_the_limit_has_timed_out() -> None:
    with serve_raw(_hanging()) as server, pytest.raises(openai.APITimeoutError):
        said(f"http://127.0.0.1:{server.port}/v1", timeout=(5.0, 0.2), max_retries=0)


@pytest.fixture
def full() -> Iterator[int]:
    """A port on which connections wait and are not accepted."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        port = listening.getsockname()[1]
        waiting = []
        for _ in range(8):
            made = socket.socket()
            made.setblocking(False)
            made.connect_ex(("127.0.0.1", port))
            waiting.append(made)
        yield port
        for made in waiting:
            made.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
def test_a_server_that_does_not_accept_has_timed_out(full: int) -> None:
    with pytest.raises(openai.APITimeoutError):
        said(f"http://127.0.0.1:{full}/v1", timeout=(0.3, 5.0), max_retries=0)


# Retries


def refused(status: int, **headers: str) -> Answer:
    return Answer(b'{"error": {"message": "not now"}}', status=status, headers=headers)


SLOW_DOWN = {"retry-after-ms": "20"}


def test_four_refusals_because_of_a_rate_are_survived_where_nobody_said_how_often() -> None:
    with serve([*[refused(429, **SLOW_DOWN)] * 4, whole("Here.")]) as server:
        assert said(server.url) == "Here."
    assert len(server.requests) == 5


def test_who_says_how_often_a_request_is_sent_again_is_obeyed() -> None:
    with serve([refused(429, **SLOW_DOWN)]) as server, pytest.raises(openai.RateLimitError):
        said(server.url, max_retries=1)
    assert len(server.requests) == 2


def test_a_server_that_refuses_all_the_time_is_left_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("agentkit.net.retries.wait_unless_aborted", waits.append)
    with serve([refused(429)]) as server, pytest.raises(openai.RateLimitError):
        said(server.url)
    assert 5 < len(waits) < 20
    assert sum(waits) <= 60


@pytest.mark.parametrize(("status", "says", "requests"), [(400, "true", 2), (500, "false", 1), (409, "", 2)])
def test_a_server_says_whether_a_request_may_be_sent_again(status: int, says: str, requests: int) -> None:
    answers = [refused(status, **SLOW_DOWN, **({"x-should-retry": says} if says else {})), whole("Here.")]
    with serve(answers) as server:
        with contextlib.suppress(openai.APIStatusError):
            said(server.url)
    assert len(server.requests) == requests


def test_a_date_in_retry_after_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("agentkit.net.retries.wait_unless_aborted", waits.append)
    date = formatdate(time.time() + 30, usegmt=True)
    with serve(
        [refused(503, **{"retry-after": date, "date": formatdate(time.time(), usegmt=True)}), whole("x")]
    ) as server:
        said(server.url)
    assert 20 < waits[0] < 40


@pytest.mark.parametrize(("asked", "waits"), [("100", [100.0, 100.0]), ("121", []), ("7200", []), ("6m0s", [])])
def test_a_longer_wait_than_is_waited_for_is_not_cut_short(
    asked: str, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """openai-python#3555, MemOS#1620, copilot-cli#2760: what is sent again before is refused again."""
    waited: list[float] = []
    monkeypatch.setattr("agentkit.net.retries.wait_unless_aborted", waited.append)
    with serve([refused(429, **{"retry-after": asked})]) as server, pytest.raises(openai.RateLimitError):
        said(server.url)
    assert waited == waits
    assert len(server.requests) == 1 + len(waits)


@pytest.mark.parametrize(
    "words",
    [
        "You exceeded your current quota",
        "insufficient_quota",
        "余额不足",
        "The usage limit has been reached",
        "usage_limit_reached",
        "You have reached your monthly usage limit",
        "Weekly limit exhausted",
        "TERMINAL_QUOTA_EXHAUSTED",
    ],
)
def test_a_spent_quota_is_not_asked_for_again(words: str) -> None:
    """The openai package learns it from `x-should-retry`, which other servers do not send.
    NousResearch/hermes-agent#36276, NousResearch/hermes-agent#106427, code-yeongyu/senpi#1969"""
    with serve([Answer(json.dumps({"error": {"message": words}}).encode(), status=429)]) as server:
        with pytest.raises(openai.RateLimitError, match=words):
            said(server.url)
    assert len(server.requests) == 1


# Redirects


def test_a_request_is_sent_on_to_where_the_server_redirects_it() -> None:
    with serve([whole("Here.")]) as server:
        moved = refused(308, location=f"{server.url}/chat/completions")
        with serve([moved]) as gateway:
            assert said(gateway.url, api_key=KEY) == "Here."
    assert server.requests[0].body["messages"]
    assert "authorization" not in server.requests[0].headers  # another server


def test_connections_that_another_thread_uses_are_not_closed_for_those_of_another_redirect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take = Connections.take

    def taken(self: Connections, *arguments: Any, **options: Any) -> Any:
        if self._url.startswith(server.url):
            for number in range(MAX_ELSEWHERE):  # as other threads do meanwhile
                transport._to(f"http://127.0.0.1:{number + 1}/")
        return take(self, *arguments, **options)

    with serve([whole("Here.")]) as server, serve([refused(307, location=f"{server.url}/chat/completions")]) as gateway:
        transport = Transport(gateway.url, max_retries=0)
        monkeypatch.setattr(Connections, "take", taken)
        assert transport.post("/chat/completions", {})["choices"]
        assert len(transport._elsewhere) == MAX_ELSEWHERE
        transport.close()


def test_a_redirect_that_would_change_the_request_is_told() -> None:
    with serve([refused(302, location="http://elsewhere.example/login?next=secret")]) as server:
        transport = Transport(server.url, max_retries=0)
        with pytest.raises(openai.APIError, match=r"redirect to http://elsewhere\.example/login") as raised:
            transport.post("/chat/completions", {})
        transport.close()
    assert "secret" not in str(raised.value)


def test_an_agent_is_told_of_such_a_redirect_too() -> None:
    with serve([Answer(b"", 302, headers={"location": "http://elsewhere.example/login?next=secret"})]) as server:
        with pytest.raises(openai.APIError, match=r"a redirect to http://elsewhere\.example/login, which"):
            said(server.url, max_retries=0)


def test_redirects_in_a_circle_end() -> None:
    with serve(lambda asked: refused(307, location="/v1/chat/completions")) as server:
        transport = Transport(server.url, max_retries=0)
        with pytest.raises(openai.APIError):
            transport.post("/chat/completions", {})
        transport.close()
    assert len(server.requests) < 10


# Hostile servers


def _endless(head: bytes, piece: bytes) -> Callable[[socket.socket, int], None]:
    def send(made: socket.socket, number: int) -> None:
        read_request(made)
        made.sendall(head)
        for _ in range(200_000):  # more than is ever read
            made.sendall(piece)

    return send


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (OK, b"x-more: " + b"y" * 1000 + b"\r\n"),
        (OK + b"x-long: ", b"y" * 10_000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
        (OK + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"x-trailer: " + b"y" * 1000 + b"\r\n"),
        (OK + b"transfer-encoding: chunked\r\n\r\n", b"0" * 10_000),
        (OK + b"transfer-encoding: chunked\r\n\r\n-1\r\n", b"y" * 10_000),
    ],
    ids=["headers", "a header", "interim responses", "trailers", "the size of a chunk", "a chunk of size -1"],
)
def test_a_server_that_sends_without_end_is_left(head: bytes, piece: bytes) -> None:
    with serve_raw(_endless(head, piece)) as server:
        transport = Transport(f"http://127.0.0.1:{server.port}", max_retries=0)
        with pytest.raises(openai.APIConnectionError):
            transport.post("/chat/completions", {})
        transport.close()


# Hang-ups


def _hung_up(url: str, begins: Callable[[], object], **options: Any) -> None:
    """Hang up from another thread once something has begun; the asking thread has to end with Aborted."""
    request, outcome = AbortableRequest(), list[BaseException]()
    transport = Transport(url, timeout=(30.0, 30.0), **options)

    def ask() -> None:
        try:
            with request:
                transport.post("/chat/completions", {})
        except BaseException as error:  # noqa: BLE001 - looked at below
            outcome.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    begins()
    time.sleep(0.05)  # it may have begun a little earlier than it waits
    request.abort()
    thread.join(10)
    transport.close()
    assert not thread.is_alive()
    assert [type(error) for error in outcome] == [Aborted]


def test_a_hang_up_before_the_request_sends_nothing() -> None:
    with serve([whole("Here.")]) as server:
        transport, request = Transport(server.url), AbortableRequest()
        request.abort()
        with pytest.raises(Aborted), request:
            transport.post("/chat/completions", {})
        transport.close()
    assert not server.requests


def test_a_hang_up_ends_the_look_up_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    _resolves(monkeypatch, "model.test", ["127.0.0.1"], waits_for=released)
    try:
        _hung_up("http://model.test:9/v1", lambda: None)
    finally:
        released.set()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
def test_a_hang_up_ends_connecting(full: int) -> None:
    _hung_up(f"http://127.0.0.1:{full}/v1", lambda: None)


def test_a_hang_up_ends_a_tls_handshake() -> None:
    greeted, silent = threading.Event(), threading.Event()

    def hear(made: socket.socket, number: int) -> None:
        made.recv(65536)
        greeted.set()
        silent.wait(60)

    with serve_raw(hear) as server:
        _hung_up(f"https://127.0.0.1:{server.port}/v1", lambda: greeted.wait(30))
        silent.set()


@pytest.mark.parametrize("begun", [b"", OK, OK + b"content-length: 100\r\n\r\n", OK + b"connection: close\r\n\r\n{"])
def test_a_hang_up_ends_the_wait_for_a_response(begun: bytes) -> None:
    asked, silent = threading.Event(), threading.Event()

    def begin(made: socket.socket, number: int) -> None:
        read_request(made)
        made.sendall(begun)
        asked.set()
        silent.wait(60)

    with serve_raw(begin) as server:
        _hung_up(f"http://127.0.0.1:{server.port}/v1", lambda: asked.wait(30))
        silent.set()


def test_a_hang_up_ends_the_wait_before_a_retry() -> None:
    with serve([refused(503, **{"retry-after": "50"})]) as server:
        deadline = time.monotonic() + 30

        def begins() -> None:
            while not server.requests and time.monotonic() < deadline:
                time.sleep(0.01)

        _hung_up(server.url, begins)


# A client of the openai package


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("is_answered_by_a_stream", [False, True])
def test_requests_go_through_the_client_that_is_given(stream: bool, is_answered_by_a_stream: bool) -> None:
    answer = streamed(delta(content="Here."), delta("stop")) if is_answered_by_a_stream else whole("Here.")
    with serve([answer]) as server:
        with openai.OpenAI(api_key=KEY, base_url=server.url, default_headers={"x-team": "tides"}) as client:
            backend = OpenAIBackend("m", client=client)
            agent = Agent(backend)
            for _ in range(2):
                output = list(agent.stream("Hello"))[-1].result.output if stream else agent.run("Hello").output  # type: ignore[attr-defined]
                assert output == "Here."
            backend.close()
            assert not client.is_closed()
    assert {asked.headers["x-team"] for asked in server.requests} == {"tides"}
    assert server.connections == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_for_azure_sends_to_its_deployment(stream: bool) -> None:
    paths: list[bytes] = []

    def answer(made: socket.socket, number: int) -> None:
        while asked := read_request(made):
            paths.append(asked.split(b" ")[1])
            body = streamed(delta(content="Here."), delta("stop")).body if stream else REPLY
            made.sendall(response(body, kind="text/event-stream" if stream else "application/json"))

    with serve_raw(answer) as server:
        url = f"http://127.0.0.1:{server.port}"
        with openai.AzureOpenAI(api_key=KEY, azure_endpoint=url, api_version="2026-01-01") as client:
            agent = Agent(OpenAIBackend("my-model", client=client))
            output = list(agent.stream("Hello"))[-1].result.output if stream else agent.run("Hello").output  # type: ignore[attr-defined]
            assert output == "Here."
    assert paths == [b"/openai/deployments/my-model/chat/completions?api-version=2026-01-01"]


def test_errors_of_such_a_client_are_its_own_and_have_no_key() -> None:
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}).encode()
    with serve([Answer(body, status=401)]) as server, openai.OpenAI(api_key=KEY, base_url=server.url) as client:
        with pytest.raises(openai.AuthenticationError) as raised:
            Agent(OpenAIBackend("m", client=client)).run("Hello")
    assert KEY not in f"{raised.value} {raised.value.body} {raised.value.response.text}"
    assert "(key)" in raised.value.response.text


def test_a_client_that_can_not_be_used_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="synchronous"):
        OpenAIBackend("m", client=openai.AsyncOpenAI(api_key="x"))  # type: ignore[arg-type]
    with openai.OpenAI(api_key="x") as client, pytest.raises(ConfigurationError, match="leave out"):
        OpenAIBackend("m", client=client, base_url="http://127.0.0.1:9/v1")


# More of servers


@pytest.mark.parametrize("status", [100, 102, 103])
def test_an_interim_response_is_not_taken_for_the_answer(status: int) -> None:
    def answer(made: socket.socket, number: int) -> None:
        while asked := read_request(made):
            made.sendall(f"HTTP/1.1 {status} Wait\r\nlink: </a>\r\n\r\n".encode())
            made.sendall(response(b'{"to": ' + asked.rpartition(b"\r\n\r\n")[2] + b"}"))

    with serve_raw(answer) as server:
        transport = Transport(f"http://127.0.0.1:{server.port}", max_retries=0)
        for number in range(3):
            assert transport.post("/x", {"n": number}) == {"to": {"n": number}}
        transport.close()
    assert server.count == 1


@pytest.mark.parametrize("length", ["{0}, {0}", "{0},{0} ,{0}"])
def test_a_length_that_a_proxy_has_doubled_is_that_length(length: str) -> None:
    """python-hyper/h11#92, RFC 9110 section 8.6: the connection stays open, and can be used again."""

    def answer(made: socket.socket, number: int) -> None:
        while read_request(made):
            made.sendall(response(REPLY).replace(b"%d" % len(REPLY), length.format(len(REPLY)).encode(), 1))

    with serve_raw(answer) as server:
        transport = Transport(f"http://127.0.0.1:{server.port}", max_retries=0, timeout=5.0)
        for _ in range(2):
            assert transport.post("/x", {})["choices"]
        transport.close()
    assert server.count == 1


@pytest.mark.parametrize("length", ["5, 6", "x", "+5, +5", "-1, -1", ""])
def test_a_length_that_is_none_ends_with_the_connection(length: str) -> None:
    def answer(made: socket.socket, number: int) -> None:
        if read_request(made):
            made.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n".encode() + REPLY)

    with serve_raw(answer) as server:
        transport = Transport(f"http://127.0.0.1:{server.port}", max_retries=0, timeout=5.0)
        assert transport.post("/x", {})["choices"]
        transport.close()


def test_another_protocol_is_a_failure() -> None:
    with serve_raw(
        lambda made, _: made.sendall(OK.replace(b"200", b"101") + b"\r\n") if read_request(made) else None
    ) as server:
        transport = Transport(f"http://127.0.0.1:{server.port}", max_retries=0)
        with pytest.raises(openai.APIConnectionError, match="another protocol"):
            transport.post("/x", {})
        transport.close()


def test_the_limit_of_the_whole_ends_a_stream_over_tls_as_a_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = streamed(*[delta(content="word ")] * 200, piece=60, pause=0.02)
    with serve([slow]) as server, serve_tls(tmp_path, server.http.server_port) as (port, authority):
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        with pytest.raises(openai.APITimeoutError):
            said(f"https://127.0.0.1:{port}/v1", True, timeout=(5.0, 5.0, 0.4), max_retries=0)


def test_a_server_that_asks_to_wait_no_time_is_not_asked_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("agentkit.net.retries.wait_unless_aborted", waits.append)
    with serve([refused(429, **{"retry-after": "0"})]) as server, pytest.raises(openai.RateLimitError):
        said(server.url)
    assert len(server.requests) < 20


def test_a_request_never_has_two_lengths() -> None:
    heads: list[bytes] = []

    def handle(connection: socket.socket, number: int) -> None:
        heads.append(connection.recv(1 << 16).lower())
        connection.sendall(response(b"{}"))

    given: list[dict[str, str]] = [{}, {"Transfer-Encoding": "chunked"}, {"Content-Length": "7"}]
    with serve_raw(handle) as server:
        for own in given:
            transport = Transport(f"http://127.0.0.1:{server.port}/v1", headers=own)
            transport.post("/x", {"a": 1})
            transport.close()
    assert [head.count(b"content-length:") + head.count(b"transfer-encoding:") for head in heads] == [1, 1, 1]


def test_a_header_that_is_not_ascii_does_not_hide_an_error() -> None:
    with serve_raw(
        lambda made, _: (
            made.sendall(response(b'{"error": "no"}', "x-word: caf\u00e9", status="400 No"))
            if read_request(made)
            else None
        )
    ) as server:
        transport = Transport(f"http://127.0.0.1:{server.port}", max_retries=0)
        with pytest.raises(openai.BadRequestError):
            transport.post("/x", {})
        transport.close()


def test_connections_that_nobody_needs_any_more_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.net.connections.KEPT_SECONDS", 0.2)
    ready = threading.Barrier(6)

    def answer(asked: Asked) -> Answer:
        if asked.body.get("together"):
            ready.wait(30)
        return whole("Here.")

    with serve(answer) as server:
        transport = Transport(server.url)
        threads = [
            threading.Thread(target=transport.post, args=("/chat/completions", {"together": 1})) for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(0.3)
        transport.post("/chat/completions", {})
        assert len(transport._connections._idle) == 1
        transport.close()


def test_another_server_gets_none_of_the_headers_of_this_one() -> None:
    with serve([whole("Here.")]) as server:
        moved = refused(307, location=f"{server.url}/chat/completions")
        with serve([moved]) as gateway:
            transport = Transport(gateway.url, api_key=KEY, headers={"X-Api-Key": KEY, "OpenAI-Organization": "org"})
            transport.post("/chat/completions", {})
            transport.close()
    assert not {"x-api-key", "openai-organization", "authorization"} & server.requests[0].headers.keys()


@pytest.mark.parametrize("location", ["http://[bad/x", "mailto:me@example.org", "http://a b/"])
def test_a_redirect_to_nowhere_is_told(location: str) -> None:
    with serve([Answer(b"", 307, headers={"location": location})]) as server:
        transport = Transport(server.url, max_retries=0)
        with pytest.raises(openai.APIError, match="redirect"):
            transport.post("/x", {})
        transport.close()


@pytest.mark.parametrize("url", ["http://exa mple/v1", "http://[zz]/v1", "http:///v1", "ftp://host/v1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        Transport(url)


def test_a_host_name_that_can_not_be_one_is_not_found() -> None:
    transport = Transport(f"http://{'a' * 64}.example/v1", max_retries=0)
    with pytest.raises(openai.APIConnectionError):
        transport.post("/x", {})
    transport.close()


def test_a_slow_upload_that_goes_on_is_not_a_silent_server(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = (socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)  # else the system takes most of it at once
    monkeypatch.setattr("agentkit.net.connections._OPTIONS", [buffer])

    def take_slowly(made: socket.socket, number: int) -> None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        read = 0
        for step in range(1, 13):
            while read < step * 500_000:
                read += len(made.recv(1 << 16))
            time.sleep(0.25)
        made.sendall(response(b"{}"))

    with serve_raw(take_slowly) as server:
        transport = Transport(f"http://127.0.0.1:{server.port}", timeout=(5.0, 1.5), max_retries=0)
        assert transport.post("/x", {"text": "x" * 6_000_000}) == {}
        transport.close()


def test_a_timeout_of_none_is_no_limit() -> None:
    with serve([whole("Here.")]) as server:
        assert said(server.url, timeout=None) == "Here."


def test_a_key_that_a_body_without_json_repeats_is_not_shown() -> None:
    with serve([Answer(f"<p>{KEY}</p>".encode(), headers={"x-echo": KEY})]) as server:
        transport = Transport(server.url, api_key=KEY, max_retries=0)
        with pytest.raises(openai.APIError) as raised:
            transport.post("/x", {})
        transport.close()
    assert KEY not in f"{raised.value} {raised.value.response.headers}"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "repeated",
    [
        Answer(json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}."}}).encode(), status=401),
        Answer(f"<html><body>{'x ' * 140}{KEY}</body></html>".encode(), 401, "text/html"),
        Answer(json.dumps({"error": {"message": "y" * 970 + KEY}}).encode(), status=401),
        Answer(json.dumps({"error": {"message": json.dumps(KEY)[:-1].replace("-", "\\u002d")}}).encode(), status=401),
        Answer(f"<p>{'z' * 272}{KEY}".encode(), content_type="text/html"),
        Answer(f"<p>{'z' * 185}{KEY}".encode(), content_type="text/html"),
        Answer(f"{'z' * 285}{KEY}".encode(), content_type="text/event-stream"),
    ],
)
@pytest.mark.parametrize("with_client", [False, True])
def test_an_error_has_no_part_of_the_key_wherever_a_text_is_cut(repeated: Answer, with_client: bool) -> None:
    with serve([repeated]) as server, openai.OpenAI(api_key=KEY, base_url=server.url, max_retries=0) as client:
        options: Any = {"client": client} if with_client else {"base_url": server.url, "api_key": KEY, "max_retries": 0}
        with pytest.raises(openai.APIError) as raised:
            Agent(OpenAIBackend("m", **options)).run("Hello")
    response = getattr(raised.value, "response", None)
    shown = f"{raised.value} {raised.value.body} {response.text if response is not None else ''}"
    assert KEY[:8] not in shown
    assert KEY[:8].replace("-", "\\u002d") not in shown


# What is read of a usual URL without urllib3 is what urllib3 reads


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_usual_url_is_read_as_urllib3_reads_it(scheme: str) -> None:
    made = random.Random(33)
    parts = [
        "a",
        "b.c",
        "-",
        "_",
        "127.0.0.1",
        "[::1]",
        ":80",
        ":8080",
        ":0",
        ":65535",
        ":65536",
        "/",
        "//",
        "/v1",
        "/..",
    ]
    parts += ["/.", "?", "?a=b&c", "#f", "%41", "é", "@", "u:p@", "A", "~", " ", "/a.b/c", "xn--a", "1.2.3", "/v1/chat"]
    for _ in range(3000):
        url = f"{scheme}://" + "".join(made.choice(parts) for _ in range(made.randint(1, 5)))
        try:
            read = urllib3.util.parse_url(url)
        except ValueError:
            with pytest.raises(ValueError, match=r"."):
                parsed_url(url)
            continue
        origin = read._replace(auth=None, path=None, query=None, fragment=None).url
        assert parsed_url(url) == (read.scheme, read.host or "", read.port, origin, read.request_uri), url
