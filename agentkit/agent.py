"""The agent: a backend, tools, instructions and limits."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from agentkit import loop
from agentkit._closing import Closable
from agentkit.backend import Backend
from agentkit.errors import ConfigurationError, TranscriptError
from agentkit.event import (
    Result,
    ToolStarted,
)
from agentkit.limits import Budget, Limits
from agentkit.message import Image, Prompt, system, user
from agentkit.middleware.base import NoCapabilities
from agentkit.middleware.cancellation import Cancellable
from agentkit.middleware.context_window import ContextSize, FitToContext, Window
from agentkit.middleware.eager_tools import EagerTools
from agentkit.middleware.history_cut import TrimmedHistory
from agentkit.middleware.pricing import Priced, Prices
from agentkit.middleware.retry import Retrying
from agentkit.providers import resolve
from agentkit.repair import repaired
from agentkit.run import Run
from agentkit.session import Session
from agentkit.sessions.journal import Journal
from agentkit.toolbox import Decisions, RunToolbox, Toolbox, ToolLatency
from agentkit.tools import Context, Tool, tool
from agentkit.transcript import Transcript

if TYPE_CHECKING:
    from agentkit.middleware.structured_output import TypedAnswer


class Agent(Closable):
    """Answers questions with the help of tools. Immutable, and can be shared between threads.

    model: a name "provider:model[@url]" (see `agentkit.providers.resolve`), or a backend. tools: functions, plain or
    decorated with `@tool`. instructions: the system message. limits: what one run may spend. prices: the prices of the
    model's tokens, for servers that don't report a cost; None uses the genai-prices package when there is a limit on
    the cost. early_start: whether read-only tools start while the reply is still streaming, each as soon as its own
    arguments are complete; with such tools `run` requests a stream too. window: how much of a long history is sent (an
    int: the model's context in tokens); None queries the server for its context when the history gets long.
    middleware: what wraps the backend, outermost first; agentkit's own (retries, cancellation, ...) goes around it, so
    that it sees each request as it is sent.

    A backend made from a name is closed with the agent (`close()`, or `with Agent(...) as agent:`).
    Raises ConfigurationError for an invalid model name, ToolDefinitionError for an invalid tool.
    """

    def __init__(
        self,
        model: str | Backend,
        *,
        tools: Iterable[Tool[..., Any] | Callable[..., Any]] = (),
        instructions: str | None = None,
        limits: Limits | None = None,
        prices: Prices | None = None,
        early_start: bool = True,
        window: Window | int | None = None,
        middleware: Sequence[Callable[[Backend], Backend]] = (),
    ) -> None:
        if not isinstance(model, str) and not hasattr(model, "reply"):
            raise ConfigurationError(
                f"Agent({model!r}): the model must be a backend or a name such as 'openai:gpt-5-mini'"
            )
        self._toolbox = Toolbox(tools)
        self._owns_backend = isinstance(model, str)
        self._given = resolve(model) if isinstance(model, str) else model
        backend: Backend = self._given if hasattr(self._given, "capabilities") else NoCapabilities(self._given)
        self._backend = functools.reduce(lambda wrapped, wrap: wrap(wrapped), reversed(middleware), backend)
        self._instructions = instructions
        self._limits = limits or Limits()
        self._prices = prices
        self._early_start = early_start
        self._latency = ToolLatency()
        self._window = Window(window) if isinstance(window, int) else window or Window()
        self._size = ContextSize(self._window.tokens)
        self._is_complete = True

    def __setattr__(self, name: str, value: object) -> None:
        if "_is_complete" in self.__dict__:
            raise AttributeError(f"an Agent is immutable, so that threads can share it: create another with {name}=...")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"Agent({self._backend!r}, tools=[{', '.join(tool.name for tool in self._toolbox)}])"

    def close(self) -> None:
        """Close the backend if the agent made it from a name."""
        if self._owns_backend:
            self._backend.close()

    @property
    def backend(self) -> Backend:
        """The backend that replies are requested from."""
        return self._given

    @property
    def tools(self) -> tuple[Tool[..., Any], ...]:
        """The tools, in the order in which they are sent to the model."""
        return tuple(self._toolbox)

    @property
    def limits(self) -> Limits:
        """What one run may spend."""
        return self._limits

    def run(
        self,
        prompt: Prompt | None = None,
        *,
        messages: Iterable[Mapping[str, Any]] = (),
        session: Session | None = None,
        deps: Any = None,
        cancel: threading.Event | None = None,
        approve: Decisions | None = None,
        output: Any = str,
        output_retries: int = 2,
    ) -> Result:
        """Answer a question; returns when there is an answer or a limit is reached.

        prompt: a text, or texts and Images in order; None continues from `messages` or the session as they are.
        messages: an earlier transcript (`result.messages`), or any history: what violates the rules of chat servers is
        repaired and reported in `result.repairs`. session: instead of messages, the stored conversation that the prompt
        continues; each message and tool call is stored there before its event is emitted. deps: passed to tools as
        `ctx.deps`. cancel: set it in another thread to stop the run. approve: see `resume`. output: the type of
        `result.output`: a pydantic model, a dataclass, TypedDict, Literal, list, union, ...; output_retries: how often
        the model is sent the validation error of its answer to try again.

        Raises TranscriptError for an empty prompt or invalid messages, OutputError when the model gives no answer of
        the type, SessionError when the session can't be read or written (SessionBusyError: another writer holds it),
        and the openai package's APIError and its subclasses when the model server fails. An exception raised during a
        run has the attribute `.messages`, the valid transcript up to that point.
        """
        typed = (output, output_retries)
        with self._begin(prompt, messages, deps, cancel, False, session=session, approve=approve, typed=typed) as run:
            for _ in run:
                pass
            assert run.result is not None
            return run.result

    def resume(
        self,
        conversation: Session | Iterable[Mapping[str, Any]],
        *,
        approve: Decisions | None = None,
        deps: Any = None,
        cancel: threading.Event | None = None,
        output: Any = str,
        output_retries: int = 2,
    ) -> Result:
        """Continue from where a run stopped: after a crash, or after the approval of a person.

        conversation: a session, or messages (`result.messages`). approve: a decision on each call of `result.pending`,
        by its id: True, False, the reason of a refusal (a str, which is sent to the model), or other arguments (a
        dict). A call that had started when an earlier run of the session was killed is not run again: the model is
        informed that its effect is not known, and it is listed in `result.unknown_calls`. The other parameters are
        those of `run`.

        Raises what `run` raises, and ConfigurationError for a decision on a call that is not open.
        """
        options: dict[str, Any] = {"output": output, "output_retries": output_retries}
        if isinstance(conversation, Session):
            return self.run(session=conversation, approve=approve, deps=deps, cancel=cancel, **options)
        return self.run(messages=conversation, approve=approve, deps=deps, cancel=cancel, **options)

    def stream(
        self,
        prompt: Prompt | None = None,
        *,
        messages: Iterable[Mapping[str, Any]] = (),
        session: Session | None = None,
        deps: Any = None,
        cancel: threading.Event | None = None,
        approve: Decisions | None = None,
        output: Any = str,
        output_retries: int = 2,
    ) -> "Run":
        """The same as `run`, as an iterator of events, the last of which is RunFinished.

        You may stop at any event and continue later with `agent.run(messages=run.messages)` or
        `agent.resume(session)`. The session stays locked from this call to the end of the run: iterate to the end, or
        close the run.
        """
        typed = (output, output_retries)
        return self._begin(prompt, messages, deps, cancel, True, session=session, approve=approve, typed=typed)

    def as_tool(self, name: str, description: str, *, read_only: bool = False) -> Tool[..., str]:
        """This agent as a tool of another agent, which gives it a task as text.

        It does not see the other agent's conversation. What it spends counts against the other agent's limits too
        (except turns), and it is cancelled together with it. read_only: none of its tools changes anything, so that
        several of its calls may run in parallel. A call of its own that needs a person's approval ends its run, which
        the tool's result says. Raises ToolDefinitionError for an invalid name or description.
        """

        def ask(task: str, ctx: Context) -> str:
            with self._begin(task, (), ctx.deps, ctx.cancel, stream=False, parent=ctx.budget) as run:
                for event in run:
                    if isinstance(event, ToolStarted):
                        ctx.progress(f"{name}: {event.name}({event.raw_arguments})")
                result = run.result
            assert result is not None
            ending = "" if result.stopped == "answer" else f"({name} stopped early: {result.stopped})"
            return "\n".join(part for part in (result.output, ending) if part)

        ask.__doc__ = f"{description}\n\nArgs:\n    task: The complete task; it does not see this conversation."
        return tool(name=name, description=description, read_only=read_only)(ask)

    def _begin(
        self,
        prompt: Prompt | None,
        messages: Iterable[Mapping[str, Any]],
        deps: Any,
        cancel: threading.Event | None,
        stream: bool,
        parent: Budget | None = None,
        session: Session | None = None,
        approve: Decisions | None = None,
        typed: tuple[Any, int] = (str, 0),
    ) -> "Run":
        if session is not None and not isinstance(session, Session):
            raise ConfigurationError(f"session={session!r:.80} is not a Session: pass SQLiteSessions(path)[id]")
        with contextlib.ExitStack() as resources:
            answer = self._typed(*typed)
            journal = resources.enter_context(Journal.opened(session))
            first_prompt = answer.prompt(_checked(prompt)) if answer is not None and prompt is not None else prompt
            transcript, repairs, offset = self._transcript(first_prompt, messages, journal)
            decisions = _decisions(approve, transcript)
            budget = Budget(self._limits, parent=parent)
            context = Context(
                deps=deps,
                deadline=budget.deadline(),
                end=budget.end(),
                cancel=cancel,
                budget=budget,
                session=session.id if session is not None else None,
            )
            by_tool = answer is not None and answer.by_tool
            tools = Toolbox([*self._toolbox, answer.tool()]) if answer is not None and by_tool else self._toolbox
            toolbox = RunToolbox(tools, self._latency, decisions)
            backend: Backend = Retrying(self._priced())
            if self._early_start:
                backend = EagerTools(backend, toolbox, context)
            backend = self._fitted(backend, toolbox, journal, repairs, offset)
            if answer is not None:
                from agentkit.middleware.structured_output import StructuredOutput

                backend = StructuredOutput(backend, answer)
            backend = Cancellable(backend, cancel, budget.reply_deadline)
            steps = functools.partial(loop.run, transcript, backend, toolbox, budget, context, stream)
            raises = self._limits.on_limit == "raise"
            return Run(steps, transcript, budget, cancel, journal, repairs, raises, answer, resources.pop_all().close)

    def _fitted(
        self, backend: Backend, toolbox: RunToolbox, journal: Journal, repairs: Sequence[str], offset: int
    ) -> FitToContext:
        """The backend, wrapped to send as much of the history as fits. offset: the number of messages before the
        session's."""
        has_view = not repairs and journal.view is not None
        view = TrimmedHistory.restored(journal.view or {}, offset) if has_view else None
        spent = journal.spent if view is not None or journal.view is None else None
        return FitToContext(
            backend,
            self._window,
            self._size,
            toolbox,
            view,
            spent,
            lambda made: journal.note_view(made.stored(offset)),
        )

    def _typed(self, output: Any, retries: int) -> "TypedAnswer | None":
        if output is str:
            return None
        from agentkit.middleware.structured_output import OutputType, TypedAnswer

        return TypedAnswer(OutputType(output), self._backend, bool(self._toolbox), retries)

    def _priced(self) -> Backend:
        """The backend, wrapped so that its usage has a cost where prices or a limit on the cost are set."""
        if self._prices is None and self._limits.cost is None:
            return self._backend
        return Priced(self._backend, self._prices)

    def _transcript(
        self, prompt: Prompt | None, messages: Iterable[Mapping[str, Any]], journal: Journal
    ) -> tuple[Transcript, list[str], int]:
        if isinstance(messages, str | Mapping) or not isinstance(messages, Iterable):
            raise TranscriptError(
                f"messages is a {type(messages).__name__}: pass a list of messages, or result.messages"
            )
        earlier = list(messages)
        if journal.messages is not None:
            if earlier:
                raise TranscriptError("pass either messages or a session, not both: a session has its own messages")
            earlier = [*journal.messages]
        if prompt is None and not earlier:
            raise TranscriptError("there is nothing to answer: pass a prompt, or messages to continue from")
        prompt_messages = [] if prompt is None else [user(_checked(prompt))]
        unknown_results = journal.unknown_results()
        history, repairs = repaired([*earlier, *unknown_results], closed=prompt is not None)
        journal.write(unknown_results, history, earlier, prompt_messages)
        first = history[0] if history else None
        has_system = isinstance(first, Mapping) and first.get("role") in ("system", "developer")
        is_instructed = bool(self._instructions) and not has_system
        if is_instructed and self._instructions:
            history.insert(0, cast(Any, system(self._instructions)))
        transcript = Transcript(history)
        transcript.extend([*journal.held, *prompt_messages])
        return transcript, repairs, int(is_instructed)


def _decisions(approve: Decisions | None, transcript: Transcript) -> Decisions:
    """Return the decisions. Raises ConfigurationError for one that is invalid or not on an open call."""
    due = transcript.whats_due()
    waiting = {call["id"] for call in due} if isinstance(due, tuple) else set()
    for call_id, decision in (approve or {}).items():
        if call_id not in waiting:
            names = ", ".join(sorted(waiting)) or "none"
            raise ConfigurationError(f"approve={{{call_id!r}: ...}}: no such call is open (open: {names})")
        if not isinstance(decision, bool | str | Mapping):
            raise ConfigurationError(
                f"approve={{{call_id!r}: {decision!r:.40}}}: pass True, False, the reason of a refusal (a str), or "
                "other arguments (a dict)"
            )
    return approve or {}


def _checked(prompt: Prompt) -> Prompt:
    if isinstance(prompt, str):
        if not prompt.strip():
            raise TranscriptError("the prompt is empty")
        return prompt
    if not isinstance(prompt, Sequence) or not prompt:
        raise TranscriptError(f"the prompt is a {type(prompt).__name__}: pass a str, or a list of str and Image")
    for part in prompt:
        if not isinstance(part, str | Image):
            raise TranscriptError(f"the prompt has a part of type {type(part).__name__}: pass only str and Image")
    return prompt
