"""The calls of a client that wait for their answers, and what an old server asks in the middle of them."""

import contextlib
import logging
from dataclasses import dataclass
from typing import Any

from agentkit.mcp.channel import Patience
from agentkit.mcp.questions import CANCEL, Ask, Question, answer_to
from agentkit.tooling.error_log import log_raised

logger = logging.getLogger("agentkit")


@dataclass(eq=False)
class Flight:
    """One call. ask: see `Client.request`. raised: what `ask` has raised in another thread, for the thread of the
    call."""

    patience: Patience
    ask: Ask | None = None
    raised: BaseException | None = None


class InFlight:
    """All of them. ask: answers where it is not known which call a question belongs to."""

    def __init__(self, ask: Ask | None) -> None:
        self._ask = ask
        self._flights: list[Flight] = []

    def begin(self, patience: Patience, ask: Ask | None) -> Flight:
        """A call waits from now on."""
        flight = Flight(patience, ask)
        self._flights.append(flight)
        return flight

    def end(self, flight: Flight) -> None:
        """A call does not wait any more. Raises what `ask` has raised for it, instead of its result or error."""
        if flight in self._flights:  # in a forked child it is not
            self._flights.remove(flight)
        if flight.raised is not None:
            raise flight.raised

    def answer(self, question: Question) -> dict[str, Any]:
        """What an old server is told, which does not say to which call its question belongs: no call ends meanwhile."""
        flights = list(self._flights)
        only = flights[0] if len(flights) == 1 else None
        ask = self._ask if only is None or only.ask is None else only.ask
        with contextlib.ExitStack() as stack:
            for flight in flights:
                stack.enter_context(flight.patience.asking())
            try:
                return answer_to(question, ask)
            except BaseException as error:  # noqa: BLE001 - raised in the thread of the call
                if only is None:
                    log_raised(logger, logging.WARNING, "ask, for a question of an MCP server, raised", error, ask)
                else:
                    only.raised = error
                return dict(CANCEL)
