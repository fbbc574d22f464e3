"""The addresses of model servers and proxies as people write them, and what is told of those that are wrong.

From public reports: openclaw#48107, hermes-agent#8766 and securityonion#15841 (a query in the base URL),
MoneyPrinterTurbo#57 (an endpoint as base URL), TaskWeaver#11 and OpenHands#485 (a base URL without "/v1"),
open-agent-spec#91 (a line break of a file), YouDub-webui#75 and ollama-python#424 (SOCKS).
"""

import os
from base64 import b64encode

import openai
import pytest

from agentkit import Agent, ConfigurationError
from agentkit.backends import OpenAIBackend
from agentkit.net.http_client import Transport
from tests.support.connect_proxy import serve_proxy
from tests.support.model_server import Answer, serve, whole


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def said(url: str) -> str:
    """What a model at a URL answers."""
    with Agent(OpenAIBackend("m", base_url=url, max_retries=0)) as agent:
        return str(agent.run("Hello").output)


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_a_query_of_the_base_url_stands_behind_each_path(end: str) -> None:
    with serve([whole("Here.")]) as server:
        assert said(f"{server.url}{end}?api-version=2025-01-01&tenant=a%20b") == "Here."
    assert server.requests[0].path == "/v1/chat/completions?api-version=2025-01-01&tenant=a%20b"


def test_a_path_with_a_query_keeps_its_own() -> None:
    with serve([whole("Here.")]) as server:
        transport = Transport(f"{server.url}?key=1")
        transport.post("/models?limit=2", {})
        transport.post(f"{server.url}/props", {})
        transport.close()
    assert [each.path for each in server.requests] == ["/v1/models?limit=2&key=1", "/v1/props"]


@pytest.mark.parametrize("space", ["\r\n", "\n", " ", "\t"])
def test_white_space_around_a_base_url_is_no_part_of_it(space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve([whole("Here.")]) as server:
        assert said(f"{space}{server.url}{space}") == "Here."
        monkeypatch.setenv("OPENAI_BASE_URL", server.url + space)
        monkeypatch.setenv("OPENAI_API_KEY", "x")
        with Agent("openai:m") as agent:
            assert agent.run("Hello").output == "Here."
    assert [each.path for each in server.requests] == ["/v1/chat/completions"] * 2


@pytest.mark.parametrize("end", ["", "/", "?api-version=1"])
def test_the_address_of_an_endpoint_is_refused(end: str) -> None:
    with pytest.raises(ConfigurationError, match=r"ends in /chat/completions, which is added to it") as raised:
        said(f"http://me:sesame@127.0.0.1:9/v1/chat/completions{end}")
    assert "sesame" not in str(raised.value)


@pytest.mark.parametrize("body", [b'{"detail": "Not Found"}', b"<html><h1>404 Not Found</h1></html>", b""])
def test_an_address_at_which_nothing_is_says_what_a_base_url_is(body: bytes) -> None:
    with serve([Answer(body, status=404)]) as server:
        with pytest.raises(openai.NotFoundError, match=r"is the base URL right\? it usually ends in /v1"):
            said(server.url.removesuffix("/v1") + "/api")


def test_a_model_that_is_not_there_is_no_wrong_address() -> None:
    with serve([Answer(b'{"error": {"message": "model \\"m\\" not found, try pulling it"}}', status=404)]) as server:
        with pytest.raises(openai.NotFoundError, match="try pulling it") as raised:
            said(server.url)
    assert "base URL" not in str(raised.value)


@pytest.mark.parametrize(
    ("written", "pair"),
    [
        ("\u674e:\u5bc6\u7801", "\u674e:\u5bc6\u7801".encode()),
        ("%E6%9D%8E:%E5%AF%86%E7%A0%81", "\u674e:\u5bc6\u7801".encode()),
        ("jos%C3%A9:a%3Ab%25%40", "jos\u00e9:a:b%@".encode()),
        ("jos%E9:p", b"jos\xe9:p"),  # in the encoding in which the proxy keeps it
        ("me", b"me:"),
    ],
)
def test_a_name_and_a_password_in_any_script_are_sent_as_they_are_written(
    written: str, pair: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    basic = f"Basic {b64encode(pair).decode()}"
    with serve([whole("Here.")]) as server, serve_proxy(target=server.http.server_port) as proxy:
        assert said(server.url.replace("//", f"//{written}@")) == "Here."
        monkeypatch.setenv("HTTP_PROXY", f"http://{written}@127.0.0.1:{proxy.port}")
        assert said("http://model.example/v1") == "Here."
    assert server.requests[0].headers["authorization"] == basic
    assert f"\r\nproxy-authorization: {basic}" in proxy.heads[0]


def test_a_proxy_of_another_kind_does_not_matter_where_it_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1,::1")
    with serve([whole("Here.")]) as server:
        assert said(server.url) == "Here."
