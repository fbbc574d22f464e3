"""The list of conversations, the empty page and the keys of the chat page, in a real browser."""

import contextlib
import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.serving.http.test_page import answered, ask, browser, in_a_browser, page, playwright
from tests.support.http_service import Service, serve_http, settings_for, talk
from tests.support.model_server import Answer, Asked, ModelServer, calls, delta, serve, streamed, whole
from tests.support.waiting import until

__all__ = ["browser", "page"]

FENCED = "first\n```py\nx = 1\n```\n# no heading"


def fenced(topic: str) -> str:
    """Find a text with a block of code in it.

    Args:
        topic: The topic.
    """
    return FENCED


def reply(request: Asked) -> Answer:
    last = request.body["messages"][-1]
    text = str(last["content"])
    if last["role"] == "user" and "look up" in text:
        return calls(("fenced", {"topic": "tides"}))
    if last["role"] == "tool":
        return whole("There it is.")
    if "endless" in text:
        return streamed(*(delta(content=f"word{number} ") for number in range(3000)), piece=180, pause=0.03)
    return streamed(delta(content="Said: "), delta(content=text[:200])) if request.body.get("stream") else whole(text)


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with serve(reply) as server:
        yield server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, model: ModelServer) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("sidebar")
    prompts = folder / "prompts.toml"
    prompts.write_text('[tutor.v1]\ntext = "You are a patient tutor."\n', encoding="utf-8")
    settings = settings_for(
        folder,
        model.url,
        agentkit_tools=(f"{__name__}:fenced",),
        agentkit_prompts=prompts,
        agentkit_sharing=True,
        agentkit_page_title="Harbour desk",
        agentkit_examples=("When is high tide?", "潮汐是什么？"),
    )
    with serve_http(settings) as service:
        yield service


@pytest.fixture
def service(running: Service) -> Service:
    """The service without sessions."""
    for session in sessions(running):
        running.ask("POST", "/api/llm/chat/session/stop", {"session_id": session})
        running.ask("POST", "/api/llm/chat/session/clear", {"session_id": session})
    assert sessions(running) == []
    return running


def written_at(service: Service, session: str, time: str) -> None:
    """Set when a session was written last."""
    digest = hashlib.sha256(session.encode()).hexdigest()[:40]
    at = datetime.fromisoformat(time).timestamp()
    with contextlib.closing(sqlite3.connect(service.app.state.service.settings.agentkit_sessions)) as database:
        changed = database.execute(
            "UPDATE sessions SET created = ?, updated = ? WHERE id LIKE ?", (at, at, f"http.%:{digest}")
        ).rowcount
        database.commit()
    assert changed == 1


def sessions(service: Service) -> list[str]:
    found = service.ask("GET", "/api/llm/chat/sessions").json()["sessions"]
    return [each["session_id"] for each in found]


def groups(page: Any) -> dict[str, list[str]]:
    return dict(
        page.evaluate(
            "[...document.querySelectorAll('#sessions section')].map(s =>"
            " [s.querySelector('h2').textContent, [...s.querySelectorAll('.name')].map(n => n.textContent)])"
        )
    )


def focused(page: Any) -> str:
    """The accessible name of what has the focus."""
    return str(page.evaluate("document.activeElement.ariaLabel || document.activeElement.innerText"))


def composed(page: Any, text: str, *keys: str) -> None:
    """Compose a text as an input method does, and press keys in it."""
    client = page.context.new_cdp_session(page)
    client.send("Input.imeSetComposition", {"text": text, "selectionStart": len(text), "selectionEnd": len(text)})
    for key in keys:  # as an input method gives them on: the key that was pressed, with the code of what it takes
        for kind in ("rawKeyDown", "keyUp"):
            event = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": 229, "nativeVirtualKeyCode": 229}
            client.send("Input.dispatchKeyEvent", event)
    client.send("Input.insertText", {"text": text})
    client.detach()


@in_a_browser
def test_conversations_are_in_groups_of_the_readers_own_days(service: Service, browser: Any) -> None:
    """BasedHardware/omi#10198: grouped by UTC, the conversations of this morning were yesterday's."""
    times = {
        "morning": "2026-06-15T00:10:00+00:00",  # in Los Angeles it is the 14th, still
        "evening": "2026-06-14T14:00:00+00:00",
        "week": "2026-06-09T12:00:00+00:00",
        "spring": "2026-03-29T12:00:00+00:00",
        "winter": "2025-12-31T12:00:00+00:00",
        "kept": "2024-01-02T12:00:00+00:00",
    }
    for name, time in times.items():
        talk(service, name, name)
        written_at(service, name, time)
    assert service.ask("POST", "/api/llm/chat/session/pin", {"session_id": "kept", "pinned": True}).status_code == 200
    context = browser.new_context(timezone_id="America/Los_Angeles", locale="de-AT")
    page = context.new_page()
    page.clock.set_fixed_time("2026-06-15T00:30:00+00:00")
    page.goto(service.url)
    playwright.expect(page.locator("#sessions li")).to_have_count(6)
    assert groups(page) == {
        "Angeheftet": ["kept"],
        "Heute": ["morning", "evening"],
        "Letzte 7 Tage": ["week"],
        "März": ["spring"],
        "Dezember 2025": ["winter"],
    }
    context.close()


@in_a_browser
def test_a_menu_is_used_with_the_keyboard_and_names_are_composed(service: Service, page: Any) -> None:
    """danny-avila/LibreChat#3788: menus that only the mouse reached; #7314: rows that were not called by their names.
    multica-ai/multica#7191: the Enter of an input method saved half of a name."""
    for name in ("tides", "ships"):
        talk(service, name, name)
    page.goto(service.url)
    playwright.expect(page.get_by_role("navigation").get_by_role("link", name="ships", exact=True)).to_be_visible()
    page.keyboard.press("Control+k")
    for key, expected in (("ArrowDown", "ships"), ("ArrowDown", "tides"), ("Home", "ships")):
        page.keyboard.press(key)
        assert focused(page).strip() == expected
    page.keyboard.press("ArrowUp")
    playwright.expect(page.locator("#search")).to_be_focused()
    for expected in ("ships", "More for ships", "tides", "More for tides"):
        page.keyboard.press("Tab")
        assert focused(page) == expected
        assert page.evaluate("getComputedStyle(document.activeElement).opacity") == "1"
    page.keyboard.press("Enter")
    assert focused(page) == "Rename"
    page.keyboard.press("End")
    assert focused(page) == "Delete"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert focused(page) == "Pin"
    page.keyboard.press("Escape")
    assert focused(page) == "More for tides"
    assert page.get_by_role("menu").count() == 0
    page.keyboard.press("ArrowDown")
    page.keyboard.press("p")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#sessions h2").first).to_have_text("Pinned")
    assert list(groups(page).values()) == [["tides"], ["ships"]]
    assert focused(page) == "More for tides"  # it has moved, with the focus
    until(lambda: service.ask("GET", "/api/llm/chat/sessions").json()["sessions"][1]["pinned"])
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#name")).to_be_focused()
    late: list[Any] = []

    def hold_back_first(route: Any) -> None:
        if late:
            route.continue_()
        late.append(route)

    page.route("**/api/llm/chat/sessions", hold_back_first)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    until(lambda: page.wait_for_timeout(20) or late)
    composed(page, "潮汐", "Enter", "Escape")
    playwright.expect(page.locator("#name-dialog")).to_be_visible()
    assert page.locator("#name").input_value() == "潮汐"
    page.keyboard.type(" <i>")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#sessions .name").first).to_have_text("潮汐 <i>")
    late[0].fulfill(json={"sessions": []})  # what was asked before is not shown
    assert focused(page) == "More for 潮汐 <i>"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("F2")
    page.keyboard.press("Escape")
    playwright.expect(page.locator("#name-dialog")).to_be_hidden()
    assert focused(page).strip() == "潮汐 <i>"


@in_a_browser
def test_a_deletion_is_taken_back_or_made_when_its_time_is_over_or_the_page_is_left(
    service: Service, page: Any
) -> None:
    """Osmantic/ODS#4974: the focus was lost with the row. Vali-98/ChatterUI#376: no way back."""
    for name in ("one", "two", "three", "four"):
        talk(service, name, name)
    page.clock.install()
    page.goto(f"{service.url}/#three")
    playwright.expect(page.locator("#title")).to_have_text("three")
    page.locator("#sessions .open", has_text="two").focus()
    page.keyboard.press("Delete")
    playwright.expect(page.locator("#sessions .name")).to_have_text(["four", "three", "one"])
    playwright.expect(page.get_by_text("Deleted: two")).to_be_visible()
    assert focused(page).strip() == "one"
    page.clock.fast_forward(5000)
    page.keyboard.press("Control+z")
    playwright.expect(page.locator("#sessions .name")).to_have_text(["four", "three", "two", "one"])
    page.clock.fast_forward(9000)
    assert len(sessions(service)) == 4
    # the one that is shown: the way back shows it again
    page.locator("#sessions li", has_text="three").hover()
    page.get_by_label("More for three").click()
    page.get_by_role("menuitem", name="Delete").click()
    playwright.expect(page.locator(".turn")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    playwright.expect(page.locator(".turn")).to_have_count(2)
    playwright.expect(page.locator("#title")).to_have_text("three")
    # two at once, each with its own time; the mouse is not at the bar
    page.locator("#sessions .open", has_text="one").press("Delete")
    page.clock.fast_forward(4000)
    page.locator("#sessions .open", has_text="two").press("Delete")
    page.clock.fast_forward(5000)
    until(lambda: sessions(service) == ["four", "three", "two"])
    playwright.expect(page.get_by_text("Deleted: two")).to_be_visible()
    page.goto("about:blank")
    until(lambda: sessions(service) == ["four", "three"])
    # what the service refused, since an answer was in progress, is done by the next page
    talk(service, "five", "five")
    page.goto(f"{service.url}/#four")
    page.locator("#sessions .open", has_text="five").press("Delete")
    body = {"session_id": "five", "message": "endless", "background": True}
    service.ask("POST", "/api/llm/chat/session/stream", body, stream=True).close()
    page.reload()
    playwright.expect(page.locator("#sessions .name")).to_have_text(["four", "three"])
    until(lambda: page.clock.run_for(500) or sessions(service) == ["four", "three"])


@in_a_browser
def test_an_answer_that_goes_on_is_marked_and_ends_with_its_conversation(service: Service, page: Any) -> None:
    """open-webui/open-webui#26668: what was deleted while it was answered came back, or was broken."""
    page.clock.install()
    page.goto(service.url)
    ask(page, "endless please")
    page.get_by_text("word5 ").wait_for()
    page.clock.fast_forward(5000)  # the list is read again meanwhile
    row = page.locator("#sessions li")
    playwright.expect(row.locator(".running")).to_have_text("An answer is being written")
    page.keyboard.press("Alt+n")
    playwright.expect(page.locator(".turn")).to_have_count(0)
    playwright.expect(row.locator(".running")).to_be_visible()
    row.locator(".open").press("Delete")
    assert len(sessions(service)) == 1
    assert focused(page) == "New conversation"
    page.clock.fast_forward(9000)
    runs = service.app.state.service.runs
    until(lambda: page.clock.run_for(500) or (not sessions(service) and not runs.count))
    playwright.expect(page.locator("#problem")).to_be_hidden()
    playwright.expect(row).to_have_count(0)


@in_a_browser
def test_what_is_said_is_found_and_an_older_answer_shows_nothing(service: Service, page: Any) -> None:
    """pkyu/coastle#1: the results of an earlier query came later, and stayed. open-webui/open-webui#26172: the Enter of
    an input method was taken in a search field."""
    talk(service, "one", "About <b>harbours</b> and ＦＪＯＲＤＳ")
    talk(service, "two", "潮汐是什么")
    talk(service, "three", "Something else")
    asked: list[str] = []
    late: list[Any] = []

    def hold_back(route: Any) -> None:
        asked.append(route.request.post_data_json["query"])
        if asked[-1] == "e":
            late.append(route)
        else:
            route.continue_()

    page.route("**/chat/sessions/search", hold_back)
    page.goto(service.url)
    playwright.expect(page.locator("#sessions li")).to_have_count(3)
    page.keyboard.press("Control+k")
    page.keyboard.type("e")
    until(lambda: page.wait_for_timeout(20) or late)
    page.keyboard.press("Backspace")
    page.keyboard.type("fjords HARB")
    playwright.expect(page.locator("#found")).to_have_text("1 found")
    playwright.expect(page.locator("#sessions .snippet")).to_contain_text("About <b>harbours</b> and ＦＪＯＲＤＳ")
    marked = page.locator("#sessions .snippet mark").all_inner_texts()
    assert sorted(marked) == sorted(["harb", "ＦＪＯＲＤＳ"])
    with_all = {"session_id": "three", "name": "stale", "updated": "2026-06-15T00:00:00+00:00"}
    late[0].fulfill(json={"sessions": [{**with_all, "snippet": "", "matches": []}]})
    page.wait_for_timeout(100)
    playwright.expect(page.locator("#sessions .name")).to_have_text(["About <b>harbours</b> and ＦＪＯＲＤＳ"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#title")).to_contain_text("harbours")
    page.keyboard.press("Control+k")
    before = len(asked)
    page.locator("#search").fill("")
    composed(page, "潮汐", "Enter")
    playwright.expect(page.locator("#found")).to_have_text("1 found")
    assert asked[before:] == ["潮汐"]
    page.locator("#search").fill("nowhere")
    playwright.expect(page.locator("#found")).to_have_text("Nothing found")
    page.keyboard.press("Escape")
    playwright.expect(page.locator("#sessions li")).to_have_count(3)
    assert page.evaluate("document.activeElement.id") == "search"
    page.unroute("**/chat/sessions/search")
    page.route("**/chat/sessions/search", lambda route: route.fulfill(status=404, json={"detail": "Not Found"}))
    page.keyboard.type("ELSE")  # an older service: names are searched
    playwright.expect(page.locator("#sessions .name")).to_have_text(["Something else"])
    playwright.expect(page.locator("#found")).to_have_text("1 found")
    playwright.expect(page.locator("#problem")).to_be_hidden()


@in_a_browser
def test_a_conversation_leaves_as_a_file_and_by_a_link(
    service: Service, page: Any, browser: Any, tmp_path: Path
) -> None:
    """Nano-Collective/nanocoder#1347: a fence in a tool's output ended the block. AppFlowy-IO/AppFlowy#2873: a name
    with slashes gave no file. revivalstack/ai-chat-exporter#16: other scripts were taken out of file names."""
    question = "look up tides\n# not a heading"
    talk(service, "one", question)
    service.ask("POST", "/api/llm/chat/session/rename", {"session_id": "one", "name": 'Tides: 6/20/2023 "潮汐"?'})
    page.goto(service.url)
    saved: dict[str, str] = {}
    for words in ("Export as Markdown", "Export as JSON"):
        page.locator("#sessions .icon").focus()
        page.keyboard.press("Enter")
        with page.expect_download() as download:
            page.get_by_role("menuitem", name=words).click()
        download.value.save_as(tmp_path / "saved")
        saved[download.value.suggested_filename] = (tmp_path / "saved").read_text(encoding="utf-8")
    assert list(saved) == ["Tides 6 20 2023 潮汐.md", "Tides 6 20 2023 潮汐.json"]
    markdown, exported = saved.values()
    assert f"````\n{FENCED}\n````" in markdown
    assert "> look up tides\n> # not a heading" in markdown
    headings = re.findall(r"^#+ \w+", re.sub(r"(?s)````.*?````", "", markdown), re.MULTILINE)
    assert headings == ["# Tides", "## You", "## Answer"]
    assert json.loads(exported) == service.ask("POST", "/api/llm/chat/session/history", {"session_id": "one"}).json()
    # and a link
    page.locator("#sessions .icon").focus()
    page.keyboard.press("Enter")
    page.get_by_role("menuitem", name="Share…").click()
    dialog = page.get_by_role("dialog", name="Share by a link")
    dialog.get_by_role("button", name="Make a link").click()
    playwright.expect(dialog.get_by_role("button", name="Copy")).to_be_focused()
    link = dialog.get_by_label("Link", exact=True).input_value()
    reader = browser.new_context().new_page()
    reader.goto(link)
    playwright.expect(reader.locator(".user")).to_contain_text("look up tides")
    playwright.expect(reader.locator("#side, #composer, #welcome").first).to_be_hidden()
    dialog.get_by_role("button", name="Revoke").click()
    playwright.expect(dialog.get_by_role("button", name="Make a link")).to_be_focused()
    page.keyboard.press("Escape")
    assert focused(page) == 'More for Tides: 6/20/2023 "潮汐"?'
    reader.reload()
    playwright.expect(reader.get_by_role("alert").first).to_contain_text("no such shared conversation")
    reader.context.close()


@in_a_browser
def test_the_empty_page_says_what_is_here_and_sampling_is_kept(service: Service, page: Any, model: ModelServer) -> None:
    """mckaywrigley/chatbot-ui#807: a temperature of 0 was taken for none."""
    page.goto(service.url)
    welcome = page.get_by_role("region", name="What is here")
    playwright.expect(welcome.get_by_role("heading")).to_have_text("Harbour desk")
    playwright.expect(page).to_have_title("Harbour desk")
    welcome.get_by_text("1 tool").click()
    playwright.expect(welcome.get_by_text("Find a text with a block of code in it.")).to_be_visible()
    welcome.get_by_role("button", name="潮汐是什么？").click()
    playwright.expect(page.get_by_label("Your message")).to_have_value("潮汐是什么？")
    playwright.expect(page.get_by_label("Your message")).to_be_focused()
    welcome.get_by_label("Prompt").select_option("tutor")
    page.get_by_role("button", name="Sampling").click()
    page.get_by_label("Temperature").fill("0")
    page.get_by_label("Tokens").fill("0")
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_role("dialog")).to_be_visible()  # none are too few
    page.get_by_label("Tokens").fill("55")
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_role("dialog")).to_be_hidden()
    assert focused(page) == "Sampling (changed)"
    page.get_by_label("Your message").press("Enter")
    answered(page)
    playwright.expect(welcome).to_be_hidden()
    sent = model.requests[-1].body
    assert (sent["temperature"], sent["max_tokens"]) == (0, 55)
    assert "patient tutor" in str(sent["messages"][0]["content"])
    page.reload()
    playwright.expect(page.get_by_role("button", name="Sampling (changed)")).to_be_visible()
    playwright.expect(page.locator(".turn")).to_have_count(2)
    playwright.expect(welcome).to_be_hidden()
    page.get_by_role("button", name="Sampling (changed)").click()
    page.get_by_role("button", name="Defaults").click()
    page.get_by_role("button", name="Use").click()
    page.keyboard.press("Alt+n")
    ask(page, "again")
    answered(page)
    sent = model.requests[-1].body
    assert (sent.get("temperature") == 0, sent.get("max_tokens") == 55) == (False, False)
    assert "patient tutor" not in str(sent["messages"][0]["content"])  # the choice was for the other conversation
    page.route("**/api/llm/about", lambda route: route.fulfill(status=404, json={"detail": "Not Found"}))
    page.reload()  # an older service
    playwright.expect(page.locator(".turn")).to_have_count(2)
    page.keyboard.press("Alt+n")
    playwright.expect(welcome.get_by_role("heading")).to_have_text("What would you like to know?")
    playwright.expect(page.locator("#sampling, #problem").first).to_be_hidden()


@in_a_browser
def test_the_keys_are_listed_and_do_not_take_letters(service: Service, page: Any) -> None:
    """postmanlabs/postman-app-support#2707: AltGr, which some systems report as Ctrl and Alt, wrote no letters."""
    page.goto(service.url)
    page.get_by_label("Your message").press_sequentially("why?")
    playwright.expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("link", name="API").focus()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard")
    playwright.expect(dialog).to_contain_text("Ctrl + K")
    page.keyboard.press("Alt+n")  # not behind a dialog
    page.keyboard.press("Escape")
    assert focused(page) == "API"
    before = page.url
    page.get_by_label("Your message").focus()
    for keys in ("Control+Alt+n", "Control+Alt+k", "Control+Shift+k"):
        page.keyboard.press(keys)
    playwright.expect(page.get_by_label("Your message")).to_be_focused()
    assert page.url == before
    page.get_by_role("button", name="Keyboard").click()
    dialog.get_by_role("button", name="Close").click()
    playwright.expect(page.get_by_role("button", name="Keyboard")).to_be_focused()


@in_a_browser
def test_a_list_of_a_thousand_keeps_its_rows_its_place_and_the_focus(service: Service, page: Any) -> None:
    """open-webui/open-webui#2078: the list of many conversations froze the page."""
    listed = [
        {"session_id": f"s{number}", "name": f"Conversation {number}", "updated": "2026-06-01T10:00:00+00:00"}
        for number in range(1000)
    ]
    page.route("**/api/llm/chat/sessions", lambda route: route.fulfill(json={"sessions": listed}))
    page.goto(service.url)
    playwright.expect(page.locator("#sessions li")).to_have_count(1000)
    page.locator("#sessions .open", has_text="Conversation 700").focus()
    place = page.locator("#sessions").evaluate("each => each.scrollTop")
    page.evaluate(
        "window.changes = 0; new MutationObserver(all => { for (const each of all) "
        "changes += each.addedNodes.length + each.removedNodes.length })"
        ".observe(document.getElementById('sessions'), { subtree: true, childList: true })"
    )
    listed.insert(0, {**listed[0], "session_id": "new", "name": "New"})
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    playwright.expect(page.locator("#sessions li")).to_have_count(1001)
    assert page.evaluate("changes") < 10
    assert focused(page).strip() == "Conversation 700"
    assert abs(page.locator("#sessions").evaluate("each => each.scrollTop") - place) < 100
    page.get_by_label("Search").fill("999")
    playwright.expect(page.locator("#sessions li")).to_have_count(1)


@in_a_browser
def test_a_phone_reaches_all_of_the_list(service: Service, browser: Any) -> None:
    """OpenHands/OpenHands#15431: menus that only a mouse over them showed. kirodotdev/KiroCrew#7185: on a low screen
    the end of a menu could not be reached."""
    for number in range(6):
        talk(service, f"s{number}", f"conversation {number} with a name that is rather long")
    context = browser.new_context(viewport={"width": 320, "height": 300}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(service.url)
    page.get_by_label("Open the list of conversations").tap()
    playwright.expect(page.get_by_label("Close the list")).to_be_focused()
    small = page.evaluate(
        "[...document.querySelectorAll('#side button, #side a, #side input')].filter(e => e.checkVisibility())"
        ".map(e => [e.ariaLabel || e.innerText, e.getBoundingClientRect()])"
        ".filter(([, r]) => r.width < 44 || r.height < 44).map(([name]) => name)"
    )
    assert small == []
    page.get_by_label("Your message").evaluate("each => each.focus()")
    assert focused(page) == "Close the list"  # what is covered can't be reached
    page.locator("#sessions .icon").last.scroll_into_view_if_needed()
    page.locator("#sessions .icon").last.tap()
    menu = page.get_by_role("menu")
    box = menu.bounding_box()
    assert min(box["x"], box["y"]) >= 0
    assert box["y"] + box["height"] <= 300
    assert box["x"] + box["width"] <= 320
    menu.get_by_role("menuitem", name="Delete").tap()
    page.get_by_role("button", name="Undo").tap()
    playwright.expect(page.locator("#sessions li")).to_have_count(6)
    page.keyboard.press("Escape")
    playwright.expect(page.get_by_label("Open the list of conversations")).to_be_focused()
    page.get_by_label("Open the list of conversations").tap()
    page.touchscreen.tap(310, 150)
    playwright.expect(page.locator("#new")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    context.close()
