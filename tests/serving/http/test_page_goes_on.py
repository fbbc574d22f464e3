"""The chat page in a real browser: it goes on after breaks, failures and what happens in other tabs, and what was sent
or written is neither lost nor asked twice."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from agentkit import Context, tool
from tests.serving.http.test_page import answered, ask, browser, in_a_browser, page, playwright
from tests.serving.http.test_page_sending import DOT, address_of, port_of, said
from tests.support.http_service import Service, serve_http, settings_for
from tests.support.model_server import Answer, Asked, ModelServer, calls, delta, held, serve, streamed
from tests.support.relay import Relay, relayed
from tests.support.waiting import until

__all__ = ["browser", "page"]
pytestmark = in_a_browser

LARGE = 50  # results, which are more than the service keeps of an answer in progress
mails: list[str] = []


@tool
def send_mail(to: str) -> str:
    """Send a mail.

    Args:
        to: To whom.
    """
    mails.append(to)
    return "sent"


@tool(read_only=True)
def big(number: int) -> str:
    """Return a large result.

    Args:
        number: Which.
    """
    return f"{number} " + "word " * 9_800


@tool(read_only=True)
def register(ctx: Context, name: str) -> str:
    """Register a person.

    Args:
        name: Who.
    """
    fields = {"mail": {"type": "string"}, "newsletter": {"type": ["boolean", "null"]}}
    return f"answer={ctx.ask('Which mail?', {'type': 'object', 'properties': fields, 'required': ['mail']})}"


class Model:
    """go_on: lets held answers end. is_away: whether replies to tool results fail."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.is_away = False
        self.tries = 0

    def reply(self, request: Asked) -> Answer:
        last = request.body["messages"][-1]
        text = str(last["content"])
        if last["role"] == "tool":
            return self.after_a_tool(text, request)
        for word, name in (("mail", "send_mail"), ("approve", "approved"), ("register", "register")):
            if word in text:
                argument = {"mail": "to", "approve": "topic"}.get(word, "name")
                return calls((name, {argument: "Ann"}))
        if "large" in text:
            return calls(*[("big", {"number": number}) for number in range(LARGE)])
        if "fails" in text:
            self.go_on.wait(15)
            return Answer(b'{"error": {"message": "no"}}', status=400)
        if "think" in text:
            return self.broken_once()
        if "stars" in text:
            return streamed(delta("stop", content="*" * 40_000 + "a" + "*" * 40_000))
        return self.held(text) if "slowly" in text else streamed(delta("stop", content=f"You said: {text[:60]}"))

    def held(self, text: str) -> Answer:
        return held(self.go_on, delta(content="The beginning. "), delta("stop", content="The end."))

    def after_a_tool(self, text: str, request: Asked) -> Answer:
        if self.is_away:
            return Answer(b'{"error": {"message": "away"}}', status=400)
        if "answer=" in text:
            return streamed(delta("stop", content=f"It got {text}"))
        asked = str([each["content"] for each in request.body["messages"] if each["role"] == "user"])
        return self.held(text) if "slowly" in asked else streamed(delta("stop", content="It is done."))

    def broken_once(self) -> Answer:
        self.tries += 1
        whole = streamed(
            delta(reasoning_content="I think. "), delta(content="The answer"), delta("stop", content=" is 42.")
        )
        if self.tries > 1:
            return whole
        return Answer(whole.body[: whole.body.index(b" is 42.") - 200], content_type="text/event-stream", cut=True)


@pytest.fixture
def model() -> Iterator[Model]:
    made = Model()
    yield made
    made.go_on.set()


@pytest.fixture
def server(model: Model) -> Iterator[ModelServer]:
    with serve(model.reply) as running:
        yield running


@pytest.fixture
def service(server: ModelServer, tmp_path: Any) -> Iterator[Service]:
    own = [f"{__name__}:{name}" for name in ("send_mail", "big", "register")]
    tools = (*own, "tests.support.web_service:approved")
    with serve_http(settings_for(tmp_path, server.url, agentkit_tools=tools)) as running:
        yield running


def box(page: Any) -> Any:
    return page.get_by_label("Your message")


def asked(page: Any) -> list[str]:
    return list(page.locator(".user .said").all_inner_texts())


# ---- breaks


def reopened(relay: Relay) -> None:
    relay._is_closed = False


def test_an_answer_is_shown_after_a_long_time_without_network(service: Service, page: Any, model: Model) -> None:
    """hackerai-tech/hackerai#382: Wi-Fi is away for longer than the page tries."""
    with relayed(port_of(service)) as relay:
        page.goto(relay.url)
        ask(page, "slowly please")
        said(page, "The beginning.")
        relay.close()
        playwright.expect(page.locator(".failed")).to_be_visible(timeout=20_000)
        playwright.expect(box(page)).to_have_value("slowly please")
        reopened(relay)
        page.evaluate("dispatchEvent(new Event('online'))")
        playwright.expect(page.locator(".failed")).to_have_count(0)
        playwright.expect(box(page)).to_have_value("")  # the service has it
        playwright.expect(page.locator("#problem")).to_be_hidden()
        model.go_on.set()
        assert "The beginning. The end." in answered(page).inner_text()
        assert asked(page) == ["slowly please"]


def test_a_poll_that_is_refused_ends_nothing(service: Service, page: Any, model: Model) -> None:
    """The answer is made by another worker: its history is looked at until it is complete."""
    page.goto(service.url)
    ask(page, "slowly please")
    said(page, "The beginning.")
    page.route("**/session/join", lambda route: route.fulfill(status=404, json={"detail": "No answer is in progress"}))
    polls: list[str] = []

    def poll(route: Any) -> None:
        polls.append(route.request.url)
        if len(polls) == 2:
            refused = {"detail": "rate limit exceeded"}
            route.fulfill(status=429, headers={"Retry-After": "1"}, json=refused)
        elif len(polls) == 3:
            route.abort()
        else:
            route.continue_()

    page.route("**/session/history", poll)
    page.reload()
    until(lambda: page.wait_for_timeout(50) or len(polls) > 3, 20)
    model.go_on.set()
    assert "The beginning. The end." in answered(page).inner_text()
    assert box(page).input_value() == ""


def test_a_history_that_can_not_be_read_for_now_is_read_later(service: Service, page: Any) -> None:
    page.goto(service.url)
    ask(page, "first")
    answered(page)
    polls: list[str] = []

    def poll(route: Any) -> None:
        polls.append(route.request.url)
        if len(polls) == 1:
            route.abort()
        elif len(polls) == 2:
            route.fulfill(status=429, headers={"Retry-After": "1"}, json={"detail": "rate limit exceeded"})
        else:
            route.continue_()

    page.route("**/session/history", poll)
    page.reload()
    playwright.expect(page.locator("#problem")).to_be_visible()

    def is_read() -> bool:
        page.evaluate("dispatchEvent(new Event('online'))")
        page.wait_for_timeout(50)
        return len(polls) > 2

    until(is_read)
    said(page, "You said: first")
    playwright.expect(page.locator("#problem")).to_be_hidden()


def test_a_failed_look_at_the_list_is_silent_and_not_the_last(service: Service, page: Any, model: Model) -> None:
    page.goto(service.url)
    ask(page, "slowly please")
    said(page, "The beginning.")
    page.get_by_role("button", name="New conversation").click()
    playwright.expect(page.locator("#sessions .running")).to_have_count(1)
    failed: list[str] = []

    def once(route: Any) -> None:
        if failed:
            route.continue_()
        else:
            failed.append(route.request.url)
            route.abort()

    page.route("**/api/llm/chat/sessions", once)
    until(lambda: page.wait_for_timeout(50) or failed, 15)
    model.go_on.set()
    playwright.expect(page.locator("#sessions .running")).to_have_count(0, timeout=15_000)
    playwright.expect(page.locator("#problem")).to_be_hidden()


def test_a_list_that_could_not_be_read_is_not_told_of_any_more_when_it_can(service: Service, page: Any) -> None:
    page.route("**/api/llm/chat/sessions", lambda route: route.abort())
    page.goto(service.url)
    playwright.expect(page.locator("#problem")).to_be_visible()
    page.unroute("**/api/llm/chat/sessions")
    page.evaluate("dispatchEvent(new Event('focus'))")
    playwright.expect(page.locator("#problem")).to_be_hidden()


def test_a_conversation_that_is_left_at_once_is_in_the_list(service: Service, page: Any) -> None:
    """willdady/platypus#853."""
    page.goto(service.url)
    ask(page, "slowly please")
    said(page, "The beginning.")
    page.get_by_role("button", name="New conversation").click()
    playwright.expect(page.locator("#sessions li")).to_contain_text("slowly please")
    playwright.expect(page.locator("#sessions .running")).to_have_count(1)


def test_an_answer_to_a_decision_is_joined_again_without_what_came(service: Service, page: Any, model: Model) -> None:
    with relayed(port_of(service)) as relay:
        page.goto(relay.url)
        ask(page, "approve it slowly")
        page.get_by_role("button", name="Allow").click()
        said(page, "The beginning.")
        for _ in range(2):
            with page.expect_request("**/session/join"):
                relay.cut()
            playwright.expect(page.locator(".assistant > .note")).to_have_count(0)
            said(page, "The beginning.")
            assert page.locator("#log").inner_text().count("The beginning.") == 1
        model.go_on.set()
        assert answered(page).inner_text().count("The beginning. The end.") == 1


def test_a_joined_answer_whose_beginning_is_gone_says_so_and_is_whole_in_the_end(
    service: Service, page: Any, model: Model, server: ModelServer
) -> None:
    message = {"session_id": "much", "message": "large and slowly", "background": True}
    other = threading.Thread(target=service.ask, args=("POST", "/api/llm/chat/session", message))
    other.start()
    until(lambda: len(server.requests) == 2, 60)
    page.goto(service.url + "/#much")
    said(page, "The beginning of this answer is too long")
    said(page, "The beginning. ")
    assert page.locator(".tool").count() < LARGE
    model.go_on.set()
    playwright.expect(page.locator(".tool")).to_have_count(LARGE, timeout=20_000)
    said(page, "The end.")
    other.join()


def test_a_reply_that_is_asked_for_again_leaves_no_reasoning(service: Service, page: Any, model: Model) -> None:
    page.goto(service.url)
    ask(page, "think")
    view = answered(page)
    view.locator("summary").first.click()
    assert model.tries == 2
    assert view.inner_text().count("I think.") == 1
    assert view.inner_text().count("The answer is 42.") == 1


# ---- what was sent


def test_a_message_is_not_in_the_box_again_after_an_early_reload(
    service: Service, page: Any, server: ModelServer
) -> None:
    """PsycherosAI/Psycheros#46: the service has it, and the page was not told yet."""
    page.goto(service.url)
    waiting: list[Any] = []

    def sent(route: Any) -> None:  # the response does not come
        waiting.append(route)
        headers = {"content-type": "application/json", "idempotency-key": route.request.headers["idempotency-key"]}
        given = {"url": service.url + "/api/llm/chat/session/stream", "data": route.request.post_data}
        threading.Thread(target=requests.post, kwargs={**given, "headers": headers}).start()

    page.route("**/session/stream", sent)
    ask(page, "pay 7 to Bob")
    until(lambda: page.wait_for_timeout(50) or (waiting and server.requests))
    page.reload()
    said(page, "You said: pay 7 to Bob")
    assert box(page).input_value() == ""


def lose_response(service: Service, page: Any) -> None:
    def lost(route: Any) -> None:  # the service gets it, the response is lost
        headers = {"content-type": "application/json", "idempotency-key": route.request.headers["idempotency-key"]}
        address = service.url + "/api/llm/chat/session/stream"
        requests.post(address, route.request.post_data, headers=headers, timeout=10)
        route.abort()

    page.route("**/session/stream", lost)


def test_a_message_whose_response_is_lost_is_asked_once(service: Service, page: Any, server: ModelServer) -> None:
    page.goto(service.url)
    lose_response(service, page)
    page.route("**/session/history", lambda route: route.abort())
    ask(page, "pay 7 to Bob")
    playwright.expect(page.locator(".failed")).to_be_visible()
    playwright.expect(box(page)).to_have_value("pay 7 to Bob")
    page.unroute("**/session/stream")
    page.reload()
    playwright.expect(box(page)).to_have_value("pay 7 to Bob")  # nothing is known of it yet
    box(page).press("Enter")
    said(page, "You said: pay 7 to Bob")
    page.unroute("**/session/history")
    page.reload()
    said(page, "You said: pay 7 to Bob")
    assert asked(page) == ["pay 7 to Bob"]
    assert box(page).input_value() == ""


def test_a_message_whose_response_is_lost_leaves_the_box_with_its_history(service: Service, page: Any) -> None:
    page.goto(service.url)
    lose_response(service, page)
    ask(page, "pay 7 to Bob")
    playwright.expect(page.locator(".failed")).to_be_visible()
    page.unroute("**/session/stream")
    page.get_by_role("button", name="New conversation").click()
    playwright.expect(page.locator(".turn")).to_have_count(0)
    page.go_back()
    said(page, "You said: pay 7 to Bob")
    assert box(page).input_value() == ""


def test_the_same_words_that_were_not_sent_are_kept(service: Service, page: Any) -> None:
    """They are in the history, but from before."""
    page.goto(service.url)
    ask(page, "yes")
    answered(page)
    page.route("**/session/stream", lambda route: route.abort())
    ask(page, "yes")
    playwright.expect(page.locator(".failed")).to_be_visible()
    page.unroute("**/session/stream")
    page.reload()
    said(page, "You said: yes")
    assert box(page).input_value() == "yes"
    box(page).press("Enter")
    answered(page, 2)
    assert asked(page) == ["yes", "yes"]


# ---- what is edited


def test_an_edit_is_not_lost(service: Service, page: Any, model: Model) -> None:
    """cloudflare/realtimekit-ui#97: another message fails, another conversation is looked at, the page is reloaded."""
    page.goto(service.url)
    ask(page, "first question")
    answered(page)
    ask(page, "this fails")
    page.wait_for_timeout(300)
    page.locator(".user").first.get_by_role("button", name="Edit").click()
    box(page).fill("a long text")
    model.go_on.set()
    playwright.expect(page.locator(".failed")).to_be_visible()
    page.wait_for_timeout(300)
    assert box(page).input_value() == "a long text"
    page.get_by_role("button", name="New conversation").click()
    playwright.expect(page.locator(".turn")).to_have_count(0)
    assert box(page).input_value() == ""
    page.go_back()
    playwright.expect(box(page)).to_have_value("a long text")
    page.reload()
    playwright.expect(box(page)).to_have_value("a long text")
    page.locator("#editing").get_by_role("button", name="Cancel").click()
    assert box(page).input_value() == "this fails"
    page.reload()
    said(page, "You said: first question")
    playwright.expect(box(page)).to_have_value("this fails")
    assert page.locator("#editing").count() == 0


def test_an_edit_that_is_sent_is_over(service: Service, page: Any) -> None:
    page.goto(service.url)
    ask(page, "first question")
    answered(page)
    first = address_of(page)
    page.locator(".user").get_by_role("button", name="Edit").click()
    box(page).fill("better words")
    box(page).press("Enter")
    said(page, "You said: better words")
    page.evaluate("address => { location.hash = address }", first)
    said(page, "You said: first question")
    assert page.locator("#editing").count() == 0
    assert box(page).input_value() == ""


# ---- a run that failed behind an effect


def test_after_an_effect_the_answer_goes_on_and_again_is_asked_for(service: Service, page: Any, model: Model) -> None:
    mails.clear()
    model.is_away = True
    page.goto(service.url)
    ask(page, "mail Ann")
    playwright.expect(page.locator(".failed")).to_be_visible()
    model.is_away = False
    view = page.locator(".assistant").last
    view.get_by_role("button", name="Again").click()
    dialog = page.locator("#confirm-dialog")
    playwright.expect(dialog).to_contain_text("send_mail")
    page.keyboard.press("Escape")
    playwright.expect(dialog).to_be_hidden()
    assert mails == ["Ann"]
    view.get_by_role("button", name="Continue").click()
    said(page, "You said: Continue.")
    assert mails == ["Ann"]
    page.locator(".assistant").first.get_by_role("button", name="Again").click()
    dialog.get_by_role("button", name="Again").click()
    said(page, "It is done.")
    assert mails == ["Ann", "Ann"]


# ---- other tabs


def test_what_is_said_in_another_tab_is_shown(service: Service, page: Any, model: Model) -> None:
    page.goto(service.url)
    ask(page, "first")
    answered(page)
    two = page.context.new_page()
    two.goto(page.url)
    answered(two)
    ask(page, "slowly")
    said(two, "The beginning.")
    model.go_on.set()
    assert "The end." in answered(two, 2).inner_text()
    assert asked(two) == ["first", "slowly"]


def test_what_is_said_by_another_client_is_shown_with_the_list(service: Service, page: Any) -> None:
    page.goto(service.url)
    ask(page, "first")
    answered(page)
    session = address_of(page)[1:]
    page.wait_for_timeout(500)
    service.ask("POST", "/api/llm/chat/session", {"session_id": session, "message": "second"})
    page.evaluate("dispatchEvent(new Event('focus'))")
    said(page, "You said: second")
    assert asked(page) == ["first", "second"]


def test_the_next_answer_is_joined(service: Service, page: Any, model: Model) -> None:
    page.goto(service.url)
    ask(page, "slowly one")
    said(page, "The beginning.")
    message = {"session_id": address_of(page)[1:], "message": "slowly two", "background": True}
    other = threading.Thread(target=service.ask, args=("POST", "/api/llm/chat/session", message))
    other.start()
    page.wait_for_timeout(500)
    model.go_on.set()
    answered(page, 2)
    assert asked(page) == ["slowly one", "slowly two"]
    assert page.locator("#log").inner_text().count("The beginning. The end.") == 2
    other.join()


# ---- the box, the form, the list


def test_removing_an_image_leaves_a_file_that_is_being_read(service: Service, page: Any, server: ModelServer) -> None:
    page.goto(service.url)
    page.locator("#file").set_input_files(DOT)
    playwright.expect(page.locator("#images img")).to_have_count(1)
    reading: list[Any] = []
    page.route("**/documents/read*", lambda route: reading.append(route))
    notes = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"The tide is high at noon."}
    page.locator("#file").set_input_files(notes)
    until(lambda: page.wait_for_timeout(50) or reading, 10)
    ask(page, "When is the tide high?")  # it is sent when the file is read
    page.get_by_label("Remove Image 1").focus()
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#images li")).to_have_text("notes.txt")
    playwright.expect(box(page)).to_be_focused()
    reading.pop().continue_()
    answered(page)
    assert asked(page) == ["When is the tide high?"]
    assert any("high at noon" in str(each.body["messages"]) for each in server.requests)


def test_an_optional_yes_or_no_that_is_left_alone_is_nothing(service: Service, page: Any) -> None:
    page.goto(service.url)
    ask(page, "register Ann")
    page.get_by_label("mail").fill("ann@example.com")
    field = page.get_by_label("newsletter (optional)")
    assert field.locator("option").all_inner_texts() == ["", "Yes", "No"]
    page.get_by_role("button", name="Answer").click()
    said(page, "It got")
    assert "newsletter" not in page.locator(".assistant").last.locator(".markdown").last.inner_text()


def test_a_search_is_not_sent_with_every_key(service: Service, page: Any) -> None:
    searches: list[str] = []
    page.on("request", lambda request: searches.append(request.url) if request.url.endswith("/search") else None)
    page.goto(service.url)
    page.get_by_label("Search conversations").first.click()
    page.keyboard.type("the tower in the north", delay=280)  # 6 seconds
    playwright.expect(page.locator("#found")).to_have_text("Nothing found")
    assert len(searches) <= 7


def test_a_conversation_may_have_an_id_like_a_link(service: Service, page: Any) -> None:
    service.ask("POST", "/api/llm/chat/session", {"session_id": "shared/plan", "message": "make a plan"})
    page.goto(service.url)
    page.locator("#sessions .open").click()
    said(page, "You said: make a plan")
    page.reload()
    said(page, "You said: make a plan")


def test_the_focus_goes_to_what_follows(service: Service, page: Any, model: Model) -> None:
    """posit-dev/shinychat#242: it was on the body, and Tab began at the top of the page."""
    page.goto(service.url)

    def press(button: Any) -> None:
        button.focus()
        page.keyboard.press("Enter")

    ask(page, "approve it")
    card = page.locator(".approval")
    press(card.get_by_role("button", name="Change"))
    press(card.get_by_role("button", name="Back"))
    playwright.expect(card.get_by_role("button", name="Change")).to_be_focused()
    press(card.get_by_role("button", name="Allow"))
    answered(page)
    page.wait_for_timeout(500)
    assert page.evaluate("document.querySelector('#log').contains(document.activeElement)")
    box(page).fill("slowly now")
    press(page.get_by_role("button", name="Send"))
    said(page, "The beginning.")
    playwright.expect(box(page)).to_be_focused()
    press(page.get_by_role("button", name="Stop"))
    playwright.expect(page.locator("#send")).to_be_visible()
    playwright.expect(box(page)).to_be_focused()
    press(page.locator(".assistant").last.get_by_role("button", name="Again"))
    playwright.expect(page.locator("#stop")).to_be_visible()
    playwright.expect(box(page)).to_be_focused()


def test_emphasis_without_end_does_not_block_the_page(service: Service, page: Any) -> None:
    """It was nested 40,000 deep, which takes a browser quadratic time: 15 seconds."""
    page.goto(service.url)
    ask(page, "stars")
    answered(page)
    depth = """() => {
        let [deepest, all] = [0, document.querySelectorAll("#log em, #log strong")];
        for (const each of all) {
            let depth = 0;
            for (let at = each; at; at = at.parentElement) depth++;
            deepest = Math.max(deepest, depth);
        }
        return deepest;
    }"""
    assert page.evaluate(depth) < 100
