"""Final answers that are compared with the sources of their run."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

from agentkit.event import CitationsChecked, Event, Result, RunFinished, Steps
from agentkit.evidence.check import checked
from agentkit.evidence.citation import Citation
from agentkit.evidence.settings import Evidence
from agentkit.evidence.source import Source
from agentkit.evidence.sources import Sources
from agentkit.evidence.written_numbers import numbers_in
from agentkit.executor import Executor
from agentkit.running.judged import judged

_UNCHECKED = ("cancelled", "approval", "empty")


def with_citations(events: Steps, executor: Executor, evidence: Evidence) -> Steps:
    """The events of a run, with what the check says of its answer before the last one."""
    with closing(events):
        for event in events:
            if isinstance(event, RunFinished):
                yield from _ending(event, executor, evidence)
            else:
                yield event


def _ending(event: RunFinished, executor: Executor, evidence: Evidence) -> Iterator[Event]:
    sources = relevant(event.result.output, executor.context.sources, executor.given_sources)
    result = _checked(event.result, sources, executor, evidence)
    last = replace(event, result=result)
    for each in (CitationsChecked(tuple(result.citations)), last) if result.citations else (last,):
        object.__setattr__(each, "at", event.at)  # events are frozen
        yield each


def relevant(output: Any, sources: Sources, given: Collection[int]) -> dict[int, Source]:
    """The sources with which an answer is compared, by their numbers: those of its run, and those that it cites.
    given: the numbers of those of the run."""
    cited = numbers_in(output) if isinstance(output, str) else set()
    known: Mapping[int, Source] = sources.as_mapping() if given or cited else {}
    return {number: known[number] for number in sorted({*given, *cited}) if number in known}


def citations_of(text: str, sources: Mapping[int, Source]) -> list[Citation]:
    """What the check says of an answer. Without sources nothing is checked."""
    return checked(text, sources) if sources else []


def _checked(result: Result[Any], sources: Mapping[int, Source], executor: Executor, evidence: Evidence) -> Result[Any]:
    result = replace(result, sources=list(sources.values()))
    if evidence.mode == "off" or not isinstance(result.output, str) or result.stopped in _UNCHECKED:
        return result
    citations = citations_of(result.output, sources)
    if evidence.judge is None or result.replayed:
        return replace(result, citations=citations)
    citations = judged(citations, evidence.judge, executor.context)
    budget = executor.context.budget
    assert budget is not None
    return replace(result, citations=citations, usage=budget.usage, models=budget.models)
