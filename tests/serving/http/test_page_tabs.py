"""Several tabs of one browser that show the same conversation."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving.http.test_page import answered, ask, browser, in_a_browser, model, page, playwright
from tests.support.http_service import Service, serve_http, settings_for, talk
from tests.support.model_server import ModelServer

__all__ = ["browser", "model", "page"]

pytestmark = [in_a_browser, pytest.mark.timeout(120)]


@pytest.fixture
def service(tmp_path: Path, model: ModelServer) -> Iterator[Service]:
    with serve_http(settings_for(tmp_path, model.url)) as running:
        yield running


@pytest.fixture
def other(page: Any) -> Any:
    made = page.context.new_page()
    made.set_default_timeout(10_000)
    return made


def delete(page: Any, name: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=name, exact=True).focus()
    page.keyboard.press("Delete")


def test_a_conversation_that_is_deleted_in_another_tab_does_not_go_on_without_its_beginning(
    service: Service, page: Any, other: Any, model: ModelServer
) -> None:
    """gwdg/chat-ai#2: tabs that did not know of each other. What was asked next was answered as the first message."""
    talk(service, "tides", "tides")
    for each in (page, other):
        each.goto(f"{service.url}/#tides")
        playwright.expect(each.locator(".turn")).to_have_count(2)
    other.get_by_label("Your message").fill("What did I say first?")
    delete(page, "tides")
    page.get_by_label("Your message").focus()
    playwright.expect(other.get_by_role("alert").first).to_contain_text("deleted elsewhere", timeout=15_000)
    playwright.expect(other.locator(".turn")).to_have_count(0)
    playwright.expect(other.get_by_label("Your message")).to_have_value("What did I say first?")
    assert not other.url.endswith("#tides")
    other.get_by_label("Your message").focus()
    other.keyboard.press("Enter")
    answered(other)
    playwright.expect(other.get_by_role("alert").first).to_be_hidden()


def test_what_is_said_in_another_tab_takes_a_deletion_back(service: Service, page: Any, other: Any) -> None:
    talk(service, "tides", "tides")
    for each in (page, other):
        each.goto(f"{service.url}/#tides")
        playwright.expect(each.locator(".turn")).to_have_count(2)
    delete(page, "tides")
    playwright.expect(page.locator("#undo")).to_contain_text("Deleted: tides")
    ask(other, "ships")
    answered(other, 2)
    playwright.expect(page.locator("#undo")).to_be_empty()
    playwright.expect(page.get_by_role("navigation").get_by_role("link", name="tides", exact=True)).to_be_visible()


def test_what_is_read_stays_in_its_place_when_something_is_said_elsewhere(
    service: Service, page: Any, other: Any
) -> None:
    """RocketChat/Rocket.Chat#1833, babble#215: the page jumped to the end, or lost what was unfolded and selected."""
    for number in range(30):
        talk(service, "tides", f"markdown {number}")
    for each in (page, other):
        each.goto(f"{service.url}/#tides")
        playwright.expect(each.locator(".turn")).to_have_count(60)
    page.wait_for_timeout(300)
    shown = page.locator(".assistant").nth(12)
    shown.evaluate("(each) => { each.scrollIntoView(); each.dataset.mine = ''; }")
    page.wait_for_timeout(300)
    place = "(each) => each.getBoundingClientRect().top"
    before = shown.evaluate(place)
    ask(other, "markdown again")
    playwright.expect(page.locator(".turn")).to_have_count(62)
    playwright.expect(page.locator(".usage")).to_have_count(31)
    page.wait_for_timeout(300)
    assert page.locator("[data-mine]").count() == 1
    assert abs(page.locator("[data-mine]").evaluate(place) - before) < 3
    playwright.expect(page.get_by_role("button", name="To the end")).to_be_visible()
