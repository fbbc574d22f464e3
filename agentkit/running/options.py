"""The options of a run."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict

from agentkit._lazy.records import dataclass, field
from agentkit.limits import Limits
from agentkit.running.agent_tools import AnyTool
from agentkit.running.decisions import Approvals
from agentkit.session import Session
from agentkit.sessions.turn import Turn
from agentkit.tools import Context

Instructions = str | Callable[[Context[Any]], str | None]
"""The system message; or a function that is called once in each run, with the run's context."""

OutputCheck = Callable[[Any], object]
"""A function of a final answer (its text; with `output=` the value) that raises ValueError for one that is not valid.
What it returns is not looked at."""


class RunArguments(TypedDict, total=False):
    """The options of a run as keyword arguments of `Agent.resume`."""

    deps: Any
    cancel: threading.Event | None
    approve: Approvals | None
    output_check: OutputCheck | None
    output_retries: int
    instructions: Instructions | None
    tools: Iterable[AnyTool] | None
    limits: Limits | None
    sampling: Mapping[str, Any]


class ConversationArguments(RunArguments, total=False):
    """The same for `Agent.run` and `Agent.stream`."""

    messages: Iterable[Mapping[str, Any]]
    session: Session | Turn | None
    request_id: str | None


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of one run.

    messages: an earlier transcript (`result.messages`), or any history: what violates the rules of chat servers is
    repaired and reported in `result.repairs`. session: instead of messages, the stored conversation that the prompt
    continues, or an open turn of it. request_id: the id of the request in its session (idempotency key): a request that
    was answered is answered again without a request to the model. deps: passed to tools as `ctx.deps`. cancel: set it
    in another thread to stop the run. approve: decisions on the calls of `result.pending` (or answers to their
    questions), by their ids. output: the type of `result.output`. output_check: called with the final answer; raises
    ValueError when it is not valid. output_retries: how often the model is sent what is wrong with its answer to try
    again. instructions, tools, limits, output_check: instead of the agent's; None: the agent's. sampling: fields such
    as temperature and max_tokens, over the backend's own; None omits a field.
    """

    messages: Iterable[Mapping[str, Any]] = ()
    session: Session | Turn | None = None
    request_id: str | None = None
    deps: Any = None
    cancel: threading.Event | None = None
    approve: Approvals | None = None
    output: Any = str
    output_check: OutputCheck | None = None
    output_retries: int = 2
    instructions: Instructions | None = None
    tools: Iterable[AnyTool] | None = None
    limits: Limits | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
