"""How the text of an answer becomes a page, in a real browser: nothing of it is lost, and what arrives is drawn once.

Each case names the public report that it is taken from.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.serving.http.test_page import XSS, browser, in_a_browser, playwright
from tests.support.http_service import serve_http, settings_for
from tests.support.model_server import Answer, Asked, serve, streamed

__all__ = ["browser"]
pytestmark = in_a_browser

DOT = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
TABLE = "| a | b |\n|---|--:|\n| `x|y` | 1<br>2 |\n| 1 | 2 | 3 |"


class Case(NamedTuple):
    """A text, with what has to be in its HTML and what may not."""

    text: str
    has: tuple[str, ...]
    lacks: tuple[str, ...] = ()


CASES = {
    # cfal/garcon#563, omnigent-ai/omnigent#7485, open-webui/open-webui#12861
    "a name in brackets": Case("Dear <name>, keep <exact lines>", ("Dear &lt;name&gt;, keep &lt;exact lines&gt;",)),
    "types": Case("Promise<void> and Option<T>", ("Promise&lt;void&gt; and Option&lt;T&gt;",)),
    "comparisons": Case("if a<b then c>d", ("if a&lt;b then c&gt;d",), ("<b>",)),
    "an unknown tag": Case(
        "<script>x</script> <div>y</div>", ("&lt;script&gt;x&lt;/script&gt;", "&lt;div&gt;"), ("<script",)
    ),
    # agegr/pi-web#392, ziatdinovmax/SciLink#640
    "ranges": Case("8~9点，100~200元, ~$0.79/m³ … $300/t", ("8~9点，100~200元, ~$0.79/m³ … $300/t",), ("<s>", "<span")),
    "struck through": Case("~~gone~~", ("<s>gone</s>",)),
    # markdown-it/markdown-it#1080, anomalyco/opencode#38490
    "bold before Chinese": Case("**注意：**请看", ("<strong>注意：</strong>请看",)),
    "bold quotation": Case("他说**「重要」**的事", ("他说<strong>「重要」</strong>的事",)),
    # openchamber/openchamber#3039, tiann/hapi#478
    "an address before a full stop": Case(
        "See https://example.com/路径。谢谢", (">https://example.com/路径</a>。谢谢",)
    ),
    "an address before a bracket": Case(
        "https://example.com/docs（中文说明）了解", (">https://example.com/docs</a>（中文说明）",)
    ),
    # yzhang-gh/vscode-markdown#641, marktext/marktext#1930: a formula ended where it has a bar
    "a formula with a bar in a table": Case(
        "| a | b |\n|---|---|\n| $P(A|B)$ | 2 |", ("<math", "<td>2</td>"), ("$P(A", "B)$")
    ),
    # Mintplex-Labs/anything-llm#5588
    "a dash below a line": Case("Things to do:\n-", ("Things to do:",), ("<h3",)),
    "file names": Case("main.py and README.md", ("main.py and README.md",), ("<a",)),
    # stablyai/orca#13330, lobehub/lobehub#8553, danny-avila/LibreChat#7894, get-bb/bb#512
    "prices": Case(
        "$5 to $10, **$4** or **$1.50**", ("$5 to $10, <strong>$4</strong> or <strong>$1.50</strong>",), ("<span",)
    ),
    "prices in Chinese": Case(
        "**$148+ → $19**（年省 ~$1,550）再到 $15.4/月",
        ("<strong>$148+ → $19</strong>", "~$1,550", "$15.4/月"),
        ("<span",),
    ),
    "prices in reais": Case("R$ 12,29/metro, R$ 15,83 (R$18)", ("R$ 12,29/metro, R$ 15,83 (R$18)",), ("<span",)),
    "variables of a shell": Case("$HOME and $USER, $PATH:$HOME", ("$HOME and $USER, $PATH:$HOME",), ("<span",)),
    # openchamber/openchamber#3643, cp-algorithms/cp-algorithms#243, scruel/tampermonkey-scripts#12
    "formulas": Case(r"$k$, $c=200$, \(a_1*b*c_2\)", ("<mi>k</mi>", "<mn>200</mn>", "<msub>"), ("<em>", "$")),
    "underscores": Case(r"$$\underbrace{1}_{2} \underbrace{1}_{2}$$", ("<math", "<munder>"), ("<em>", "$$")),
    "lines of a formula": Case("\\[\na\n= b\n- c\n\\]", ("<math", "<mo>−</mo>"), ("<li", "<h")),
    "a bare environment": Case("\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}", ("<mtable",), ("begin",)),
    "no formula": Case(r"\(\frac{a\)", (r"\(\frac{a\)",), ("<math",)),
    "a formula that would never end": Case(r"\(\def\a{\a\a}\a\)", (r"\def\a",), ("<math",)),
    # huggingface/chat-ui#128
    "a table": Case(
        TABLE, ("<code>x|y</code>", "1<br>", "2 | 3", 'class="to-right"', '<div class="table"'), ("style=",)
    ),
    "HTML for people": Case("H<sub>2</sub>O <kbd>Esc</kbd>", ("H<sub>2</sub>O <kbd>Esc</kbd>",)),
    "details": Case(
        "<details><summary>S</summary>inner **b**</details>", ("<summary>S</summary>", "<strong>b</strong>"), ("&lt;",)
    ),
    "tasks": Case(
        "- [ ] a\n- [x] b", ('type="checkbox" disabled="" aria-label="a"', 'checked="" aria-label="b"'), ("[x]",)
    ),
    "footnotes": Case(
        "A[^1] b[^2].\n\n[^1]: The **note**", ('data-to="note-1"', "b[^2].", "The <strong>note</strong>")
    ),
    "definitions behind": Case("[a][r]\n\n[r]: https://e.com", ('<a href="https://e.com"',)),
    # anomalyco/opencode#21512, Chevey339/kelivo#235
    "fences in a fence": Case("````md\n```js\nx\n```\n````", ('data-language="md"', "```js")),
    "code": Case(
        "```python\ndef f(): # c\n```",
        ('<span class="language">python</span>', '<span class="code-keyword">def</span>'),
    ),
    "code in no known language": Case("```brainf\n<b>+</b>\n```", ("&lt;b&gt;+&lt;/b&gt;", "brainf")),
    "images": Case(
        f"![d]({DOT}) ![alt](https://e.com/x.png)", ('alt="d"', 'href="https://e.com/x.png"'), ('src="https',)
    ),
    "entities": Case(r"&lt;b&gt; &copy; &nosuch; \*", ("&lt;b&gt; © &amp;nosuch; *",)),
    # milisp/codexia#65
    "right to left": Case("مرحبا\n\n- عنصر", ('<p dir="auto">', '<ul dir="rtl">')),
    "a quotation that goes on": Case("> a\n**b** c", ("<strong>b</strong> c</p>\n</blockquote>",)),
    "lines": Case("one\ntwo\r\nthree", ("one<br>", "two<br>")),
    "hostile": Case(
        XSS, ("&lt;script&gt;window.hit=1", "[l](javascript:window.hit=6)"), ("<iframe", "<script", "<svg", "<img")
    ),
    "headings": Case("# A\n## B\n### C\n#### D", ("<h2", "<h3", "<h4", "<h5"), ("<h1",)),
}

RICH = "\n\n".join(case.text for case in CASES.values())


def reply(request: Asked) -> Answer:
    return streamed()


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page, in which `shown(text)` gives the element of a text, and `View` is what shows it."""
    with serve(reply) as model, serve_http(settings_for(tmp_path_factory.mktemp("markdown"), model.url)) as service:
        context = browser.new_context(
            viewport={"width": 320, "height": 640}, permissions=["clipboard-read", "clipboard-write"]
        )
        made = context.new_page()
        problems: list[str] = []
        made.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        made.goto(service.url)
        made.evaluate(
            """async () => {
              const found = Object.values(await import("/static/markdown.js"));
              window.View = found.find((each) => each.prototype?.update);
              window.showing = () => {
                const view = new View();
                document.getElementById("log").replaceChildren(view.root);
                return view;
              };
              window.shown = (text) => {
                const view = showing();
                view.update(text, { isWhole: true });
                return view.root;
              };
              shown("$x$");
            }"""
        )
        made.locator("math").wait_for()
        yield made
        assert [each for each in problems if "Content Security Policy" in each or "rror:" in each] == []
        context.close()


@pytest.fixture(scope="module")
def drawn(page: Any) -> dict[str, str]:
    texts = {name: case.text for name, case in CASES.items()}
    made: dict[str, str] = page.evaluate(
        "(texts) => Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, shown(text).innerHTML]))",
        texts,
    )
    return made


@pytest.mark.parametrize("name", CASES)
def test_a_text_is_drawn_as_it_was_meant(name: str, drawn: dict[str, str]) -> None:
    html = drawn[name]
    seen = re.sub(r' data-tex="[^"]*"| data-maths="[^"]*"', "", html)
    assert [each for each in CASES[name].has if each not in html] == []
    assert [each for each in CASES[name].lacks if each in seen] == []


@pytest.mark.parametrize("step", [1, 7, 40])
def test_a_text_in_pieces_is_drawn_like_the_whole(page: Any, step: int) -> None:
    whole, pieces = page.evaluate(
        """([text, step]) => {
          const read = (node) => node.nodeType === 3 ? node.data.trim() : [node.nodeName,
            ...[...node.attributes].filter((each) => each.name !== "open").map((each) => each.name + each.value).sort(),
            ...[...node.childNodes].map(read).filter((each) => each !== "")];
          const whole = read(shown(text));
          const view = showing();
          for (let end = step; end < text.length; end += step) view.update(text.slice(0, end));
          view.update(text, { isWhole: true });
          return [whole, read(view.root)];
        }""",
        [RICH, step],
    )
    assert pieces == whole


def test_what_is_complete_is_drawn_once_and_keeps_its_selection(page: Any) -> None:
    """vercel/chatbot#318: the selection is lost while an answer arrives; open-gsd/gsd-pi#880: all is redrawn."""
    changes, selected, same = page.evaluate(
        """async (unit) => {
          const changes = [];
          for (const count of [100, 200]) {
            const view = showing();
            let made = 0;
            const observer = new MutationObserver((all) => {
              for (const { addedNodes, removedNodes } of all) made += addedNodes.length + removedNodes.length;
            });
            observer.observe(view.root, { childList: true, subtree: true });
            const text = unit.repeat(count);
            for (let end = 30; end < text.length; end += 30) view.update(text.slice(0, end));
            view.update(text, { isWhole: true });
            await new Promise((done) => setTimeout(done));
            changes.push([made, text.length / 30]);
          }
          const view = showing();
          view.update("First one.\\n\\nSecond");
          const first = view.root.firstElementChild;
          getSelection().selectAllChildren(first);
          view.update("First one.\\n\\nSecond **two**.\\n\\nThird[^1].\\n\\n[^1]: Note");
          view.update("First one.\\n\\nSecond **two**.\\n\\nThird[^1].\\n\\n[^1]: Note", { isWhole: true });
          return [changes, getSelection().toString(), view.root.firstElementChild === first];
        }""",
        "A paragraph of **two** words and `code`, which is long enough for it.\n\n",
    )
    for made, updates in changes:
        assert made <= 10 * updates
    assert (selected, same) == ("First one.", True)


HOSTILE = (
    f"{XSS}\n\n[a](javascript:x) [b](vbscript:x) [c](data:text/html,x) <javascript:x> ![d](javascript:x)\n\n"
    '<details id=log name=log style=x><summary onclick=x>s</summary></details>\n\n```" onclick="x\nx\n```\n\n'
    '```x"onclick=x\nx\n```\n\n[^x"onclick=x]\n\n[^x"onclick=x]: n\n\n'
    r"\(\href{javascript:x}{y}\) \(\class{card}{y}\) \(\text{<img src=x>}\) \(\style{position:fixed}{y}\) "
    r"$\rule{900em}{900em}$"
)


def test_hostile_text_makes_no_element_that_acts(page: Any) -> None:
    found = page.evaluate(
        """async (text) => { const root = shown(text); await new Promise((done) => setTimeout(done, 100));
          const all = [...root.querySelectorAll("*")];
          return [[...new Set(all.flatMap((each) => [...each.attributes].map(({ name }) => name)))].sort(),
            [...root.querySelectorAll("a[href]")].map((each) => each.protocol).filter((each) => !/^https?:/.test(each)),
            root.querySelectorAll("script, iframe, svg, form, object, img, .card").length, window.hit ?? null,
            document.documentElement.scrollWidth]; }""",
        HOSTILE,
    )
    attributes, hrefs, elements, hit, width = found
    assert not {each for each in attributes if each.startswith("on") or each in ("id", "name", "srcdoc", "xlink:href")}
    assert (hrefs, elements, hit) == ([], 0, None)
    assert width <= 320


def test_code_is_copied_as_it_was_written(page: Any) -> None:
    page.evaluate("""() => void shown("```js\\nconst a = `<b>`; // c\\n\\tb()\\n```")""")
    page.get_by_role("button", name="Copy").click()
    playwright.expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "const a = `<b>`; // c\n\tb()\n"


def test_what_is_wide_scrolls_by_itself_and_cells_keep_their_words(page: Any) -> None:
    """danny-avila/LibreChat#13535: a wide table scrolls the conversation; elie222/rakazo#287: on a phone, a letter a
    line."""
    row = "|" + " several words |" * 9
    table, code, maths = f"{row}\n|{'---|' * 9}\n{row}", f"```\n{'x' * 200}\n```", f"$$\n{' + '.join(['xxx'] * 60)}\n$$"
    wide = "\n\n".join([table, code, maths, "y" * 200])
    sizes = page.evaluate(
        """(text) => { const root = shown(text);
          const wide = [...root.querySelectorAll(".table, pre, div.maths")];
          return [document.documentElement.scrollWidth, document.getElementById("log").scrollWidth,
            root.querySelector("td").clientWidth, wide.map((each) => each.scrollWidth > each.clientWidth)]; }""",
        wide,
    )
    assert sizes[0] <= 320
    assert sizes[1] <= 320
    assert sizes[2] > 50
    assert sizes[3] == [True, True, True]


def test_headings_get_smaller_and_each_text_has_its_direction(page: Any) -> None:
    found = page.evaluate(
        """() => { const root = shown("# A\\n## B\\n### C\\n\\nمرحبا بالعالم\\n\\nHello");
          const style = (each) => getComputedStyle(each);
          return [[...root.querySelectorAll("h2, h3, h4")].map((each) => parseFloat(style(each).fontSize)),
            [...root.querySelectorAll("p")].map((each) => style(each).direction),
            document.querySelectorAll("h1").length]; }"""
    )
    assert found[0] == sorted(set(found[0]), reverse=True)
    assert found[1:] == [["rtl", "ltr"], 1]


def test_what_leads_to_another_place_of_the_text_does_not_leave_the_conversation(page: Any) -> None:
    page.evaluate("""() => void shown("Note[^a], [down](#the-end)\\n\\n# The end!\\n\\n[^a]: What it says")""")
    address = page.url
    page.get_by_role("link", name="[a]").click()
    playwright.expect(page.get_by_role("note")).to_be_focused()
    page.get_by_role("link", name="down").press("Enter")
    playwright.expect(page.get_by_role("heading", name="The end!")).to_be_focused()
    assert page.url == address


def test_marks_leave_blocks_without_any_as_they_are(page: Any) -> None:
    sentences = ["Oslo is the **capital** [1] and $x$ is 2.", "In a row"]
    text = f"# Title\n\n{sentences[0]}\n\nNothing here.\n\n| a |\n|---|\n| {sentences[1]} |\n\n```\ncode\n```"
    citations = [
        {
            "sentence": each,
            "start": text.index(each),
            "end": text.index(each) + len(each),
            "source": 1,
            "verdict": "supported",
            "address": "https://a.example",
            "title": "t",
            "quote": "q",
            "reason": "",
        }
        for each in sentences
    ]
    kept, html = page.evaluate(
        """([text, citations]) => { const view = showing(); view.update(text, { isWhole: true });
          const before = [...view.root.children]; view.update(text, { citations, isWhole: true });
          return [[...view.root.children].map((each, place) => each === before[place]), view.root.innerHTML]; }""",
        [text, citations],
    )
    assert kept == [True, False, True, False, True]
    assert '<strong><span class="claim" data-verdict="supported">capital</span></strong>' in html
    assert "<math>" in html
    assert html.count('class="cite') == 2
    assert not re.search("[\ufdd0-\ufdef]", html)


def test_a_fence_in_a_fence_ends_where_it_was_meant_to(page: Any) -> None:
    """openai/chatkit-js#88, DEEIX-AI/DEEIX-Chat#735: the rest of a document in a fence was outside of it, and all that
    followed was code."""

    def blocks(text: str) -> Any:
        return page.evaluate(
            """(text) => [...shown(text).children].map((each) =>
                 each.matches(".code") ? each.querySelector("code").textContent : each.tagName)""",
            text,
        )

    document = "# Read me\n\n```bash\nnpm i\n```\n\n## Notes\n"
    assert blocks(f"Here:\n\n```markdown\n{document}```\n\nDone.") == ["P", document, "P"]
    assert blocks(f"```\n{document}```\nDone.") == [document, "P"]
    # where the fences come in no pairs, Markdown's own rule holds
    assert blocks("```md\n```python\nx\n```\nDone.\n\n# End") == ["```python\nx\n", "P", "H2"]
    assert blocks("```js\na\n```\n\n```py\nb\n```") == ["a\n", "b\n"]


def test_selected_formulas_are_copied_as_latex(page: Any) -> None:
    """NousResearch/hermes-agent#107983, chatboxai/chatbox#662: what was pasted was a column of letters."""

    def copied(text: str, choose: str) -> str:
        page.evaluate(
            """async ([text, choose]) => {
              const root = shown(text);
              await new Promise((done) => setTimeout(done, 50));
              const range = document.createRange();
              range.selectNodeContents(choose ? root.querySelector(choose) : root);
              getSelection().removeAllRanges();
              getSelection().addRange(range);
            }""",
            [text, choose],
        )
        page.keyboard.press("ControlOrMeta+c")
        return str(page.evaluate("navigator.clipboard.readText()"))

    text = "Let $a_1+b^2$ be\n\n$$\\frac{1}{2}$$\n\nand `x`:\n\n```py\nprint(1)\n  two\n```"
    lines = [line for line in copied(text, "").splitlines() if line]
    assert lines == ["Let $a_1+b^2$ be", "$$\\frac{1}{2}$$", "and x:", "print(1)", "  two"]
    assert copied(text, "mfrac") == "$$\\frac{1}{2}$$"
    assert copied("No *formula* here", "") == "No formula here"


def test_a_list_in_arabic_has_its_marks_beside_its_words(page: Any) -> None:
    """milind-soni/OpenMausBot#994, NousResearch/hermes-agent#44596: what begins with code or with a Latin name was
    laid out from left to right."""
    found = page.evaluate(
        """(text) => {
          const root = shown(text);
          const edge = (each) => {
            const range = document.createRange();
            range.selectNodeContents(each);
            return Math.round(each.getBoundingClientRect().right - range.getBoundingClientRect().right);
          };
          return [[...root.children].map((each) => getComputedStyle(each).direction),
            [...root.querySelectorAll("li")].map(edge)];
        }""",
        "`npm start` يبدأ الخادم.\n\n- `npm start` يبدأ الخادم\n- React هي مكتبة\n- English only\n\n"
        "1. Use `مرحبا` here\n2. and there\n\nHello",
    )
    assert found[0] == ["rtl", "rtl", "ltr", "ltr"]
    assert found[1][:3] == [0, 0, 0]


def test_the_files_of_the_page_are_small() -> None:
    """All scripts and styles, uncompressed."""
    static = Path(__file__).parents[3] / "agentkit" / "serving" / "http" / "static"
    assert sum(path.stat().st_size for path in static.iterdir() if path.suffix in {".js", ".css"}) <= 450_000
