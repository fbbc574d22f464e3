"""The metrics of runs, requests and tool calls."""

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, Meter

from agentkit.limits import Usage
from agentkit.telemetry import names
from agentkit.telemetry.attributes import sendable_count

_OF_A_REQUEST = (
    *(names.OPERATION_NAME, names.PROVIDER_NAME, names.REQUEST_MODEL, names.RESPONSE_MODEL, names.SERVER_ADDRESS),
    *(names.SERVER_PORT, names.ERROR_TYPE),
)
_OF_A_TOOL = (names.OPERATION_NAME, names.TOOL_NAME, names.TOOL_TYPE, names.ERROR_TYPE)
_OF_AN_AGENT = (names.OPERATION_NAME, names.AGENT_NAME, names.ERROR_TYPE)


class Instruments:
    """What is measured. Each attribute of a metric has few values: conversations and responses are not among them."""

    def __init__(self, meter: Meter) -> None:
        def histogram(name: str, unit: str, what: str, buckets: Sequence[float]) -> Histogram:
            return meter.create_histogram(name, unit, what, explicit_bucket_boundaries_advisory=buckets)

        seconds, tokens = names.SECONDS, names.TOKENS
        self._operation = histogram(names.OPERATION_DURATION, seconds, "Duration of a request.", names.CALL_BUCKETS)
        self._first_chunk = histogram(
            names.OPERATION_FIRST_CHUNK, seconds, "Seconds until the first chunk of a reply.", names.CALL_BUCKETS
        )
        self._usage = histogram(names.TOKEN_USAGE, tokens, "Tokens of a request, by kind.", names.TOKEN_BUCKETS)
        self._tool = histogram(names.TOOL_DURATION, seconds, "Duration of a tool call.", names.CALL_BUCKETS)
        self._agent = histogram(names.AGENT_DURATION, seconds, "Duration of a run.", names.AGENT_BUCKETS)

    def request_ended(
        self, attributes: Mapping[str, Any], seconds: float, first: float | None, usage: Usage | None, context: Context
    ) -> None:
        """Record a request. attributes: of its span. first: seconds until its first chunk. usage: of its reply."""
        given = {name: attributes[name] for name in _OF_A_REQUEST if name in attributes}
        self._operation.record(seconds, given, context)
        if first is not None:
            self._first_chunk.record(first, given, context)
        if usage is not None and (usage.input_tokens or usage.output_tokens):
            self._usage.record(sendable_count(usage.input_tokens), {**given, names.TOKEN_TYPE: names.INPUT}, context)
            self._usage.record(sendable_count(usage.output_tokens), {**given, names.TOKEN_TYPE: names.OUTPUT}, context)

    def tool_ended(self, attributes: Mapping[str, Any], seconds: float, context: Context) -> None:
        """Record a tool call. attributes: of its span."""
        self._tool.record(seconds, {name: attributes[name] for name in _OF_A_TOOL if name in attributes}, context)

    def agent_ended(self, attributes: Mapping[str, Any], seconds: float, context: Context) -> None:
        """Record a run. attributes: of its span."""
        self._agent.record(seconds, {name: attributes[name] for name in _OF_AN_AGENT if name in attributes}, context)
