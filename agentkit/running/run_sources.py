"""The sources that a run begins with."""

from agentkit.evidence.history import found_in
from agentkit.evidence.ledger import Kept, Ledger
from agentkit.evidence.sources import CallSources, Sources
from agentkit.message import response_of
from agentkit.sessions.turn import Turn
from agentkit.transcript import Transcript


def sources_of(turn: Turn, transcript: Transcript, around: Sources) -> Sources:
    """The sources of a run: those of the tool call inside of which it runs, those of its session, or those of the
    results in its transcript. around: of the context in which it is begun."""
    if isinstance(around, CallSources) and turn.session_id is None:
        return around.nested()

    def earlier() -> list[Kept]:
        results = [response_of(message) for message in transcript if message["role"] == "tool"]
        return turn.earlier_sources() or (list(found_in(results)) if results else [])

    return Sources(Ledger(around.ledger.keeps, turn.source_text, earlier), defers=True)
