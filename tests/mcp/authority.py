"""An authorization server at the address of an MCP server, as strict as the RFCs allow, and a person who agrees."""

import base64
import hashlib
import json
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.auth import AuthBase

from agentkit.mcp.client import Client
from agentkit.mcp.http import Http
from tests.mcp.http_bad import Exchange, HttpBad


@dataclass(frozen=True)
class Code:
    """What a code, or a refresh token, was given for."""

    client_id: str
    redirect_uri: str
    challenge: str
    scope: str


class Authority:
    """An authorization server at the address of an MCP server, which needs a token of it. A refresh token is valid
    once; used again it ends all.

    overrides: of its metadata. changed: what the browser brings back instead. scopes: those that a call needs. known:
    the redirect URIs of each client. token_status: what the token endpoint answers; 200: what it should. path: of the
    issuer. refuses_clients: whether the token endpoint says that it does not know a client, when it does not.
    """

    def __init__(self, server: HttpBad) -> None:
        self.server = server
        self.origin = f"http://127.0.0.1:{server.port}"
        self.overrides: dict[str, Any] = {}
        self.resource: dict[str, Any] = {}
        self.changed: dict[str, str] = {}
        self.scopes: set[str] = set()
        self.valid: dict[str, set[str]] = {}
        self.renewable = True
        self.asked: list[dict[str, str]] = []
        self.forms: list[dict[str, str]] = []
        self.clients: list[dict[str, Any]] = []
        self.known: dict[str, list[str]] = {}
        self.codes: dict[str, Code] = {}
        self.renewing: dict[str, Code] = {}
        self.used: set[str] = set()
        self.token_status = 200
        self.path = ""
        self.refuses_clients = False
        self.granted: dict[str, Any] = {}
        self.lock = threading.Lock()
        server.get, server.post = self.get, self.post

    def get(self, it: Exchange) -> None:
        path = urlsplit(it.request.path).path
        if path.startswith("/.well-known/oauth-protected-resource"):
            self.say(it, {"resource": self.server.url, "authorization_servers": [self.origin], **self.resource})
        elif path == f"/.well-known/oauth-authorization-server{self.path}":
            self.say(it, self.metadata() | self.overrides)
        elif path == "/authorize":
            self.agree(it)
        elif self.lets_in(it):
            it.answer(b"", 404, kind="text/plain")

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.origin,
            "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint": f"{self.origin}/token",
            "registration_endpoint": f"{self.origin}/register",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def agree(self, it: Exchange) -> None:
        asked = dict(parse_qsl(urlsplit(it.request.path).query))
        self.asked.append(asked)
        if without_port(asked["redirect_uri"]) not in map(without_port, self.known.get(asked["client_id"], [])):
            it.answer(b"no such client, or not this redirect_uri", 400, kind="text/plain")
            return
        code = f"code-{len(self.asked)}"
        self.codes[code] = Code(
            asked["client_id"], asked["redirect_uri"], asked["code_challenge"], asked.get("scope", "")
        )
        back = {"code": code, "state": asked["state"], "iss": self.origin} | self.changed
        it.answer(b"", 302, Location=f"{asked['redirect_uri']}?{'&'.join(f'{k}={v}' for k, v in back.items() if v)}")

    def post(self, it: Exchange) -> bool:
        if it.request.path == "/register":
            self.register(it)
        elif it.request.path == "/token":
            with self.lock:
                self.give(it)
        else:
            return not self.lets_in(it)
        return True

    def register(self, it: Exchange) -> None:
        asked = it.request.message
        if not asked["redirect_uris"] or not all(urlsplit(each).hostname for each in asked["redirect_uris"]):
            it.answer(b'{"error": "invalid_redirect_uri"}', 400, kind="application/json")
            return
        self.clients.append(asked)
        self.known[f"client-{len(self.clients)}"] = asked["redirect_uris"]
        self.say(it, {"client_id": f"client-{len(self.clients)}"})

    def give(self, it: Exchange) -> None:
        form = dict(parse_qsl(it.request.body.decode()))
        self.forms.append(form)
        if self.token_status != 200:
            told = {"error": "server_error", "message": f"what have you sent? {form}"}
            it.answer(json.dumps(told).encode(), self.token_status, kind="application/json")
            return
        if self.refuses_clients and client_of(it) not in self.known:
            it.answer(b'{"error": "invalid_client"}', 401, kind="application/json")
            return
        grant = self.grant_of(form, client_of(it))
        if grant is None:
            it.answer(b'{"error": "invalid_grant"}', 400, kind="application/json")
            return
        token, renewing = f"token-of-a-person-{len(self.forms)}", f"renewing-{len(self.forms)}"
        self.valid[token] = set(grant.scope.split())
        self.renewing[renewing] = grant
        given = {"access_token": token, "token_type": "bearer", "expires_in": 3600, "refresh_token": renewing}
        self.say(it, given | self.granted)

    def grant_of(self, form: dict[str, str], client_id: str) -> Code | None:
        """What the code or the refresh token of a request was given for; None where it is not valid."""
        if form["grant_type"] == "refresh_token":
            token = form["refresh_token"]
            if token in self.used:
                self.valid.clear()
                self.renewing.clear()
            self.used.add(token)
            found = self.renewing.pop(token, None) if self.renewable else None
            return found if found is not None and found.client_id == client_id else None
        found = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if found is None or (found.client_id, found.challenge) != (client_id, challenge):
            return None
        return found if found.redirect_uri == form["redirect_uri"] else None

    def lets_in(self, it: Exchange) -> bool:
        token = it.request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.valid:
            it.answer(b"", 401, WWW_Authenticate='Bearer realm="x", scope="basic"')
        elif it.request.message.get("method") == "tools/call" and not self.scopes <= self.valid[token]:
            needed = " ".join(self.scopes)
            it.answer(b"", 403, WWW_Authenticate=f'Bearer error="insufficient_scope", scope="{needed}"')
        else:
            return True
        return False

    @staticmethod
    def say(it: Exchange, value: dict[str, Any]) -> None:
        it.answer(json.dumps(value).encode(), kind="application/json")


class Robot:
    """Agrees at once. verify: the file of the authority of its certificates."""

    def __init__(self, port: int = 8765, verify: str | bool = True) -> None:
        self.redirect_uri = f"http://127.0.0.1:{port}/callback"
        self.urls: list[str] = []
        self.verify = verify

    def __call__(self, url: str) -> str:
        self.urls.append(url)
        return str(requests.get(url, allow_redirects=False, timeout=10, verify=self.verify).headers["Location"])


def without_port(url: str) -> str:
    """A redirect URI as it is compared (RFC 8252, 7.3)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"


def client_of(it: Exchange) -> str:
    """The client that a request to the token endpoint is from."""
    basic = it.request.headers.get("authorization", "").removeprefix("Basic ")
    if basic:
        return base64.b64decode(basic).decode().partition(":")[0]
    return dict(parse_qsl(it.request.body.decode())).get("client_id", "")


def client_with(server: HttpBad, auth: AuthBase) -> Client:
    return Client(lambda heard: Http(server.url, heard, auth=auth), "guarded", 20)


def called(server: HttpBad, auth: AuthBase) -> Any:
    with client_with(server, auth) as client:
        return client.call_tool("fault", {"fault": "none"})["content"]
