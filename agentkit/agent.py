"""The agent: a backend, tools, instructions and limits."""

import contextlib
import copy
import functools
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Unpack, cast, overload

from agentkit import loop
from agentkit._closing import Closable
from agentkit._text import known_options
from agentkit.backend import Backend
from agentkit.errors import ConfigurationError, OutputError, TranscriptError
from agentkit.event import Result, T, ToolStarted
from agentkit.executor import Decisions, Executor, ToolLatency
from agentkit.limits import Budget, Limits
from agentkit.message import Image, Prompt, system, user
from agentkit.middleware.base import NoCapabilities
from agentkit.middleware.context_window import ContextSize, Window
from agentkit.middleware.pricing import Prices
from agentkit.middleware.stack import RunScope, wrapped
from agentkit.middleware.text_answer import TextAnswer
from agentkit.options import ConversationArguments, RunArguments, RunOptions
from agentkit.providers import resolve
from agentkit.repair import repaired
from agentkit.run import Arriving, Run, events_of
from agentkit.session import Session
from agentkit.sessions.turn import Turn
from agentkit.toolbox import Toolbox, toolbox_of
from agentkit.tooling.earlier_result import HIDDEN_TOOLS
from agentkit.tooling.options import ToolArguments
from agentkit.tooling.pickling import Part, check, parts_of_tool
from agentkit.tools import Context, Tool, tool
from agentkit.transcript import Due, Transcript


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
        self._model, self._middleware = model, tuple(middleware)
        self._instructions = instructions
        self._limits = limits or Limits()
        self._latency = ToolLatency()
        window = Window(window) if isinstance(window, int) else window or Window()
        size = ContextSize(window.tokens)
        self._scope = functools.partial(RunScope, prices=prices, window=window, size=size, early_start=early_start)
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

    @overload
    def run(
        self, prompt: Prompt | None = None, *, output: type[T], **options: Unpack[ConversationArguments]
    ) -> Result[T]: ...
    @overload
    def run(
        self, prompt: Prompt | None = None, *, output: Any, **options: Unpack[ConversationArguments]
    ) -> Result[Any]: ...
    @overload
    def run(self, prompt: Prompt | None = None, **options: Unpack[ConversationArguments]) -> Result[str]: ...
    def run(
        self, prompt: Prompt | None = None, *, output: Any = str, **options: Unpack[ConversationArguments]
    ) -> Result[Any]:
        """Answer a question; returns when there is an answer or a limit is reached.

        prompt: a text, or texts and Images in order; None continues from `messages` or the session as they are.
        messages: an earlier transcript (`result.messages`), or any history: what violates the rules of chat servers is
        repaired and reported in `result.repairs`. session: instead of messages, the stored conversation that the prompt
        continues, or an open turn of it (`session.turn()`); each message and tool call is stored there before its event
        is emitted. request_id: the client's id of this request in its session (idempotency key): the same request gets
        the answer that it has, or goes on where it stopped. deps: passed to tools as
        `ctx.deps`. cancel (threading.Event): set it in another thread to stop the run. approve: see `resume`. output:
        the type of `result.output`: a pydantic model, a dataclass, TypedDict, Literal, list, union, ...;
        output_retries: how often the model is sent the validation error of its answer to try again (default: 2).
        instructions, tools, limits: for this run instead of the agent's. sampling: fields such as temperature and
        max_tokens, over the backend's own; None omits a field.

        Raises TranscriptError for an empty prompt or invalid messages, OutputError when the model gives no answer of
        the type, SessionError when the session can't be read or written (SessionBusyError: another writer holds it),
        ConfigurationError for a sampling field that the backend does not accept, and the openai package's APIError and
        its subclasses when the model server fails. An exception raised during a run has the attribute `.messages`, the
        valid transcript up to that point.
        """
        return self._finish(self._begin(prompt, _checked_options("run", output, options), stream=False))

    @overload
    def resume(
        self,
        conversation: Session | Iterable[Mapping[str, Any]],
        *,
        output: type[T],
        **options: Unpack[RunArguments],
    ) -> Result[T]: ...
    @overload
    def resume(
        self, conversation: Session | Iterable[Mapping[str, Any]], *, output: Any, **options: Unpack[RunArguments]
    ) -> Result[Any]: ...
    @overload
    def resume(
        self, conversation: Session | Iterable[Mapping[str, Any]], **options: Unpack[RunArguments]
    ) -> Result[str]: ...
    def resume(
        self,
        conversation: Session | Iterable[Mapping[str, Any]],
        *,
        output: Any = str,
        **options: Unpack[RunArguments],
    ) -> Result[Any]:
        """Continue from where a run stopped: after a crash, or after the approval of a person.

        conversation: a session, or messages (`result.messages`). approve: a decision on each call of `result.pending`,
        by its id: True, False, the reason of a refusal (a str, which is sent to the model), or other arguments (a
        dict). A call that had started when an earlier run of the session was killed is not run again: the model is
        informed that its effect is not known, and it is listed in `result.unknown_calls`. Where the last question is
        answered already, the answer is returned without a request. The other parameters are those of `run`.

        Raises what `run` raises, and ConfigurationError for a decision on a call that is not open.
        """
        is_session = isinstance(conversation, Session)
        given = {**options, "session" if is_session else "messages": conversation}
        return self._finish(self._begin(None, _checked_options("resume", output, given), stream=False))

    @overload
    def stream(
        self, prompt: Prompt | None = None, *, output: type[T], **options: Unpack[ConversationArguments]
    ) -> Run[T]: ...
    @overload
    def stream(
        self, prompt: Prompt | None = None, *, output: Any, **options: Unpack[ConversationArguments]
    ) -> Run[Any]: ...
    @overload
    def stream(self, prompt: Prompt | None = None, **options: Unpack[ConversationArguments]) -> Run[str]: ...
    def stream(
        self, prompt: Prompt | None = None, *, output: Any = str, **options: Unpack[ConversationArguments]
    ) -> Run[Any]:
        """The same as `run`, as an iterator of events, the last of which is RunFinished.

        You may stop at any event and continue later with `agent.run(messages=run.messages)` or
        `agent.resume(session)`. The session stays locked from this call to the end of the run: iterate to the end, or
        close the run.
        """
        return self._begin(prompt, _checked_options("stream", output, options), stream=True)

    def as_tool(self, name: str, description: str, **options: Unpack[ToolArguments]) -> Tool[..., str]:
        """This agent as a tool of another agent, which gives it a task as text.

        It does not see the other agent's conversation. What it spends counts against the other agent's limits too
        (except turns), and it is cancelled together with it. options: of the tool; read_only: none of its tools changes
        anything, so that several of its calls may run in parallel. A call of its own that needs a person's approval
        ends its run, which the tool's result says. Raises ToolDefinitionError for an invalid name, description or
        option.
        """
        return tool(name=name, description=description, **options)(_Ask(self, name))

    def _finish(self, run: Run[Any]) -> Result[Any]:
        with run:
            for _ in run:
                pass
            assert run.result is not None
            return run.result

    def _begin(
        self, prompt: Prompt | None, options: RunOptions, stream: bool, parent: Budget | None = None
    ) -> Run[Any]:
        with contextlib.ExitStack() as resources:
            tools = self._toolbox if options.tools is None else toolbox_of(options.tools)
            answer = _answer(options, self._backend, bool(tools))
            limits = options.limits or self._limits
            budget = _budget(limits, parent, resources)
            turn = _turn(prompt, options, budget, resources)
            transcript, repairs = _opened(prompt, options, turn, answer, self._instructions)
            context = _context(options, budget, turn, transcript)
            decisions = _decisions(options.approve, transcript)
            executor = Executor(tools.plus(*answer.tools), context, decisions, self._latency, HIDDEN_TOOLS)
            if prompt is None or turn.state != "new":
                _continue(transcript, executor, answer, turn)
            scope = self._scope(limits, options.sampling, answer, executor, budget, turn, bool(repairs))
            steps = loop.run(transcript, wrapped(self._backend, scope), executor, budget, stream)
            arriving = Arriving(transcript, turn, budget)
            events = events_of(steps, transcript, executor, answer, turn, arriving, repairs, stream)
            return Run(events, transcript, turn, arriving, resources.pop_all().close)

    def _made_of(self) -> dict[str, Any]:
        """The arguments from which this agent was made, but for the model."""
        names = ("prices", "window", "early_start")
        return {
            "tools": self.tools,
            "instructions": self._instructions,
            "limits": self._limits,
            "middleware": self._middleware,
            **{name: self._scope.keywords[name] for name in names},
        }

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickled as its arguments; a model's name is resolved again where it is loaded, with the keys of that
        environment. Raises PicklingError that names the part that can't be pickled."""
        check(self._pickled_parts(), protocol)
        return _made_again, (type(self), self._model, self._made_of())

    def _pickled_parts(self) -> list[Part]:
        advice = "make the agent where it is used, or from a model's name"
        backend = Part(f"the backend {type(self._given).__name__}", self._model, advice)
        tools = [part for each in self._toolbox for part in parts_of_tool(each)]
        advice = "define it at the top level of a module"
        return [backend, *tools, *(Part(f"the middleware {each!r}", each, advice) for each in self._middleware)]

    def __copy__(self) -> "Agent":
        return _made_again(type(self), self._model, self._made_of())

    def __deepcopy__(self, memo: dict[int, Any]) -> "Agent":
        """A copy with copies of its tools; a backend that is not its own is shared."""
        arguments = copy.deepcopy(self._made_of(), memo)
        known = memo.get(id(self))  # the object of a tool may hold the agent
        return known if isinstance(known, Agent) else _made_again(type(self), self._model, arguments)


@dataclass(frozen=True)
class _Ask:
    """The function of an agent that is a tool."""

    agent: Agent
    name: str

    def __call__(
        self, task: Annotated[str, "The complete task; it does not see this conversation."], ctx: Context
    ) -> str:
        """Ask the agent."""
        options = RunOptions(deps=ctx.deps, cancel=ctx.cancel)
        with self.agent._begin(task, options, stream=False, parent=ctx.budget) as run:
            for event in run:
                if isinstance(event, ToolStarted):
                    ctx.progress(f"{self.name}: {event.name}({event.raw_arguments})")
            result = run.result
        assert result is not None
        ending = "" if result.stopped == "answer" else f"({self.name} stopped early: {result.stopped})"
        return "\n".join(part for part in (result.output, ending) if part)

    def pickled_parts(self) -> list[Part]:
        """The parts of the agent, for the error message when one of them can't be pickled."""
        return self.agent._pickled_parts()


def _made_again(kind: type[Agent], model: str | Backend, arguments: Mapping[str, Any]) -> Agent:
    return kind(model, **arguments)


def _checked_options(method: str, output: Any, given: Mapping[str, Any]) -> RunOptions:
    options = RunOptions(output=output, **known_options(f"Agent.{method}()", given, RunOptions))
    session, messages = options.session, options.messages
    if session is not None and not isinstance(session, Session | Turn):
        raise ConfigurationError(f"session={session!r:.80} is not a Session: pass SQLiteSessions(path)[id]")
    is_list = type(messages) in (tuple, list)  # nearly always, and quicker to see
    if not is_list and (isinstance(messages, str | Mapping) or not isinstance(messages, Iterable)):
        raise TranscriptError(f"messages is a {type(messages).__name__}: pass a list of messages, or result.messages")
    if options.request_id is not None and not isinstance(session, Session):
        raise ConfigurationError("request_id needs a session to know the request by: pass session= too")
    return options


def _budget(limits: Limits, parent: Budget | None, resources: contextlib.ExitStack) -> Budget:
    budget = Budget(limits, parent=parent)
    resources.callback(budget.release)
    return budget


def _turn(prompt: Prompt | None, options: RunOptions, budget: Budget, resources: contextlib.ExitStack) -> Turn:
    """The turn of the session in which the run takes place. It is rolled back when the run can't be begun."""
    if options.session is None:
        return Turn()
    turn = options.session
    if isinstance(turn, Session):
        content = None if prompt is None else user(_checked(prompt))["content"]
        gives_up = _gives_up(options.cancel, budget.end())
        turn = resources.enter_context(turn.turn(options.request_id, content=content, gives_up=gives_up))
    turn.begin()
    resources.push(lambda kind, error, trace: turn.roll_back() if error is not None else None)
    return turn


def _gives_up(cancel: threading.Event | None, end: float | None) -> Callable[[], bool] | None:
    """Whether a run that waits for its session is to wait no longer; None when nothing can end it."""
    if cancel is None and end is None:
        return None
    return lambda: (cancel is not None and cancel.is_set()) or (end is not None and time.monotonic() >= end)


def _answer(options: RunOptions, backend: Backend, has_tools: bool) -> TextAnswer:
    if options.output is str:
        return TextAnswer()
    from agentkit.middleware.structured_output import OutputType, TypedAnswer

    kind = options.output if isinstance(options.output, OutputType) else OutputType(options.output)
    return TypedAnswer(kind, backend.capabilities(), has_tools, options.output_retries)


def _context(options: RunOptions, budget: Budget, turn: Turn, transcript: Transcript) -> Context:
    return Context(
        deps=options.deps,
        deadline=budget.deadline(),
        end=budget.end(),
        cancel=options.cancel,
        budget=budget,
        session=turn.session_id,
        messages=transcript,
        offset=turn.offset,
    )


def _opened(
    prompt: Prompt | None, options: RunOptions, turn: Turn, answer: TextAnswer, instructions: str | None
) -> tuple[Transcript, list[str]]:
    """The transcript that a run begins with, and what was repaired in it."""
    earlier = list(options.messages)
    if turn.messages is not None:
        if earlier:
            raise TranscriptError("pass either messages or a session, not both: a session has its own messages")
        earlier = [*turn.messages]
    if prompt is None and not earlier:
        raise TranscriptError("there is nothing to answer: pass a prompt, or messages to continue from")
    is_new = prompt is not None and turn.state == "new"
    question = [user(answer.prompt(_checked(prompt)))] if prompt is not None and is_new else []
    unknown_results = turn.unknown_results()
    history, repairs = repaired([*earlier, *unknown_results], closed=is_new)
    if repairs and turn.first_number:  # the numbers of the view are not those of the repaired messages
        turn.read_all()
        return _opened(prompt, options, turn, answer, instructions)
    turn.write(unknown_results, history, earlier, question)
    first = history[0] if history else None
    has_system = isinstance(first, Mapping) and first.get("role") in ("system", "developer")
    instructions = instructions if options.instructions is None else options.instructions
    if instructions and not has_system:
        history.insert(0, cast(Any, system(instructions)))
    transcript = Transcript(history)
    transcript.extend([*turn.held, *question])
    turn.instructed = int(bool(instructions) and not has_system)
    return transcript, repairs


def _continue(transcript: Transcript, executor: Executor, answer: TextAnswer, turn: Turn) -> None:
    """Read the answer of a transcript that has one already, and ask the model to correct it where it is not valid."""
    executor.continue_from(transcript)
    if executor.ended_by is not None or transcript.whats_due() is Due.NOTHING:
        complaint = answer.opening(transcript, executor.ended_by)
        if complaint and turn.state == "answered":
            raise OutputError("the answer that the session has for this request is not of the type", "")
        transcript.extend(complaint)
        turn.add(complaint)


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
