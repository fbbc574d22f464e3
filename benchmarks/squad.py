"""Questions about the paragraphs of articles, in SQuAD's JSON form: files NAME.json.gz or NAME.json in a folder, as
those of XQuAD (google-deepmind/xquad, CC BY-SA 4.0)."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Question:
    """text: the question. answers: each is a right one, as it stands in the paragraph."""

    text: str
    answers: tuple[str, ...]

    def is_answered_by(self, text: str) -> bool:
        """Whether one of the answers stands in a text."""
        return any(answer in text for answer in self.answers)


@dataclass(frozen=True)
class Paragraph:
    """A paragraph, and the questions that it answers."""

    text: str
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Article:
    """An article: its title and its paragraphs."""

    title: str
    paragraphs: tuple[Paragraph, ...]

    @property
    def questions(self) -> Iterator[Question]:
        """The questions of all paragraphs."""
        return (question for paragraph in self.paragraphs for question in paragraph.questions)


def collections_in(folder: Path) -> Iterator[tuple[str, list[Article]]]:
    """Yield the name and the articles of each file of a folder."""
    for file in sorted([*folder.glob("*.json.gz"), *folder.glob("*.json")]):
        content = file.read_bytes()
        data = json.loads(gzip.decompress(content) if file.suffix == ".gz" else content)["data"]
        yield (
            file.name.removesuffix(".gz").removesuffix(".json"),
            [_article(number, each) for number, each in enumerate(data)],
        )


def _article(number: int, data: dict) -> Article:  # type: ignore[type-arg]
    paragraphs = [
        Paragraph(
            paragraph["context"],
            tuple(
                Question(each["question"], tuple(one["text"] for one in each["answers"])) for each in paragraph["qas"]
            ),
        )
        for paragraph in data["paragraphs"]
    ]
    return Article((data.get("title") or f"article {number}").replace("/", "_"), tuple(paragraphs))
