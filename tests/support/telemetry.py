"""Telemetry in memory: the spans that were begun and ended, and the metrics."""

import json
import threading
from collections.abc import Iterator
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from agentkit.telemetry import Otel


class Recorder(SpanProcessor):
    """Spans and metrics of what is run with `otel()`. ended: in the order in which they ended."""

    def __init__(self) -> None:
        self.ended: list[ReadableSpan] = []
        self._open: set[Span] = set()
        self._lock = threading.Lock()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(self)
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader])

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """See `SpanProcessor.on_start`."""
        with self._lock:
            self._open.add(span)

    def on_end(self, span: ReadableSpan) -> None:
        """See `SpanProcessor.on_end`."""
        with self._lock:
            self._open = {each for each in self._open if each.get_span_context() != span.get_span_context()}
            self.ended.append(span)

    def otel(self, name: str = "agent", **options: Any) -> Otel:
        """A hook that sends to here."""
        return Otel(name, tracer_provider=self.tracers, meter_provider=self.meters, **options)

    @property
    def open(self) -> list[str]:
        """The names of the spans that have not ended."""
        with self._lock:
            return sorted(span.name for span in self._open)

    def named(self, beginning: str) -> list[ReadableSpan]:
        """The ended spans whose name begins so, in the order in which they began."""
        return sorted((each for each in self.ended if each.name.startswith(beginning)), key=lambda each: times(each)[0])

    def one(self, beginning: str) -> ReadableSpan:
        """The ended span whose name begins so."""
        (span,) = self.named(beginning)
        return span

    def tree(self) -> list[Any]:
        """The names of the ended spans, each with those below it, in the order in which they began. A span whose parent
        is not here is at the top."""
        ids = {each.get_span_context().span_id for each in self.ended if each.get_span_context()}  # type: ignore[union-attr]

        def below(parent: int | None) -> list[Any]:
            found = []
            for each in sorted(self.ended, key=lambda each: times(each)[0]):
                above = each.parent.span_id if each.parent is not None and each.parent.span_id in ids else None
                if above == parent:
                    context = each.get_span_context()
                    assert context is not None
                    under = below(context.span_id)
                    found.append((each.name, under) if under else each.name)
            return found

        return below(None)

    def points(self) -> Iterator[tuple[str, Any]]:
        """The name of each metric with each of its data points."""
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        yield metric.name, point

    def text(self) -> str:
        """All that was sent: names, attributes, events, statuses, links, resources and metrics."""
        spans = [span.to_json() for span in self.ended]
        data = self._reader.get_metrics_data()
        return "\n".join([*spans, "" if data is None else data.to_json()])


def times(span: ReadableSpan) -> tuple[int, int]:
    """When a span began and ended, in nanoseconds."""
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time, span.end_time


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """The attributes of a span."""
    return dict(span.attributes or {})


def messages(span: ReadableSpan, name: str) -> Any:
    """An attribute with messages."""
    return json.loads(str(attributes(span)[name]))
