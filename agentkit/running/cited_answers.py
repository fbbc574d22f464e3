"""Final answers that are compared with the sources of their run."""

from collections.abc import Collection, Iterator, Mapping
from types import TracebackType
from typing import Any

from agentkit._lazy.logs import WARNING, logger_of
from agentkit.backend import NO_ANSWER, newest_question
from agentkit.event import CitationsChecked, Event, Result, RunFinished
from agentkit.evidence.citation import Citation
from agentkit.evidence.history import found_in
from agentkit.evidence.settings import Evidence
from agentkit.evidence.source import Source
from agentkit.executor import Executor
from agentkit.message import response_of
from agentkit.tooling.error_log import log_raised
from agentkit.tooling.interrupts import stops_the_run

logger = logger_of("agentkit")

_set = object.__setattr__  # events and results are frozen
_UNCHECKED = ("cancelled", "approval", "empty")


def with_citations(event: RunFinished, executor: Executor, evidence: Evidence) -> Iterator[Event]:
    """The last event of a run, with what the check says of its answer before it."""
    result = event.result  # nobody has seen it; a copy would read the messages of a long session
    with FAILURES_LOGGED:
        sources = relevant(result.output, executor)
        _set(result, "sources", list(sources.values()))
        _set(result, "citations", _checked(result, sources, executor, evidence))
    if result.citations:
        checked = CitationsChecked(tuple(result.citations))
        _set(checked, "at", event.at)
        yield checked
    yield event


class _FailuresLogged:
    """A block whose errors are logged, and go no further."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception) or stops_the_run(error):
            return False
        log_raised(logger, WARNING, "the check of the answer raised", error)
        return True


FAILURES_LOGGED = _FailuresLogged()
"""For the check of an answer, which is not lost for it where the check fails, such as that of a damaged session."""


def relevant(output: Any, executor: Executor) -> dict[int, Source]:
    """The sources with which an answer is compared, by their numbers: those that the tools have given since the user's
    question, and those that it cites."""
    known = executor.context.sources.as_mapping()
    if not known:
        return {}
    messages = executor.context.messages
    since = newest_question(messages) or 0
    results = [response_of(message) for message in messages[since:] if message["role"] == "tool"]
    given = {*executor.given_sources, *(kept.number for kept in found_in(results))}
    return among(known, given, output if isinstance(output, str) else "")


def among(known: Mapping[int, Source], given: Collection[int], text: str) -> dict[int, Source]:
    """Those of the known sources that have been given, and those that a text may cite."""
    if not known:
        return {}
    from agentkit.evidence.written_numbers import numbers_in

    numbers = {*given, *numbers_in(text)}
    return {number: known[number] for number in sorted(numbers) if number in known}


def citations_of(text: str, sources: Mapping[int, Source]) -> list[Citation]:
    """What the check says of an answer. Without sources nothing is checked."""
    if not sources:
        return []
    from agentkit.evidence.check import checked

    return checked(text, sources)


def _checked(
    result: Result[Any], sources: Mapping[int, Source], executor: Executor, evidence: Evidence
) -> list[Citation]:
    has_answer = isinstance(result.output, str) and result.stopped not in _UNCHECKED
    if evidence.mode == "off" or not has_answer or result.finish_reason == NO_ANSWER:
        return []
    citations = citations_of(result.output, sources)
    if evidence.judge is None or result.replayed:
        return citations
    from agentkit.running.judged import judged

    citations = judged(citations, evidence.judge, executor.context)
    budget = executor.context.budget
    assert budget is not None
    _set(result, "usage", budget.usage)
    _set(result, "models", budget.models)
    return citations
