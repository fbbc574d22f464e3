"""Charts of Office documents: their titles and the numbers that they show."""

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentkit_tools.file_text.form import one_line
from agentkit_tools.file_text.number_formats import shown
from agentkit_tools.file_text.package import Package, attribute, child, children, descendants, local, number_in

KINDS = ("chart", "chartEx")
"""The kinds of the relationships that lead to charts."""

MAX_POINTS = 2_000
"""Points of a series that are read."""
MAX_SERIES = 200

_OF_CATEGORIES = ("cat", "xVal")
_OF_VALUES = ("val", "yVal")
_NO_FORM = re.compile(r'"[^"]{0,200}"|\[[^\[\]]{0,200}\]|\\.')
_EPOCH = datetime.datetime(1899, 12, 30)

Points = Mapping[int, str]
"""What a series shows, by the place on the axis."""


def chart_text(package: Package, path: str) -> str:
    """A chart as lines: its titles, then for each place on its axis what the series have there. Raises
    UnreadableError."""
    root = package.xml(path)
    titles = [text for title in descendants(root, "title") if (text := one_line(_said(title)))]
    table = [(name, places, values) for name, places, values in _series(root) if values]
    return "\n".join([f"Chart: {'; '.join(titles)}" if titles else "Chart:", *_lines(table)]) if titles or table else ""


def _said(title: Any) -> str:
    """The words of a title, written in it or taken from a cell."""
    return " ".join(each.text or "" for each in descendants(title, "t", "v"))


def _series(root: Any) -> Iterator[tuple[str, Points, Points]]:
    """The name of each series, the names of its places, and its values."""
    for number, series in enumerate(descendants(root, "ser")):
        if number == MAX_SERIES:
            return
        name = child(series, "tx")
        yield (
            one_line(_said(name)) if name is not None else "",
            _points(series, _OF_CATEGORIES),
            _points(series, _OF_VALUES),
        )
    for data in descendants(root, "data"):  # of the kinds of charts since 2016
        levels = [_level(level) for each in children(data, "strDim", "numDim") for level in children(each, "lvl")]
        yield "", levels[0] if levels else {}, levels[-1] if levels else {}


def _points(series: Any, names: Sequence[str]) -> Points:
    """The values of a series, or the names of its places; of several levels of names those of the last one."""
    found = next(children(series, *names), None)
    if found is None:
        return {}
    caches = (each for each in found.iterdescendants() if next(children(each, "pt"), None) is not None)
    return next(map(_level, caches), {})


def _level(cache: Any) -> Points:
    said = child(cache, "formatCode")
    form = (said.text if said is not None else attribute(cache, "formatCode")) or ""
    is_text = local(cache).startswith(("str", "lvl")) and not form
    points: dict[int, str] = {}
    for point in children(cache, "pt"):
        value = child(point, "v")
        text = one_line((value.text if value is not None else point.text) or "")
        if text and len(points) < MAX_POINTS:
            points[number_in(attribute(point, "idx"), 0)] = text if is_text else _shown(text, form)
    return points


def _shown(text: str, form: str) -> str:
    """A number as the chart shows it; dates are numbers of days."""
    try:
        value = float(text)
        if re.search("[dy]", _NO_FORM.sub("", form), re.IGNORECASE):
            return (_EPOCH + datetime.timedelta(days=value)).isoformat(" ").removesuffix(" 00:00:00")
        return shown(int(text) if re.fullmatch(r"-?\d{1,15}", text) else value, form)
    except (ValueError, OverflowError):
        return text


def _lines(table: Sequence[tuple[str, Points, Points]]) -> Iterator[str]:
    places = sorted({place for _, _, values in table for place in values})
    for place in places:
        named = next((names[place] for _, names, _ in table if place in names), "")
        said = [f"{name}: {values[place]}" if name else values[place] for name, _, values in table if place in values]
        yield f"- {named}: {'; '.join(said)}" if named else f"- {'; '.join(said)}"
