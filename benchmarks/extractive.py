"""How often the extractive backend quotes the answer, and how often it wrongly answers.

    python -m benchmarks.extractive FOLDER [--questions N]   # NAME.json.gz in SQuAD's form, such as those of XQuAD

Half of the articles are the documents: their questions have to be answered, those of the other half must not be. Then
the halves change places, so that each question is asked both ways.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agentkit import Agent
from agentkit_tools import documents
from benchmarks.squad import Article, Question, collections_in


@dataclass(frozen=True)
class Answer:
    """Whether a question was answered, and whether the answer is in the quotes, and in the first of them."""

    is_there: bool
    is_right: bool
    is_right_first: bool


def main() -> None:
    """Measure and print a line for each collection and half."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--questions", type=int, help="ask only so many of each half, drawn at random")
    arguments = parser.parse_args()
    print(f"{'':20}{'documents':>10}   {'answer quoted':>14}{'by the first':>14}   {'absent, answered':>16}{'ms':>8}")
    for name, articles in collections_in(arguments.folder):
        for half in ("even", "odd"):
            first, second = articles[::2], articles[1::2]
            there, absent = (first, second) if half == "even" else (second, first)
            measure(f"{name} {half}", there, _drawn(there, arguments), _drawn(absent, arguments))


def measure(name: str, articles: Sequence[Article], there: Sequence[Question], absent: Sequence[Question]) -> None:
    """Ask questions that the articles answer, and others."""
    with tempfile.TemporaryDirectory() as folder:
        for article in articles:
            text = "\n\n".join(paragraph.text for paragraph in article.paragraphs)
            Path(folder, f"{article.title}.txt").write_text(text, encoding="utf-8")
        with Agent("extractive", tools=documents(folder, keep_index=False)) as agent:
            begun = time.process_time()
            right = [ask(agent, question) for question in there]
            wrong = [ask(agent, question) for question in absent]
            milliseconds = (time.process_time() - begun) / (len(there) + len(absent)) * 1000
    quoted, first = (_share([getattr(each, field) for each in right]) for field in ("is_right", "is_right_first"))
    answered = _share([each.is_there for each in wrong])
    print(f"{name:20}{len(articles):>10}   {quoted:>14.3f}{first:>14.3f}   {answered:>16.3f}{milliseconds:>8.1f}")


def ask(agent: Agent, question: Question) -> Answer:
    """Ask one question."""
    lines = agent.run(question.text).output.splitlines()
    quotes = [line for line in lines if line.startswith("- ")]
    is_first = bool(quotes) and question.is_answered_by(quotes[0])
    return Answer(bool(quotes), question.is_answered_by("\n".join(quotes)), is_first)


def _drawn(articles: Sequence[Article], arguments: argparse.Namespace) -> list[Question]:
    questions = [question for article in articles for question in article.questions]
    if arguments.questions is None or arguments.questions >= len(questions):
        return questions
    return random.Random(0).sample(questions, arguments.questions)


def _share(values: Sequence[bool]) -> float:
    return sum(values) / max(1, len(values))


if __name__ == "__main__":
    main()
