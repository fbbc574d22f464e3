"""The openai package's stream, read to the end of the HTTP message."""

from collections.abc import Iterator
from typing import Any

from openai import Stream

from agentkit.net.drain import drain


class DrainedStream(Stream[object]):
    """Yields the events up to `[DONE]`, as the package does, then drains the response to keep its connection.

    is_done: whether `[DONE]` has arrived.
    """

    is_done = False

    def _iter_events(self) -> Iterator[Any]:
        events = super()._iter_events()
        for event in events:
            if event.data.startswith("[DONE]"):
                self.is_done = True
                network = self.response.extensions.get("network_stream")
                drain(events, network and network.get_extra_info("socket"))
            yield event
