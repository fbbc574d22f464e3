"""What headers and first bytes mean: never an error, in linear time, whatever they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.net.charset import decode
from agentkit.net.content_coding import compressions
from agentkit.net.media_type import content_type_of, read_as
from agentkit.net.refresh import refresh_in, refresh_of
from agentkit_tools.walls import wall_of
from tests.support.growth import assert_linear


@given(st.text(max_size=200), st.binary(max_size=300))
def test_any_header_and_body_has_a_meaning(header: str, content: bytes) -> None:
    kind, _ = content_type_of(header)
    assert isinstance(read_as(kind, content), str)
    assert isinstance(compressions(header), list)
    refresh_of(header), refresh_in(b'<meta http-equiv="refresh" content="' + content)
    assert isinstance(wall_of({}, header, header, header), str)


@pytest.mark.parametrize(
    ("header", "meaning"),
    [
        ("text/html, text/html; charset=utf-8", ("text/html", "utf-8")),
        ("text/html; charset=gbk, text/html", ("text/html", "gbk")),
        ("text/html; charset=gbk, text/plain", ("text/plain", None)),
        ("text/html;charset=gbk, */*", ("text/html", "gbk")),
        ('text/html; x="a, b/c"; charset=utf-8', ("text/html", "utf-8")),
        ("text/html; charset='utf-8'", ("text/html", "utf-8")),
        ("text/html; charset : utf-8", ("text/html", "utf-8")),
        (";charset=utf-8", ("", "utf-8")),
        ("text", ("", None)),
        ("", ("", None)),
    ],
)
def test_a_content_type_is_read_as_browsers_read_it(header: str, meaning: tuple[str, str | None]) -> None:
    assert content_type_of(header) == meaning


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("0; url=/a", "/a"),
        ("0;url='/a'", "/a"),
        ('0;URL="/a" trailing', "/a"),
        ("0,/a", "/a"),
        ("0 /a", "/a"),
        ("0.5; url = /a", "/a"),
        ("; url=/a", None),
        ("0; url=", None),
        ("0", None),
        ("60; url=/a", None),
        ("x; url=/a", None),
        (None, None),
    ],
)
def test_a_refresh_is_read_as_browsers_read_it(value: str | None, address: str | None) -> None:
    assert refresh_of(value) == address


@pytest.mark.parametrize(
    "piece",
    [
        b"<!--", b"<!-- -->", b"<meta ", b"<meta charset", b'<meta http-equiv="refresh" content="0;url=', b"<script>",
        b"</script ", b"<title>Just a moment...</title>", b"<script captcha-delivery", b"\xe4\xb8", b"a\xff", b"<html ",
        b"to continue accept ", b"verify you are ", b"<input type=password ", b"<noscript>", b" ", b'"', b",",
    ],
)  # fmt: skip
def test_hostile_pages_are_looked_at_in_linear_time(piece: bytes) -> None:
    def look(size: int) -> None:
        content = piece * (size // len(piece))
        decode(content, "gbk")
        read_as("", content)
        refresh_in(content)
        text = content.decode("latin-1")
        content_type_of(text)
        refresh_of(text)
        wall_of({}, text, text[:300], text[:1400])

    assert_linear(look, 60_000)
