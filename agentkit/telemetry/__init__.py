"""OpenTelemetry: spans and metrics of runs, requests and tool calls (docs/telemetry.md). Needs the extra `otel`.

from agentkit.telemetry import Otel

agent = Agent("openai:gpt-5-mini", tools=[search], hooks=[Otel()])
"""

from typing import TYPE_CHECKING

from agentkit._lazy import lazy_exports

if TYPE_CHECKING:
    from agentkit.telemetry.otel import Otel as Otel
else:
    __getattr__, __dir__ = lazy_exports(__name__, extra="otel")
