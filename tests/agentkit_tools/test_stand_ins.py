"""What is read of a page that has no title or no text of its own, and what stands on it twice."""

import json

import pytest

from agentkit.evidence.ledger import key_of
from agentkit_tools import page_visitor
from agentkit_tools.page_text import html_text
from tests.support.site import serve_site

ABOUT = "The lighthouse of Tallow is 31 metres high, and was finished in 1794 by masons of the town. " * 4


def page(body: str, head: str = "") -> str:
    return f"<!doctype html><html><head><meta charset=utf-8>{head}</head><body>{body}</body></html>"


@pytest.mark.parametrize(
    ("head", "body", "title"),
    [
        ("<title>Own</title><meta property='og:title' content='Other'>", "<h1>Third</h1>", "Own"),
        ("<title> </title><meta property='og:title' content='Of the preview'>", "<h1>Third</h1>", "Of the preview"),
        ("<meta name='twitter:title' content='Of the preview'>", "", "Of the preview"),
        ("<meta property='og:title' content=''>", "<h1></h1><h1>The <b>heading</b></h1>", "The heading"),
        ("", "", ""),
    ],
)
def test_a_page_without_a_title_has_that_of_its_preview_or_heading(head: str, body: str, title: str) -> None:
    """edgi-govdata-archiving/web-monitoring-processing#863, mozilla/activity-stream#1067: an address was its title."""
    assert html_text(page(f"{body}<p>{ABOUT}</p>", head)).title == title


def test_a_page_that_scripts_fill_is_read_as_it_is_without_them() -> None:
    text = html_text(page(f"<div id=root></div><noscript><p>{ABOUT}</p><p>2nd</p></noscript>")).text
    assert text.startswith("The lighthouse of Tallow is 31 metres high")
    assert text.endswith("2nd")
    assert "lighthouse" not in html_text(page(f"<p>Short, but a text.</p><noscript>{ABOUT}</noscript>")).text


@pytest.mark.parametrize(
    "data",
    [
        {"@type": "NewsArticle", "articleBody": ABOUT},
        [{"@type": "WebSite"}, {"@type": "Article", "articleBody": f"<p>{ABOUT}</p>"}],
        {"@graph": [{"@type": "Article", "articleBody": ABOUT}]},
    ],
)
def test_an_article_that_stands_in_its_data_alone_is_read(data: object) -> None:
    """mozilla/readability#846, grangier/python-goose#157: pages made by scripts have their text in JSON-LD."""
    script = f'<script type="application/ld+json">{json.dumps(data)}</script>'
    assert html_text(page("<div id=root></div>", script)).text == ABOUT.strip()
    assert html_text(page("<p>The page has a text of its own.</p>", script)).text == "The page has a text of its own."


@pytest.mark.parametrize(
    "body",
    [
        "<noscript>You need to enable JavaScript to run this app.</noscript>",
        '<script type="application/ld+json">{"articleBody": "too short"}</script>',
        f'<script type="application/ld+json">{"[" * 100_000}</script>',
        f'<script type="application/ld+json">{{"articleBody": {json.dumps(ABOUT)}</script>',
        f'<noscript><p hidden>{ABOUT}</p><div style="display:none">{ABOUT}</div></noscript>',
    ],
    ids=["a request", "a few words", "too deep", "cut off", "hidden"],
)
def test_what_is_no_text_stands_in_for_none(body: str) -> None:
    assert html_text(page(f"<div id=root></div>{body}")).text == ""


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<span aria-hidden=true>★★★★☆</span><span class=sr-only>4 of 5 stars</span> by readers", "★★★★☆ by readers"),
        ("<b class=visually-hidden>Price</b><b aria-hidden=true>$19</b> with a cover", "$19 with a cover"),
        ("<i aria-hidden=true>copy</i> of 1794", "of 1794"),
        ("<span class=material-icons aria-hidden=true>close</span><span class=sr-only>Close</span> it", "it"),
    ],
)
def test_of_a_sign_and_its_words_for_screen_readers_the_one_that_is_seen_is_read(body: str, text: str) -> None:
    """DhruvParikh1/markdownload-extension-updated#44: what everybody sees was left out, as aria-hidden. A rating or
    price is written twice, once for each kind of reader. What nobody sees stays left out."""
    made = html_text(page(f"<main><p>{ABOUT}</p><p>{body}</p></main>")).text
    assert made.removeprefix(ABOUT.strip()).strip() == text


def test_a_page_under_several_addresses_is_shown_once() -> None:
    """StampyAI/stampy-ui#738, Albert-Weasker/niubigeo#12: one page was shown, and counted, as several sources."""
    with serve_site() as site:
        addresses = ["/article", "/redirect/2", "/article#keeper", "/article?utm_source=mail", "/article?a=1"]
        visit = page_visitor(allow=[site.address], cache=False)
        text = visit([site.url + each for each in addresses], "height")
    assert text.count("31 metres") == 2
    assert [line for line in text.splitlines() if line.startswith("source: ")] == [
        f"source: {site.url}/article",
        f"source: {site.url}/article?a=1",
    ]


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("https://www.example.org/a/?utm_source=x&utm_medium=y#z", "example.org/a"),
        ("https://example.org/a?id=1&fbclid=abc", "example.org/a?id=1"),
        ("https://example.org/a?gclid=1&id=2&UTM_campaign=q", "example.org/a?id=2"),
        ("https://example.org/a?utmost=1", "example.org/a?utmost=1"),
        ("https://example.org/?q=utm_source=1", "example.org/?q=utm_source=1"),
        ("https://example.org/a?id=1&id=2", "example.org/a?id=1&id=2"),
        ("notes/utm_source=1.md", "notes/utm_source=1.md"),
    ],
)
def test_where_a_reader_comes_from_makes_no_other_source(address: str, key: str) -> None:
    """umami-software/umami#1730, aaronpk/IndieNews#35: links of newsletters and posts counted as other pages."""
    assert key_of(address) == key


def test_a_page_of_frames_names_the_pages_that_it_shows() -> None:
    page = '<frameset cols="20%,80%"><frame src="menu.html"><frame src="/main.html"><frame src="http://["><frame></frameset>'
    found = html_text(f"<html><head><title>The manual</title></head>{page}</html>", "https://example.org/a/")
    shown = "https://example.org/a/menu.html https://example.org/main.html"
    assert found.text == f"[… the page has no text of its own; it shows these pages: {shown}]"


@pytest.mark.parametrize(
    ("shown", "named"),
    [
        # firecrawl/firecrawl#2363, groktopus/groktocrawl#40: the page was read without its document
        ("<iframe src='/files/paper.pdf#view=FitH'></iframe>", "https://example.org/files/paper.pdf"),
        ("<embed src='paper?id=7' type='application/pdf'>", "https://example.org/a/paper?id=7"),
        ("<object data='paper.pdf'><a href='paper.pdf'>Download</a></object>", "https://example.org/a/paper.pdf"),
        ("<iframe src='/pdfjs/viewer.html?file=/files/p.pdf'></iframe>", "https://example.org/files/p.pdf"),
        (
            "<iframe src='https://viewer.example/?url=https%3A%2F%2Fexample.org%2Fp.pdf&x=1'></iframe>",
            "https://example.org/p.pdf",
        ),
    ],
)
def test_a_page_names_the_document_that_it_shows(shown: str, named: str) -> None:
    note = f"[… the page shows a document, which is read at its own address: {named}]"
    found = html_text(page(f"<h1>A paper</h1><p>{ABOUT}</p>{shown}"), "https://example.org/a/").text
    assert found.startswith("# A paper\n\nThe lighthouse")
    assert found.endswith(f"\n\n{note}")
    assert html_text(page(shown), "https://example.org/a/").text == note


@pytest.mark.parametrize(
    "shown",
    ["<iframe src='https://ads.example/x'></iframe>", "<embed src='data:application/pdf;base64,x.pdf'>", "<object>"],
)
def test_what_else_a_page_shows_is_not_named(shown: str) -> None:
    assert "the page shows" not in html_text(page(f"<p>{ABOUT}</p>{shown}"), "https://example.org/a/").text
