"""What becomes of an item whose run has failed: whether it is asked again, and when."""

import random
from typing import Literal

from agentkit._lazy.patterns import pattern
from agentkit.errors import AgentkitError, SessionBusyError, SessionError
from agentkit.net.error_kinds import is_api_error
from agentkit.net.error_words import status_of, words_of
from agentkit.net.overflow import too_long
from agentkit.net.refusal_words import is_final, is_of_account

Kind = Literal["account", "store", "passing", "final"]
"""account: the key, the credit, or the model of all items, so that the others would fail too. store: what keeps the
sessions of all items is away or full; asked again, it may be there. passing: it may succeed when it is asked again.
final: it would fail again."""

FIRST_PAUSE, MAX_PAUSE = 1.0, 60.0
"""Seconds before an item is asked a second time, and at most before any other."""

_OF_THE_ACCOUNT = frozenset({401, 402, 403, 404})
_PASSING = frozenset({408, 409, 425, 429})
_NEVER = frozenset({501, 505})
_KEY_OR_MODEL = pattern(
    r"api[ _-]?key (?:is |was )?(?:not valid|not found|invalid|expired|missing|incorrect|disabled)|api_key_invalid|"
    r"(?:invalid|incorrect|expired|missing|no) (?:api|x-api)[ _-]?key|invalid_api_key|"
    r"model_(?:not_found|decommissioned|not_available|not_exist)|not a valid model|"
    r"(?:no such|unknown|unsupported) model|models? not (?:exist|found)|"
    r"model [^|]{0,80}?(?:does not exist|not found|been decommissioned|is not available|is deprecated)|模型不存在"
)
_OF_THE_ITEM = pattern(
    r"flagged|moderation|content[ _](?:policy|filter)|safety|"
    r"(?:file|image|response|document|conversation|thread)(?:_| )[^|]{0,80}not[ _]found"
)
_OVERLOADED = pattern(r"overloaded|try again later|temporarily unavailable|server is busy")


def kind_of(error: BaseException) -> Kind:
    """What an error of a run means for its item and for the others: see `Kind`."""
    if isinstance(error, AgentkitError):
        return "store" if _is_of_store(error) else "final"
    if not is_api_error(error):
        return "passing" if isinstance(error, ConnectionError | TimeoutError) else "final"
    if too_long(error) is not None:
        return "final"
    status, words = status_of(error), words_of(error)
    if is_of_account(words):
        return "account"
    if status in _OF_THE_ACCOUNT:
        return "final" if status in (403, 404) and _OF_THE_ITEM.search(words) else "account"
    if status is None or status < 400 or status in _PASSING or status >= 500:
        return "final" if status in _NEVER or (status == 429 and is_final(words)) else "passing"
    if _KEY_OR_MODEL.search(words):
        return "account"
    return "passing" if _OVERLOADED.search(words) else "final"


def _is_of_store(error: AgentkitError) -> bool:
    """Whether a store of sessions has failed: it raises its own errors (a full disk, a broken connection) as their
    cause, and what is wrong with a session or a message without one."""
    return isinstance(error, SessionBusyError) or (isinstance(error, SessionError) and error.__cause__ is not None)


def seconds_before(attempt: int) -> float:
    """The seconds to wait before an attempt at an item, of which the first is 1: they double, up to MAX_PAUSE, and are
    as much as a half shorter by chance, so that what failed together does not come back together."""
    if attempt < 2:
        return 0.0
    return min(FIRST_PAUSE * 2.0 ** min(attempt - 2, 10), MAX_PAUSE) * (1 - random.random() / 2)
