"""Documents that are a ZIP file of XML parts: read within bounds, and without resolving entities."""

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import unquote

from lxml import etree

from agentkit_tools.reader_process import LARGE
from agentkit_tools.unreadable import DamagedPartError, UnreadableError, why_broken

T = TypeVar("T")

_ESCAPED = re.compile("_x(00[0-9A-Fa-f]{2})_")

MAX_ENTRIES = 20_000
MAX_PART = 50_000_000
"""Maximum size of one part, unpacked, in bytes."""

MAX_READ = 150_000_000
"""Maximum size of all parts that are read, unpacked, in bytes."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError, RuntimeError)


class Package:
    """The parts of a document by their paths, whose case does not count.

    Raises UnreadableError for a file that is damaged, encrypted, or too large when unpacked, here and when a part is
    read.
    """

    def __init__(self, content: bytes) -> None:
        if content.startswith(_OLE):
            is_encrypted = "EncryptedPackage".encode("utf-16-le") in content
            raise UnreadableError("it is encrypted" if is_encrypted else "it is of an older kind than its name says")
        try:
            self._file = zipfile.ZipFile(io.BytesIO(content))
        except _DAMAGED:
            raise UnreadableError(why_broken(content, "it is damaged")) from None
        entries = self._file.infolist()
        if len(entries) > MAX_ENTRIES:
            raise UnreadableError(f"it has more than {MAX_ENTRIES:,} parts")
        self._entries = {entry.filename.replace("\\", "/").lstrip("/").lower(): entry for entry in entries}
        self._read = 0

    def __contains__(self, path: str) -> bool:
        return path.lower() in self._entries

    def paths(self, begin: str, end: str) -> list[str]:
        """The paths of parts, in lower case, that begin and end so, in their order."""
        return sorted((path for path in self._entries if path.startswith(begin) and path.endswith(end)), key=_number)

    def path_of(self, path: str) -> str:
        """The path of a part as the file has it, in upper and lower case."""
        return self._entries[path.lower()].filename

    def read(self, path: str) -> bytes:
        """The bytes of a part; none when there is no such part."""
        entry = self._entries.get(path.lower())
        if entry is None:
            return b""
        if entry.flag_bits & 1:
            raise UnreadableError("it is encrypted")
        room = min(MAX_PART, MAX_READ - self._read)
        try:
            with self._file.open(entry) as part:
                content = part.read(room + 1)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - each method of compression has errors of its own
            raise DamagedPartError("it is damaged") from None
        if len(content) > room:
            raise UnreadableError("it is too large when unpacked")
        self._read += len(content)
        return content

    def xml(self, path: str) -> Any:
        """The root element of a part; an empty one when there is no such part, or it is no XML."""
        return parsed_xml(self.read(path))

    def targets(self, path: str) -> dict[str, tuple[str, str]]:
        """The relationships of an Office part: the kind and the path of each by its id."""
        folder = posixpath.dirname(path)
        return {
            each.get("Id", ""): (each.get("Type", "").rpartition("/")[2], resolved(folder, each.get("Target", "")))
            for each in self._relationships(path)
            if each.get("TargetMode") != "External"
        }

    def links(self, path: str) -> dict[str, str]:
        """The addresses to which an Office part has links, by their ids."""
        found = (each for each in self._relationships(path) if each.get("TargetMode") == "External")
        return {each.get("Id", ""): each.get("Target", "") for each in found}

    def _relationships(self, path: str) -> Iterator[Any]:
        folder, name = posixpath.split(path)
        return children(self.xml(posixpath.join(folder, "_rels", f"{name}.rels")), "Relationship")

    def main_part(self, otherwise: str) -> str:
        """The path of an Office file's main part."""
        found = (target for kind, target in self.targets("").values() if kind == "officeDocument" and target in self)
        return next(found, otherwise)


def parsed_xml(content: bytes) -> Any:
    """The root element of an XML text; an empty one where it is none."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, recover=True, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(content, parser) if content.strip() else None
    except etree.XMLSyntaxError:
        root = None
    return etree.Element("none") if root is None else root


def undamaged(parts: Iterable[T], read: Callable[[T], str]) -> Iterator[str]:
    """What is read of the parts of a document, with a note in the place of those that are damaged. Raises
    DamagedPartError when none can be read."""
    damaged: DamagedPartError | None = None
    some = False
    for part in parts:
        try:
            yield read(part)
            some = True
        except DamagedPartError as error:
            damaged = error
            yield "[… a part of the document is damaged and was not read]"
    if damaged is not None and not some:
        raise damaged


def unpacked_size(content: bytes) -> int:
    """The size of a file in bytes; of a ZIP file that of its parts, as it says: they are not read any further."""
    if len(content) > LARGE or not content.startswith(b"PK"):
        return len(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            return sum(entry.file_size for entry in file.infolist())
    except _DAMAGED:
        return len(content)


def _number(path: str) -> tuple[int, str]:
    """Sorts slide10 behind slide9."""
    return len(path), path


def resolved(folder: str, target: str) -> str:
    """The path of a part that a part in `folder` names."""
    target = unquote(target.partition("#")[0])
    return posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")


def unescaped(text: str) -> str:
    """A text without the codes that workbooks and slides have for characters that XML lacks, such as _x000D_ for the
    end of a line."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def local(element: Any) -> str:
    """The name of an element without its namespace; "" for an entity and the like."""
    tag = element.tag
    return tag[tag.rfind("}") + 1 :] if isinstance(tag, str) else ""


def attribute(element: Any, name: str) -> str | None:
    """An attribute by its name without namespace."""
    for key, value in element.attrib.items():
        if key == name or key.endswith("}" + name):
            return str(value)
    return None


def number_in(written: str | None, otherwise: int = 1) -> int:
    """The whole number that an attribute says. otherwise: what an attribute means that is missing or says none, as one
    of ten digits and more does."""
    return int(written) if written is not None and written.isdecimal() and len(written) < 10 else otherwise


def is_on(element: Any, name: str) -> bool:
    """Whether an attribute of an Office file is set to true."""
    return attribute(element, name) in ("1", "true", "on")


def is_off(element: Any, name: str) -> bool:
    """Whether an attribute of an Office file is set to false."""
    return attribute(element, name) in ("0", "false", "off")


def children(element: Any, *names: str) -> Iterator[Any]:
    """The children with one of these names."""
    return (child for child in element if local(child) in names)


def child(element: Any, *path: str) -> Any:
    """The first element at a path of names below an element, or None."""
    for name in path:
        element = next(children(element, name), None) if element is not None else None
    return element


def descendants(element: Any, *names: str) -> Iterator[Any]:
    """All elements below with one of these names, in their order."""
    return (each for each in element.iterdescendants() if local(each) in names)
