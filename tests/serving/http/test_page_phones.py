"""The chat page on a phone, in a real browser that behaves like one: what users of other chat pages have reported."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving.http.test_page import answered, ask, browser, in_a_browser, model, playwright
from tests.serving.http.test_page_reports import PHONE, picture
from tests.support.http_service import Service, serve_http, settings_for, talk
from tests.support.model_server import ModelServer

__all__ = ["browser", "model"]

pytestmark = [in_a_browser, pytest.mark.timeout(120)]

WITH_KEYBOARD = {"width": 360, "height": 330}


@pytest.fixture
def service(tmp_path: Path, model: ModelServer) -> Iterator[Service]:
    with serve_http(settings_for(tmp_path, model.url)) as running:
        yield running


@pytest.fixture
def phone(browser: Any) -> Iterator[Any]:
    context = browser.new_context(**PHONE)
    yield context.new_page()
    context.close()


def height(page: Any, selector: str) -> float:
    found: float = page.locator(selector).bounding_box()["height"]
    return found


def test_many_files_leave_the_conversation_and_the_button_in_sight(service: Service, phone: Any) -> None:
    """Mail-0/Zero#43, RainLoop/rainloop-webmail#143: behind some pictures the button to send could not be reached, and
    nothing was seen of what they were for."""
    phone.goto(service.url)
    ask(phone, "markdown", on_phone=True)
    answered(phone)
    image = {"mimeType": "image/png", "buffer": picture(3_000)}
    phone.locator("#file").set_input_files([{"name": f"{number}.png", **image} for number in range(16)])
    playwright.expect(phone.locator("#images img")).to_have_count(16)
    assert height(phone, "#log") > 300
    phone.set_viewport_size(WITH_KEYBOARD)
    playwright.expect(phone.locator("#send")).to_be_in_viewport(ratio=1)
    assert height(phone, "#log") > 90
    phone.get_by_role("button", name="Remove Image 16").scroll_into_view_if_needed()
    phone.get_by_role("button", name="Remove Image 16").tap()
    playwright.expect(phone.locator("#images img")).to_have_count(15)
    assert phone.evaluate("[document.documentElement.scrollHeight - innerHeight, scrollY]") == [0, 0]


def test_many_refusals_leave_the_conversation_in_sight(service: Service, phone: Any) -> None:
    phone.goto(service.url)
    ask(phone, "markdown", on_phone=True)
    answered(phone)
    empty = {"mimeType": "text/plain", "buffer": b""}
    names = [f"a file with a long name, number {number}.txt" for number in range(14)]
    phone.locator("#file").set_input_files([{"name": name, **empty} for name in names])
    playwright.expect(phone.get_by_role("alert").first).to_contain_text("number 13.txt is empty")
    playwright.expect(phone.locator("#send")).to_be_in_viewport(ratio=1)
    assert height(phone, "#log") > 250


def test_pulling_the_conversation_down_does_not_load_the_page_anew(service: Service, phone: Any) -> None:
    """ChatGPTNextWeb/NextChat#1319, open-chat-labs/open-chat#926: it did, with the files that were to be sent."""
    phone.goto(service.url)
    kinds = "['html', 'body', '#log'].map((each) => getComputedStyle(document.querySelector(each)).overscrollBehaviorY)"
    assert phone.evaluate(kinds) == ["contain"] * 3


def test_nothing_is_under_the_camera_of_a_phone_on_its_side(service: Service, phone: Any) -> None:
    """DestinyItemManager/DIM#3794, nextcloud/talk-ios#218."""
    talk(service, "tides", "markdown")
    phone.set_viewport_size({"width": 660, "height": 330})
    phone.goto(f"{service.url}/#tides")
    answered(phone)
    insets = {"left": 48, "right": 48, "bottom": 21, "top": 0}
    phone.context.new_cdp_session(phone).send("Emulation.setSafeAreaInsetsOverride", {"insets": insets})
    outside = """() => [...document.querySelectorAll("button, textarea, input:not([hidden]), a.open, .turn, h1, h2")]
      .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.matches(".unseen"))
      .map((each) => [each, each.getBoundingClientRect()])
      .filter(([, { left, right }]) => right > 0 && (left < 48 || right > 660 - 48))
      .map(([each]) => each.outerHTML.slice(0, 80))"""
    assert phone.evaluate(outside) == []
    phone.get_by_label("Open the list of conversations").tap()
    playwright.expect(phone.get_by_role("link", name="markdown")).to_be_visible()
    assert phone.evaluate(outside) == []


def test_a_search_does_not_wait_for_the_end_of_a_word_on_android(service: Service, browser: Any) -> None:
    """unovue/reka-ui#2806, mui/base-ui#2944: the keyboards of Android compose each word, and what waits for its end
    finds nothing meanwhile."""
    for name in ("tides", "ships"):
        talk(service, name, name)
    agent = "Mozilla/5.0 (Linux; Android 16; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0"
    context = browser.new_context(**PHONE, user_agent=agent + " Mobile Safari/537.36")
    page = context.new_page()
    page.goto(service.url)
    page.get_by_label("Open the list of conversations").tap()
    playwright.expect(page.locator("#sessions li")).to_have_count(2)
    page.get_by_role("searchbox").tap()
    context.new_cdp_session(page).send(
        "Input.imeSetComposition", {"text": "tid", "selectionStart": 3, "selectionEnd": 3}
    )
    playwright.expect(page.locator("#sessions li")).to_have_count(1)
    playwright.expect(page.locator("#found")).to_have_text("1 found")
    context.close()


def test_a_finger_leaves_the_end_of_an_answer_that_arrives(service: Service, phone: Any) -> None:
    """danny-avila/LibreChat#983: a finger begins with some pixels, from which each piece of the answer led back."""
    for number in range(5):
        talk(service, "tides", f"markdown {number}")
    phone.goto(f"{service.url}/#tides")
    answered(phone, 5)
    ask(phone, "endless", on_phone=True)
    playwright.expect(phone.locator(".assistant").last).to_contain_text("word20")
    log = phone.locator("#log")
    to_go = "(log) => log.scrollHeight - log.scrollTop - log.clientHeight"
    assert log.evaluate(to_go) < 2
    client = phone.context.new_cdp_session(phone)
    client.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": 180, "y": 200}]})
    for step in range(30):
        point = {"x": 180, "y": 200 + 5 * step}
        client.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        phone.wait_for_timeout(20)
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert log.evaluate(to_go) > 100
    phone.get_by_role("button", name="To the end").tap()
    phone.wait_for_timeout(500)
    assert log.evaluate(to_go) < 2
    phone.get_by_role("button", name="Stop").tap()
    answered(phone, 6)


def test_the_box_is_wide_enough_with_large_letters(service: Service, phone: Any) -> None:
    """WCAG 1.4.4, zooniverse/front-end-monorepo#7053: one letter of twice the size had room in a line of the box."""
    phone.goto(service.url)
    narrow = phone.locator("#message").bounding_box()
    assert narrow["width"] > 150
    assert abs(narrow["y"] - phone.locator("#send").bounding_box()["y"]) < 2  # in one row, with usual ones
    phone.evaluate("document.documentElement.style.fontSize = '200%'")
    assert phone.locator("#message").bounding_box()["width"] > 150
    playwright.expect(phone.locator("#send")).to_be_in_viewport(ratio=1)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
