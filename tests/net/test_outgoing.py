"""Proxies and TLS files of the environment: only what an address needs is read, and what can't work is named."""

import os
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit import Agent, APIError, ConfigurationError, FetchError, fetch
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.event import TextDelta
from agentkit.net.outgoing import HTTPX, REQUESTS, is_exempt, proxy_for
from tests.support.lightllm_server import Says, serve_lightllm
from tests.support.model_server import QuietServer, delta, running, serve, streamed, whole

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")
TLS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSLKEYLOGFILE")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without any of the variables."""
    for name in (*VARIABLES, *(name.lower() for name in VARIABLES), *TLS):
        monkeypatch.delenv(name, raising=False)


def ask(url: str, stream: bool = False) -> str:
    backend = OpenAIBackend("m", base_url=url, max_retries=0)
    try:
        if not stream:
            return str(Agent(backend).run("Go.").output)
        return "".join(event.text for event in Agent(backend).stream("Go.") if isinstance(event, TextDelta))
    finally:
        backend.close()


def ask_lightllm(url: str) -> str:
    backend = LightLLMBackend("Qwen3-8B", url, max_retries=0)
    try:
        return str(Agent(backend).run("Go.").output)
    finally:
        backend.close()


UNUSABLE = [
    "socks5://127.0.0.1:1",
    "socks5h://127.0.0.1:1",
    "socks://127.0.0.1:1/",
    "http://h:port",
    "http//h:1",
    "h:1:2",
]


@pytest.mark.parametrize("proxy", [*UNUSABLE, "http://127.0.0.1:1", "127.0.0.1:1"])
@pytest.mark.parametrize("exempt", ["localhost,127.0.0.1", "127.0.0.0/8", "*", " .corp , 127.0.0.1 ", "localhost"])
def test_a_proxy_that_an_address_does_not_need_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, proxy: str, exempt: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("NO_PROXY", exempt)
    assert proxy_for("http://127.0.0.1:8080/v1", HTTPX) is None
    assert proxy_for("http://127.0.0.1:8080/v1", REQUESTS) is None


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_server_on_loopback_is_reached_past_an_unusable_proxy(
    monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:1/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    answer = streamed(delta(content="Done."), delta("stop")) if stream else whole("Done.")
    with serve([answer]) as server:
        assert ask(server.url, stream) == "Done."
    with serve_lightllm([Says("Done.")]) as other:
        assert ask_lightllm(other.url) == "Done."


@pytest.mark.parametrize("proxy", UNUSABLE)
@pytest.mark.parametrize("backend", [OpenAIBackend, LightLLMBackend])
def test_an_unusable_proxy_is_one_sentence_that_names_the_variable_and_no_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str, backend: type[OpenAIBackend] | type[LightLLMBackend]
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy.replace("h:", "user:hunter22@h:"))
    with pytest.raises(ConfigurationError, match=r"ALL_PROXY .*NO_PROXY") as raised:
        backend("m", base_url="http://127.0.0.1:8080/v1")
    assert "hunter22" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({"HTTP_PROXY": "http://p:1"}, "http://a/", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://a/", None),
        ({"HTTPS_PROXY": "http://p:1", "ALL_PROXY": "http://q:1"}, "https://a/", "http://p:1"),
        ({"HTTPS_PROXY": "", "ALL_PROXY": "http://q:1"}, "https://a/", "http://q:1"),
        ({"HTTP_PROXY": "http://p:1", "http_proxy": "http://q:1"}, "http://a/", "http://q:1"),
        ({"HTTP_PROXY": "http://p:1", "http_proxy": ""}, "http://a/", None),
        ({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "http://a/", None),
        ({"HTTP_PROXY": "p:3128"}, "http://a/", "http://p:3128"),
        ({"HTTP_PROXY": "user:pass@p:3128"}, "http://a/", "http://user:pass@p:3128"),
        ({"HTTP_PROXY": " HTTP://p:1\n"}, "http://a/", "http://p:1"),
        ({"all_proxy": "http://[::1]:1"}, "http://a/", "http://[::1]:1"),
    ],
)
def test_the_proxy_is_that_of_the_scheme_and_lower_case_takes_precedence(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, proxy: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = proxy_for(url, HTTPX)
    assert (found.url if found else None) == proxy


@pytest.mark.parametrize(
    ("entries", "host", "port", "expected"),
    [
        ("example.com", "example.com", 80, True),
        ("example.com", "www.example.com", 80, True),
        ("example.com", "notexample.com", 80, False),
        (".example.com", "www.example.com", 80, True),
        ("*.example.com", "www.example.com", 80, True),
        ("EXAMPLE.com.", "www.Example.COM", 80, True),
        ("example.com:8080", "example.com", 8080, True),
        ("example.com:8080", "example.com", 80, False),
        ("http://example.com", "example.com", 80, True),
        ("https://example.com", "example.com", 80, False),
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("10.1.2.3:80", "10.1.2.3", 80, True),
        ("192.168.*", "192.168.7.7", 80, True),
        ("::1", "::1", 80, True),
        ("[::1]", "::1", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("fe80::/10", "fe80::1", 80, True),
        ("[fe80::]/10", "fe80::1", 80, True),
        ("::1/128,127.0.0.0/8", "localhost", 80, True),
        ("localhost", "127.0.0.1", 80, True),
        ("127.0.0.1", "localhost", 80, True),
        ("a b;c", "b", 80, True),
        (",,", "b", 80, False),
        ("[", "b", 80, False),
        ("10.0.0.0/99", "10.0.0.1", 80, False),
        ("*", "anything", 80, True),
    ],
)
def test_no_proxy_has_names_domains_addresses_networks_and_ports(
    monkeypatch: pytest.MonkeyPatch, entries: str, host: str, port: int, expected: bool
) -> None:
    monkeypatch.setenv("NO_PROXY", entries)
    assert is_exempt(host, port, "http") is expected


@given(st.text(alphabet="ab.*:/[]%,@ 0123456789-", max_size=40), st.sampled_from(["a", "127.0.0.1", "::1", ""]))
def test_no_value_of_the_variables_is_a_crash(value: str, host: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", value)
        is_exempt(host, 80, "http")
        patch.setenv("NO_PROXY", "")
        patch.setenv("HTTP_PROXY", value)
        try:
            proxy_for("http://a/", HTTPX)
        except ConfigurationError as error:
            assert "HTTP_PROXY" in str(error)


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy on loopback that answers by itself: its URL, and the URLs that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            asked.append(self.path)
            body = whole("By proxy.").body
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    http: ThreadingHTTPServer = QuietServer(("127.0.0.1", 0), Handler)
    with running(http):
        yield f"http://127.0.0.1:{http.server_port}", asked


def test_a_proxy_that_works_is_used(monkeypatch: pytest.MonkeyPatch, proxy: tuple[str, list[str]]) -> None:
    url, asked = proxy
    monkeypatch.setenv("http_proxy", url)
    assert ask("http://model.example/v1") == "By proxy."
    assert asked == ["http://model.example/v1/chat/completions"]


def test_a_proxy_that_is_down_is_named_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    for call in (ask, ask_lightllm):
        with pytest.raises(APIError, match="through the proxy of HTTP_PROXY") as raised:
            call("http://127.0.0.1:9/v1")
        assert "NO_PROXY=127.0.0.1" in str(raised.value)


@pytest.mark.parametrize("variable", TLS)
def test_a_missing_file_for_tls_does_not_matter_without_tls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "missing" / "file"))
    with serve([whole("Done.")]) as server:
        assert ask(server.url) == "Done."
    with serve_lightllm([Says("Done.")]) as other:
        assert ask_lightllm(other.url) == "Done."


@pytest.mark.parametrize(
    ("variable", "backend"),
    [
        ("SSL_CERT_FILE", OpenAIBackend),
        ("SSL_CERT_DIR", OpenAIBackend),
        ("SSLKEYLOGFILE", OpenAIBackend),
        ("REQUESTS_CA_BUNDLE", LightLLMBackend),
        ("CURL_CA_BUNDLE", LightLLMBackend),
        ("SSLKEYLOGFILE", LightLLMBackend),
    ],
)
def test_a_missing_file_for_tls_is_named(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
    backend: type[OpenAIBackend] | type[LightLLMBackend],
) -> None:
    missing = str(tmp_path / "missing" / "file")
    monkeypatch.setenv(variable, missing)
    with pytest.raises(ConfigurationError, match=re.escape(f"{variable} names {missing!r}")):
        backend("m", base_url="https://127.0.0.1:9/v1")


def test_a_file_without_certificates_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        ask("https://127.0.0.1:9/v1")


def test_fetch_names_a_key_log_that_can_not_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "missing" / "keys"))
    with serve([whole("")]) as server:
        address = server.url.removeprefix("http://").removesuffix("/v1")
        with pytest.raises(FetchError, match="SSLKEYLOGFILE"):
            fetch(f"https://{address}/", allow=[address])


def test_the_environment_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "*")
    before = dict(os.environ)
    with serve([whole("Done.")]) as server:
        ask(server.url)
    assert dict(os.environ) == before
