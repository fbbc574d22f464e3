"""Figures for Prometheus: what is asked, what it takes, how long it is waited for."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from agentkit.serving.exchange import Answer

if TYPE_CHECKING:
    from agentkit.serving.http.runs import Runs

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format."""


class Metrics:
    """The figures of a process, or of all workers that write theirs into `folder`, as prometheus_client has it. tools:
    the names of the agent's."""

    def __init__(self, runs: "Runs", tools: Iterable[str], folder: Path | None = None) -> None:
        self._tools = frozenset(tools)
        self._folder = folder
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "agentkit_http_requests", "Requests.", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "agentkit_http_seconds", "Seconds to the end of a response's head.", ["route"], registry=registry
        )
        self._tokens = Counter("agentkit_tokens", "Tokens of the model.", ["kind"], registry=registry)
        self._calls = Counter("agentkit_tool_calls", "Tool calls.", ["tool", "outcome"], registry=registry)
        self._answers = Counter("agentkit_answers", "Answers, by what ended them.", ["stopped"], registry=registry)
        self._prompts = Counter(
            "agentkit_prompt_uses", "Answers under a version of a prompt.", ["prompt", "version"], registry=registry
        )
        running = Gauge("agentkit_runs", "Answers that are worked on.", registry=registry, multiprocess_mode="livesum")
        runs.changed = running.set

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. seconds: to the end of the response's head."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def note(self, answer: Answer, prompt: tuple[str, str] | None = None) -> None:
        """Count an answer. prompt: its name and version."""
        self._tokens.labels("input").inc(answer.usage.input_tokens)
        self._tokens.labels("output").inc(answer.usage.output_tokens)
        if answer.result is not None:
            self._answers.labels(answer.result.stopped).inc()
            for record in answer.result.tool_calls:
                name = record.name if record.name in self._tools else "unknown"  # models make names up
                self._calls.labels(name, "error" if record.error else "ok").inc()
        if prompt is not None:
            self._prompts.labels(*prompt).inc()

    def text(self) -> bytes:
        """The figures in Prometheus' text format."""
        if self._folder is None:
            return generate_latest(self._registry)
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(registry)
