"""How often the check of citations flags what a source does not say, and what it says (`agentkit.evidence`).

    python -m benchmarks.evidence [FOLDER]   # NAME.json.gz or NAME.json in SQuAD's form, such as those of XQuAD

A claim is a question joined with its answer. It cites its paragraph (what is flagged then is a false alarm), another
paragraph of the article, or one of another article; or its paragraph while the number in the answer is replaced, by one
that the paragraph does not have, or by another one of it; or a page of 15 paragraphs, with its own or with others. What
is not "supported" is flagged. Then follows the CPU time in milliseconds of the check of an answer of 30 sentences over
20 sources of 1,000 and of 12,000 characters: of sources that are cited for the first time, and again. It is the least
of several measurements, since what else runs on the machine only adds to it.
"""

import argparse
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentkit.evidence.check import checked
from agentkit.evidence.source import Source
from benchmarks.squad import Article, Paragraph, Question, collections_in

OWN = Path(__file__).with_name("data") / "evidence"
LEAST_TO_HALVE = 8
PARAGRAPHS = 15
"""How many paragraphs make a page."""
NUMBER = re.compile(r"\d+(?:[.,٫٬]\d+)*")
SENTENCES, SOURCES, LENGTHS = 30, 20, (1_000, 12_000)
"""The answer and the sources whose check is timed, and how many characters each source has."""
TIMES = 12
"""How many times it is timed with sources that were not cited before."""


@dataclass(frozen=True)
class Claim:
    """A sentence to check, and the paragraph that it cites."""

    text: str
    cited: Paragraph


Kind = Callable[[Sequence[Article], random.Random], Iterator[Claim]]


def main() -> None:
    """Measure and print a line for each collection and half."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, nargs="?", default=OWN)
    arguments = parser.parse_args()
    print(f"{'flagged of those that cite':28}" + "".join(f"{name:>18}" for name in KINDS))
    for name, articles in collections_in(arguments.folder):
        for half, part in _parts(articles):
            shares = [flagged(list(kind(part, random.Random(0)))) for kind in KINDS.values()]
            figures = "".join(f"{f'{share:.3f} of {count:>4}':>18}" for share, count in shares)
            print(f"{f'{name} {half}':28}{figures}")
    print(
        f"\n{'milliseconds of CPU':28}" + "".join(f"{f'{length:,} characters':>18}{'again':>8}" for length in LENGTHS)
    )
    for name, articles in collections_in(arguments.folder):
        times = [milliseconds(articles, length) for length in LENGTHS]
        print(f"{name:28}" + "".join(f"{first:>18.1f}{again:>8.1f}" for first, again in times))


def _parts(articles: Sequence[Article]) -> Iterator[tuple[str, Sequence[Article]]]:
    """Yield the articles of even and of odd numbers, or all of a few."""
    if len(articles) < LEAST_TO_HALVE:
        yield "all", articles
    else:
        yield from (("even", articles[::2]), ("odd", articles[1::2]))


def flagged(claims: Sequence[Claim]) -> tuple[float, int]:
    """The share of the claims that are flagged, and how many there are."""
    texts = list(dict.fromkeys(claim.cited.text for claim in claims))
    numbers = {text: number for number, text in enumerate(texts, 1)}
    sources = {number: _source(number, text) for text, number in numbers.items()}
    found = [
        any(each.verdict != "supported" for each in checked(f"{claim.text} [{numbers[claim.cited.text]}].", sources))
        for claim in claims
    ]
    return sum(found) / max(1, len(found)), len(found)


def _source(number: int, text: str) -> Source:
    return Source(number, f"https://example.org/{number}", texts=(text,))


def _joined(question: Question, answer: str) -> str:
    """A question and its answer in one sentence."""
    return f"{question.text.rstrip('?？؟ ')} {answer.rstrip('.。 ')}"


def _asked(articles: Sequence[Article]) -> Iterator[tuple[Article, Paragraph, Question]]:
    for article in articles:
        for paragraph in article.paragraphs:
            for question in paragraph.questions:
                yield article, paragraph, question


def true(articles: Sequence[Article], _: random.Random) -> Iterator[Claim]:
    """Yield claims that cite the paragraph that says so: what is flagged of them is a false alarm."""
    for _article, paragraph, question in _asked(articles):
        yield Claim(_joined(question, question.answers[0]), paragraph)


def same_article(articles: Sequence[Article], chance: random.Random) -> Iterator[Claim]:
    """Yield claims that cite another paragraph of the article."""
    for article, paragraph, question in _asked(articles):
        others = [each for each in article.paragraphs if each is not paragraph]
        if others:
            yield Claim(_joined(question, question.answers[0]), chance.choice(others))


def other_article(articles: Sequence[Article], chance: random.Random) -> Iterator[Claim]:
    """Yield claims that cite a paragraph of another article."""
    for article, _, question in _asked(articles):
        other = chance.choice([each for each in articles if each is not article])
        yield Claim(_joined(question, question.answers[0]), chance.choice(other.paragraphs))


def _pages(articles: Sequence[Article]) -> list[tuple[frozenset[str], Paragraph]]:
    """Pages of several paragraphs each, with the titles of the articles that they are of."""
    all_of_them = [(article.title, each) for article in articles for each in article.paragraphs]
    pages = []
    for begin in range(0, len(all_of_them), PARAGRAPHS):
        part = all_of_them[begin : begin + PARAGRAPHS]
        text = "\n\n".join(each.text for _, each in part)
        questions = tuple(question for _, each in part for question in each.questions)
        pages.append((frozenset(title for title, _ in part), Paragraph(text, questions)))
    return pages


def its_page(articles: Sequence[Article], _: random.Random) -> Iterator[Claim]:
    """Yield claims that cite a page of several paragraphs with the right one among them."""
    for _titles, page in _pages(articles):
        for question in page.questions:
            yield Claim(_joined(question, question.answers[0]), page)


def other_page(articles: Sequence[Article], chance: random.Random) -> Iterator[Claim]:
    """Yield claims that cite such a page of other articles."""
    pages = _pages(articles)
    for titles, page in pages:
        others = [other for names, other in pages if not names & titles]
        for question in page.questions if others else ():
            yield Claim(_joined(question, question.answers[0]), chance.choice(others))


def absent_number(articles: Sequence[Article], chance: random.Random) -> Iterator[Claim]:
    """Yield claims in whose answer a number is replaced by one that the paragraph does not have."""
    for _, paragraph, question in _asked(articles):
        there = set(NUMBER.findall(paragraph.text))
        for number in NUMBER.findall(question.answers[0])[:1]:
            length = sum(map(str.isdigit, number))
            others = (str(chance.randrange(10 ** (length - 1), 10**length)) for _ in range(100))
            other = next((each for each in others if each not in there), "987654")
            yield Claim(_joined(question, NUMBER.sub(other, question.answers[0], count=1)), paragraph)


def other_number(articles: Sequence[Article], chance: random.Random) -> Iterator[Claim]:
    """Yield claims in whose answer a number is replaced by another one of the paragraph."""
    for _, paragraph, question in _asked(articles):
        there = set(NUMBER.findall(paragraph.text)) - set(NUMBER.findall(question.text + question.answers[0]))
        if there and NUMBER.search(question.answers[0]):
            other = chance.choice(sorted(there))
            yield Claim(_joined(question, NUMBER.sub(other, question.answers[0], count=1)), paragraph)


KINDS: dict[str, Kind] = {
    "its paragraph": true,
    "the same article": same_article,
    "another article": other_article,
    "absent number": absent_number,
    "another number": other_number,
    "a page with it": its_page,
    "another page": other_page,
}


def milliseconds(articles: Sequence[Article], characters: int) -> tuple[float, float]:
    """The CPU time for the check of one answer, in milliseconds: with sources that are cited for the first time, and
    again. characters: length of each source."""
    paragraphs = [paragraph for article in articles for paragraph in article.paragraphs if paragraph.questions]
    own = {
        number: [paragraphs[(7 * number + place) % len(paragraphs)] for place in range(40)]
        for number in range(1, SOURCES + 1)
    }
    texts = {number: "\n\n".join(paragraph.text for paragraph in each) for number, each in own.items()}
    cited = [(place % SOURCES + 1, place // SOURCES) for place in range(SENTENCES)]
    asked = [(number, own[number][place].questions[0]) for number, place in cited]
    answer = " ".join(f"{_joined(each, each.answers[0])} [{number}]." for number, each in asked)
    times = []
    for run in range(TIMES):
        sources = {number: _source(number, f"{run} {text}"[:characters]) for number, text in texts.items()}
        times.append([_milliseconds(answer, sources) for _ in range(3)])
    return min(first for first, *_ in times), min(again for _, *more in times for again in more)


def _milliseconds(answer: str, sources: Mapping[int, Source]) -> float:
    begun = time.process_time()
    checked(answer, sources)
    return (time.process_time() - begun) * 1000


if __name__ == "__main__":
    main()
