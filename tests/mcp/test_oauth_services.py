"""Programs that are OAuth clients by themselves: the client credentials grant."""

import base64
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from agentkit.errors import ConfigurationError
from agentkit.mcp import MCP
from agentkit.mcp.errors import MCPError
from agentkit.mcp.oauth import ClientCredentials, OAuth, service
from agentkit.mcp.oauth.store import Store
from tests.mcp.authority import Authority, Code, Robot, called
from tests.mcp.http_bad import Exchange, HttpBad

SECRET = "secret-of-a-service"


class ForServices(Authority):
    """Grants tokens to the client `service` itself, and logs nobody in. refuses: what the scope must not contain.
    narrow: what is granted instead of what was asked for."""

    refuses = ""
    narrow = ""

    def metadata(self) -> dict[str, Any]:
        told = super().metadata()
        return {name: value for name, value in told.items() if not name.startswith(("authorization_", "code_"))}

    def give(self, it: Exchange) -> None:
        super().give(it)
        if self.forms[-1].get("scope") == self.refuses != "":
            self.valid.popitem()

    def grant_of(self, form: dict[str, str], client_id: str) -> Code | None:
        assert form["grant_type"] == "client_credentials"
        return Code(client_id, "", "", self.narrow or form.get("scope", "")) if client_id == "service" else None


@contextmanager
def guarded() -> Iterator[tuple[HttpBad, ForServices]]:
    with HttpBad() as server:
        yield server, ForServices(server)


def credentials(authority: Authority, **options: Any) -> ClientCredentials:
    return ClientCredentials(**{"client_id": "service", "client_secret": SECRET, "issuer": authority.origin} | options)


def test_a_service_gets_a_token_without_anybody_and_again_when_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """modelcontextprotocol/python-sdk#709, lmstudio-ai/lmstudio-bug-tracker#1890, maximhq/bifrost#6331."""
    monkeypatch.setattr(service, "AGAIN", 0)
    with guarded() as (server, authority):
        auth = credentials(authority)
        assert called(server, auth)
        assert called(server, auth)
        assert len(authority.forms) == 1, "the token is kept"
        authority.valid.clear()
        assert called(server, auth)
        assert authority.forms == [
            {"grant_type": "client_credentials", "scope": "basic", "resource": server.url},
            {"grant_type": "client_credentials", "scope": "basic", "resource": server.url},
        ]
        sent = next(each for each in server.requests if each.path == "/token").headers["authorization"]
        assert sent == "Basic " + base64.b64encode(f"service:{SECRET}".encode()).decode()
        assert (authority.asked, authority.clients) == ([], [])


def test_many_threads_get_one_token() -> None:
    with guarded() as (server, authority):
        auth = credentials(authority)
        threads = [threading.Thread(target=called, args=(server, auth)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(authority.forms) == 1


def test_a_secret_is_sent_in_the_form_where_the_server_takes_it_there() -> None:
    with guarded() as (server, authority):
        authority.overrides = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        assert called(server, credentials(authority))
        (form,) = authority.forms
        assert (form["client_id"], form["client_secret"]) == ("service", SECRET)


def test_what_a_large_provider_needs_is_sent_as_it_was_given() -> None:
    """Entra takes one scope and no resource, Auth0 an audience."""
    with guarded() as (server, authority):
        options = {"scope": "api://1/.default", "resource": "", "parameters": {"audience": "https://api"}}
        assert called(server, credentials(authority, **options))
        assert authority.forms == [
            {"grant_type": "client_credentials", "scope": "api://1/.default", "audience": "https://api"}
        ]


def test_a_signed_assertion_stands_in_the_place_of_a_secret() -> None:
    with guarded() as (server, authority):
        auth = credentials(authority, client_secret=None, assertion=lambda issuer: f"signed.for.{issuer}")
        assert called(server, auth)
        (form,) = authority.forms
        assert form["client_assertion"] == f"signed.for.{authority.origin}"
        assert form["client_assertion_type"] == service.JWT_BEARER
        assert form["client_id"] == "service"


def test_more_is_asked_for_where_a_call_needs_it_and_once_where_it_does_not_help() -> None:
    with guarded() as (server, authority):
        authority.scopes = {"write"}
        assert called(server, credentials(authority))
        assert [each["scope"] for each in authority.forms] == ["basic", "basic write"]
        authority.narrow = "basic"
        auth = credentials(authority)
        for _ in range(2):
            with pytest.raises(MCPError, match="403"):
                called(server, auth)
        assert len(authority.forms) == 4


def test_a_client_that_is_refused_is_not_shown_again_at_once_and_its_secret_told_to_nobody() -> None:
    with guarded() as (server, authority):
        auth = credentials(authority, client_id="other")
        with pytest.raises(MCPError, match="invalid_grant"):
            called(server, auth)
        with pytest.raises(MCPError, match="not asked again within 60 s"):
            called(server, auth)
        assert len(authority.forms) == 1
        authority.token_status = 400
        authority.overrides = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        with pytest.raises(MCPError, match="what have you sent") as caught:
            called(server, credentials(authority, parameters={"password": "a-password-of-a-service"}))
        assert SECRET not in str(caught.value)
        assert "a-password-of-a-service" not in str(caught.value)
        assert SECRET not in repr(auth)


def test_a_token_that_the_server_does_not_accept_is_got_once() -> None:
    with guarded() as (server, authority):
        authority.refuses = "basic"
        auth = credentials(authority)
        for _ in range(3):
            with pytest.raises(MCPError, match="401"):
                called(server, auth)
        assert len(authority.forms) == 1


def test_the_secret_goes_to_the_issuer_that_was_named_alone() -> None:
    with guarded() as (server, authority):
        with pytest.raises(MCPError, match="is not authorized by"):
            called(server, credentials(authority, issuer="https://login.example"))
        assert authority.forms == []


def test_the_issuer_counts_where_a_server_behind_a_gateway_says_nothing() -> None:
    """modelcontextprotocol/inspector#1225."""
    with guarded() as (server, _), HttpBad() as login:
        front, named = ForServices(server), ForServices(login)
        named.valid = front.valid
        front.get = lambda it: it.answer(b"", 404, kind="text/plain")  # type: ignore[method-assign]
        server.get = front.get
        assert called(server, credentials(named))
        assert (len(named.forms), front.forms) == (1, [])


def test_an_issuer_that_the_program_names_may_be_at_a_private_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a Keycloak beside the server is, which an MCP server itself may not lead to."""
    monkeypatch.setattr("agentkit.mcp.oauth.asking.system_resolver", lambda host, port: ["127.0.0.1"])
    monkeypatch.setattr("agentkit.net.fetch.system_resolver", lambda host, port: ["127.0.0.1"])
    with guarded() as (server, authority):
        inside = f"http://login.corp:{urlsplit(authority.origin).port}"
        authority.resource = {"authorization_servers": [inside]}
        authority.overrides = {"issuer": inside, "token_endpoint": f"{inside}/token"}
        assert called(server, credentials(authority, issuer=inside))
        with pytest.raises(MCPError, match="no address"):
            called(server, OAuth(Robot(), store=Store(None)))


def test_nobody_can_log_in_where_services_alone_get_tokens(tmp_path: Path) -> None:
    with guarded() as (server, authority):
        with pytest.raises(MCPError, match="nobody can log in there"):
            called(server, OAuth(Robot(), store=Store(tmp_path / "tokens.json")))
        assert authority.clients == []


def test_a_secret_stays_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    with guarded() as (server, authority):
        auth = credentials(authority)
        with pytest.raises(pickle.PicklingError):
            pickle.dumps(auth)
        monkeypatch.setenv("SERVICE_SECRET", SECRET)
        data = pickle.dumps(MCP(server.url, auth=auth))
        assert SECRET.encode() not in data
        assert called(server, pickle.loads(pickle.dumps(auth)))


def test_options_of_a_service_that_can_not_work_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="one of client_secret= and assertion="):
        ClientCredentials("me", issuer="https://a")
    with pytest.raises(ConfigurationError, match="one of"):
        ClientCredentials("me", "x", issuer="https://a", assertion=str)
    with pytest.raises(ConfigurationError, match="client_secret"):
        ClientCredentials("me", "", issuer="https://a")
    with pytest.raises(ConfigurationError, match="URL"):
        ClientCredentials("me", "x", issuer="login.example")
