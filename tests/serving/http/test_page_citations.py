"""The chat page in a real browser: each cited sentence has a mark, which shows what the source says."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.serving.http.test_page import XSS, answered, ask, browser, in_a_browser, page, playwright
from tests.support.cited_tools import CLEF, READ, citing
from tests.support.http_service import Service, serve_http, settings_for
from tests.support.model_server import ModelServer, serve

__all__ = ["browser", "page"]

BACKWARDS = "\u202e\u2067txt.exe"
SHOWN = r"\u{202e}\u{2067}txt.exe"

ODD = f"""{CLEF} **Bold and cited [1].** It is _odd_ [1], says [a page](https://x.example/a_b), as [2, 7] say too.

- An item with `code[0]` in it.

| name | number |
|---|---|
| row | 7 [3](https://b.example/) |
"""
SAID: dict[str, list[tuple[int | None, str]]] = {
    "Bold and cited [1].": [(1, "supported")],
    "It is _odd_ [1], says [a page](https://x.example/a_b), as [2, 7] say too.": [(1, "not found"), (2, "weak")],
    "An item with `code[0]` in it.": [(None, "no source")],
    "row | 7 [3": [(3, "supported"), (4, "no source")],
}


def citations() -> list[dict[str, Any]]:
    """Hostile ones, on sentences between which there is all that Markdown has."""
    return [
        {
            "sentence": sentence,
            "start": ODD.index(sentence),
            "end": ODD.index(sentence) + len(sentence),
            "source": number,
            "verdict": verdict,
            "address": "" if number is None else f"javascript:window.hit={number}{BACKWARDS}",
            "title": XSS + BACKWARDS,
            "quote": XSS + BACKWARDS,
            "reason": XSS + BACKWARDS,
        }
        for sentence, sources in SAID.items()
        for number, verdict in sources
    ]


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with serve(citing) as server:
        yield server


@pytest.fixture(scope="module")
def service(model: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = settings_for(tmp_path_factory.mktemp("cited"), model.url, agentkit_tools=(READ,))
    with serve_http(settings) as running:
        yield running


@in_a_browser
def test_a_mark_shows_the_passage_when_it_arrives_and_after_a_reload(service: Service, page: Any) -> None:
    page.goto(service.url)
    ask(page, "Norway?")
    view = answered(page)
    for _ in range(2):
        mark = view.get_by_role("button", name="Source 1, supported")
        playwright.expect(mark).to_have_text("[1]")
        mark.hover()
        card = page.get_by_role("dialog", name="Source 1")
        playwright.expect(card).to_contain_text("Oslo is the capital of Norway")
        playwright.expect(card.get_by_role("link")).to_have_attribute("href", "https://a.example/oslo")
        page.mouse.move(5, 300)
        playwright.expect(card).to_have_count(0)
        assert (
            view.locator(".claim[data-verdict='not found']")
            .first.inner_text()
            .startswith("The mayor founded 42 zoos in 1999")
        )
        file = view.get_by_role("button", name="Source 2, supported")
        file.click()
        card = page.get_by_role("dialog", name="Source 2")
        playwright.expect(card).to_contain_text("notes/bergen.txt")
        assert card.get_by_role("link").count() == 0
        page.get_by_label("Your message").click()
        playwright.expect(card).to_have_count(0)
        playwright.expect(view.get_by_role("button", name="Source 9, no source")).to_be_visible()
        page.locator("#sessions .open").first.click()
        page.reload()


@in_a_browser
def test_marks_are_used_with_the_keyboard(service: Service, page: Any) -> None:
    page.goto(service.url)
    ask(page, "Norway?")
    answered(page).get_by_role("button", name="Source 1, supported").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    card = page.get_by_role("dialog", name="Source 1")
    playwright.expect(card).to_be_visible()
    page.keyboard.press("Tab")
    playwright.expect(card.get_by_role("link")).to_be_focused()
    page.keyboard.press("Escape")
    playwright.expect(card).to_have_count(0)
    playwright.expect(page.get_by_role("button", name="Source 1, supported")).to_be_focused()
    page.keyboard.press("Enter")
    playwright.expect(card).to_be_visible()


@in_a_browser
def test_hostile_citations_on_odd_markdown_on_a_phone(service: Service, browser: Any) -> None:
    """open-webui/open-webui#30277: a mark in bold text is none; suurt8ll/open_webui_functions#146,
    tilgovi/dom-anchor-text-position#6, doccano/doccano#99: places that are counted otherwise."""
    context = browser.new_context(viewport={"width": 360, "height": 640}, color_scheme="dark", has_touch=True)
    page = context.new_page()
    history = {
        "session_id": "x",
        "name": "x",
        "messages": [{"role": "assistant", "content": ODD, "tool_calls": [], "images": [], "citations": citations()}],
    }
    page.route("**/api/llm/chat/session/history", lambda route: route.fulfill(json=history))
    page.goto(f"{service.url}/#x")
    said = page.locator(".said")
    playwright.expect(said.locator(".cite")).to_have_count(5)
    assert [mark.inner_text() for mark in said.locator(".cite").all()] == ["[1]", "[1]", "[2]", "[3]", "[4]"]
    assert said.locator("strong .claim").inner_text() == "Bold and cited [1]."
    assert said.locator(".claim em, em .claim").first.inner_text() == "odd"
    assert "as [2][7] say too." in said.inner_text()
    assert said.get_by_role("link", name="a page").get_attribute("href") == "https://x.example/a_b"
    assert said.locator("td").count() == 2
    assert not set(map(chr, range(0xFDD0, 0xFDF0))) & set(page.content())
    said.get_by_role("button", name="Source 1, not found").tap()
    card = page.get_by_role("dialog", name="Source 1")
    playwright.expect(card).to_contain_text(XSS)
    reason, quote, title, address = (XSS + SHOWN, XSS + SHOWN, XSS + SHOWN, f"javascript:window.hit=1{SHOWN}")
    assert card.locator("bdi").all_text_contents() == [reason, quote, title, address]
    assert card.get_by_role("link").count() == 0
    box = card.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    said.get_by_role("button", name="Source 1, not found").tap()
    playwright.expect(card).to_have_count(0)
    said.get_by_text("An item with").tap()
    playwright.expect(page.get_by_role("dialog", name="No source")).to_be_visible()
    playwright.expect(page.get_by_role("dialog")).to_have_count(1)
    page.locator("#title").tap()
    playwright.expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_text("Sources: 1 supported").tap()
    playwright.expect(page.locator(".cited li")).to_have_count(4)
    assert page.locator(".cited li").first.locator("bdi").all_text_contents() == [title, address]
    assert not set(BACKWARDS[:2]) & set(page.content())
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("window.hit") is None
    assert page.locator("#log img, #log iframe, #log script, #log svg, #log a[href^=javascript]").count() == 0
    context.close()
