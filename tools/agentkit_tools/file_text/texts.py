"""Plain text and its markups, in whatever charset."""

import re
import unicodedata
from typing import Any

from agentkit import Context, Page
from agentkit_tools import reader_process
from agentkit_tools.file_text.form import FileText, of_page
from agentkit_tools.page.pdf import OF_A_BOOK, pdf_text
from agentkit_tools.page_text import Readable, plain_pages, readable
from agentkit_tools.reader_process import NO_RUN, in_reader_process
from agentkit_tools.unreadable import UnreadableError

HEAD = 20_000
"""Characters in which a title is looked for."""

_CONTROLS = bytes(range(32))
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def read_text(path: str, content: bytes) -> FileText:
    """A text for people. Raises UnreadableError when it is binary."""
    text = decoded(path, content)
    return FileText(heading_of(text), text)


def read_page(path: str, content: bytes) -> FileText:
    """An HTML page."""
    return of_page(readable(Page(path, 200, "text/html", None, content)))


def read_pdf(path: str, content: bytes, context: Context[Any] = NO_RUN) -> FileText:
    """A PDF, which may be a book. context: the run for which it is read."""
    read = in_reader_process(
        pdf_text, content, *OF_A_BOOK, size=len(content), context=context, seconds=reader_process.FILE_SECONDS
    )
    return of_page(plain_pages(Readable(*read)))


def decoded(path: str, content: bytes) -> str:
    """Decodes a text: UTF-8 if it is valid, UTF-16, or the charset that it seems to be in; raises UnreadableError when
    it is binary."""
    found: Readable = readable(Page(path, 200, "text/plain", _charset(content), content))
    sample = found.text[:HEAD]
    if sum(map(_is_of_no_text, sample)) > len(sample) / 20:
        raise UnreadableError("its content is binary, not text")
    return found.text


def _is_of_no_text(character: str) -> bool:
    """Whether a character stands in no text: of those that are not printed, spaces of any width and signs for joining
    letters do."""
    if character.isprintable() or character in "\n\t":
        return False
    return unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs")


def _charset(content: bytes) -> str | None:
    """The charset of a text whose bytes leave no doubt."""
    if content.startswith(_MARKS):
        return None
    head = content[:2_000]
    is_utf8 = _is_utf8(content)
    has_few_zeros = head.count(0) <= len(head) / 20
    if len(head) >= 4 and b"\0" in head:
        for name, high, low in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
            many = high.count(0) > len(head) / 50 and not (is_utf8 and has_few_zeros)
            if b"\0" in high and b"\0" not in low and (many or _are_of_alphabets(high)):
                return name
    return "utf-8" if is_utf8 else None


def _are_of_alphabets(high: bytes) -> bool:
    """Whether most of these are the upper bytes of letters in UTF-16: below 32 in nearly all alphabets, and zero for
    Latin letters, spaces and line ends. Each second byte of a text in another charset is no control character."""
    return 2 * len(high.translate(None, _CONTROLS)) < len(high)


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


_TITLE_LINES = re.compile(
    r"(?:\#\+title:|:title:|\.\.\ title::|%\ title:)\s*(?P<line>\S.*)|\\title\s*(?:\[[^\]]*\])?\{(?P<tex>[^{}]+)\}",
    re.IGNORECASE | re.VERBOSE,
)


def heading_of(text: str) -> str:
    """The title of a text in Markdown, reStructuredText, AsciiDoc, Org or LaTeX: that of its front matter, or its first
    heading; "" if it has none."""
    lines = text[:HEAD].split("\n")
    if lines[0].strip() == "---" and "---" in lines[1:]:
        end = lines.index("---", 1)
        titles = (line.partition(":")[2] for line in lines[1:end] if line.startswith("title:"))
        title = next(titles, "").strip().strip("\"'")
        if title:
            return title
        lines = lines[end + 1 :]
    above = ""
    for line in lines:
        marked = re.match(r"(?:#{1,6}|={1,5})\s+(\S.*)", line)
        if marked:
            return re.sub(r"(?<=\s)[#=]+$", "", marked[1].strip()).strip()
        if titled := _TITLE_LINES.match(line):
            return titled["line"] or titled["tex"]
        if above and re.fullmatch(r"={3,}|-{3,}|~{3,}", line.strip()):
            return above
        above = line.strip()
    return ""
