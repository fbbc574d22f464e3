"""The calls of a client that wait for their answers, and what an old server asks in the middle of them."""

import contextlib
from dataclasses import dataclass
from typing import Any

from agentkit._lazy.logs import WARNING, logger_of
from agentkit.mcp.channel import Patience
from agentkit.mcp.questions import CANCEL, Ask, Question, answer_to
from agentkit.tooling.error_log import log_raised

logger = logger_of("agentkit")

LONG_REQUESTS = ("tools/call", "resources/read", "prompts/get")
"""Requests that may take long: servers report the progress of them, and may ask something meanwhile."""


@dataclass(eq=False)
class Flight:
    """One call. may_ask: whether a server may ask something because of it. ask: see `Client.request`. raised: what
    `ask` has raised in another thread, for the thread of the call."""

    patience: Patience
    may_ask: bool
    ask: Ask | None = None
    raised: BaseException | None = None


class InFlight:
    """All of them. ask: answers where it is not known which call a question belongs to."""

    def __init__(self, ask: Ask | None) -> None:
        self._ask = ask
        self._flights: list[Flight] = []

    def begin(self, method: str, patience: Patience, ask: Ask | None) -> Flight:
        """A call waits from now on."""
        flight = Flight(patience, method in LONG_REQUESTS, ask)
        self._flights.append(flight)
        return flight

    def end(self, flight: Flight) -> None:
        """A call does not wait any more. Raises what `ask` has raised for it, instead of its result or error."""
        if flight in self._flights:  # in a forked child it is not
            self._flights.remove(flight)
        if flight.raised is not None:
            raise flight.raised

    def answer(self, question: Question, patience: Patience | None = None) -> dict[str, Any]:
        """What an old server is told. patience: of the call that the question belongs to. Over stdio it is not known:
        then it is that of the only call because of which it may be asked, and no call ends meanwhile."""
        flights = list(self._flights)
        known = [each for each in flights if each.patience is patience]
        able = known or [each for each in flights if each.may_ask]
        only = able[0] if len(able) == 1 else None
        ask = self._ask if only is None or only.ask is None else only.ask
        with contextlib.ExitStack() as stack:
            for flight in known or flights:
                stack.enter_context(flight.patience.asking())
            try:
                return answer_to(question, ask)
            except BaseException as error:  # noqa: BLE001 - raised in the thread of the call
                if only is None:
                    log_raised(logger, WARNING, "ask, for a question of an MCP server, raised", error, ask)
                else:
                    only.raised = error
                return dict(CANCEL)
