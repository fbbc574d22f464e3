"""Removes from the tree of a page what its reader does not see: text written for programs that read the page."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from lxml import etree
from lxml.etree import _Element as Element
from PIL import ImageColor

from agentkit_tools.page.style import Declarations, Stylesheet, classes_of

FAR = 500
"""Text moved by at least this many pixels is taken to be off the screen."""

SMALL = 1.0
"""Height in pixels up to which a box or a letter can not be read."""

FOR_SCREEN_READERS = frozenset(("sr-only", "visually-hidden", "visuallyhidden", "screen-reader-text", "skip-link"))

UNITS = {"px": 1.0, "": 1.0, "pt": 1.33, "em": 16.0, "rem": 16.0, "ch": 8.0, "ex": 8.0, "vw": 12.0, "vh": 8.0, "%": 5.0}
NUMBER = re.compile(r"([+-]?(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})(?:e[+-]?\d{1,2})?)(px|pt|em|rem|ch|ex|vw|vh|%)?")

Color = tuple[int, int, int]


@dataclass(frozen=True)
class _Shown:
    """What an element inherits that decides whether its own letters can be seen."""

    color: Color | None = (0, 0, 0)
    background: Color | None = (255, 255, 255)
    """None: not known, an image or set by a style sheet that was not read."""
    visible: bool = True
    readable: bool = True
    """Whether the font is larger than SMALL."""

    @property
    def seen(self) -> bool:
        return self.visible and self.readable and not _same(self.color, self.background)


def remove_unseen(root: Element) -> None:
    """Removes the elements that are not displayed, off the screen or clipped to nothing, and the text that is too small
    or has the colour of its background."""
    sheet = Stylesheet()
    for each in root.iter("style"):
        sheet.add(each.text or "")
    # what a sheet that was not read may have coloured
    unread = any("stylesheet" in (link.get("rel") or "").lower() for link in root.iter("link"))
    revealed = frozenset(_revealed(root))
    shown = [_Shown()]
    unseen: list[Element] = []
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        if event == "end":
            shown.pop()
            continue
        style = sheet.style_of(element)
        if element.tag not in ("html", "body") and _is_unseen(element, style, revealed):
            unseen.append(element)
            shown.append(shown[-1])
            walk.skip_subtree()
        else:
            shown.append(_inherited(shown[-1], element, style, unread))
            if not shown[-1].seen:
                _silence(element)
    for element in unseen:
        dropped(element)


def dropped(element: Element) -> None:
    """Removes an element; the text after it stays."""
    parent = element.getparent()
    if parent is None:
        return
    if element.tail and element.tail.strip():
        stand_in = etree.Element("span")  # joining the tail to what stands before it would be quadratic
        stand_in.tail = element.tail
        parent.replace(element, stand_in)
    else:
        parent.remove(element)


def _silence(element: Element) -> None:
    """Removes an element's own text, not that of its children: they may be styled otherwise."""
    element.text = None
    for child in element:
        child.tail = None


def _revealed(root: Element) -> Iterator[str]:
    """Yields the ids of what the reader opens by a control that has a text, such as an answer below its question."""
    for element in root.iter("button", "a", "summary", "div", "h2", "h3", "h4", "span", "li"):
        controlled = element.get("aria-controls")
        is_control = element.tag in ("button", "a", "summary") or element.get("role") in ("button", "tab")
        if controlled and is_control and any(text.strip() for text in islice(element.itertext(), 100)):
            yield from controlled.split()


def _is_unseen(element: Element, style: Declarations, revealed: frozenset[str]) -> bool:
    if classes_of(element) & FOR_SCREEN_READERS:
        return True
    if element.get("aria-hidden") == "true" and element.get("role") != "tabpanel" and not _is_said_otherwise(element):
        return True
    is_hidden = element.get("hidden", "until-found").lower() != "until-found" or element.get("popover") is not None
    can_open = element.get("id") in revealed or element.get("role") == "tabpanel"
    if is_hidden and not can_open:
        return True
    if not style or "animation" in style:
        return False
    return (not can_open and _is_closed(style)) or _is_outside(style) or _is_clipped(style)


def _is_said_otherwise(element: Element) -> bool:
    """Whether an element that screen readers pass over stands beside a text that they read in its place, such as stars
    beside "4 of 5": one of the two has to be read, and it is the one that everybody sees."""
    beside = (each for each in (element.getprevious(), element.getnext()) if each is not None)
    is_icon = any("icon" in name for name in classes_of(element))
    return not is_icon and any(classes_of(each) & FOR_SCREEN_READERS for each in beside)


def _is_closed(style: Declarations) -> bool:
    """Whether an element is not displayed, transparent or a box of no size."""
    if style.get("display") == "none" or style.get("content-visibility") == "hidden":
        return True
    if "transition" not in style and _size(style.get("opacity", "1").replace("%", "e-2"), 1) < 0.02:
        return True  # with a transition, it fades in
    if re.search(r"opacity\(\s*(?:0|0?\.0\d*|[01]%)\s*\)", style.get("filter", "")):
        return True
    if style.get("overflow") == "visible":
        return False
    sizes = ("height", "max-height", "width", "max-width")
    return any(_is_length(style.get(each)) and _size(style[each], FAR) <= SMALL for each in sizes)


def _is_outside(style: Declarations) -> bool:
    """Whether an element is moved off the screen or shrunk to nothing."""
    moved = [style.get(each, "") for each in ("left", "right", "top", "bottom", "margin-left", "margin-top")]
    moved += [style.get("text-indent", ""), *style.get("inset", "").split(), *style.get("margin", "").split()]
    moved += style.get("translate", "").split()
    if any(_is_length(each) and _size(each, 0) <= -FAR for each in moved):
        return True
    if any(_is_length(style.get(each)) and _size(style[each], 0) >= 4 * FAR for each in ("left", "top", "text-indent")):
        return True
    transform = style.get("transform", "")
    if any(abs(_size(each, 0)) >= FAR for each in _arguments(transform, "translate")):
        return True
    scales = [*_arguments(transform, "scale"), *style.get("scale", "").split()]
    return any(_is_length(each) and abs(_size(each, 1)) < 0.02 for each in scales)


def _arguments(functions: str, name: str) -> list[str]:
    found = re.findall(rf"{name}(?:x|y|3d)?\(([^()]*)\)", functions[:1_000])
    return [each.strip() for arguments in found for each in arguments.split(",")]


def _is_clipped(style: Declarations) -> bool:
    clip = style.get("clip", "")
    if clip.startswith("rect") and all(_size(each, FAR) <= SMALL for each in re.findall(r"[\d.]+[a-z]*|auto", clip)):
        return True
    shape, _, rest = style.get("clip-path", "").partition("(")
    values = rest.replace(",", " ").rstrip(")").split()
    if shape == "inset":
        return any(_is_length(each) and each.endswith("%") and _size(each, 0) >= 50 * UNITS["%"] for each in values[:4])
    if shape in ("circle", "ellipse"):
        return bool(values) and _is_length(values[0]) and _size(values[0], FAR) <= SMALL
    if shape in ("polygon", "rect"):
        return bool(values) and len(set(values)) == 1
    return False


def _inherited(above: _Shown, element: Element, style: Declarations, unread: bool) -> _Shown:
    named = element.get("class") is not None or element.get("id") is not None
    if unread and named and element.tag not in ("html", "body") and above.background == (255, 255, 255):
        above = replace(above, background=None)
    paint = style.get("background-color") or style.get("background") or element.get("bgcolor")
    if paint:
        above = replace(above, background=_color(paint, above.background), color=None if unread else above.color)
    if "background-image" in style or element.get("background"):
        above = replace(above, background=None)
    attribute = element.get("text") if element.tag == "body" else element.get("color")
    fill = style.get("-webkit-text-fill-color") or style.get("color") or attribute
    if fill:
        above = replace(above, color=_fill(fill.lower(), style, above))
    visibility = style.get("visibility")
    if visibility:
        above = replace(above, visible=visibility not in ("hidden", "collapse"))
    return replace(above, readable=_has_letters(style, above.readable)) if "font-size" in style else above


def _has_letters(style: Declarations, above: bool) -> bool:
    size = style["font-size"]
    if not _is_length(size):
        return above if size in ("inherit", "smaller", "larger") else True
    number = float(_number(size)[1])
    if size.endswith(("%", "em")) and not size.endswith("rem"):
        return above and number > 0.05
    return _size(size, FAR) > SMALL


def _fill(fill: str, style: Declarations, shown: _Shown) -> Color | None:
    """Returns the colour of the letters: that of the background if they are transparent."""
    clear = fill == "transparent" or re.fullmatch(r"(?:rgba?|hsla?)\(.*[,/]\s*+0?\.?0*+%?\s*+\)|#(?:...0|.{6}00)", fill)
    if clear:
        painted = "text" in (style.get("background-clip") or style.get("-webkit-background-clip") or "")
        return None if painted else shown.background
    return _color(fill, shown.color)


def _color(value: str, above: Color | None) -> Color | None:
    """Returns a colour, None when it can not be known."""
    if value in ("inherit", "transparent", "none", "unset", "initial", "currentcolor"):
        return above
    if "url(" in value or "gradient" in value or "var(" in value:
        return None
    try:
        red, green, blue, *_ = ImageColor.getrgb(re.sub(r"(?<=[\d%])\s+(?=[\d.])", ",", value.strip())[:40])
    except ValueError:
        return _color(value.split()[0], above) if len(value.split()) > 1 else None
    return red, green, blue


def _same(color: Color | None, background: Color | None) -> bool:
    if color is None or background is None:
        return False
    return sum(abs(one - other) for one, other in zip(color, background, strict=True)) <= 24


def _number(value: str) -> re.Match[str]:
    match = NUMBER.fullmatch(value)
    assert match is not None
    return match


def _is_length(value: str | None) -> bool:
    return value is not None and NUMBER.fullmatch(value) is not None


def _size(value: str, default: float) -> float:
    """Returns a length in pixels, roughly."""
    match = NUMBER.fullmatch(value)
    number = float(match[1]) * UNITS[match[2] or ""] if match else default
    return number if math.isfinite(number) else default
