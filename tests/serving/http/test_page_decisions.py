"""The chat page in a real browser: a call that waits for a person is allowed, changed, denied or answered."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit import tool
from agentkit.serving.http.conversations import Conversations
from tests.serving.http.test_decisions import TOOLS, effects
from tests.serving.http.test_decisions import reply as reply
from tests.serving.http.test_page import XSS, answered, ask, browser, in_a_browser, page, playwright
from tests.support.http_service import Service, serve_http, settings_for
from tests.support.model_server import Answer, Asked, calls, serve, whole

__all__ = ["browser", "page"]

BACKWARDS = "\u202etxt.exe"
# JavaScript reads other numbers.
NUMBERS = '{"to": 1234567890123456789, "share": 2.50, "note": 9007199254740993, "sign": "a\u202eb"}'

paid: list[tuple[int, float, Any, str]] = []


@tool(approve=True)
def pay(to: int, share: float, note: Any, sign: str) -> str:
    """Pay somebody."""
    paid.append((to, share, note, sign))
    return "paid"


def hostile_reply(asked: Asked) -> Answer:
    """As of the other tests; "hostile" calls with a hostile argument, "pay" with numbers that are no doubles."""
    if asked.body["messages"][-1]["content"] == "pay":
        call = {"id": "c0", "type": "function", "function": {"name": "pay", "arguments": NUMBERS}}
        return whole({"role": "assistant", "content": None, "tool_calls": [call]}, finish_reason="tool_calls")
    if asked.body["messages"][-1]["content"] == "hostile":
        return calls(("send", {"to": XSS + BACKWARDS}))
    return reply(asked)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    effects.clear()
    paid.clear()
    tools = (*TOOLS, f"{__name__}:pay")
    with serve(hostile_reply) as model:
        with serve_http(settings_for(tmp_path, model.url, agentkit_tools=tools)) as running:
            yield running


@in_a_browser
def test_a_call_is_allowed_changed_and_denied_on_the_page(service: Service, page: Any) -> None:
    page.goto(service.url)
    ask(page, "hostile")
    card = page.get_by_role("region", name="send wants to run")
    playwright.expect(card).to_contain_text(XSS)
    playwright.expect(card).to_contain_text(r"\u{202e}txt.exe")
    assert page.locator("#log img, #log iframe, #log script, #log svg").count() == 0
    page.locator("#sessions .open").first.click()
    page.reload()  # the question is there again
    page.get_by_label("Reason, if you deny").fill("it looks wrong")
    page.keyboard.press("Enter")
    assert "did not approve this call: it looks wrong" in answered(page).inner_text()
    assert page.evaluate("window.hit") is None
    ask(page, "send ann bob")
    playwright.expect(page.locator(".approval:not([data-decided])")).to_have_count(2)
    first, second = page.locator(".approval").all()[-2:]
    first.get_by_role("button", name="Change").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Arguments of send").fill("{")
    first.get_by_role("button", name="Run with these").click()
    playwright.expect(first.get_by_role("alert")).to_have_text("This is not a JSON object.")
    page.get_by_label("Arguments of send").fill('{"to": "eve"}')
    first.get_by_role("button", name="Run with these").click()
    assert effects == []  # until both are decided
    second.get_by_role("button", name="Allow").click()
    assert "Done: sent to bob" in answered(page, 2).inner_text()
    assert effects == ["eve", "bob"]
    ask(page, "send ann")
    page.get_by_role("button", name="Allow").wait_for()
    ask(page, "never mind")
    answered(page, 3)
    playwright.expect(page.get_by_text("Not run: you wrote a message instead.")).to_be_visible()
    assert page.get_by_role("button", name="Allow").count() == 0
    assert effects == ["eve", "bob"]
    # The numbers that are shown are those that run, and what is left as it is arrives as it was.
    ask(page, "pay")
    card = page.get_by_role("region", name="pay wants to run")
    values = ["1234567890123456789", "2.50", "9007199254740993", r"a\u{202e}b"]
    playwright.expect(card.locator("dd")).to_have_text(values)
    for newer in ("JSON.rawJSON", "undefined"):  # a browser that has it, and one that does not
        page.evaluate(f"window.kept ??= JSON.rawJSON; JSON.rawJSON = {newer}")
        card.get_by_role("button", name="Change").click()
        field = page.get_by_label("Arguments of pay")
        for value in (*values[:3], r"a\u202eb"):
            assert value in field.input_value()
        card.get_by_role("button", name="Back").click()
    card.get_by_role("button", name="Change").click()
    card.get_by_role("button", name="Run with these").click()
    playwright.expect(card.get_by_role("alert")).to_contain_text("can't send a number in it as it is written")
    page.evaluate("JSON.rawJSON = window.kept")
    field.fill(field.input_value().replace("2.50", "0.50"))
    card.get_by_role("button", name="Run with these").click()
    answered(page, 4)
    assert paid == [(1234567890123456789, 0.5, 9007199254740993, "a\u202eb")]


@in_a_browser
def test_a_question_is_a_form_that_fits_a_phone(service: Service, browser: Any) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 640}, color_scheme="dark", has_touch=True)
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.goto(service.url)
    ask(page, "book " + "ICE" * 40, on_phone=True)
    card = page.get_by_role("region")
    card.get_by_role("button", name="Answer").click()
    playwright.expect(card.get_by_role("alert")).to_have_text("seat is missing.")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    card.get_by_label("seat").select_option("window")
    card.get_by_label("bags (optional)").fill("2")
    card.get_by_role("button", name="Answer").click()
    assert "Done: booked: window" in answered(page).inner_text()
    assert effects == ["ICE" * 40 + ": window"]
    # What was decided elsewhere meanwhile is told, and what waits now is shown (Agenta-AI/agenta#6312: it was not).
    ask(page, "send ann", on_phone=True)
    page.get_by_role("button", name="Allow").wait_for()
    conversations: Conversations = service.app.state.service.conversations
    (session,) = conversations.list("local")
    pending = conversations.history("local", session.session_id).pending
    body = {"session_id": session.session_id, "approve": {pending[0].id: True}}
    assert service.ask("POST", "/api/llm/chat/session", body).status_code == 200
    page.get_by_role("button", name="Allow").click()
    playwright.expect(page.locator("#problem")).to_contain_text("waits for a decision (waiting: none)")
    playwright.expect(page.get_by_text("Done: sent to ann")).to_be_visible()
    assert effects[1:] == ["ann"]
    context.close()
