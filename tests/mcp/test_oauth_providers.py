"""Logins at the authorization servers of large providers, whose metadata is not what the RFCs ask for."""

import os
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from typer.testing import CliRunner

from agentkit.cli import app
from agentkit.cli.mcp_login import login
from agentkit.mcp.errors import MCPError
from agentkit.mcp.oauth import OAuth
from agentkit.mcp.oauth.asking import Asking
from agentkit.mcp.oauth.granting import Registered, authorized
from agentkit.mcp.oauth.metadata import AuthorizationServer
from agentkit.mcp.oauth.store import Store
from tests.mcp.authority import Authority, Robot, called
from tests.mcp.http_bad import Exchange, HttpBad


class Named(Authority):
    """Is named by an MCP server at another address, whose tokens it gives. tells_to: the authority there."""

    tells_to: Authority

    def give(self, it: Exchange) -> None:
        super().give(it)
        self.tells_to.valid = self.valid


def test_metadata_of_another_issuer_leads_to_what_that_one_says_of_itself(tmp_path: Path) -> None:
    """atlassian/atlassian-mcp-server#205, upstash/context7#2723, Skyvern-AI/skyvern#8263, forcedotcom/mcp-hosted#44."""
    with HttpBad() as server, HttpBad() as other:
        front, named = Authority(server), Named(other)
        named.tells_to = front
        front.overrides = {"issuer": named.origin}  # and endpoints that are not those of the other one
        store = Store(tmp_path / "tokens.json")
        assert called(server, OAuth(Robot(), store=store))
        assert (len(named.forms), front.forms, front.asked, front.clients) == (1, [], [], [])
        front.valid.clear()
        assert called(server, OAuth(store=store)), "it is renewed there"
        assert [each["grant_type"] for each in named.forms] == ["authorization_code", "refresh_token"]


def test_a_client_that_was_registered_by_hand_stays_with_the_issuer_that_is_named() -> None:
    with HttpBad() as server, HttpBad() as other:
        front, named = Authority(server), Named(other)
        named.tells_to = front
        front.overrides = {"issuer": named.origin}
        named.known["me"] = [Robot().redirect_uri]
        auth = OAuth(
            Robot(), client_id="me", client_secret="secret-of-a-client", issuer=front.origin, store=Store(None)
        )
        for _ in range(2):
            assert called(server, auth)
            front.valid.clear()
        assert [each["grant_type"] for each in named.forms] == ["authorization_code", "refresh_token"]
        assert front.forms == []


def test_an_issuer_that_leads_to_a_third_is_not_followed() -> None:
    with HttpBad() as server, HttpBad() as other, HttpBad() as third:
        front, named, last = Authority(server), Authority(other), Authority(third)
        front.overrides, named.overrides = {"issuer": named.origin}, {"issuer": last.origin}
        with pytest.raises(MCPError, match="of another authorization server") as caught:
            called(server, OAuth(Robot(), store=Store(None)))
        assert last.origin in str(caught.value)
        assert (front.forms, named.forms, last.forms, last.asked) == ([], [], [], [])


class Tenants(Authority):
    """Describes all of its tenants at once, as Entra does."""

    def __init__(self, server: HttpBad) -> None:
        super().__init__(server)
        self.path = "/organizations/v2.0"
        self.resource = {"authorization_servers": [f"{self.origin}{self.path}"]}
        self.overrides = {
            "issuer": f"{self.origin}/{{tenantid}}/v2.0",
            "authorization_response_iss_parameter_supported": False,
        }
        self.changed = {"iss": f"{self.origin}/8a1b/v2.0"}


def test_metadata_for_several_tenants_is_that_of_each() -> None:
    """microsoft/azure-devops-mcp#1511: https://login.microsoftonline.com/organizations/v2.0."""
    with HttpBad() as server:
        authority = Tenants(server)
        assert called(server, OAuth(Robot(), store=Store(None)))
        authority.valid.clear()
        authority.changed = {"iss": "https://evil.example/8a1b/v2.0"}
        with pytest.raises(MCPError, match="iss"):
            called(server, OAuth(Robot(), store=Store(None)))


SILENT = {"code_challenge_methods_supported": None, "registration_endpoint": None}


def test_a_client_registered_by_hand_logs_in_where_pkce_is_not_mentioned(tmp_path: Path) -> None:
    """zed-industries/zed#60358, anthropics/claude-code#13275, anthropics/claude-ai-mcp#786: Entra and Cognito."""
    with HttpBad() as server:
        authority = Authority(server)
        authority.overrides, authority.known["me"] = SILENT, [Robot().redirect_uri]
        store = Store(tmp_path / "tokens.json")
        assert called(server, OAuth(Robot(), client_id="me", store=store))
        assert authority.asked[0]["code_challenge_method"] == "S256"
        authority.valid.clear()
        assert called(server, OAuth(store=store)), "and renewed by who has not registered it"


@pytest.mark.parametrize(
    ("overrides", "client_id", "words"),
    [
        ({"code_challenge_methods_supported": None}, None, "does not support PKCE.*--client-id"),
        ({"code_challenge_methods_supported": ["plain"]}, "me", "does not support PKCE with S256, which MCP asks for$"),
    ],
)
def test_without_pkce_nobody_is_sent_to_a_login(overrides: dict[str, Any], client_id: str | None, words: str) -> None:
    with HttpBad() as server:
        authority = Authority(server)
        authority.overrides, authority.known["me"] = overrides, [Robot().redirect_uri]
        robot = Robot()
        with pytest.raises(MCPError, match=words):
            called(server, OAuth(robot, client_id=client_id, store=Store(None)))
        assert (robot.urls, authority.clients, authority.forms) == ([], [], [])


class RefusesResources(Authority):
    """Refuses a resource that it does not know, as Entra does. fine: the one that it knows."""

    fine = ""

    def agree(self, it: Exchange) -> None:
        asked = dict(parse_qsl(urlsplit(it.request.path).query))
        if asked.get("resource", "") == self.fine:
            super().agree(it)
            return
        back = f"error=invalid_target&state={asked['state']}&iss={self.origin}"
        it.answer(b"", 302, Location=f"{asked['redirect_uri']}?{back}")

    def give(self, it: Exchange) -> None:
        if dict(parse_qsl(it.request.body.decode())).get("resource", "") == self.fine:
            super().give(it)
        else:
            it.answer(b'{"error": "invalid_target"}', 400, kind="application/json")


@pytest.mark.parametrize("resource", ["", "api://notes"])
def test_the_resource_that_is_sent_may_be_another_or_none(resource: str, tmp_path: Path) -> None:
    """punkpeye/mcp-remote#217, anthropics/claude-code#73460: AADSTS9010010 of Entra."""
    with HttpBad() as server:
        authority = RefusesResources(server)
        authority.fine = resource
        store = Store(tmp_path / "tokens.json")
        with pytest.raises(MCPError, match=r"invalid_target.*--resource"):
            called(server, OAuth(Robot(), store=store))
        assert called(server, OAuth(Robot(), resource=resource, store=store))
        for _ in range(2):
            authority.valid.clear()
            assert called(server, OAuth(store=store)), "a renewal sends what the login has sent"


def test_the_command_takes_a_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    robot = Robot()
    monkeypatch.setattr("agentkit.mcp.oauth.browser.Browser.__call__", lambda self, url: robot(url))
    with HttpBad() as server:
        authority = RefusesResources(server)
        authority.known["me"] = ["http://127.0.0.1/callback"]
        login = ["mcp", "login", server.url, "--client-id", "me"]
        assert CliRunner().invoke(app, [*login, "--resource", ""]).exit_code == 0
        assert CliRunner().invoke(app, login).exit_code == 1


@pytest.mark.skipif(os.name == "nt", reason="has no pseudo-terminals")
def test_the_address_at_which_a_browser_ends_elsewhere_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    """github/copilot-cli#3009, anomalyco/opencode#9081: over SSH and in containers."""
    keyboard, terminal = os.openpty()
    robot = Robot()

    def opened(url: str) -> None:  # on another machine, where nobody listens
        os.write(keyboard, b"what?\nhttp://127.0.0.1/callback?code=x&state=other\n" + robot(url).encode() + b"\n")

    monkeypatch.setattr("webbrowser.open", opened)
    with HttpBad() as server, os.fdopen(terminal) as typed:
        monkeypatch.setattr("sys.stdin", typed)
        authority = Authority(server)
        login(server.url, None, None, None, 0, "127.0.0.1")
        assert len(authority.forms) == 1
        assert not [each for each in threading.enumerate() if each.name == "agentkit-pasted"]
    os.close(keyboard)


def test_google_is_asked_for_tokens_that_can_be_renewed() -> None:
    """can1357/oh-my-pi#12438: it has no scope for that, and gives none otherwise."""
    asked: dict[str, str] = {}

    def opener(url: str) -> str:
        asked.update(parse_qsl(urlsplit(url).query))
        return f"http://127.0.0.1/callback?state={asked['state']}&error=access_denied"

    opener.redirect_uri = "http://127.0.0.1/callback"  # type: ignore[attr-defined]
    endpoint = "https://accounts.google.com/o/oauth2/v2/auth"
    server = AuthorizationServer("https://accounts.google.com", endpoint, "https://oauth2.googleapis.com/token")
    with pytest.raises(MCPError, match="access_denied"):
        authorized(server, Registered("me"), "", "", opener, Asking("https://mcp.example/mcp"))  # type: ignore[arg-type]
    assert (asked["access_type"], asked["prompt"], "resource" in asked) == ("offline", "consent", False)
