"""Reports of evaluations: one page whose texts are only texts, Markdown that is only text, and JSON."""

import functools
import http.server
import json
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from agentkit.errors import ConfigurationError
from agentkit.evaluation.checks import parse_check
from agentkit.evaluation.page import MAX_PAGE, page
from agentkit.evaluation.report import checked_report, report, write_report
from agentkit.evaluation.running import Evaluation
from agentkit.evaluation.tables import table
from tests.evaluation.made import answers, configured, evaluation, lost, outcome
from tests.evaluation.records import answered

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = (
    "</script><script>alert(1)</script><!--<script><img src=x onerror=alert(2)><b>bold</b> [a](javascript:alert(3)) "
    "`code` | cell \u202egnp.exe \u2028 \x1b[31m {{ 7*7 }} \ud800"
)
ARABIC = "ما هي عاصمة فرنسا؟ باريس هي العاصمة. "


def hostile() -> Evaluation:
    def all_of(seed: int) -> list[Any]:
        made = answers(24, 0.6, seed)
        made[0] = outcome(
            "q0 " + HOSTILE, False, text=HOSTILE, question=HOSTILE, error=HOSTILE, columns={"by": HOSTILE}
        )
        made[1] = outcome("q1", True, text=ARABIC * 3, question=ARABIC, columns={"by": "ar"})
        made[2] = lost("q2", "APITimeoutError")
        return made

    one, two = configured(f"first {HOSTILE}", all_of(1), "by"), configured("second", all_of(2), "by")
    return evaluation(one, two, by="by", set_=f"set {HOSTILE}.jsonl")


def large(count: int, length: int) -> Evaluation:
    text = "A long answer, which says much of Paris. " * (length // 40)
    made = [outcome(f"q{n}", n % 3 > 0, text=f"{n} {text}{n * n}", question=f"{n}: {ARABIC * 9}") for n in range(count)]
    return evaluation(configured("A", made), configured("B", made[::-1]))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


def opened(browser: Any, url: str, **options: Any) -> tuple[Any, list[str]]:
    """The page, and what the browser complains of or asks for."""
    shown = browser.new_context(**options).new_page()
    noted: list[str] = []
    shown.on("request", lambda request: noted.append(request.url))
    shown.on("console", lambda message: noted.append(message.text))
    shown.on("pageerror", lambda error: noted.append(str(error)))
    shown.on("dialog", lambda dialog: dialog.dismiss())
    shown.on("dialog", lambda dialog: noted.append(f"dialog {dialog.message}"))
    shown.goto(url)
    shown.wait_for_selector("#rows tr")
    noted.remove(url)
    return shown, noted


def test_what_models_and_sets_have_written_is_text_on_the_page(browser: Any, tmp_path: Path) -> None:
    """promptfoo/promptfoo#308"""
    file = tmp_path / "report.html"
    write_report(hostile(), file)
    source = file.read_text(encoding="utf-8")
    assert source.count("<script") == 2  # the data and the script of the page
    assert not re.search("[\u202e\u2028\x1b\ud800]", source)
    shown, noted = opened(browser, file.as_uri(), viewport={"width": 390, "height": 800}, color_scheme="dark")
    shown.locator("#rows td.id button").first.click()
    assert "<script>alert(1)</script>" in shown.locator(".inside").first.inner_text()
    assert "⟨U+202E⟩gnp.exe" in shown.locator("h1").inner_text()
    assert shown.locator("b:text-is('bold'), img").count() == 0
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390
    assert noted == []


def test_questions_are_found_filtered_sorted_and_compared(browser: Any, tmp_path: Path) -> None:
    made = [
        outcome(f"q{n}", n != 7, text=f"It is City {n}.", seconds=float(n), columns={"by": n % 2}) for n in range(30)
    ]
    other = [outcome(f"q{n}", n > 4, text=f"It is Town {n}.", seconds=1.0, columns={"by": n % 2}) for n in range(30)]
    file = tmp_path / "report.html"
    write_report(evaluation(configured("A", made, "by"), configured("B", other, "by"), by="by"), file)
    shown, noted = opened(browser, file.as_uri())
    rows, count = shown.locator("#rows tr"), shown.locator("#count")
    assert rows.count() == 30
    shown.select_option("#result", "wrong")
    assert (rows.count(), count.inner_text()) == (1, "1 of 30 questions")
    shown.select_option("#result", "worse")
    assert rows.count() == 5
    shown.select_option("#group", "1")
    assert rows.count() == 2
    shown.select_option("#group", "")
    shown.select_option("#result", "")
    shown.fill("#find", "town 12")
    assert rows.count() == 1
    rows.locator("button").first.click()
    assert shown.locator(".inside del").all_inner_texts() == ["City"]
    assert shown.locator(".inside ins").all_inner_texts() == ["Town"]
    shown.fill("#find", "")
    shown.select_option("#sort", "seconds down")
    assert rows.first.locator("td.id").inner_text().startswith("q29")
    shown.locator("th.id button").click()
    assert rows.nth(1).locator("td.id").inner_text().startswith("q1")
    shown.locator("[data-item='q3']").click()
    assert shown.locator(".inside").count() == 1
    assert noted == []


def test_whole_answers_are_read_from_the_file_beside_the_page(browser: Any, tmp_path: Path) -> None:
    long = "The answer. " * 500 + "The end."
    made = [outcome("q0", True, text=long), outcome("q0", False, repeat=2, text="no")]
    write_report(evaluation(configured("answers", made)), tmp_path / "report.html")
    messages = [{"role": "user", "content": "Why <b>?</b>"}, {"role": "assistant", "content": "Because \u202e."}]
    lines = [{"id": "q0", "ok": True, "output": "old"}, {"id": "q0", "ok": True, "output": long, "messages": messages}]
    text = "".join(json.dumps(line) + "\n" for line in [*lines, {"id": "q0#2", "ok": True, "output": "no"}])
    (tmp_path / "answers.jsonl").write_text(text, encoding="utf-8")
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        shown, noted = opened(browser, f"{url}/report.html")
        shown.wait_for_function("document.getElementById('loaded').textContent.includes('are read')")
        shown.locator("#rows td.id button").first.click()
        inside = shown.locator(".inside").inner_text()
        server.shutdown()
        thread.join()
    assert inside.count("The end.") == 1  # what is in the page itself is cut
    assert "Why <b>?</b>" in inside
    assert "Because ⟨U+202E⟩." in inside
    assert "q0#2: whole answer" in inside
    assert "old" not in inside
    assert noted == [f"{url}/answers.jsonl"]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Do not log."""


@pytest.mark.parametrize("name", ["", "q-0123456789abcdef"], ids=["by its id", "by another id"])
def test_an_answers_file_can_be_chosen_where_the_page_is_a_file(name: str, browser: Any, tmp_path: Path) -> None:
    write_report(evaluation(configured("answers", [outcome("q0", True, name=name)])), tmp_path / "report.html")
    line = json.dumps({"id": name or "q0", "output": "All of it"})
    (tmp_path / "answers.jsonl").write_text(f"{line}\nno json\n[1]\n", encoding="utf-8")
    shown, noted = opened(browser, (tmp_path / "report.html").as_uri())
    shown.set_input_files("input[type=file]", str(tmp_path / "answers.jsonl"))
    shown.locator("#rows td.id button").first.click()
    shown.locator(".inside", has_text="All of it").wait_for()
    assert noted == []


def test_a_page_of_a_thousand_questions_is_small_however_long_the_answers_are() -> None:
    assert len(page(large(1000, 1400)).encode()) <= MAX_PAGE
    assert len(page(evaluation(configured("A", answers(30, 0.5, 1)))).encode()) < 40_000


def test_markdown_has_no_html_and_no_links_of_others() -> None:
    made = report(hostile(), ".md")
    assert "<" not in re.sub(r"\\<", "", made).replace("p &lt;", "")
    assert not re.search(r"(?<!\\)\]\(", made)
    assert all(line.count("|") - line.count("\\|") in (0, 4, 5) for line in made.splitlines() if line.startswith("|"))
    assert "| contains | " in made
    assert "APITimeoutError" in made


def test_json_has_all_figures_and_each_question() -> None:
    made = json.loads(report(hostile(), ".json"))
    one, two = made["configurations"]
    assert set(one["checks"]["contains"]) >= {"n", "runs", "missing", "mean", "low", "high", "method", "without_errors"}
    assert (one["missing"], len(one["questions"]), len(two["questions"])) == ({"APITimeoutError": 1}, 24, 24)
    (check,) = made["comparisons"][0]["checks"]
    assert set(check) >= {"difference", "low", "high", "p", "n", "can_show", "verdict"}


def test_xml_for_ci_servers_has_a_case_for_each_answer(tmp_path: Path) -> None:
    """promptfoo/promptfoo#9071, getnao/nao#1279, pukeko-robotics/gaunt-sloth#405"""
    text = f"{HOSTILE}]]>\x00\x1b"
    made = [
        outcome("q0", True, seconds=1.5),
        outcome(f"q1 {text}", False, text=text, question=text, seconds=0.25),
        outcome("q0", False, repeat=2, text="no"),
        lost("q2"),
    ]
    file = tmp_path / "results.XML"
    write_report(evaluation(configured("A & B", made), configured("old", [outcome("q0", False)])), file)
    top = ElementTree.fromstring(file.read_text(encoding="utf-8"))
    (suite,) = top
    assert (suite.get("name"), suite.get("timestamp")) == ("A & B", "2026-11-29T21:00:00")
    for each in (top, suite):
        assert [each.get(name) for name in ("tests", "failures", "errors", "time")] == ["4", "2", "1", "1.750"]
    right, wrong, again, none = suite
    assert (list(right), right.get("name"), right.get("time")) == ([], "q0", "1.500")
    assert "<script>alert(1)</script>" in (wrong[0].text or "")
    assert not re.search("[\x00\x1b\ud800]", file.read_text(encoding="utf-8"))
    assert (wrong[0].tag, wrong[0].get("type"), wrong[0].get("message")) == (
        "failure",
        "contains",
        "contains: lacks 'Paris'",
    )
    assert (again.get("name"), again[0].text) == ("q0#2", "question: Question q0\nright answer: Paris\nanswer: no")
    assert (none[0].tag, none[0].get("type"), none[0].get("message")) == ("error", "timeout", "it did not end")


def test_the_table_for_a_terminal_has_no_control_characters() -> None:
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\u2028\ud800]", table(hostile()).replace("\n", ""))


def test_a_report_that_cannot_be_written_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    for name in ("report.txt", "report", "none/report.html"):
        with pytest.raises(ConfigurationError, match="--report"):
            checked_report(tmp_path / name)
    assert checked_report(tmp_path / "report.HTML") == tmp_path / "report.HTML"


def test_answers_that_a_limit_has_cut_off_are_told_beside_the_scores(tmp_path: Path) -> None:
    """allenai/olmo-eval#399, jundot/omlx#3772: a third of the answers were cut off, and only the score was told."""
    made = [outcome(f"q{number}", number > 6, stopped="length" if number < 5 else "") for number in range(24)]
    made[20] = outcome("q20", True, stopped="turns")
    found = evaluation(configured("A", made))
    said = "6 answers ended or cut off by a limit, scored as they are: 5 length, 1 turns: more max_tokens may be needed"
    assert said in table(found)
    write_report(found, tmp_path / "report.json")
    [one] = json.loads((tmp_path / "report.json").read_text())["configurations"]
    assert (one["stopped"], one["questions"][0]["stopped"]) == ({"length": 5, "turns": 1}, "length")


def test_answers_in_which_no_choice_is_found_are_told() -> None:
    """UKGovernmentBEIS/inspect_ai#5323: an answer that can't be read looked like a wrong one."""
    made = answers(24, 1, 0)
    check = parse_check("choice: A, B, C")
    for place, said in enumerate(["It depends.", "It is B.", "I can't say."]):
        made[place] = outcome(f"q{place}", True, text=said)
        made[place] = replace(made[place], scores={"choice": check.score(answered(said), "A")})
    assert "2 answers in which no choice is found: counted as wrong" in table(evaluation(configured("A", made)))
