"""The service under a path of a reverse proxy, and what it logs of its requests."""

import json
import logging
from collections.abc import Iterator

import pytest

from agentkit.serving.http.keys import Keys
from tests.support.http_service import Service, reply, serve_http, settings_for
from tests.support.model_server import serve


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("proxy")
    key = Keys(folder / "keys.json").add("ann")
    with serve(reply) as server:
        settings = settings_for(
            folder, server.url, agentkit_root_path="/api"
        )  # a tree of the service has this name too
        with serve_http(settings, key) as running:
            yield running


@pytest.mark.parametrize("prefix", ["", "/api"], ids=["removed", "kept"])
def test_page_api_and_documentation_answer_whether_the_proxy_removes_the_path_or_not(
    service: Service, prefix: str
) -> None:
    for path in ("/", "/docs", "/static/index.js", "/livez"):
        assert service.ask("GET", prefix + path).status_code == 200, path
    assert service.ask("GET", f"{prefix}/openapi.json").json()["servers"] == [{"url": "/api"}]
    body = {"session_id": f"s{prefix[1:]}", "message": "Hello"}
    assert service.ask("POST", f"{prefix}/api/llm/chat/session", body).json()["response"] == "You are a: Hello"
    assert service.ask("GET", f"{prefix}/v1/models").json()["data"][0]["id"] == "agentkit"
    for path in ("/api/llm/chat/sessions", "/v1/models", "/metrics"):
        assert service.ask("GET", prefix + path, key="wrong").status_code == 401, path


@pytest.mark.parametrize("prefix", ["", "/api"], ids=["removed", "kept"])
def test_a_websocket_is_opened_under_the_path(service: Service, prefix: str) -> None:
    client = pytest.importorskip("websockets.sync.client")
    headers = {"Authorization": f"Bearer {service.key}"}
    url = f"{service.url.replace('http', 'ws')}{prefix}/api/llm/chat/ws"
    with client.connect(url, additional_headers=headers) as socket:
        socket.send(json.dumps({"messages": [{"role": "user", "content": "Hello"}]}))
        assert "content" in json.loads(socket.recv(timeout=20))


def test_redirections_stay_under_the_path(service: Service) -> None:
    for path, to in (("/api?a=1", "/api/?a=1"), ("/docs/", "/api/docs"), ("/api/docs/", "/api/docs")):
        response = service.ask("GET", path, allow_redirects=False)
        assert (response.status_code, response.headers["location"]) == (307, to)


def test_all_addresses_of_the_page_are_relative(service: Service) -> None:
    for page in ("/", "/docs"):
        text = service.ask("GET", page).text
        assert 'href="/' not in text
        assert 'src="/' not in text


def test_each_request_is_logged_with_its_status_and_without_its_query(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "agentkit.access")
    service.ask("GET", "/api/v1/models?api_key=sk-secret")
    service.ask("GET", "/x%0aINFO:%20fake")
    service.ask("GET", "/metrics", key="sk-wrong")
    lines = [each.getMessage().partition(" - ")[2] for each in caplog.records if each.name.startswith("agentkit.acc")]
    assert lines == [
        '"GET /api/v1/models HTTP/1.1" 200',
        '"GET /x%0AINFO:%20fake HTTP/1.1" 404',
        '"GET /metrics HTTP/1.1" 401',
    ]
