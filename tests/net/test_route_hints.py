"""The error of a server that can't be reached says what to look at."""

import socket
import ssl
from pathlib import Path

import openai
import pytest

from agentkit import Agent, ConfigurationError
from agentkit.backends import OpenAIBackend
from agentkit.net.outgoing import URLLIB3
from agentkit.net.route_hints import route_hint
from tests.support.connect_proxy import serve_proxy
from tests.support.raw_server import serve_raw
from tests.support.tls_proxy import serve_tls

URL = "https://model.example/v1"


def failure(url: str) -> str:
    backend = OpenAIBackend("m", base_url=url, api_key="sk-12345678", max_retries=0, timeout=5)
    try:
        with pytest.raises(openai.APIConnectionError) as raised:
            Agent(backend).run("Hello")
    finally:
        backend.close()
    return str(raised.value)


def plain(reply: bytes):  # type: ignore[no-untyped-def]
    def handle(client: socket.socket, number: int) -> None:
        client.recv(65536)
        client.sendall(reply)

    return serve_raw(handle)


def test_a_proxy_that_wants_a_password_is_running(monkeypatch: pytest.MonkeyPatch) -> None:
    """encode/httpx#3283, postmanlabs/postman-app-support#9116"""
    with serve_proxy("me:right") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        said = failure(URL)
    assert "the proxy of HTTPS_PROXY wants a user and a password" in said
    assert "%40 for @" in said
    assert "NO_PROXY=model.example" in said
    assert "is it running" not in said


def test_a_proxy_that_refuses_the_server_is_told_from_one_that_is_not_running(monkeypatch: pytest.MonkeyPatch) -> None:
    with plain(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n") as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
        said = failure(URL)
    assert "the proxy of HTTPS_PROXY refuses to connect to model.example" in said
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert "is it running?" in failure(URL)


def test_a_proxy_without_tls_is_written_with_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """urllib3/urllib3#2105, encode/httpx#951, pydantic/httpx2#366"""
    with plain(b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{server.port}")
        said = failure(URL)
    assert "does the proxy of HTTPS_PROXY speak TLS? Else write http://host:port" in said


@pytest.mark.parametrize("password", ["p@ss:w#rd", "pa/ss"])
def test_special_characters_in_the_password_of_a_proxy_are_told_how_to_write(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """himanshub16/ProxyMan#28, fatedier/frp#272, postmanlabs/postman-app-support#6227"""
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{password}@127.0.0.1:3128")
    with pytest.raises(ConfigurationError, match="%23 for #") as raised:
        OpenAIBackend("m", base_url=URL)
    assert password not in str(raised.value)


def test_a_server_without_tls_is_written_with_http() -> None:
    with plain(b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        said = failure(f"https://127.0.0.1:{server.port}/v1")
    assert "does it speak TLS at this port? Else write http://" in said


def test_what_is_no_http_server_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with plain(b"SSH-2.0-OpenSSH_9.6\r\n") as server:
        assert "is that an HTTP server?" in failure(f"http://127.0.0.1:{server.port}/v1")


def test_a_name_that_is_not_known_is_told() -> None:
    assert "is its name right, and is there a network?" in failure("https://no-such-host.invalid/v1")


def test_an_authority_that_is_not_known_is_named_by_a_variable(tmp_path: Path) -> None:
    """Behind a network that inspects TLS, each certificate is of its own authority."""
    with serve_tls(tmp_path, 9) as (port, _):
        said = failure(f"https://127.0.0.1:{port}/v1")
    assert "set SSL_CERT_FILE to a file with its certificate" in said
    assert "is the server running" not in said


@pytest.mark.parametrize(
    "words", ["Missing Authority Key Identifier", "Basic Constraints of CA cert not marked critical"]
)
def test_a_certificate_that_later_pythons_refuse_is_not_one_of_an_unknown_authority(words: str) -> None:
    """python/cpython#138193, urllib3/urllib3#3665, sgallagher/sscg#74"""
    error = ssl.SSLCertVerificationError(1, f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {words}")
    hint = route_hint(URL, URLLIB3, error)
    assert "Python 3.13" in hint
    assert "SSL_CERT_FILE" not in hint
