"""How much of the text of web pages is read: F1 over the words, of agentkit_tools and of plain trafilatura.

    python -m benchmarks.pages

The pages in benchmarks/data/pages were written for this: news, blogs, documentation, forums, shops in five languages.
The right text of each is what its attributes `data-text` mark; they are removed before the page is read.
"""

import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import lxml.html
import trafilatura

from agentkit_tools.page_text import html_text

PAGES = Path(__file__).parent / "data" / "pages"
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")


def words(text: str) -> Counter[str]:
    """Counts the words, of Chinese and Japanese the characters; the targets of links and the marks are left out."""
    return Counter(WORD.findall(re.sub(r"\]\([^()\s]*\)", " ", text.casefold()).replace("---", " ")))


def right_text(source: str) -> str:
    root = lxml.html.document_fromstring(source)
    marked = root.xpath("//*[@data-text]")
    return "\n".join(" ".join(str(text) for text in each.itertext()) for each in marked)


def f1(text: str, right: str) -> float:
    found, wanted = words(text), words(right)
    both = (found & wanted).total()
    return 2 * both / (found.total() + wanted.total()) if both else 0.0


def measured(read: Callable[[str], str]) -> tuple[dict[str, float], float]:
    """Returns the F1 of each page and the CPU seconds for all."""
    scores = {}
    seconds = 0.0
    for path in sorted(PAGES.glob("*.html")):
        source = path.read_text(encoding="utf-8")
        page = source.replace(" data-text", "")
        started = time.process_time()
        text = read(page)
        seconds += time.process_time() - started
        scores[path.stem] = f1(text, right_text(source))
    return scores, seconds


def plain(page: str) -> str:
    return trafilatura.extract(page, favor_recall=True) or ""


def main() -> None:
    ours, seconds = measured(lambda page: html_text(page).text)
    theirs, their_seconds = measured(plain)
    print(f"{'page':16} {'agentkit':>9} {'trafilatura':>12}")
    for name, score in ours.items():
        print(f"{name:16} {score:9.3f} {theirs[name]:12.3f}")
    print(f"{'mean':16} {sum(ours.values()) / len(ours):9.3f} {sum(theirs.values()) / len(theirs):12.3f}")
    print(f"{'lowest':16} {min(ours.values()):9.3f} {min(theirs.values()):12.3f}")
    print(f"{'CPU seconds':16} {seconds:9.2f} {their_seconds:12.2f}")


if __name__ == "__main__":
    main()
