"""What a server says of a request that it refuses because of its load, or says so: whether it ever takes it, and when.

The same status stands for a rate, which passes, for an account without credit, which does not, and for a request that
is larger than all that is allowed in a minute. Their words overlap: OpenAI's refusals of a rate name a page on billing,
and Google's begin like OpenAI's of an account.
"""

import json

from agentkit._lazy.patterns import pattern
from agentkit.net.error_words import words_in
from agentkit.net.rate_headers import MAX_SECONDS, seconds_of

_OF_THE_DAY = pattern(
    r"(?:per[-_ ]?day|usage limit (?:has been )?reached)(?![^|]{0,200}(?:try again|retry) in)|free-models-per-day|"
    r"(?:daily|weekly|monthly) (?:quota|(?:usage )?limit)|usage_limit_reached|terminal_quota_exhausted"
)
_OF_THE_ACCOUNT = pattern(
    r"insufficient[_ ]?quota|insufficient (?:balance|credits?|funds)|exceeded_current_quota|"
    r"credit balance|(?:no|out of|used all available|not enough|exhausted (?:your|all)) (?:available )?credits?|"
    r"(?:monthly )?spending limit|billing[_ ]hard[_ ]limit|billing_not_active|payment (?:is )?required|"
    r"account [^|]{0,80}?(?:not active|deactivated|suspended|overdue|in arrears)|余额不足|欠费|额度不足"
)
_QUOTA = pattern(r"exceeded your current quota")
_OF_A_RATE = pattern(r"per[-_ ]?(?:minute|second|hour|day)|retrydelay|(?:try again|retry) (?:in|after)")
_TOO_LARGE = pattern(r"request too large|(?:input|output|prompt) tokens must be reduced")
_SECONDS = pattern(
    r"(?:try again|retry|wait)(?: in| after| for)? (?:approximately |about )?"
    r"((?:\d{1,6}(?:\.\d{1,9})?(?:ms|[dhms]))+|\d{1,6}(?:\.\d{1,9})?(?= ?seconds?))|"
    r"(?<=\| )(\d{1,6}(?:\.\d{1,9})?s)(?= \||$)"
)


def is_of_account(words: str) -> bool:
    """Whether a refusal is about the account: its credit or the quota of a day or more, which do not come back while a
    request waits. words: see `agentkit.net.error_words.words_of`."""
    if _OF_THE_ACCOUNT.search(words) is not None or _OF_THE_DAY.search(words) is not None:
        return True
    return _QUOTA.search(words) is not None and _OF_A_RATE.search(words) is None


def is_final(words: str) -> bool:
    """Whether a refused request would be refused again, however long it waits."""
    return is_of_account(words) or _TOO_LARGE.search(words) is not None


def seconds_asked(words: str) -> float | None:
    """The seconds that a server asks in its words to wait: "Please try again in 1.2s", or Google's `retryDelay`."""
    found = _SECONDS.search(words)
    if found is None:
        return None
    seconds = seconds_of(found[1] or found[2], 0.0)
    return seconds if seconds is None or seconds <= MAX_SECONDS else None


def words_of_body(content: bytes) -> str:
    """The words of the body of a refusal."""
    text = content.decode("utf-8", "replace")
    try:
        return words_in(json.loads(text), text)
    except (ValueError, RecursionError):
        return words_in(None, text)
