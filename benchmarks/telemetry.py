"""What telemetry costs: CPU milliseconds that `Otel()` adds to a run of three requests and two tool calls.

    python -m benchmarks.telemetry [--quick]

Without the OpenTelemetry SDK (nothing is recorded), and with it, spans and metrics kept in memory. "SDK alone" is the
floor: the same six spans with as many attributes and the same measurements, made by hand. Numbers are the minimum of
several interleaved rounds; the target is 0.3 ms beyond what the SDK takes alone.
"""

import argparse
import gc
import time
from collections.abc import Callable
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from agentkit import Agent, Hook, tool
from agentkit.backend import Capabilities, ReplyStream, Request
from agentkit.event import Reply
from agentkit.limits import Usage
from agentkit.telemetry import Otel

SPENT = Usage(requests=1, input_tokens=100, output_tokens=20)
REQUEST: dict[str, Any] = {
    **{f"gen_ai.attribute.{number}": "a value" for number in range(3)},
    "server.address": "127.0.0.1",
    "server.port": 8000,
}
REPLY = {"gen_ai.finish_reasons": ["stop"], "gen_ai.input_tokens": 100, "gen_ai.output_tokens": 20}
TOOL = {f"gen_ai.attribute.{number}": "a value" for number in range(3)}


@tool
def look_up(topic: str) -> str:
    """Looks a topic up."""
    return topic


class Ready:
    """A backend that replies at once: two calls, then an answer."""

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        count = len(request.transcript)
        if count >= 5:
            yield Reply({"role": "assistant", "content": "Done."}, "stop", SPENT)
            return
        function: Any = {"name": "look_up", "arguments": f'{{"topic": "{count}"}}'}
        call: Any = {"id": f"c{count}", "type": "function", "function": function}
        yield Reply({"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls", SPENT)

    def capabilities(self, ask: bool = False) -> Capabilities:
        """See `agentkit.backend.Backend.capabilities`."""
        return Capabilities(model="m", base_url="http://127.0.0.1:8000/v1")

    def close(self) -> None:
        """See `agentkit.backend.Backend.close`."""


def agent(*hooks: Hook) -> Callable[[], object]:
    made = Agent(Ready(), tools=[look_up], hooks=hooks)
    return lambda: made.run("Go.")


def by_hand(tracers: TracerProvider, meters: MeterProvider) -> Callable[[], object]:
    """The spans and the measurements of a run, made with nothing around them."""
    tracer, meter = tracers.get_tracer("benchmark"), meters.get_meter("benchmark")
    seconds, tokens = meter.create_histogram("seconds"), meter.create_histogram("tokens")

    def span(parent: Context, attributes: dict[str, Any], more: dict[str, Any]) -> Context:
        made = tracer.start_span("chat m", parent, SpanKind.CLIENT, attributes)
        within = trace.set_span_in_context(made)
        made.set_attributes(more)
        made.end()
        seconds.record(0.1, attributes, within)
        return within

    def run() -> None:
        top = span(Context(), TOOL, REPLY)
        for _ in range(3):
            within = span(top, REQUEST, REPLY)
            tokens.record(100, {**REQUEST, "kind": "input"}, within)
            tokens.record(20, {**REQUEST, "kind": "output"}, within)
        for _ in range(2):
            span(top, TOOL, {})

    return run


def milliseconds(work: Callable[[], object], runs: int) -> float:
    gc.collect()
    gc.disable()
    started = time.process_time()
    for _ in range(runs):
        work()
    taken = time.process_time() - started
    gc.enable()
    return taken * 1000 / runs


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    rounds = 5 if parser.parse_args().quick else 40
    spans = InMemorySpanExporter()
    tracers, meters = TracerProvider(), MeterProvider([InMemoryMetricReader()])
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    programs = {
        "no hook": agent(),
        "Otel(), no SDK": agent(Otel()),
        "Otel(), SDK in memory": agent(Otel(tracer_provider=tracers, meter_provider=meters)),
        "SDK alone": by_hand(tracers, meters),
    }
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, program in programs.items():
            spans.clear()
            best[name] = min(best.get(name, float("inf")), milliseconds(program, 50))
    bare = best["no hook"]
    print(f"{'':>24} {'ms a run':>9} {'added':>7} {'ratio':>6}")
    for name, taken in best.items():
        added = taken if name == "SDK alone" else taken - bare
        print(f"{name:>24} {taken:9.3f} {added:7.3f} {(bare + added) / bare:6.2f}")


if __name__ == "__main__":
    main()
