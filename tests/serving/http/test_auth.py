"""Authentication, authorization, rate limits, and isolation of subjects in the chat service."""

import json
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import ValidationError

from agentkit.errors import ConfigurationError
from agentkit.serving.http.app import create_app
from agentkit.serving.http.keys import Keys
from agentkit.serving.http.token_keys import TokenKeys
from agentkit.serving.outage import KEYS_OUTAGE, STORE_OUTAGE
from tests.support import forked_cli
from tests.support.http_service import Service, serve_http, settings_for, talk
from tests.support.model_server import ModelServer, running
from tests.support.ports import refusing_port
from tests.support.redis_server import serve_redis

ROOT = Path(__file__).parents[3]
SECRET = "a secret of at least 64 bytes, so that no algorithm finds it too short, for tests"
PROTECTED = [
    ("POST", "/api/llm/chat"),
    ("POST", "/api/llm/chat/stream"),
    ("POST", "/api/llm/chat/session"),
    ("POST", "/api/llm/chat/session/stream"),
    ("GET", "/api/llm/chat/sessions"),
    ("GET", "/api/llm/chat/session/s/history"),
    ("POST", "/api/llm/chat/session/history"),
    ("DELETE", "/api/llm/chat/session/s"),
    ("PATCH", "/api/llm/chat/session/s"),
    ("GET", "/api/llm/prompts"),
    ("GET", "/api/llm/about"),
    ("POST", "/api/llm/documents/read?name=a.txt"),
    ("POST", "/v1/chat/completions"),
    ("GET", "/v1/models"),
    ("GET", "/metrics"),
]


@pytest.fixture
def keyed(tmp_path: Path, model: ModelServer) -> Iterator[tuple[Service, str, str]]:
    """A service with two API keys."""
    keys = Keys(tmp_path / "keys.json")
    ann, bob = keys.add("ann"), keys.add("bob")
    with serve_http(settings_for(tmp_path, model.url)) as service:
        yield service, ann, bob


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_every_endpoint_but_health_requires_a_token(keyed: tuple[Service, str, str], method: str, path: str) -> None:
    service, ann, _ = keyed
    for authorization in (None, "Bearer wrong", f"Basic {ann}", "Bearer", f"Bearer {ann}x"):
        headers = {"Authorization": authorization} if authorization else {}
        refused = service.ask(method, path, {}, headers=headers)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        body = refused.json()
        detail = body["error"]["message"] if path.startswith("/v1") else body["detail"]
        assert detail == "Could not validate credentials"
    assert service.ask(method, path, {}, key=ann).status_code != 401


def test_a_key_file_that_can_not_be_looked_at_is_no_service_without_keys(tmp_path: Path, model: ModelServer) -> None:
    file = tmp_path / ("k" * 300)
    with pytest.raises(ConfigurationError, match="too long"):
        create_app(settings_for(tmp_path, model.url, agentkit_keys_file=file))
    assert not Keys(tmp_path / "none.json").exist
    assert not Keys(tmp_path / "none" / "none.json").exist


def test_a_folder_of_the_key_file_that_can_not_be_entered_is_an_outage_and_no_lack_of_keys(
    tmp_path: Path, model: ModelServer
) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    key = Keys(folder / "keys.json").add("ann")
    with serve_http(settings_for(tmp_path, model.url, agentkit_keys_file=folder / "keys.json")) as service:
        folder.rename(tmp_path / "away")
        folder.symlink_to(folder.name)  # a loop of links, as rights or a share that hangs would be
        assert service.ask("GET", "/v1/models", key=key).status_code == 503
        folder.unlink()
        (tmp_path / "away").rename(folder)
        assert service.ask("GET", "/v1/models", key=key).status_code == 200


def test_a_key_file_that_can_not_be_read_is_one_line_of_the_log_and_told_to_nobody(
    tmp_path: Path, model: ModelServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KEYS_OUTAGE, "_logged", None)
    file = tmp_path / "keys.json"
    key = Keys(file).add("ann")
    with serve_http(settings_for(tmp_path, model.url, agentkit_keys_file=file)) as service:
        kept = file.read_text()
        file.write_text("{")
        for path in ("/v1/models", "/api/llm/chat/sessions", "/metrics"):
            asked = service.ask("GET", path, key=key)
            assert asked.status_code == 503
            assert str(tmp_path) not in asked.text
            assert "the API keys are temporarily unavailable" in asked.text
        health = service.ask("GET", "/api/llm/health", key=key)
        assert (health.status_code, "server_url" in health.json()) == (200, False)
        file.write_text(kept)
        assert service.ask("GET", "/v1/models", key=key).status_code == 200
    lines = [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert [line.getMessage().startswith("the key file can't be used; requests get 503: ") for line in lines] == [True]
    assert lines[0].exc_info is None


def test_health_requires_no_token(keyed: tuple[Service, str, str]) -> None:
    service, _, _ = keyed
    for path in ("/api/llm/health", "/livez", "/readyz"):
        assert service.ask("GET", path).status_code == 200


def test_a_session_is_visible_to_its_subject_only(keyed: tuple[Service, str, str]) -> None:
    service, ann, bob = keyed
    created = service.ask("POST", "/api/llm/chat/session", {"session_id": "s", "message": "my secret"}, key=ann)
    assert created.status_code == 200
    unknown = service.ask("GET", "/api/llm/chat/session/never/history", key=bob)
    for method, path, body in (
        ("GET", "/api/llm/chat/session/s/history", None),
        ("POST", "/api/llm/chat/session/history", {"session_id": "s"}),
        ("DELETE", "/api/llm/chat/session/s", None),
        ("PATCH", "/api/llm/chat/session/s", {"name": "mine"}),
    ):
        refused = service.ask(method, path, body, key=bob)
        assert (refused.status_code, refused.json()) == (404, unknown.json())
    assert service.ask("GET", "/api/llm/chat/sessions", key=bob).json() == {"sessions": []}
    own = service.ask("POST", "/api/llm/chat/session", {"session_id": "s", "message": "hello"}, key=bob)
    assert own.json()["response"] == "You are a: hello"
    history = service.ask("GET", "/api/llm/chat/session/s/history", key=ann).json()
    assert [turn["content"] for turn in history["messages"]] == ["my secret", "You are a: my secret"]


def test_a_removed_key_is_rejected_and_authentication_stays_enabled(
    keyed: tuple[Service, str, str], tmp_path: Path
) -> None:
    service, ann, bob = keyed
    keys = Keys(tmp_path / "keys.json")
    keys.remove("ann")
    assert service.ask("GET", "/v1/models", key=ann).status_code == 401
    assert service.ask("GET", "/v1/models", key=bob).status_code == 200
    keys.remove("bob")
    assert service.ask("GET", "/v1/models").status_code == 401
    with serve_http(settings_for(tmp_path, "http://127.0.0.1:9")) as later:  # like a restarted worker
        assert later.ask("GET", "/v1/models").status_code == 401
    assert ann not in (tmp_path / "keys.json").read_text()
    assert (tmp_path / "keys.json").stat().st_mode & 0o077 == 0


def test_the_first_key_enables_authentication_permanently(tmp_path: Path, model: ModelServer) -> None:
    keys = Keys(tmp_path / "keys.json")
    with serve_http(settings_for(tmp_path, model.url)) as service:
        statuses = [service.ask("GET", "/v1/models").status_code]
        keys.add("ann")
        statuses.append(service.ask("GET", "/v1/models").status_code)
        keys.remove("ann")
        statuses.append(service.ask("GET", "/v1/models").status_code)
    assert statuses == [200, 401, 401]


def token(key: Any = SECRET, algorithm: str = "HS256", headers: Any = None, **claims: Any) -> str:
    merged = {"sub": "ann", "aud": "chat", "exp": time.time() + 60, **claims}
    return jwt.encode(
        {name: each for name, each in merged.items() if each is not None}, key, algorithm, headers=headers
    )


def test_tokens_of_hs256(tmp_path: Path, model: ModelServer) -> None:
    options = {"agentkit_jwt_secret": SECRET, "agentkit_jwt_audience": "chat", "agentkit_jwt_issuer": "us"}
    with serve_http(settings_for(tmp_path, model.url, **options)) as service:

        def status(made: str) -> int:
            return service.ask("GET", "/v1/models", key=made).status_code

        assert status(token(iss="us")) == 200
        bad = {
            "expired": token(iss="us", exp=time.time() - 5),
            "no end": token(iss="us", exp=None),
            "another audience": token(iss="us", aud="mail"),
            "no audience": token(iss="us", aud=None),
            "another issuer": token(iss="them"),
            "no subject": token(iss="us", sub=None),
            "empty subject": token(iss="us", sub=""),
            "another key": token("another secret of at least 32 bytes, for tests", iss="us"),
            "another algorithm": token(iss="us", algorithm="HS512"),
            "not yet": token(iss="us", nbf=time.time() + 60),
            "no algorithm": jwt.encode({"sub": "ann", "aud": "chat", "exp": time.time() + 60, "iss": "us"}, "", "none"),
            "cut": token(iss="us")[:-4],
            "odd subject": token(iss="us", sub="\ud800"),
            "no text": "\x80\x81",
        }
        assert {name: status(made) for name, made in bad.items()} == dict.fromkeys(bad, 401)
        ann, bob = token(iss="us"), token(iss="us", sub="bob")
        service.key = ann
        talk(service, "s", "mine")
        assert service.ask("GET", "/api/llm/chat/session/s/history", key=bob).status_code == 404
        assert service.ask("GET", "/api/llm/chat/session/s/history", key=token(iss="us")).status_code == 200


@pytest.mark.parametrize("kind", ["file", "address"])
def test_tokens_of_rs256_with_a_set_of_keys(tmp_path: Path, model: ModelServer, kind: str) -> None:
    own, other = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(own.public_key()))
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [{**public, "kid": "1", "use": "sig", "alg": "RS256"}]}))
    web = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    where = str(file) if kind == "file" else f"http://127.0.0.1:{web.server_port}/jwks.json"
    options = {"agentkit_jwt_jwks": where, "agentkit_jwt_audience": "chat"}
    with running(web), serve_http(settings_for(tmp_path, model.url, **options)) as service:
        made = {
            "good": token(own, "RS256", {"kid": "1"}),
            "unknown key": token(other, "RS256", {"kid": "2"}),
            "another's": token(other, "RS256", {"kid": "1"}),
            "symmetric": token("-----BEGIN of a public key, taken for a secret-----", "HS256", {"kid": "1"}),
            "no id": token(own, "RS256"),
        }
        found = {name: service.ask("GET", "/v1/models", key=each).status_code for name, each in made.items()}
    assert found == {"good": 200, "unknown key": 401, "another's": 401, "symmetric": 401, "no id": 200}


def jwk(private: Any, **more: Any) -> dict[str, Any]:
    """The public key of a key pair as a JWK."""
    kinds = {rsa.RSAPrivateKey: "RSAAlgorithm", ec.EllipticCurvePrivateKey: "ECAlgorithm"}
    kind = next((name for kind, name in kinds.items() if isinstance(private, kind)), "OKPAlgorithm")
    return {**json.loads(getattr(jwt.algorithms, kind).to_jwk(private.public_key())), **more}


def statuses_of(folder: Path, model: ModelServer, keys: Any, made: dict[str, str]) -> dict[str, int]:
    """The status that each token gets from a service with a JWK set."""
    (folder / "jwks.json").write_text(json.dumps(keys))
    options = {"agentkit_jwt_jwks": str(folder / "jwks.json"), "agentkit_jwt_audience": "chat"}
    with serve_http(settings_for(folder, model.url, **options)) as service:
        return {name: service.ask("GET", "/v1/models", key=each).status_code for name, each in made.items()}


def test_tokens_of_every_kind_of_public_key(tmp_path: Path, model: ModelServer) -> None:
    own, curve, edwards = rsa.generate_private_key(65537, 2048), ec.SECP256R1(), ed25519.Ed25519PrivateKey.generate()
    elliptic = ec.generate_private_key(curve)
    keys = [jwk(own, kid="r"), jwk(elliptic, kid="e"), jwk(edwards, kid="d")]
    names = dict.fromkeys(["RS256", "RS384", "RS512", "PS256", "PS512"], own) | {"ES256": elliptic, "EdDSA": edwards}
    kids = {own: "r", elliptic: "e", edwards: "d"}
    good = {name: token(key, name, {"kid": kids[key]}) for name, key in names.items()}
    nameless = {f"{name} without a name": token(key, name) for name, key in names.items()}
    bad = {
        "a name that is another's": token(own, "RS256", {"kid": "e"}),
        "an unknown name": token(own, "RS256", {"kid": "?"}),
        "a foreign key": token(ec.generate_private_key(curve), "ES256"),
        "a public key as a secret": token(keys[0]["n"], "HS256", {"kid": "r"}),
    }
    found = statuses_of(tmp_path, model, {"keys": keys}, {**good, **nameless, **bad})
    assert found == dict.fromkeys({**good, **nameless}, 200) | dict.fromkeys(bad, 401)


def test_a_key_is_used_for_what_it_is_made_for(tmp_path: Path, model: ModelServer) -> None:
    own, other = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    secret = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC0", "kid": "s"}
    keys = {"keys": [jwk(own, alg="RS512"), jwk(other, use="enc"), {"kty": "new"}, "x", secret]}
    made = {
        "named, by a key without a name": token(own, "RS512", {"kid": "any"}),
        "another algorithm": token(own, "RS256"),
        "for encryption": token(other, "RS512"),
        "a shared secret": token("secret-secret-secret-secret-secret-", "HS256", {"kid": "s"}),
    }
    assert list(statuses_of(tmp_path, model, keys, made).values()) == [200, 401, 401, 401]
    one = {"a key alone": token(own, "PS256")}
    assert statuses_of(tmp_path, model, jwk(own), one) == {"a key alone": 200}


def test_keys_that_cannot_be_fetched_again_stay_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    own, new = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    sets: list[Any] = [{"keys": [jwk(own, kid="1")]}, OSError("down"), {"keys": [jwk(own, kid="1"), jwk(new, kid="2")]}]
    fetched: list[Any] = []

    def fetch() -> Any:
        fetched.append(sets.pop(0))
        if isinstance(fetched[-1], OSError):
            raise fetched[-1]
        return fetched[-1]

    keys = TokenKeys(fetch, is_remote=True)
    old, newer = token(own, "ES256", {"kid": "1"}), token(new, "ES256", {"kid": "2"})
    assert len(keys.candidates(old)) == 1
    assert [keys.candidates(newer) for _ in range(5)] == [[]] * 5
    assert len(fetched) == 1  # tokens of strangers do not make it ask again and again
    for expected in ([], [keys.candidates(old)[0].id, "2"]):
        monkeypatch.setattr(keys, "_next_fetch", float("-inf"))
        found = keys.candidates(newer)
        assert len(keys.candidates(old)) == 1
        assert [each.id for each in found] == expected[1:]


@pytest.mark.parametrize(
    "options",
    [
        {"agentkit_jwt_secret": SECRET},  # no audience
        {"agentkit_jwt_secret": "short", "agentkit_jwt_audience": "chat"},
        {"agentkit_jwt_secret": SECRET, "agentkit_jwt_jwks": "x", "agentkit_jwt_audience": "chat"},
    ],
)
def test_unsafe_settings_are_rejected(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_for(tmp_path, "http://localhost", **options)
    assert SECRET not in str(refused.value)


def test_a_rate_limited_client_gets_a_retry_after_header(tmp_path: Path, model: ModelServer) -> None:
    keys = Keys(tmp_path / "keys.json")
    ann, bob = keys.add("ann"), keys.add("bob")
    with serve_http(settings_for(tmp_path, model.url, agentkit_rate=3)) as service:
        statuses = [service.ask("GET", "/v1/models", key=ann).status_code for _ in range(5)]
        refused = service.ask("GET", "/v1/models", key=ann)
        assert statuses == [200, 200, 200, 429, 429]
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert service.ask("GET", "/v1/models", key=bob).status_code == 200


def test_two_services_share_sessions_and_rates_in_redis(tmp_path: Path, model: ModelServer) -> None:
    keys = Keys(tmp_path / "keys.json")
    ann = keys.add("ann")
    with serve_redis(tmp_path) as redis:
        settings = settings_for(tmp_path, model.url, agentkit_sessions=redis.url, agentkit_rate=6)
        with serve_http(settings, ann) as one, serve_http(settings, ann) as two:
            assert talk(one, "s", "one")["response"] == "You are a: one"
            assert talk(two, "s", "two")["response"] == "You are a: one | two"
            assert len(one.ask("GET", "/api/llm/chat/session/s/history").json()["messages"]) == 4
            assert two.ask("GET", "/api/llm/chat/sessions").json()["sessions"][0]["session_id"] == "s"
            statuses = [each.ask("GET", "/v1/models").status_code for each in (one, two, one, two)]
    assert statuses == [200, 200, 429, 429]


def test_an_open_service_accepts_local_host_names_only(tmp_path: Path, model: ModelServer) -> None:
    with serve_http(settings_for(tmp_path, model.url)) as service:
        assert service.ask("GET", "/v1/models").status_code == 200
        assert service.ask("GET", "/v1/models", headers={"Host": "evil.example"}).status_code == 400
        plain = {"Content-Type": "text/plain"}
        body = json.dumps({"messages": [{"role": "user", "content": "x"}]})
        assert service.ask("POST", "/api/llm/chat", data=body, headers=plain).status_code == 415
        assert "access-control-allow-origin" not in service.ask("GET", "/livez", headers={"Origin": "http://x"}).headers


def test_an_unknown_host_gets_the_error_of_the_api(tmp_path: Path, model: ModelServer) -> None:
    with serve_http(settings_for(tmp_path, model.url)) as service:
        for host in (
            "evil.example",
            "evil.example:8000",
            "localhost@evil.example",
            "localhost:x",
            "127.0.0.1.evil",
            "[::1",
        ):
            for path in ("/v1/models", "/api/llm/prompts", "/", "/nowhere"):
                refused = service.ask("GET", path, headers={"Host": host})
                said = refused.json()["error"]["message"] if path == "/v1/models" else refused.json()["detail"]
                assert (refused.status_code, "keys add" in said) == (400, True)
        for host in ("LOCALHOST", "localhost:1", "[::1]:8000", "127.0.0.1"):
            assert service.ask("GET", "/v1/models", headers={"Host": host}).status_code == 200


def test_redis_that_is_down_is_one_line_of_the_log(
    tmp_path: Path, model: ModelServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(STORE_OUTAGE, "_logged", None)
    store = f"redis://:SECRET@127.0.0.1:{refusing_port()}/0"
    with serve_http(settings_for(tmp_path, model.url, agentkit_sessions=store)) as service:
        for _ in range(10):
            assert service.ask("GET", "/v1/models").status_code == 200
        asked = service.ask("POST", "/api/llm/chat/session", {"session_id": "s", "message": "x"})
        assert asked.status_code == 503
    lines = [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert len(lines) == 1
    assert lines[0].startswith("the session store can't be used; requests are not counted: ConnectionError")
    assert "SECRET" not in caplog.text


def test_cors_is_enabled_for_the_configured_origins(tmp_path: Path, model: ModelServer) -> None:
    with serve_http(settings_for(tmp_path, model.url, agentkit_cors="https://portal.example")) as service:
        preflight = {"Origin": "https://portal.example", "Access-Control-Request-Method": "POST"}
        allowed = service.ask("OPTIONS", "/api/llm/chat", headers=preflight)
        assert allowed.headers["access-control-allow-origin"] == "https://portal.example"
        refused = service.ask("OPTIONS", "/api/llm/chat", headers={**preflight, "Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in refused.headers
        answer = service.ask("GET", "/v1/models", headers={"Origin": "https://portal.example"})
        exposed = answer.headers["access-control-expose-headers"]
        assert exposed == "Retry-After, X-Request-Id, Request-Id, X-Should-Retry, X-Tools-Not-Offered"


def agentkit(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTKIT_", "LLM_"))}
    return subprocess.run(
        [*forked_cli.command(), *arguments],
        cwd=folder,
        env={**clean, "XDG_DATA_HOME": str(folder), "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_keys_are_created_listed_and_removed_at_the_command_line(tmp_path: Path) -> None:
    made = agentkit(tmp_path, "serve", "keys", "add", "ann")
    assert made.stdout.startswith("ak-")
    assert agentkit(tmp_path, "serve", "keys", "list").stdout == "ann\n"
    assert "has a key already" in agentkit(tmp_path, "serve", "keys", "add", "ann").stderr
    assert agentkit(tmp_path, "serve", "keys", "add", "a b").returncode == 2
    assert agentkit(tmp_path, "serve", "keys", "remove", "ann").returncode == 0
    assert agentkit(tmp_path, "serve", "keys", "list").stdout == ""


def test_keys_that_are_changed_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    gone = Keys(file).add("gone")

    def change(number: int) -> str:
        keys = Keys(file)
        if number == 3:
            keys.remove("gone")
        return keys.add(f"user{number}")

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(change, range(8)))
    assert [Keys(file).owner(key) for key in made] == [f"user{number}" for number in range(8)]
    assert Keys(file).owner(gone) is None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_service_listens_on_loopback_only_without_keys(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "127.0.0.2"):
        refused = agentkit(tmp_path, "serve", "--host", host, "--port", "0")
        assert refused.returncode == 2
        assert "serve keys add" in refused.stderr


def test_invalid_settings_exit_with_a_message(tmp_path: Path) -> None:
    wrong = agentkit(tmp_path, "serve", LLM_MAX_TOKENS="many")
    assert (wrong.returncode, "LLM_MAX_TOKENS" in wrong.stderr) == (2, True)
    secret = agentkit(tmp_path, "serve", AGENTKIT_JWT_SECRET="sesame")
    assert (secret.returncode, "sesame" in secret.stderr) == (2, False)
    assert agentkit(tmp_path, "serve", "--tool", "nowhere:x").returncode == 2


def test_a_service_that_is_mounted_in_another_application_asks_for_keys_too(tmp_path: Path, model: ModelServer) -> None:
    key = Keys(tmp_path / "keys.json").add("ann")
    outer = FastAPI()
    outer.mount("/ai", create_app(settings_for(tmp_path, model.url)))
    with TestClient(outer, base_url="http://localhost") as client:
        for path in ("/ai/v1/models", "/ai/metrics", "/ai/api/llm/chat/sessions"):
            assert client.get(path).status_code == 401, path
            assert client.get(path, headers={"authorization": f"Bearer {key}"}).status_code == 200, path
