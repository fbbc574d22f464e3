"""An evaluation as a file: Markdown, one HTML page, JSON, or JUnit's XML."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from agentkit._text import in_a_line, joined_surrogates, visible
from agentkit.errors import ConfigurationError
from agentkit.evaluation.comparison import Comparison
from agentkit.evaluation.intervals import Summary
from agentkit.evaluation.junit import junit
from agentkit.evaluation.results import SPENT, Configuration, Scored
from agentkit.evaluation.running import Evaluation
from agentkit.evaluation.tables import remarks_of, spent_rows, summary_note
from agentkit.evaluation.wording import counted, percent
from agentkit.net.repeats import joined_id

FORMS = (".md", ".markdown", ".html", ".htm", ".json", ".xml")
WORST = 20
"""Questions that a report in Markdown names."""
_SPECIAL = "\\`*_{}[]<>()#+-.!|~&$"


def checked_report(path: Path) -> Path:
    """A file that a report can be written to. Raises ConfigurationError, before anything is spent."""
    if path.suffix.lower() not in FORMS:
        raise ConfigurationError(f"--report {path}: the suffix says the form: use {', '.join(FORMS)}")
    if not path.absolute().parent.is_dir() or path.is_dir():
        raise ConfigurationError(f"--report {path}: {path.absolute().parent} is no folder that it could be written to")
    return path


def write_report(evaluation: Evaluation, path: Path) -> None:
    """Write a report in the form of the suffix. Raises ConfigurationError when it can't be written."""
    text = report(evaluation, path.suffix.lower())
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigurationError(f"--report {path} can't be written: {error.strerror or error}") from None


def report(evaluation: Evaluation, suffix: str) -> str:
    """The report in the form of a suffix of FORMS."""
    if suffix in (".html", ".htm"):
        from agentkit.evaluation.page import page  # loads jinja2

        return page(evaluation)
    if suffix == ".xml":
        return junit(evaluation)
    if suffix == ".json":
        return joined_surrogates(json.dumps(as_json(evaluation), ensure_ascii=False, allow_nan=False, indent=2)) + "\n"
    return joined_surrogates("\n".join(_markdown(evaluation)) + "\n")


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as JSON: summaries, comparisons, and each question with its scores."""
    return {
        "set": evaluation.set,
        "at": evaluation.at,
        "repeat": evaluation.repeat,
        "by": evaluation.by,
        "cluster": evaluation.cluster,
        "seed": evaluation.seed,
        "unchecked": evaluation.unchecked,
        "configurations": [_configuration(each) for each in evaluation.configurations],
        "comparisons": [
            {
                "base": each.base,
                "other": each.other,
                "checks": [
                    {
                        "check": one.check,
                        "difference": one.difference.value,
                        "low": one.difference.low,
                        "high": one.difference.high,
                        "p": one.p,
                        "n": one.difference.n,
                        "can_show": one.difference.least,
                        "verdict": one.verdict,
                        "kind": one.kind,
                    }
                    for one in each.checks
                ],
                "spent": dict(each.spent),
                "changed": each.changed,
                "flipped": [{"id": flip.item, "before": flip.before, "after": flip.after} for flip in each.flipped],
                "left_out": each.left_out,
                "preferred": None if each.preferred is None else _preferred(each),
            }
            for each in evaluation.comparisons
        ],
    }


def _preferred(of: Comparison) -> dict[str, Any]:
    found = of.preferred
    assert found is not None
    names = ("n", "share", "low", "high", "better", "worse", "ties", "unsteady")
    return {
        **{name: getattr(found, name) for name in names},
        "p": of.p,
        "kind": found.kind(of.p),
        "verdict": found.sentence(of.other, of.p),
        "asked": found.said.asked,
        "cost": found.said.cost,
        "pairs": [
            {"id": each.item, "repeat": each.repeat, "value": each.value, "unsteady": each.unsteady, "why": each.why}
            for each in found.said.pairs
        ],
    }


def _configuration(each: Configuration) -> dict[str, Any]:
    return {
        "name": each.name,
        "answers": each.file,
        "ending": each.ending,
        "missing": dict(each.missing()),
        "stopped": dict(each.stopped()),
        "checks": {name: _scored(scored) for name, scored in each.scored.items()},
        "groups": {
            group: {name: _scored(one) for name, one in scored.items()} for group, scored in each.groups.items()
        },
        "spent": {name: each.spent(name) for name in SPENT},
        "judged": each.judged,
        "questions": [
            {
                "id": outcome.item,
                "repeat": outcome.repeat,
                "missing": outcome.missing,
                "stopped": outcome.stopped,
                "scores": {name: score.as_json() for name, score in outcome.scores.items()},
            }
            for outcome in each.outcomes
        ],
    }


def _scored(scored: Scored) -> dict[str, Any]:
    made = _summary(scored.summary)
    made["without_errors"] = None if scored.answered is None else _summary(scored.answered)
    return made


def _summary(found: Summary) -> dict[str, Any]:
    names = ("n", "runs", "missing", "mean", "low", "high", "method", "passed")
    made: dict[str, Any] = {name: getattr(found, name) for name in names}
    if found.clusters:
        made["clusters"] = found.clusters
    if found.repeats is not None:
        made["repeats"] = dict(vars(found.repeats))
    return made


def _markdown(evaluation: Evaluation) -> Iterator[str]:
    first = evaluation.first
    times = f", each {evaluation.repeat} times" if evaluation.repeat > 1 else ""
    yield f"# Evaluation of {_plain(evaluation.set)}"
    yield ""
    yield f"{counted(first.items, 'question')}{times}, {evaluation.at[:10]}"
    yield from (line for text in remarks_of(evaluation) for line in ("", f"> {_plain(text)}"))
    for comparison in evaluation.comparisons:
        yield from ("", f"## {_plain(comparison.other)} against {_plain(comparison.base)}", "")
        yield from (f"- **{_plain(name)}**: {_plain(verdict)}" for name, verdict, _ in comparison.verdicts)
        yield from (f"- {_plain(sentence)}" for sentence in comparison.spent.values())
    for each in evaluation.configurations:
        yield from ("", f"## {_plain(each.name)}", "")
        yield from _table(["check", "score", "95 %"], _rows(each.scored))
        for check in each.scored if each.groups else ():
            rows = [(group, scored[check]) for group, scored in each.groups.items() if check in scored]
            yield from ("", f"### {_plain(check)} by {_plain(evaluation.by or '')}", "")
            yield from _table([evaluation.by or "", "score", "95 %"], _rows(dict(rows)))
    spent = spent_rows(evaluation)
    if spent:
        names = [each.name for each in evaluation.configurations]
        yield from ("", "## Spent", "", *_table(["", *names, *["difference"] * (len(names) > 1)], spent))
    yield from _questions(evaluation)


def _rows(scored: "dict[str, Scored] | Any") -> list[list[str]]:
    return [[name, percent(each.summary.mean), summary_note(each)] for name, each in scored.items()]


def _questions(evaluation: Evaluation) -> Iterator[str]:
    for comparison in evaluation.comparisons:
        if comparison.flipped:
            yield from ("", f"## Questions that changed: {_plain(comparison.other)}", "")
            rows = [
                [each.item, percent(each.before), percent(each.after), each.question] for each in comparison.flipped
            ]
            yield from _table(["id", "before", "after", "question"], rows)
    wrong = [each for each in evaluation.first.outcomes if any(not score.passed for score in each.scores.values())]
    if wrong:
        yield from ("", f"## Not passed: {counted(len(wrong), 'answer')}", "")
        shown = [
            [
                joined_id(each.item, each.repeat),
                each.question,
                each.missing or each.output,
                "; ".join(f"{name}: {score.why}" for name, score in each.scores.items() if not score.passed),
            ]
            for each in wrong[:WORST]
        ]
        yield from _table(["id", "question", "answer", "why"], shown)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    names = [_plain(name) for name in head]
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(_plain(in_a_line(cell, 160)) for cell in row)} |"


def _plain(text: str) -> str:
    """A text that is no Markdown and no HTML."""
    line = visible(in_a_line(text, 400))
    return "".join(
        f"\\{each}" if each in _SPECIAL and not _is_harmless(line, place) else each for place, each in enumerate(line)
    )


def _is_harmless(line: str, place: int) -> bool:
    """Whether a sign between letters, digits and blanks can mean nothing: as in "62.0 %" and "gpt-5"."""
    if line[place] in "()" and place and line[place - 1] != "]":
        return True
    return line[place] in ".-+" and place > 0 and (line[place - 1].isalnum() or place + 1 < len(line))
