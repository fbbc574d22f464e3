"""The texts of paragraphs in Word documents: their words, links, fields and equations, without what is hidden."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentkit_tools.file_text.equations import equation
from agentkit_tools.file_text.form import one_line
from agentkit_tools.file_text.links import linked
from agentkit_tools.file_text.package import attribute, child, children, is_off, is_on, local, number_in
from agentkit_tools.file_text.symbols import symbol

LEFT_OUT = frozenset(("del", "moveFrom", "Fallback", "rt", "delText", "rPr", "pPr"))
"""What is deleted, written a second time, or says how a text looks or is read."""

BOXES = frozenset(("txbxContent", "altChunk", "chart", "relIds"))
"""What stands in a paragraph and is read behind it: text boxes, imported parts, charts, diagrams."""

MOST_NESTED = 10
"""How many fields within each other may be links."""

_CHARACTERS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}


@dataclass(frozen=True)
class _End:
    """Where a link ends, or what a field shows. start: the pieces before it."""

    start: int
    address: str


@dataclass
class _Field:
    """A field that has begun: what it is to show, and where that begins."""

    instruction: str = ""
    start: int | None = None


@dataclass
class _Reading:
    """A paragraph that is being read."""

    todo: list[Any]
    pieces: list[str] = field(default_factory=list)
    fields: list[_Field] = field(default_factory=list)

    def link(self, end: _End) -> None:
        """Make a link of what was read since it has begun."""
        self.pieces[end.start :] = [linked("".join(self.pieces[end.start :]), end.address)]


@dataclass
class WordTexts:
    """hidden: whether styles hide what is in them, by their ids. links: the addresses of the part that is read, by
    their ids."""

    hidden: Mapping[str, bool]
    links: Mapping[str, str] = field(default_factory=dict)

    def inline(self, paragraph: Any, style: str) -> str:
        """The text of a paragraph, without that of its text boxes. style: of the paragraph."""
        reading = _Reading(list(reversed(paragraph)))
        while reading.todo:
            element = reading.todo.pop()
            if isinstance(element, _End):
                reading.link(element)
            elif (text := self._said(element, reading)) is not None:
                reading.pieces.append(text)
            elif local(element) not in LEFT_OUT | BOXES and not self.is_hidden(element, style):
                if address := self._address(element):
                    reading.todo.append(_End(len(reading.pieces), address))
                reading.todo.extend(reversed(element))
        return "".join(reading.pieces)

    def _said(self, element: Any, reading: _Reading) -> str | None:
        """What an element says by itself; None of one whose parts do."""
        name = local(element)
        if name == "t":
            return element.text or ""
        if name in _CHARACTERS:
            return _CHARACTERS[name]
        if name == "oMath":
            return equation(element)
        if name == "sym":
            return symbol(attribute(element, "font") or "", attribute(element, "char") or "")
        if name == "docPr":
            return _description(element)
        if name == "instrText":
            if reading.fields and reading.fields[-1].start is None:
                reading.fields[-1].instruction += element.text or ""
            return ""
        return _of_field(element, reading) if name == "fldChar" else None

    def _address(self, element: Any) -> str:
        """Where a link leads."""
        if local(element) == "hyperlink":
            return self.links.get(attribute(element, "id") or "", "")
        return _address_in(attribute(element, "instr") or "") if local(element) == "fldSimple" else ""

    def is_hidden(self, element: Any, style: str) -> bool:
        """Whether a drawing is hidden, or a run: by itself, by its style or, where these don't say, by the style of its
        paragraph."""
        if local(element) != "r":
            drawn = child(element, "docPr") if local(element) in ("anchor", "inline") else None
            return drawn is not None and is_on(drawn, "hidden")
        properties = child(element, "rPr")
        by_itself = vanishes(properties)
        own = value(child(properties, "rStyle")) or ""
        return self.hidden.get(own, self.hidden.get(style, False)) if by_itself is None else by_itself


def value(element: Any) -> str | None:
    """What an element says."""
    return attribute(element, "val") if element is not None else None


def vanishes(properties: Any) -> bool | None:
    """Whether the properties of a text hide it; None when they don't say."""
    vanish = child(properties, "vanish")
    return None if vanish is None else not is_off(vanish, "val")


def _of_field(element: Any, reading: _Reading) -> str:
    """The box or the choice of a form that a field is; a link is made of what the field shows when it ends."""
    kind = attribute(element, "fldCharType")
    if kind == "begin":
        reading.fields.append(_Field())
        return _answer(child(element, "ffData"))
    if kind == "separate" and reading.fields:
        reading.fields[-1].start = len(reading.pieces)
    if kind == "end" and reading.fields:
        ended = reading.fields.pop()
        if (
            len(reading.fields) < MOST_NESTED
            and ended.start is not None
            and (address := _address_in(ended.instruction))
        ):
            reading.link(_End(ended.start, address))
    return ""


def _address_in(instruction: str) -> str:
    """The address in the instruction of a field, such as `HYPERLINK "https://example.org" \\o "a tip"`."""
    name, _, rest = instruction.strip().partition(" ")
    first = rest.strip()
    return first[1:].partition('"')[0] if name.upper() == "HYPERLINK" and first.startswith('"') else ""


def _answer(form: Any) -> str:
    """What was answered in the box or the list of a form; a text that was typed into one stands behind its field."""
    box, choices = child(form, "checkBox"), child(form, "ddList")
    if box is not None:
        said = child(box, "checked")
        said = child(box, "default") if said is None else said
        return "☐" if said is None or is_off(said, "val") else "☑"
    entries = [value(each) or "" for each in children(choices, "listEntry")] if choices is not None else []
    chosen = number_in(value(child(choices, "result")) or value(child(choices, "default")), 0)
    return entries[chosen] if chosen < len(entries) else ""


def _description(element: Any) -> str:
    """What was written about an image."""
    said = one_line(attribute(element, "descr") or "")
    return f"[image: {said}]" if said else ""
