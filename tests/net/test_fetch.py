"""The guarded GET: what it refuses, what it tolerates, and that its limits hold."""

import json
import resource
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentkit import FetchError, Page, fetch
from agentkit.errors import BlockedAddressError
from agentkit.net.charset import decode
from agentkit.net.url_guard import check_url
from tests.support.site import Site, serve_site

OURS = Path(__file__).parents[1] / "cases" / "ssrf.jsonl"
SHARED = Path(__file__).parents[3] / "shared" / "cases" / "ssrf.jsonl"


def cases(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def check_verdict(case: dict[str, Any]) -> None:
    def resolver(host: str, port: int) -> list[str]:
        return list(case.get("resolves_to", []))

    if case["verdict"] == "allow":
        assert check_url(case["url"], resolver=resolver)
    else:
        with pytest.raises(BlockedAddressError):
            check_url(case["url"], resolver=resolver)


@pytest.mark.parametrize("case", cases(OURS), ids=lambda case: ascii(case["url"]))
def test_every_notation_of_an_address_gets_its_verdict(case: dict[str, Any]) -> None:
    check_verdict(case)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared cases are not here")
def test_every_shared_case_gets_its_verdict() -> None:
    wrong = []
    for case in cases(SHARED):
        try:
            check_verdict(case)
        except (AssertionError, FetchError, pytest.fail.Exception):
            wrong.append(case)
    assert wrong == []


def refusal(url: str) -> str | None:
    """The error message for a URL that is not fetched."""
    try:
        check_url(url, resolver=lambda host, port: ["93.184.215.14"])
    except FetchError as error:
        return str(error)
    return None


@settings(deadline=None, max_examples=300)
@given(st.text() | st.text().map("http://".__add__))
@example("http://[")
@example("http://[::1")
@example("http://1.2.3.4:99999999999999999999/")
@example("http://1.2.3.4:" + "9" * 5000)
@example("http://\u2488.\u2488.\u2488.\u2488/")
@example("http://example.com/\ud800")
@example("http://" + "\xe9" * 5000)
def test_any_text_is_either_fetched_or_refused_with_a_message(url: str) -> None:
    message = refusal(url)
    if message is not None:
        assert "fetched" in message
        assert message.isprintable()
        assert len(message) < 1000


def get(site: Site, path: str, **options: Any) -> Page:
    return fetch(site.url + path, **{"allow": [site.address], "timeout": 10.0, **options})


# Refused URLs


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
        "//169.254.169.254/",
        "http://localhost/",
        "http://metadata.google.internal/",
        "data:text/plain,hello",
    ],
)
def test_a_redirect_to_a_blocked_url_is_refused(site: Site, target: str) -> None:
    with pytest.raises(BlockedAddressError):
        get(site, f"/to?{target}")


def test_a_refused_redirect_names_the_page_that_redirects(site: Site) -> None:
    with pytest.raises(BlockedAddressError, match=r"10\.0\.0\.1 is not public \(http://127.*/to.* redirects there\)"):
        get(site, "/to?http://10.0.0.1/")


@pytest.mark.parametrize("target", ["http://[x", "//[x", "http://a]b/"])
def test_a_redirect_to_an_invalid_url_is_an_error(site: Site, target: str) -> None:
    with pytest.raises(FetchError, match="redirects"):
        get(site, f"/to?{target}")


def test_a_redirect_with_spaces_in_its_path_is_followed(site: Site) -> None:
    with pytest.raises(FetchError, match="/no%20such%20page answered 404"):
        get(site, "/to?/no%20such%20page")


def test_a_name_of_an_internal_network_is_fetched_when_its_network_is_allowed(site: Site) -> None:
    url = f"http://wiki.corp.lan:{site.port}/text"

    def resolver(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    assert fetch(url, allow=["127.0.0.0/8"], resolver=resolver).status == 200
    assert fetch(url, allow=["wiki.corp.lan"], resolver=resolver).status == 200
    for allow in ([], ["10.0.0.0/8"], ["other.corp.lan"], ["corp.lan"]):
        with pytest.raises(BlockedAddressError, match="internal network"):
            fetch(url, allow=allow, resolver=resolver)


def test_an_internal_name_with_one_address_outside_the_allowed_network_is_refused() -> None:
    with pytest.raises(BlockedAddressError, match=r"93\.184\.215\.14 is not an allowed address"):
        check_url(
            "http://wiki.corp.lan/", allow=["10.0.0.0/8"], resolver=lambda host, port: ["10.0.0.1", "93.184.215.14"]
        )


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


# Limits


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


@pytest.mark.parametrize("length", ["-1%0d%0a", "ffffffffffffffff%0d%0a", "1;"])
def test_a_chunk_of_a_false_length_uses_neither_memory_nor_time(site: Site, length: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    with pytest.raises(FetchError):
        get(site, f"/bad-chunk?{length}", max_bytes=1_000_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
    assert time.monotonic() - started < 3


def test_the_body_of_a_redirect_is_not_read(site: Site) -> None:
    started = time.monotonic()
    assert get(site, "/endless-redirect?/text").text.startswith("Plain words")
    assert time.monotonic() - started < 3


def test_an_endless_body_stops_at_the_byte_cap(site: Site) -> None:
    with pytest.raises(FetchError, match="larger than"):
        get(site, "/endless", max_bytes=3_000_000)


@pytest.mark.parametrize("path", ["/drip", "/drip-head", "/slow?20", "/to?/drip"])
def test_a_slow_server_is_aborted_at_the_timeout(site: Site, path: str) -> None:
    started = time.monotonic()
    with pytest.raises(FetchError, match=r"took longer than 0\.4 seconds"):
        get(site, path, timeout=0.4)
    assert time.monotonic() - started < 3


@contextmanager
def silent_address(host: str, port: int = 0) -> Iterator[int]:
    """A port where connections are never accepted, since the queue of its listener is full."""
    with socket.create_server((host, port), backlog=0) as full:
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        try:
            yield full.getsockname()[1]
        finally:
            for each in waiting:
                each.close()


def test_addresses_that_never_answer_are_aborted_at_the_timeout() -> None:
    with silent_address("127.0.0.1") as port:
        started = time.monotonic()
        with pytest.raises(FetchError, match=r"took longer than 0\.6 seconds"):
            fetch(
                f"http://wiki.example:{port}/",
                allow=["wiki.example"],
                resolver=lambda host, port: ["127.0.0.1"] * 4,
                timeout=0.6,
            )
        assert time.monotonic() - started < 2


def test_an_address_that_never_answers_leaves_time_for_the_next(site: Site) -> None:
    with silent_address("127.0.0.2", site.port):
        page = fetch(
            f"http://wiki.example:{site.port}/text",
            allow=["wiki.example"],
            resolver=lambda host, port: ["127.0.0.2", "127.0.0.1"],
            timeout=2,
        )
    assert page.status == 200


def test_a_name_that_is_never_resolved_is_aborted_at_the_timeout() -> None:
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
            headers={"Authorization": "Bearer secret", "Cookie": "a=secret", "X-API-Key": "secret", "X-Note": "kept"},
        )
    assert site.requests[0][1]["authorization"] == "Bearer secret"
    assert "secret" not in str(other.requests)
    assert other.requests[0][1]["x-note"] == "kept"


def test_secrets_in_headers_stay_on_a_redirect_within_the_site(site: Site) -> None:
    get(site, "/to?/text", headers={"Authorization": "Bearer secret"})
    assert site.requests[1][1]["authorization"] == "Bearer secret"


def test_no_cookies_are_kept_between_fetches(site: Site) -> None:
    for _ in range(2):
        get(site, "/cookie")
    assert [headers.get("cookie") for _, headers in site.requests] == [None, None]


def test_neither_proxies_nor_netrc_of_the_environment_are_used(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert get(site, "/text").status == 200
    assert "authorization" not in site.requests[0][1]


def test_a_request_sends_its_user_agent_and_supported_encodings(site: Site) -> None:
    get(site, "/text")
    sent = site.requests[0][1]
    assert sent["user-agent"].startswith("agentkit/")
    assert sent["accept-encoding"] == "gzip, deflate"


# Pages


def test_a_page_comes_with_its_address_type_and_bytes(site: Site) -> None:
    page = get(site, "/redirect/1")
    assert (page.url, page.status, page.content_type, page.charset) == (
        f"{site.url}/article",
        200,
        "text/html",
        "utf-8",
    )
    assert "31 metres" in page.text


@pytest.mark.parametrize("path", ["/gzip", "/deflate", "/raw-deflate", "/chunked"])
def test_bodies_are_complete_in_every_encoding(site: Site, path: str) -> None:
    assert "31 metres" in get(site, path).text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/latin1", "<p>Blåbærsyltetøy – 5 €</p>"),
        ("/shift-jis", '<meta charset="shift_jis"><p>灯台の高さ</p>'),
        ("/utf16", "<p>Vår fyrlykt</p>"),
        ("/wrong-charset", "<p>Smørbrød</p>"),
        ("/windows", "café “bar”"),
        ("/http-equiv", '<meta http-equiv="Content-Type" content="text/html; charset=koi8-r"><p>Маяк на скале</p>'),
        ("/xml", '<?xml version="1.0" encoding="iso-8859-1"?><p>Fløte</p>'),
        ("/misnamed", '<meta charset="shift_jis"><p>灯台の高さ</p>'),
        ("/empty", ""),
    ],
)
def test_charsets_are_read_as_browsers_read_them(site: Site, path: str, text: str) -> None:
    assert get(site, path).text == text


@pytest.mark.parametrize("charset", ["utf-8", None])
def test_a_page_cut_within_a_character_is_still_decoded(charset: str | None) -> None:
    content = ("Blåbærsyltetøy på brød. " * 100 + "ø").encode()[:-1]
    assert decode(content, charset).startswith("Blåbærsyltetøy på brød.")


@pytest.mark.parametrize("charset", ["punycode", "utf-7", "unicode_escape", "idna", "hex", "no/such", "\x00", ""])
def test_an_unknown_charset_is_ignored(charset: str) -> None:
    assert decode("+AGE- \\x41 é-9".encode(), charset) == "+AGE- \\x41 é-9"


@settings(deadline=None)
@given(st.binary(max_size=300), st.none() | st.text(max_size=12) | st.sampled_from(["utf-16", "big5", "iso-2022-jp"]))
def test_any_bytes_can_be_decoded(content: bytes, charset: str | None) -> None:
    assert isinstance(decode(content, charset), str)


# Errors


@pytest.mark.parametrize("status", [400, 403, 404, 410, 429, 500, 503])
def test_an_error_status_is_reported(site: Site, status: int) -> None:
    with pytest.raises(FetchError, match=f"answered {status}"):
        get(site, f"/status/{status}")


def test_the_server_s_reason_phrase_is_not_repeated(site: Site) -> None:
    with pytest.raises(FetchError) as raised:
        get(site, "/status/404")
    assert str(raised.value) == f"{site.url}/status/404 answered 404 Not Found"
    with pytest.raises(FetchError, match=r"answered 599$"):
        get(site, "/status/599")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/br", "compressed as 'br', which was not requested"),
        ("/bad-gzip", "compressed body is damaged"),
        ("/cut", "was incomplete"),
    ],
)
def test_a_body_that_can_not_be_read_is_reported(site: Site, path: str, why: str) -> None:
    with pytest.raises(FetchError, match=why):
        get(site, path)


def test_a_name_server_that_is_silent_is_not_taken_for_a_missing_host() -> None:
    def resolver(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    with pytest.raises(FetchError, match="try again later"):
        fetch("http://somewhere.example/", resolver=resolver)


def test_an_invalid_dns_answer_is_reported() -> None:
    with pytest.raises(FetchError, match="no IP address"):
        fetch("http://somewhere.example/", resolver=lambda host, port: ["elsewhere.example"])


def test_an_unreachable_server_is_reported() -> None:
    with serve_site() as site:
        pass
    with pytest.raises(FetchError, match="can't be reached"):
        get(site, "/article")


def test_a_host_that_does_not_exist_is_reported() -> None:
    def resolver(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    with pytest.raises(FetchError, match=r"the host nowhere\.example"):
        fetch("http://nowhere.example/", resolver=resolver)


@pytest.mark.parametrize("url", ["", 42, None, "example.com", "//example.com/"])
def test_an_invalid_url_is_reported(url: Any) -> None:
    with pytest.raises(FetchError, match="http"):
        fetch(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@example.com/",
        "http:/user:secret@example.com/",
        "http:\\\\user:secret@example.com/",
        "user:secret@example.com",
        "ftp://user:secret@example.com/",
    ],
)
def test_passwords_in_a_url_are_not_repeated(url: str) -> None:
    with pytest.raises(BlockedAddressError) as raised:
        fetch(url)
    assert "secret" not in str(raised.value)


# TLS


@pytest.fixture
def certificate(tmp_path: Path) -> ssl.SSLContext:
    """A server-side TLS context with an untrusted certificate."""
    key, signed = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=wiki.example"]
    try:
        subprocess.run([*command, "-keyout", str(key), "-out", str(signed)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not here to make a certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed, key)
    return context


@contextmanager
def one_caller(context: ssl.SSLContext) -> Iterator[int]:
    """Accept one TLS connection at the port it yields."""

    def answer() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):  # the client disconnects, as expected
            context.wrap_socket(connection, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_an_untrusted_certificate_is_refused(certificate: ssl.SSLContext) -> None:
    with one_caller(certificate) as port, pytest.raises(FetchError, match="TLS certificate is not valid"):
        fetch(f"https://127.0.0.1:{port}/", allow=["127.0.0.1"])


def test_tls_is_asked_for_the_name_and_not_for_the_address(certificate: ssl.SSLContext) -> None:
    names = []
    certificate.sni_callback = lambda connection, name, context: names.append(name)
    with one_caller(certificate) as port, pytest.raises(FetchError, match="certificate"):
        fetch(f"https://wiki.example:{port}/", allow=["wiki.example"], resolver=lambda host, port: ["127.0.0.1"])
    assert names == ["wiki.example"]


def test_a_server_without_tls_is_distinguished_from_one_with_a_bad_certificate(site: Site) -> None:
    with pytest.raises(FetchError, match="does not speak TLS"):
        fetch(f"https://{site.address}/text", allow=[site.address])


def test_a_tls_handshake_that_never_ends_is_aborted_at_the_timeout() -> None:
    done = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 kB begins
            while not done.wait(0.05):
                connection.sendall(b"\x02")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        started = time.monotonic()
        with pytest.raises(FetchError, match="took longer"):
            fetch(f"https://127.0.0.1:{listener.getsockname()[1]}/", allow=["127.0.0.1"], timeout=0.4)
        assert time.monotonic() - started < 2
        done.set()
        thread.join()
