"""Two tools for a folder of documents: one searches it, one reads the documents found.

The index is SQLite's FTS5, in memory; new and changed files are indexed at the next search or read.
"""

import difflib
import os
import re
import stat
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from agentkit import ConfigurationError, Page, Tool, ToolError, tool
from agentkit.retrieval import PassageIndex
from agentkit_tools.cutting import cut_to_goal, passages_of
from agentkit_tools.page_text import Readable, UnreadableError, readable
from agentkit_tools.results import (
    MAX_QUERIES,
    MAX_SOURCES,
    TITLE,
    block,
    checked_queries,
    combined,
    hit,
    no_results,
    over_limit,
    shortened,
)

TYPES = {".md": "text/markdown", ".markdown": "text/markdown", ".txt": "text/plain", ".rst": "text/x-rst"} | {
    ".html": "text/html",
    ".htm": "text/html",
    ".pdf": "application/pdf",
}
SNIPPET = 300
"""Maximum length of the passage returned for a hit, in characters."""

MAX_NOTES = 5
"""Maximum number of unreadable files named in a result."""

NO_TEXT = "(the document has no text)"


def documents(
    folder: str | Path, *, results: int = 8, max_bytes: int = 20_000_000, max_characters: int = 12_000
) -> list[Tool[Any, Any]]:
    """Returns two tools for a folder of documents (md, txt, rst, html, pdf): `search_documents` and `read_document`.

    folder: searched with all its subfolders, except hidden ones and links that lead out of it. results: maximum number
    of documents found per query. max_bytes: larger files are skipped. max_characters: maximum length of the text
    returned for a document.

    Raises ConfigurationError when the folder does not exist.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise ConfigurationError(f"documents({str(folder)!r}): the folder does not exist")
    library = _Library(root.resolve(), results, max_bytes, max_characters)
    return [library.search_documents, library.read_document]


@dataclass(frozen=True)
class _Document:
    """An indexed file. path: relative to the folder. state: modification time (ns) and size (bytes) when it was read.
    passages: their numbers in the index."""

    path: str
    state: tuple[int, int]
    title: str
    text: str
    passages: tuple[int, ...]


@dataclass
class _Library:
    """The documents of a folder, and the index of their passages.

    unread: state of each unreadable file, and the reason. owners: path and text of each passage by its number."""

    root: Path
    results: int
    max_bytes: int
    max_characters: int
    index: PassageIndex = field(default_factory=PassageIndex)
    documents: dict[str, _Document] = field(default_factory=dict)
    unread: dict[str, tuple[tuple[int, int], str]] = field(default_factory=dict)
    owners: dict[int, tuple[str, str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled without the index, which is made again from the files."""
        return _Library, (self.root, self.results, self.max_bytes, self.max_characters)

    @tool(
        read_only=True,
        timeout=120,
        description="Search the documents. Returns title, path and the best passage of each document found.",
    )
    def search_documents(self, query: Annotated[list[str], "Search queries; several can be given."]) -> str:
        """The tool `search_documents`."""
        return self._search(checked_queries(query))

    @tool(
        read_only=True,
        timeout=120,
        description="Read documents. Long documents are reduced to the passages that match the goal.",
    )
    def read_document(
        self,
        path: Annotated[list[str], "Paths of the documents, as returned by search_documents."],
        goal: Annotated[str, "What you want to know from the documents."],
    ) -> str:
        """The tool `read_document`."""
        return self._read_all(list(dict.fromkeys(path)), goal)

    def _search(self, queries: Sequence[str]) -> str:
        """Returns the documents that match any of the queries, in the order found."""
        with self.lock:
            self._refresh()
            found: dict[str, str] = {}
            without = []
            for query in queries[:MAX_QUERIES]:
                hits = self._hits(query, self.results)
                for path, passage in hits.items():
                    found.setdefault(path, passage)
                if not hits:
                    without.append(no_results(query))
            blocks = [
                hit(number, self.documents[path].title, path, shortened(passage, SNIPPET))
                for number, (path, passage) in enumerate(found.items(), 1)
            ]
            notes = over_limit(len(queries), MAX_QUERIES, "queries were searched")
            return combined(blocks, [*without, *notes, *self._unread_notes()])

    def _unread_notes(self) -> list[str]:
        unread = sorted(self.unread.items())
        named = [f"({_printable(path)} was not read: {why})" for path, (_, why) in unread[:MAX_NOTES]]
        more = len(unread) - len(named)
        return [*named, f"({more:,} more files were not read)"] if more else named

    def _read_all(self, paths: Sequence[str], goal: str) -> str:
        """Returns the documents at these paths, each cut to `max_characters`. Raises ToolError if none exist."""
        found = [(path, self.document(path)) for path in paths[:MAX_SOURCES]]
        missing = [self.unknown(path) for path, document in found if document is None]
        if len(missing) == len(found):
            raise ToolError(" ".join(missing) or "path is empty: provide the path of at least one document.")
        blocks = [
            block(document.path, document.title, cut_to_goal(document.text, goal, self.max_characters) or NO_TEXT)
            for _, document in found
            if document is not None
        ]
        notes = [f"({each})" for each in missing]
        return combined(blocks, notes + over_limit(len(paths), MAX_SOURCES, "documents were read"))

    def document(self, path: str) -> _Document | None:
        """Returns the document at a path as returned by a search. The path is only looked up, never opened."""
        with self.lock:
            self._refresh()
            return self.documents.get(path.strip().replace("\\", "/").removeprefix("./"))

    def unknown(self, path: str) -> str:
        """Returns the error message for a path that is not an indexed document."""
        with self.lock:
            if path in self.unread:
                return f"{_printable(path)} was not read: {self.unread[path][1]}."
            nearest = _nearest(path, list(self.documents))
        hint = f" The closest matches are: {', '.join(nearest)}." if nearest else ""
        return f"document {_printable(path)!r} not found.{hint}"

    def _hits(self, query: str, limit: int) -> dict[str, str]:
        hits: dict[str, str] = {}
        for number in self.index.best(query):
            path, passage = self.owners[number]
            hits.setdefault(path, passage)
            if len(hits) == limit:
                break
        return hits

    def _refresh(self) -> None:
        """Index new and changed files, and drop deleted ones."""
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
        if not path.isprintable():
            raise UnreadableError("its name contains unprintable characters")
        if state[1] > self.max_bytes:
            raise UnreadableError(f"it is larger than {self.max_bytes:,} bytes")
        file = self.root / path
        found = readable(Page(path, 200, TYPES[file.suffix.lower()], None, file.read_bytes()))
        return Readable(shortened(found.title or _heading(found.text), TITLE) or path, found.text)


def _files(root: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yields the path of each document below a folder, with its modification time (ns) and size (bytes)."""
    for directory, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(directory, name)
            if name.startswith(".") or file.suffix.lower() not in TYPES:
                continue
            state = _state(file, root)
            if state is not None:
                yield file.relative_to(root).as_posix(), state


def _state(file: Path, root: Path) -> tuple[int, int] | None:
    """Returns the modification time and size of a file; None if it is missing, not a regular file, or a link that leads
    out of the folder."""
    try:
        status = file.resolve(strict=True).stat() if file.resolve().is_relative_to(root) else None
    except (OSError, RuntimeError):
        return None
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    return status.st_mtime_ns, status.st_size


def _nearest(path: str, known: Sequence[str]) -> list[str]:
    """Returns the known paths most similar to `path`, by the whole path or by the file name alone."""
    wanted = path.strip().lower()[:200]
    whole = {each.lower(): each for each in known}
    names = {PurePosixPath(each).name.lower(): each for each in known}
    close = [whole[each] for each in difflib.get_close_matches(wanted, whole, n=3, cutoff=0.5)]
    close += [names[each] for each in difflib.get_close_matches(PurePosixPath(wanted).name, names, n=3, cutoff=0.5)]
    return list(dict.fromkeys(close))[:3]


def _printable(path: str) -> str:
    return shortened("".join(each if each.isprintable() else "?" for each in path), 200)


def _heading(text: str) -> str:
    """Returns the title of a Markdown or reStructuredText document: from its front matter, or its first heading."""
    lines = text[:20_000].split("\n")
    if lines[0].strip() == "---" and "---" in lines[1:]:
        end = lines.index("---", 1)
        titles = (line.partition(":")[2] for line in lines[1:end] if line.startswith("title:"))
        title = next(titles, "").strip().strip("\"'")
        if title:
            return title
        lines = lines[end + 1 :]
    above = ""
    for line in lines:
        marked = re.match(r"#{1,6}\s+(\S.*)", line)
        if marked:
            return re.sub(r"(?<=\s)#+$", "", marked[1].strip()).strip()
        if above and re.fullmatch(r"={3,}|-{3,}|~{3,}", line.strip()):
            return above
        above = line.strip()
    return ""
