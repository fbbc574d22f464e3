"""Which files of a folder may be documents, and whether they changed."""

import contextlib
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path, PurePath
from urllib.parse import quote_from_bytes

import pathspec

from agentkit import Page, ToolError
from agentkit_tools.kinds import GENERATED, LEFT_OUT_NAMES, WITHOUT_TEXT

State = tuple[int, int]
"""When a file was last changed (nanoseconds since 1970, of its text and of its entry together) and its size (bytes)."""

Rules = tuple[tuple[int, pathspec.GitIgnoreSpec], ...]
"""The .gitignore files that hold in a folder, outermost first, each with the length of the path of its own folder."""

LEFT_OUT_FOLDERS = frozenset(("node_modules", "bower_components", "__pycache__", "site-packages", "__MACOSX"))
"""Folders that hold what others wrote or a program made."""

BUILT = frozenset(("build", "dist", "target", "out"))
"""Folders that hold what a build made, when a file of PROJECT stands beside them."""

PROJECT = (
    *("pyproject.toml", "setup.py", "package.json", "Cargo.toml", "pom.xml", "build.gradle", "build.gradle.kts"),
    *("CMakeLists.txt", "go.mod", "Gemfile", "composer.json"),
)
MARKS = frozenset(("pyvenv.cfg", "CACHEDIR.TAG"))
"""Files that say that their folder is a virtual environment or a cache."""

MAX_RULES = 1_000_000
"""Maximum size of a .gitignore file, in bytes; a larger one is no such file."""


_UNSEEN = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""Joiners and the like, which languages need in words, and which nobody types."""


def can_be_shown(name: str) -> bool:
    """Whether a name can stand in a line: without control characters, ends of lines, and signs that change the order of
    others."""
    return name.isprintable() or all(
        each.isprintable() or each in _UNSEEN or unicodedata.category(each) == "Zs" for each in name
    )


def as_typed(name: str) -> str:
    """A name in the form in which it is written by those who see it: composed letters, single plain spaces."""
    seen = "".join(each for each in name if each not in _UNSEEN)
    return " ".join(unicodedata.normalize("NFKC", seen).split())


def content_of(path: str | Path, max_bytes: int) -> bytes:
    """Returns what a regular file contains, of a larger one the first max_bytes + 1 bytes.

    Raises OSError for anything else, without waiting for it: since the folder was listed, the name may have become that
    of a pipe or a device."""
    with open(path, "rb", opener=_without_waiting) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(f"{path} is not a regular file")
        return stream.read(max_bytes + 1) or b""


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def unreadable(error: OSError) -> ToolError:
    """The error of a folder of documents that can't be read."""
    return ToolError(f"the folder of the documents can't be read: {error.strerror}")


class Folder:
    """The files below a folder that may be documents.

    Left out are hidden files and folders, those that a .gitignore in the folder names, environments, caches and builds,
    and files whose ending says that they have no text. Used by one thread at a time.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._rules: dict[str, tuple[State, pathspec.GitIgnoreSpec]] = {}
        self._ignored: dict[str, tuple[Rules, dict[str, bool]]] = {}
        self.left_out: Counter[str] = Counter()
        """How many files the last `states` left out, by their ending; "" for those that a .gitignore names."""
        self.closed: list[str] = []
        """The folders that the last `states` could not look into."""
        self._names: dict[str, str] = {}

    def states(self) -> dict[str, State]:
        """Returns the state of each file by its path in the folder with "/"; those that a link leads out of the folder
        to are left out. A name that is no UTF-8 is decoded by the charset that it seems to be in.

        Raises ToolError when the folder itself can't be read.
        """
        self.left_out, self.closed = Counter(), []
        found: dict[str, State] = {}
        folders: list[tuple[str, str, Rules]] = [(str(self._root), "", ())]
        while folders:
            folder, prefix, rules = folders.pop()
            try:
                with os.scandir(folder) as entries:
                    folders += self._read_folder(entries, folder, prefix, rules, found)
            except OSError as error:
                if not prefix:  # a folder that is gone for now keeps its index
                    raise unreadable(error) from None
                if not isinstance(error, FileNotFoundError):  # else it was removed just now
                    self.closed.append(prefix)
        return self._shown(found)

    def file(self, path: str) -> Path:
        """Returns where a file is, by its path as `states` returns it."""
        return self._root / self._names.get(path, path)

    def _shown(self, found: dict[str, State]) -> dict[str, State]:
        """Gives the names that are no UTF-8 others that can be shown, and keeps them."""
        self._names = {}
        for name in [each for each in found if not each.isascii() and not _is_encodable(each)]:
            content = os.fsencode(name)
            path = Page("", 200, "text/plain", None, content).text
            if path in found or not can_be_shown(path):
                path = quote_from_bytes(content)
            found[path] = found.pop(name)
            self._names[path] = name
        return found

    def _read_folder(
        self, entries: Iterable[os.DirEntry[str]], folder: str, prefix: str, rules: Rules, found: dict[str, State]
    ) -> list[tuple[str, str, Rules]]:
        """Add the files of one folder; returns the folders in it."""
        here = _entries_of(entries, prefix, self._root, self.left_out)
        if here is None:
            return []
        folders, files, has_rules = here
        if BUILT.intersection(folders) and any(os.path.exists(f"{folder}/{name}") for name in PROJECT):
            folders = [name for name in folders if name not in BUILT]
        if has_rules and (spec := self._rules_in(f"{folder}/.gitignore")) is not None:
            rules = (*rules, (len(prefix), spec))
        if rules:
            ignored = self._ignored_in(prefix, rules)
            folders = [name for name in folders if not _is_ignored(ignored, prefix, name + "/", rules)]
            kept = {
                path: state
                for path, state in files.items()
                if not _is_ignored(ignored, prefix, path.removeprefix(prefix), rules)
            }
            self.left_out[""] += len(files) - len(kept)
            files = kept
        found.update(files)
        return [(f"{folder}/{name}", f"{prefix}{name}/", rules) for name in folders]

    def _rules_in(self, path: str) -> pathspec.GitIgnoreSpec | None:
        """The rules of a .gitignore file, parsed once for each of its states; None when it can't be read."""
        try:
            status = os.stat(path)
            state = (status.st_mtime_ns, status.st_size)
            known = self._rules.get(path)
            if known is None or known[0] != state:
                if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_RULES:
                    return None
                lines = content_of(path, MAX_RULES).decode("utf-8-sig", "replace").splitlines()
                self._rules[path] = known = state, _spec(lines)
        except OSError:
            return None
        return known[1]

    def _ignored_in(self, prefix: str, rules: Rules) -> dict[str, bool]:
        """What is known of the names in a folder under these rules."""
        known = self._ignored.get(prefix)
        if known is None or known[0] != rules:
            self._ignored[prefix] = known = rules, {}
        return known[1]


class SingleFile:
    """A file that is the only document, as `Folder` has many. Used by one thread at a time.

    file: where it is. name: what it is called.
    """

    def __init__(self, file: Path, name: str) -> None:
        self._file = file
        self._name = name if can_be_shown(name) and _is_encodable(name) else quote_from_bytes(os.fsencode(name))
        self.left_out: Counter[str] = Counter()
        self.closed: list[str] = []

    def states(self) -> dict[str, State]:
        """Returns the state of the file by its name; of one whose ending says that it has no text, none. Raises
        ToolError when it can't be read."""
        ending = PurePath(self._name).suffix.lower()
        self.left_out = Counter([ending] if ending in WITHOUT_TEXT else ())
        try:
            status = os.stat(self._file)
        except OSError as error:
            raise unreadable(error) from None
        return {} if self.left_out else {self._name: (_changed(status), status.st_size)}

    def file(self, path: str) -> Path:
        """Returns where the file is."""
        return self._file


def _entries_of(
    entries: Iterable[os.DirEntry[str]], prefix: str, root: Path, left_out: Counter[str]
) -> tuple[list[str], dict[str, State], bool] | None:
    """The names of the folders in a folder, the states of its files by their paths, and whether it has a .gitignore;
    None for a folder that is left out. One loop, since a search waits for it."""
    folders: list[str] = []
    files: dict[str, State] = {}
    has_rules = False
    for entry in entries:
        name = entry.name
        if entry.is_dir(follow_symlinks=False):
            if name[0] != "." and name not in LEFT_OUT_FOLDERS:
                folders.append(name)
            continue
        role = _role_of(name)
        if role is DOCUMENT:
            state = _state(entry, root)
            if state is not None:
                files[prefix + name] = state
        elif role is MARK:
            return None
        elif role is RULES:
            has_rules = True
        elif role is not HIDDEN:
            left_out[role] += 1
    return folders, files, has_rules


DOCUMENT, MARK, RULES, HIDDEN = "a document", "a mark", "rules", "hidden"


@lru_cache(maxsize=65_536)
def _role_of(name: str) -> str:
    """What a file of this name is: a document that may be read, one of MARKS, a .gitignore, one that is not mentioned,
    or its ending where that says that it has no text."""
    if name[0] == ".":
        return RULES if name == ".gitignore" else HIDDEN
    if name in MARKS:
        return MARK
    if (ending := name[name.rfind(".") :].lower()) in WITHOUT_TEXT:
        return ending
    return HIDDEN if name in LEFT_OUT_NAMES or name.endswith(GENERATED) or name[0] == "~" else DOCUMENT


def _is_encodable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _state(entry: os.DirEntry[str], root: Path) -> State | None:
    """Returns the state of a file; None if it is missing, not a regular file, or a link that leads out of the
    folder."""
    try:
        if entry.is_symlink() and not Path(entry.path).resolve(strict=True).is_relative_to(root):
            return None
        if not entry.is_file():
            return None
        status = entry.stat()
    except (OSError, RuntimeError):
        return None
    return _changed(status), status.st_size


def _changed(status: os.stat_result) -> int:
    """When a file was last changed. Programs that copy or unpack files set the time of the text to that of the original
    (`rsync -t`, `cp -p`, `tar`), but not the time at which they did that; on Windows that is when it was made."""
    return status.st_mtime_ns // 2 + status.st_ctime_ns // 2


def _is_ignored(known: dict[str, bool], prefix: str, name: str, rules: Rules) -> bool:
    """Whether a name in a folder is ignored, "/" behind that of a folder; the innermost .gitignore that names it
    decides."""
    found = known.get(name)
    if found is None:
        path = prefix + name
        decisions = (spec.check_file(path[start:]).include for start, spec in reversed(rules))
        found = known[name] = bool(next((each for each in decisions if each is not None), False))
    return found


def _spec(lines: list[str]) -> pathspec.GitIgnoreSpec:
    """The rules of these lines; lines that are no pattern are left out, as git does."""
    try:
        return pathspec.GitIgnoreSpec.from_lines(lines)
    except ValueError:
        return pathspec.GitIgnoreSpec.from_lines(line for line in lines if _is_pattern(line))


def _is_pattern(line: str) -> bool:
    with contextlib.suppress(ValueError):
        pathspec.GitIgnoreSpec.from_lines([line])
        return True
    return False
