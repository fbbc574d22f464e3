"""Two tools for a folder of documents, or for one document: one searches it, one reads what was found.

New and changed files are indexed at the next search or read.
"""

import difflib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import unquote

from agentkit import ConfigurationError, Context, Tool, ToolError, tool
from agentkit.retrieval import Embedder, content_words, embedder
from agentkit_tools.as_meant import as_meant
from agentkit_tools.contents import Contents, Document, Hit
from agentkit_tools.cutting import cut_for
from agentkit_tools.excerpts import excerpt
from agentkit_tools.file_text import FileText, read_file
from agentkit_tools.files import Folder, SingleFile, State, as_typed, can_be_shown, content_of, unreadable
from agentkit_tools.index_file import cache_file
from agentkit_tools.kinds import WITHOUT_TEXT
from agentkit_tools.library import Library
from agentkit_tools.reader_process import NO_RUN, numbering
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
    source_of,
)
from agentkit_tools.several_folders import SeveralFolders, names_of
from agentkit_tools.unreadable import NotNowError, UnreadableError
from agentkit_tools.vectors import Meaning

SNIPPET = 300
"""Maximum length of the passage returned for a hit, in characters."""

MAX_NOTES = 5
"""Maximum number of unreadable files named in a result."""

Files = Folder | SingleFile | SeveralFolders
"""What is searched."""

NO_TEXT = "(the document has no text)"


def documents(
    folder: str | Path | Sequence[str | Path],
    *,
    results: int = 8,
    max_bytes: int = 20_000_000,
    max_characters: int = 12_000,
    keep_index: bool = True,
    embeddings: str | Embedder | None = None,
) -> list[Tool[Any, Any]]:
    """Returns two tools for a folder of documents, or for one document: `search_documents` and `read_document`.

    folder: searched with all its subfolders; or a file, which is the only document then; or several of these, which are
    searched as one, and with whose names the paths of documents begin. Left out of a folder are
    hidden files and folders, what a .gitignore in it names, environments, caches and builds, and links that lead out of
    it. docs/tools.md says which kinds of files are read. results: maximum number of documents found per query.
    max_bytes: larger files are skipped. max_characters:
    maximum length of the text returned for a document. keep_index: whether the index is kept for the next process, in
    the folder for caches (AGENTKIT_CACHE, or the user's own), readable by its owner only; without it the documents are
    indexed anew, in memory. embeddings: finds passages by their meaning too: the name of a model with OpenAI's
    embeddings API ("openai:MODEL@url"), or an object with a method `embed` that turns texts into vectors
    (`agentkit.retrieval.Embedder`). The passages are sent to it once; their vectors are kept in the index.

    Raises ConfigurationError when the folder or file does not exist or can't be read, or the name of the embeddings
    names no model.
    """
    given = [folder] if isinstance(folder, str | os.PathLike) else folder
    if not (isinstance(given, list | tuple) and given and all(isinstance(each, str | os.PathLike) for each in given)):
        raise ConfigurationError(f"documents({folder!r:.80}): pass the path of a folder or file, or a list of paths")
    roots = tuple(dict.fromkeys(map(_root, given)))
    found = embedder(embeddings) if isinstance(embeddings, str) else embeddings
    tools = _Documents(roots, results, max_bytes, max_characters, keep_index, found)
    return [tools.search_documents, tools.read_document]


def _root(folder: str | Path) -> Path:
    root = Path(os.path.expanduser(folder))  # "~" stays where there is no home directory: there is no such folder
    wrong = "no folder is named" if folder == "" else _unusable(root)
    if wrong:
        raise ConfigurationError(f"documents({str(folder)!r}): {wrong}")
    return root.absolute()


def _unusable(root: Path) -> str:
    """Returns why a folder can't be searched, or a file; "" if it can."""
    try:
        if os.path.isfile(root):
            open(root, "rb").close()
        else:
            os.scandir(root).close()
    except (FileNotFoundError, ValueError):
        return "the folder does not exist"
    except NotADirectoryError:
        return "it is neither a folder nor a file"
    except OSError as error:
        return f"the {'file' if os.path.isfile(root) else 'folder'} can't be read: {error.strerror}"
    return ""


@dataclass(frozen=True)
class _Target:
    """What paths lead to, and the index of its documents."""

    roots: tuple[str, ...]
    folder: Files
    library: Library


class _Documents:
    """The two tools."""

    def __init__(
        self,
        roots: tuple[Path, ...],
        results: int,
        max_bytes: int,
        max_characters: int,
        keep: bool,
        embedder: Embedder | None,
    ) -> None:
        self._options = (roots, results, max_bytes, max_characters, keep, embedder)
        self._roots = roots
        self._results = results
        self._max_bytes = max_bytes
        self._max_characters = max_characters
        self._meaning = None if embedder is None else Meaning(embedder)
        self._keeps = keep
        self._target: _Target | None = None
        with suppress(ToolError):  # it may not be there yet, on another machine
            self._current()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled without the connection to the index."""
        return _Documents, self._options

    def _current(self) -> _Target:
        """What the folder is now: where it is a link, it may lead elsewhere since. Raises ToolError when it is gone."""
        try:
            roots = tuple(os.path.realpath(each, strict=True) for each in self._roots)
        except OSError as error:
            raise unreadable(error) from None
        target = self._target
        if target is None or target.roots != roots:
            folder = _files_of(self._roots, roots)
            at = cache_file(Path("\n".join(roots))) if self._keeps else None
            target = self._target = _Target(roots, folder, Library(folder.states, partial(self._text, folder), at))
        return target

    def _beginnings(self, target: _Target) -> dict[str, str]:
        """With what a path may begin that a model writes, and what stands there in the path of a hit."""
        is_file = isinstance(target.folder, SingleFile)
        names = [f"{each}/" for each in names_of(self._roots)] if len(self._roots) > 1 else [""]
        given = zip([*self._roots, *map(Path, target.roots)], [*names, *names], strict=True)
        return {f"{(root.parent if is_file else root).as_posix()}/": name for root, name in given}

    @tool(
        read_only=True,
        timeout=120,
        description="Search the documents. Returns title, path and the best passage of each document found.",
    )
    def search_documents(
        self, query: Annotated[list[str], "Search queries; several can be given."], context: Context[Any] = NO_RUN
    ) -> str:
        """The tool `search_documents`."""
        return self._search(checked_queries(query), context)

    @tool(
        read_only=True,
        timeout=120,
        description="Read documents. Long documents are reduced to the passages that match the goal.",
    )
    def read_document(
        self,
        path: Annotated[list[str], "Paths of the documents, as returned by search_documents."],
        goal: Annotated[str, "What you want to know from the documents."],
        context: Context[Any] = NO_RUN,
    ) -> str:
        """The tool `read_document`."""
        return self._read_all(list(dict.fromkeys(path)), goal, context)

    def _search(self, queries: Sequence[str], context: Context[Any]) -> str:
        """Returns the documents that match any of the queries, in the order found."""
        found: dict[str, tuple[Hit, str]] = {}
        without = []
        target = self._current()
        with target.library.refreshed(context) as contents:
            unread = contents.unread()
            known = len(unread) + contents.count() + len(contents.waiting)
            left_out = _left_out_notes(target.folder.left_out, known), _closed_notes(target.folder.closed)
            waiting = _waiting_notes(contents.waiting)
            asked = queries[:MAX_QUERIES]
            meant, doubts = self._meant(contents, asked)
            for query, passages in zip(asked, meant, strict=True):
                hits = contents.hits(query, self._results, passages)
                found |= {each.path: (each, query) for each in hits if each.path not in found}
                if not hits:
                    without.append(no_results(query))
        sources = numbering(context)
        blocks = [
            hit(
                sources.source(each.path, each.title, each.passage),
                each.title,
                each.path,
                shortened(excerpt(each.passage, content_words(query), SNIPPET), SNIPPET),
            )
            for each, query in found.values()
        ]
        notes = over_limit(len(queries), MAX_QUERIES, "queries were searched")
        return combined(
            blocks,
            [
                *without,
                *notes,
                *doubts,
                *_unread_notes(unread),
                *waiting,
                *left_out[1],
                *(left_out[0] if without else ()),
            ],
        )

    def _meant(self, contents: Contents, queries: Sequence[str]) -> tuple[Sequence[Sequence[int]], list[str]]:
        """The passages that match each query by their meaning, and what to say of them."""
        if self._meaning is None:
            return [()] * len(queries), []
        return self._meaning.nearest(contents.vectors, queries, [contents.matching(query) for query in queries])

    def _read_all(self, paths: Sequence[str], goal: str, context: Context[Any]) -> str:
        """Returns the documents at these paths, each cut to `max_characters`. Raises ToolError if none exist."""
        target = self._current()
        roots = self._beginnings(target)
        with target.library.refreshed(context) as contents:
            found = [(path, _document(path, roots, contents)) for path in paths[:MAX_SOURCES]]
            missing = [_unknown(path, contents) for path, document in found if document is None]
        if len(missing) == len(found):
            raise ToolError(" ".join(missing) or "path is empty: provide the path of at least one document.")
        sources = numbering(context)
        blocks = [self._block(each, goal, context, sources) for _, each in found if each is not None]
        notes = [f"({each})" for each in missing]
        return combined(blocks, notes + over_limit(len(paths), MAX_SOURCES, "documents were read"))

    def _block(self, document: Document, goal: str, context: Context[Any], sources: Context[Any]) -> str:
        text = cut_for(document.text, goal, self._max_characters, context) or NO_TEXT
        number = source_of(sources, document.path, document.title, document.text, text)
        return block(number, document.path, document.title, text)

    def _text(self, folder: Files, path: str, state: State, context: Context[Any]) -> FileText:
        if not can_be_shown(path):
            raise UnreadableError("its name contains unprintable characters")
        content = b"" if state[1] > self._max_bytes else content_of(folder.file(path), self._max_bytes)
        if max(state[1], len(content)) > self._max_bytes:
            raise NotNowError(f"it is larger than {self._max_bytes:,} bytes")
        found = read_file(path, content, context)
        return replace(found, title=shortened(found.title, TITLE) or path)


def _files_of(given: Sequence[Path], roots: Sequence[str]) -> Files:
    """The files of the folders, or of one. given: as their user names them. roots: where they are."""
    parts = [
        SingleFile(Path(root), named.name) if os.path.isfile(root) else Folder(Path(root))
        for named, root in zip(given, roots, strict=True)
    ]
    return parts[0] if len(parts) == 1 else SeveralFolders(dict(zip(names_of(given), parts, strict=True)))


def _as_in_hits(path: str, roots: Mapping[str, str]) -> str:
    """The path as a search returns it. It is only looked up, never opened. roots: what it may begin with, and what
    stands there instead."""
    found = path.strip().replace("\\", "/")
    for root, name in roots.items():
        if found.startswith(root):
            found = name + found.removeprefix(root)
    return found.removeprefix("./")


def _document(path: str, roots: Mapping[str, str], contents: Contents) -> Document | None:
    """The document at a path, or the only one that can be meant by it: a model writes plain spaces and composed
    letters, what stood around a path in a result, or only the name or the title of a file. roots: what the path may
    begin with."""
    path = _encodable(path)
    found = contents.document(path)
    if found is None:
        path = _as_in_hits(path, roots)
        found = contents.document(path)
    if found is None:
        meant = _as_in_hits(as_meant(path), roots)
        alike = next(filter(None, _alike(meant, contents)), [])
        found = contents.document(alike[0]) if len(alike) == 1 else None
    return found


def _encodable(path: str) -> str:
    """A path of a model, which may write half a surrogate pair."""
    return path.encode("utf-8", "replace").decode("utf-8")


def _alike(path: str, contents: Contents) -> Iterator[list[str]]:
    """The paths that may be meant by one, by one likeness after the other, the nearest first."""
    paths = contents.paths()
    for typed in dict.fromkeys((as_typed(path), as_typed(unquote(path)), as_typed(path.partition("#")[0]))):
        yield [each for each in paths if as_typed(each) == typed]
    typed = as_typed(path).casefold()
    yield [each for each in paths if as_typed(each).casefold() == typed]
    yield [each for each in paths if as_typed(PurePosixPath(each).name).casefold() == typed]
    yield [each for each in paths if as_typed(PurePosixPath(each).stem).casefold() == typed]
    yield contents.titled(path)


def _unknown(path: str, contents: Contents) -> str:
    """Returns the error message for a path that is not an indexed document."""
    unread = contents.unread()
    if path in unread:
        return f"{_printable(path)} was not read: {unread[path]}."
    if path in contents.waiting:
        return f"{_printable(path)} is not read yet: there was no time; try again."
    ending = PurePosixPath(path).suffix.lower()
    if ending in WITHOUT_TEXT:
        return f"{_printable(path)} is not read: files of this kind ({ending}) have no text."
    nearest = next(filter(None, _alike(as_meant(_encodable(path)), contents)), [])[:3] or _nearest(
        path, contents.paths()
    )
    hint = f" The closest matches are: {', '.join(nearest)}." if nearest else ""
    return f"document {_printable(path)!r} not found.{hint}"


def _unread_notes(unread: Mapping[str, str]) -> list[str]:
    named = [f"({_printable(path)} was not read: {why})" for path, why in list(unread.items())[:MAX_NOTES]]
    more = len(unread) - len(named)
    return [*named, f"({more:,} more files were not read)"] if more else named


def _waiting_notes(waiting: Collection[str]) -> list[str]:
    """How many documents there was no time to read."""
    count = "1 document is" if len(waiting) == 1 else f"{len(waiting):,} documents are"
    return [f"({count} not read yet: there was no time; search again)"] if waiting else []


def _closed_notes(closed: Sequence[str]) -> list[str]:
    """Which folders could not be looked into."""
    more = f" and {len(closed) - 1:,} more" if len(closed) > 1 else ""
    return [f"(the folder {_printable(closed[0])}{more} can't be opened: its files are not known)"] if closed else []


def _left_out_notes(left_out: Mapping[str, int], known: int) -> list[str]:
    """What a search that found nothing could not look into. known: how many documents there are."""
    notes = [] if known else ["(there are no documents in the folder)"]
    kinds = sorted((ending for ending in left_out if ending), key=lambda each: (-left_out[each], each))
    count = sum(left_out[each] for each in kinds)
    if count:
        named = ", ".join(kinds[:MAX_NOTES]) + (", …" if len(kinds) > MAX_NOTES else "")
        notes.append(f"({count:,} files without text were left out: {named})")
    if left_out.get(""):
        notes.append(f"({left_out['']:,} files that .gitignore names were left out)")
    return notes


def _nearest(path: str, known: Sequence[str]) -> list[str]:
    """Returns the known paths most similar to `path`, by the whole path or by the file name alone."""
    wanted = path.strip().lower()[:200]
    whole = {each.lower(): each for each in known}
    names = {PurePosixPath(each).name.lower(): each for each in known}
    close = [whole[each] for each in difflib.get_close_matches(wanted, whole, n=3, cutoff=0.5)]
    close += [names[each] for each in difflib.get_close_matches(PurePosixPath(wanted).name, names, n=3, cutoff=0.5)]
    return list(dict.fromkeys(close))[:3]


def _printable(path: str) -> str:
    return shortened("".join(each if can_be_shown(each) else "?" for each in path), 200)
