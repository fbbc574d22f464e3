"""What a server says in an error: all of its words as one bounded, lower-case text.

Servers put the reason into `message`, `detail`, `code`, `type`, a bare string, a list, an HTML page, or the JSON text
of another server's error inside one of these (gateways).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from agentkit._lazy.patterns import pattern

MAX_TEXTS = 60
MAX_TEXT_CHARS = 2000
"""Characters of one text: the reason stands at its beginning or at its end."""
MAX_CHARS = 8000
MAX_DEPTH = 8

_ECHOED = frozenset({"input", "ctx", "url"})
"""Fields in which validators (FastAPI) repeat the request."""

_SPACE = pattern(r"\s+")
_GROUPED = pattern(r"(?<=\d),(?=\d{3}(?!\d))")
_ESCAPED = pattern(r"\\u([0-9a-f]{4})")


def status_of(error: BaseException) -> int | None:
    """The HTTP status of an error, None for one without (an error event of a stream)."""
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def words_of(error: BaseException) -> str:
    """The words of a server's error, in lower case, on one line, without thousands separators, at most MAX_CHARS
    characters. Takes time linear in what it reads of the body, which is bounded."""
    return words_in(getattr(error, "body", None), str(error))


def words_in(body: object, text: str) -> str:
    """The same of the body of an error, as JSON; of a text where there is none."""
    texts = list(_texts(body, MAX_DEPTH)) if body else []
    text = " | ".join(texts[:MAX_TEXTS] or [_ends(text)])[:MAX_CHARS].lower()
    if "\\u" in text:
        text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return _GROUPED.sub("", _SPACE.sub(" ", text)).replace("’", "'")


def explain(error: BaseException, sentence: str) -> None:
    """Add a sentence to the message of an error of the openai package; others stay as they are."""
    message = getattr(error, "message", None)
    if isinstance(message, str) and sentence not in message:
        error.message = f"{message.rstrip('.')} ({sentence})"  # type: ignore[attr-defined]
        error.args = (error.message,)  # type: ignore[attr-defined]


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield _ends(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif depth and isinstance(value, Mapping):
        for name, each in list(value.items())[:MAX_TEXTS]:
            if name not in _ECHOED:
                yield from _texts(each, depth - 1)
    elif depth and isinstance(value, list):
        for each in value[:MAX_TEXTS]:
            yield from _texts(each, depth - 1)


def _ends(text: str) -> str:
    if len(text) <= MAX_TEXT_CHARS:
        return text
    half = MAX_TEXT_CHARS // 2
    return f"{text[:half]} … {text[-half:]}"
