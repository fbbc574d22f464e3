"""Calls: what the model reads of responses, that what has an effect is sent once, and how a call ends."""

import copy
import json
import pickle
import socket
import struct
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.auth import HTTPBasicAuth

from agentkit import Agent, Context, Limits
from agentkit.openapi import openapi
from agentkit.testing import ScriptedBackend, recorded
from tests.openapi.specs import answer, description, of_get, of_post, parameter, tool_of, tools_of
from tests.support.api_server import ApiServer, Received, Reply, serve_api
from tests.support.raw_server import read_request, serve_raw

METHODS = {name: {name: {"operationId": name}} for name in ("get", "put", "post", "delete", "patch", "head", "options")}
ALL = description({f"/{name}": item for name, item in METHODS.items()})


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\x00\x00")) + chunk(b"IEND", b"")


def test_get_and_head_change_nothing_and_all_else_may() -> None:
    tools = tools_of(ALL)
    assert {name for name, each in tools.items() if each.options.read_only} == {"get", "head"}


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(body=b'{"a": [1, 2.50, "\\u00e9"], "b": null}'), '{"a":[1,2.50,"é"],"b":null}'),
        (
            Reply(body=b'{"n": 12345678901234567.89,\r\n "k\\"": "a \\\\ b"}'),
            '{"n":12345678901234567.89,"k\\"":"a \\\\ b"}',
        ),
        (Reply(body=b"[ ]", content_type="application/hal+json; charset=utf-8"), "[]"),
        (Reply(body=b"{broken", content_type="application/json"), "{broken"),
        (Reply(body=b"h\xe9", content_type="text/plain; charset=latin-1"), "hé"),
        (Reply(body=b"a: 1", content_type="application/yaml"), "a: 1"),
        (Reply(204, b""), "done (204 No Content)"),
        (Reply(201, b"", headers={"location": "/things/7?token=abc"}), "done (201 Created, see /things/7)"),
        (
            Reply(body=b"\x00\x01\x02" * 500, content_type="application/zip"),
            "done (200 OK): 1,500 bytes of application/zip, which can't be shown.",
        ),
        (Reply(body=b"[" * 20_000), "[" * 20_000),
    ],
    ids=["json", "numbers", "hal", "broken", "latin-1", "yaml", "204", "201", "binary", "deep"],
)
def test_the_model_reads_what_the_server_answers(api: ApiServer, reply: Reply, said: str) -> None:
    api.always(reply)
    assert answer(tool_of(of_post({"type": "string"}), api.url), '{"body": "x"}') == said


PASSWORD = 'p"w\\d-secret-12345'


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=json.dumps({"seen": PASSWORD}).encode()),
        Reply(body=json.dumps({"seen": json.dumps({"password": PASSWORD})}).encode()),
        Reply(500, f"<html>{'x ' * 145}{PASSWORD}</html>".encode(), "text/html"),
        Reply(500, f"{'x' * 1990}{PASSWORD}".encode(), "text/plain"),
        Reply(500, ("\u2026" * 2660 + PASSWORD).encode(), "text/plain"),
    ],
    ids=["escaped", "escaped twice", "a page that is cut", "a text that is cut", "bytes that are cut"],
)
def test_nothing_of_a_password_that_the_server_repeats_is_read_by_the_model(api: ApiServer, reply: Reply) -> None:
    api.always(reply)
    said = answer(tools_of(ALL, api.url, auth=("ann", PASSWORD))["get"])
    assert "secret" not in said
    assert PASSWORD[:4] not in said


def test_the_headers_are_what_head_is_for(api: ApiServer) -> None:
    api.always(Reply(body=b"12345", content_type="text/csv", headers={"etag": "x", "set-cookie": "secret"}))
    assert answer(tools_of(ALL, api.url)["head"]) == "200 OK\ncontent-type: text/csv\ncontent-length: 5\netag: x"


def test_an_image_is_shown_to_the_model(api: ApiServer) -> None:
    api.always(Reply(body=png(), content_type="image/png"))
    outcome = tools_of(ALL, api.url)["get"].answer("{}", Context())
    assert (outcome.images[0].media_type, outcome.text) == ("image/png", "[image: the image is in the next message]")


def test_a_response_without_end_is_cut(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.openapi.calls.MAX_BYTES", 100_000)
    api.always(Reply(body=b"x" * 10_000, content_type="text/plain", endless=True))
    tool = tools_of(ALL, api.url)["get"]
    outcome = tool.answer("{}", Context())
    assert outcome.whole.endswith("(cut: it has more than 100,000 bytes)")
    api.always(Reply(body=b"\x00" * 10_000, content_type="audio/mpeg", endless=True))
    assert "more than 100,000 bytes of audio/mpeg" in answer(tool)


def test_a_chunk_of_negative_length_is_not_read_for_ever() -> None:
    with serve_api() as api:
        tool = tools_of(ALL, api.url)["get"]
        api.always(Reply(headers={"transfer-encoding": "chunked"}, body=b"-1\r\n" + b"x" * 1_000_000))
        assert "did not answer as an HTTP server does" in answer(tool)


@pytest.mark.parametrize(
    "sent", ["", "content-type: text/plain\r\ncontent-len", "transfer-encoding: chunked\r\n\r\n00"]
)
def test_a_response_whose_connection_ends_before_its_body_is_no_success(sent: str) -> None:
    begun = f"HTTP/1.1 200 OK\r\n{sent}".encode()
    with serve_raw(lambda made, _: made.sendall(begun) if read_request(made) else None) as api:
        assert "did not answer as an HTTP server does" in answer(tools_of(ALL, f"http://127.0.0.1:{api.port}")["get"])


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(404, b'{"detail": "no such pet"}'), '404 Not Found: {"detail": "no such pet"}'),
        (Reply(500, b"<html><body><h1>Oops</h1></body></html>", "text/html"), "500 Internal Server Error: Oops"),
        (Reply(429, b"", headers={"retry-after": "7"}), "429 Too Many Requests It can be called again in 7 seconds."),
        (Reply(418, b"\x00\x01", "application/zip"), "418 I'm a Teapot: (2 bytes of application/zip)"),
        (Reply(599, b""), "599"),
    ],
    ids=["json", "html", "429", "binary", "unknown"],
)
def test_an_error_is_told_with_its_status_and_the_beginning_of_its_body(
    api: ApiServer, reply: Reply, said: str
) -> None:
    api.always(reply)
    outcome = tools_of(ALL, api.url)["post"].answer("{}", Context())
    assert outcome.failed
    assert outcome.text.replace(". It", " It") == f"Error: POST /post answered {said}"
    assert len(api.received) == 1


def test_a_long_error_is_cut(api: ApiServer) -> None:
    api.always(Reply(400, b"x" * 1_000_000, "text/plain"))
    assert len(answer(tools_of(ALL, api.url)["get"])) < 2_200


# Sent once


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_call_with_an_effect_is_not_sent_to_where_it_is_redirected(api: ApiServer, status: int) -> None:
    api.always(Reply(status, b"", headers={"location": "/other?key=1"}))
    said = answer(tool_of(of_post({"type": "string"}), api.url), '{"body": "x"}')
    assert "It leads to /other, where the call was not sent." in said
    assert "key" not in said
    assert len(api.received) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_read_follows_redirects_on_the_same_host(api: ApiServer, status: int) -> None:
    def answers(received: Received) -> Reply:
        return Reply(body=b'"there"') if received.path == "/x/new" else Reply(status, b"", headers={"location": "new"})

    api.answers = answers
    assert answer(tools_of(of_get([], "/x/old"), api.url, auth="a-long-token")["call"]) == '"there"'
    assert [each.headers["authorization"] for each in api.received] == ["Bearer a-long-token"] * 2


@pytest.mark.parametrize("method", ["get", "post"])
def test_no_redirect_leads_to_another_host_nor_the_key(api: ApiServer, method: str) -> None:
    with serve_api() as other:
        api.always(Reply(307, b"", headers={"location": f"{other.url}/steal"}))
        said = answer(tools_of(ALL, api.url, auth="a-long-token")[method])
        assert f"It leads to {other.url}/steal, where the call was not sent." in said
        assert other.received == []


def test_redirects_in_a_circle_end(api: ApiServer) -> None:
    api.always(Reply(302, b"", headers={"location": "/get"}))
    assert "302 Found" in answer(tools_of(ALL, api.url)["get"])
    assert len(api.received) == 5


@pytest.mark.parametrize("reply", [Reply(drop=True), Reply(cut=True), Reply(500), Reply(503), Reply(401)])
def test_nothing_is_sent_again(api: ApiServer, reply: Reply) -> None:
    api.always(reply)
    for name, tool in tools_of(ALL, api.url).items():
        before = len(api.received)
        outcome = tool.answer("{}", Context())
        assert outcome.failed or (name == "head" and reply.cut)
        assert len(api.received) == before + 1
        if reply.drop:
            assert ("whether it had an effect is not known" in outcome.text) == (name not in ("get", "head"))


def test_a_server_that_closes_its_connections_disturbs_no_later_call(api: ApiServer) -> None:
    api.always(Reply(headers={"connection": "keep-alive"}))
    tool = tools_of(ALL, api.url)["post"]
    assert answer(tool) == "{}"
    api.always(Reply(cut=True))
    assert "did not answer" in answer(tool)
    api.always(Reply())
    assert answer(tool) == "{}"
    assert len(api.received) == 3


def test_a_server_that_is_not_there_was_not_sent_anything() -> None:
    said = answer(tools_of(ALL, "http://127.0.0.1:9")["post"])
    assert "POST /post was called, and it can't be reached (is the server running?)" in said
    assert "not known" not in said


# The end of a call


def test_a_server_that_hangs_is_left_after_the_timeout(api: ApiServer) -> None:
    api.always(Reply(body=None))
    tools = tools_of(ALL, api.url, timeout=0.3)
    assert answer(tools["get"]) == "Error: get did not finish within 0.3 seconds."
    assert api.left.wait(30)
    said = answer(tools["post"])
    assert said == "Error: post did not finish within 0.3 seconds. Whether it had an effect is not known."


def test_a_run_that_is_cancelled_leaves_the_server_at_once(api: ApiServer) -> None:
    api.always(Reply(body=None))
    cancel = threading.Event()

    def stop() -> None:
        api.has_request.wait(30)
        cancel.set()

    threading.Thread(target=stop, daemon=True).start()
    said = answer(tools_of(ALL, api.url)["post"], context=Context(cancel=cancel))
    assert "the run was cancelled" in said
    assert api.left.wait(30)


def test_a_response_that_ends_with_its_connection_is_left_too(api: ApiServer) -> None:
    api.always(Reply(body=b'{"a": ', closing=True))
    assert "within 0.3 seconds" in answer(tools_of(ALL, api.url, timeout=0.3)["get"])
    assert api.left.wait(30)


def test_a_run_that_has_a_time_limit_ends_though_the_server_does_not_answer(api: ApiServer) -> None:
    api.always(Reply(body=None))
    backend = ScriptedBackend(("post", {}), "It hangs.")
    result = Agent(backend, tools=openapi(ALL, api.url, "post"), limits=Limits(seconds=1.0)).run("Call it.")
    assert result.stopped == "seconds"
    assert api.left.wait(30)


def test_a_body_that_trickles_is_left_after_the_timeout(api: ApiServer) -> None:
    api.always(Reply(body=b"a", content_type="text/plain", endless=True))
    started = time.monotonic()
    assert "within 0.5 seconds" in answer(tools_of(ALL, api.url, timeout=0.5)["get"])
    assert time.monotonic() - started < 30
    assert api.left.wait(30)


def test_a_call_that_is_cancelled_before_it_is_sent_is_never_sent(api: ApiServer) -> None:
    cancel, has_ended = threading.Event(), threading.Event()
    signed = threading.Event()

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        cancel.set()
        has_ended.wait(30)
        signed.set()
        return request

    said = answer(tools_of(ALL, api.url, auth=sign)["post"], context=Context(cancel=cancel))
    assert "the run was cancelled" in said
    has_ended.set()
    assert signed.wait(30)
    assert answer(tools_of(ALL, api.url)["get"]) == "{}"
    assert [each.method for each in api.received] == ["GET"]


def test_an_address_that_takes_long_to_look_up_is_not_called_once_nobody_waits(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up, has_ended, look_up = threading.Event(), threading.Event(), socket.getaddrinfo

    def slow(*args: Any, **options: Any) -> Any:
        has_ended.wait(30)
        try:
            return look_up(*args, **options)
        finally:
            looked_up.set()

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    assert "within 0.2 seconds" in answer(tools_of(ALL, api.url, timeout=0.2)["post"])
    has_ended.set()
    assert looked_up.wait(30)
    monkeypatch.undo()
    assert answer(tools_of(ALL, api.url)["get"]) == "{}"
    assert [each.method for each in api.received] == ["GET"]


def test_calls_can_be_recorded_and_replayed_without_the_key(tmp_path: Path) -> None:
    key = {"k": {"type": "apiKey", "in": "query", "name": "api_key"}}
    spec = ALL | {"components": {"securitySchemes": key}}
    with serve_api() as api:
        api.always(Reply(body=b'"recorded"'))
        with recorded(tmp_path / "api.yaml", mode="once"):
            assert answer(tools_of(spec, api.url, auth={"k": "a-long-secret"})["post"]) == '"recorded"'
        assert api.last.query == "api_key=a-long-secret"
    assert "a-long-secret" not in (tmp_path / "api.yaml").read_text(encoding="utf-8")
    with recorded(tmp_path / "api.yaml", mode="none"):
        assert answer(tools_of(spec, api.url, auth={"k": "another-long-secret"})["post"]) == '"recorded"'


# Sharing


def test_one_list_of_tools_serves_many_threads(api: ApiServer) -> None:
    api.answers = lambda received: Reply(body=json.dumps(received.target).encode())
    tool = tool_of(of_get([parameter("q")]), api.url)
    said: dict[int, str] = {}

    def work(number: int) -> None:
        said[number] = answer(tool, json.dumps({"q": str(number)}))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert said == {number: f'"/things?q={number}"' for number in range(24)}


def test_an_agent_with_the_tools_can_be_pickled_and_copied(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent(ScriptedBackend(("post", {"body": "x"}), "Done."), tools=openapi(ALL, api.url, auth="a-long-token"))
    assert copy.deepcopy(agent).tools[0].name == agent.tools[0].name
    with pytest.raises(pickle.PicklingError, match=r"tool get: its auth can't be pickled \(it has a key: put the key"):
        pickle.dumps(agent)
    monkeypatch.setenv("API_TOKEN", "a-long-token")
    assert b"a-long-token" not in pickle.dumps(agent)
    for made in (pickle.loads(pickle.dumps(agent)), copy.deepcopy(agent)):
        assert made.run("Call it.").output == "Done."
    assert [each.headers["authorization"] for each in api.received] == ["Bearer a-long-token"] * 2


@pytest.mark.parametrize("auth", [("me", "open-sesame"), HTTPBasicAuth("me", "open-sesame")])
def test_a_password_is_not_pickled(auth: Any) -> None:
    with pytest.raises(pickle.PicklingError, match=r"tool get: its auth can't be pickled \(it has a key") as caught:
        pickle.dumps(tools_of(ALL, auth=auth)["get"])
    assert "sesame" not in str(caught.value)


def test_what_signs_requests_and_can_not_be_pickled_is_named() -> None:
    tool = tools_of(ALL, auth=lambda request: request)["get"]
    with pytest.raises(pickle.PicklingError, match="tool get: its auth can't be pickled"):
        pickle.dumps(tool)
    assert copy.deepcopy(tool).name == "get"


def test_a_tool_can_be_called_by_a_program(api: ApiServer) -> None:
    api.always(Reply(body=b"[1]"))
    assert tool_of(of_get([parameter("ctx"), parameter("context")]), api.url)(ctx="a", context="b") == "[1]"
    assert api.last.query == "ctx=a&context=b"


def test_an_argument_may_have_any_name(api: ApiServer) -> None:
    names = ["self", "agentkit_context", "agentkit_context_", "_id", "name", "function"]
    tool = tool_of(of_get([parameter(each) for each in names]), api.url)
    assert answer(tool, json.dumps(dict.fromkeys(names, "x"))) == "{}"
    assert [name for name, _ in api.last.pairs] == names


def test_what_is_asked_for_is_in_the_headers(api: ApiServer) -> None:
    responses: dict[str, Any] = {"200": {"content": {"text/csv": {}}}}
    answer(tool_of(of_get([], responses=responses), api.url))
    assert api.last.headers["accept"] == "text/csv, */*;q=0.5"
    assert api.last.headers["user-agent"].startswith("agentkit/")
    answer(tools_of(ALL, api.url)["get"])
    assert api.last.headers["accept"] == "application/json, */*;q=0.5"


def test_an_agent_calls_an_api(api: ApiServer) -> None:
    api.always(Reply(body=b'{"name": "Rex"}'))
    tools = openapi(of_get([parameter("id", "path")], "/pets/{id}"), api.url)
    backend = ScriptedBackend(("call", {"id": "7"}), "It is Rex.")
    assert Agent(backend, tools=tools).run("Who is 7?").output == "It is Rex."
    assert '{"name":"Rex"}' in str(backend.requests[1].messages[-1]["content"])


def test_a_redirect_to_a_strange_address_is_told(api: ApiServer) -> None:
    for location in ("http://[", "//evil:1@x", "\x01", "javascript:1", "http://u:p@127.0.0.1/"):
        api.always(Reply(302, b"", headers={"location": location}))
        assert "302 Found" in answer(tools_of(ALL, api.url)["get"])


def test_a_signing_that_fails_is_told_by_the_type_of_its_error(api: ApiServer) -> None:
    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        raise RuntimeError("no token")

    said = answer(tools_of(ALL, api.url, auth=sign)["post"])
    assert said == "Error: POST /post was called, and the request could not be made (is auth= right?): RuntimeError."
    assert api.received == []
