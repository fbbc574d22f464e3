"""Prometheus metrics: requests, latency, tokens, tool calls, answers, prompt versions, and what each subject spends."""

import functools
import hashlib
import math
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from agentkit._text import in_a_line
from agentkit.limits import Usage
from agentkit.serving.exchange import Answer

if TYPE_CHECKING:
    from agentkit.serving.http.runs import Runs

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Content type of the Prometheus text format."""

MAX_SUBJECTS = 200
"""How many subjects have series of their own; those that come after them share one."""

MAX_NAME = 80
"""Characters of the name of a subject in a label."""

OTHERS = "others"
"""The label of the subjects that have no series of their own."""

MAX_KEPT = 2000
"""How many series are kept where they are found quickly."""

_BY_SUBJECT = "agentkit_subject_"


class Metrics:
    """Metrics of this process, or of all workers when `folder` is set (the multiprocess mode of prometheus_client).
    tools: names of the agent's tools."""

    def __init__(self, runs: "Runs", tools: Iterable[str], folder: Path | None = None) -> None:
        self._tools = frozenset(tools)
        self._folder = folder
        self._registry = registry = CollectorRegistry()
        self._of = functools.lru_cache(MAX_KEPT)(_labelled)  # prometheus_client takes some time to find one
        self._due: dict[Any, float] = {}
        self._due_lock = threading.Lock()
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
        self._hits = Counter(
            "agentkit_cache_hits", "Answers that were kept from an earlier request.", registry=registry
        )
        self._subjects: set[str] = set()
        self._subjects_lock = threading.Lock()
        self._spent_answers = Counter(f"{_BY_SUBJECT}answers", "Answers per subject.", ["subject"], registry=registry)
        self._spent_tokens = Counter(
            f"{_BY_SUBJECT}tokens", "Model tokens per subject.", ["subject", "kind"], registry=registry
        )
        self._spent_cost = Counter(
            f"{_BY_SUBJECT}cost", "Known cost per subject, as model servers tell it.", ["subject"], registry=registry
        )
        running = Gauge("agentkit_runs", "Answers in progress.", registry=registry, multiprocess_mode="livesum")
        if folder is None:
            running.set_function(lambda: runs.count)
        else:  # other processes read it in a file
            runs.on_count = running.set

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. seconds: time until the response headers were sent."""
        self._add((self._of(self._requests, method, route, status), 1))
        self._of(self._seconds, route).observe(seconds)

    def note(self, answer: Answer, subject: str, prompt: tuple[str, str] | None = None) -> None:
        """Count an answer, once however often it is sent. subject: whose it is. prompt: name and version of the system
        prompt."""
        if answer.result.replayed:
            self._add((self._replays, 1))
            return
        self.note_usage(answer.usage, subject)
        if answer.stopped == "cancelled":  # its client has left: it has cost something, and is no answer
            return
        counted = [self._of(self._answers, answer.result.stopped)]
        if answer.was_kept:
            counted.append(self._hits)
        for record in answer.result.tool_calls:
            name = record.name if record.name in self._tools else "unknown"  # models invent names
            counted.append(self._of(self._calls, name, "error" if record.error else "ok"))
        if prompt is not None:
            counted.append(self._of(self._prompts, *prompt))
        self._add(*((each, 1) for each in counted))

    def note_usage(self, usage: Usage, subject: str) -> None:
        """Count what a request took, for its subject."""
        label = self._label_of(subject)
        self._add(
            (self._of(self._tokens, "input"), usage.input_tokens),
            (self._of(self._tokens, "output"), usage.output_tokens),
            (self._of(self._spent_answers, label), 1),
            (self._of(self._spent_tokens, label, "input"), usage.input_tokens),
            (self._of(self._spent_tokens, label, "output"), usage.output_tokens),
        )
        if usage.cost is not None and math.isfinite(usage.cost) and usage.cost > 0:
            self._add((self._of(self._spent_cost, label), usage.cost))

    def _add(self, *counted: tuple[Any, float]) -> None:
        """Count. A counter itself takes several calls each time: it gets the sums when they are read; where other
        processes read them in files, at once."""
        if self._folder is not None:
            for counter, amount in counted:
                counter.inc(amount)
            return
        with self._due_lock:
            due = self._due
            for counter, amount in counted:
                due[counter] = due.get(counter, 0) + (amount if amount > 0 else 0)  # a counter never goes back

    def _settle(self) -> None:
        """Have the counters count what was counted since the last time."""
        with self._due_lock:
            for counter, amount in self._due.items():
                counter.inc(amount)
            self._due.clear()

    def _label_of(self, subject: str) -> str:
        """The label of a subject: its name, as long as there are not too many."""
        name = _name_of(subject)
        with self._subjects_lock:
            if name not in self._subjects and len(self._subjects) >= MAX_SUBJECTS:
                return OTHERS
            self._subjects.add(name)
        return name

    def text(self, only: str | None = None) -> bytes:
        """Return the metrics in the Prometheus text format. only: the subject whose series are returned of those by
        subject; None: all."""
        self._settle()
        text = generate_latest(self._collected())
        if only is None:
            return text
        own = f'subject="{_escaped(_name_of(only))}"'.encode()
        by_subject = _BY_SUBJECT.encode()
        return b"".join(
            line for line in text.splitlines(keepends=True) if not line.startswith(by_subject) or own in line
        )

    def _collected(self) -> CollectorRegistry:
        if self._folder is None:
            return self._registry
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._folder))  # type: ignore[no-untyped-call]
        return registry


def _labelled(metric: Any, *labels: object) -> Any:
    return metric.labels(*labels)


def _name_of(subject: str) -> str:
    """The name of a subject in a label; that of a long one is shortened, and still its own."""
    if len(subject) <= MAX_NAME and subject.isprintable():
        return subject
    digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{in_a_line(subject, MAX_NAME - 20)}#{digest}"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
