"""How often the answer survives when a long page is cut to a goal.

    python -m benchmarks.cutting FOLDER   # NAME.json.gz in SQuAD's form, such as those of XQuAD

100 paragraphs of a language are a page, which is cut to 6,000 characters; each question about it is a goal.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from agentkit_tools.cutting import cut_to_goal
from benchmarks.squad import Paragraph, collections_in

PARAGRAPHS, CHARACTERS = 100, 6_000


def main() -> None:
    """Measure and print a line for each collection."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="ask only every Nth question")
    arguments = parser.parse_args()
    print(f"{'':20}{'goals':>8}{'answer is left':>18}{'ms a cut':>10}")
    for name, articles in collections_in(arguments.folder):
        paragraphs = [paragraph for article in articles for paragraph in article.paragraphs]
        pages = [paragraphs[start : start + PARAGRAPHS] for start in range(0, len(paragraphs), PARAGRAPHS)]
        measure(name, [page for page in pages if len(page) == PARAGRAPHS], arguments.every)


def measure(name: str, pages: Sequence[Sequence[Paragraph]], every: int) -> None:
    """Print how often the answer is left in the page."""
    left = []
    begun = time.process_time()
    for page in pages:
        text = "\n\n".join(paragraph.text for paragraph in page)
        for question in [question for paragraph in page for question in paragraph.questions][::every]:
            cut = cut_to_goal(text, question.text, CHARACTERS)
            left.append(question.is_answered_by(cut))
    milliseconds = (time.process_time() - begun) / len(left) * 1000
    print(f"{name:20}{len(left):>8,}{sum(left) / len(left):>18.3f}{milliseconds:>10.1f}")


if __name__ == "__main__":
    main()
