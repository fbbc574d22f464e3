"""What clients, browsers and proxies expect of the door of any HTTP service."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from agentkit.serving.http.auth import Authenticator
from agentkit.serving.http.server import config_of
from agentkit.serving.http.settings import HttpSettings
from tests.support.http_service import Service, reply, serve_http, settings_for
from tests.support.model_server import serve

SECRET = "a secret of at least 32 bytes, for tests of tokens"
ORIGIN = "https://app.example"
LARGE = {"model": "agentkit", "messages": [{"role": "user", "content": "x" * 9000}]}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serve(reply) as server:
        limits = {"agentkit_cors": (ORIGIN,), "agentkit_max_body": 5000}
        with serve_http(settings_for(tmp_path_factory.mktemp("service"), server.url, **limits)) as service:
            yield service


@pytest.mark.parametrize("path", ["/", "/docs", "/static/page.js", "/api/llm/health", "/livez"])
def test_head_is_answered_where_get_is(service: Service, path: str) -> None:
    """Chainlit/chainlit#835"""
    found = service.ask("HEAD", path)
    assert (found.status_code, found.content) == (200, b"")


def test_a_page_of_an_allowed_origin_may_send_what_retries_need(service: Service) -> None:
    """lidge-jun/opencodex#1773"""
    names = "authorization,content-type,idempotency-key"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": names}
    found = service.ask("OPTIONS", "/api/llm/chat/session", headers={"Origin": ORIGIN, **asked})
    assert (found.status_code, found.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    assert set(names.split(",")) <= set(found.headers["Access-Control-Allow-Headers"].lower().split(","))


@pytest.mark.parametrize("path", ["/api/llm/chat", "/v1/chat/completions"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["with a length", "chunked"])
def test_a_page_can_read_that_its_body_is_too_large(service: Service, path: str, is_chunked: bool) -> None:
    body: Any = json.dumps(LARGE).encode()
    headers = {"Origin": ORIGIN, "Content-Type": "application/json"}
    sent = iter([body]) if is_chunked else body
    found = requests.post(service.url + path, data=sent, headers=headers, timeout=10)
    assert (found.status_code, found.headers["Access-Control-Allow-Origin"]) == (413, ORIGIN)
    told = found.json()
    text = told["error"]["message"] if path.startswith("/v1") else told["detail"]
    assert text == "the request body is larger than 5000 bytes"


def test_an_openai_client_gets_an_openai_error_for_a_body_that_is_too_large(service: Service) -> None:
    error = service.ask("POST", "/v1/chat/completions", LARGE).json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "request_too_large")


def test_idle_connections_are_kept_longer_than_proxies_keep_theirs() -> None:
    """lsst-sqre/phalanx#5103, basetenlabs/truss#2648: proxies and load balancers keep them for 60 to 90 seconds."""
    settings = HttpSettings(_env_file=None)
    assert config_of("any:app", settings).timeout_keep_alive >= 90
    assert config_of("any:app", HttpSettings(_env_file=None, agentkit_keep_alive=7)).timeout_keep_alive == 7


def test_a_body_that_curl_says_is_a_form_is_refused_with_what_to_say(service: Service) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    found = requests.post(f"{service.url}/api/llm/chat", data=json.dumps(LARGE)[:99], headers=headers, timeout=10)
    assert found.status_code == 415
    assert "Content-Type: application/json" in found.json()["detail"]


@pytest.mark.parametrize("value", [-1, "-1", None])
def test_minus_one_token_is_no_limit(service: Service, value: Any) -> None:
    body = {"model": "agentkit", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": value}
    for path in ("/v1/chat/completions", "/api/llm/chat"):
        assert service.ask("POST", path, body).status_code == 200


@pytest.mark.parametrize("path", ["/chat/completions", "/models"])
def test_a_base_url_without_its_end_is_told_what_it_lacks(service: Service, path: str) -> None:
    found = service.ask(
        "GET" if path == "/models" else "POST", path, None if path == "/models" else LARGE | {"messages": []}
    )
    assert found.status_code == 404
    assert "the base URL of a client ends in /v1" in found.json()["error"]["message"]


# Tokens


def claims(**times: float) -> dict[str, Any]:
    now = time.time()
    return {"sub": "ann", "aud": "chat", "exp": now + 60, **{name: now + seconds for name, seconds in times.items()}}


def settings_with(folder: Path, **options: Any) -> HttpSettings:
    return settings_for(folder, "http://127.0.0.1:1", agentkit_jwt_audience="chat", **options)


@pytest.mark.parametrize(
    ("leeway", "times", "is_accepted"),
    [
        (None, {"iat": 2.0}, True),  # mozilla/fx-private-relay#2738
        (None, {"nbf": 2.0}, True),
        (None, {"exp": -1.0}, True),  # jpadilla/pyjwt#854
        (None, {"exp": -30.0}, False),
        (None, {"iat": 30.0}, False),
        (0.0, {"exp": -1.0}, False),
        (60.0, {"exp": -30.0}, True),
    ],
)
def test_the_clocks_of_tokens_may_differ_a_little(
    tmp_path: Path, leeway: float | None, times: dict[str, float], is_accepted: bool
) -> None:
    given = {} if leeway is None else {"agentkit_jwt_leeway": leeway}
    found = Authenticator(settings_with(tmp_path, agentkit_jwt_secret=SECRET, **given))
    token = jwt.encode(claims(**times), SECRET, "HS256")
    assert (found.subject(f"Bearer {token}") == "jwt:ann") is is_accepted


def test_all_algorithms_of_a_key_are_accepted(tmp_path: Path) -> None:
    """botlearn-ai/botcord#41"""
    key = rsa.generate_private_key(65537, 2048)
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    (tmp_path / "keys.json.jwks").write_text(json.dumps({"keys": [public]}))
    found = Authenticator(settings_with(tmp_path, agentkit_jwt_jwks=str(tmp_path / "keys.json.jwks")))
    for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"):
        assert found.subject(f"Bearer {jwt.encode(claims(), key, name)}") == "jwt:ann", name
