"""The headers that tell a model server to which trace a request belongs (W3C Trace Context)."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar

TRACE_HEADERS: ContextVar[Callable[[], Mapping[str, str]] | None] = ContextVar("trace_headers", default=None)
"""What makes the headers of the requests that are sent now; set by `agentkit.telemetry`."""


def trace_headers() -> Mapping[str, str]:
    """The headers to add to a request that is sent now; none unless it is traced."""
    made = TRACE_HEADERS.get()
    return {} if made is None else made()
