"""Writes the tree of a page as a list of Markdown blocks, each with the element that it comes from."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from lxml import etree
from lxml.etree import _Element as Element

from agentkit_tools.numerals import roman
from agentkit_tools.page.inline import text_of
from agentkit_tools.page.tables import as_markdown, is_data, table_rows

HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
BLOCKS = frozenset(
    (
        *(
            "p",
            "div",
            "section",
            "article",
            "main",
            "header",
            "footer",
            "nav",
            "aside",
            "ul",
            "ol",
            "dl",
            "table",
            "tr",
        ),
        *("td", "th", "caption", "blockquote", "figure", "figcaption", "details", "summary", "address", "form", "li"),
        *("fieldset", "legend", "hr", "dt", "dd", "center", "body", "html", "hgroup", "search", "menu", "label", "dir"),
        *HEADINGS,
    )
)
LINE = "\ue001"
"""Stands for the line break of <br> until the other spaces are normalised."""

INVISIBLE = re.compile("[\xad\u200b\u2060\ufeff]")
"""Characters that only say where a word may be divided."""

MAX_TARGET = 300
MAX_INLINE = 2_000
"""Characters of a link or of code in a line; what is longer is text."""

MAX_NESTING = 12
ANCHORS = frozenset(("#", "¶", "§", "🔗", ""))
LISTS = frozenset(("ul", "ol", "menu", "dir"))


@dataclass
class Block:
    """A paragraph, heading, list item, table or code of a page.

    text: Markdown. element: where it comes from. linked: how many of its characters belong to links. tight: whether it
    follows the block before it without a blank line, as the items of a list do.
    """

    text: str
    element: Element
    kind: str
    linked: int = 0
    tight: bool = False


def joined(blocks: Sequence[Block]) -> str:
    """Returns the text of several blocks."""
    parts: list[str] = []
    before = ""
    for block in blocks:
        if parts:
            follows = block.tight and (before == block.kind or block.kind == "dd")
            parts.append("\n" if follows else "\n\n")
        parts.append(block.text)
        before = block.kind
    return "".join(parts)


def written(root: Element, address: str = "") -> list[Block]:
    """Returns the blocks of a tree in their order. address: what the targets of links are relative to."""
    writer = _Writer(address)
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        if event == "start":
            if writer.start(element):
                walk.skip_subtree()
                writer.skipped = element
        else:
            writer.end(element)
            if element is not root:
                writer.add(element.tail or "")
    writer.flush()
    return writer.blocks


@dataclass
class _Item:
    marker: str
    written: bool = False


@dataclass
class _List:
    numbered: str
    """The type of numbers: "1", "a", "A", "i", "I"; "" for a list without numbers."""

    number: int
    step: int = 1


@dataclass
class _Writer:
    address: str
    blocks: list[Block] = field(default_factory=list)
    skipped: Any = None
    _parts: list[str] = field(default_factory=list)
    _open: list[Element] = field(default_factory=list)
    _items: list[_Item] = field(default_factory=list)
    _lists: list[_List] = field(default_factory=list)
    _length: int = 0
    _links: list[tuple[int, int, int]] = field(default_factory=list)
    _linked: int = 0
    _in_links: int = 0
    _quotes: int = 0
    _flushes: int = 0

    def add(self, text: str) -> None:
        if text:
            self._parts.append(text)
            self._length += len(text)

    def start(self, element: Element) -> bool:
        """Writes what stands before an element's content. Returns whether its content is written already."""
        tag = element.tag
        if tag in BLOCKS:
            self.flush()
            self._open.append(element)
        if tag == "pre" or (tag == "table" and is_data(element)):
            self.flush()
            (self._code if tag == "pre" else self._table)(element)
            return True
        begin = _BEGIN.get(str(tag))
        if begin:
            begin(self, element)
        self.add(element.text or "")
        return False

    def end(self, element: Element) -> None:
        tag = element.tag
        if element is self.skipped:
            self.skipped = None
        elif tag == "a" and self._links:
            self._end_link(element)
        elif tag in ("code", "kbd", "samp", "tt") and self._links:
            self._end_code()
        if tag in BLOCKS:
            self.flush()
            self._open.pop()
            finish = _FINISH.get(str(tag))
            if finish:
                finish(self, element)

    def flush(self) -> None:
        """Writes the text collected so far as one block."""
        self._flushes += 1
        if not self._parts:
            return
        lines = (" ".join(line.split()) for line in INVISIBLE.sub("", "".join(self._parts)).split(LINE))
        text = "\n".join(lines).strip("\n")
        self._parts.clear()
        if text:
            self._linked = len(text) if self._in_links else self._linked
            element = self._open[-1] if self._open else None
            kind = str(element.tag) if element is not None else "p"
            if kind in HEADINGS:
                text = HEADINGS[kind] + text.replace("\n", " ")
            self._write(text, element, kind)

    def _write(self, text: str, element: Any, kind: str) -> None:
        items = self._items[-MAX_NESTING:]
        opens = bool(items) and not items[-1].written
        first = "".join(" " * len(item.marker) if item.written else item.marker for item in items)
        rest = "".join(" " * len(item.marker) for item in items)
        for item in items:
            item.written = True
        quote = "> " * min(self._quotes, MAX_NESTING)
        if first or quote:
            text = quote + first + text.replace("\n", "\n" + quote + rest)
        in_list = opens or (bool(items) and kind == "li")
        if in_list:
            kind = "li"
        self.blocks.append(Block(text, element, kind, self._linked, opens or kind == "dd"))
        self._linked = 0

    def _table(self, table: Element) -> None:
        for caption in table.iterchildren("caption"):
            self._write(text_of(caption) or " ", caption, "p")
        rows = table_rows(table)
        if rows:
            self._write(as_markdown(rows), table, "table")

    def _code(self, pre: Element) -> None:
        for line in list(pre.iter("br")):
            line.text = "\n"
        text = "".join(map(str, pre.itertext())).expandtabs(4).strip("\n").rstrip()
        if not text.strip():
            return
        longest = max((len(run) for run in re.findall("`+", text)), default=0)
        fence = "`" * max(3, longest + 1)
        names = " ".join(each.get("class") or "" for each in (pre, *list(pre)[:1]))
        language = re.search(r"\b(?:language|lang|highlight-source|brush:)-?\s*([a-z+#]{1,12})", names)
        self._write(f"{fence}{language[1] if language else ''}\n{text}\n{fence}", pre, "pre")

    # inline

    def begin_inline(self, _: Element) -> None:
        self._links.append((len(self._parts), self._flushes, self._length))

    def begin_link(self, element: Element) -> None:
        self._in_links += 1
        self.begin_inline(element)

    def image(self, element: Element) -> None:
        alt = " ".join((element.get("alt") or "").split())
        if alt and len(alt) <= 1_000:
            self.add(f"![{alt}]")

    def line(self, _: Element) -> None:
        self.add(LINE)

    def _inside(self) -> str:
        """Returns the text since the innermost inline element began, "" if a block ended in it or it is too long: it
        stays as it is."""
        at, flushes, length = self._links.pop()
        if flushes != self._flushes or self._length - length > MAX_INLINE:
            return ""
        text = "".join(self._parts[at:])
        self._length = length
        del self._parts[at:]
        return text

    def _end_link(self, element: Element) -> None:
        self._in_links -= 1
        text = self._inside()
        words = text.strip()
        self._linked += len(words)
        if words in ANCHORS and text:
            return self.add(" ")
        target = self._target(element.get("href") or "") if words else ""
        if target and target != words and LINE not in words:
            text = text.replace(words, f"[{words}]({target})", 1)
        return self.add(text)

    def _end_code(self) -> None:
        text = self._inside()
        code = text.strip()
        single = code and "`" not in code and LINE not in code
        self.add(text.replace(code, f"`{code}`", 1) if single else text)

    def _target(self, href: str) -> str:
        href = "".join(href.split())
        if not href or href.startswith("#") or len(href) > MAX_TARGET:
            return ""
        try:
            target = urljoin(self.address, href) if self.address.startswith("http") else href
        except ValueError:
            return ""
        scheme = re.match(r"[a-zA-Z][\w+.-]*:", target)
        if (scheme and scheme[0].lower() not in ("http:", "https:", "mailto:")) or len(target) > MAX_TARGET:
            return ""
        if self.address and target.partition("#")[0] == self.address.partition("#")[0]:
            return ""
        return target.replace("(", "%28").replace(")", "%29").replace("<", "%3C").replace(">", "%3E")

    # lists and quotes

    def begin_list(self, element: Element) -> None:
        if element.getparent() is not None and element.getparent().tag in LISTS:
            self._items.append(_Item("  ", written=True))  # a list right in a list belongs to the item before it
        numbered = "" if element.tag != "ol" else (element.get("type") or "1")
        start = _number(element.get("start"), 1)
        step = 1
        if element.get("reversed") is not None:
            step = -1
            start = _number(element.get("start"), len(element.findall("li")))
        self._lists.append(_List(numbered, start, step))

    def end_list(self, element: Element) -> None:
        self._lists.pop()
        if element.getparent() is not None and element.getparent().tag in LISTS:
            self._items.pop()

    def begin_item(self, element: Element) -> None:
        marker = "- "
        if self._lists and self._lists[-1].numbered:
            its = self._lists[-1]
            its.number = _number(element.get("value"), its.number)
            marker = f"{_as_number(its.number, its.numbered)}. "
            its.number += its.step
        self._items.append(_Item(marker))

    def end_item(self, _: Element) -> None:
        if self._items:
            self._items.pop()

    def begin_quote(self, _: Element) -> None:
        self._quotes += 1

    def end_quote(self, _: Element) -> None:
        self._quotes -= 1


_BEGIN: dict[str, Callable[[_Writer, Element], None]] = (
    dict.fromkeys(LISTS, _Writer.begin_list)
    | dict.fromkeys(("code", "kbd", "samp", "tt"), _Writer.begin_inline)
    | {"a": _Writer.begin_link}
    | {"li": _Writer.begin_item, "blockquote": _Writer.begin_quote, "img": _Writer.image, "br": _Writer.line}
)
_FINISH: dict[str, Callable[[_Writer, Element], None]] = {
    **dict.fromkeys(LISTS, _Writer.end_list),
    "li": _Writer.end_item,
    "blockquote": _Writer.end_quote,
}


def _number(value: str | None, default: int) -> int:
    return int(value) if value and re.fullmatch(r"-?[0-9]{1,9}", value.strip()) else default


def _as_number(number: int, kind: str) -> str:
    if kind in ("a", "A") and 1 <= number <= 26:
        return chr(ord(kind) + number - 1)
    if kind in ("i", "I") and 1 <= number <= 100:
        return roman(number) if kind == "I" else roman(number).lower()
    return str(number)
