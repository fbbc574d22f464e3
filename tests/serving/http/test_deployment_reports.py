"""What those who run other services have reported: keys in other headers, descriptions, origins, slashes."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import ValidationError

from agentkit import Context
from agentkit.openapi import openapi
from agentkit.serving.http.keys import Keys
from tests.support.http_service import Service, reply, serve_http, settings_for
from tests.support.model_server import Answer, serve

HELLO = {"model": "agentkit", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("deployed")
    key = Keys(folder / "keys.json").add("ann")
    with serve(reply) as server, serve_http(settings_for(folder, server.url), key) as running:
        yield running


@pytest.mark.parametrize("name", ["api-key", "X-API-Key"])
def test_a_key_may_be_in_a_header_of_its_own(service: Service, name: str) -> None:
    """BerriAI/litellm#4077, blockscout/mcp-server#453: programs that send it so got 401, and so did those behind a
    proxy whose own login is in `Authorization`."""
    url = f"{service.url}/v1/models"
    assert requests.get(url, headers={name: str(service.key)}, timeout=30).status_code == 200
    beside = {name: str(service.key), "Authorization": "Basic dXNlcjpwYXNz"}
    assert requests.get(url, headers=beside, timeout=30).status_code == 200
    assert requests.get(url, headers={name: "wrong"}, timeout=30).status_code == 401
    # a gateway's own key in that header takes nobody's own away
    beside = {name: "of the gateway", "Authorization": f"Bearer {service.key}"}
    assert requests.get(url, headers=beside, timeout=30).status_code == 200
    health = requests.get(f"{service.url}/api/llm/health", headers={name: str(service.key)}, timeout=30).json()
    assert "server_url" in health


def test_the_description_says_how_to_authenticate(service: Service, tmp_path: Path) -> None:
    """IABTechLab/seller-agent#89, DiamondLightSource/blueapi#862: clients that are made of it could send no key."""
    described = requests.get(f"{service.url}/openapi.json", timeout=30).json()
    assert described["security"] == [{"bearer": []}, {"key": []}]
    assert described["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    public = [
        (method, path)
        for path, operations in described["paths"].items()
        for method, each in operations.items()
        if each.get("security") == []
    ]
    assert sorted(public) == [
        ("get", "/api/llm/health"),
        ("get", "/livez"),
        ("get", "/readyz"),
        ("post", "/api/llm/shared"),
    ]
    assert list(described["paths"]["/metrics"]["get"]["responses"]["200"]["content"]) == ["text/plain"]
    tools = openapi(described, service.url, only="GET /v1/models", auth=service.key)
    assert '"agentkit"' in tools[0].answer("{}", Context()).text
    with serve(reply) as server, serve_http(settings_for(tmp_path, server.url)) as other:
        assert {} in requests.get(f"{other.url}/openapi.json", timeout=30).json()["security"]


@pytest.mark.parametrize("origin", ["app.example", "https://*.example.com", "http://localhost:*", "https://"])
def test_an_origin_that_no_browser_sends_is_an_error(tmp_path: Path, origin: str) -> None:
    """Zipstack/unstract#1938, adamchainz/django-cors-headers#472: it was taken, and no page was let in."""
    with pytest.raises(ValidationError, match=r"is no origin: write https://app\.example, or \* for all"):
        settings_for(tmp_path, "http://127.0.0.1:9", agentkit_cors=origin)


def test_an_image_host_is_a_host(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"is no host: write images\.example, without a scheme or path"):
        settings_for(tmp_path, "http://127.0.0.1:9", agentkit_image_hosts="https://images.example/x")


def test_usual_origins_are_taken(tmp_path: Path) -> None:
    given = "https://App.example:443/x app://obsidian.md null capacitor://localhost http://[::1]:3000 *"
    settings = settings_for(tmp_path, "http://127.0.0.1:9", agentkit_cors=given)
    assert settings.agentkit_cors[:2] == ("https://app.example", "app://obsidian.md")
    assert len(settings.agentkit_cors) == 6


def test_a_slash_too_many_leads_to_the_same_scheme(service: Service) -> None:
    """fastapi/fastapi#4990, eneo-ai/eneo#871: behind a proxy that speaks TLS it led to http://."""
    response = service.ask("POST", "/v1/chat/completions/", HELLO, allow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (307, "/v1/chat/completions")
    assert service.ask("POST", "/v1/chat/completions/", HELLO).status_code == 200
    assert "evil.example" not in service.ask("GET", "//evil.example/", allow_redirects=False).headers.get(
        "location", ""
    )


def test_a_client_that_leaves_is_noticed_while_pieces_come(tmp_path: Path) -> None:
    """BerriAI/litellm#37140: what nobody waits for any more was computed to its end."""

    def slowly(_: Any) -> Answer:
        return Answer(b'{"object": "list", "data": [' + b" " * 400 + b"]}", piece=1, pause=0.02)

    with serve(slowly) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        with pytest.raises(requests.exceptions.ReadTimeout):
            requests.post(f"{service.url}/v1/embeddings", json={"model": "agentkit", "input": "x"}, timeout=0.7)
        end = time.monotonic() + 5
        while not server.left and time.monotonic() < end:
            time.sleep(0.05)
        assert server.left == 1
