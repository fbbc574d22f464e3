"""`visit` does what a site asks for: robots.txt, its crawl delay, Retry-After, few requests; and keeps pages."""

import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any

import pytest

from agentkit import ToolError, fetch
from agentkit.errors import BlockedAddressError, FetchError, StatusError
from agentkit_tools import page_visitor
from tests.support.traps import ENGLISH, UTF8, Trap, TrapSite, page, serve_traps, typed

PAGE = page(ENGLISH).encode()


@pytest.fixture
def traps() -> Iterator[TrapSite]:
    with serve_traps() as running:
        yield running


def visited(traps: TrapSite, *paths: str, **options: Any) -> str:
    visit = page_visitor(allow=[traps.address], **{"timeout": 3, **options})
    return visit([traps.at(path) for path in paths], "the height")


def text(content: str, status: int = 200, **headers: str) -> Trap:
    return Trap("", content.encode(), "", typed("text/plain; charset=utf-8", **headers), status)


def answer(status: int = 200, content: bytes = PAGE, /, **headers: str) -> Trap:
    return Trap("", content, "", typed(UTF8, **headers), status)


# robots.txt


@pytest.mark.parametrize(
    ("rules", "path", "is_allowed"),
    [
        ("User-agent: *\nDisallow: /private", "/private/a", False),
        ("User-agent: *\nDisallow: /private", "/public", True),
        ("User-agent: *\nDisallow: /\nAllow: /public", "/public", True),
        ("User-agent: *\nDisallow: /*.php$", "/a.php", False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: AgentKit\nDisallow:", "/a", True),
        ("User-agent: agentkit\nDisallow: /\n\nUser-agent: *\nAllow: /", "/a", False),
        ("\ufeffUser-agent: *\nDisallow: /", "/a", False),
        ("User-agent: *\nDisallow:", "/a", True),
        ("<!doctype html><html><body>Disallow: / User-agent: *</body></html>", "/a", True),
        ("", "/a", True),
    ],
)
def test_robots_txt_decides_what_is_visited(traps: TrapSite, rules: str, path: str, is_allowed: bool) -> None:
    traps.answers = {"/robots.txt": text(rules), path: answer()}
    if is_allowed:
        assert "31 metres" in visited(traps, path)
    else:
        with pytest.raises(ToolError, match=r"robots\.txt does not allow it"):
            visited(traps, path)
        assert traps.paths() == []
        assert "31 metres" in visited(traps, path, robots=False)


@pytest.mark.parametrize(("status", "is_allowed"), [(404, True), (403, True), (429, True), (500, False), (503, False)])
def test_a_missing_robots_txt_allows_all_and_a_failing_server_nothing(
    traps: TrapSite, status: int, is_allowed: bool
) -> None:
    traps.answers = {"/robots.txt": text("x", status), "/a": answer()}
    if is_allowed:
        assert "31 metres" in visited(traps, "/a")
    else:
        with pytest.raises(ToolError, match=r"robots\.txt can't be read"):
            visited(traps, "/a")


def test_robots_txt_is_asked_once_for_a_site_and_also_for_a_redirect(traps: TrapSite) -> None:
    traps.answers = {
        "/robots.txt": text("User-agent: *\nDisallow: /private"),
        "/a": answer(),
        "/to": answer(302, b"", location="/private"),
    }
    with pytest.raises(ToolError, match=r"/private was not fetched: the site's robots\.txt"):
        visited(traps, "/to")
    visited(traps, "/a", "/a?b", cache=False)
    assert [path for path, _ in traps.requests].count("/robots.txt") == 1
    assert "/private" not in traps.paths()


def test_a_crawl_delay_is_kept_and_one_that_takes_too_long_is_told(traps: TrapSite) -> None:
    times: list[float] = []

    def at(headers: dict[str, str]) -> Trap:
        times.append(time.monotonic())
        return answer()

    traps.answers = {"/robots.txt": text("User-agent: *\nCrawl-delay: 0.2"), "/a": at, "/b": at}
    visited(traps, "/a", "/b")
    assert abs(times[1] - times[0]) > 0.15
    with serve_traps() as other:
        other.answers = {"/robots.txt": text("User-agent: *\nCrawl-delay: 9"), "/a": answer(), "/b": answer()}
        assert "asks to wait 9 seconds before the next request" in visited(other, "/a", "/b", timeout=2)


def test_at_most_two_requests_to_a_host_at_once(traps: TrapSite) -> None:
    running, most, lock = [0], [0], threading.Lock()

    def slow(headers: dict[str, str]) -> Trap:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.05)
        with lock:
            running[0] -= 1
        return answer()

    paths = [f"/{number}" for number in range(6)]
    traps.answers = dict.fromkeys(paths, slow)
    assert visited(traps, *paths).count("source:") == 6
    assert most[0] == 2


# Retry-After


def once(first: Trap, then: Trap) -> Callable[[dict[str, str]], Trap]:
    answers = [first]
    return lambda headers: answers.pop() if answers else then


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("after", ["0", "0.1", formatdate(0, usegmt=True)])
def test_a_short_retry_after_is_honoured(traps: TrapSite, status: int, after: str) -> None:
    traps.answers = {"/a": once(answer(status, retry_after=after), answer())}
    assert "31 metres" in visited(traps, "/a")


@pytest.mark.parametrize(
    "after",
    ["120", formatdate(time.time() + 7200, usegmt=True), "99999999999999999999"],
    ids=["seconds", "date", "overlong"],
)
def test_a_long_retry_after_is_told(traps: TrapSite, after: str) -> None:
    traps.answers = {"/a": answer(429, retry_after=after)}
    with pytest.raises(ToolError, match=r"answered 429 Too Many Requests, and asks to try again after \d+ seconds"):
        visited(traps, "/a")
    assert traps.paths() == ["/a"]


@pytest.mark.parametrize("after", ["soon", "", "-1", "nan"])
def test_a_retry_after_without_a_time_is_an_error_as_others(traps: TrapSite, after: str) -> None:
    traps.answers = {"/a": answer(503, retry_after=after)}
    with pytest.raises(ToolError, match="answered 503 Service Unavailable"):
        visited(traps, "/a")


def test_a_server_that_asks_again_and_again_is_given_up(traps: TrapSite) -> None:
    traps.answers = {"/a": answer(429, retry_after="0")}
    with pytest.raises(ToolError, match="answered 429"):
        visited(traps, "/a")
    assert len(traps.paths()) == 3


# The cache


@pytest.mark.parametrize(
    ("validator", "condition"),
    [
        ({"etag": '"1"'}, ("if-none-match", '"1"')),
        ({"etag": 'W/"1"'}, ("if-none-match", 'W/"1"')),
        (
            {"last_modified": "Mon, 05 Jan 2026 10:00:00 GMT", "cache_control": "no-cache"},
            ("if-modified-since", "Mon, 05 Jan 2026 10:00:00 GMT"),
        ),
    ],
)
def test_a_kept_page_is_asked_for_again_by_its_validator(
    traps: TrapSite, validator: dict[str, str], condition: tuple[str, str]
) -> None:
    def asked(headers: dict[str, str]) -> Trap:
        return answer(304, b"", **validator) if headers.get(condition[0]) == condition[1] else answer(**validator)

    traps.answers = {"/a": asked}
    first, second = visited(traps, "/a"), visited(traps, "/a")
    assert first == second
    assert traps.requests[-1][1][condition[0]] == condition[1]
    assert condition[0] not in traps.requests[-2][1]


def test_a_fresh_page_is_not_asked_for_again_and_a_changed_one_is_replaced(traps: TrapSite) -> None:
    traps.answers = {"/a": answer(cache_control="max-age=60"), "/b": answer(etag='"1"')}
    visited(traps, "/a"), visited(traps, "/a")
    assert traps.paths() == ["/a"]
    visited(traps, "/b")
    traps.answers["/b"] = answer(200, page("Now it is 32 metres high.").encode(), etag='"2"')
    assert "32 metres" in visited(traps, "/b")


@pytest.mark.parametrize("headers", [{"cache_control": "no-store"}, {"vary": "*", "cache_control": "max-age=60"}, {}])
def test_what_may_not_be_kept_is_asked_for_again(traps: TrapSite, headers: dict[str, str]) -> None:
    traps.answers = {"/a": answer(**headers)}
    visited(traps, "/a"), visited(traps, "/a")
    assert traps.paths() == ["/a", "/a"]
    assert "if-none-match" not in traps.requests[-1][1]


def test_a_kept_page_is_not_shown_to_who_may_not_fetch_it(traps: TrapSite) -> None:
    traps.answers = {"/a": answer(cache_control="max-age=60")}
    visited(traps, "/a")
    with pytest.raises(ToolError, match="is not public"):
        page_visitor()([traps.at("/a")], "x")


def test_without_a_cache_nothing_is_kept(traps: TrapSite) -> None:
    traps.answers = {"/a": answer(cache_control="max-age=60")}
    visited(traps, "/a", cache=False), visited(traps, "/a", cache=False)
    assert traps.paths() == ["/a", "/a"]


def test_a_damaged_cache_is_as_good_as_none(traps: TrapSite, tmp_path: Any) -> None:
    (tmp_path / "pages").write_bytes(b"no database" * 100)
    traps.answers = {"/a": answer(cache_control="max-age=60")}
    for _ in range(2):
        assert "31 metres" in visited(traps, "/a", cache=tmp_path / "pages")
    assert "31 metres" in visited(traps, "/a", cache=tmp_path)  # a folder can't be one
    assert (tmp_path / "pages").stat().st_mode & 0o077 == 0


def test_the_cache_is_bounded(traps: TrapSite, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.net.page_cache.MAX_BYTES", 3 * len(PAGE))
    paths = [f"/{number}" for number in range(6)]
    traps.answers = dict.fromkeys(paths, answer(cache_control="max-age=60"))
    for path in paths:
        visited(traps, path, cache=tmp_path / "pages")
    traps.requests.clear()
    visited(traps, "/5", cache=tmp_path / "pages"), visited(traps, "/0", cache=tmp_path / "pages")
    assert traps.paths() == ["/0"]


# fetch


def test_a_body_that_is_too_long_by_its_own_account_is_not_read(traps: TrapSite) -> None:
    traps.answers = {"/a": answer(200, b"", content_length="5000000000")}
    started = time.monotonic()
    with pytest.raises(FetchError, match="larger than 10,000,000 bytes"):
        fetch(traps.at("/a"), allow=[traps.address])
    assert time.monotonic() - started < 2


def test_a_document_that_is_too_long_is_refused_and_a_text_is_cut(traps: TrapSite) -> None:
    pdf = Trap("", b"%PDF-1.4", "", typed("application/pdf", content_length="5000000000"))
    traps.answers = {"/pdf": pdf, "/text": text("31 metres. " * 100, content_length="5000000000")}
    with pytest.raises(ToolError, match="larger than 500 bytes"):
        visited(traps, "/pdf", max_bytes=500)
    assert "was truncated" in visited(traps, "/text", max_bytes=500)


def test_cookies_are_kept_until_the_end_of_the_redirects(traps: TrapSite) -> None:
    def welcome(headers: dict[str, str]) -> Trap:
        if "seen=1" in headers.get("cookie", ""):
            return answer()
        return answer(302, b"", location="/a", set_cookie="seen=1; Path=/")

    traps.answers = {"/a": welcome}
    assert b"31 metres" in fetch(traps.at("/a"), allow=[traps.address]).content
    assert [headers.get("cookie") for _, headers in traps.requests] == [None, "seen=1"]
    fetch(traps.at("/a"), allow=[traps.address])
    assert traps.requests[2][1].get("cookie") is None


def test_an_error_tells_its_status_headers_and_body(traps: TrapSite) -> None:
    traps.answers = {"/a": answer(503, b"down", retry_after="7")}
    with pytest.raises(StatusError) as raised:
        fetch(traps.at("/a"), allow=[traps.address])
    assert (raised.value.status, raised.value.headers["retry-after"], raised.value.content) == (503, "7", b"down")


def test_a_refresh_to_a_private_address_is_refused(traps: TrapSite) -> None:
    traps.answers = {"/a": answer(refresh="0;url=http://169.254.169.254/")}
    with pytest.raises(BlockedAddressError, match="redirects there"):
        fetch(traps.at("/a"), allow=[traps.address])


def test_what_came_of_a_body_that_breaks_off_is_read_and_said(traps: TrapSite) -> None:
    traps.answers = {"/a": answer(200, PAGE, content_length=str(len(PAGE) + 500))}
    found = visited(traps, "/a")
    assert "31 metres" in found
    assert "was broken off or damaged" in found
    with pytest.raises(FetchError, match="incomplete"):
        fetch(traps.at("/a"), allow=[traps.address])
