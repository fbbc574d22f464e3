"""Writes what HTML says by position as characters: powers, indices, fractions, formulas, readings, deleted text."""

import re
from collections.abc import Iterable
from itertools import islice

from lxml import etree
from lxml.etree import _Element as Element

ORDINAL = re.compile(r"(?i)st|nd|rd|th|er|re|e|è|eme|ème|os|as|o|a|\.")
MARK = re.compile(r"(?i)[ºª®™*†‡§¹²³⁰-⁹]+|tm|sm|\(?[rc]\)?|\[.{1,12}\]")
"""What stands raised without being a power."""

SLASHES = ("/", "⁄", "∕")
BLOCKS = frozenset(("p", "div", "ul", "ol", "table", "section", "article", "h1", "h2", "h3", "h4", "pre", "blockquote"))
MAX_FORMULA = 2_000
BEGINNING, DEEP = 400, 50
"""Characters of which a beginning is read, and elements in which its text has to begin."""
LONG = 40
"""Characters: what is longer is no power and no index."""


def write_out(root: Element) -> None:
    """Replaces the elements that set characters above, below or over others, in place."""
    _write_formulas(root)
    for ruby in _outermost(root, "ruby"):
        _write_ruby(ruby)
    for each in _outermost(root, "del", "s", "strike"):
        _write_deleted(each)
    for quoted in list(root.iter("q")):
        _wrap(quoted, "“", "”")
    for each in list(root.iter("sup", "sub")):
        (_write_above if each.tag == "sup" else _write_below)(each)


def _outermost(root: Element, *tags: str) -> list[Element]:
    """Returns the elements with one of these names that are in no other of them: all text in one is written at once."""
    found = []
    walk = etree.iterwalk(root, events=("start",), tag=tags)
    for _, element in walk:
        found.append(element)
        walk.skip_subtree()
    return found


def as_text(element: Element, text: str) -> None:
    """Turns an element into one without markup and with this text. It stays in the tree, since joining texts over and
    over would be quadratic."""
    element.clear(keep_tail=True)
    element.tag, element.text = "span", text


def text_of(element: Element) -> str:
    """Returns all text in an element, as one line."""
    return " ".join("".join(map(str, element.itertext())).split())


def beginning_of(element: Element) -> str:
    """Returns the text of an element as `text_of` does; of a long one only the beginning: elements in elements may all
    have the same long text."""
    first = list(islice(element.iter(), DEEP))
    if len(first) == DEEP and not any(each.text for each in first):
        return ""
    parts: list[str] = []
    length = 0
    for part in element.itertext():
        parts.append(str(part)[:BEGINNING])
        length += len(parts[-1])
        if length > BEGINNING:
            break
    return " ".join("".join(parts).split())


def _wrap(element: Element, before: str, after: str) -> None:
    element.tag, element.text = "span", before + (element.text or "")
    last = etree.SubElement(element, "span")
    last.text = after


# powers and indices


def _write_above(sup: Element) -> None:
    text = beginning_of(sup)
    if _is_numerator(sup, text):
        space = " " if _before(sup)[-1:].isdigit() else ""
        as_text(sup, space + text)
        sup.set("data-over", "1")
    elif text and sup.find(".//a") is not None and re.fullmatch(r"\d{1,3}|[a-z]", text):
        sup.text, sup.tag = f"[{sup.text or ''}", "span"
        etree.SubElement(sup, "span").text = "]"
    elif re.fullmatch(r"\d\d", text) and _is_price(sup):
        as_text(sup, text if _before(sup)[-1:] in ",." else f".{text}")
    elif _is_power(sup, text):
        as_text(sup, "^" + _grouped(text) + _gap(sup))
    else:
        sup.tag = "span"


def _write_below(sub: Element) -> None:
    text = beginning_of(sub)
    before = _before(sub)[-1:]
    previous = sub.getprevious()
    if previous is not None and previous.get("data-over") and (previous.tail or "").strip() in SLASHES:
        as_text(sub, text + (" " if (sub.tail or "")[:1].isdigit() else ""))
    elif not text or len(text) > LONG:
        sub.tag = "span"
    elif re.fullmatch(r"\d+", text) and before.isalpha() and not (sub.tail or "")[:1].isdigit():
        as_text(sub, text)  # H2O
    elif re.fullmatch(r"\d+", text) and before in (")", "]"):
        as_text(sub, text)  # Ca(OH)2
    else:
        as_text(sub, ("_" if before.strip() else "") + _grouped(text) + _gap(sub))


def _is_numerator(sup: Element, text: str) -> bool:
    after = sup.getnext()
    return bool(text) and after is not None and after.tag == "sub" and (sup.tail or "").strip() in SLASHES


def _is_price(sup: Element) -> bool:
    """Whether what is raised are the cents of a price: $19<sup>99</sup>."""
    previous = sup.getprevious()
    earlier = _before(previous) if previous is not None and not previous.tail else ""  # $<span>19</span><sup>99</sup>
    whole = text_of(previous) if previous is not None and earlier else ""
    before = f"{earlier.rstrip()}{whole}"[-20:] if whole else _before(sup)[-20:]
    return bool(re.search(r"[$€£]\s*[\d,.]+$|\d[,.]$", before) or re.match(r"\s*[$€£]", sup.tail or ""))


def _is_power(sup: Element, text: str) -> bool:
    if not text or len(text) > LONG or "[" in text or MARK.fullmatch(text):
        return False
    return not (ORDINAL.fullmatch(text) and _before(sup)[-1:].isdigit())


def _grouped(text: str) -> str:
    return text if re.fullmatch(r"[-+−]?[\w.]+|\d*[-+−]|.", text) else f"({text})"


def _gap(element: Element) -> str:
    return " " if (element.tail or "")[:1].isdigit() else ""


def _before(element: Element) -> str:
    """Returns the text right before an element in its parent."""
    previous = element.getprevious()
    if previous is None:
        parent = element.getparent()
        return (parent.text or "") if parent is not None else ""
    while not previous.tail and len(previous):
        previous = previous[-1]
    return previous.tail or previous.text or ""


# readings, deleted text


def _write_ruby(ruby: Element) -> None:
    parts = [ruby.text or ""]
    for child in ruby.iterchildren():
        text = text_of(child)
        if child.tag in ("rt", "rtc"):
            parts.append(f"({text})" if text else "")
        elif child.tag != "rp":
            parts.append(text)
        parts.append(child.tail or "")
    as_text(ruby, "".join(part.strip() for part in parts).replace(")(", ""))


def _write_deleted(element: Element) -> None:
    """Marks deleted words as in Markdown; deleted paragraphs are left out."""
    text = text_of(element)
    if any(each.tag in BLOCKS for each in element.iterdescendants()):
        text = ""
    runs_on = not (element.tail or "") and element.getnext() is not None
    before = _before(element)[-1:]
    space = " " if before and not before.isspace() else ""
    as_text(element, f"{space if text else ''}~~{text}~~{' ' if runs_on else _letter_gap(element)}" if text else " ")


def _letter_gap(element: Element) -> str:
    return " " if (element.tail or "")[:1].isalnum() else ""


# formulas


def _write_formulas(root: Element) -> None:
    for script in list(root.iter("script")):
        if (script.get("type") or "").startswith("math/tex"):
            as_text(script, (script.text or "").strip()[:MAX_FORMULA])
    for math in _outermost(root, "math"):
        formula = _formula(math)[:MAX_FORMULA]
        as_text(_whole(math), f" {formula} " if formula else "")


def _whole(math: Element) -> Element:
    """Returns the element that shows a formula in several forms, for a browser and for a reader, or the formula."""
    shown = math
    for ancestor in islice(math.iterancestors(), 6):
        names = ancestor.get("class") or ""
        if ancestor.tag == "mjx-container" or re.search(r"\bkatex\b|\bmwe-math-element\b|\bMathJax\b", names):
            shown = ancestor
    return shown


def _formula(math: Element) -> str:
    annotations = list(math.iter("annotation"))
    annotations.sort(key=lambda each: not (each.get("encoding") or "").endswith("tex"))
    for each in annotations:
        text = text_of(each)
        if text:
            return _without_display(text)
    return _without_display(math.get("alttext") or "") or " ".join(_linear(math).split())


def _without_display(tex: str) -> str:
    match = re.fullmatch(r"\{\\(?:display|text)style\s*+(.*)\}", tex.strip(), re.DOTALL)
    return (match[1] if match else tex).strip()


def _linear(element: Element, depth: int = 0) -> str:
    """Returns MathML as one line: msup as a^b, mfrac as a/b."""
    if depth > 40:
        return text_of(element)
    parts = [_linear(child, depth + 1) for child in element if isinstance(child.tag, str)]
    two = len(parts) == 2
    if element.tag in ("msup", "msub") and two:
        return f"{parts[0]}{'^' if element.tag == 'msup' else '_'}{_grouped(parts[1])}"
    if element.tag == "msubsup" and len(parts) == 3:
        return f"{parts[0]}_{_grouped(parts[1])}^{_grouped(parts[2])}"
    if element.tag == "mfrac" and two:
        return "/".join(part if re.fullmatch(r"\w+", part) else f"({part})" for part in parts) + " "
    if element.tag == "msqrt":
        return f"sqrt({_joined(parts)})"
    if element.tag in ("annotation", "annotation-xml"):
        return ""
    own = (element.text or "").strip()
    tails = ((child.tail or "").strip() for child in element)
    return own + _joined(f"{part}{tail}" for part, tail in zip(parts, tails, strict=False))


def _joined(parts: Iterable[str]) -> str:
    return "".join(parts)
