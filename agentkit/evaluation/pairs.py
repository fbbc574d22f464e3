"""Pairs of answers that a judge compares. Each is shown in both orders: a verdict that changes with the order is none,
and counts as a tie (Zheng and others 2023, "Judging LLM-as-a-judge").

The judge is asked by a batch of its own, whose answers file keeps what it has said: what is asked of it is known again
by the judge and the exact text, so that nothing is asked twice, also after a kill, and another judge or rubric asks
anew. About an answer that there is not, and about two that are the same but for white space around them, nothing is
asked.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentkit._text import in_a_line
from agentkit.batch.driver import BatchRun, knows_prices, run_batch
from agentkit.batch.item import Item, Record
from agentkit.batch.job import Job
from agentkit.batch.journal import read_records
from agentkit.errors import ConfigurationError
from agentkit.evaluation.judging import Judge, Preference, pair_prompt
from agentkit.evaluation.score import CheckError, text_of, why_missing
from agentkit.evaluation.sets import Split
from agentkit.evaluation.verdict_types import VerdictType
from agentkit.net.repeats import split_id

NAME = "judge"
"""The name of the batch that asks the judge."""
OPTIONS = ("at_once", "attempts", "grace", "limit_cost", "limit_tokens", "limit_seconds")
"""Options of an evaluation that hold for the batch of the judge too."""
_AGAIN = {"retry_failed": True, "retry_unknown": True}
"""A judge is asked again about what it has given no verdict on, for whatever reason."""
_COLUMNS = {"of", "repeat", "order"}
_SIDES = {"first": 0.0, "second": 1.0, "equal": 0.5}

Key = tuple[str, int]
"""(id of a question, which of its repeats)"""
Watch = Callable[[str, BatchRun], Iterable[Record]]


@dataclass(frozen=True)
class Asked:
    """A question as the judge sees it. right: the right answer, None where there is none."""

    question: str
    right: Any = None


@dataclass(frozen=True)
class Verdict:
    """Which of two answers to a question is better: 0 the first's, 1 the other's, .5 neither. why: in the words of the
    judge. unsteady: whether the judge said something else in the other order."""

    item: str
    repeat: int
    value: float
    why: str
    unsteady: bool = False


@dataclass(frozen=True)
class Verdicts:
    """What a judge says of the answers of two configurations. pairs: in the order of the set; none where the judge
    ended before all was judged: `ending` says why, `message` what to do. asked: how many requests to the judge they
    are made of; cost: of these, in US dollars, None where it is not known."""

    pairs: Sequence[Verdict]
    asked: int = 0
    cost: float | None = 0.0
    ending: str = "complete"
    message: str = ""


def answers_of(records: Iterable[Record], split: Split = split_id) -> dict[Key, str]:
    """The answers of a configuration; "" for one that there is not. split: the item and the repeat that an id names."""
    return {split(str(each.get("id"))): "" if why_missing(each) else text_of(each) for each in records}


def is_verdict(record: Record) -> bool:
    """Whether a record is of what a judge was asked about a pair of answers."""
    columns = record.get("item")
    return isinstance(columns, Mapping) and set(columns) == _COLUMNS


class PairJudge:
    """Compares answers by a rubric. options: of the evaluation. Raises ConfigurationError for an empty rubric, and for
    a limit on costs that are not known."""

    def __init__(self, judge: Judge, rubric: str, options: Mapping[str, Any]) -> None:
        if not rubric.strip():
            raise ConfigurationError('prefer needs a rubric: --prefer "It is more exact."')
        self._options = {name: options[name] for name in OPTIONS if options.get(name) is not None}
        of_job = {name: self._options.pop(name) for name in ("at_once", "attempts") if name in self._options}
        if "limit_cost" in self._options and not knows_prices(judge.agent):
            raise ConfigurationError("a limit on the cost needs the prices of the judge, which are not known")
        self._job = Job.of(judge.agent, output=VerdictType(Preference), **of_job)
        self._rubric = rubric
        self._salt = json.dumps(self._job.fingerprint(), sort_keys=True)

    def verdicts(
        self,
        asked: Mapping[str, Asked],
        first: Mapping[Key, str],
        others: Sequence[Mapping[Key, str]],
        out: Path | None,
        watch: Watch,
    ) -> list[Verdicts]:
        """Compare the answers of each of the others with those of the first. asked: the questions, by id. out: where is
        kept what the judge says. Raises CheckError where it gives no verdict."""
        made = [list(self._pairs(asked, first, other)) for other in others]
        items = {item.id: item for pairs in made for pair in pairs for item in pair.items}
        records, ending, message = self._said(list(items.values()), out, watch)
        if ending != "complete":
            return [Verdicts((), ending=ending, message=message) for _ in made]
        _check_said(items, records, is_kept=out is not None)
        return [_verdicts(pairs, records) for pairs in made]

    def _pairs(
        self, asked: Mapping[str, Asked], first: Mapping[Key, str], other: Mapping[Key, str]
    ) -> "Iterator[_Pair]":
        for key in first:
            if key not in other or key[0] not in asked:
                continue
            one, two = first[key], other[key]
            if not one or not two or one.strip() == two.strip():
                yield _Pair(key, one, two)
                continue
            orders = {"as compared": (one, two), "the other way round": (two, one)}
            items = [self._item(key, asked[key[0]], texts, order) for order, texts in orders.items()]
            yield _Pair(key, one, two, tuple(items))

    def _item(self, key: Key, asked: Asked, texts: tuple[str, str], order: str) -> Item:
        prompt = pair_prompt(self._rubric, asked.question, *texts, right=asked.right)
        digest = hashlib.blake2b(f"{self._salt}\n{prompt}".encode("utf-8", "surrogatepass"), digest_size=12)
        return Item(digest.hexdigest(), prompt=prompt, columns={"of": key[0], "repeat": key[1], "order": order})

    def _said(self, items: Sequence[Item], out: Path | None, watch: Watch) -> tuple[dict[str, Record], str, str]:
        """What the judge says of each item, by id; and how its batch ended."""
        if not items:
            return {}, "complete", ""
        kept: dict[str, Any] = {} if out is None else {"out": out, "anyway": True, **_AGAIN}
        with run_batch(self._job, items, **self._options, **kept) as run:
            said = {str(each["id"]): each for each in watch(NAME, run)}
            ending, message = run.ending or "complete", run.message
        if out is not None:
            said = {str(each.get("id")): each for each in read_records(out)}
        return said, ending, f"the judge: {message}" if message else ""


@dataclass(frozen=True)
class _Pair:
    """Two answers, "" for one that there is not. items: what is asked of the judge, in both orders; none where no judge
    is needed."""

    key: Key
    one: str
    two: str
    items: tuple[Item, ...] = ()


def _check_said(items: Mapping[str, Item], records: Mapping[str, Record], *, is_kept: bool) -> None:
    """Raises CheckError where an item has no verdict."""
    lost = [item for id_, item in items.items() if _better(records.get(id_)) is None]
    if not lost:
        return
    error = (records.get(lost[0].id) or {}).get("error") or {}
    why = in_a_line(str(error.get("message") or "nothing that can be read"), 300)
    again = "; the same command asks it again, and nothing else" if is_kept else ""
    raise CheckError(
        f"the judge gave no verdict on {len(lost):,} of {len(items):,} requests, such as on item "
        f"{in_a_line(str(lost[0].columns['of']), 60)}: {why}{again}"
    )


def _better(record: Record | None) -> str | None:
    """Which answer a record of the judge says is better; None for one that says nothing."""
    output = None if record is None or why_missing(record) else record.get("output")
    better = output.get("better") if isinstance(output, Mapping) else None
    return better if better in _SIDES else None


def _verdicts(pairs: Sequence[_Pair], records: Mapping[str, Record]) -> Verdicts:
    ids = dict.fromkeys(item.id for pair in pairs for item in pair.items)
    costs = [records[id_].get("cost") for id_ in ids]
    known = [cost for cost in costs if isinstance(cost, int | float)]
    cost = float(sum(known)) if len(known) == len(costs) else None
    return Verdicts([_verdict(pair, records) for pair in pairs], len(ids), cost)


def _verdict(pair: _Pair, records: Mapping[str, Record]) -> Verdict:
    if not pair.items:
        value = 0.5 + (bool(pair.two) - bool(pair.one)) / 2
        both = "neither has an answer" if not pair.one else "the answers are the same"
        return Verdict(*pair.key, value, both if bool(pair.one) == bool(pair.two) else "one has no answer")
    forth, back = (records[item.id] for item in pair.items)
    one, two = _SIDES[str(_better(forth))], 1 - _SIDES[str(_better(back))]
    why = in_a_line(str(forth["output"].get("reason") or ""), 300)
    return Verdict(*pair.key, one if one == two else 0.5, why, one != two)
