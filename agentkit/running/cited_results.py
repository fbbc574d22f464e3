"""The results of tools with the numbers of their sources, and what the model is told of them."""

from dataclasses import replace

from agentkit.evidence.source import Source
from agentkit.evidence.sources import UNSETTLED, Sources
from agentkit.tooling.outcome import Outcome

CITE = "(Cite what you use of a source by its number, such as [{number}], behind the sentence.)"
"""Stands below a result with sources."""


def with_sources(outcome: Outcome, sources: Sources) -> Outcome:
    """The outcome of a call as the model is sent it: with the numbers of the run, those sources listed that the result
    does not name, and how they are cited."""
    if not outcome.sources or outcome.failed:
        return outcome
    is_own = [source.number >= UNSETTLED for source in outcome.sources]
    outcome = outcome.settled(sources)
    own = [source for source, is_of_the_call in zip(outcome.sources, is_own, strict=True) if is_of_the_call]
    if not own:
        return outcome
    text = outcome.whole or outcome.text
    unnamed = [source for source in own if f"[{source.number}]" not in text]
    notes = [_listed(source) for source in unnamed]
    notes += [CITE.format(number=own[0].number)] if sources.ledger.keeps else []
    return replace(outcome, text=outcome.text + "".join(f"\n\n{note}" for note in notes))


def _listed(source: Source) -> str:
    return f"[{source.number}] {source.title or source.address}\nsource: {source.address}"
