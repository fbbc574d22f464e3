"""The declarations of CSS that decide whether text can be seen: inline styles and the simple rules of <style>."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from lxml.etree import _Element as Element

Declarations = dict[str, str]

PROPERTIES = frozenset(
    (
        *("display", "visibility", "opacity", "font-size", "color", "background", "background-color", "animation"),
        "transition",
        *("background-image", "background-clip", "-webkit-background-clip", "-webkit-text-fill-color", "filter"),
        *("left", "right", "top", "bottom", "inset", "margin", "margin-left", "margin-top", "text-indent", "translate"),
        *("transform", "scale", "clip", "clip-path", "height", "max-height", "width", "max-width", "overflow"),
        *("overflow-x", "overflow-y", "content-visibility", "position", "font"),
    )
)
MAX_RULES = 5_000
MAX_COMPOUNDS = 6
MAX_CHECKS = 3_000_000
"""How often a rule is compared with an element, for the whole page; then only style attributes count."""

COMPOUND = re.compile(r"(?P<tag>[a-z][a-z0-9-]*)?(?P<names>(?:[.#][\w-]+)*)")


def declarations(css: str) -> Declarations:
    """Returns the declarations of a style attribute or of a rule's block, those marked important last."""
    important: Declarations = {}
    normal: Declarations = {}
    for each in _without_escapes(css).lower().split(";"):
        name, _, value = each.partition(":")
        if name.strip() in PROPERTIES:
            value, mark, _ = value.partition("!")
            (important if mark else normal)[name.strip()] = value.strip()
    return normal | important


def _without_escapes(css: str) -> str:
    """Returns CSS without comments and with its escapes resolved, since both can disguise a word."""
    if "/*" in css:
        css = "".join(part.partition("*/")[2] if number else part for number, part in enumerate(css.split("/*")))
    return re.sub(r"\\([0-9a-fA-F]{1,6})\s?", _escaped, css) if "\\" in css else css


def _escaped(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if 0 < code < 0xD800 else ""


@dataclass(frozen=True)
class _Compound:
    """`tag.class#id`: what one element has to be."""

    tag: str
    classes: frozenset[str]
    id: str

    def matches(self, element: Element) -> bool:
        return (
            (not self.tag or element.tag == self.tag)
            and (not self.id or (element.get("id") or "").lower() == self.id)
            and (not self.classes or self.classes <= classes_of(element))
        )


@dataclass(frozen=True)
class _Rule:
    compounds: Sequence[_Compound]
    """The last one is the element itself, those before it are ancestors in that order."""

    weight: tuple[int, int, int]
    style: Declarations

    def matches(self, element: Element, checks: int) -> tuple[bool, int]:
        """Whether it applies to an element, and how many elements that was compared with, at most `checks`."""
        *above, last = self.compounds
        if not above or not last.matches(element):
            return not above and last.matches(element), 1
        count = 1
        for ancestor in islice(element.iterancestors(), checks):
            count += 1
            if above[-1].matches(ancestor):
                above.pop()
                if not above:
                    return True, count
        return False, count


def classes_of(element: Element) -> frozenset[str]:
    """Returns the classes of an element, in lower case."""
    return frozenset((element.get("class") or "").lower().split())


@dataclass
class Stylesheet:
    """The rules of the <style> elements whose selectors are made of tags, classes, ids and ancestors."""

    _rules: dict[str, list[_Rule]] = field(default_factory=lambda: defaultdict(list))
    _count: int = 0
    _checks: int = field(default_factory=lambda: MAX_CHECKS)
    """How many are left."""

    def add(self, css: str) -> None:
        """Adds the rules of one <style> element."""
        for selectors, block in _blocks(_without_escapes(css).lower()):
            style = declarations(block)
            for selector in selectors.split(",") if style else ():
                compounds = _compounds(selector)
                if compounds and self._count < MAX_RULES:
                    self._count += 1
                    weight = (
                        sum(1 for each in compounds if each.id),
                        sum(len(each.classes) for each in compounds),
                        sum(1 for each in compounds if each.tag),
                    )
                    self._rules[_key(compounds[-1])].append(_Rule(compounds, weight, style))

    def style_of(self, element: Element) -> Declarations:
        """Returns the declarations that apply to an element, its own style attribute included."""
        found: Declarations = {}
        if self._count and self._checks > 0:
            names = [f".{each}" for each in classes_of(element)] + [f"#{(element.get('id') or '').lower()}"]
            rules = [rule for name in (str(element.tag), *names) for rule in self._rules.get(name, ())]
            for rule in sorted(rules[: self._checks], key=lambda rule: rule.weight):
                applies, count = rule.matches(element, max(0, self._checks))
                self._checks -= count
                if applies:
                    found |= rule.style
        inline = element.get("style")
        return found | declarations(inline) if inline else found


def _key(last: _Compound) -> str:
    if last.id:
        return f"#{last.id}"
    return f".{min(last.classes)}" if last.classes else last.tag


def _blocks(css: str) -> Iterator[tuple[str, str]]:
    """Yields the selectors and the declarations of the rules that hold on a screen of any size."""
    open_blocks: list[str] = []
    start = 0
    for brace in re.finditer("[{}]", css):
        piece, start = css[start : brace.start()], brace.end()
        if brace[0] == "{":
            open_blocks.append(piece.rpartition(";")[2].strip())
        elif open_blocks:
            selectors = open_blocks.pop()
            if not selectors.startswith("@") and len(open_blocks) < 5 and all(map(_holds, open_blocks)):
                yield selectors, piece


def _holds(at_rule: str) -> bool:
    if at_rule.startswith("@media"):
        return at_rule.split()[1:] in (["screen"], ["all"])
    return at_rule.startswith(("@layer", "@supports"))


def _compounds(selector: str) -> list[_Compound]:
    words = selector.replace(">", " ").split()
    found = [COMPOUND.fullmatch(word) for word in words] if len(words) <= MAX_COMPOUNDS else []
    if not all(found):
        return []
    return [_compound(match) for match in found if match and match[0]]


def _compound(match: re.Match[str]) -> _Compound:
    names = re.findall(r"[.#][\w-]+", match["names"])
    ids = [name[1:] for name in names if name[0] == "#"]
    return _Compound(match["tag"] or "", frozenset(name[1:] for name in names if name[0] == "."), ids[0] if ids else "")
