"""Answering from a folder of documents: one tool searches it, one reads what was found.

The index is SQLite's FTS5, in memory; files that are new or changed are read again at the next search.
"""

import difflib
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentkit import ConfigurationError, Page, PassageIndex, Tool, ToolError, tool
from agentkit_tools.cutting import block, cut_to_goal, passages_of
from agentkit_tools.page_text import Readable, UnreadableError, readable

TYPES = {".md": "text/markdown", ".markdown": "text/markdown", ".txt": "text/plain", ".rst": "text/x-rst"} | {
    ".html": "text/html",
    ".htm": "text/html",
    ".pdf": "application/pdf",
}
SNIPPET = 300
"""Characters of a hit's passage that are shown."""


def documents(
    folder: str | Path, *, results: int = 8, max_bytes: int = 20_000_000, max_characters: int = 12_000
) -> list[Tool[Any, Any]]:
    """Two tools for a folder of documents (md, txt, rst, html, pdf): `search_documents` and `read_document`.

    folder: searched with all folders below it, but hidden ones and links that lead out of it. results: documents
    found at most. max_bytes: larger files are left out. max_characters: of what the model is shown of a document.

    Raises ConfigurationError when there is no such folder.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise ConfigurationError(f"documents({str(folder)!r}): there is no such folder")
    library = _Library(root.resolve(), max_bytes)

    @tool(read_only=True, timeout=120)
    def search_documents(query: list[str]) -> str:
        """Search the documents. Gives title, path and the best passage of each document found.

        Args:
            query: What to search for; several queries are searched at once.
        """
        asked = list(dict.fromkeys(" ".join(each.split()) for each in query if each.strip()))
        if not asked:
            raise ToolError("query is empty: give at least one thing to search for.")
        return library.search(asked, results)

    @tool(read_only=True, timeout=120)
    def read_document(path: list[str], goal: str) -> str:
        """Read documents. Long ones are cut to the passages that match the goal.

        Args:
            path: Paths of the documents, such as search_documents gives them.
            goal: What you want to know from the documents.
        """
        found = [(each, library.document(each)) for each in dict.fromkeys(path)]
        missing = [library.unknown(each) for each, document in found if document is None]
        if len(missing) == len(found):
            raise ToolError(" ".join(missing) or "path is empty: give the path of at least one document.")
        blocks = [
            block(document.path, document.title, cut_to_goal(document.text, goal, max_characters))
            for _, document in found
            if document is not None
        ]
        return "\n\n".join([*blocks, *(f"({each})" for each in missing)])

    return [search_documents, read_document]


@dataclass(frozen=True)
class _Document:
    """A file that was read: its path below the folder, its state then, and its text."""

    path: str
    state: tuple[int, int]
    title: str
    text: str
    passages: tuple[int, ...]


@dataclass
class _Library:
    """The documents of a folder, and the index of their passages."""

    root: Path
    max_bytes: int
    index: PassageIndex = field(default_factory=PassageIndex)
    documents: dict[str, _Document] = field(default_factory=dict)
    unread: dict[str, tuple[tuple[int, int], str]] = field(default_factory=dict)
    owners: dict[int, tuple[str, str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def search(self, queries: Sequence[str], most: int) -> str:
        """The documents that match any of the queries, in the order in which they were found."""
        with self.lock:
            self._refresh()
            found: dict[str, str] = {}
            notes = []
            for query in queries:
                hits = self._hits(query, most)
                for path, passage in hits.items():
                    found.setdefault(path, passage)
                if not hits:
                    notes.append(f'(no results for "{query}")')
            notes += [f"({path} was not read: {why})" for path, (_, why) in sorted(self.unread.items())]
            blocks = [
                f"[{number}] {self.documents[path].title}\nsource: {path}\n{_snippet(passage)}"
                for number, (path, passage) in enumerate(found.items(), 1)
            ]
        return "\n\n".join([*blocks, *(["\n".join(notes)] if notes else [])])

    def document(self, path: str) -> _Document | None:
        """The document at a path as a search names it; the paths are looked up, never opened."""
        with self.lock:
            self._refresh()
            return self.documents.get(path.strip().replace("\\", "/").removeprefix("./"))

    def unknown(self, path: str) -> str:
        """A sentence on a path that is none."""
        if path in self.unread:
            return f"{path} was not read: {self.unread[path][1]}."
        nearest = difflib.get_close_matches(path, self.documents, n=3, cutoff=0.4)
        hint = f" The nearest are: {', '.join(nearest)}." if nearest else ""
        return f"there is no document {path!r}.{hint}"

    def _hits(self, query: str, most: int) -> dict[str, str]:
        hits: dict[str, str] = {}
        for number in self.index.best(query):
            path, passage = self.owners[number]
            hits.setdefault(path, passage)
            if len(hits) == most:
                break
        return hits

    def _refresh(self) -> None:
        """Read what is new or changed, forget what is gone."""
        states = dict(_files(self.root))
        for path in [path for path, document in self.documents.items() if states.get(path) != document.state]:
            for number in self.documents.pop(path).passages:
                self.index.remove(number)
                del self.owners[number]
        self.unread = {path: seen for path, seen in self.unread.items() if states.get(path) == seen[0]}
        for path, state in states.items():
            if path not in self.documents and path not in self.unread:
                self._read(path, state)

    def _read(self, path: str, state: tuple[int, int]) -> None:
        try:
            found = self._readable(path, state)
        except (UnreadableError, OSError) as error:
            self.unread[path] = (state, str(error) if isinstance(error, UnreadableError) else "it can't be opened")
            return
        numbers = []
        for passage in passages_of(found.text):
            number = self.index.add(passage, found.title)
            self.owners[number] = (path, passage)
            numbers.append(number)
        self.documents[path] = _Document(path, state, found.title, found.text, tuple(numbers))

    def _readable(self, path: str, state: tuple[int, int]) -> Readable:
        if state[1] > self.max_bytes:
            raise UnreadableError(f"it is larger than {self.max_bytes:,} bytes")
        file = self.root / path
        found = readable(Page(path, 200, TYPES[file.suffix.lower()], None, file.read_bytes()))
        return Readable(found.title or _heading(found.text) or path, found.text)


def _files(root: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """The documents below a folder by path, each with the time it was changed (ns) and its size (bytes)."""
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(place, name)
            if name.startswith(".") or file.suffix.lower() not in TYPES or not _is_inside(file, root):
                continue
            status = file.stat()
            yield file.relative_to(root).as_posix(), (status.st_mtime_ns, status.st_size)


def _is_inside(file: Path, root: Path) -> bool:
    """Whether a file is one, and lies in the folder also when it is a link."""
    try:
        return file.is_file() and file.resolve().is_relative_to(root)
    except OSError:
        return False


def _heading(text: str) -> str:
    """The first heading of a document in Markdown or reStructuredText."""
    markdown = re.search(r"^#{1,6}\s+(.+?)\s*#*$", text, re.MULTILINE)
    underlined = re.search(r"^(\S.*)\n(?:={3,}|-{3,}|~{3,})$", text, re.MULTILINE)
    found = min((match for match in (markdown, underlined) if match), key=lambda match: match.start(), default=None)
    return found.group(1) if found else ""


def _snippet(passage: str) -> str:
    line = " ".join(passage.split())
    return line if len(line) <= SNIPPET else line[:SNIPPET].rpartition(" ")[0] + " …"
