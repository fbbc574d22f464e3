"""Retries a request once when the reply is empty (no text, no tool call, no refusal) or ends with an error, its stream
breaks (an event that is not JSON breaks it too), a 200 carries an overload or server error, or the server could not
parse the model's tool call. Other failures are retried by the HTTP client. Where another model stands ready only an
empty reply is: which failed is left to it."""

from contextlib import closing

from agentkit._lazy.logs import logger_of
from agentkit._text import cut
from agentkit.backend import ReplyStream, Request, ending_of, is_empty
from agentkit.event import Reply, ReplyDiscarded
from agentkit.limits import NO_USAGE, Usage
from agentkit.middleware.base import Middleware, model_name, spent_on, with_spent
from agentkit.net.attempts import retries_allowed
from agentkit.net.error_kinds import is_connection_error, is_timeout_error
from agentkit.net.overflow import too_long

logger = logger_of("agentkit.run")

EMPTY, FAILED = "the reply was empty", "the reply failed"
_IN_WORDS = {EMPTY: "its reply was empty", FAILED: "its server broke the reply off"}
PAUSE = 0.5
"""Seconds before the request is sent again to a server that is overloaded or has failed."""


class Retrying(Middleware):
    """Wraps any backend.

    A reply that is empty twice is passed on as it is, with the usage of both. One that twice ends with an error (its
    finish reason says so) raises the openai package's APIError, unless it has tool calls or is a typed answer, about
    which the model is told. A stream that breaks is requested again
    from its beginning, which is safe since nothing of it was acted on; if deltas of it were yielded, ReplyDiscarded
    follows. A second failure raises, with what the first reply took (`with_spent`).
    """

    stops_on_abort = True

    _name = ""

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        before, why = NO_USAGE, ""
        has_yielded, may_wait = False, bool(retries_allowed(1))
        try:
            deltas = self.backend.reply(request)
            try:
                for delta in deltas:
                    if isinstance(delta, Reply):
                        why = _why_again(delta, request, may_wait)
                        if why:
                            before = delta.usage
                            break
                        delta = self._named(delta)
                    has_yielded = True
                    yield delta
                else:
                    return
            finally:
                deltas.close()
            _wait(PAUSE if why == FAILED else 0)
        except Exception as error:
            seconds = _pause_after(error, request, has_yielded) if may_wait else None
            if seconds is None:
                raise
            before, why = spent_on(error), type(error).__name__
            _wait(seconds)
        logger.info("the request is sent again: %s", why)
        if has_yielded:
            yield ReplyDiscarded(_IN_WORDS.get(why, "its reply broke off in the middle"), model_name(self.backend))
        try:
            yield from self._again(request, before, may_wait)
        except Exception as error:
            with_spent(error, before)
            raise

    def _again(self, request: Request, before: Usage, may_wait: bool) -> ReplyStream:
        """The second reply. before: what the first one took."""
        with closing(self.backend.reply(request)) as deltas:
            for delta in deltas:
                if isinstance(delta, Reply) and may_wait and _has_failed(delta, request):
                    raise with_spent(_broken_off(delta), delta.usage)
                yield self._named(delta, before) if isinstance(delta, Reply) else delta

    def _named(self, reply: Reply, before: Usage = NO_USAGE) -> Reply:
        """The reply with the name of its model, and what it took with what was spent before."""
        self._name = self._name or model_name(self.backend)
        usage = reply.usage if before is NO_USAGE else before + reply.usage
        name = reply.model or self._name
        said = reply.response_model, reply.response_id
        return Reply(reply.message, reply.finish_reason, usage, reply.extra, reply.then, name, reply.others, *said)


def _wait(seconds: float) -> None:
    from agentkit.net.retries import wait_unless_aborted  # which a run without failures does without

    wait_unless_aborted(seconds)


def _why_again(reply: Reply, request: Request, may_wait: bool) -> str:
    """Why a request is sent again for this reply; "" when it is not."""
    if is_empty(reply):
        return EMPTY
    return FAILED if may_wait and _has_failed(reply, request) else ""


def _has_failed(reply: Reply, request: Request) -> bool:
    """Whether the server broke a reply off, and nothing further out asks the model again: what became of its calls is
    told to it, and what is wrong with a typed answer."""
    is_asked_again = bool(request.response_format or (reply.message.get("tool_calls") and request.tools))
    return ending_of(reply.finish_reason) == "error" and not is_asked_again


def _broken_off(reply: Reply) -> Exception:
    from agentkit.net.api_errors import api_error

    return api_error(f"the server broke the reply off twice (finish_reason {cut(reply.finish_reason, 60)!r})")


def _pause_after(error: Exception, request: Request, has_yielded: bool) -> float | None:
    """The seconds after which a request that has failed is sent again; None when it is not."""
    if request.stream and _is_broken_stream(error, has_yielded):
        return 0.0
    from agentkit.net.failed_generation import failed_generation

    if failed_generation(error) is not None:  # the model may write the call in another way
        return 0.0
    return PAUSE if _is_transient_in_body(error) else None


def _is_broken_stream(error: Exception, has_yielded: bool) -> bool:
    """Whether the connection broke during a stream; what failed before has been retried by the HTTP client."""
    if not is_connection_error(error) or is_timeout_error(error):
        return False
    # Without a cause, it is the error of a backend that has no HTTP client.
    return has_yielded or getattr(error, "in_body", False) or error.__cause__ is None


def _is_transient_in_body(error: Exception) -> bool:
    """Whether the body of a 200 is broken, or reports an overload, a server error, or an error without a status; a
    prompt that is too long would be so again."""
    if not getattr(error, "in_body", False) or too_long(error) is not None:
        return False
    status = getattr(error, "status_code", 500)
    return status in (408, 409, 429) or status >= 500
