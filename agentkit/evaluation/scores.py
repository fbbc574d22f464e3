"""Scores of records: `Scorer.finish` adds them as a batch goes on, `rescored` gives an answers file new ones, and an
`Outcome` is what the statistics and reports need of a record."""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agentkit._text import in_a_line, json_bytes
from agentkit.batch.item import Record
from agentkit.batch.journal import read_records, replace_answers
from agentkit.batch.state_folder import StateFolder
from agentkit.batch.stats import WHOLE
from agentkit.errors import ConfigurationError
from agentkit.evaluation.checks import Check
from agentkit.evaluation.score import CheckError, NoVerdictError, Score, text_of, why_missing
from agentkit.evaluation.sets import ANSWER, ASKED, Checks, Line
from agentkit.net.repeats import run_of, split_id

SCORES = "scores"
"""The field of a record: {name of a check: {"value", "passed", "why"}}."""
_MOST = 1e15
"""The largest amount that a record can have."""
TEXT = 1500
"""Characters of a question and of an answer that an outcome keeps."""
ASKING = ("judge",)
"""Checks that ask a model: they are not made again where there is a score of theirs that was asked for in the same
way: of the same model, with the same rubric, question, answer and right answer."""
FIRST_FAILURES, LATER_FAILURES = 10, 50
"""How many failures of judges running end an evaluation, before a judge has given a verdict and after."""
CHANGED = "question changed"
"""Why an item has no answer whose question has another text than the one that was answered."""
Scores = Mapping[str, Score]


class Scorer:
    """Adds scores to records; thread-safe. problem: the first check that could not be made, which is a fault of the
    set, not of an answer: the record is kept without that score. A judge that gives no verdict on some answers is none,
    until it has failed so often that it hardly works. asks: whether judges may be asked."""

    def __init__(self, checks: Checks, *, asks: bool = True) -> None:
        self._checks = checks
        self._asks = asks
        self._lock = threading.Lock()
        self._finished: set[str] = set()
        self._unjudged: dict[str, NoVerdictError] = {}
        self._failures = 0  # of judges, running
        self._has_verdict = False
        self.problem: ConfigurationError | None = None

    @property
    def failure(self) -> ConfigurationError | None:
        """Why there are no scores that count: the problem, or answers on which a judge gave no verdict."""
        if self.problem is not None or not self._unjudged:
            return self.problem
        item, error = next(iter(self._unjudged.items()))
        again = "the same command asks it again about these alone, where the answers are kept (-o, out=)"
        return CheckError(
            f"the judge gave no verdict on {len(self._unjudged):,} answers, such as on item {in_a_line(item, 60)}; the "
            f"others are judged, and {again}; or leave these questions out: {error}"
        )

    def finish(self, record: Record) -> Record:
        """The record with "scores", before "item"."""
        return self.scored(record, self.scores(record))

    def scored(self, record: Record, scores: Scores) -> Record:
        """The record with these scores, which count for `outcome` too."""
        with self._lock:
            self._finished.add(str(record["id"]))
        columns = {"item": record["item"]} if "item" in record else {}
        rest = {name: value for name, value in record.items() if name not in ("item", SCORES)}
        return {**rest, SCORES: {name: score.as_json() for name, score in scores.items()}, **columns}

    def outcome(self, record: Record) -> "Outcome":
        """The outcome of a record. It keeps the scores that this scorer has given it, and those of judges; the others
        are made anew, since the checks may be others than they were. Raises CheckError."""
        if str(record.get("id")) in self._finished:
            return outcome_of(record, _kept(record))
        return outcome_of(record, self.scores(record, kept=_kept(record)))

    def scores(self, record: Record, kept: Scores | None = None) -> dict[str, Score]:
        """The score of each check. kept: scores of an earlier time, which count for checks that ask a model."""
        columns, seen, found = columns_of(record), _seen(record), dict[str, Score]()
        with self._lock:
            self._unjudged.pop(str(record.get("id")), None)
        try:
            checks = self._checks.of(columns)
            fitting = _fitting(checks, seen, kept or {})
        except ConfigurationError as error:
            self._note(error)
            return found
        with run_of(str(record.get("id", ""))):
            for check in checks:
                if check.kind in ASKING and check.name in fitting:
                    found[check.name] = fitting[check.name]
                    continue
                self._add(check, record, seen, found, kept or {})
        return found

    def _add(self, check: Check, record: Record, seen: Record, found: dict[str, Score], kept: Scores) -> None:
        """Make a check, and note its score; or what is wrong with it."""
        try:
            self._allow(check, record, kept)
            score = check.score(seen, columns_of(record).get(ANSWER))
        except NoVerdictError as error:
            self._note_unjudged(record, error)
        except ConfigurationError as error:  # CheckError is one
            self._note(error)
        else:
            found[check.name] = _worse(found.get(check.name), score)
            if check.kind in ASKING and not score.missing:
                self._failures, self._has_verdict = 0, True

    def asks(self, record: Record) -> bool:
        """Whether a judge has to be asked about a record that has been kept."""
        item = str(record.get("id"))
        if (item in self._finished and item not in self._unjudged) or why_missing(record):
            return False
        try:
            checks = self._checks.of(columns_of(record))
            fitting = _fitting(checks, _seen(record), _kept(record))
        except ConfigurationError:
            return False  # which `scores` tells
        return any(check.kind in ASKING and check.name not in fitting for check in checks)

    def _allow(self, check: Check, record: Record, kept: Scores) -> None:
        if check.kind in ASKING and not self._asks and not why_missing(record):
            what = (
                "its score is of another rubric, question or right answer" if check.name in kept else "it has no score"
            )
            raise CheckError(
                f"check {check.name} (item {record.get('id')}): {what}, and asking is not allowed: the command that "
                "has made the answers asks the judge, and no other model"
            )

    def _note_unjudged(self, record: Record, error: NoVerdictError) -> None:
        with self._lock:
            self._unjudged[str(record.get("id"))] = error
            self._failures += 1
            if self._failures >= (LATER_FAILURES if self._has_verdict else FIRST_FAILURES):
                self.problem = self.problem or error

    def _note(self, error: ConfigurationError) -> None:
        with self._lock:
            self.problem = self.problem or error


def _worse(one: Score | None, other: Score) -> Score:
    if one is None:
        return other
    return replace(one if one.value <= other.value else other, asked=(*one.asked, *other.asked))


def _seen(record: Record) -> Record:
    """What checks see of a record."""
    known = {name: _number(record.get(name)) for name in ("cost", "seconds")}
    return {"question": columns_of(record).get(ASKED), **record, **known}


def _fitting(checks: Iterable[Check], seen: Record, kept: Scores) -> Scores:
    """Those scores of an earlier time that judges would be asked for as they were. One of an earlier version does not
    say what was asked, and counts. Raises CheckError for a check that can't be made."""
    asking: dict[str, list[str]] = {}
    for check in checks:
        if check.kind in ASKING and check.name in kept:
            is_known = kept[check.name].asked
            asking.setdefault(check.name, []).append(
                check.asked(seen, columns_of(seen).get(ANSWER)) if is_known else ""
            )
    return {name: kept[name] for name, asked in asking.items() if _is_asked(kept[name].asked, asked)}


def _is_asked(then: Sequence[str], now: Sequence[str]) -> bool:
    pairs = zip(sorted(then), sorted(now), strict=False)
    return not then or (len(then) == len(now) and all(one == two or one.startswith(_any(two)) for one, two in pairs))


def _any(asked: str) -> str:
    """The beginning of what is asked of any model; what nothing begins with where one is named."""
    return asked if asked.endswith("@") else "\n"


def columns_of(record: Record) -> Mapping[str, Any]:
    """The columns of the line of a record, which may have been written by another program."""
    columns = record.get("item")
    return columns if isinstance(columns, Mapping) else {}


def _kept(record: Record) -> dict[str, Score]:
    """The scores of a record; those that are none are left out."""
    own = record.get(SCORES)
    found: dict[str, Score] = {}
    for name, made in own.items() if isinstance(own, Mapping) else ():
        with suppress(CheckError):
            score = Score.from_json(made)
            spent = None if score.spent is None else {key: _number(value) for key, value in score.spent.items()}
            found[str(name)] = replace(score, spent=spent)
    return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run of an item.

    item: its id; repeat: which run of it, from 1. missing: why there is no answer, a word; "" for one that there is.
    error: the message of a run that has none. cost: US dollars, None where it is not known. tokens, calls: of the
    model, and of tools; None where nothing is known of them. name: its id in its answers file, "" where it is that of
    the item. stopped: the limit that has ended or cut off the answer, "" for none.
    """

    item: str
    repeat: int
    question: str
    expected: str
    output: str
    missing: str
    error: str
    scores: Scores
    columns: Mapping[str, Any] = field(default_factory=dict)
    cost: float | None = None
    seconds: float | None = None
    tokens: int | None = None
    calls: int | None = None
    name: str = ""
    stopped: str = ""


def outcome_of(record: Record, scores: Scores) -> Outcome:
    """The outcome of a record with these scores."""
    columns = columns_of(record)
    usage = record.get("usage") or {}
    item, repeat = split_id(str(record.get("id", "")))
    error = record.get("error") or {}
    missing = why_missing(record)
    return Outcome(
        item,
        repeat,
        question=str(columns.get(ASKED) or "")[:TEXT],
        expected=_shown(columns.get(ANSWER)),
        output="" if record.get("output") is None else text_of(record)[:TEXT],
        missing=missing,
        error=in_a_line(str(error.get("message") or ""), 500) if isinstance(error, Mapping) else "",
        scores=scores,
        columns=columns,
        cost=_number(record.get("cost")),
        seconds=_number(record.get("seconds")),
        tokens=_whole(usage, "input_tokens", "output_tokens"),
        calls=_whole(usage, "tool_calls"),
        stopped=_stopped(record, missing),
    )


def _stopped(record: Record, missing: str) -> str:
    stopped = record.get("stopped")
    return "" if missing or not isinstance(stopped, str) or stopped == WHOLE else in_a_line(stopped, 40)


def not_asked(line: Line, repeat: int, why: str = "not asked") -> Outcome:
    """The outcome of an item that has no record: its evaluation ended before it. why: a word for it."""
    scores = {check.name: Score(0.0, False, why, missing=True) for check in line.checks}
    columns = line.item.columns
    asked, expected = str(columns.get(ASKED) or "")[:TEXT], _shown(columns.get(ANSWER))
    return Outcome(line.item.id, repeat, asked, expected, "", why, "", scores, columns)


def replaced(path: Path, scorer: Scorer, columns: Callable[[Record], Mapping[str, Any] | None]) -> list[Record]:
    """Give each record of an answers file new scores, without one request, and return the records; the file is
    replaced at once, at the end.

    columns: of the item of a record, as its set has them now; None for one that the set has not, and whose record stays
    as it is. A symbolic link stays one. Raises ConfigurationError when the file can't be read or written, or another
    program writes it, and where a check can't be made."""
    return _write_anew(path, lambda record: _record(record, columns(record), scorer))


def _write_anew(path: Path, changed: Callable[[Record], Record]) -> list[Record]:
    path = Path(os.path.realpath(path))
    new = path.with_name(f"{path.name}.rescored-{os.getpid()}")
    folder = StateFolder(path)
    try:
        records = [changed(each) for each in read_records(path)]
        with new.open("wb") as out:
            out.writelines(_line(path, each) for each in records)
        with suppress(OSError):
            shutil.copymode(path, new)
        replace_answers(path, new, folder)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be scored: {error.strerror or error}") from None
    finally:
        new.unlink(missing_ok=True)
        folder.release(discard=True)
    return records


def judged(path: Path, scorer: Scorer, columns: Callable[[Record], Mapping[str, Any] | None]) -> None:
    """Ask judges about the answers of a file whose kept scores are of another judge or rubric, or that have none, and
    write the scores into the file; one for which there is nothing to ask stays untouched. What goes wrong meanwhile
    costs no score that was paid for. The rest as in `replaced`; a check that can't be made is noted by the scorer."""

    def of_set(record: Record) -> Record | None:
        own = columns(record)
        return None if own is None else {**record, "item": dict(own)}

    if not any((own := of_set(each)) is not None and scorer.asks(own) for each in read_records(path)):
        return
    failure: BaseException | None = None

    def scored(record: Record) -> Record:
        nonlocal failure
        own = of_set(record)
        if own is None or failure is not None or scorer.problem is not None or not scorer.asks(own):
            return record
        try:
            scores = scorer.scores(own, _kept(own))
        except BaseException as error:  # noqa: BLE001 - raised below
            failure = error
            return record
        return record if scorer.problem is not None else scorer.scored(own, scores)

    _write_anew(path, scored)
    if failure is not None:
        raise failure


def _record(record: Record, columns: Mapping[str, Any] | None, scorer: Scorer) -> Record:
    return record if columns is None else _rescored({**record, "item": dict(columns)}, scorer)


def _line(path: Path, record: Record) -> bytes:
    try:
        return json_bytes(record) + b"\n"
    except (ValueError, RecursionError):
        raise ConfigurationError(
            f"{path.name}, item {in_a_line(str(record.get('id')), 60)}: it has a number that JSON has not, such as "
            "NaN: remove its line, and it is asked again"
        ) from None


def _rescored(record: Record, scorer: Scorer) -> Record:
    scores = scorer.scores(record, _kept(record))
    if scorer.failure is not None:
        raise scorer.failure
    return scorer.scored(record, scores)


def _shown(answer: Any) -> str:
    if answer is None:
        return ""
    listed = answer if isinstance(answer, list) else [answer]
    return " / ".join(each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in listed)[:TEXT]


def _number(value: Any) -> float | None:
    """An amount; None for what is none, such as NaN, which files of others may have."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        return None
    return value


def _whole(usage: Any, *names: str) -> int | None:
    if not isinstance(usage, Mapping):
        return None
    return int(sum(_number(usage.get(name)) or 0 for name in names))
