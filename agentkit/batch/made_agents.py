"""The agents of jobs in this process: each is made once, at its first use, and shared by the threads of the process."""

import atexit
import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from agentkit import Agent
from agentkit._forking import renewed_by_forks
from agentkit.tooling.toolset import Toolset

MAX_JOBS = 32
"""Jobs whose agents are kept in a process that answers for many, one after the other: the one that was not used for
the longest time is forgotten. It is not closed, as a run may go on with it: its connections end with it."""

Make = Callable[[], tuple[Agent, bool]]
"""Makes an agent, and says whether it is the maker's own, who closes it."""


@dataclass
class _Place:
    lock: threading.Lock = field(default_factory=threading.Lock)
    agent: Agent | None = None
    is_own: bool = False


class MadeAgents:
    """The agents by the keys of their jobs. A forked child makes its own: connections are not shared by processes."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._places: OrderedDict[str, _Place] = OrderedDict()
        renewed_by_forks(self)

    def renew_in_child(self) -> None:
        """See `agentkit._forking.Renewed`."""
        self._guard, self._places = threading.Lock(), OrderedDict()

    def agent(self, key: str, make: Make) -> Agent:
        """The agent of a job, which is made where there is none yet; other threads wait for it. Raises what `make`
        raises; the next call tries again."""
        with self._guard:
            place = self._places.setdefault(key, _Place())
            self._places.move_to_end(key)
            while len(self._places) > MAX_JOBS:
                self._places.popitem(last=False)
        if place.agent is not None:
            return place.agent
        with place.lock:
            if place.agent is None:
                place.agent, place.is_own = make()
            return place.agent

    def close(self, key: str) -> None:
        """Close the agent of a job, if there is one that was made for it."""
        with self._guard:
            place = self._places.pop(key, None)
        if place is not None and place.agent is not None and place.is_own:
            _close(place.agent)

    def close_all(self) -> None:
        """The same for all, at the end of the process."""
        with self._guard:
            keys = list(self._places)
        for key in keys:
            with contextlib.suppress(Exception):  # nobody is left who could be told
                self.close(key)


def _close(agent: Agent) -> None:
    agent.close()
    for each in agent._tools.given:
        if isinstance(each, Toolset):
            each.close()


MADE = MadeAgents()
atexit.register(MADE.close_all)
