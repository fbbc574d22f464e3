"""Incremental parser of a JSON list of calls behind a marker, which ends where the list does."""

from agentkit.text.call_format import BadCall, Segment, Text
from agentkit.text.formats.json_block import ParseInside
from agentkit.tooling.json_scan import JsonScan

_MAX_GAP = 60
"""Maximum white space between the marker and the list."""


class ListBlock:
    """A block of a list or an object in JSON.

    begun: what of the list belongs to the marker already. parse_inside: parses the list.
    """

    def __init__(self, marker: str, parse_inside: ParseInside, begun: str = "") -> None:
        self._marker = marker.removesuffix(begun)
        self._parse_inside = parse_inside
        self._scan = JsonScan()
        self._kept: list[str] = []
        self._head = ""
        self._has_begun = self._has_closed = self._rejected = False
        if begun:
            self.feed(begun)

    def feed(self, text: str) -> str | None:
        """See `agentkit.text.call_format.Block.feed`."""
        if not self._has_begun:
            text, self._head = self._head + text, ""
            begun = text.lstrip()
            if not begun and len(text) <= _MAX_GAP:
                self._head = text
                return None
            if begun[:1] not in ("[", "{"):
                self._rejected = True
                return text
            self._has_begun = True
        end = self._scan.feed(text)
        self._kept.append(text if end is None else text[:end])
        self._has_closed = end is not None
        return None if end is None else text[end:]

    def finish(self) -> str:
        """See `agentkit.text.call_format.Block.finish`."""
        self._rejected = not self._has_begun
        return self._head

    def segments(self) -> list[Segment]:
        """See `agentkit.text.call_format.Block.segments`."""
        if self._rejected:
            return [Text(self._marker)]
        inside = "".join(self._kept)
        return [
            part._replace(text=self._marker + inside) if isinstance(part, BadCall) and not part.text else part
            for part in self._parse_inside(inside, self._has_closed)
        ]
