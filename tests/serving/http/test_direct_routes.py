"""The routes that the service calls itself answer as FastAPI does, and are seen as others are."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.testclient import TestClient
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentkit.serving.http.app import ROUTERS, create_app
from agentkit.serving.http.direct import OBSERVED, DirectRequest, direct_routes
from tests.support import http_service
from tests.support.http_service import reply, serve_http, settings_for
from tests.support.model_server import Answer, Asked, delta, serve, streamed, whole

SLOW_SECONDS = 1.5
CHAT, COMPLETIONS, SESSION = "/api/llm/chat", "/v1/chat/completions", "/api/llm/chat/session"
HELLO = {"messages": [{"role": "user", "content": "hello"}]}
JSON = {"Content-Type": "application/json"}


class Both:
    """An application whose requests with the header `through: fastapi` are left to FastAPI."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (b"through", b"fastapi") in scope.get("headers", ()):
            scope[OBSERVED] = None  # FastAPI has found that it makes no span
        await self._app(scope, receive, send)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with serve(reply) as server:
        app = create_app(settings_for(tmp_path_factory.mktemp("service"), server.url))
        with TestClient(Both(app), base_url="http://localhost", raise_server_exceptions=False) as made:
            yield made


def test_the_routes_that_answer_messages_are_among_them() -> None:
    paths = {CHAT, f"{CHAT}/stream", SESSION, f"{SESSION}/stream", COMPLETIONS, "/v1/responses", "/v1/completions"}
    assert paths <= direct_routes(ROUTERS).keys()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"7",
        b"{}",
        b"{",
        b"{} {}",
        b"\xff\xfe",
        '{"messages": "ü"}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"[" * 200_000,
        b"1" * 5000,
        b'{"messages": NaN}',
        b'{"messages": [], "stream": "maybe", "temperature": 1e999}',
        b'{"messages": [{"role": "user"}], "n": 0, "session_id": 7}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}], "session_id": "\\ud800", "message": "x"}',
        json.dumps(HELLO).encode(),
        json.dumps({**HELLO, "model": "no such model"}).encode(),
        json.dumps({**HELLO, "tools": 7}).encode(),
    ],
    ids=lambda body: ascii(body[:30]),
)
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, SESSION, f"{CHAT}/stream"])
def test_a_body_is_answered_as_fastapi_answers_it(client: TestClient, path: str, body: bytes) -> None:
    direct = client.post(path, content=body, headers=JSON)
    through = client.post(path, content=body, headers={**JSON, "through": "fastapi"})
    assert direct.status_code == through.status_code
    assert direct.headers.keys() == through.headers.keys()
    assert direct.headers["content-type"] == through.headers["content-type"]
    assert stable(direct.text) == stable(through.text)


def stable(text: str) -> Any:
    """The JSON of an answer without what each answer has of its own."""
    if text.startswith("data: "):  # its text may come in more or fewer pieces
        frames = [stable(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
        pieces = [each.pop("content", "") for each in frames]
        return "".join(pieces), [each for each in frames if each]
    answer = json.loads(text)
    usage = answer.get("usage") or {}
    for each in ("id", "created"):
        answer.pop(each, None)
    usage.pop("seconds", None)
    return answer


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS"])
def test_another_method_is_answered_as_fastapi_answers_it(client: TestClient, method: str) -> None:
    direct, others = (client.request(method, COMPLETIONS, headers={"through": each}) for each in ("", "fastapi"))
    assert (direct.status_code, direct.json()) == (others.status_code, others.json())
    assert direct.status_code == 405
    assert "use POST" in direct.json()["error"]["message"]


def test_a_programs_own_handlers_of_errors_hold_for_them(tmp_path: Path) -> None:
    with serve(reply) as server:
        app = create_app(settings_for(tmp_path, server.url))

        @app.exception_handler(RequestValidationError)
        async def handle(request: Request, error: Exception) -> JSONResponse:
            return JSONResponse({"mine": True}, 418)

        with TestClient(app, base_url="http://localhost") as made:
            assert made.post(CHAT, json={}).status_code == 418
            assert made.post(CHAT, json=HELLO).status_code == 200


def test_its_requests_are_counted_by_their_routes(client: TestClient) -> None:
    client.post(COMPLETIONS, content=b"{}", headers=JSON)
    client.post(COMPLETIONS, json=HELLO)
    counted = client.get("/metrics").text
    for status in (200, 400):
        series = f'agentkit_http_requests_total{{method="POST",route="{COMPLETIONS}",status="{status}"}}'
        assert series in counted


def test_fastapis_span_of_a_request_has_its_route(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    assert client.post(COMPLETIONS, json=HELLO).status_code == 200
    [span] = [each for each in spans.get_finished_spans() if each.kind is trace.SpanKind.SERVER]
    assert span.name == f"POST {COMPLETIONS}"


def test_a_service_below_another_ones_path_answers_too(tmp_path: Path) -> None:
    with serve(reply) as server:
        app = create_app(settings_for(tmp_path, server.url))

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with app.router.lifespan_context(app):
                yield

        outer = Starlette(routes=[Mount("/agent", app=app)], lifespan=lifespan)
        with TestClient(outer, base_url="http://localhost") as client:
            answered = client.post(f"/agent{COMPLETIONS}", json=HELLO)
            assert answered.status_code == 200, answered.text
            assert answered.json()["choices"][0]["message"]["content"]


def test_fastapi_and_starlette_are_not_passed_by_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*arguments: object) -> None:
        raise RuntimeError("passed")

    with serve(reply) as server:
        app = create_app(settings_for(tmp_path, server.url))
        with TestClient(app, base_url="http://localhost") as made:
            monkeypatch.setattr(ServerErrorMiddleware, "__call__", refuse)
            assert made.post(CHAT, json=HELLO).status_code == 200
            assert made.post(COMPLETIONS, content=b"[", headers=JSON).status_code == 400
            with pytest.raises(RuntimeError, match="passed"):
                made.get("/livez")


def test_a_programs_own_middleware_is_passed_by_them(tmp_path: Path) -> None:
    seen = []

    class Own:
        def __init__(self, app: ASGIApp) -> None:
            self._app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope["type"])
            await self._app(scope, receive, send)

    with serve(reply) as server:
        app = create_app(settings_for(tmp_path, server.url))
        app.add_middleware(Own)
        with TestClient(app, base_url="http://localhost") as made:
            seen.clear()
            assert made.post(CHAT, json=HELLO).status_code == 200
    assert seen[0] == "http"


def slow(request: Asked) -> Answer:
    """An answer that takes longer than the time after which it is asked whether the client has left."""
    text = "It took its time."
    if request.body.get("stream"):
        return streamed(*(delta(content=each) for each in text.split(" ")), piece=70, pause=SLOW_SECONDS / 7)
    return Answer(whole(text).body, delay=SLOW_SECONDS)


async def passed_on(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    return await call_next(request)


def with_middleware(app: FastAPI) -> ASGIApp:
    app.middleware("http")(passed_on)
    return app


def within_middleware(app: FastAPI) -> ASGIApp:
    return BaseHTTPMiddleware(app, passed_on)


def alone(app: FastAPI) -> ASGIApp:
    return app


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("made", [with_middleware, within_middleware, alone])
def test_a_slow_answer_passes_a_programs_own_middleware(
    made: Callable[[FastAPI], ASGIApp], streams: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[type[Request]] = []
    for kind in (Request, DirectRequest):
        monkeypatch.setattr(kind, "is_disconnected", noted(kind.is_disconnected, asked))
    monkeypatch.setattr(http_service, "create_app", lambda settings: made(create_app(settings)))
    with serve(slow) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        answer = requests.post(f"{service.url}{COMPLETIONS}", json={**HELLO, "stream": streams}, timeout=30)
        assert answer.status_code == 200, answer.text
        assert answer.text.endswith("data: [DONE]\n\n") if streams else "its time" in answer.text
    assert set(asked) == {DirectRequest if made is alone else Request}


def noted(method: Callable[[Any], Awaitable[bool]], asked: list[type[Request]]) -> Callable[[Request], Awaitable[bool]]:
    async def is_disconnected(request: Request) -> bool:
        asked.append(type(request))
        return await method(request)

    return is_disconnected


def replace_the_call(seen: list[str], monkeypatch: pytest.MonkeyPatch, kind: type[Starlette]) -> None:
    call = kind.__call__

    async def watched(self: Starlette, scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope.get("path", ""))
        await call(self, scope, receive, send)

    monkeypatch.setattr(kind, "__call__", watched)


def replace_the_building(seen: list[str], monkeypatch: pytest.MonkeyPatch, where: Any) -> None:
    build = where.build_middleware_stack

    def built(*itself: FastAPI) -> ASGIApp:
        inner = build(*itself)

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope.get("path", ""))
            await inner(scope, receive, send)

        return watched

    monkeypatch.setattr(where, "build_middleware_stack", built)


@pytest.mark.parametrize("what", ["Starlette", "FastAPI", "the building", "the building of one application"])
def test_monitoring_that_replaces_a_function_of_fastapi_sees_them(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    with serve(reply) as server:
        app = create_app(settings_for(tmp_path, server.url))
        if what.startswith("the building"):
            replace_the_building(seen, monkeypatch, FastAPI if what == "the building" else app)
        else:
            replace_the_call(seen, monkeypatch, Starlette if what == "Starlette" else FastAPI)
        with TestClient(app, base_url="http://localhost") as made:
            assert made.post(CHAT, json=HELLO).status_code == 200
    assert CHAT in seen


@pytest.mark.parametrize("kind", [Request, DirectRequest])
def test_whether_the_client_has_left_is_asked_without_waiting(kind: type[Request]) -> None:
    async def asked() -> list[bool]:
        messages: asyncio.Queue[Message] = asyncio.Queue()
        request = kind({"type": "http"}, messages.get)
        found = [await request.is_disconnected()]
        messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        found += [await request.is_disconnected(), await request.is_disconnected()]
        waiting = asyncio.ensure_future(messages.get())
        await asyncio.sleep(0)
        found.append(await request.is_disconnected())  # another one that waits stays
        messages.put_nowait({"type": "other"})
        assert (await waiting)["type"] == "other"
        messages.put_nowait({"type": "http.disconnect"})
        return [*found, await request.is_disconnected(), await request.is_disconnected()]

    assert asyncio.run(asked()) == [False, False, False, False, True, True]
