"""The agent: a backend, tools, instructions and limits."""

import contextlib
import copy
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack, overload

from agentkit import loop
from agentkit._closing import Closable
from agentkit._text import cut
from agentkit.backend import Backend
from agentkit.backends.text_tools import TextTools, ToolsAs
from agentkit.event import Result, T, ToolStarted
from agentkit.evidence.settings import Evidence, Mode
from agentkit.executor import MAX_PARALLEL, Executor
from agentkit.limits import Limits
from agentkit.message import Prompt
from agentkit.middleware.base import Balance
from agentkit.middleware.context_window import ContextSize, Window
from agentkit.middleware.stack import RunScope, wrapped
from agentkit.run import Arriving, Run, events_of
from agentkit.running.agent_tools import AgentTools, AnyTool
from agentkit.running.arguments import check_agent, checked_options
from agentkit.running.asked_agent import AskedAgent
from agentkit.running.beginning import (
    answer_of,
    budget_of,
    context_of,
    decisions_on,
    kept_of,
    opened,
    proceed,
    tools_within,
    turn_of,
)
from agentkit.running.models import Model, models_of
from agentkit.running.options import ConversationArguments, Instructions, OutputCheck, RunArguments, RunOptions
from agentkit.running.run_hooks import AgentHooks
from agentkit.running.tool_search import SearchMode, ToolSearch, reserved_by
from agentkit.running.unknown_options import Named
from agentkit.session import Session
from agentkit.taint.settings import TaintMode
from agentkit.tooling.earlier_result import HIDDEN_TOOLS
from agentkit.tooling.latency import ToolLatency
from agentkit.tooling.options import ToolArguments
from agentkit.tools import Context, Tool, tool

if TYPE_CHECKING:
    from typing import Self

    from agentkit.hooks import Hook
    from agentkit.middleware.pricing import ModelPrices
    from agentkit.running.text_pieces import TextPieces
    from agentkit.tooling.pickling import Part


class Agent(Closable, Named):
    """Answers questions with the help of tools. Immutable, and can be shared between threads.

    model: a name "provider:model[@url]" (see `agentkit.providers.resolve`), or a backend; or a list of them: where one
    fails the next is asked, also in the middle of a reply. balance: "sticky" for a list of servers of one model, over
    which conversations are distributed: each stays on its server. tools: functions, plain or decorated with `@tool`,
    and toolsets, such as `agentkit.mcp.MCP`.
    instructions: the system message; or a function that returns it, called once in each run with the run's Context.
    limits: what one run may spend. output_check: called with each final answer (its text; with `output=` the value);
    what it raises (ValueError, AssertionError, ToolError) is sent to the model, which answers again. parallel: how many
    read-only calls of one reply run at once. tool_timeout: the seconds after which a run continues without a tool that
    has no timeout of its own; None: no limit. prices: the prices of the model's tokens (a dict: of several models, by
    name), for servers that don't report a cost; None uses the genai-prices package when there is a limit on the cost.
    early_start: whether read-only tools start while the reply is still streaming, each as soon as its own arguments are
    complete; with such tools `run` requests a stream too, unless they turn out to be quick. window: how much of a long
    history is sent (an int: the model's context in tokens); None queries the server for its context when the history
    gets long. tools_as: how tools are sent: "native" as the API has them, "text" in the messages, for a model or a
    server that has no tools; "auto" as text where they turn out not to reach the model, or a self-hosted server refuses
    them. middleware: what wraps the backend (of several models each), outermost first; agentkit's own (retries,
    cancellation, ...) goes around it, so that it sees each request as it is sent, but for tools that are sent as text.
    hooks: what is called around requests, replies and tool calls, outermost first (`agentkit.Hook`). tool_search:
    whether the model is sent two tools, with which it finds and calls the others, instead of all schemas; "auto": where
    these have more than 16 kB, or are more than 128. always: tools, or their names, that are sent even so. taint: what
    happens to a call whose arguments have words or addresses from the results of tools that no user has written: "ask"
    has it wait for an approval (refused in nested agents), "refuse" tells the model (docs/taint.md). evidence: what
    happens to an answer that the sources which its tools have read don't support (docs/evidence.md): "flag" says so in
    `result.citations`; with "ask again" the model is told, once; "off": nothing is checked. judge: an agent, a backend
    or the name of a model that decides where the check of words can't be sure; it is asked once for each answer.

    A backend made from a name is closed with the agent (`close()`, or `with Agent(...) as agent:`).
    Raises ConfigurationError for an invalid model name or option, ToolDefinitionError for an invalid tool.
    """

    def __init__(
        self,
        model: Model | Sequence[Model],
        *,
        tools: Iterable[AnyTool] | None = (),
        instructions: Instructions | None = None,
        limits: Limits | None = None,
        output_check: OutputCheck | None = None,
        parallel: int = MAX_PARALLEL,
        tool_timeout: float | None = None,
        prices: "ModelPrices | None" = None,
        early_start: bool = True,
        window: Window | int | None = None,
        tools_as: ToolsAs = "auto",
        middleware: Sequence[Callable[[Backend], Backend]] = (),
        hooks: "Sequence[Hook]" = (),
        balance: Balance | None = None,
        tool_search: SearchMode = "auto",
        always: Iterable[str | Tool[..., Any] | Callable[..., Any]] = (),
        evidence: Mode = "flag",
        judge: "Agent | Model | None" = None,
        taint: TaintMode = "off",
    ) -> None:
        given = {"instructions": instructions, "limits": limits, "output_check": output_check, "parallel": parallel}
        check_agent(**given, tool_timeout=tool_timeout, prices=prices, window=window, early_start=early_start)
        check_agent(middleware=middleware, tools_as=tools_as, hooks=hooks, tool_search=tool_search, always=always)
        check_agent(evidence=evidence, taint=taint)
        self._tools = AgentTools(tools, reserved_by(tool_search))
        self._search = ToolSearch(tool_search, always, self._tools)
        around = functools.partial(_around, tools_as=tools_as, middleware=middleware)
        self._models = models_of(model, balance, around)
        self._backend = self._models.backend
        self._balance = balance
        self._model = list(model) if isinstance(model, list | tuple) else model
        self._middleware, self._tools_as = tuple(middleware), tools_as
        self._instructions, self._output_check = instructions, output_check
        self._limits = limits or Limits()
        self._judge = judge
        self._evidence = Evidence(evidence, _judge_of(judge))
        self._tool_timeout = tool_timeout
        self._executor = functools.partial(
            Executor, latency=ToolLatency(), hidden=HIDDEN_TOOLS, parallel=parallel, hooks=AgentHooks(hooks, taint)
        )
        self._context_of = functools.partial(context_of, tool_timeout=tool_timeout, evidence=self._evidence)
        self._turn_of = functools.partial(turn_of, reads_all=taint != "off")
        window = Window(window) if isinstance(window, int) else window or Window()
        contexts = 1 if balance is not None else self._models.count
        sizes = tuple(ContextSize(window.tokens) for _ in range(contexts)) * (self._models.count // contexts)
        self._scope = functools.partial(
            RunScope, prices=prices, window=window, sizes=sizes, early_start=early_start, evidence=self._evidence
        )
        self._is_complete = True

    def __setattr__(self, name: str, value: object) -> None:
        if "_is_complete" in self.__dict__:
            raise AttributeError(f"an Agent is immutable, so that threads can share it: {self._instead_of(name)}")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"Agent({cut(repr(self._backend), 200)}, tools=[{cut(', '.join(self._tools.latest.names), 200)}])"

    def close(self) -> None:
        """Close the backends that the agent made from names."""
        for backend in self._models.owned:
            backend.close()
        if self._evidence.judge is not None and self._evidence.judge is not self._judge:
            self._evidence.judge.close()

    @property
    def backend(self) -> Backend:
        """The backend that replies are requested from; of a list, all of them as one (its `backends`)."""
        return self._models.given

    @property
    def tools(self) -> tuple[Tool[..., Any], ...]:
        """The tools that there are now, in the order in which they are sent to the model."""
        return tuple(self._tools.now())

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
        the answer that it has, or goes on where it stopped. deps: passed to tools as `ctx.deps`. cancel
        (threading.Event): set it in another thread to stop the run. approve: see `resume`. output: the type of
        `result.output`: a pydantic model, a dataclass, TypedDict, Literal, list, union, ...; output_retries: how often
        the model is sent what is wrong with its answer to try again (default: 2). instructions, tools, limits,
        output_check: for this run instead of the agent's; instructions also instead of a system message with which
        `messages` begins. sampling: fields such as temperature and max_tokens, over the backend's own; None omits a
        field.

        Raises TranscriptError for an empty prompt or invalid messages, OutputError when the model gives no answer of
        the type, or none that passes the check, SessionError when the session can't be read or written
        (SessionBusyError: another writer holds it), ConfigurationError for a sampling field that the backend does not
        accept, and the openai package's APIError and its subclasses when the model server fails. An exception raised
        during a run has the attributes `.messages`, the valid transcript up to that point, and `.usage`, what the run
        has spent.
        """
        return self._finish(self._begin(prompt, checked_options("Agent.run()", output, options), stream=False))

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
        dict); on one with a `question` True or a dict is the answer. A call that had started when an earlier run of the
        session was killed is not run again: the model is informed that its effect is not known, and it is listed in
        `result.unknown_calls`. Where the last question is answered already, the answer is returned without a request.
        The other parameters are those of `run`.

        Raises what `run` raises, and ConfigurationError for a decision on a call that is not open.
        """
        is_session = isinstance(conversation, Session)
        given = {**options, "session" if is_session else "messages": conversation}
        return self._finish(self._begin(None, checked_options("Agent.resume()", output, given), stream=False))

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
        return self._begin(prompt, checked_options("Agent.stream()", output, options), stream=True)

    def stream_text(self, prompt: Prompt | None = None, **options: Unpack[ConversationArguments]) -> "TextPieces":
        """The text of the answer, in pieces as they arrive; close it (or use `with`) to stop the run early.

        Where the model writes several replies (text before its tool calls, an answer that an output_check has not
        passed), a blank line separates them. Nothing is taken back: a reply that breaks off and is begun anew goes on
        where it was, and if that is not possible AgentkitError is raised. Parameters and errors are those of `run`.
        """
        run = self._begin(prompt, checked_options("Agent.stream_text()", str, options), stream=True)
        from agentkit.running.text_pieces import TextPieces

        return TextPieces(run)

    @overload
    def as_tool(
        self, name: str, description: str, *, output: type[T], **options: Unpack[ToolArguments]
    ) -> Tool[..., T]: ...
    @overload
    def as_tool(
        self, name: str, description: str, *, output: Any, **options: Unpack[ToolArguments]
    ) -> Tool[..., Any]: ...
    @overload
    def as_tool(self, name: str, description: str, **options: Unpack[ToolArguments]) -> Tool[..., str]: ...
    def as_tool(
        self, name: str, description: str, *, output: Any = str, **options: Unpack[ToolArguments]
    ) -> Tool[..., Any]:
        """This agent as a tool of another agent, which gives it a task as text.

        It does not see the other agent's conversation. What it spends counts against the other agent's limits too
        (except turns), and it is cancelled together with it. output: the type of its answer, which the other agent
        reads as JSON; a run that ends without a valid one is an error of the call. options: of the tool; read_only:
        none of its tools changes anything, so that several of its calls may run in parallel. A call of its own that
        needs a person's approval ends its run, which the tool's result says. Raises ToolDefinitionError for an invalid
        name, description or option.
        """
        checked_options("Agent.as_tool()", output, {})
        return tool(name=name, description=description, **options)(AskedAgent(self, name, output))

    def _run_within(
        self, context: Context, prompt: Prompt | None, options: Mapping[str, Any], output: Any, name: str = ""
    ) -> Result[Any]:
        """Run inside of a tool, within the budget of the run that called it. name: begins what is reported as
        progress."""
        checked = checked_options("Context.run()", output, options)
        with self._begin(prompt, checked, stream=False, parent=context) as run:
            for event in run:
                if isinstance(event, ToolStarted):
                    context.progress(f"{name}{event.name}({event.raw_arguments})")
            assert run.result is not None
            return run.result

    def _finish(self, run: Run[Any]) -> Result[Any]:
        with run:
            for _ in run:
                if run.result is not None:
                    break
            assert run.result is not None
            return run.result

    def _begin(
        self, prompt: Prompt | None, options: RunOptions, stream: bool, parent: Context | None = None, own: bool = False
    ) -> Run[Any]:
        with contextlib.ExitStack() as resources:
            budget = budget_of(options.limits or self._limits, parent, resources)
            tools = tools_within(budget, options, lambda: self._search.offered(self._tools, options, self._backend))
            answer = answer_of(options, self._output_check, self._backend, bool(tools))
            turn = self._turn_of(prompt, options, budget, resources)
            context = self._context_of(options, budget, turn, stream and not own, parent=parent)
            transcript, repairs, context = opened(prompt, options, turn, answer, self._instructions, context)
            decisions = decisions_on(options.approve, transcript, turn)
            executor = self._executor(tools.plus(*answer.tools), context, decisions)
            if prompt is None or turn.state != "new":
                proceed(transcript, executor, answer, turn)
            scope = self._scope(options.sampling, answer, executor, budget, turn, bool(repairs))
            steps = loop.run(transcript, wrapped(self._backend, scope), executor, budget, stream)
            arriving = Arriving(transcript, turn, budget)
            events = events_of(steps, transcript, executor, answer, turn, arriving, repairs, stream, self._evidence)
            events = executor.hooks.around_run(events)
            return Run(events, transcript, turn, arriving, context.closing, kept_of(options, budget, resources))

    def _made_of(self) -> dict[str, Any]:
        """The arguments from which this agent was made, but for the model."""
        names = ("prices", "window", "early_start")
        return {
            "tools": self._tools.given,
            "instructions": self._instructions,
            "limits": self._limits,
            "output_check": self._output_check,
            "parallel": self._executor.keywords["parallel"],
            "tool_timeout": self._tool_timeout,
            "tools_as": self._tools_as,
            "middleware": self._middleware,
            "balance": self._balance,
            "tool_search": self._search.mode,
            "always": self._search.always,
            "hooks": self._executor.keywords["hooks"].hooks,
            "evidence": self._evidence.mode,
            "judge": self._judge,
            "taint": self._executor.keywords["hooks"].taint,
            **{name: self._scope.keywords[name] for name in names},
        }

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickled as its arguments; a model's name is resolved again where it is loaded, with the keys of that
        environment. Raises PicklingError that names the part that can't be pickled."""
        from agentkit.tooling.pickling import check, check_arguments, without_passwords

        check(self._pickled_parts(), protocol)
        made = self._made_of()
        check_arguments(type(self), self._model, **made)
        made["judge"] = without_passwords(self._judge)
        return _made_again, (type(self), without_passwords(self._model), made)

    def _pickled_parts(self) -> "list[Part]":
        from agentkit.tooling.pickling import Part, parts_of_tool

        advice = "make the agent where it is used, or from a model's name"
        models = self._model if isinstance(self._model, list) else [self._model]
        backends = [Part(f"the backend {type(each).__name__}", each, advice) for each in models]
        tools = [part for each in self._tools.own for part in parts_of_tool(each)]
        advice = "define it at the top level of a module"
        functions = {"instructions": self._instructions, "output_check": self._output_check}
        parts = [Part(f"the function {name}", each, advice) for name, each in functions.items() if callable(each)]
        middleware = [Part(f"the middleware {each!r}", each, advice) for each in self._middleware]
        called = self._executor.keywords["hooks"].hooks
        hooks = [Part(f"the hook {type(each).__name__}", each, advice) for each in called]
        judge = [Part("the judge", self._judge, advice)] if self._judge is not None else []
        return [*backends, *tools, *parts, *middleware, *hooks, *judge]

    def replace(self, **changes: Any) -> "Self":
        """Another agent like this one, made with other arguments: `agent.replace(limits=Limits(turns=3))`, in a test
        `agent.replace(model=ScriptedBackend("Hello."))`.

        changes: arguments of `Agent`. A backend that this agent was given is shared; one that it has made from a name
        is made again, and closed with the new agent. Raises what `Agent` raises.
        """
        from agentkit.tooling.pickling import check_arguments

        made, model = self._made_of(), changes.pop("model", self._model)
        check_arguments(type(self), self._model, **made)
        return type(self)(model, **{**made, **changes})

    __replace__ = replace

    def _instead_of(self, name: str) -> str:
        """What to do instead of setting an attribute."""
        if name == "model" or name in self._made_of():
            return f"make another one, with agent.replace({name}=...)"
        return f"a subclass sets attributes of its own, such as {name}, before super().__init__()"

    def __copy__(self) -> "Agent":
        return _made_again(type(self), self._model, self._made_of())

    def __deepcopy__(self, memo: dict[int, Any]) -> "Agent":
        """A copy with copies of its tools; hooks are shared, and so are a judge and a backend that are not its own."""
        memo[id(self._judge)] = self._judge
        memo.update({id(hook): hook for hook in self._executor.keywords["hooks"].hooks})
        arguments = copy.deepcopy(self._made_of(), memo)
        known = memo.get(id(self))  # the object of a tool may hold the agent
        return known if isinstance(known, Agent) else _made_again(type(self), self._model, arguments)


def _judge_of(judge: Agent | Model | None) -> Agent | None:
    return judge if judge is None or isinstance(judge, Agent) else Agent(judge, evidence="off")


def _around(backend: Backend, tools_as: ToolsAs, middleware: Sequence[Callable[[Backend], Backend]]) -> Backend:
    """A model's backend with what an agent puts around each, whatever the run."""
    backend = backend if tools_as == "native" else TextTools(backend, tools_as)
    return functools.reduce(lambda wrapped, wrap: wrap(wrapped), reversed(middleware), backend)


def _made_again(kind: type[Agent], model: Model | Sequence[Model], arguments: Mapping[str, Any]) -> Agent:
    from agentkit.tooling.pickling import check_arguments

    check_arguments(kind, model, **arguments)
    return kind(model, **arguments)
