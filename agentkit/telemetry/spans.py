"""A span that is current while its work is done, step by step, and ends once.

A generator does not run in a context of its own: what it attaches before a yield, its reader has as the current span,
and what it detaches after it may be done in another thread. So a span is attached for each step alone, in the thread
and the context of that step.
"""

import functools
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import Any, TypeVar

from opentelemetry import propagate, trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Status, StatusCode, Tracer

from agentkit._lazy.logs import logger_of
from agentkit.net.trace_headers import TRACE_HEADERS
from agentkit.tooling.error_log import FailuresLogged

T = TypeVar("T")

logger = logger_of("agentkit")

_END = object()

_ERROR = Status(StatusCode.ERROR)  # without a description: that of an exception is content

_DESCRIBING = FailuresLogged(logger, "telemetry could not say what a span is about:")
_BEGINNING = FailuresLogged(logger, "telemetry could not begin a span:")
_ENDING = FailuresLogged(logger, "telemetry could not end a span:")
_MEASURING = FailuresLogged(logger, "telemetry could not record a metric:")
_SENDING = FailuresLogged(logger, "telemetry could not make the headers of a request:")


def described(describe: Callable[..., Mapping[str, Any]], *given: Any) -> Mapping[str, Any]:
    """Attributes; none where they can't be made."""
    with _DESCRIBING:
        return describe(*given)
    return {}


class OpenSpan:
    """A span from its beginning to its end.

    tracer, name, kind, attributes: of the span. parent: the context in which it begins. ended: called once when it
    ends, with the seconds that it took.
    """

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        kind: SpanKind,
        parent: Context,
        attributes: Mapping[str, Any],
        ended: Callable[["OpenSpan", float], None],
    ) -> None:
        self.attributes = dict(attributes)
        self._late: dict[str, Any] = {}
        self._ended = ended
        self._started = time.perf_counter()
        self._ends = [True]  # which is taken out once, by the thread that ends it
        self._made: tuple[Context, Context] | None = None
        self._span: Span = INVALID_SPAN
        with _BEGINNING:
            self._span = tracer.start_span(
                name, parent, kind, attributes, record_exception=False, set_status_on_exception=False
            )
        self.is_recording = self._span.is_recording()
        self._is_valid = self._span.get_span_context().is_valid

    @property
    def seconds(self) -> float:
        """The seconds since its beginning."""
        return time.perf_counter() - self._started

    def context(self) -> Context:
        """The current context, with this as its span."""
        base, made = get_current(), self._made
        if not self._is_valid:
            return base
        if made is None or made[0] is not base:
            made = self._made = base, trace.set_span_in_context(self._span, base)
        return made[1]

    def steps(self, make: Callable[[], Generator[T, None, None]], *, sends: bool = False) -> Generator[T, None, None]:
        """The items of a generator; the span is current while each is made. make: makes the generator. sends: whether
        it sends requests, which are to have the headers of the trace."""
        if not self._is_valid:  # nothing is recorded or passed on
            with closing(make()) as unseen:
                yield from unseen
            return
        headers = _headers if sends else None
        made = self._within(make, headers)
        step = functools.partial(next, made, _END)
        try:
            while (item := self._within(step, headers)) is not _END:
                yield item
        finally:
            self._within(made.close, None)

    def _within(self, work: Callable[[], Any], headers: Callable[[], Mapping[str, str]] | None) -> Any:
        """Do a part of the work, of which this is the current span."""
        token, sent = attach(self.context()), TRACE_HEADERS.set(headers)
        try:
            return work()
        finally:
            TRACE_HEADERS.reset(sent)
            detach(token)

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return bool(self._ends)

    def note(self, attributes: Mapping[str, Any]) -> None:
        """Add attributes that no sampler has to see; they are set when it ends."""
        self._late.update(attributes)

    def end(self, attributes: Mapping[str, Any], is_error: bool = False) -> None:
        """End it, unless it has ended. attributes: what is known only now."""
        try:
            self._ends.pop()
        except IndexError:
            return
        seconds = self.seconds
        self._late.update(attributes)
        self.attributes.update(self._late)
        with _DESCRIBING:
            if self._late:
                self._span.set_attributes(self._late)
            if is_error:
                self._span.set_status(_ERROR)
        with _ENDING:
            self._span.end()
        with _MEASURING:
            self._ended(self, seconds)


def _headers() -> Mapping[str, str]:
    """The headers of the propagators that the program uses, for the current span; not its baggage, which may be
    anything, and model servers belong to others."""
    made: dict[str, str] = {}
    with _SENDING:
        propagate.inject(made)
    return {name: value for name, value in made.items() if name.lower() != "baggage"}
