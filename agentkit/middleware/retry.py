"""Retries a request once when the reply is empty (no text, no tool call, no refusal) or ends with an error, its stream
breaks (an event that is not JSON breaks it too), or a 200 carries an overload or server error. Other failures are
retried by the HTTP client."""

import logging
import time
from contextlib import closing
from dataclasses import replace

from agentkit._text import cut
from agentkit.backend import ReplyStream, Request, ending_of, is_broken_off
from agentkit.event import Reply, ReplyDiscarded
from agentkit.limits import Usage
from agentkit.message import text_of
from agentkit.middleware.base import Middleware
from agentkit.net.overflow import too_long

logger = logging.getLogger("agentkit.run")

PAUSE = 0.5
"""Seconds before the request is sent again to a server that is overloaded or has failed."""


class Retrying(Middleware):
    """Wraps any backend.

    A reply that is empty twice is passed on as it is, with the usage of both. One that twice ends with an error (its
    finish reason says so) raises the openai package's APIError, unless it has tool calls or is a typed answer, about
    which the model is told. A stream that breaks is requested again
    from its beginning, which is safe since nothing of it was acted on; if deltas of it were yielded, ReplyDiscarded
    follows. A second failure raises.
    """

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        before, why = Usage(), ""
        has_yielded = False
        try:
            with closing(self.backend.reply(request)) as deltas:
                for delta in deltas:
                    if isinstance(delta, Reply) and (_is_empty(delta) or _has_failed(delta, request)):
                        before, why = delta.usage, "the reply was empty" if _is_empty(delta) else "the reply failed"
                        time.sleep(PAUSE if _has_failed(delta, request) else 0)
                        break
                    has_yielded = True
                    yield delta
                else:
                    return
        except Exception as error:
            why = type(error).__name__
            if not (request.stream and _is_broken_stream(error, has_yielded)):
                if not _is_transient_in_body(error):
                    raise
                time.sleep(PAUSE)
        logger.info("the request is sent again: %s", why)
        if has_yielded:
            yield ReplyDiscarded()
        with closing(self.backend.reply(request)) as deltas:
            for delta in deltas:
                if isinstance(delta, Reply) and _has_failed(delta, request):
                    raise _broken_off(delta)
                yield replace(delta, usage=before + delta.usage) if isinstance(delta, Reply) else delta


def _is_empty(reply: Reply) -> bool:
    """Whether a reply has no content, and no reason for it (a length limit, a content filter)."""
    message = reply.message
    content = text_of(message).strip() or message.get("tool_calls") or message.get("refusal")
    has_other = isinstance(message.get("content"), list) and bool(message.get("content"))
    return not content and not has_other and not is_broken_off(reply.finish_reason)


def _has_failed(reply: Reply, request: Request) -> bool:
    """Whether the server broke a reply off, and nothing further out asks the model again: what became of its calls is
    told to it, and what is wrong with a typed answer."""
    is_asked_again = bool(request.response_format or (reply.message.get("tool_calls") and request.tools))
    return ending_of(reply.finish_reason) == "error" and not is_asked_again


def _broken_off(reply: Reply) -> Exception:
    from agentkit.net.api_errors import api_error

    return api_error(f"the server broke the reply off twice (finish_reason {cut(reply.finish_reason, 60)!r})")


def _is_broken_stream(error: Exception, has_yielded: bool) -> bool:
    """Whether the connection broke during a stream; failures to connect have been retried by the HTTP client."""
    from openai import APIConnectionError, APITimeoutError

    if not isinstance(error, APIConnectionError) or isinstance(error, APITimeoutError):
        return False
    return has_yielded or "Connect" not in type(error.__cause__).__name__


def _is_transient_in_body(error: Exception) -> bool:
    """Whether the body of a 200 is broken, or reports an overload, a server error, or an error without a status; a
    prompt that is too long would be so again."""
    if not getattr(error, "in_body", False) or too_long(error) is not None:
        return False
    status = getattr(error, "status_code", 500)
    return status in (408, 409, 429) or status >= 500
