"""Chooses the blocks of a page that are its text: those that trafilatura finds, and what it loses among them."""

import re
from collections.abc import Iterable, Sequence
from copy import deepcopy
from itertools import islice, pairwise

import trafilatura
from lxml.etree import _Element as Element

from agentkit_tools.page.blocks import HEADINGS, Block
from agentkit_tools.page.tree import depth_of

MAX_ELEMENTS = 40_000
MAX_DEPTH = 200
"""trafilatura is not asked about a page of more elements or deeper ones: its time grows faster than the page."""

MAX_CELLS = 200_000
"""Nor about one of more cells, if all rows of tables were as wide as the widest: it makes them so."""

ENOUGH = 0.35
"""Share of the candidates' text that trafilatura has to find; otherwise all candidates are the text."""

SHORT = 400
"""Length of a page up to which all its candidates are the text."""

SURE = 0.75
"""Share of what trafilatura found that has to stand outside of menus and of asides for these to be left out."""

MAIN_SHARE = 0.3
"""Share of the whole text that <main> or the articles have to hold to count as the text of the page."""

ASIDE = re.compile(
    r"(?i)(?:^|[\s_-])(?:cookies?|consent|gdpr|newsletter|subscri(?:be|ption)|sharing|share|social|breadcrumbs?|related|"
    r"recommend(?:ed|ations?)?|promo(?:tion)?|advert(?:s|isement|ising)?|ads?|sponsor(?:ed|s)?|sidebar|side-?bar|"
    r"navbar|navigation|nav|menu|pagination|pager|pop-?up|modal|masthead|toolbar|signup|sign-up|login|"
    r"footer|copyright|post-?profile|user-?(?:nav|info|details|card)|author-(?:box|bio|info)|signature|trending|most-?read|see-?also-box|toc|skip|outbrain|taboola|tags?|taglist)"
    r"(?:$|[\s_-])"
)
"""Names of classes and ids of what stands beside the text."""

REPEATED = re.compile(
    r"(?i)(?:^|[\s_-])(?:posts?|comments?|repl(?:y|ies)|answers?|messages?|questions?|faqs?|reviews?|thread|entry|"
    r"accordion|card|topic|hentry|story|result|listing)(?:$|[\s_-])"
)
"""Names of classes of what a page has several of, all of them text: posts, comments, answers."""

DEEP = 60
"""Ancestors of a block that are looked at: pages may be nested a thousand times."""

INSIDE = frozenset(("li", "ul", "ol", "dl", "dt", "dd", "figure", "figcaption", "details", "summary", "td", "th", "tr"))
LONG = 80
WORD = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]|[^\W_\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]+")


def main_blocks(root: Element, blocks: Sequence[Block]) -> list[Block]:
    """Returns the blocks of the main text, in their order."""
    aside = _aside(root, blocks)
    beside = {index for index, block in enumerate(blocks) if block.element in aside}
    outside = set(range(len(blocks))) - beside - _menus(blocks)
    in_main = _in_main(root, blocks, outside)
    candidates = in_main or outside or set(range(len(blocks)))
    found = _found_by_trafilatura(root)
    kept = _kept(blocks, found) if found else set()
    for better in (kept & outside, kept - beside):
        if _length(blocks, better) >= SURE * _length(blocks, kept):
            kept = better
            break
    whole = _length(blocks, candidates)
    if whole < SHORT or _length(blocks, kept & candidates) < ENOUGH * whole:
        kept |= candidates
    else:
        if candidates != outside:  # the page says where its text is
            kept |= {index for index in candidates if min(kept) < index < max(kept)}
        kept |= _beside(blocks, candidates, kept)
        kept |= _repeated(blocks, candidates, kept)
    if in_main:
        kept |= _announced(blocks, kept, beside)
    kept |= _headings(blocks, candidates, kept)
    return [block for index, block in enumerate(blocks) if index in kept]


def _length(blocks: Sequence[Block], indices: Iterable[int]) -> int:
    return sum(len(blocks[index].text) for index in indices)


# Candidates


def _in_main(root: Element, blocks: Sequence[Block], outside: set[int]) -> set[int]:
    """Returns the blocks that are in <main> or the articles, if these hold enough of those given, else none."""
    whole = _length(blocks, outside)
    for parts in (root.iter("main"), _with_role(root), root.iter("article")):
        inside = _below(parts)
        within = {index for index in outside if blocks[index].element in inside}
        if within and _length(blocks, within) >= MAIN_SHARE * whole:
            return within
    return set()


def _with_role(root: Element) -> Iterable[Element]:
    return (each for each in root.iter() if each.get("role") == "main")


def _below(parts: Iterable[Element]) -> set[Element]:
    inside: set[Element] = set()
    for part in parts:
        if part not in inside:
            inside.update(part.iter())
    return inside


def _aside(root: Element, blocks: Sequence[Block]) -> set[Element]:
    """Returns the elements in parts that are named as standing beside the text and hold less than half of it."""
    lengths: dict[Element, int] = {}
    whole = 0
    for block in blocks:
        whole += len(block.text)
        element = block.element
        depth = 0
        while element is not None and depth < DEEP:
            lengths[element] = lengths.get(element, 0) + len(block.text)
            element, depth = element.getparent(), depth + 1
    aside: set[Element] = set()
    for element, length in lengths.items():
        names = f"{element.get('class') or ''} {element.get('id') or ''}"
        is_aside = length < 0.4 * whole and ASIDE.search(names[:300]) and not REPEATED.search(names[:300])
        if is_aside and element.tag not in ("html", "body", "main", "article") and element not in aside:
            aside.update(element.iter())
    return aside


def _is_linked(*blocks: Block) -> bool:
    """Whether blocks are made of links."""
    return sum(block.linked for block in blocks) > 0.6 * max(1, sum(map(_shown_length, blocks)))


def _is_heading(block: Block) -> bool:
    return block.kind in HEADINGS


def _menus(blocks: Sequence[Block]) -> set[int]:
    """Returns the blocks that are made of links. A list is a menu as a whole, or is none."""
    lists: dict[Element, list[int]] = {}
    for index, block in enumerate(blocks):
        if not _is_heading(block) and block.kind not in ("table", "pre"):
            lists.setdefault(_list_of(block.element), []).append(index)
    menus = (found for found in lists.values() if _is_linked(*(blocks[index] for index in found)))
    return {index for found in menus for index in found}


def _list_of(element: Element) -> Element:
    """Returns the outermost list around the element of an item, or the element itself."""
    found = element
    for ancestor in islice(element.iterancestors(), DEEP):
        if ancestor.tag not in ("ul", "ol", "li"):
            break
        found = ancestor
    return found


def _shown_length(block: Block) -> int:
    """Returns the length of the text without the targets of its links, their brackets and the mark of a list's item."""
    if not block.linked:
        return len(block.text)
    return len(re.sub(r"^\s*(?:[-*]|\w{1,4}\.) |\]\([^()]*\)|\[", "", block.text))


# What trafilatura finds


def _found_by_trafilatura(root: Element) -> str:
    if sum(1 for _ in root.iter()) > MAX_ELEMENTS or depth_of(root, MAX_DEPTH) > MAX_DEPTH:
        return ""
    widths = [len(row) for row in root.iter("tr")]
    if len(widths) * max(widths, default=0) > MAX_CELLS:
        return ""
    try:
        copy = deepcopy(root)
        for cell in copy.iter("td", "th"):
            cell.attrib.clear()  # it adds the columns of each colspan, and a page may ask for billions
        return trafilatura.extract(copy, favor_recall=True, include_comments=True, include_tables=True) or ""
    except Exception:  # noqa: BLE001 - whatever it fails on, the candidates are read
        return ""


def _kept(blocks: Sequence[Block], found: str) -> set[int]:
    """Returns the blocks whose words, in their order, are mostly in what was found."""
    words = _words(found)
    pairs = set(pairwise(words))
    lines = {tuple(_words(line)) for line in found.split("\n")}
    kept = set()
    for index, block in enumerate(blocks):
        mine = _words(re.sub(r"^[\s>]*(?:\w{1,4}\. )?|\]\([^()]*\)|!\[[^\[\]]*\]", " ", block.text))
        if mine and tuple(mine) in lines:
            kept.add(index)
        elif len(mine) > 2:
            same = sum(1 for pair in pairwise(mine) if pair in pairs)
            if same >= 0.6 * (len(mine) - 1):
                kept.add(index)
    return kept


def _words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


# What it loses


def _beside(blocks: Sequence[Block], candidates: set[int], kept: set[int]) -> set[int]:
    """Returns the candidates in the same part of the page as a block that is kept: between two of them, or long ones,
    tables, code and lists before and after."""
    parts = [_part(block.element) for block in blocks]
    bounds: dict[Element, tuple[int, int]] = {}
    for index in sorted(kept & candidates):
        first, _ = bounds.get(parts[index], (index, index))
        bounds[parts[index]] = (first, index)
    added = set()
    for index in candidates - kept:
        block, bound = blocks[index], bounds.get(parts[index])
        if bound is None or (_is_linked(block) and not _is_heading(block)):
            continue
        if bound[0] < index < bound[1] or block.kind in ("table", "pre", "li") or len(block.text) >= LONG:
            added.add(index)
    return added


def _part(element: Element) -> Element:
    """Returns the part of the page that a block belongs to: lists, tables and what wraps one element are no part."""
    parent = element.getparent()
    while parent is not None and (parent.tag in INSIDE or element.tag in INSIDE or _is_alone(element)):
        if parent.tag == "body":
            break
        element, parent = parent, parent.getparent()
    return element if parent is None else parent


def _is_alone(element: Element) -> bool:
    return element.getnext() is None and element.getprevious() is None  # len(parent) would count the children


def _repeated(blocks: Sequence[Block], candidates: set[int], kept: set[int]) -> set[int]:
    """Returns the candidates in parts like one that holds a kept block: the other posts, comments and answers."""
    kinds: set[tuple[str, str]] = set()
    for index in kept & candidates:
        kinds.update(kind for kind in _kinds(blocks[index].element))
    added = set()
    for index in candidates - kept:
        if any(kind in kinds for kind in _kinds(blocks[index].element)):
            added.add(index)
    return added


def _kinds(element: Element) -> Iterable[tuple[str, str]]:
    """Yields tag and first class of the parts around a block that pages have several of."""
    for ancestor in (element, *islice(element.iterancestors(), 8)):
        name = ancestor.get("class") or ""
        if REPEATED.search(name[:300]):
            yield ancestor.tag, name.split()[0]


def _announced(blocks: Sequence[Block], kept: set[int], beside: set[int]) -> set[int]:
    """Returns the items of lists that follow a kept paragraph next to them: links, too, belong to the text there."""
    added: set[int] = set()
    announced = None
    for index, block in enumerate(blocks[1:], 1):
        if block.kind != "li":
            continue
        of_list, before = _list_of(block.element), blocks[index - 1]
        if index - 1 in kept and before.kind == "p" and before.element is of_list.getprevious():
            announced = of_list
        if of_list is announced and index not in beside:
            added.add(index)
    return added


def _headings(blocks: Sequence[Block], candidates: set[int], kept: set[int]) -> set[int]:
    """Returns the headings right before a kept block, and the first heading of the page if it stands before all."""
    added = set()
    follows = False
    for index in range(len(blocks) - 1, -1, -1):
        if index in kept:
            follows = True
        elif _is_heading(blocks[index]) and index in candidates and follows:
            added.add(index)
        else:
            follows = False
    first = min(kept, default=0)
    titles = [index for index in candidates if index < first and blocks[index].kind == "h1"]
    return added | set(titles[-1:])
