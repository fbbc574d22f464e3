"""Parses a page and reduces its tree to what is text: without scripts, controls and navigation."""

import re
from collections.abc import Iterable
from itertools import dropwhile

import lxml.html
from lxml import etree
from lxml.etree import _Element as Element

from agentkit_tools.page.hidden import dropped, remove_unseen
from agentkit_tools.page.inline import beginning_of, text_of, write_out

MAX_DEPTH = 1_000
"""The parser loses what is nested more deeply than 2,048 elements."""

NO_TEXT = (
    *("script", "style", "noscript", "iframe", "svg", "canvas", "select", "dialog", "object", "embed", "audio"),
    *("video", "map", "head", "textarea", "datalist", "frameset", "input", "meter", "progress"),
    *("amp-ad", "amp-sidebar", "amp-consent", "amp-analytics", "amp-user-notification"),
)
IN_HEAD = frozenset(("title", "meta", "link", "style", "script", "noscript", "base", "template", "object", "bgsound"))
AROUND = ("nav", "footer", "aside")
AROUND_ROLES = frozenset(("navigation", "banner", "contentinfo", "search", "complementary", "dialog", "alertdialog"))
NOTES = frozenset(
    ("doc-footnote", "doc-endnote", "doc-endnotes", "footnote", "footnotes", "endnote", "endnotes", "rearnote", "note")
)
"""What pages call the notes of their text, by `role` (DPUB-ARIA) and, in books, by `epub:type`."""

LINE_NUMBERS = frozenset(("gutter", "linenos", "lineno", "line-numbers", "line-number", "blob-num"))
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


LONG_TAG, MAX_ATTRIBUTES = 16_000, 1_000
"""A tag of more characters loses its attributes if it has about so many: the parser compares each with all others."""

_TAG = re.compile(r"""<([a-zA-Z][\w:-]{0,100})(?:[^>"']++|"[^"]*"|'[^']*')*+""")


class TooDeepError(Exception):
    """The page is nested so deeply that the parser loses its text."""


def parsed(source: str) -> tuple[str, Element]:
    """Returns the title and the tree of a page. Raises TooDeepError, and etree.ParserError if there is no element."""
    parser = lxml.html.HTMLParser(huge_tree=True, remove_comments=True, remove_pis=True)
    root = lxml.html.document_fromstring(
        _TAG.sub(_shortened, re.sub(r"\A\s*<\?xml[^>]*\?>", "", source)), parser=parser
    )
    if depth_of(root, MAX_DEPTH) > MAX_DEPTH:
        raise TooDeepError
    _begin_body(root)
    title = root.find(".//title")
    return (text_of(title) if title is not None else ""), root


def _begin_body(root: Element) -> None:
    """Moves what is text out of the head, where the parser puts it when a page leaves out <body> and begins with an
    element newer than HTML 4, such as <main>."""
    head = root.find("head")
    misplaced = () if head is None else dropwhile(lambda each: each.tag in IN_HEAD, list(head))
    moved = list(misplaced)
    if not moved:
        return
    body = root.find("body")
    if body is None:
        body = etree.SubElement(root, "body")
    moved[-1].tail = (moved[-1].tail or "") + (body.text or "")
    body.text = None
    body[0:0] = moved


def _shortened(tag: re.Match[str]) -> str:
    is_long = tag.end() - tag.start() > LONG_TAG and len(tag[0].split(None, MAX_ATTRIBUTES)) > MAX_ATTRIBUTES
    return f"<{tag[1]}" if is_long else tag[0]


def depth_of(root: Element, limit: int) -> int:
    """Returns how deeply the elements are nested; what is deeper than the limit is not looked at."""
    depth = deepest = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        deepest = max(deepest, depth)
        if deepest > limit:
            break
    return deepest


def cleaned(root: Element) -> None:
    """Leaves only the text of a page and its structure, in place."""
    for template in list(root.iter("template")):
        if template.get("shadowrootmode") or template.get("shadowroot"):
            template.tag = "div"
        else:
            dropped(template)
    write_out(root)
    remove_unseen(root)
    _drop(root.iter(*NO_TEXT))
    _keep_questions(root)
    _drop_around(root)
    _unwrap_form(root)


def _drop(elements: Iterable[Element]) -> None:
    for element in list(elements):
        dropped(element)


def _drop_around(root: Element) -> None:
    """Removes navigation, sidebars, line numbers and the heads and feet of the page."""
    around = [*root.iter(*AROUND), *(each for each in root.iter() if each.get("role") in AROUND_ROLES)]
    around += [each for each in root.iter("header") if next(each.iterancestors("main", "article"), None) is None]
    around += [each for each in root.iter("td", "span", "div", "a") if (each.get("class") or "") in LINE_NUMBERS]
    around += [each for each in root.iter("span") if "mw-editsection" in (each.get("class") or "").split()]
    for each in around:
        if each.tag not in ("html", "body", "main", "article") and not _is_note(each):
            _keep_title(root, each)
            dropped(each)


def _is_note(element: Element) -> bool:
    """Whether an element is a footnote or the like of the text, which books and some pages write as an aside."""
    kinds = f"{element.get('role') or ''} {element.get('epub:type') or ''}".split()
    return element.tag == "aside" and not NOTES.isdisjoint(kinds)


def _keep_title(root: Element, header: Element) -> None:
    """Puts the heading of the text, which some pages have in the head of the page, before that head."""
    if header.tag != "header" or header.getparent() is None:
        return
    headings = list(header.iter("h1"))
    if len(headings) == 1 and len(beginning_of(headings[0])) >= 20 and root.find(".//main//h1") is None:
        headings[0].tail = None
        header.addprevious(headings[0])


def _keep_questions(root: Element) -> None:
    """Turns the buttons that are headings, such as the questions of a list of answers, into text; drops the others."""
    for button in list(root.iter("button")):
        opens = button.get("aria-expanded") is not None or button.get("aria-controls") is not None
        heading = next(button.iterancestors(*HEADINGS, "summary", "dt"), None)
        text = beginning_of(button)
        if text and (heading is not None or ((opens or text.endswith(("?", "？"))) and len(text) >= 12)):
            button.tag = "span" if heading is not None else "p"
        else:
            dropped(button)


def _unwrap_form(root: Element) -> None:
    """Drops the forms, except one that holds most of the page: some sites wrap the whole page in a form."""
    forms = [form for form in root.iter("form") if next(form.iterancestors("form"), None) is None]
    whole = len(text_of(root)) if forms else 0
    for form in forms:
        if len(text_of(form)) > 0.4 * whole:
            form.tag = "div"
        else:
            dropped(form)
