"""A teaser is not taken for the whole article: what the site says of who may read it is told."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agentkit_tools import page_visitor
from agentkit_tools.for_subscribers import NOTE, may_be_a_beginning

TEASER = (
    "The harbour board has decided to sell the old lighthouse, this newspaper has learnt from three of its members."
)
JSON_LD = '<script type="application/ld+json">{"@type": "NewsArticle", "isAccessibleForFree": %s}</script>'
MARKS = {
    "json": JSON_LD % "false",
    "text": JSON_LD % '"False"',
    "part": JSON_LD % 'true, "hasPart": {"@type": "WebPageElement", "isAccessibleForFree": false}',
    "open-graph": '<meta property="article:content_tier" content="locked">',
    "microdata": '<meta itemprop="isAccessibleForFree" content="false">',
}
FREE = {
    "free": JSON_LD % "true",
    "metered": '<meta property="article:content_tier" content="metered">',
    "unmarked": "",
}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name = self.path.strip("/")
        count = 40 if name.startswith("long-") else 1
        head = {**MARKS, **FREE}.get(name.removeprefix("long-"))
        body = f"<!doctype html><title>News</title>{head}<article>{f'<p>{TEASER}</p>' * count}</article>".encode()
        self.send_response(404 if head is None else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is printed."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def read(address: str, name: str) -> str:
    return page_visitor(allow=[address], cache=False)([f"http://{address}/{name}"], "the lighthouse")


@pytest.mark.parametrize("name", MARKS)
def test_of_a_teaser_it_is_said_that_it_may_be_only_the_beginning(address: str, name: str) -> None:
    # codelucas/newspaper#150, mediacloud/metadata-lib#80: the teaser was read as the article
    found = read(address, name)
    assert TEASER in found
    assert NOTE in found


@pytest.mark.parametrize("name", [*FREE, "long-json"])
def test_nothing_is_said_of_a_page_that_is_free_or_long(address: str, name: str) -> None:
    # flairNLP/fundus#546: some sites mark all of their articles, and show them
    found = read(address, name)
    assert TEASER in found
    assert NOTE not in found


def test_a_page_without_text_is_no_beginning() -> None:
    assert not may_be_a_beginning(MARKS["json"].encode(), "")
