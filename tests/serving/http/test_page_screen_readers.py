"""What a screen reader says of the chat page: the texts that are added to its live regions, in a real browser. Whether
`aria-busy` holds them back depends on the screen reader, and is not counted on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit import tool
from tests.serving.http.test_page import answered, ask, browser, in_a_browser, page, playwright
from tests.support.http_service import Service, serve_http, settings_for, talk
from tests.support.model_server import Answer, Asked, ModelServer, calls, delta, serve, streamed

__all__ = ["browser", "page"]

pytestmark = [in_a_browser, pytest.mark.timeout(120)]

LISTENS = """
window.heard = [];
const LIVE = { status: "polite", log: "polite", alert: "assertive" };
function isLive(node) {
  for (let each = node instanceof Element ? node : node.parentElement; each; each = each.parentElement) {
    const live = each.getAttribute("aria-live") ?? LIVE[each.getAttribute("role")];
    if (live) return live !== "off";
  }
  return false;
}
new MutationObserver((records) => {
  for (const { type, target, addedNodes } of records) {
    const added = type === "characterData" ? [target] : [...addedNodes];
    for (const node of added) if (node.isConnected && isLive(node)) window.heard.push(node.textContent.trim());
  }
}).observe(document, { subtree: true, childList: true, characterData: true });
"""


@tool(approve=True)
def send_letter(to: str) -> str:
    """Send a letter.

    Args:
        to: To whom.
    """
    return f"sent to {to}"


def reply(request: Asked) -> Answer:
    last = request.body["messages"][-1]
    text = str(last["content"])
    if last["role"] == "user" and "letter" in text:
        return calls(("send_letter", {"to": "Ann"}))
    if "at length" in text:
        return streamed(delta(content="The tide rises and falls. " * 400))
    words = [f"word{number}" for number in range(40)]
    pieces = ["# Tides\n\n", "- one\n", "- two\n\n", "```python\nprint(1)\n```\n\n", *(f"{each} " for each in words)]
    return streamed(*(delta(content=each) for each in pieces), piece=180, pause=0.02)


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with serve(reply) as server:
        yield server


@pytest.fixture
def service(tmp_path: Path, model: ModelServer) -> Iterator[Service]:
    settings = settings_for(tmp_path, model.url, agentkit_tools=(f"{__name__}:send_letter",))
    with serve_http(settings) as running:
        yield running


def heard(page: Any) -> list[str]:
    return [each for each in page.evaluate("window.heard") if each]


def test_an_answer_is_told_once_when_it_is_complete(service: Service, page: Any) -> None:
    """openclaw/openclaw#65538: each token was read. nvaccess/nvda#20871: with aria-busy on what arrives, nothing was.
    open-webui/open-webui#13639: nothing was, since there was no live region."""
    page.add_init_script(LISTENS)
    page.goto(service.url)
    ask(page, "Hello")
    answered(page)
    playwright.expect(page.locator("#told p")).to_have_count(2)
    told = heard(page)
    assert told[0] == "An answer is being written"
    assert told[1].split() == ["Tides", "one", "two", "print(1)", *(f"word{number}" for number in range(40))]
    assert len(told) == 2
    playwright.expect(page.locator("#told p")).to_have_count(0)  # else it would be found twice
    page.get_by_role("button", name="Copy").last.click()
    playwright.expect(page.locator("#told p")).to_have_count(1)
    assert heard(page)[2:] == ["Copied"]


def test_a_conversation_that_is_opened_is_not_read_from_its_beginning(service: Service, page: Any) -> None:
    """deltachat/deltachat-desktop#4692, thelounge/thelounge#1907."""
    for number in range(3):
        talk(service, "long", f"Question {number}")
    page.add_init_script(LISTENS)
    page.goto(f"{service.url}/#long")
    playwright.expect(page.locator(".assistant .actions")).to_have_count(3)
    page.wait_for_timeout(300)
    assert heard(page) == []


def test_a_call_that_waits_is_told(service: Service, page: Any) -> None:
    page.add_init_script(LISTENS)
    page.goto(service.url)
    ask(page, "Send a letter")
    playwright.expect(page.locator("#told")).to_contain_text("send_letter wants to run")
    page.get_by_role("button", name="Deny").click()
    playwright.expect(page.locator("#told")).to_contain_text("word39")
    assert sum("word39" in each for each in heard(page)) == 1


def test_the_end_of_a_long_answer_is_left_to_the_reader(service: Service, page: Any) -> None:
    page.goto(service.url)
    ask(page, "Tell at length")
    answered(page)
    playwright.expect(page.locator("#told")).to_contain_text("The rest is in the conversation.")
    assert len(page.locator("#told").inner_text()) < 3200


def test_each_turn_has_a_heading(service: Service, page: Any) -> None:
    """anthropics/claude-code#69997: there was no way from question to question but to read all of it."""
    page.goto(service.url)
    ask(page, "Hello")
    answered(page)
    log = page.get_by_role("log")
    names = log.get_by_role("heading", level=2).all_inner_texts()
    assert names == ["You", "Answer", "Tides"]
    copied = page.evaluate(
        """() => {
          getSelection().selectAllChildren(document.getElementById("log"));
          return getSelection().toString();
        }"""
    )
    assert "Hello" in copied
    assert "Answer" not in copied


def test_the_link_to_the_message_stays_in_the_conversation(service: Service, page: Any) -> None:
    """carbon-design-system/carbon#3698, elastic/eui#5957: the address of such a link is that of another view, where
    the view is named by the address."""
    page.goto(service.url)
    ask(page, "Hello")
    answered(page)
    before = page.url
    page.get_by_role("link", name="To the message").focus()
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_label("Your message")).to_be_focused()
    assert page.url == before
    playwright.expect(page.locator(".turn")).to_have_count(2)
