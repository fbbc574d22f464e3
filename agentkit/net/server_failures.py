"""Whether another model may answer where one has failed, for how long it is not asked then, and what went wrong in
plain words, without the server's own (which may repeat what was sent)."""

from dataclasses import dataclass

from agentkit._lazy.patterns import pattern
from agentkit._text import in_a_line
from agentkit.errors import AgentkitError
from agentkit.net.error_kinds import is_api_error, is_connection_error, is_timeout_error
from agentkit.net.error_words import status_of, words_of
from agentkit.net.overflow import NoRoomError, too_long
from agentkit.net.rate_headers import told_by
from agentkit.net.refusal_words import is_of_account

OUT_SECONDS = 30.0
"""Seconds for which a model that has failed is not asked, where its server does not say how long."""
MAX_OUT_SECONDS = 600.0
"""The longest time that a server's Retry-After is obeyed: the end of a quota may be a day away, or be raised now."""
MAX_SHOWN = 300

_OF_THE_REQUEST = frozenset({400, 413, 422})
"""Statuses that another server would answer too, unless the words say otherwise."""
_REASONS = {
    401: "its key was refused",
    402: "its account has no credit",
    403: "access to it was refused",
    404: "the server has no such model or address",
    408: "the server waited too long for the request",
    409: "the server reported a conflict",
    410: "the server no longer has the model",
    429: "it is asked too often, or its quota is spent",
}
_NOT_THE_REQUEST = pattern(
    r"api[ _-]?key (?:is )?(?:not valid|invalid|expired|missing)|api_key_invalid|"
    r"(?:invalid|incorrect|expired) api[ _-]?key|"
    r"credit balance|insufficient[ _](?:balance|credits?|quota|funds)|exceeded your current quota|"
    r"(?:reached|exceeded) [^|]{0,40}?usage limits?\b(?! of (?:\d{1,9} )?(?:image|file|document|tool)s?\b)|"
    r"usage limits? (?:reached|exceeded)|"
    r"arrearage|account is in good standing|"
    r"(?:account|organization|project) [^|]{0,80}?(?:not active|deactivated|suspended|disabled|has not activated)|"
    r"not allowed for this (?:account|organization|project)|"
    r"user location is not supported|not (?:available|supported) in your (?:country|region)|"
    r"budget has been exceeded|over budget|budget_exceeded|"
    r"model_(?:not_found|decommissioned|not_available|not_supported)|not a valid model|"
    r"invalid model(?: (?:id|identifier|name)\b|[:'\"` ]{1,2}['\"`])|invalid model:|invalid_model\b|"
    r"model identifier is invalid|with on-demand throughput isn't supported|does not work with the specified model|"
    r"requested model (?:(?!parameter)[^|]){0,100}?is not supported|"
    r"reached its end of life|failed to load model|could not find (?:real )?model|"
    r"model [^|]{0,80}?(?:does not exist|not found|not loaded|"
    r"(?:been|was) (?:decommissioned|deprecated|removed|retired)|"
    r"is (?:not available|no longer available|overloaded|deprecated|still loading|loading\b))|"
    r"overloaded_error|server_overloaded|模型不存在|模型已下线|未开通"
)
"""What some servers say with a 400 although nothing is wrong with the request: the key (Gemini), the account
(Anthropic), the model (Groq, OpenRouter), the country; beside the words of `is_of_account`."""


@dataclass(frozen=True)
class Failure:
    """Why a model gave no answer, where another one may. reason: in plain words. out: seconds for which the model is
    not asked; 0 where the failure says nothing of its health. has_no_room: the conversation is too long for it. error:
    what was raised, None when a reply came that is none."""

    reason: str
    out: float = 0.0
    has_no_room: bool = False
    error: Exception | None = None

    @property
    def details(self) -> str:
        """What the server said, on one line; else the reason."""
        return in_a_line(str(self.error), MAX_SHOWN) if self.error is not None and str(self.error) else self.reason


def failure_of(error: Exception) -> Failure | None:
    """The failure that an error is; None for one that another model would meet too, or that is not a server's."""
    if isinstance(error, NoRoomError) or too_long(error) is not None:
        return Failure("the conversation is too long for it", has_no_room=True, error=error)
    if isinstance(error, AgentkitError):
        return None
    reason = _reason_of(error)
    return None if reason is None else Failure(reason, _seconds_out(error), error=error)


def _reason_of(error: Exception) -> str | None:
    if isinstance(error, TimeoutError) or is_timeout_error(error):
        return "the server did not answer in time"
    if isinstance(error, ConnectionError) or is_connection_error(error):
        is_begun = getattr(error, "in_body", False)
        return "its reply broke off in the middle" if is_begun else "the connection to its server failed"
    if not is_api_error(error):
        return None
    status = status_of(error)
    if status is None or status < 400:  # an error event, or what is no chat completion
        return "the server reported an error" if getattr(error, "in_body", False) else "the server sent no valid reply"
    if status >= 500:
        return f"the server failed (status {status})"
    if status not in _OF_THE_REQUEST:
        return _REASONS.get(status, f"the server refused the request (status {status})")
    words = words_of(error)
    if _NOT_THE_REQUEST.search(words) or is_of_account(words):
        return "its key, account or model can't be used"
    return None


def _seconds_out(error: Exception) -> float:
    response = getattr(error, "response", None)
    seconds = None if response is None else told_by(response.headers).retry_after
    return OUT_SECONDS if seconds is None else min(seconds, MAX_OUT_SECONDS)
