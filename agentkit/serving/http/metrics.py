"""Prometheus metrics: requests, latency, tokens, tool calls, answers and prompt versions."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from agentkit.serving.exchange import Answer

if TYPE_CHECKING:
    from agentkit.serving.http.runs import Runs

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Content type of the Prometheus text format."""


class Metrics:
    """Metrics of this process, or of all workers when `folder` is set (the multiprocess mode of prometheus_client).
    tools: names of the agent's tools."""

    def __init__(self, runs: "Runs", tools: Iterable[str], folder: Path | None = None) -> None:
        self._tools = frozenset(tools)
        self._folder = folder
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "agentkit_http_requests", "HTTP requests.", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "agentkit_http_seconds", "Seconds until the response headers are sent.", ["route"], registry=registry
        )
        self._tokens = Counter("agentkit_tokens", "Model tokens.", ["kind"], registry=registry)
        self._calls = Counter("agentkit_tool_calls", "Tool calls.", ["tool", "outcome"], registry=registry)
        self._answers = Counter("agentkit_answers", "Answers by stop reason.", ["stopped"], registry=registry)
        self._replays = Counter("agentkit_replays", "Requests that had their answer already.", registry=registry)
        self._prompts = Counter(
            "agentkit_prompt_uses", "Answers per prompt version.", ["prompt", "version"], registry=registry
        )
        running = Gauge("agentkit_runs", "Answers in progress.", registry=registry, multiprocess_mode="livesum")
        runs.on_count = running.set

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. seconds: time until the response headers were sent."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def note(self, answer: Answer, prompt: tuple[str, str] | None = None) -> None:
        """Count an answer, once however often it is sent. prompt: name and version of the system prompt."""
        if answer.result.replayed:
            self._replays.inc()
            return
        self._tokens.labels("input").inc(answer.usage.input_tokens)
        self._tokens.labels("output").inc(answer.usage.output_tokens)
        self._answers.labels(answer.result.stopped).inc()
        for record in answer.result.tool_calls:
            name = record.name if record.name in self._tools else "unknown"  # models invent names
            self._calls.labels(name, "error" if record.error else "ok").inc()
        if prompt is not None:
            self._prompts.labels(*prompt).inc()

    def text(self) -> bytes:
        """Return the metrics in the Prometheus text format."""
        if self._folder is None:
            return generate_latest(self._registry)
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(registry)
