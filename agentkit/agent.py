"""The agent: a backend, some tools, instructions and limits; and a run of it."""

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
from agentkit.middleware.cancellation import Cancellable
from agentkit.middleware.context_window import FitToContext, Size, Window
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
    """Answers questions with the help of tools. Immutable, and shared freely between threads.

    model: a name "provider:model[@url]" (see `agentkit.providers.resolve`), or a backend. tools: functions, made by
    `@tool` or plain. instructions: the system message. limits: what one run may spend. prices: of the model's tokens,
    for servers that don't report a cost; None asks the genai-prices package, where a limit on the cost needs it.
    early_start: whether read-only tools start while the reply still comes, each when its own arguments are closed;
    with such tools `run` asks the server for a stream too, to that end. window: how much of a long history is sent (an
    int: the model's context in tokens); None asks the server for its context when the history gets long.

    A backend made from a name is closed with the agent (`close()`, or `with Agent(...) as agent:`).
    Raises ConfigurationError when the model's name can't be used, ToolDefinitionError when a tool can't.
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
    ) -> None:
        if not isinstance(model, str) and not hasattr(model, "reply"):
            raise ConfigurationError(f"Agent({model!r}): the model is a name such as 'openai:gpt-5-mini', or a backend")
        self._toolbox = Toolbox(tools)
        self._owns_backend = isinstance(model, str)
        self._backend = resolve(model) if isinstance(model, str) else model
        self._instructions = instructions
        self._limits = limits or Limits()
        self._prices = prices
        self._early_start = early_start
        self._pace = ToolLatency()
        self._window = Window(window) if isinstance(window, int) else window or Window()
        self._size = Size(self._window.tokens)

    def __repr__(self) -> str:
        return f"Agent({self._backend!r}, tools=[{', '.join(tool.name for tool in self._toolbox)}])"

    def close(self) -> None:
        """Close the backend if the agent made it from a name."""
        if self._owns_backend:
            self._backend.close()

    @property
    def backend(self) -> Backend:
        """What is asked for replies."""
        return self._backend

    @property
    def tools(self) -> tuple[Tool[..., Any], ...]:
        """The tools, in the order in which the model is told of them."""
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
        """Answer a question, and return when there is an answer or a limit is reached.

        prompt: a text, or texts and Images in order; None goes on with `messages` or the session as they are. messages:
        an earlier transcript (`result.messages`), or any history: what breaks the rules of chat servers is repaired,
        and told in `result.repairs`. session: instead of messages, the conversation that the prompt goes on with; all
        that is said and done is stored there before it is told. deps: handed to tools as `ctx.deps`. cancel: set it in
        another thread to stop the run. approve: see `resume`. output: the type of `result.output`: a pydantic model, a
        dataclass, TypedDict, Literal, list, union, ...; output_retries: how often the model is told what is wrong with
        its answer.

        Raises TranscriptError for an empty prompt or messages that are none, OutputError when the answer does not get
        the type, SessionError when the session can't be read or written (SessionBusyError: by another writer), and the
        openai package's APIError and its children when the model server fails. Any exception that leaves a run has
        `.messages`, the valid transcript up to there.
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
        """Go on from where a run stopped: after a crash, or for the approval of a person.

        conversation: a session, or messages (`result.messages`). approve: a word on each call of `result.pending`, by
        its id: True, False, why not (a text, which the model is told), or other arguments (a dict). A call that was
        started when an earlier run of the session was killed is not run again: the model is told that its effect is
        not known, and it is listed in `result.unknown_calls`.

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
        """The same as `run`, told while it goes on: iterate over its events, the last of which is RunFinished.

        Walk away from it at any event and go on later with `agent.run(messages=run.messages)`, or with
        `agent.resume(session)`. A session is held from here to the end of the run: iterate, or close it.
        """
        typed = (output, output_retries)
        return self._begin(prompt, messages, deps, cancel, True, session=session, approve=approve, typed=typed)

    def as_tool(self, name: str, description: str, *, read_only: bool = False) -> Tool[..., str]:
        """This agent as a tool of another one, which gives it a task in words.

        It sees nothing of the other's conversation. What it spends counts there too, the other's limits (but for
        turns) hold for it, and it is cancelled with the other. read_only: none of its tools changes anything, so that
        several may run at once. A call of its own that needs a person's approval ends its run, and the other is told
        so. Raises ToolDefinitionError for a name or description that can't be used.
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

        ask.__doc__ = (
            f"{description}\n\nArgs:\n    task: The whole task, in words: it knows nothing of this conversation."
        )
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
            raise ConfigurationError(f"session={session!r:.80} is no session: write SQLiteSessions(path)[id]")
        with contextlib.ExitStack() as leaving:
            answer = self._typed(*typed)
            book = leaving.enter_context(Journal.opened(session))
            asked = answer.prompt(_checked(prompt)) if answer is not None and prompt is not None else prompt
            transcript, repairs, offset = self._transcript(asked, messages, book)
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
            toolbox = RunToolbox(tools, self._pace, decisions)
            backend: Backend = Retrying(self._priced())
            if self._early_start:
                backend = EagerTools(backend, toolbox, context)
            backend = self._fitted(backend, toolbox, book, repairs, offset)
            if answer is not None:
                from agentkit.middleware.structured_output import StructuredOutput

                backend = StructuredOutput(backend, answer)
            backend = Cancellable(backend, cancel, budget.reply_deadline)
            steps = functools.partial(loop.run, transcript, backend, toolbox, budget, context, stream)
            raises = self._limits.on_limit == "raise"
            return Run(steps, transcript, budget, cancel, book, repairs, raises, answer, leaving.pop_all().close)

    def _fitted(
        self, backend: Backend, toolbox: RunToolbox, book: Journal, repairs: Sequence[str], offset: int
    ) -> FitToContext:
        """offset: how many messages stand before those of the session."""
        has_places = not repairs and book.view is not None
        view = TrimmedHistory.restored(book.view or {}, offset) if has_places else None
        spent = book.spent if view is not None or book.view is None else None
        return FitToContext(
            backend,
            self._window,
            self._size,
            toolbox,
            self._backend,
            view,
            spent,
            lambda made: book.note_view(made.stored(offset)),
        )

    def _typed(self, output: Any, retries: int) -> "TypedAnswer | None":
        if output is str:
            return None
        from agentkit.middleware.structured_output import OutputType, TypedAnswer

        return TypedAnswer(OutputType(output), self._backend, bool(self._toolbox), retries)

    def _priced(self) -> Backend:
        """The backend, with a cost in its usage where one is asked for."""
        if self._prices is None and self._limits.cost is None:
            return self._backend
        model, base_url = getattr(self._backend, "model", ""), getattr(self._backend, "base_url", None)
        return Priced(self._backend, self._prices, str(model), base_url)

    def _transcript(
        self, prompt: Prompt | None, messages: Iterable[Mapping[str, Any]], book: Journal
    ) -> tuple[Transcript, list[str], int]:
        if isinstance(messages, str | Mapping) or not isinstance(messages, Iterable):
            raise TranscriptError(
                f"messages is a {type(messages).__name__}: give a list of messages, or result.messages"
            )
        earlier = list(messages)
        if book.messages is not None:
            if earlier:
                raise TranscriptError("give messages or a session, not both: a session has messages of its own")
            earlier = [*book.messages]
        if prompt is None and not earlier:
            raise TranscriptError("there is nothing to answer: give a prompt, or messages to go on from")
        asked = [] if prompt is None else [user(_checked(prompt))]
        answered = book.unknown_answers()
        mended, repairs = repaired([*earlier, *answered], closed=prompt is not None)
        book.write(answered, mended, earlier, asked)
        first = mended[0] if mended else None
        has_system = isinstance(first, Mapping) and first.get("role") in ("system", "developer")
        is_instructed = bool(self._instructions) and not has_system
        if is_instructed and self._instructions:
            mended.insert(0, cast(Any, system(self._instructions)))
        transcript = Transcript(mended)
        transcript.extend([*book.held, *asked])
        return transcript, repairs, int(is_instructed)


def _decisions(approve: Decisions | None, transcript: Transcript) -> Decisions:
    """The decisions, if each is one and on an open call. Raises ConfigurationError."""
    due = transcript.whats_due()
    waiting = {call["id"] for call in due} if isinstance(due, tuple) else set()
    for call_id, decision in (approve or {}).items():
        if call_id not in waiting:
            named = ", ".join(sorted(waiting)) or "none"
            raise ConfigurationError(f"approve={{{call_id!r}: ...}}: no such call is open (open are: {named})")
        if not isinstance(decision, bool | str | Mapping):
            raise ConfigurationError(
                f"approve={{{call_id!r}: {decision!r:.40}}}: write True, False, why not (a str), or other arguments "
                "(a dict)"
            )
    return approve or {}


def _checked(prompt: Prompt) -> Prompt:
    if isinstance(prompt, str):
        if not prompt.strip():
            raise TranscriptError("the prompt is empty: ask something")
        return prompt
    if not isinstance(prompt, Sequence) or not prompt:
        raise TranscriptError(f"the prompt is a {type(prompt).__name__}: give a str, or a list of str and Image")
    for piece in prompt:
        if not isinstance(piece, str | Image):
            raise TranscriptError(f"the prompt has a piece of type {type(piece).__name__}: give str and Image only")
    return prompt
