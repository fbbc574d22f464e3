"""Sends the traces of two runs to a collector by OTLP. Arguments: the collector's URL, the model server's URL."""

import sys

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from agentkit import Agent, tool
from agentkit.backends import OpenAIBackend
from agentkit.telemetry import Otel


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Looks a topic up."""
    return f"All about {topic}."


def main(collector: str, model: str) -> None:
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{collector}/v1/traces")))
    expert = Agent(OpenAIBackend("inner", model), tools=[look_up])
    boss = Agent(
        OpenAIBackend("outer", model),
        tools=[expert.as_tool("expert", "Knows about tides.")],
        hooks=[Otel("boss", content=True, tracer_provider=tracers)],
    )
    print(boss.run("When is the tide high?"))
    for piece in boss.stream_text("And low?"):
        print(piece, end="")
    tracers.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
