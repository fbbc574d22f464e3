"""The chat page in a real browser, against the real service."""

import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.serving.http.keys import Keys
from tests.support.http_service import Service, serve_http, settings_for
from tests.support.model_server import Answer, Asked, ModelServer, calls, delta, serve, streamed

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ROOT = Path(__file__).parents[3]
STATIC = ROOT / "agentkit" / "serving" / "http" / "static"
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)")

XSS = (
    "<script>window.hit=1</script><img src=x onerror=window.hit=2><svg onload=window.hit=3></svg>"
    "<a href='javascript:window.hit=4'>go</a><iframe srcdoc='<script>parent.hit=5</script>'></iframe>"
    "<style>body{display:none}</style><form action=/x><button>b</button></form>"
    "![p](http://127.0.0.1:9/leak?q=1) [l](javascript:window.hit=6)"
)


def hostile(topic: str) -> str:
    """Describe a topic with the content of a hostile page.

    Args:
        topic: The topic.
    """
    return XSS


def reply(request: Asked) -> Answer:
    messages = request.body["messages"]
    last = messages[-1]
    text = str(last["content"])
    if last["role"] == "tool":
        return streamed(delta(content="The tool said: "), delta(content=XSS))
    if "look up" in text:
        return calls(("hostile", {"topic": "<b>tides</b>"}))
    if "endless" in text:
        return streamed(*(delta(content=f"word{number} ") for number in range(3000)), piece=180, pause=0.03)
    if "markdown" in text:
        deltas = [
            "# Head\n\n",
            "Some **bold** text, `code`\n\n",
            "- one\n- two\n\n",
            "| a | b |\n|---|---|\n| 1 | 2 |\n",
        ]
        return streamed(*(delta(content=each) for each in deltas))
    return streamed(*(delta(content=piece) for piece in ("You said: ", text[:200])))


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with serve(reply) as server:
        yield server


@pytest.fixture
def service(tmp_path: Path, model: ModelServer) -> Iterator[Service]:
    with serve_http(settings_for(tmp_path, model.url, agentkit_tools=(f"{__name__}:hostile",))) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
        arguments += ["--disable-component-update", "--disable-sync", "--no-first-run"]
        running = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page; checks that it sends requests to the service only, and does not violate its content security policy.

    While hostile text is parsed for sanitizing, the browser reports that a <style> was not applied; this is ignored.
    """
    context = browser.new_context(viewport={"width": 1100, "height": 720})
    made = context.new_page()
    made.set_default_timeout(10_000)
    requested: list[str] = []
    problems: list[str] = []
    made.on("request", lambda request: requested.append(request.url))
    made.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    made.on("pageerror", lambda error: problems.append(str(error)))
    yield made
    context.close()
    assert {re.sub(r":\d+/.*", "", url) for url in requested if not url.startswith("data:")} <= {"http://127.0.0.1"}
    problems = [each for each in problems if not each.startswith("Applying inline style")]
    assert [each for each in problems if "Content Security Policy" in each or "rror:" in each] == []


def ask(page: Any, text: str, on_phone: bool = False) -> None:
    page.get_by_label("Your message").fill(text)
    if on_phone:  # where Enter is a new line
        page.locator("#send").tap()
    else:
        page.keyboard.press("Enter")


def answered(page: Any, count: int = 1) -> Any:
    """Return the last answer when it is complete."""
    playwright.expect(page.locator(".usage")).to_have_count(count, timeout=10_000)
    return page.locator(".assistant").last


@in_a_browser
def test_a_conversation_streams_and_is_restored_after_a_reload(service: Service, page: Any, tmp_path: Path) -> None:
    page.goto(service.url)
    ask(page, "Hello there")
    assert "You said: Hello there" in answered(page).inner_text()
    assert "tokens" in page.locator(".usage").inner_text()
    ask(page, "markdown please")
    answered(page, 2)
    assert page.locator(".said h2").inner_text() == "Head"
    assert page.locator(".assistant li").count() == 2
    assert page.locator(".assistant td").count() == 2
    item = page.locator("#sessions .open")
    playwright.expect(item).to_have_text("Hello there")
    item.click()
    playwright.expect(page.locator(".turn")).to_have_count(4)
    page.reload()
    playwright.expect(page.locator(".turn")).to_have_count(4)
    playwright.expect(page.locator("#title")).to_have_text("Hello there")


@in_a_browser
def test_hostile_content_is_sanitized(service: Service, page: Any) -> None:
    page.goto(service.url)
    ask(page, f"look up {XSS}")
    view = answered(page)
    view.locator("summary").first.click()
    assert XSS in view.locator(".response").inner_text()
    assert "<b>tides</b>" in view.locator(".arguments").inner_text()
    playwright.expect(page.locator("#sessions .open")).to_contain_text("<script>")
    page.reload()
    page.locator("#sessions .open").click()
    playwright.expect(page.locator(".turn")).to_have_count(2)
    page.wait_for_timeout(300)
    assert page.evaluate("window.hit") is None
    assert page.locator("#log iframe, #log form, #log script, #log style, #log svg").count() == 0
    assert page.locator("#log img").count() == 0
    assert page.locator("#log a[href^=javascript]").count() == 0
    assert page.locator("body").is_visible()


@in_a_browser
def test_stop_cancels_the_run_on_the_server(service: Service, page: Any) -> None:
    page.goto(service.url)
    ask(page, "endless please")
    page.get_by_text("word5 ").wait_for()
    page.keyboard.press("Escape")
    playwright.expect(page.locator(".usage")).to_contain_text("Stopped")
    playwright.expect(page.locator("#send")).to_be_visible()
    runs = service.app.state.service.runs
    for _ in range(100):
        if not runs.count:
            break
        page.wait_for_timeout(50)
    assert runs.count == 0
    ask(page, "and now?")
    assert "You said: and now?" in answered(page, 2).inner_text()


@in_a_browser
def test_the_page_asks_for_a_key_and_does_not_reveal_it(tmp_path: Path, model: ModelServer, page: Any) -> None:
    key = Keys(tmp_path / "keys.json").add("ann")
    with serve_http(settings_for(tmp_path, model.url)) as service:
        page.goto(service.url)
        playwright.expect(page.get_by_role("alert")).to_contain_text("requires an API key")
        page.get_by_role("button", name="Enter API key").click()
        page.locator("#key").fill("wrong")
        page.keyboard.press("Enter")
        playwright.expect(page.get_by_role("alert")).to_contain_text("rejected this API key")
        page.locator("#settings").click()
        page.locator("#key").fill(key)
        page.keyboard.press("Enter")
        playwright.expect(page.locator("#problem")).to_be_hidden()
        ask(page, "Hello")
        assert "You said: Hello" in answered(page).inner_text()
        assert key not in page.content()
        assert key not in page.url


@in_a_browser
def test_an_unreachable_model_server_is_reported_and_the_message_kept(tmp_path: Path, page: Any) -> None:
    with serve_http(settings_for(tmp_path, "http://127.0.0.1:9")) as service:
        page.goto(service.url)
        playwright.expect(page.locator("#health")).to_have_text("The model server is unreachable")
        ask(page, "Hello")
        alert = page.get_by_role("alert").filter(has_text="model server error").first
        playwright.expect(alert).to_be_visible(timeout=20_000)
        playwright.expect(page.get_by_label("Your message")).to_have_value("Hello")


@in_a_browser
def test_images_are_sent_and_displayed(service: Service, page: Any, model: ModelServer) -> None:
    png = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100"
        "18dd8db00000000049454e44ae426082"
    )
    page.goto(service.url)
    page.locator("#file").set_input_files({"name": "dot.png", "mimeType": "image/png", "buffer": png})
    playwright.expect(page.locator("#images img")).to_have_count(1)
    ask(page, "What is this?")
    answered(page)
    asked = [each.body["messages"][-1]["content"] for each in model.requests]  # health asks whether tools arrive, too
    (parts,) = [content for content in asked if isinstance(content, list)]
    assert [part["type"] for part in parts] == ["text", "image_url"]
    page.locator("#sessions .open").click()
    playwright.expect(page.locator(".user img")).to_have_count(1)


@in_a_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_light_and_dark(service: Service, browser: Any, scheme: str, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 640}, color_scheme=scheme, has_touch=True)
    page = context.new_page()
    page.goto(service.url)
    ask(page, "look up " + "x" * 300, on_phone=True)
    answered(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert not page.locator("#new").is_visible()
    page.get_by_label("Open the list of conversations").click()
    playwright.expect(page.locator("#new")).to_be_visible()
    page.keyboard.press("Escape")
    playwright.expect(page.locator("#new")).to_be_hidden()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) > 380) == (scheme == "light")
    context.close()


@in_a_browser
def test_the_page_can_be_used_with_the_keyboard_only(service: Service, page: Any) -> None:
    page.goto(service.url)
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    page.keyboard.press("Enter")
    assert "You said: one" in answered(page).inner_text()
    page.keyboard.press("Alt+n")
    playwright.expect(page.locator(".turn")).to_have_count(0)
    page.keyboard.type("three")
    page.keyboard.press("Enter")
    answered(page)
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input:not([hidden]), textarea')]"
        ".filter(e => !e.textContent.trim() && !e.getAttribute('aria-label') && !e.labels?.length).length"
    )
    assert unnamed == 0


@in_a_browser
def test_the_api_documentation_is_displayed(service: Service, page: Any) -> None:
    page.goto(f"{service.url}/docs")
    page.get_by_text("POST /api/llm/chat/session", exact=True).click()
    playwright.expect(page.get_by_text("session_id", exact=True).first).to_be_visible()


def test_responses_have_security_headers(service: Service) -> None:
    for path in ("/", "/docs", "/static/index.js", "/livez", "/nowhere"):
        headers = service.ask("GET", path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_the_built_page_is_current() -> None:
    """If it fails: cd web && npm ci && npm run build."""
    web = ROOT / "web"
    files = [web / name for name in ("docs.html", "index.html", "package-lock.json", "vite.config.ts")]
    files += [path for folder in ("public", "src") for path in (web / folder).rglob("*") if path.is_file()]
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(web).as_posix(), path) for path in files):
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    assert (STATIC / "built-from.txt").read_text().strip() == digest.hexdigest()
