"""The run in which a tool is called, as the tool sees it."""

import functools
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

from agentkit._lazy.records import dataclass, field, replace
from agentkit._text import joined_surrogates, short_repr
from agentkit.errors import ArgumentsError, ConfigurationError
from agentkit.event import Result, T
from agentkit.evidence.sources import Sources
from agentkit.limits import Budget
from agentkit.message import Message, Prompt
from agentkit.tooling.closing import Closing
from agentkit.tooling.interrupts import Handlers, handlers_in_place
from agentkit.tooling.long_results import LongResults
from agentkit.tooling.outcome import Outcome
from agentkit.tooling.questions import Question, QuestionAsked

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    D = TypeVarWithDefault("D", default=Any)
else:
    D = TypeVar("D")


def _ignore_progress(text: str) -> None:
    """The progress of a tool that nobody follows."""


class Nested(Protocol):
    """An agent, to be run inside of a tool."""

    def _run_within(
        self, context: "Context[Any]", prompt: Prompt | None, options: Mapping[str, Any], output: Any, name: str = ""
    ) -> Result[Any]: ...


class CallHooks:
    """What stands around the tool calls of a run: nothing; see `agentkit.running.run_hooks`."""

    @functools.cached_property
    def handlers(self) -> Handlers:
        """The handlers of signals that were there when the first tool of the run was called."""
        return handlers_in_place()

    def answer(self, tool: Any, arguments: str, context: "Context[Any]") -> Outcome:
        """Run one call. tool: a Tool. arguments: JSON text."""
        made: Outcome = tool.answer(arguments, context)
        return made


class RunTools:
    """The tools of a run, as a tool may change them (`ctx.tools`). This one belongs to no run: it has none."""

    def add(self, *tools: Any) -> None:
        """Offer more tools to the model, from its next reply on until the end of this run. tools: functions, plain or
        decorated with `@tool`. With tool search (`Agent(tool_search=True)`) the model finds them, and what is sent
        begins with the same bytes as before; else their schemas are sent behind those of the others.

        Raises ToolDefinitionError for an invalid tool, and for one whose name another tool has.
        """
        raise ConfigurationError("ctx.tools.add(): this Context belongs to no run")

    def remove(self, *names: str) -> None:
        """Offer tools no longer; a call of one is answered as that of a tool that does not exist. Raises
        ConfigurationError when there is none of that name."""
        raise ConfigurationError("ctx.tools.remove(): this Context belongs to no run")

    @property
    def names(self) -> list[str]:
        """The names of the tools that may be called."""
        return []


@dataclass(frozen=True)
class Context(Generic[D]):
    """The run in which a tool is called; a parameter annotated `Context` or `Context[Deps]` receives it.

    deps: what was passed as `run(..., deps=...)`. deadline: the `time.monotonic()` at which the run continues without
    its tools, or None; end: at which it ends. cancel: set when the run is to stop, or no longer waits for this call.
    progress: reports what the tool is doing, as a ToolProgress event. budget: what the run may spend, for an agent that
    is run inside the tool. session: the id of the run's session, or None; store: where that is. messages: the run's
    messages so far; not to be changed. offset: the index in them of the message with the number 0 (negative where it
    was not read), from which `earlier_result` counts. long_results: the whole texts of results that were cut.
    tool_timeout: the seconds after which the run continues without a tool that has no timeout of its own. closing: with
    what another thread closes the run. hooks: what stands around its tool calls, and those of the agents that run
    inside of it. tools: those of the run, to add others. answer: what a person has answered to the question of this
    call (see `ask`), as it was given; None: nothing. sources: the numbered sources of the run, to add one (see
    `source`). call_id: the id of this call, as events, records and the transcript have it, and `result.pending`;
    servers may use one again in a later reply. None: the call began before its reply was complete (`read_only` tools
    only), or is no call of a run.
    """

    deps: D = None  # type: ignore[assignment]
    deadline: float | None = None
    end: float | None = None
    cancel: threading.Event | None = None
    progress: Callable[[str], None] = _ignore_progress
    budget: Budget | None = field(default=None, repr=False)
    session: str | None = None
    store: object = field(default=None, repr=False, compare=False)
    messages: Sequence[Message] = field(default=(), repr=False)
    offset: int = 0
    long_results: LongResults = field(default_factory=LongResults, repr=False, compare=False)
    tool_timeout: float | None = None
    closing: Closing | None = field(default=None, repr=False, compare=False)
    hooks: CallHooks = field(default_factory=CallHooks, repr=False, compare=False)
    tools: RunTools = field(default_factory=RunTools, repr=False, compare=False)
    answer: Any = field(default=None, repr=False, compare=False)
    sources: Sources = field(default_factory=Sources, repr=False, compare=False)
    call_id: str | None = None

    @property
    def cancelled(self) -> bool:
        """Whether the run is to stop: it was cancelled, or its time limit is reached."""
        is_over = self.end is not None and time.monotonic() >= self.end
        return is_over or (self.cancel is not None and self.cancel.is_set())

    @overload
    def run(self, agent: "Nested", prompt: Prompt | None = None, *, output: type[T], **options: Any) -> Result[T]: ...
    @overload
    def run(self, agent: "Nested", prompt: Prompt | None = None, *, output: Any, **options: Any) -> Result[Any]: ...
    @overload
    def run(self, agent: "Nested", prompt: Prompt | None = None, **options: Any) -> Result[str]: ...
    def run(self, agent: "Nested", prompt: Prompt | None = None, *, output: Any = str, **options: Any) -> Result[Any]:
        """Run another agent inside of this tool, as `agent.run(prompt, output=..., **options)` does, but as a part of
        this run: what it spends counts here, the limits of this run (but that on turns) hold for it, and it stops with
        this run. It is given the same `deps`, unless others are passed; its tool calls are reported as progress.

        Raises what `Agent.run` raises, and ConfigurationError for what is no agent.
        """
        within = getattr(agent, "_run_within", None)
        if within is None:
            raise ConfigurationError(f"ctx.run({short_repr(agent)}, ...): the first argument is the agent to run")
        if "cancel" in options:
            raise ConfigurationError("ctx.run(cancel=...): it is cancelled with the run of the context")
        made: Result[Any] = within(self, prompt, {"deps": self.deps, **options, "cancel": self.cancel}, output)
        return made

    def ask(self, text: str, schema: Mapping[str, Any] | None = None) -> Any:
        """Ask a person something, before the tool has had any effect: the run pauses as for an approval, with the
        question in `result.pending`. `agent.resume(..., approve={call.id: answer})` calls the tool again from its
        beginning, and then this returns the answer; where it is refused (False, or a text) the call is not made.

        text: for the person. schema: the JSON schema of an object; the answer is a dict that fits it (another is asked
        for again, with what is wrong). None: the answer is True. A tool asks one question. In a run that can't pause
        (an agent inside of a tool, a service that has nobody to ask) the call fails, and the model is told.
        """
        from agentkit.tooling.json_repair import cleaned

        question = Question(joined_surrogates(str(text)), cleaned(schema))
        if self.answer is None:
            raise QuestionAsked(question)
        if schema is None:
            return self.answer
        written = json.dumps({} if self.answer is True else self.answer, ensure_ascii=False, default=str)
        try:
            from agentkit.tooling.argument_readers import schema_reader

            return schema_reader(schema, "answer", has_effect=True)(written)[0]
        except ArgumentsError as error:
            raise QuestionAsked(replace(question, problem=str(error))) from None

    def source(
        self, address: str, title: str = "", text: str = "", *, read: bool = True, also: Iterable[str] = ()
    ) -> int:
        """Add a source of what the tool returns, such as a page that it has read, and return its number. The model is
        told to cite it by that, such as [3], and the answer is checked against its text (`result.citations`).

        address: its URL, path or name, by which it has the same number in the whole session. text: all that was read of
        it, of which the result may show a part. read: False for one that was only found, such as a hit of a search;
        text is its snippet then. also: other addresses of it, such as one that was redirected. Write the number into
        the result as it is: [{number}] in front of what comes from it. A source that the result does not name is listed
        behind it. The number is final when the call is answered, and not to be kept elsewhere.

        Raises ValueError for an address that is empty, and for a title or text that is none.
        """
        if not isinstance(address, str) or not address.strip():
            raise ValueError("ctx.source(address): name the URL, the path or the name of the source")
        if not isinstance(title, str) or not isinstance(text, str):
            raise ValueError("ctx.source(title=, text=): pass texts")
        others = (also,) if isinstance(also, str) else [each for each in also if each.strip()]
        return self.sources.add(" ".join(address.split()), title, text, read=read, also=others)

    @property
    def can_stop(self) -> bool:
        """Whether the run may be stopped while a tool is running. One that is closed waits for a tool that runs in the
        thread of the run."""
        cancel = self.cancel if self.closing is None else self.closing.cancel
        return cancel is not None or self.deadline is not None
