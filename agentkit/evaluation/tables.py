"""An evaluation as text: for a terminal, and the sentences that reports share."""

from collections.abc import Iterable, Iterator, Sequence

from agentkit._text import in_a_line, visible
from agentkit.evaluation.choice_checks import NO_CHOICE
from agentkit.evaluation.clusters import count_of
from agentkit.evaluation.comparison import Comparison, Flip
from agentkit.evaluation.intervals import FEW
from agentkit.evaluation.results import SPENT, Configuration, Scored
from agentkit.evaluation.running import Evaluation
from agentkit.evaluation.scores import CHANGED
from agentkit.evaluation.wording import amount, between, counted, percent, width_of

NAME = 36
"""Columns of a name in a table."""
GROUPS = 50
"""Groups that a table in a terminal has."""


def table(evaluation: Evaluation, *, without_errors: bool = False) -> str:
    """The evaluation for a terminal. without_errors: the scores without the runs that have no answer are given too."""
    return "\n".join(visible(line) for line in _lines(evaluation, without_errors)) + "\n"


def _lines(evaluation: Evaluation, without_errors: bool) -> Iterator[str]:
    first = evaluation.first
    times = f", each {evaluation.repeat} times" if evaluation.repeat > 1 else ""
    yield f"{evaluation.set}: {counted(first.items, 'question')}{times}"
    for each in evaluation.configurations:
        yield from ("", *_scores(each, without_errors))
    for comparison in evaluation.comparisons:
        yield from ("", *_compared(comparison))
    remarks = remarks_of(evaluation)
    if remarks:
        yield from ("", *remarks)


def _scores(configuration: Configuration, without_errors: bool) -> Iterator[str]:
    yield in_a_line(configuration.name, 80)
    rows = [(each.check, _said(each, without_errors)) for each in configuration.scored.values()]
    yield from columns(rows)
    groups = list(configuration.groups.items())
    for check in configuration.scored if groups else ():
        yield f"  {in_a_line(check, NAME)} by group"
        shown = [(name, _brief(scored[check])) for name, scored in groups[:GROUPS] if check in scored]
        yield from columns(shown, "    ")
    if len(groups) > GROUPS:
        yield f"    and {counted(len(groups) - GROUPS, 'more group')}"
    spent = " · ".join(_spent(configuration))
    if spent:
        yield f"  {spent}"


def _brief(scored: Scored) -> str:
    found = scored.summary
    missing = f", {found.missing:,} of {found.runs:,} without an answer" if found.missing else ""
    return f"{percent(found.mean)} ({between(found.low, found.high)}){missing}"


def _said(scored: Scored, without_errors: bool) -> str:
    found = scored.summary
    return f"{percent(found.mean)} ({between(found.low, found.high)}){_behind(scored, without_errors)}"


def _behind(scored: Scored, without_errors: bool) -> str:
    note = missing_note(scored)
    parts = [note] if note else []
    if without_errors and scored.answered is not None and scored.summary.missing:
        kept = scored.answered
        parts.append(f"without them {percent(kept.mean)} ({between(kept.low, kept.high)})")
    if scored.summary.repeats is not None:
        parts.append(repeats_note(scored))
    parts += _few(scored)
    return "".join(f", {part}" for part in parts)


def _few(scored: Scored) -> list[str]:
    found = scored.summary
    few = counted(found.clusters, "cluster") if found.clusters else counted(found.n, "question")
    return [f"only {few}"] if found.is_few else []


def missing_note(scored: Scored) -> str:
    """How many runs have no answer and count as wrong; "" for none."""
    found = scored.summary
    if not found.missing:
        return ""
    return f"{found.missing:,} of {found.runs:,} without an answer count{'s' if found.missing == 1 else ''} as wrong"


def repeats_note(scored: Scored) -> str:
    """What the repeats of a question say; "" where each was asked once."""
    found = scored.summary.repeats
    if found is None:
        return ""
    return (
        f"one of {found.k} right {percent(found.any_of)}, all {found.k} right {percent(found.all_of)}, "
        f"repeats disagree on {percent(found.disagree)} of the questions"
    )


def summary_note(scored: Scored) -> str:
    """The interval of a score and what is to be known of it, for a report."""
    found = scored.summary
    parts = [between(found.low, found.high), missing_note(scored), repeats_note(scored), *_few(scored)]
    if found.missing and scored.answered is not None:
        parts.insert(2, f"{percent(scored.answered.mean)} without them")
    return "; ".join(filter(None, parts))


def _spent(configuration: Configuration) -> Iterator[str]:
    for name, (_, unit, _) in SPENT.items():
        value = configuration.spent(name)
        if value:
            yield f"{amount(value, unit)}{' summed over runs' if name == 'seconds' else ''}"
    if configuration.judged is not None:
        yield f"{amount(configuration.judged, '$')} for judging"


def spent_rows(evaluation: Evaluation) -> list[list[str]]:
    """A table of what was spent: a label, each configuration, and with two how they differ."""
    rows = []
    for name, (label, unit, _) in SPENT.items():
        values = [each.spent(name) for each in evaluation.configurations]
        if not any(values):
            continue
        differs = [visible(each.spent.get(name, "").partition(": ")[2]) for each in evaluation.comparisons]
        rows.append(
            [label, *(amount(value, unit) for value in values), *(["; ".join(filter(None, differs))] * bool(differs))]
        )
    judged = [each.judged for each in evaluation.configurations]
    if any(value is not None for value in judged):
        rows.append(
            ["judging", *("" if each is None else amount(each, "$") for each in judged), *([""] * (len(judged) > 1))]
        )
    return rows


def _compared(comparison: Comparison) -> Iterator[str]:
    yield f"{in_a_line(comparison.other, 60)} against {in_a_line(comparison.base, 60)}"
    yield from columns([(name, verdict) for name, verdict, _ in comparison.verdicts])
    yield from (f"  {sentence}" for sentence in comparison.spent.values())
    if comparison.flipped:
        most = ", the most" if comparison.changed > len(comparison.flipped) else ""
        yield f"  changed: {counted(comparison.changed, 'question')}{most}"
        yield from columns([(each.item, _flip(each)) for each in comparison.flipped], "    ")


def _flip(flip: Flip) -> str:
    return f"{percent(flip.before)} -> {percent(flip.after)}  {in_a_line(flip.question, 60)}"


def columns(rows: Sequence[tuple[str, str]], indent: str = "  ") -> Iterator[str]:
    """Names and what is said of them, below one another."""
    names = [in_a_line(name, NAME) for name, _ in rows]
    width = max(map(width_of, names), default=0)
    for name, (_, text) in zip(names, rows, strict=True):
        yield f"{indent}{name}{' ' * (width - width_of(name))}  {text}"


def remarks_of(evaluation: Evaluation) -> list[str]:
    """What is to be known before the figures are used."""
    several = len(evaluation.configurations) > 1
    found = []
    for each in evaluation.configurations:
        name = f"{in_a_line(each.name, 60)}: " if several else ""
        found += [f"{name}{text}" for text in _remarks(each, evaluation.repeat)]
    total, count = counted(evaluation.first.items, "question"), evaluation.unchecked
    if evaluation.first.items < FEW:
        found.append(f"only {total}: the intervals are wide, and less sure than they say")
    if evaluation.cluster is not None:
        found.append(_clustered(evaluation))
    if count:
        found.append(f"{count:,} of {total} {'has' if count == 1 else 'have'} no check: no score says anything of it")
    found += [
        f"{counted(each.left_out, 'question')} left out: only one of {each.base} and {each.other} has "
        f"{'it' if each.left_out == 1 else 'them'}"
        for each in evaluation.comparisons
        if each.left_out
    ]
    return found


def _clustered(evaluation: Evaluation) -> str:
    first = evaluation.first
    count = count_of((each.item for each in first.outcomes), first.clusters)
    name = in_a_line(evaluation.cluster or "", NAME)
    if not count:
        return f"no two questions have the same {name}: they count as independent"
    return f"the questions are in {counted(count, 'cluster')} by {name}: the intervals are of clusters"


def _remarks(configuration: Configuration, repeat: int) -> Iterator[str]:
    if configuration.message:
        yield configuration.message
    missing = configuration.missing()
    if missing:
        yield f"without an answer: {_listed(missing.items())}"
    unread = sum(
        any(score.why.startswith(NO_CHOICE) for score in each.scores.values()) for each in configuration.outcomes
    )
    if unread:
        yield f"{counted(unread, 'answer')} in which no choice is found: counted as wrong, look at some of them"
    stopped = configuration.stopped()
    if stopped:
        advice = ": more max_tokens may be needed" if "length" in stopped else ""
        count, limits = sum(stopped.values()), _listed(stopped.items())
        yield f"{counted(count, 'answer')} ended or cut off by a limit, scored as they are: {limits}{advice}"
    changed = missing.get(CHANGED, 0)
    if changed:
        yield (
            f"{counted(changed, 'answer')} {'is' if changed == 1 else 'are'} to another question of the same id, and "
            "not to that of the set: give it another id, and it is asked"
        )
    asked = max((each.repeat for each in configuration.outcomes), default=repeat)
    if asked != repeat:
        yield f"its questions were asked {_times(asked)}, and not {_times(repeat)}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _listed(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count:,} {in_a_line(reason, 60)}" for reason, count in counts)
