"""Keys: where they are sent, and that nobody is shown them."""

import base64
import logging
import re
import traceback
from typing import Any

import pytest
import requests
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from agentkit import Agent
from agentkit.errors import ConfigurationError
from agentkit.openapi import openapi
from agentkit.testing import ScriptedBackend
from tests.openapi.specs import answer, description, parameter, tool_of, tools_of
from tests.support.api_server import ApiServer, Received, Reply

KEY = "sk-very+secret/0123"
SCHEMES: dict[str, dict[str, Any]] = {
    "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    "query": {"type": "apiKey", "in": "query", "name": "api key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "session"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "Basic"},
    "oauth": {"type": "oauth2", "flows": {}},
    "digest": {"type": "http", "scheme": "digest"},
    "tls": {"type": "mutualTLS"},
}


def secured(security: Any = None, **more: Any) -> dict[str, Any]:
    operation = {"operationId": "call", **more} | ({} if security is None else {"security": security})
    return description({"/things": {"get": operation}}, components={"securitySchemes": SCHEMES})


class Signed(AuthBase):
    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["X-Signature"] = f"v1 {KEY}"
        return r


def where(received: Received) -> dict[str, str]:
    names = ("authorization", "x-api-key", "cookie", "x-signature")
    found = {name: received.headers[name] for name in names if name in received.headers}
    return found | ({"query": received.query} if received.query else {})


BASIC = "Basic " + base64.b64encode("ann:päss:word".encode()).decode()


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (None, {}),
        (KEY, {"authorization": f"Bearer {KEY}"}),
        (("ann", "päss:word"), {"authorization": BASIC}),
        (HTTPBasicAuth("ann", "word"), {"authorization": "Basic YW5uOndvcmQ="}),
        (Signed(), {"x-signature": f"v1 {KEY}"}),
        ({"header": KEY}, {"x-api-key": KEY}),
        ({"query": KEY}, {"query": "api%20key=sk-very%2Bsecret%2F0123"}),
        ({"cookie": KEY}, {"cookie": "session=sk-very%2Bsecret%2F0123"}),
        ({"bearer": KEY}, {"authorization": f"Bearer {KEY}"}),
        ({"oauth": KEY}, {"authorization": f"Bearer {KEY}"}),
        ({"basic": ("ann", "päss:word")}, {"authorization": BASIC}),
        ({"basic": "ann:päss:word"}, {"authorization": BASIC}),
        ({"header": KEY, "cookie": KEY}, {"x-api-key": KEY, "cookie": "session=sk-very%2Bsecret%2F0123"}),
    ],
)
def test_a_key_is_sent_where_its_scheme_says(api: ApiServer, auth: Any, expected: dict[str, str]) -> None:
    answer(tool_of(secured(), api.url, auth=auth))
    assert where(api.last) == expected


@pytest.mark.parametrize(
    ("security", "expected"),
    [
        (None, {"x-api-key", "query"}),
        ([], set()),
        ([{"header": []}], {"x-api-key"}),
        ([{"header": [], "query": []}], {"x-api-key", "query"}),
        ([{"bearer": []}, {"query": []}], {"query"}),
        ([{"bearer": []}], set()),
        ([{}, {"header": []}], {"x-api-key"}),
        ([{"header": [], "bearer": []}], {"x-api-key"}),
    ],
)
def test_an_operation_is_sent_the_keys_that_it_asks_for(api: ApiServer, security: Any, expected: set[str]) -> None:
    answer(tool_of(secured(security), api.url, auth={"header": KEY, "query": KEY}))
    assert set(where(api.last)) == expected


def test_the_keys_of_swagger(api: ApiServer) -> None:
    schemes = {"k": {"type": "apiKey", "in": "query", "name": "key"}, "b": {"type": "basic"}}
    paths = {"/things": {"get": {"operationId": "call", "security": [{"k": [], "b": []}]}}}
    spec = {"swagger": "2.0", "paths": paths, "securityDefinitions": schemes}
    answer(tool_of(spec, api.url, auth={"k": KEY, "b": "ann:word"}))
    assert where(api.last) == {"query": "key=sk-very%2Bsecret%2F0123", "authorization": "Basic YW5uOndvcmQ="}


@pytest.mark.parametrize("place", ["header", "query", "cookie"])
def test_a_key_is_no_argument_of_the_models(place: str, api: ApiServer) -> None:
    name = SCHEMES[place]["name"]
    given = [parameter(name, place), parameter("q")]
    tool = tool_of(secured(parameters=given), api.url, auth={place: KEY})
    assert list(tool.parameters["properties"]) == ["q"]
    answer(tool, '{"q": "x"}')
    assert "q=x" in api.last.query


@pytest.mark.parametrize(
    "auth", [KEY, ("ann", KEY), Signed(), *({name: KEY} for name in ("header", "query", "cookie"))]
)
@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("kind", ["application/json", "text/html", "text/plain"])
def test_nobody_is_shown_a_key(
    api: ApiServer, auth: Any, status: int, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def answers(received: Received) -> Reply:
        seen = f'"{received.headers} {received.target} {KEY}"'.replace("\\", "")
        return Reply(status, seen.encode(), kind, {"location": f"/{KEY}"})

    api.answers = answers
    with caplog.at_level(logging.DEBUG):
        tools = openapi(secured(), api.url, auth=auth)
        outcome = Agent(ScriptedBackend(("call", {}), "Done."), tools=tools).run("Call it.")
    secrets = [KEY, "sk-very%2Bsecret%2F0123", base64.b64encode(f"ann:{KEY}".encode()).decode()]
    shown = [str(outcome.messages), caplog.text, repr(tools), repr(tools[0].function), str(vars(tools[0]))]
    assert "(key)" in shown[0]
    assert [secret for secret in secrets for text in shown if secret in text] == []


def test_a_key_is_in_no_error_of_a_connection(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        said = answer(tools_of(secured(), auth={"query": KEY, "header": KEY})["call"])
    assert "secret" not in said + caplog.text


def fails(request: requests.PreparedRequest) -> requests.PreparedRequest:
    raise requests.HTTPError(f"401 for url: https://a.example/token?client_secret={KEY}")


def fails_later(request: requests.PreparedRequest) -> requests.PreparedRequest:
    request.hooks["response"] = [lambda response, **_: fails(response.request)]
    return request


def sets(value: str) -> Any:
    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Api-Key"] = value
        return request

    return sign


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        (sets(f"{KEY}\n"), r"has set a header that can't be sent \(it is not shown here\)"),
        (sets(f"{KEY}\u2014"), "has set a header that can't be sent"),
        (fails, r"could not be made \(is auth= right\?\): HTTPError"),
        (fails_later, r"could not be made \(is auth= right\?\): HTTPError"),
    ],
    ids=range(4),
)
def test_what_signs_requests_shows_no_key_when_it_fails(
    api: ApiServer, auth: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        outcome = Agent(ScriptedBackend(("call", {}), "Done."), tools=openapi(secured(), api.url, auth=auth)).run("Go.")
    assert re.search(said, str(outcome.messages))
    assert len(api.received) == (auth is fails_later)
    assert "sk-very" not in str(outcome.messages) + caplog.text
    assert "test_auth.py" in caplog.text or "header" in said


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        ({"nothing": KEY}, "auth names the security scheme 'nothing', which .* it has 'header', 'query'"),
        ({"digest": KEY}, r"auth\['digest'\]: a security scheme of the kind 'http digest'"),
        ({"tls": KEY}, "of the kind 'mutualtls"),
        ({"basic": KEY}, "a user and a password"),
        ({"header": f"{KEY}\n"}, "contains a line break"),
        (f"Bearer {KEY}", "give the key alone"),
        (("ann",), "a user and a password"),
        (("a:b", KEY), "a user and a password"),
        (7, "auth is a int"),
        ([KEY], "auth is a list"),
    ],
)
def test_a_key_that_can_not_be_sent_is_refused_without_showing_it(auth: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        openapi(secured(), "http://127.0.0.1:9", auth=auth)
    assert "secret" not in "".join(traceback.format_exception_only(caught.value))


def test_the_challenge_of_a_server_is_answered(api: ApiServer) -> None:
    challenge = {"www-authenticate": 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'}
    api.answers = lambda received: (
        Reply() if "authorization" in received.headers else Reply(401, b"", headers=challenge)
    )
    tool = tool_of(secured(parameters=[parameter("q")]), api.url, auth=HTTPDigestAuth("ann", KEY))
    assert answer(tool, '{"q": "a/b"}') == "{}"
    assert [each.target for each in api.received] == ["/things?q=a%2Fb"] * 2
    assert api.last.headers["authorization"].startswith('Digest username="ann"')


def test_a_scheme_of_a_stranger_can_not_write_headers() -> None:
    spec = secured()
    spec["components"] = {"securitySchemes": {"k": {"type": "apiKey", "in": "header", "name": "X\r\nHost: evil"}}}
    with pytest.raises(ConfigurationError, match="no name that a header can have"):
        openapi(spec, "http://127.0.0.1:9", auth={"k": KEY})
