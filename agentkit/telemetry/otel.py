"""The hook that sends spans and metrics of an agent to OpenTelemetry."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.context import attach, create_key, detach, get_current, get_value, set_value
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import SpanKind, Tracer, TracerProvider

from agentkit._forking import freed_by_forks
from agentkit._lazy.logs import WARNING, logger_of
from agentkit.backend import Backend, ReplyStream, Request
from agentkit.errors import ConfigurationError
from agentkit.event import CallDelta, OutputDelta, ReasoningDelta, Reply, RunFinished, Steps, TextDelta
from agentkit.hooks import Hook, RunHook
from agentkit.limits import Usage
from agentkit.middleware.base import Middleware
from agentkit.telemetry import names
from agentkit.telemetry.attributes import (
    attributes_of_reply,
    attributes_of_request,
    attributes_of_run,
    call_of,
    error_type,
    finish_reason,
    name_of,
)
from agentkit.telemetry.content import (
    attributes_of_input,
    attributes_of_output,
    attributes_of_tools,
    cut_arguments,
    cut_text,
)
from agentkit.telemetry.metrics import Instruments
from agentkit.telemetry.spans import OpenSpan, described
from agentkit.tooling.error_log import log_raised
from agentkit.tooling.outcome import Outcome
from agentkit.tools import Context, Tool

logger = logger_of("agentkit")

Attributes = Mapping[str, Any]
"""Attributes of spans by their names: texts, numbers, booleans, and lists of these."""

SCOPE = "agentkit"
"""The name of the instrumentation scope."""

_TOOL = create_key("agentkit-tool")
"""The key of the telemetry and the name of the tool inside of which code runs."""

_CHUNKS = (TextDelta, ReasoningDelta, CallDelta, OutputDelta)


class Otel(Hook):
    """Sends spans and metrics of runs, requests and tool calls to OpenTelemetry (docs/telemetry.md).

    name: of the agent. content: whether messages, arguments and results are sent too; None: as the environment variable
    OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says ("true", "SPAN_ONLY" or "SPAN_AND_EVENT"), else not.
    attributes: of all spans of a run, such as the user whom viewers group runs by: a dict, or a function of the run's
    Context that returns one, called once for each run. tracer_provider, meter_provider: instead of the global ones.
    Raises ConfigurationError for an invalid option.
    """

    def __init__(
        self,
        name: str = "agent",
        *,
        content: bool | None = None,
        attributes: Attributes | Callable[[Context[Any]], Attributes] | None = None,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        if not isinstance(name, str) or not name.strip():
            raise ConfigurationError(f"Otel(name={name!r:.80}): pass the name of the agent, a str")
        if content is not None and not isinstance(content, bool):
            raise ConfigurationError(f"Otel(content={content!r:.80}): pass True, False or None")
        if attributes is not None and not (callable(attributes) or isinstance(attributes, Mapping)):
            raise ConfigurationError(f"Otel(attributes={attributes!r:.80}): pass a dict, or a function of the Context")
        self.name = name_of(name)
        self.attributes = attributes
        self.content: bool = _is_asked_for() if content is None else content
        self._providers = tracer_provider, meter_provider
        self._made: tuple[Tracer, Instruments] | None = None

    def __repr__(self) -> str:
        return f"Otel({self.name!r}, content={self.content})"

    @property
    def inherited_as(self) -> object:  # type: ignore[override]
        """See `Hook`: an agent that runs inside of another's tool is traced once, by its own hook if it has one."""
        return Otel, self._providers

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": None}

    def for_run(self, context: Context[Any]) -> RunHook:
        """See `Hook.for_run`."""
        tracer, instruments = self._made or self._make()
        outer = get_value(_TOOL)
        name = self.name
        if isinstance(outer, tuple) and outer[0] is self:  # inherited, or shared: the name is that of another agent
            name = outer[1]
        return _RunTelemetry(self, name, tracer, instruments, context)

    def attributes_of(self, context: Context[Any]) -> dict[str, Any]:
        """The attributes of all spans of a run that the program gives. What fails in its function is logged."""
        try:
            given = self.attributes(context) if callable(self.attributes) else self.attributes
            return {str(name): value for name, value in (given or {}).items() if value is not None}
        except Exception as error:  # noqa: BLE001 - telemetry is no reason for a run to fail
            log_raised(logger, WARNING, "the function attributes= of Otel raised", error, self.attributes)
            return {}

    def _make(self) -> tuple[Tracer, Instruments]:
        from agentkit import __version__

        tracers, meters = self._providers
        meter = metrics.get_meter(SCOPE, __version__, meters)
        made = self._made = trace.get_tracer(SCOPE, __version__, tracers), Instruments(meter)
        return made


def _is_asked_for() -> bool:
    return os.environ.get(names.CAPTURE_CONTENT, "").strip().lower() in ("true", "span_only", "span_and_event")


def is_unheard() -> bool:
    """Whether nobody has set up OpenTelemetry in this process so far, and it is not turned off on purpose either."""
    providers = trace.get_tracer_provider(), metrics.get_meter_provider()
    is_off = os.environ.get(names.SDK_DISABLED, "").strip().lower() == "true"
    return not is_off and all(type(each).__name__.lstrip("_").startswith("Proxy") for each in providers)


class _RunTelemetry(RunHook):
    """The telemetry of one run. name: of its agent."""

    def __init__(self, otel: Otel, name: str, tracer: Tracer, instruments: Instruments, context: Context[Any]) -> None:
        self.instruments = instruments
        self.sends_content = otel.content
        self._otel = otel
        self._name = name
        self._tracer = tracer
        self._context = context
        self._own = otel.attributes_of(context)
        self._caller = get_current()
        self._agent: OpenSpan | None = None
        self._open: set[OpenSpan] = set()
        self._called: Counter[tuple[str, str]] = Counter()  # executions of the calls of this reply
        self._lock = freed_by_forks(threading.Lock())

    def begin(
        self,
        name: str,
        kind: SpanKind,
        attributes: dict[str, Any],
        ended: Callable[[OpenSpan, float], None],
    ) -> OpenSpan:
        """Begin a span below that of the run."""
        attributes = {**self._own, **attributes}
        if self._context.session is not None:
            attributes[names.CONVERSATION_ID] = name_of(self._context.session)
        parent = get_current() if self._agent is None else self._agent.context()

        def closed(span: OpenSpan, seconds: float) -> None:
            with self._lock:
                self._open.discard(span)
            ended(span, seconds)

        span = OpenSpan(self._tracer, name, kind, parent, attributes, closed)
        with self._lock:
            self._open.add(span)
        return span

    def around_run(self, steps: Steps) -> Steps:
        """See `RunHook.around_run`."""
        attributes = {names.OPERATION_NAME: names.INVOKE_AGENT, names.AGENT_NAME: self._name}
        token = attach(self._caller)
        try:
            span = self.begin(f"{names.INVOKE_AGENT} {self._name}", SpanKind.INTERNAL, attributes, self._run_ended)
        finally:
            detach(token)
        self._agent = span
        if self.sends_content:
            span.note(described(self._question))
        ending, is_error = {names.STOPPED: "closed"}, False
        try:
            with closing(span.steps(lambda: steps)) as events:
                yield from self._until_its_end(span, events)
        except GeneratorExit:
            raise
        except BaseException as error:
            ending, is_error = self.ending_of(error)
            raise
        finally:
            self._end(span, ending, is_error)

    @property
    def deadline(self) -> float | None:
        """When a request that is sent now is given up (`time.monotonic()`); None: never."""
        return None if self._context.budget is None else self._context.budget.reply_deadline()

    def ending_of(self, error: BaseException, deadline: float | None = None) -> tuple[dict[str, Any], bool]:
        """How a span ends in which this was raised, and whether that is an error. What fails while the run is being
        stopped, as its request does, was stopped. deadline: when it was given up."""
        context = self._context
        if isinstance(error, GeneratorExit) or (context.closing is not None and context.closing.is_closed):
            return {names.STOPPED: "closed"}, False
        if context.cancel is not None and context.cancel.is_set():
            return {names.STOPPED: "cancelled"}, False
        if deadline is not None and time.monotonic() >= deadline:
            return {names.ERROR_TYPE: "timeout"}, True
        return {names.ERROR_TYPE: error_type(error)}, True

    def _until_its_end(self, span: OpenSpan, events: Steps) -> Steps:
        for event in events:
            if isinstance(event, RunFinished):
                self._end(span, {names.STOPPED: event.result.stopped}, is_error=False)
            yield event

    def _end(self, span: OpenSpan, ending: Mapping[str, Any], is_error: bool) -> None:
        """End the spans of the run. A tool that is still running is one that the run went on without."""
        if not span.is_open:
            return
        with self._lock:
            left = [each for each in self._open if each is not span]
        for each in left:
            if is_error or ending.get(names.STOPPED) in ("closed", "cancelled"):
                each.end({names.STOPPED: ending.get(names.STOPPED, "closed")})
            else:
                each.end({names.ERROR_TYPE: "timeout"}, is_error=True)
        budget = self._context.budget
        spent = {} if budget is None else attributes_of_run(budget.usage)
        answer = described(self._answer) if self.sends_content and names.STOPPED in ending else {}
        span.end({**spent, **answer, **ending}, is_error)

    def _run_ended(self, span: OpenSpan, seconds: float) -> None:
        self.instruments.agent_ended(span.attributes, seconds, span.context())

    def _question(self) -> Mapping[str, Any]:
        asked = [message for message in self._context.messages[-1:] if message["role"] == "user"]
        return attributes_of_input(asked) if asked else {}

    def _answer(self) -> Mapping[str, Any]:
        last = self._context.messages[-1:]
        if not last or last[0]["role"] != "assistant":
            return {}
        return attributes_of_output(last[0], "stop")

    def around_request(self, backend: Backend) -> Backend:
        """See `RunHook.around_request`."""
        return _Traced(backend, self)

    def around_execution(self, tool: Tool[..., Any], arguments: str, execute: Callable[[], Outcome]) -> Outcome:
        """See `RunHook.around_execution`."""
        attributes = {
            names.OPERATION_NAME: names.EXECUTE_TOOL,
            names.TOOL_NAME: tool.name,
            names.TOOL_TYPE: names.FUNCTION,
        }
        with self._lock:
            called = self._called
            called[tool.name, arguments] += 1
            number = called[tool.name, arguments]
        attributes.update(described(self._call, tool.name, arguments, number))
        span = self.begin(f"{names.EXECUTE_TOOL} {tool.name}", SpanKind.INTERNAL, attributes, self._tool_ended)
        if self.sends_content and span.is_recording:
            span.note(
                {names.TOOL_ARGUMENTS: cut_arguments(arguments), names.TOOL_DESCRIPTION: cut_text(tool.description)}
            )
        token = attach(set_value(_TOOL, (self._otel, tool.name), span.context()))
        try:
            outcome = execute()
        except BaseException as error:
            span.end({names.ERROR_TYPE: error_type(error)}, is_error=True)
            raise
        finally:
            detach(token)
        ending: dict[str, Any] = {}
        if names.TOOL_CALL_ID not in attributes and called is self._called:  # it began before its reply was complete
            ending.update(described(self._call, tool.name, arguments, number))
        if self.sends_content and span.is_recording:
            ending[names.TOOL_RESULT] = cut_text(outcome.text)
        if outcome.failed:
            ending[names.ERROR_TYPE] = name_of(outcome.error or "ToolError")
        span.end(ending, outcome.failed)
        return outcome

    def new_reply(self) -> None:
        """Another reply is requested: its calls are numbered anew, also where their ids are those of earlier ones."""
        with self._lock:
            self._called = Counter()

    def _call(self, name: str, arguments: str, number: int) -> Mapping[str, Any]:
        found = call_of(self._context.messages, name, arguments, number)
        return {names.TOOL_CALL_ID: found} if found else {}

    def _tool_ended(self, span: OpenSpan, seconds: float) -> None:
        self.instruments.tool_ended(span.attributes, seconds, span.context())


class _Traced(Middleware):
    """Wraps any backend for one run: a span for each attempt of a request."""

    def __init__(self, backend: Backend, run: _RunTelemetry) -> None:
        super().__init__(backend)
        self._run = run

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        attempt = _Attempt(self._run, self.backend, request)
        try:
            with closing(attempt.span.steps(lambda: self.backend.reply(request), sends=True)) as deltas:
                for delta in deltas:
                    attempt.note(delta)
                    yield delta
        except BaseException as error:
            ending, is_error = self._run.ending_of(error, attempt.deadline)
            attempt.end({**ending, names.FINISH_REASONS: ["error"]}, is_error)
            raise
        finally:
            attempt.end({names.FINISH_REASONS: ["error"]})


class _Attempt:
    """One attempt of a request."""

    def __init__(self, run: _RunTelemetry, backend: Backend, request: Request) -> None:
        run.new_reply()
        self.deadline = run.deadline
        self._run = run
        self._streams = request.stream
        self._first: float | None = None
        self._usage: Usage | None = None
        attributes = dict(described(attributes_of_request, backend, request))
        name = " ".join(filter(None, (names.CHAT, attributes.get(names.REQUEST_MODEL))))
        self.span = run.begin(name, SpanKind.CLIENT, attributes, self._ended)
        if run.sends_content and self.span.is_recording:
            self.span.note(described(attributes_of_input, request.transcript))
            self.span.note(described(attributes_of_tools, request.tools.schemas))

    def note(self, delta: object) -> None:
        """Take in what arrived. The span ends with the reply."""
        if isinstance(delta, Reply):
            self._usage = delta.usage
            ending = dict(described(attributes_of_reply, delta))
            if self._first is not None:
                ending[names.FIRST_CHUNK] = self._first
            if self._run.sends_content and self.span.is_recording:
                ending.update(described(attributes_of_output, delta.message, finish_reason(delta.finish_reason)))
            self.end(ending)
        elif self._first is None and self._streams and isinstance(delta, _CHUNKS):
            self._first = self.span.seconds

    def end(self, attributes: Mapping[str, Any], is_error: bool = False) -> None:
        """End the span, unless the reply has ended it."""
        self.span.end(attributes, is_error)

    def _ended(self, span: OpenSpan, seconds: float) -> None:
        self._run.instruments.request_ended(span.attributes, seconds, self._first, self._usage, span.context())
