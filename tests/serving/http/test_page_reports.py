"""What users of other chat pages have reported, tried on this one in a real browser."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agentkit_tools.file_text import read_file
from tests.serving.http.test_page import answered, ask, browser, in_a_browser, model, page, playwright
from tests.support.http_service import Service, serve_http, settings_for, talk
from tests.support.model_server import ModelServer

__all__ = ["browser", "model", "page"]

pytestmark = [in_a_browser, pytest.mark.timeout(120)]

LOGIN = "<!doctype html><title>Sign in</title>"
PHONE = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def service(tmp_path: Path, model: ModelServer) -> Iterator[Service]:
    with serve_http(settings_for(tmp_path, model.url)) as running:
        yield running


def test_all_of_a_conversation_is_printed_and_nothing_else(service: Service, page: Any, tmp_path: Path) -> None:
    """open-webui/open-webui#1280, danny-avila/LibreChat#2480, odysseus-dev/odysseus#3132: one page, of what was in
    sight, with the list and the box."""
    for number in range(30):
        talk(service, "long", f"markdown {number}")
    page.goto(f"{service.url}/#long")
    playwright.expect(page.locator(".assistant")).to_have_count(30)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    file = tmp_path / "printed.pdf"
    file.write_bytes(page.pdf(format="A4"))
    text = read_file(file.name, file.read_bytes()).text
    assert all(f"markdown {number}" in text for number in range(30))
    assert text.count("Some bold text") == 30
    assert not {word for word in ("Send", "Copy", "Search", "API", "Again") if word in text}
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "light"


def test_a_keyboard_on_the_screen_leaves_the_box_in_sight(service: Service, page: Any) -> None:
    """jmfederico/pi-web#162, kirodotdev/KiroCrew#3893: on Android the keyboard lies over the box, unless the page
    says that it is to be made smaller."""
    page.goto(service.url)
    content = page.locator("meta[name=viewport]").get_attribute("content")
    assert "interactive-widget=resizes-content" in content


def test_no_field_is_so_small_that_a_phone_enlarges_the_page(service: Service, browser: Any) -> None:
    """receptron/mulmoclaude#2935, nesquena/hermes-webui#630: iOS does so below 16 pixels."""
    context = browser.new_context(**PHONE)
    page = context.new_page()
    page.goto(service.url)
    sizes = page.evaluate(
        """() => {
          const answer = document.createElement("form");
          answer.className = "answer";
          answer.innerHTML = "<textarea></textarea><textarea class=changed></textarea><input type=number><select>";
          document.getElementById("log").append(answer);
          const fields = [...document.querySelectorAll("textarea, select, input:not([type=file])")];
          return fields.map((each) => [each.id || each.className, parseFloat(getComputedStyle(each).fontSize)]);
        }"""
    )
    context.close()
    assert len(sizes) > 5
    assert [name for name, size in sizes if size < 16] == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"status": 200, "content_type": "text/html", "body": LOGIN}, id="a page"),
        pytest.param({"status": 401, "content_type": "text/html", "body": LOGIN}, id="401"),
        pytest.param({"status": 302, "headers": {"location": "http://127.0.0.1:9/login"}}, id="another address"),
    ],
)
def test_the_login_of_a_proxy_is_told_from_an_answer(service: Service, page: Any, answer: Any) -> None:
    """new-usemame/Calibre-Web-NextGen#824, autobrr/qui#1438: behind Authelia or Cloudflare Access, whose login had
    ended, there was an error of the page, or a question for a key."""
    page.goto(service.url)
    playwright.expect(page.locator("#welcome")).to_be_visible()
    page.route("**/api/**", lambda route: route.fulfill(**answer))
    page.get_by_label("Your message").fill("Hello")
    page.keyboard.press("Enter")
    problem = page.get_by_role("alert").first
    playwright.expect(problem).to_contain_text("Something else than the service answers here")
    playwright.expect(page.get_by_label("Your message")).to_have_value("Hello")
    page.unroute_all()
    page.get_by_role("button", name="Load the page again").click()
    playwright.expect(page.locator("#problem")).to_be_hidden()
    playwright.expect(page.get_by_label("Your message")).to_have_value("Hello")


def picture(size: int) -> bytes:
    """A PNG of so many bytes, about: noise, which can't be made smaller without a loss."""
    side = int((size / 3) ** 0.5)
    random = Random(0)
    rows = b"".join(b"\0" + random.randbytes(3 * side) for _ in range(side))
    parts = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows, 0))]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))


def test_pictures_that_are_too_large_together_are_made_smaller(tmp_path: Path, model: ModelServer, page: Any) -> None:
    """nearai/private-ml-sdk#32, microsoft/vscode#252745: 413 for a message with some photos, each of which was small
    enough."""
    one = picture(600_000)
    with serve_http(settings_for(tmp_path, model.url, agentkit_max_body=1_500_000)) as service:
        page.goto(service.url)
        playwright.expect(page.locator("#welcome")).to_be_visible()
        page.wait_for_function("document.getElementById('file').accept !== 'image/png,image/jpeg,image/webp,image/gif'")
        files = [{"name": f"{number}.png", "mimeType": "image/png", "buffer": one} for number in range(2)]
        page.locator("#file").set_input_files(files)
        playwright.expect(page.locator("#images img")).to_have_count(2)
        before = len(model.requests)
        page.get_by_label("Your message").fill("What is it?")
        page.keyboard.press("Enter")
        answered(page)
        sent = model.requests[before].body["messages"][-1]["content"]
        kinds = [part["image_url"]["url"].partition(";")[0] for part in sent if part["type"] == "image_url"]
        assert kinds == ["data:image/png", "data:image/jpeg"]
        page.locator("#file").set_input_files(
            [{"name": f"{n}.png", "mimeType": "image/png", "buffer": one} for n in range(9)]
        )
        playwright.expect(page.get_by_role("alert").first).to_contain_text(
            "8.png: there is no room for it in this message"
        )


@pytest.mark.parametrize("works", [True, False])
def test_the_focus_stays_where_something_was_copied(service: Service, browser: Any, works: bool) -> None:
    """denoland/clawpatrol#667, jestasecurity/thumper#51: over plain HTTP the button did nothing, and said so to
    nobody."""
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined });")
    page.goto(service.url)
    ask(page, "Hello")
    answered(page)
    if not works:
        page.evaluate("document.execCommand = () => false")
    button = page.locator(".assistant .actions").get_by_role("button").first
    button.focus()
    page.keyboard.press("Enter")
    playwright.expect(button).to_have_text("Copied" if works else "Not copied")
    playwright.expect(button).to_be_focused()
    context.close()


def test_what_is_out_of_sight_is_not_laid_out_and_the_end_is_in_sight(service: Service, page: Any) -> None:
    """ggml-org/llama.cpp#18187, open-webui/open-webui#4310: a long conversation stops the page."""
    for number in range(60):
        talk(service, "long", f"markdown {number}")
    page.goto(f"{service.url}/#long")
    playwright.expect(page.locator(".assistant")).to_have_count(60)
    playwright.expect(page.get_by_text("markdown 59")).to_be_in_viewport()
    first = page.locator(".assistant").first
    seen = "(each) => each.firstElementChild.checkVisibility({ contentVisibilityAuto: true })"
    assert [first.evaluate(seen), page.locator(".assistant").last.evaluate(seen)] == [False, True]
    ask(page, "markdown again")
    playwright.expect(page.locator(".assistant")).to_have_count(61)
    playwright.expect(page.locator(".assistant").last.get_by_role("table")).to_be_in_viewport()
    page.wait_for_timeout(300)
    assert page.locator("#log").evaluate("(log) => log.scrollHeight - log.scrollTop - log.clientHeight") < 5
