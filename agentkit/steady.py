"""A backend that asks once more when a reply is empty: no text, no tool call, no refusal."""

from contextlib import closing
from dataclasses import replace

from agentkit.backend import Backend, Pieces, Request
from agentkit.event import Reply
from agentkit.message import text_of


class Steady:
    """Wraps any backend. A reply that is empty twice is told as it is, with the usage of both."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __repr__(self) -> str:
        return repr(self._backend)

    def reply(self, request: Request) -> Pieces:
        """See `agentkit.backend.Backend.reply`."""
        empty: Reply | None = None
        with closing(self._backend.reply(request)) as pieces:
            for piece in pieces:
                if isinstance(piece, Reply) and _is_empty(piece):
                    empty = piece
                else:
                    yield piece
        if empty is None:
            return
        with closing(self._backend.reply(request)) as pieces:
            for piece in pieces:
                yield replace(piece, usage=empty.usage + piece.usage) if isinstance(piece, Reply) else piece

    def close(self) -> None:
        """See `agentkit.backend.Backend.close`."""
        self._backend.close()


def _is_empty(reply: Reply) -> bool:
    """Whether nothing was said, and nothing says why (a limit on the length, a filter)."""
    message = reply.message
    said = text_of(message).strip() or message.get("tool_calls") or message.get("refusal")
    has_other = isinstance(message.get("content"), list) and bool(message.get("content"))
    return not said and not has_other and reply.finish_reason not in ("length", "content_filter")
