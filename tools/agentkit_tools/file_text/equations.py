"""Equations of Office documents, written in a line: "x=(b(x)+c(x))/(4+x)"."""

import re
from collections.abc import Sequence
from typing import Any

from agentkit_tools.file_text.package import attribute, child, children, local

_PROPERTIES = re.compile(r"\w{1,12}Pr")


def equation(element: Any) -> str:
    """The text of an equation, or of a part of one, with its fractions, powers, indices and roots."""
    name = local(element)
    if name == "t":
        return str(element.text or "")
    if name in _WRITTEN:
        return _WRITTEN[name](element)
    return _joined([each for each in element if not _PROPERTIES.fullmatch(local(each))])


def _joined(elements: Sequence[Any]) -> str:
    """Several parts in a row; between a fraction and what would read as a part of it stands a space."""
    text, was_fraction = "", False
    parts: list[str] = []
    for element in elements:
        found = equation(element)
        is_fraction = local(element) == "f"
        if (is_fraction or was_fraction) and re.match(r"[\w)]", text[-1:]) and re.match(r"[\w(√]", found):
            parts.append(" ")
        parts.append(found)
        text, was_fraction = (found, is_fraction) if found else (text, was_fraction)
    return "".join(parts)


def _part(element: Any, name: str) -> str:
    found = child(element, name)
    return "" if found is None else equation(found)


def _group(text: str) -> str:
    """A part as one operand: in brackets, unless it is a number or a word."""
    return text if re.fullmatch(r"\w*", text) else f"({text})"


def _character(element: Any, properties: str, name: str, otherwise: str) -> str:
    found = child(element, properties, name)
    return otherwise if found is None else attribute(found, "val") or ""


def _fraction(element: Any) -> str:
    kind = child(element, "fPr", "type")
    line = "¦" if kind is not None and attribute(kind, "val") == "noBar" else "/"
    return f"{_group(_part(element, 'num'))}{line}{_group(_part(element, 'den'))}"


def _scripts(element: Any) -> str:
    """The indices and powers of an element."""
    marks = (("_", "sub"), ("_", "lim"), ("^", "sup"))
    limit = "^" if local(element) == "limUpp" else "_"
    written = [(limit if name == "lim" else mark, _part(element, name)) for mark, name in marks]
    return "".join(f"{mark}{_group(text)}" for mark, text in written if text)


def _scripted(element: Any) -> str:
    return f"{_group(_part(element, 'e'))}{_scripts(element)}"


def _prescripted(element: Any) -> str:
    return f"{_scripts(element)} {_part(element, 'e')}"


def _root(element: Any) -> str:
    return f"{_part(element, 'deg')}√({_part(element, 'e')})"


def _sum(element: Any) -> str:
    sign = _character(element, "naryPr", "chr", "∫")
    return f"{sign}{_scripts(element)} {_part(element, 'e')}"


def _brackets(element: Any) -> str:
    begin, end = _character(element, "dPr", "begChr", "("), _character(element, "dPr", "endChr", ")")
    return begin + _character(element, "dPr", "sepChr", "|").join(map(equation, children(element, "e"))) + end


def _function(element: Any) -> str:
    return f"{_part(element, 'fName')} {_part(element, 'e')}"


def _matrix(element: Any) -> str:
    rows = (", ".join(map(equation, children(row, "e"))) for row in children(element, "mr"))
    return f"[{'; '.join(rows)}]"


def _lines(element: Any) -> str:
    return "; ".join(map(equation, children(element, "e")))


_WRITTEN = {
    "f": _fraction,
    "sSub": _scripted,
    "sSup": _scripted,
    "sSubSup": _scripted,
    "limLow": _scripted,
    "limUpp": _scripted,
    "sPre": _prescripted,
    "rad": _root,
    "nary": _sum,
    "d": _brackets,
    "func": _function,
    "m": _matrix,
    "eqArr": _lines,
}
