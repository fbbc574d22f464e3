"""The openai package's stream, read to its very end."""

from collections.abc import Iterator
from typing import Any

from openai import Stream

from agentkit.net.drain import read_out


class WholeStream(Stream[object]):
    """Events up to `[DONE]`, as the package reads them; then the rest of the answer, so that its connection is kept.
    is_done: whether `[DONE]` has come."""

    is_done = False

    def _iter_events(self) -> Iterator[Any]:
        events = super()._iter_events()
        for event in events:
            if event.data.startswith("[DONE]"):
                self.is_done = True
                network = self.response.extensions.get("network_stream")
                read_out(events, network and network.get_extra_info("socket"))
            yield event
