"""A backend that asks once more: when a reply is empty (no text, no tool call, no refusal), when its stream breaks, and
when a server says 200 and then that it is busy. Other faults are the clients' to try again, and they do."""

import time
from contextlib import closing
from dataclasses import replace

from agentkit.backend import Backend, Pieces, Request
from agentkit.event import Reply, ReplyDiscarded
from agentkit.limits import Usage
from agentkit.message import text_of

PAUSE = 0.5
"""Seconds before a server that is busy is asked again."""


class Retrying:
    """Wraps any backend.

    A reply that is empty twice is told as it is, with the usage of both. A stream that broke is asked for again from
    its beginning, which is safe since nothing of it was acted on; who has been told pieces of it is told to forget
    them (ReplyDiscarded). One that fails twice raises.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __repr__(self) -> str:
        return repr(self._backend)

    def reply(self, request: Request) -> Pieces:
        """See `agentkit.backend.Backend.reply`."""
        before = Usage()
        told = False
        try:
            with closing(self._backend.reply(request)) as pieces:
                for piece in pieces:
                    if isinstance(piece, Reply) and _is_empty(piece):
                        before = piece.usage
                        break
                    told = True
                    yield piece
                else:
                    return
        except Exception as error:
            if _is_passing_trouble(error):
                time.sleep(PAUSE)
            elif not (request.stream and _is_broken_stream(error, told)):
                raise
        if told:
            yield ReplyDiscarded()
        with closing(self._backend.reply(request)) as pieces:
            for piece in pieces:
                yield replace(piece, usage=before + piece.usage) if isinstance(piece, Reply) else piece

    def close(self) -> None:
        """See `agentkit.backend.Backend.close`."""
        self._backend.close()


def _is_empty(reply: Reply) -> bool:
    """Whether nothing was said, and nothing says why (a limit on the length, a filter)."""
    message = reply.message
    said = text_of(message).strip() or message.get("tool_calls") or message.get("refusal")
    has_other = isinstance(message.get("content"), list) and bool(message.get("content"))
    return not said and not has_other and reply.finish_reason not in ("length", "content_filter")


def _is_broken_stream(error: Exception, told: bool) -> bool:
    """Whether the connection broke in a stream; a server that can't be reached has been tried again by the client."""
    from openai import APIConnectionError, APITimeoutError

    if not isinstance(error, APIConnectionError) or isinstance(error, APITimeoutError):
        return False
    return told or "Connect" not in type(error.__cause__).__name__


def _is_passing_trouble(error: Exception) -> bool:
    """Whether a server that has said 200 tells in the answer that it is busy or has failed, or tells nothing."""
    if not getattr(error, "in_body", False):
        return False
    status = getattr(error, "status_code", 500)
    return status in (408, 409, 429) or status >= 500
