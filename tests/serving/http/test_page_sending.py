"""The chat page in a real browser: nothing is lost, and nothing is sent by mistake."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.serving.http.test_page import answered, ask, browser, in_a_browser, page, playwright
from tests.support.http_service import Service, serve_http, settings_for
from tests.support.model_server import Answer, Asked, ModelServer, delta, held, serve, streamed
from tests.support.relay import relayed

__all__ = ["browser", "page"]
pytestmark = in_a_browser

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100"
    "18dd8db00000000049454e44ae426082"
)
DOT = {"name": "dot.png", "mimeType": "image/png", "buffer": PNG}


class Held:
    """Lets the model's long answers go on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def reply(self, request: Asked) -> Answer:
        last = request.body["messages"][-1]["content"]
        text = last if isinstance(last, str) else last[0]["text"]
        if "fails late" in text:
            return Answer(b'{"error": {"message": "no"}}', status=400, delay=2.5)
        if "slowly" not in text:
            return streamed(delta(content="You said: "), delta(content=text[:200]))
        return held(self.go_on, delta(content="The beginning. "), delta("stop", content="The end."))


@pytest.fixture(scope="module")
def slow() -> Held:
    return Held()


@pytest.fixture(scope="module")
def model(slow: Held) -> Iterator[ModelServer]:
    with serve(slow.reply) as server:
        yield server


@pytest.fixture(scope="module")
def service(model: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serve_http(settings_for(tmp_path_factory.mktemp("service"), model.url)) as running:
        yield running


@pytest.fixture(autouse=True)
def at_first_held(slow: Held) -> Iterator[None]:
    slow.go_on.clear()
    yield
    slow.go_on.set()


def said(page: Any, text: str) -> None:
    playwright.expect(page.locator("#log")).to_contain_text(text, timeout=15_000)


def address_of(page: Any) -> str:
    return str(page.evaluate("location.hash"))


# ---- what is written


def test_the_enter_of_an_input_method_sends_nothing(service: Service, page: Any) -> None:
    """chahua-im/chahua#99: keydown 229 without a composition; in Safari the Enter behind the end of one."""
    page.goto(service.url)
    box = page.get_by_label("Your message")
    box.fill("変換")
    box.dispatch_event("keydown", {"key": "Enter", "keyCode": 229, "isComposing": False})
    box.dispatch_event("keydown", {"key": "Enter", "keyCode": 13, "isComposing": True})
    box.evaluate(
        """box => {
            box.dispatchEvent(new CompositionEvent("compositionend", {data: "変換"}));
            box.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", keyCode: 13, bubbles: true}));
        }"""
    )
    page.wait_for_timeout(200)
    assert page.locator(".turn").count() == 0
    assert box.input_value() == "変換"
    page.keyboard.press("Enter")
    said(page, "You said: 変換")


def test_enter_is_a_new_line_on_a_phone_and_the_button_sends(service: Service, browser: Any) -> None:
    context = browser.new_context(viewport={"width": 393, "height": 727}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(service.url)
    page.get_by_label("Your message").fill("one")
    page.keyboard.press("Enter")
    page.keyboard.type("two")
    assert page.get_by_label("Your message").input_value() == "one\ntwo"
    page.get_by_role("button", name="Send").tap()
    said(page, "You said: one")
    playwright.expect(page.locator(".user .said")).to_have_text("one\ntwo")
    context.close()


def test_each_conversation_has_its_own_draft_and_its_address_at_once(service: Service, page: Any) -> None:
    """jkingsman/Remote-Terminal-for-MeshCore#251: the back button changed the address, and what was written went to
    the other conversation."""
    page.goto(service.url)
    first = address_of(page)
    assert first.startswith("#page-")
    ask(page, "first one")
    answered(page)
    page.get_by_label("Your message").fill("draft of the first")
    page.get_by_role("button", name="New conversation").click()
    playwright.expect(page.locator(".turn")).to_have_count(0)
    assert address_of(page) not in ("", first)
    assert page.get_by_label("Your message").input_value() == ""
    page.keyboard.type("draft of the second")
    page.go_back()
    said(page, "first one")
    assert address_of(page) == first
    assert page.get_by_label("Your message").input_value() == "draft of the first"
    page.keyboard.press("Enter")
    said(page, "You said: draft of the first")
    page.go_forward()
    playwright.expect(page.locator(".turn")).to_have_count(0)
    assert page.get_by_label("Your message").input_value() == "draft of the second"
    page.evaluate("address => { location.hash = address }", first)
    said(page, "You said: first one")
    page.reload()
    said(page, "You said: first one")
    page.goto(f"{service.url}/#%E4%B8")  # a cut link
    playwright.expect(page.locator(".turn")).to_have_count(0)
    assert address_of(page).startswith("#page-")


def test_blocked_storage_does_not_stop_the_page(service: Service, page: Any) -> None:
    page.add_init_script(
        """for (const name of ["localStorage", "sessionStorage"]) {
            Object.defineProperty(window, name, {get() { throw new DOMException("denied", "SecurityError") }});
        }"""
    )
    page.goto(service.url)
    page.get_by_role("button", name="Light or dark").click()
    ask(page, "without a memory")
    said(page, "You said: without a memory")


def test_arrow_up_brings_earlier_messages_back(service: Service, page: Any) -> None:
    page.goto(service.url)
    for place, text in enumerate(("one", "two")):
        ask(page, text)
        answered(page, place + 1)
    box = page.get_by_label("Your message")
    for key, text in (("ArrowUp", "two"), ("ArrowUp", "one"), ("ArrowDown", "two"), ("ArrowDown", "")):
        box.press(key)
        assert box.input_value() == text
    box.fill("something new")
    box.press("ArrowUp")
    assert box.input_value() == "something new"


# ---- an answer that goes on


def test_a_reload_in_mid_answer_shows_the_answer_going_on(service: Service, page: Any, slow: Held) -> None:
    """danny-avila/LibreChat#15050: a new conversation was gone."""
    page.goto(service.url)
    ask(page, "slowly please")
    said(page, "The beginning.")
    page.reload()
    said(page, "slowly please")
    said(page, "The beginning.")
    assert page.locator("#stop").is_visible()
    slow.go_on.set()
    assert "The beginning. The end." in answered(page).inner_text()
    assert page.locator(".turn").count() == 2


def test_another_conversation_lets_the_answer_go_on(service: Service, page: Any, slow: Held) -> None:
    page.goto(service.url)
    first = address_of(page)
    ask(page, "slowly, and I look elsewhere")
    said(page, "The beginning.")
    page.get_by_role("button", name="New conversation").click()
    ask(page, "quick")
    assert "You said: quick" in answered(page).inner_text()
    page.go_back()
    assert address_of(page) == first
    said(page, "The beginning.")
    slow.go_on.set()
    assert "The beginning. The end." in answered(page).inner_text()
    page.go_forward()
    said(page, "You said: quick")


def test_stop_keeps_the_text_that_came(service: Service, page: Any, slow: Held) -> None:
    page.goto(service.url)
    ask(page, "slowly, to be stopped")
    said(page, "The beginning.")
    page.get_by_role("button", name="Stop", exact=True).click()
    playwright.expect(page.locator(".usage")).to_contain_text("Stopped")
    said(page, "The beginning.")
    page.reload()
    playwright.expect(page.locator(".usage")).to_contain_text("Stopped")
    text = page.locator(".assistant").inner_text()
    assert "The beginning." in text
    assert "answer was stopped here" not in text
    page.get_by_role("button", name="Continue").click()
    said(page, "You said: Continue.")


def test_usage_and_durations_are_in_the_history(service: Service, page: Any) -> None:
    page.goto(service.url)
    ask(page, "count this")
    shown = re.compile(r"\d+ tokens · \d+\.\d s")
    assert shown.fullmatch(answered(page).locator(".usage").inner_text())
    page.reload()
    assert shown.fullmatch(answered(page).locator(".usage").inner_text())


# ---- a connection that breaks


def port_of(service: Service) -> int:
    return int(service.url.rpartition(":")[2])


def test_a_connection_that_is_cut_in_mid_answer_is_joined_again(service: Service, page: Any, slow: Held) -> None:
    with relayed(port_of(service)) as relay:
        page.goto(relay.url)
        ask(page, "slowly over a bad line")
        said(page, "The beginning.")
        relay.cut()
        playwright.expect(page.locator(".note")).to_have_count(0, timeout=10_000)
        slow.go_on.set()
        text = answered(page).inner_text()
        assert text.count("The beginning. The end.") == 1
        assert page.locator(".turn").count() == 2


def test_a_silently_dead_connection_is_noticed(service: Service, page: Any, slow: Held) -> None:
    """No error tells of it, but the service's signs of life don't come any more."""
    with relayed(port_of(service)) as relay:
        page.clock.install()
        page.goto(relay.url)
        ask(page, "slowly over a dead line")
        said(page, "The beginning.")
        relay.silence()
        slow.go_on.set()
        page.wait_for_timeout(300)
        assert "The end." not in page.locator("#log").inner_text()
        for _ in range(30):
            page.clock.fast_forward(5_000)
            if "The end." in page.locator("#log").inner_text():
                break
        said(page, "The beginning. The end.")
        assert page.locator(".turn").count() == 2


def test_a_message_that_was_not_sent_is_in_the_box_again(service: Service, page: Any, model: ModelServer) -> None:
    page.goto(service.url)
    page.route("**/session/stream", lambda route: route.abort())
    page.locator("#file").set_input_files(DOT)
    playwright.expect(page.locator("#images img")).to_have_count(1)
    ask(page, "to be sent twice")
    playwright.expect(page.locator("#problem")).to_be_visible()
    box = page.get_by_label("Your message")
    playwright.expect(box).to_have_value("to be sent twice")
    playwright.expect(page.locator("#images img")).to_have_count(1)
    page.unroute("**/session/stream")
    box.press("Enter")
    said(page, "You said: to be sent twice")
    page.reload()
    said(page, "You said: to be sent twice")
    assert page.locator(".user").count() == 1
    asked = [each for each in model.requests if "to be sent twice" in str(each.body["messages"])]
    assert len(asked) == 1


def test_a_failure_behind_the_beginning_of_the_stream_puts_the_message_back(service: Service, page: Any) -> None:
    page.goto(service.url)
    ask(page, "one")
    answered(page)
    ask(page, "this fails late")
    playwright.expect(page.locator(".failed")).to_be_visible(timeout=15_000)
    playwright.expect(page.get_by_label("Your message")).to_have_value("this fails late")
    page.get_by_label("Your message").fill("this fails late, too")
    page.keyboard.press("Enter")
    page.keyboard.type("something else")
    page.get_by_role("button", name="Write it again").click(timeout=15_000)
    assert page.get_by_label("Your message").input_value() == "this fails late, too\n\nsomething else"
    page.reload()
    playwright.expect(page.locator(".turn")).to_have_count(2)


def test_a_message_is_sent_though_the_reader_goes_elsewhere_at_once(service: Service, page: Any) -> None:
    page.goto(service.url)
    first = address_of(page)
    waiting: list[Any] = []
    page.route("**/session/stream", lambda route: waiting.append(route))
    ask(page, "sent in passing")
    page.keyboard.press("Alt+n")
    playwright.expect(page.locator(".turn")).to_have_count(0)
    waiting.pop().continue_()
    page.wait_for_timeout(500)
    page.evaluate("address => { location.hash = address }", first)
    said(page, "You said: sent in passing")
    assert page.get_by_label("Your message").input_value() == ""
    ask(page, "not sent")
    page.keyboard.press("Alt+n")
    playwright.expect(page.locator(".turn")).to_have_count(0)
    waiting.pop().abort()
    page.wait_for_timeout(200)
    waiting.pop().abort()  # it is tried twice
    page.wait_for_timeout(200)
    page.go_back()
    playwright.expect(page.get_by_label("Your message")).to_have_value("not sent")


def test_a_service_that_is_killed_leaves_the_text_and_the_question(
    tmp_path: Any, page: Any, model: ModelServer
) -> None:
    """nesquena/hermes-webui#2307."""
    with serve_http(settings_for(tmp_path, model.url)) as service, relayed(port_of(service)) as relay:
        page.goto(relay.url)
        ask(page, "slowly until the end")
        said(page, "The beginning.")
        relay.close()
        playwright.expect(page.locator(".failed")).to_be_visible(timeout=15_000)
        said(page, "The beginning.")
        assert "unreachable" in page.locator("#problem").inner_text()
        assert page.get_by_label("Your message").input_value() == "slowly until the end"


# ---- branches


def test_a_question_is_edited_and_an_answer_made_again_in_branches(service: Service, page: Any) -> None:
    page.goto(service.url)
    listed = page.locator("#sessions").get_by_text("first words", exact=True)
    ask(page, "first words")
    answered(page)
    ask(page, "second words")
    answered(page, 2)
    question = page.locator(".user").first
    question.get_by_role("button", name="Edit").click()
    box = page.get_by_label("Your message")
    assert box.input_value() == "first words"
    box.fill("better words")
    box.press("Enter")
    said(page, "You said: better words")
    playwright.expect(page.locator(".turn")).to_have_count(2)
    playwright.expect(page.locator(".versions")).to_have_text("‹2 of 2›")
    playwright.expect(listed).to_have_count(1)
    page.get_by_role("button", name="Earlier version").click()
    said(page, "You said: second words")
    playwright.expect(page.locator(".turn")).to_have_count(4)
    page.locator(".assistant").last.get_by_role("button", name="Again").click()
    playwright.expect(page.locator(".user").last.locator(".versions")).to_have_text("‹2 of 2›")
    assert page.locator(".turn").count() == 4


def test_an_edited_message_keeps_its_files_and_the_draft(service: Service, page: Any) -> None:
    page.goto(service.url)
    page.locator("#file").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"some notes"})
    playwright.expect(page.get_by_label("Remove a.txt")).to_be_visible(timeout=30_000)
    ask(page, "read this")
    answered(page)
    box = page.get_by_label("Your message")
    box.fill("a draft")
    page.locator(".user").get_by_role("button", name="Edit").click()
    playwright.expect(box).to_have_value("read this")
    playwright.expect(page.get_by_label("Remove a.txt")).to_be_visible()
    box.press("Escape")
    assert box.input_value() == "a draft"
    assert page.locator("#images li").count() == 0
    page.locator(".user").get_by_role("button", name="Edit").click()
    playwright.expect(page.get_by_label("Remove a.txt")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("#file").set_input_files(DOT)
    playwright.expect(page.locator("#images img")).to_have_count(1)
    page.locator(".user").get_by_role("button", name="Edit").click()
    playwright.expect(page.get_by_label("Remove a.txt")).to_be_visible()
    page.route("**/session/branch", lambda route: route.fulfill(status=429, body='{"detail": "too many"}'))
    box.fill("read this anew")
    box.press("Enter")
    playwright.expect(page.locator("#problem")).to_have_text("too many")
    page.unroute("**/session/branch")
    playwright.expect(box).to_have_value("read this anew\n\na draft")
    playwright.expect(page.get_by_label("Remove a.txt")).to_be_visible()
    playwright.expect(page.locator("#images img")).to_have_count(1)


# ---- files and images


def paste(page: Any, texts: dict[str, str], image: bool) -> None:
    page.get_by_label("Your message").evaluate(
        """(box, [texts, png]) => {
            const data = new DataTransfer();
            for (const [type, text] of Object.entries(texts)) data.setData(type, text);
            if (png) data.items.add(new File([new Uint8Array(png)], "image.png", {type: "image/png"}));
            box.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
        }""",
        [texts, list(PNG) if image else None],
    )


def test_what_comes_as_a_text_and_its_picture_is_a_text(service: Service, page: Any) -> None:
    """Chainlit/chainlit#743, enricoros/big-AGI#286: cells of a spreadsheet, a piece of a text document."""
    page.goto(service.url)
    paste(page, {"text/plain": "a\tb", "text/html": "<table><tr><td>a<td>b</table>"}, image=True)
    page.wait_for_timeout(200)
    assert page.locator("#images li").count() == 0
    paste(page, {"text/html": "<img src=x>"}, image=True)  # a picture of a page
    playwright.expect(page.locator("#images img")).to_have_count(1)


def test_files_are_dropped_and_each_refusal_is_said(service: Service, page: Any) -> None:
    """docmost/docmost#2218: of two equal pictures the wrong number stayed."""
    page.goto(service.url)
    page.locator("main").evaluate(
        """(main, png) => {
            const data = new DataTransfer();
            const add = (name, bytes, type) => data.items.add(new File([new Uint8Array(bytes)], name, {type}));
            for (const name of ["dot.png", "dot.png"]) add(name, png, "image/png");
            for (const name of ["IMG_1.HEIC", "run.exe"]) add(name, [0, 1, 2, 3, 255], "");
            main.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
        }""",
        list(PNG),
    )
    playwright.expect(page.locator("#problem")).to_contain_text("IMG_1.HEIC")
    playwright.expect(page.locator("#problem")).to_contain_text("run.exe")
    playwright.expect(page.locator("#images img")).to_have_count(2)
    page.get_by_role("button", name="Remove Image 1").click()
    playwright.expect(page.locator("#images img")).to_have_count(1)


def test_a_file_is_read_sent_and_shown_as_a_file(service: Service, page: Any, model: ModelServer) -> None:
    page.goto(service.url)
    notes = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"The tide is high at noon."}
    page.locator("#file").set_input_files(notes)
    playwright.expect(page.get_by_label("Remove notes.txt")).to_be_visible(timeout=30_000)
    ask(page, "When is the tide high?")
    said(page, "You said: When is the tide high?")
    assert any("high at noon" in str(each.body["messages"]) for each in model.requests)
    page.reload()
    playwright.expect(page.locator(".attached li")).to_have_text("notes.txt")
    assert "high at noon" not in page.locator("#log").inner_text()


def test_a_dark_page_is_dark_from_the_first_paint(service: Service, page: Any) -> None:
    """letsrevel/revel-frontend#440."""
    page.goto(service.url)
    page.evaluate("localStorage.setItem('agentkit-theme', 'dark')")
    page.route("**/index.js", lambda route: (page.wait_for_timeout(600), route.continue_()))
    page.goto(service.url, wait_until="commit")
    page.wait_for_selector("#app", state="attached")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, ground.strip("rgb()").split(","))) < 200
