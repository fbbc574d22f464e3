"""The chat page as axe-core sees it (https://github.com/dequelabs/axe-core, which is only used here): no violation."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.serving.http.test_page import answered, ask, browser, in_a_browser, playwright
from tests.support.http_service import LOOK_UP, Service, serve_http, settings_for, talk
from tests.support.model_server import Answer, Asked, calls, delta, serve, streamed, whole
from tests.support.npm import OLDEST_NODE, installed, node

__all__ = ["browser"]

pytestmark = [
    in_a_browser,
    pytest.mark.skipif(node() < OLDEST_NODE, reason="Node.js 20 or newer is not installed"),
    pytest.mark.timeout(300),
]

ANSWER = """# Tides

Some **bold** text, `code`, a [link](https://example.org) and ~~nothing~~.

## A table

| a | b |
|---|---|
| 1 | 2 |

```python
def tide(height: float) -> str:
    return f"{height} m"  # a comment
```

1. one
2. two

> quoted
"""


def reply(request: Asked) -> Answer:
    last = request.body["messages"][-1]
    if last["role"] == "user" and "look up" in str(last["content"]):
        return calls(("look_up", {"topic": "tides"}))
    return streamed(delta(content=ANSWER)) if request.body.get("stream") else whole(ANSWER)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("accessible")
    prompts = folder / "prompts.toml"
    prompts.write_text('[tutor.v1]\ntext = "You are a patient tutor."\n', encoding="utf-8")
    with serve(reply) as model:
        settings = settings_for(
            folder,
            model.url,
            agentkit_tools=(LOOK_UP,),
            agentkit_prompts=prompts,
            agentkit_sharing=True,
            agentkit_examples=("When is high tide?",),
        )
        with serve_http(settings) as running:
            for name in ("ships", "harbours"):
                talk(running, name, name)
            yield running


@pytest.fixture(scope="module")
def axe() -> str:
    return (installed("axe-core") / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Any, axe: str, part: str = "") -> list[str]:
    """What axe-core finds wrong with the page, or with the part of a selector."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(f"() => {{ {axe} }}")
    found: list[str] = page.evaluate(
        """async (part) => {
          const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
          const { violations } = await axe.run(part || document, { runOnly: tags, resultTypes: ["violations"] });
          const told = (id, { html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`;
          return violations.flatMap(({ id, nodes }) => nodes.map((each) => told(id, each)));
        }""",
        part,
    )
    return found


def test_the_empty_page_a_conversation_and_each_dialog(service: Service, browser: Any, axe: str) -> None:
    page = browser.new_context(viewport={"width": 1100, "height": 720}).new_page()
    page.goto(service.url)
    page.get_by_text("1 tool").click()
    playwright.expect(page.locator("#sessions li")).to_have_count(2)
    assert violations(page, axe) == []
    page.get_by_role("link", name="ships").focus()
    page.keyboard.press("Delete")
    page.locator("#sessions .icon").first.focus()
    page.keyboard.press("Enter")
    assert violations(page, axe, ".menu, #undo") == []
    page.keyboard.press("Escape")
    for opener, dialog in [
        ("Key…", "#key-dialog"),
        ("Keyboard", "#help-dialog"),
        ("Sampling", "#sampling-dialog"),
        ("", "#name-dialog"),
        ("Share…", "#share-dialog"),
    ]:
        if opener in ("", "Share…"):
            page.locator("#sessions .icon").first.focus()
            page.keyboard.press("Enter")
            page.get_by_role("menuitem", name=opener or "Rename").click()
        else:
            page.get_by_role("button", name=opener).click()
        playwright.expect(page.locator(dialog)).to_be_visible()
        if opener == "Share…":
            page.get_by_role("button", name="Make a link").click()
            playwright.expect(page.locator("#share-address")).to_be_visible()
        assert violations(page, axe, dialog) == []
        page.keyboard.press("Escape")
        playwright.expect(page.locator(dialog)).to_be_hidden()
        assert page.evaluate("document.activeElement !== document.body")  # the focus is where it was
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_conversation_and_the_list_on_a_phone(service: Service, browser: Any, axe: str, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1100, "height": 720})
    page = context.new_page()
    page.goto(service.url)
    ask(page, "look up tides")
    answered(page).locator("summary").first.click()
    page.get_by_label("Search").fill("tides")
    playwright.expect(page.locator("#sessions mark").first).to_be_visible()
    assert violations(page, axe) == []
    page.set_viewport_size({"width": 320, "height": 640})
    page.get_by_label("Open the list of conversations").click()
    playwright.expect(page.get_by_label("Close the list")).to_be_focused()
    assert violations(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    context.close()
