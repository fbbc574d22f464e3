"""A report as an HTML page, in a browser: citations, light and dark, phones, print, and nothing of others runs."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.evidence.check import checked
from agentkit.evidence.source import Source
from agentkit.research.assembling import assembled
from agentkit.research.report import Report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = "<script>document.title='hacked'</script><img src=x onerror=document.title='hacked'>"
TEXT = f"""The light is 31 metres high [1]. It is 99 metres high [1]. It was lit in 1066 [44].

## How it was *built* {HOSTILE}

Its stones are of granite [2], and `x < y` is code [2]. **It cost 4,000 crowns. It was paid by the harbours [1].**

| Year | What |
|---|---|
| 1794 | First light [1] |

## The lamp

- It burned herring oil [2].
- [A link](javascript:alert(1)), and [another](https://never.example/) {HOSTILE}

## Keepers

Ada Moll kept the light for 41 years [3]. ![pixel](https://evil.example/pixel.png)

```
code {HOSTILE}
```

## Now

It is open on Sundays [3].
"""
SOURCES = {
    1: Source(1, "https://lights.example/tallow", f"The Tallow light {HOSTILE}", True, "2026-11-29T10:00:00Z",
              texts=("The light is 31 metres high. It cost 4,000 crowns. It was paid by the harbours.",)),
    2: Source(2, 'https://lights.example/"onmouseover="x', "Lamps", True, "2026-11-29T10:00:00Z",
              texts=(f"Its stones are of granite, and x < y is code. It burned herring oil. {HOSTILE}",)),
    3: Source(3, "javascript:document.title='hacked'", "灯台", True, "2026-11-29T10:00:00Z",
              texts=("Ada Moll kept the light for 41 years. It is open on Sundays.",)),
}  # fmt: skip


def report() -> Report:
    text, citations, sources = assembled(TEXT, SOURCES, checked)
    remarks = (f"The work has not ended {HOSTILE}.",)
    return Report(
        f"How high is it {HOSTILE}?", text, citations, sources, remarks, at="2026-11-29T10:00:00Z", session="x"
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report().html(), encoding="utf-8")
    return path


def opened(browser: Any, file: Path, **options: Any) -> tuple[Any, list[str]]:
    """The page, and what the browser complains of or asks for."""
    shown = browser.new_context(**options).new_page()
    noted: list[str] = []
    shown.on("request", lambda request: noted.append(request.url))
    shown.on("console", lambda message: noted.append(message.text))
    shown.on("pageerror", lambda error: noted.append(str(error)))
    shown.goto(file.as_uri())
    noted.remove(file.as_uri())
    return shown, noted


def test_on_a_wide_screen_a_mark_shows_the_quotation_and_leads_to_its_reference_and_back(
    browser: Any, file: Path
) -> None:
    shown, noted = opened(browser, file, viewport={"width": 1100, "height": 900}, color_scheme="dark")
    first = shown.locator(".cite").first
    card = first.locator(".card")
    assert not card.is_visible()
    first.hover()
    assert card.is_visible()
    assert "The light is 31 metres high." in card.inner_text()
    assert "The source says this." in card.inner_text()
    shown.mouse.move(5, 5)
    assert not card.is_visible()
    first.locator("> a").focus()
    assert card.is_visible()
    first.locator("> a").click()
    assert shown.evaluate("location.hash") == "#s1"
    assert shown.locator("#s1").is_visible()
    shown.locator("#s1 .back").first.click()
    assert shown.evaluate("location.hash") == "#c1"
    assert shown.locator("nav a").count() == 5
    shown.locator("summary").click()
    assert shown.locator(".bibtex pre").inner_text() == report().bibtex()
    assert shown.title().startswith("How high is it <script>")
    assert noted == []
    shown.context.close()


def test_sentences_that_are_not_supported_look_different_and_say_why(browser: Any, file: Path) -> None:
    shown, _ = opened(browser, file)
    flagged = shown.locator(".said")
    assert "It is 99 metres high" in " ".join(flagged.all_inner_texts())
    assert "The light is 31 metres high" not in " ".join(flagged.all_inner_texts())
    assert shown.locator(".cite.no-source").first.inner_text() == "no source"
    assert shown.locator(".counts").inner_text().startswith(f"{len(supported())} supported")
    shown.context.close()


def supported() -> list[tuple[int, int]]:
    places: dict[tuple[int, int], bool] = {}
    for each in report().citations:
        places[each.start, each.end] = places.get((each.start, each.end), True) and each.verdict == "supported"
    return [place for place, is_good in places.items() if is_good]


def test_on_a_phone_a_tap_shows_the_quotation_and_nothing_is_wider_than_the_screen(browser: Any, file: Path) -> None:
    shown, noted = opened(browser, file, viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True)
    assert shown.evaluate("document.documentElement.scrollWidth") == 320
    mark = shown.locator(".cite").first
    mark.locator("button").tap()
    assert mark.locator(".card").is_visible()
    assert "The light is 31 metres high." in mark.locator(".card").inner_text()
    shown.keyboard.press("Escape")
    assert not mark.locator(".card").is_visible()
    assert noted == []
    shown.context.close()


def test_printed_it_has_numbers_and_no_cards(browser: Any, file: Path) -> None:
    shown, _ = opened(browser, file)
    shown.emulate_media(media="print")
    assert shown.locator(".cite > a").first.is_visible()
    assert not shown.locator(".cite > button").first.is_visible()
    assert not shown.locator(".card").first.is_visible()
    shown.context.close()


def test_nothing_of_others_is_markup_or_a_link() -> None:
    html = report().html()
    assert html.count("<script") == 0
    assert not re.search(r"<img|onerror=[^&]*>(?!.*&gt;)", html.replace("onerror=document", ""))
    assert "never.example" not in html
    assert "evil.example" not in html
    targets = re.findall(r"""(?:href|src|action)\s*=\s*["']([^"']*)""", html)
    assert {target for target in targets if not target.startswith("#")} == {
        "https://lights.example/tallow",
        "https://lights.example/%22onmouseover=%22x",
    }
    assert re.search(r"default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none'; form-action 'none'", html)
    assert not re.search(r"url\(|@import", html)


def test_each_id_is_there_once_and_each_link_leads_somewhere() -> None:
    html = report().html()
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    for name in ("href", "aria-describedby", "popovertarget", "aria-labelledby"):
        for target in re.findall(rf'\s{name}="#?([^"]+)"', html):
            assert target in ids or target.startswith("http"), target


def test_a_sentence_across_emphasis_is_nested_rightly() -> None:
    html = report().html()
    body = html[html.index("<main") : html.index("</main>")]
    stack: list[str] = []
    for closes, name, rest in re.findall(r"<(/?)(\w+)([^<>]*)>", body):
        if name in ("meta", "br", "hr") or rest.endswith("/"):
            continue
        if closes:
            assert stack.pop() == name
        else:
            stack.append(name)
    assert stack == ["main"]
