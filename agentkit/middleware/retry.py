"""Retries a request once when the reply is empty (no text, no tool call, no refusal), its stream breaks, or a 200
carries an overload or server error. Other failures are retried by the HTTP client."""

import time
from contextlib import closing
from dataclasses import replace

from agentkit.backend import ReplyStream, Request
from agentkit.event import Reply, ReplyDiscarded
from agentkit.limits import Usage
from agentkit.message import text_of
from agentkit.middleware.base import Middleware
from agentkit.net.overflow import too_long

PAUSE = 0.5
"""Seconds before the retry of an overloaded server."""


class Retrying(Middleware):
    """Wraps any backend.

    A reply that is empty twice is passed on as it is, with the usage of both. A stream that breaks is requested again
    from its beginning, which is safe since nothing of it was acted on; if deltas of it were yielded, ReplyDiscarded
    follows. A second failure raises.
    """

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        before = Usage()
        has_yielded = False
        try:
            with closing(self.backend.reply(request)) as deltas:
                for delta in deltas:
                    if isinstance(delta, Reply) and _is_empty(delta):
                        before = delta.usage
                        break
                    has_yielded = True
                    yield delta
                else:
                    return
        except Exception as error:
            if _is_overload_in_body(error):
                time.sleep(PAUSE)
            elif not (request.stream and _is_broken_stream(error, has_yielded)):
                raise
        if has_yielded:
            yield ReplyDiscarded()
        with closing(self.backend.reply(request)) as deltas:
            for delta in deltas:
                yield replace(delta, usage=before + delta.usage) if isinstance(delta, Reply) else delta


def _is_empty(reply: Reply) -> bool:
    """Whether a reply has no content, and no reason for it (a length limit, a content filter)."""
    message = reply.message
    content = text_of(message).strip() or message.get("tool_calls") or message.get("refusal")
    has_other = isinstance(message.get("content"), list) and bool(message.get("content"))
    return not content and not has_other and reply.finish_reason not in ("length", "content_filter")


def _is_broken_stream(error: Exception, has_yielded: bool) -> bool:
    """Whether the connection broke during a stream; failures to connect have been retried by the HTTP client."""
    from openai import APIConnectionError, APITimeoutError

    if not isinstance(error, APIConnectionError) or isinstance(error, APITimeoutError):
        return False
    return has_yielded or "Connect" not in type(error.__cause__).__name__


def _is_overload_in_body(error: Exception) -> bool:
    """Whether the body of a 200 reports an overload or a server error, or has no status at all; a prompt that is too
    long would be so again."""
    if not getattr(error, "in_body", False) or too_long(error) is not None:
        return False
    status = getattr(error, "status_code", 500)
    return status in (408, 409, 429) or status >= 500
