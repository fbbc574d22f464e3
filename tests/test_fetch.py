"""The guarded GET: what it refuses, what it bears, and that its caps hold."""

import json
import resource
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentkit import BlockedAddressError, FetchError, Page, fetch
from agentkit.fetch import check_url, decode
from tests.site import Site, serve_site

OURS = Path(__file__).parent / "cases" / "ssrf.jsonl"
SHARED = Path(__file__).parents[2] / "shared" / "cases" / "ssrf.jsonl"


def cases() -> Iterator[Any]:
    for file in (OURS, SHARED):
        if file.exists():
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
                yield pytest.param(json.loads(line), id=f"{file.parent.parent.name}-{number}")


@pytest.mark.parametrize("case", list(cases()))
def test_every_notation_of_an_address_gets_its_verdict(case: dict[str, Any]) -> None:
    def resolver(host: str, port: int) -> list[str]:
        return case.get("resolves_to", [])

    if case["verdict"] == "allow":
        assert check_url(case["url"], resolver=resolver)
    else:
        with pytest.raises(BlockedAddressError):
            check_url(case["url"], resolver=resolver)


@settings(deadline=None, max_examples=300)
@given(st.text() | st.text().map("http://".__add__))
@example("http://[")
@example("http://[::1")
@example("http://1.2.3.4:99999999999999999999/")
@example("http://\u2488.\u2488.\u2488.\u2488/")
def test_no_text_whatever_is_anything_but_fetched_or_refused_in_a_sentence(url: str) -> None:
    try:
        check_url(url, resolver=lambda host, port: ["93.184.215.14"])
    except FetchError as error:
        assert "fetched" in str(error)
        assert "\n" not in str(error)


def get(site: Site, path: str, **options: Any) -> Page:
    return fetch(site.url + path, **{"allow": [site.address], "timeout": 10.0, **options})


# What is refused


def test_loopback_is_refused_unless_it_is_allowed(site: Site) -> None:
    with pytest.raises(BlockedAddressError, match="not public"):
        fetch(site.url + "/article")
    assert site.requests == []
    for allow in ([site.address], ["127.0.0.1"], ["127.0.0.0/8"], "127.0.0.1"):
        assert fetch(site.url + "/article", allow=allow).status == 200
    with pytest.raises(BlockedAddressError):
        fetch(site.url + "/article", allow=["127.0.0.1:1"])


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "http://[::1]/",
        "http://0x7f.1/",
        "gopher://x.example/",
    ],
)
def test_a_redirect_to_what_is_refused_is_refused(site: Site, target: str) -> None:
    with pytest.raises(BlockedAddressError):
        get(site, f"/to?{target}")


def test_a_redirect_from_an_allowed_to_another_port_is_refused(site: Site) -> None:
    with serve_site() as other, pytest.raises(BlockedAddressError):
        get(site, f"/to?{other.url}/article")
    assert other.requests == []


def test_a_second_dns_answer_can_not_change_the_address(site: Site) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    asked = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    page = fetch(f"http://wiki.example:{site.port}/text", allow=["wiki.example"], resolver=resolver)
    assert page.text.startswith("Plain words")
    assert asked == ["wiki.example"]
    assert site.requests[0][1]["host"] == f"wiki.example:{site.port}"


def test_a_name_is_refused_when_one_of_its_addresses_is_not_public(site: Site) -> None:
    def resolver(host: str, port: int) -> list[str]:
        return ["93.184.215.14", "127.0.0.1"]

    with pytest.raises(BlockedAddressError, match=r"127\.0\.0\.1 is not public"):
        fetch(f"http://wiki.example:{site.port}/text", resolver=resolver)


def test_the_next_address_of_a_name_is_tried_when_one_does_not_answer(site: Site) -> None:
    def resolver(host: str, port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]  # the site listens on the second only

    assert fetch(f"http://wiki.example:{site.port}/text", allow=["wiki.example"], resolver=resolver).status == 200


# Caps


def test_a_body_over_the_cap_is_refused_or_cut(site: Site) -> None:
    with pytest.raises(FetchError, match="larger than 1,000 bytes"):
        get(site, "/long", max_bytes=1000)
    page = get(site, "/long", max_bytes=1000, truncate=True)
    assert (len(page.content), page.truncated) == (1000, True)
    whole = get(site, "/text", max_bytes=len(b"Plain words about the lighthouse."))
    assert not whole.truncated


def test_a_gzip_bomb_stops_at_the_byte_cap(site: Site) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FetchError, match="larger than"):
        get(site, "/bomb", max_bytes=1_000_000)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # kilobytes; the site is in this process too
    assert grown < 100_000


def test_an_endless_body_stops_at_the_byte_cap(site: Site) -> None:
    with pytest.raises(FetchError, match="larger than"):
        get(site, "/endless", max_bytes=3_000_000)


@pytest.mark.parametrize("path", ["/drip", "/drip-head", "/slow?20", "/to?/drip"])
def test_a_slow_server_is_left_when_the_time_is_up(site: Site, path: str) -> None:
    started = time.monotonic()
    with pytest.raises(FetchError, match=r"took longer than 0\.4 seconds"):
        get(site, path, timeout=0.4)
    assert time.monotonic() - started < 3


def test_a_name_that_is_never_resolved_is_left_when_the_time_is_up() -> None:
    def resolver(host: str, port: int) -> list[str]:
        time.sleep(1.5)
        return []

    started = time.monotonic()
    with pytest.raises(FetchError, match="not resolved in time"):
        fetch("http://slow.example/", resolver=resolver, timeout=0.2)
    assert time.monotonic() - started < 1.2


def test_redirects_are_followed_up_to_the_cap(site: Site) -> None:
    assert get(site, "/redirect/5").url == f"{site.url}/article"
    with pytest.raises(FetchError, match="more than 2 redirects"):
        get(site, "/redirect/3", max_redirects=2)
    with pytest.raises(FetchError, match="more than 5 redirects"):
        get(site, "/loop")


def test_secrets_in_headers_do_not_go_to_another_site(site: Site) -> None:
    with serve_site() as other:
        fetch(
            f"{site.url}/to?{other.url}/text",
            allow=["127.0.0.1"],
            headers={"Authorization": "Bearer secret", "X-Note": "kept"},
        )
    assert site.requests[0][1]["authorization"] == "Bearer secret"
    assert "authorization" not in other.requests[0][1]
    assert other.requests[0][1]["x-note"] == "kept"


def test_no_cookies_are_kept_between_fetches(site: Site) -> None:
    for _ in range(2):
        get(site, "/text")
    assert all("cookie" not in headers for _, headers in site.requests)


# What comes back


def test_a_page_comes_with_its_address_type_and_bytes(site: Site) -> None:
    page = get(site, "/redirect/1")
    assert (page.url, page.status, page.content_type, page.charset) == (
        f"{site.url}/article",
        200,
        "text/html",
        "utf-8",
    )
    assert "31 metres" in page.text


@pytest.mark.parametrize("path", ["/gzip", "/deflate"])
def test_compressed_bodies_are_read(site: Site, path: str) -> None:
    assert "31 metres" in get(site, path).text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/latin1", "<p>Blåbærsyltetøy – 5 €</p>"),
        ("/shift-jis", '<meta charset="shift_jis"><p>灯台の高さ</p>'),
        ("/utf16", "<p>Vår fyrlykt</p>"),
        ("/wrong-charset", "<p>Smørbrød</p>"),
        ("/windows", "café “bar”"),
        ("/empty", ""),
    ],
)
def test_charsets_are_read_as_browsers_read_them(site: Site, path: str, text: str) -> None:
    assert get(site, path).text == text


@settings(deadline=None)
@given(st.binary(max_size=300), st.none() | st.text(max_size=12))
def test_any_bytes_are_some_text(content: bytes, charset: str | None) -> None:
    assert isinstance(decode(content, charset), str)


# What goes wrong


@pytest.mark.parametrize("status", [400, 403, 404, 410, 429, 500, 503])
def test_an_error_status_is_told(site: Site, status: int) -> None:
    with pytest.raises(FetchError, match=f"answered {status}"):
        get(site, f"/status/{status}")


def test_a_server_that_is_not_there_is_told() -> None:
    with serve_site() as site:
        pass
    with pytest.raises(FetchError, match="can't be reached"):
        get(site, "/article")


def test_a_name_that_is_not_there_is_told() -> None:
    def resolver(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    with pytest.raises(FetchError, match=r"there is no host named nowhere\.example"):
        fetch("http://nowhere.example/", resolver=resolver)


@pytest.mark.parametrize("url", ["", 42, None, "example.com", "//example.com/"])
def test_what_is_no_url_is_told(url: Any) -> None:
    with pytest.raises(FetchError, match="http"):
        fetch(url)


def test_passwords_in_a_url_are_not_repeated() -> None:
    with pytest.raises(BlockedAddressError) as raised:
        fetch("http://user:secret@example.com/")
    assert "secret" not in str(raised.value)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path, site: Site) -> None:
    import socket
    import threading

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    try:
        subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not here to make a certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    """The client went away, as it should."""

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(FetchError, match="TLS certificate is not valid"):
            fetch(f"https://127.0.0.1:{listener.getsockname()[1]}/", allow=["127.0.0.1"])
        thread.join()
