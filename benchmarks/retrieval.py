"""How often a search finds the right document: hit@1 and hit@8, beside plain BM25 (bm25s).

    python -m benchmarks.retrieval questions FOLDER   # NAME.json.gz: each paragraph is a document
    python -m benchmarks.retrieval documentation      # manuals of four projects, from the package registry

The first takes files in SQuAD's form, such as those of XQuAD (google-deepmind/xquad, CC BY-SA 4.0); the second
downloads source distributions with pip and asks the questions of data/documentation_questions.jsonl.
"""

import argparse
import gzip
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentkit_tools.folder import documents

PROJECTS = ("flask==3.1.3", "click==8.5.1", "celery==5.7.0", "scrapy==2.19.0")
TEXTS = frozenset((".md", ".markdown", ".txt", ".rst", ".html", ".htm"))
"""Endings of the files that are searched, and read as they are by the other ranking."""

RESULTS = 8


@dataclass(frozen=True)
class Question:
    """text: the question. right: paths of the documents that answer it."""

    text: str
    right: frozenset[str]


Search = Callable[[str], Sequence[str]]
"""Returns paths of documents, best first."""


def main() -> None:
    """Measure and print a line for each collection."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("what", choices=["questions", "documentation"])
    parser.add_argument("folder", nargs="?", type=Path)
    arguments = parser.parse_args()
    print(
        f"{'':24}{'documents':>10}{'questions':>10}   agentkit hit@1/@{RESULTS}   bm25s hit@1/@{RESULTS}   ms a search"
    )
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.what == "documentation":
            measure("documentation", *_documentation(Path(temporary)))
        elif arguments.folder is None:
            parser.error("questions needs the folder with the files of questions")
        else:
            for file in sorted(arguments.folder.glob("*.json.gz")):
                measure(file.name.removesuffix(".json.gz"), *_squad(file, Path(temporary, file.name)))


def measure(name: str, folder: Path, questions: Sequence[Question]) -> None:
    """Print how often the right document is found in a folder."""
    search = _agentkit(folder)
    search("warm")
    begun = time.process_time()
    ours = [search(question.text) for question in questions]
    milliseconds = (time.process_time() - begun) / len(questions) * 1000
    theirs = _bm25s(folder)
    others = [theirs(question.text) for question in questions] if theirs is not None else None
    size = sum(1 for file in folder.rglob("*") if file.suffix in TEXTS)
    peer = "not installed" if others is None else _hits(questions, others)
    print(f"{name:24}{size:>10,}{len(questions):>10,}{_hits(questions, ours):>14}{peer:>14}{milliseconds:>13.1f}")


def _hits(questions: Sequence[Question], found: Sequence[Sequence[str]]) -> str:
    pairs = list(zip(questions, found, strict=True))
    first = sum(bool(paths) and paths[0] in question.right for question, paths in pairs)
    among = sum(bool(question.right.intersection(paths[:RESULTS])) for question, paths in pairs)
    return f"{first / len(pairs):.3f}/{among / len(pairs):.3f}"


def _agentkit(folder: Path) -> Search:
    find, _ = documents(folder, results=RESULTS, keep_index=False)
    return lambda question: re.findall(r"^source: (.+)$", find([question]), re.MULTILINE)


def _bm25s(folder: Path) -> Search | None:
    """Plain BM25 over whole documents: words, or pairs of characters where more than half of a text has no spaces."""
    try:
        import bm25s  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None
    paths = sorted(file for file in folder.rglob("*") if file.suffix in TEXTS)
    index: Any = bm25s.BM25()
    index.index([_tokens(file.read_text(encoding="utf-8")) for file in paths], show_progress=False)

    def search(question: str) -> list[str]:
        found, _ = index.retrieve([_tokens(question)], k=min(RESULTS, len(paths)), show_progress=False)
        return [paths[number].relative_to(folder).as_posix() for number in found[0]]

    return search


def _tokens(text: str) -> list[str]:
    unspaced = re.sub(r"[^\u3040-\u30ff\u3400-\u9fff]", "", text)
    if 2 * len(unspaced) > len(text):
        return [unspaced[place : place + 2] for place in range(len(unspaced) - 1)]
    return re.findall(r"\w+", text.lower())


def _squad(file: Path, folder: Path) -> tuple[Path, list[Question]]:
    """Write each paragraph to a file of its own."""
    folder.mkdir()
    questions = []
    paragraphs = [each for article in json.loads(gzip.decompress(file.read_bytes()))["data"] for each in _of(article)]
    for number, paragraph in enumerate(paragraphs):
        path = f"{number}.txt"
        Path(folder, path).write_text(paragraph["context"], encoding="utf-8")
        questions += [Question(each["question"], frozenset([path])) for each in paragraph["qas"]]
    return folder, questions


def _of(article: dict[str, Any]) -> Iterable[dict[str, Any]]:
    paragraphs: list[dict[str, Any]] = article["paragraphs"]
    return paragraphs


def _documentation(folder: Path) -> tuple[Path, list[Question]]:
    """Download the manuals, and put them below folders with the projects' names."""
    downloads, manuals = folder / "downloads", folder / "manuals"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*command, "--no-binary", ":all:", "--dest", str(downloads), *PROJECTS], check=True)
    for file in downloads.glob("*.tar.gz"):
        with tarfile.open(file) as archive:
            for member in archive.getmembers():
                top, _, path = member.name.partition("/")
                if member.isfile() and path.startswith("docs/") and Path(path).suffix in TEXTS:
                    member.name = f"{top.rpartition('-')[0]}/{path}"
                    archive.extract(member, manuals, filter="data")
    lines = Path(__file__).with_name("data").joinpath("documentation_questions.jsonl").read_text(encoding="utf-8")
    rows = map(json.loads, lines.splitlines())
    return manuals, [Question(row["question"], frozenset(row["files"])) for row in rows]


if __name__ == "__main__":
    main()
