"""The results of tools with the numbers of their sources, and what the model is told of them."""

from agentkit._lazy.records import replace
from agentkit.evidence.history import CITE, HEADER, is_marked, unmarked
from agentkit.evidence.source import Source
from agentkit.evidence.sources import UNSETTLED, Sources
from agentkit.tooling.outcome import Outcome

MAX_LISTED = 50
"""How many sources are listed behind a result that does not name them."""


def with_sources(outcome: Outcome, sources: Sources) -> Outcome:
    """The outcome of a call as the model is sent it: with the numbers of the run, those sources listed that the result
    does not name, and how they are cited. A history shows by that which of its results have sources
    (`agentkit.evidence.history.found_in`); what else in a result looks like it is no longer."""
    if not outcome.sources:
        is_forged = is_marked(outcome.text)
        return replace(outcome, text=unmarked(outcome.text, ())) if is_forged else outcome
    is_own = [source.number >= UNSETTLED for source in outcome.sources]
    outcome = outcome.settled(sources)
    if outcome.failed or outcome.ends_run:
        return outcome
    text = outcome.whole or outcome.text
    shown = [
        source
        for source, is_of_the_call in zip(outcome.sources, is_own, strict=True)
        if is_of_the_call or f"[{source.number}]" in text
    ]
    outcome = replace(outcome, text=unmarked(outcome.text, [source.number for source in shown]))
    if not shown:
        return outcome
    named = {int(header[1]) for header in HEADER.finditer(text)}
    notes = [_listed(source) for source in shown if source.number not in named][:MAX_LISTED]
    notes += [CITE.format(number=shown[0].number)] if sources.ledger.keeps else []
    return replace(outcome, text=outcome.text + "".join(f"\n\n{note}" for note in notes))


def _listed(source: Source) -> str:
    return f"[{source.number}] {source.title or source.address}\nsource: {source.address}"
