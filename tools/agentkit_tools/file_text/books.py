"""Electronic books (epub)."""

from collections.abc import Iterator
from typing import Any

from agentkit import Page
from agentkit_tools.file_text.form import FileText, joined, one_line
from agentkit_tools.file_text.package import Package, attribute, descendants, resolved, undamaged
from agentkit_tools.page_text import readable
from agentkit_tools.unreadable import UnreadableError

_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""How fonts are made unreadable in books whose text is not encrypted."""


def read_book(path: str, content: bytes) -> FileText:
    """A book's chapters in their order; those that are missing are left out, and damaged ones are named. Raises
    UnreadableError."""
    package = Package(content)
    methods = [attribute(each, "Algorithm") for each in _methods(package)]
    if any(method not in _FONTS for method in methods):
        raise UnreadableError("it is encrypted (protected against copying)")
    root = next(descendants(package.xml("meta-inf/container.xml"), "rootfile"), None)
    main = resolved("", attribute(root, "full-path") or "") if root is not None else ""
    main = main if main in package else next(iter(package.paths("", ".opf")), "")
    book = package.xml(main)
    chapters = list(_chapters(book, main.rpartition("/")[0])) or _pages(package)
    title = next((one_line(each.text or "") for each in descendants(book, "title")), "")
    text = joined(undamaged(chapters, lambda chapter: _chapter(package, chapter)))
    if not text:
        raise UnreadableError("it has no text; its pages may be images")
    return FileText(title, text)


def _methods(package: Package) -> Iterator[Any]:
    for data in descendants(package.xml("meta-inf/encryption.xml"), "EncryptedData"):
        yield from descendants(data, "EncryptionMethod")


def _chapters(book: Any, folder: str) -> Iterator[str]:
    """The paths of the chapters, in the order in which they are read."""
    items = {
        attribute(each, "id"): resolved(folder, attribute(each, "href") or "")
        for each in descendants(book, "item")
        if "nav" not in (attribute(each, "properties") or "").split()
    }
    for each in descendants(book, "itemref"):
        path = items.get(attribute(each, "idref"))
        if path is not None:
            yield path


def _pages(package: Package) -> list[str]:
    return [path for end in (".xhtml", ".html", ".htm") for path in package.paths("", end)]


def _chapter(package: Package, path: str) -> str:
    content = package.read(path)
    if not content:
        return ""
    try:
        return readable(Page(path, 200, "application/xhtml+xml", None, content)).text
    except UnreadableError:
        return ""
