"""An evaluation as one HTML file: its script and style are in it, nothing is loaded but the answers file beside it, and
all that models, tools and sets have written is text.

The list of the questions stands in the page as packed JSON, with texts as long as there is room for: 300 KB for 1,000.
"""

import base64
import functools
import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from agentkit._text import in_a_line, joined_surrogates, json_bytes, visible
from agentkit.evaluation.results import SPENT, Scored, check_names, group_of
from agentkit.evaluation.running import Evaluation
from agentkit.evaluation.scores import Outcome
from agentkit.evaluation.tables import remarks_of, spent_rows, summary_note
from agentkit.evaluation.wording import counted, percent

FOLDER = Path(__file__).parent
MAX_PAGE = 300_000
"""Bytes of a page of at most MAX_ITEMS / 5 questions."""
MAX_ITEMS = 5000
"""Questions on a page; of more those that changed, or have the lowest scores."""
LENGTHS = (1000, 600, 400, 280, 200, 140, 90, 60, 40, 25)
"""Characters of each answer, of which the first that fits is taken; a question has two thirds of them."""
GROUPS = 200
"""Groups that are listed."""
_FIELDS = ("seconds", "cost", "tokens", "calls")


def page(evaluation: Evaluation) -> str:
    """The page."""
    style, script = _file("page.css"), _file("page.js")
    configurations = evaluation.configurations
    checks = check_names(each for one in configurations for each in one.outcomes)
    made = {
        "title": _seen(evaluation.set),
        "at": evaluation.at,
        "facts": _facts(evaluation),
        "remarks": [_seen(text) for text in [*remarks_of(evaluation), *_left_out(evaluation)]],
        "verdicts": [
            {"check": _seen(name), "text": _seen(verdict), "kind": kind}
            for comparison in evaluation.comparisons
            for name, verdict, kind in comparison.verdicts
        ],
        "names": [_seen(each.name) for each in configurations],
        "files": [_seen(each.file) for each in configurations],
        "tables": [_table("Scores", [(each.name, each.scored) for each in configurations]), *_groups(evaluation)],
        "spent": spent_rows(evaluation),
        "flipped": [
            {"id": _seen(flip.item), "text": f"{percent(flip.before)} → {percent(flip.after)}  {_seen(flip.question)}"}
            for comparison in evaluation.comparisons[:1]
            for flip in comparison.flipped
        ],
        "checks": [_seen(name) for name in checks],
        "has_repeats": evaluation.repeat > 1,
        "by": _seen(evaluation.by or ""),
        "groups": [_seen(name) for name in (configurations[0].groups if evaluation.by else ())][:GROUPS],
        "style": Markup(style),
        "script": Markup(script),
        "style_digest": _digest(style),
        "script_digest": _digest(script),
    }
    rest = len(_template().render(**made, data="").encode())
    return joined_surrogates(_template().render(**made, data=_data(evaluation, checks, MAX_PAGE - rest)))


def _file(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@functools.cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(_file("page.html.jinja"))


def _seen(text: str) -> str:
    return visible(joined_surrogates(text))


def _facts(evaluation: Evaluation) -> list[str]:
    first = evaluation.configurations[0]
    facts = [counted(first.items, "question")]
    if evaluation.repeat > 1:
        facts.append(f"each {evaluation.repeat} times")
    return [*facts, *(_seen(each.name) for each in evaluation.configurations)]


def _left_out(evaluation: Evaluation) -> list[str]:
    more = evaluation.first.items - MAX_ITEMS
    are = "is" if more == 1 else "are"
    return [f"{counted(more, 'question')} {are} not on this page, having done well in all"] if more > 0 else []


def _groups(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """A table for each check: its groups."""
    if evaluation.by is None:
        return
    for check in evaluation.configurations[0].scored:
        rows = [
            (group, place, configuration.name, scored[check])
            for group in list(evaluation.configurations[0].groups)[:GROUPS]
            for place, configuration in enumerate(evaluation.configurations)
            if check in (scored := configuration.groups.get(group, {}))
        ]
        title = f"{_seen(check)} by {_seen(evaluation.by)}"
        several = len(evaluation.configurations) > 1
        yield {
            "title": title,
            "label": _seen(evaluation.by),
            "rows": [_row(group, name if several else "", place, each) for group, place, name, each in rows],
        }


def _table(title: str, of: Sequence[tuple[str, Mapping[str, Scored]]]) -> dict[str, Any]:
    names = list(dict.fromkeys(check for _, scored in of for check in scored))
    rows = [
        _row(check, name if len(of) > 1 else "", place, scored[check])
        for check in names
        for place, (name, scored) in enumerate(of)
        if check in scored
    ]
    return {"title": title, "label": "check", "rows": rows}


def _row(label: str, name: str, place: int, scored: Scored) -> dict[str, Any]:
    found = scored.summary
    return {
        "check": _seen(label),
        "name": _seen(name),
        "place": place,
        "low": round(found.low * 100, 2),
        "width": round(max(0.3, (found.high - found.low) * 100), 2),
        "mean": round(min(99.6, found.mean * 100), 2),
        "score": percent(found.mean),
        "note": summary_note(scored),
    }


def _data(evaluation: Evaluation, checks: Sequence[str], room: int) -> str:
    """The questions with their runs, packed; texts are cut to what there is room for."""
    items = _items(evaluation)
    room = max(room, room * len(items) // 1000)
    made = ""
    for most in LENGTHS:
        made = _packed(
            {
                "names": [_seen(each.name) for each in evaluation.configurations],
                "files": [_seen(each.file) for each in evaluation.configurations],
                "checks": [_seen(name) for name in checks],
                "items": [_item(item, checks, evaluation.by, most) for item in items],
            }
        )
        if len(made) <= room:
            break
    return made


def _packed(value: Any) -> str:
    return base64.b64encode(zlib.compress(json_bytes(value), 9)).decode()


Runs = Sequence[Sequence[Outcome]]
"""Of each configuration the runs of one item."""


def _items(evaluation: Evaluation) -> list[Runs]:
    """Of each item the runs, in the order of the set; of too many items the most telling ones."""
    found: dict[str, list[list[Outcome]]] = {}
    count = len(evaluation.configurations)
    for place, configuration in enumerate(evaluation.configurations):
        for each in configuration.outcomes:
            found.setdefault(each.item, [[] for _ in range(count)])[place].append(each)
    items: list[Runs] = list(found.values())
    if len(items) <= MAX_ITEMS:
        return items
    kept = sorted(range(len(items)), key=lambda place: _telling(items[place]))[:MAX_ITEMS]
    return [items[place] for place in sorted(kept)]


def _telling(runs: Runs) -> tuple[float, float]:
    means = [_mean(score.value for each in one for score in each.scores.values()) for one in runs if one]
    return (-abs(means[-1] - means[0]), means[0])


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0


def _item(runs: Runs, checks: Sequence[str], by: str | None, most: int) -> list[Any]:
    first = next(each[0] for each in runs if each)
    room = most * 2 // 3
    cut = (len(first.question) > room) + 2 * (len(first.expected) > room)
    group = "" if by is None else group_of(first, by)
    texts = [_seen(first.item), _seen(first.question[:room]), _seen(first.expected[:room]), _seen(group)]
    return [*texts, cut, [_run(each, checks, most) if each else None for each in runs]]


def _run(repeats: Sequence[Outcome], checks: Sequence[str], most: int) -> list[Any]:
    """The fields that page.js names. A score is the mean of the repeats; the text that of the first with an answer."""
    shown = next((each for each in repeats if each.output), repeats[0])
    scores = [_score([each.scores[check].value for each in repeats if check in each.scores]) for check in checks]
    whys = [in_a_line(_why(repeats, check), max(30, most // 2)) for check in checks]
    while whys and not whys[-1]:
        whys.pop()
    lost = [each for each in repeats if each.missing]
    missing = (
        "" if not lost else lost[0].missing if len(lost) == len(repeats) else f"{len(lost)} of {len(repeats)} missing"
    )
    unsteady = any(len({each.scores[check].passed for each in repeats if check in each.scores}) > 1 for check in checks)
    error = _seen(in_a_line(next((each.error for each in lost if each.error), ""), max(60, most)))
    spent = [_score([value for each in repeats if (value := SPENT[name][2](each)) is not None]) for name in _FIELDS]
    is_cut = int(len(shown.output) > most)
    return [
        scores,
        [_seen(why) for why in whys],
        _seen(shown.output[:most]),
        error,
        missing,
        int(unsteady),
        is_cut,
        *spent,
        *filter(None, [_seen(repeats[0].name)]),
    ]


def _why(repeats: Sequence[Outcome], check: str) -> str:
    return next((each.scores[check].why for each in repeats if check in each.scores and each.scores[check].why), "")


def _score(values: Sequence[float]) -> float | int | None:
    if not values:
        return None
    mean = round(sum(values) / len(values), 6)
    return int(mean) if mean == int(mean) else mean
