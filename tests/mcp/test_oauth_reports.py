"""Logins at authorization servers as they are, by public reports of what ended them elsewhere."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from typer.testing import CliRunner

from agentkit.cli import app
from agentkit.mcp.oauth import OAuth
from agentkit.mcp.oauth.store import Store
from tests.mcp.authority import Authority, Robot, called
from tests.mcp.http_bad import Exchange, HttpBad
from tests.support.tls_proxy import serve_tls


class StrictAboutScopes(Authority):
    """Grants a client only what it was registered for. limits: whether it refuses a registration with a scope."""

    limits = False

    def register(self, it: Exchange) -> None:
        if self.limits and "scope" in it.request.message:
            it.answer(b'{"error": "invalid_client_metadata"}', 400, kind="application/json")
        else:
            super().register(it)

    def agree(self, it: Exchange) -> None:
        asked = dict(parse_qsl(urlsplit(it.request.path).query))
        client = self.clients[int(asked["client_id"].removeprefix("client-")) - 1]
        if self.limits or set(asked.get("scope", "").split()) <= set(client.get("scope", "").split()):
            super().agree(it)
            return
        back = f"error=invalid_scope&state={asked['state']}&iss={self.origin}"
        it.answer(b"", 302, Location=f"{asked['redirect_uri']}?{back}")


def test_a_client_is_registered_for_the_scope_that_is_asked_for(tmp_path: Path) -> None:
    """modelcontextprotocol/go-sdk#1102, vercel/ai#19496, can1357/oh-my-pi#5107, laravel/mcp#258: invalid_scope else."""
    store = Store(tmp_path / "tokens.json")
    with HttpBad() as server:
        authority = StrictAboutScopes(server)
        assert called(server, OAuth(Robot(), store=store))
        assert authority.clients[0]["scope"] == authority.asked[0]["scope"] == "basic"  # of the challenge
        authority.scopes = {"notes:write"}  # which that client can't be given
        assert called(server, OAuth(Robot(), store=store))
        assert "notes:write" in authority.clients[-1]["scope"].split()
        before = len(authority.clients)
        authority.valid.clear()
        authority.renewing.clear()
        assert called(server, OAuth(Robot(), store=store))
        assert len(authority.clients) == before, "the client is used again that may have all of it"


def test_a_server_that_registers_no_scopes_is_asked_without() -> None:
    """Kochava-Studios/witsy#420: a registration that is refused for its scope."""
    with HttpBad() as server:
        authority = StrictAboutScopes(server)
        authority.limits = True
        assert called(server, OAuth(Robot(), store=Store(None)))
        assert ["scope" in each for each in authority.clients] == [False]
        assert authority.asked[0]["scope"] == "basic"


class ForgetsScopes(Authority):
    """A renewed token is good for nothing, unless its scope is asked for again. strict: whether it refuses a scope at
    a renewal."""

    strict = False

    def give(self, it: Exchange) -> None:
        form = dict(parse_qsl(it.request.body.decode()))
        if form["grant_type"] == "refresh_token" and self.strict and "scope" in form:
            self.forms.append(form)
            it.answer(b'{"error": "invalid_scope"}', 400, kind="application/json")
            return
        super().give(it)
        if form["grant_type"] == "refresh_token" and not self.strict and form.get("scope") != "basic":
            self.valid.clear()


@pytest.mark.parametrize("says", [{}, {"scope": "basic"}], ids=["silent", "told"])
def test_a_renewal_asks_for_the_scope_that_was_granted(says: dict[str, Any], tmp_path: Path) -> None:
    """anthropics/claude-code#89862: Entra's tokens are for something else without it, each hour."""
    with HttpBad() as server:
        authority = ForgetsScopes(server)
        authority.granted = says
        store = Store(tmp_path / "tokens.json")
        assert called(server, OAuth(Robot(), scope="basic all" if says else None, store=store))
        for _ in range(2):
            authority.valid.clear()
            assert called(server, OAuth(store=store))
        assert [each.get("scope") for each in authority.forms] == [None, "basic", "basic"]


def test_a_server_that_refuses_a_scope_at_a_renewal_is_asked_without() -> None:
    with HttpBad() as server:
        authority = ForgetsScopes(server)
        authority.strict = True
        store = Store(None)
        assert called(server, OAuth(Robot(), store=store))
        authority.valid.clear()
        assert called(server, OAuth(store=store))
        assert [each.get("scope") for each in authority.forms] == [None, "basic", None]


def within_tls(change: Callable[[str], str]) -> type[Authority]:
    """An authority behind a proxy that ends TLS; change: how it writes its own addresses."""

    class Within(Authority):
        def say(self, it: Exchange, value: dict[str, Any]) -> None:  # type: ignore[override]
            text = json.dumps(value).replace(f"http://127.0.0.1:{self.server.port}", change(self.outside))
            it.answer(text.encode(), kind="application/json")

        def agree(self, it: Exchange) -> None:
            self.origin = change(self.outside)  # as `iss`
            super().agree(it)

        outside = ""

    return Within


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_metadata_that_does_not_know_of_the_tls_before_it_is_of_the_same_server(
    scheme: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mesh/mesh-mcp#20, Mnexa-AI/e2a#635, agentgateway/agentgateway#449: http:// in all addresses. And the CA
    certificates of a company count wherever they are named: modelcontextprotocol/python-sdk#1370, open-webui/mcpo#204.
    """
    with HttpBad() as server, serve_tls(tmp_path, server.port) as (port, certificates):
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(variable, str(certificates))
        authority = within_tls(lambda outside: outside.replace("https", scheme))(server)
        authority.outside = f"https://127.0.0.1:{port}"  # type: ignore[attr-defined]
        server.url = f"https://127.0.0.1:{port}/mcp"
        authority.resource = {"resource": f"{scheme}://127.0.0.1:{port}/mcp"}
        robot = Robot(verify=str(certificates))
        assert called(server, OAuth(robot, store=Store(None)))
        assert robot.urls[0].startswith("https://")
        assert authority.asked[0]["resource"] == authority.resource["resource"], "as the server calls itself"


@pytest.mark.parametrize(
    "granted", [{"token_type": None}, {"token_type": "BEARER", "expires_in": "3600"}, {"expires_in": "soon"}]
)
def test_a_token_is_taken_however_its_server_writes_the_rest(granted: dict[str, Any], tmp_path: Path) -> None:
    """LibreChat-AI/librechat.ai#420: Entra writes the number of seconds as a text."""
    with HttpBad() as server:
        Authority(server).granted = granted
        store = Store(tmp_path / "tokens.json")
        assert called(server, OAuth(Robot(), store=store))
    kept = next(iter(json.loads((tmp_path / "tokens.json").read_text()).values()))["tokens"]
    assert (next(iter(kept.values()))["ends"] is not None) == (granted.get("expires_in") != "soon")


def test_a_parameter_of_the_authorization_endpoint_is_sent_once() -> None:
    """can1357/oh-my-pi#10299: Railway's endpoint names a resource of its own."""
    with HttpBad() as server:
        authority = Authority(server)
        authority.overrides = {"authorization_endpoint": f"{authority.origin}/authorize?resource=other&prompt=consent"}
        robot = Robot()
        assert called(server, OAuth(robot, store=Store(None)))
        sent = parse_qsl(urlsplit(robot.urls[0]).query)
        assert [value for name, value in sent if name == "resource"] == [server.url]
        assert ("prompt", "consent") in sent


def test_a_browser_comes_back_to_the_name_that_a_client_was_registered_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """apify/mcpc#269, cognizant-ai-lab/nsflow#233: Slack, Salesforce and Entra's portal take localhost alone."""

    def opened(url: str) -> None:
        threading.Thread(target=requests.get, args=(url,), kwargs={"timeout": 10}).start()

    monkeypatch.setattr("webbrowser.open", opened)
    with HttpBad() as server:
        authority = Authority(server)
        authority.known["me"] = ["http://localhost/callback"]
        login = ["mcp", "login", server.url, "--client-id", "me"]
        done = CliRunner().invoke(app, [*login, "--host", "localhost"])
        assert done.exit_code == 0, done.stderr
        assert urlsplit(authority.asked[0]["redirect_uri"]).hostname == "localhost"
        done = CliRunner().invoke(app, [*login, "--host", "0.0.0.0"])
        assert (done.exit_code, "127.0.0.1 or localhost" in done.stderr) == (2, True)


class Open(Authority):
    """Lets everybody in, with a token or without. seen: what requests were authorized by."""

    seen: list[str]

    def lets_in(self, it: Exchange) -> bool:
        self.seen.append(it.request.headers.get("authorization", ""))
        return True


def test_a_login_is_used_where_the_server_lets_everybody_in(tmp_path: Path) -> None:
    """nicobailon/pi-mcp-adapter#471, MoonshotAI/kimi-code#3179: Exa serves strangers too, within limits."""
    with HttpBad() as server:
        authority, store = Open(server), Store(tmp_path / "tokens.json")
        authority.seen = []
        OAuth(Robot(), store=store).login(server.url)
        assert called(server, OAuth(store=store))
        assert set(authority.seen[1:]) == {"Bearer token-of-a-person-1"}  # the first one is the login's own
        authority.seen.clear()
        assert called(server, OAuth(store=Store(tmp_path / "others.json")))
        assert called(server, OAuth(store=store, client_id="me", client_secret="x", issuer="https://login.example"))
        assert set(authority.seen) == {""}, "tokens of another authorization server are not sent"


def test_a_token_whose_time_is_over_is_renewed_before_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Doist/todoist-mcp#366, ProfessionalWiki/MediaWiki-MCP-Server#443: what the server answers is no 401, but an error
    of the tool."""
    with HttpBad() as server:
        authority, store = Open(server), Store(tmp_path / "tokens.json")
        authority.seen, authority.granted = [], {"expires_in": 1000}
        OAuth(Robot(), store=store).login(server.url)
        auth, now = OAuth(store=store), time.time()
        assert called(server, auth)
        monkeypatch.setattr("agentkit.mcp.oauth.granting.time.time", lambda: now + 1001)
        authority.seen.clear()
        assert called(server, auth)
        assert set(authority.seen) == {"Bearer token-of-a-person-2"}
        assert [each["grant_type"] for each in authority.forms] == ["authorization_code", "refresh_token"]


def test_a_token_that_can_not_be_renewed_is_sent_and_renewed_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HttpBad() as server:
        authority, store = Open(server), Store(tmp_path / "tokens.json")
        authority.seen, authority.granted = [], {"expires_in": 1000}
        OAuth(Robot(), store=store).login(server.url)
        auth, now = OAuth(store=store), time.time()
        monkeypatch.setattr("agentkit.mcp.oauth.granting.time.time", lambda: now + 1001)
        authority.seen.clear()
        authority.token_status = 503
        for _ in range(2):
            assert called(server, auth)
        assert set(authority.seen) == {"Bearer token-of-a-person-1"}
        assert len(authority.forms) == 2
