"""OAuth for MCP servers: who is asked, what is sent to whom, what is kept."""

import base64
import json
import pickle
import stat
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from agentkit.errors import ConfigurationError
from agentkit.mcp.errors import MCPError
from agentkit.mcp.oauth import OAuth
from agentkit.mcp.oauth.browser import Browser
from agentkit.mcp.oauth.metadata import challenge_of
from agentkit.mcp.oauth.store import Store
from tests.mcp.authority import Authority, Code, Robot, called
from tests.mcp.http_bad import HttpBad
from tests.support.growth import assert_linear


def test_a_person_is_asked_once_and_the_tokens_are_kept_for_the_user_alone(tmp_path: Path) -> None:
    file, robot = tmp_path / "tokens.json", Robot()
    with HttpBad() as server:
        authority = Authority(server)
        assert called(server, OAuth(robot, store=Store(file)))
        assert called(server, OAuth(robot, store=Store(file)))
        assert called(server, OAuth(store=Store(file)))
        assert called(server, pickle.loads(pickle.dumps(OAuth(robot, store=Store(file)))))
        assert (len(robot.urls), len(authority.clients)) == (1, 1)
        asked, form = authority.asked[0], authority.forms[0]
    assert asked["resource"] == form["resource"] == server.url
    assert (asked["scope"], asked["code_challenge_method"]) == ("basic", "S256")
    assert form["client_id"] == "client-1"
    assert "client_secret" not in form
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(json.loads(file.read_text())) == [authority.origin]


def test_a_token_that_has_ended_is_renewed_and_a_person_asked_only_when_that_fails() -> None:
    robot, store = Robot(), Store(None)
    with HttpBad() as server:
        authority = Authority(server)
        auth = OAuth(robot, store=store)
        assert called(server, auth)
        authority.valid.clear()
        assert called(server, auth)
        assert [each["grant_type"] for each in authority.forms] == ["authorization_code", "refresh_token"]
        authority.valid.clear()
        authority.renewable = False
        assert called(server, auth)
        assert len(robot.urls) == 2


def test_many_threads_ask_one_person_once() -> None:
    robot = Robot()
    with HttpBad() as server:
        Authority(server)
        auth = OAuth(robot, store=Store(None))
        failed: list[BaseException] = []

        def work() -> None:
            try:
                called(server, auth)
            except BaseException as error:  # noqa: BLE001 - that is what is looked for
                failed.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
    assert len(robot.urls) == 1


def test_more_is_asked_for_where_a_call_needs_it_beside_what_there_is() -> None:
    robot = Robot()
    with HttpBad() as server:
        authority = Authority(server)
        authority.scopes = {"write"}
        assert called(server, OAuth(robot, store=Store(None)))
        assert [each["scope"] for each in authority.asked] == ["basic", "basic write"]


def test_a_scope_that_does_not_help_is_asked_for_once() -> None:
    robot = Robot()
    with HttpBad() as server:
        authority = Authority(server)
        authority.scopes = {"basic", "admin"}
        auth = OAuth(robot, store=Store(None))
        grant_of = authority.grant_of

        def narrow(form: dict[str, str], client_id: str) -> Code | None:
            found = grant_of(form, client_id)
            return found and replace(found, scope="basic")

        authority.grant_of = narrow  # type: ignore[method-assign]
        for _ in range(2):
            with pytest.raises(MCPError, match="403"):
                called(server, auth)
        assert len(robot.urls) == 2


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, str], str]] = {
    "no PKCE": ({"code_challenge_methods_supported": ["plain"]}, {}, {}, "PKCE"),
    "another issuer": ({"issuer": "https://evil.example"}, {}, {}, "another authorization server"),
    "a token endpoint elsewhere, without TLS": ({"token_endpoint": "http://evil.example/t"}, {}, {}, "no address"),
    "no registration": ({"registration_endpoint": None}, {}, {}, "client_id="),
    "another resource": ({}, {"resource": "https://other.example/mcp"}, {}, "another resource"),
    "a part of its name": ({}, {"resource": "MCP"}, {}, "another resource"),
    "a private authority": ({}, {"authorization_servers": ["https://10.0.0.1"]}, {}, "not public|not fetched"),
    "an authority without TLS": ({}, {"authorization_servers": ["http://evil.example"]}, {}, "no address"),
    "no issuer": ({}, {}, {"iss": ""}, "iss"),
    "a wrong issuer": ({}, {}, {"iss": "https://evil.example"}, "iss"),
    "a wrong state": ({}, {}, {"state": "other"}, "state"),
    "refused": ({}, {}, {"code": "", "error": "access_denied"}, "access_denied"),
    "no code": ({}, {}, {"code": ""}, "no code"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_could_be_an_attack_ends_before_a_token_is_asked_for(what: str) -> None:
    overrides, resource, changed, words = REFUSED[what]
    with HttpBad() as server:
        authority = Authority(server)
        authority.overrides, authority.resource, authority.changed = overrides, resource, changed
        with pytest.raises(MCPError, match=words) as caught:
            called(server, OAuth(Robot(), store=Store(None)))
        assert caught.value.code == 401
        assert authority.forms == []


def test_without_an_opener_the_error_says_what_to_do() -> None:
    with HttpBad() as server:
        authority = Authority(server)
        with pytest.raises(MCPError, match="log in"):
            called(server, OAuth(store=Store(None)))
        assert authority.clients == []


def test_a_client_that_was_registered_by_hand_is_used_and_its_secret_told_to_no_other() -> None:
    secret = "secret-of-a-client"
    with HttpBad() as server, HttpBad() as other:
        authority, second = Authority(server), Authority(other)
        authority.known["me"] = [Robot().redirect_uri]
        auth = OAuth(Robot(), client_id="me", client_secret=secret, issuer=authority.origin, store=Store(None))
        assert called(server, auth)
        sent = next(each for each in server.requests if each.path == "/token").headers["authorization"]
        assert sent == "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()
        with pytest.raises(MCPError, match="is not authorized by"):
            called(other, auth)
        assert (authority.clients, second.clients, second.forms) == ([], [], [])
        assert secret not in repr(auth)


def test_options_that_can_not_work_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="client_id="):
        OAuth(client_secret="x", store=Store(None))
    with pytest.raises(ConfigurationError, match="issuer="):
        OAuth(client_id="me", client_secret="x", store=Store(None))
    with pytest.raises(ConfigurationError, match="https"):
        OAuth(client_url="http://x/", store=Store(None))


def test_a_damaged_file_of_tokens_is_one_without_tokens(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    for text in ("", "[", "[]", '{"http://a": 5}', '{"http://a": {"tokens": 5, "client": []}}'):
        file.write_text(text)
        assert Store(file).tokens("http://a", "http://b") is None
        assert Store(file).client("http://a", "http://c") is None


def test_the_browser_comes_back_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    browser = Browser(shown.append, seconds=20)

    def opened(url: str) -> bool:
        requests.get(browser.redirect_uri.replace("/callback", "/favicon.ico"), timeout=10)
        requests.get(f"{browser.redirect_uri}?code=1&state=2", timeout=10)
        return True

    monkeypatch.setattr("webbrowser.open", lambda url: threading.Thread(target=opened, args=(url,)).start())
    assert browser("http://authority/authorize").endswith("/callback?code=1&state=2")
    assert "http://authority/authorize" in shown[0]
    browser.close()


def test_nobody_who_comes_back_is_waited_for_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    browser = Browser(lambda text: None, seconds=0.2)
    with pytest.raises(MCPError, match="nobody"):
        browser("http://authority/")
    browser.close()


CHALLENGES = {
    'Bearer realm="a, b", scope="x y", resource_metadata="https://h/p"': ("x y", "", "https://h/p"),
    'Basic realm="a", bearer error=insufficient_scope,scope=x': ("x", "insufficient_scope", ""),
    "Bearer": ("", "", ""),
    'Digest scope="x"': ("", "", ""),
    "": ("", "", ""),
    'Bearer scope="unclosed': ("", "", ""),
}


@pytest.mark.parametrize("header", CHALLENGES)
def test_a_challenge_is_read(header: str) -> None:
    found = challenge_of(header)
    scope, error, metadata = CHALLENGES[header]
    assert (found.error, found.metadata) == (error, metadata)
    assert found.scope.lstrip('"') in (scope, "unclosed")


def test_a_challenge_is_read_in_linear_time() -> None:
    assert_linear(lambda size: challenge_of('Bearer scope="' * size), 20_000)
