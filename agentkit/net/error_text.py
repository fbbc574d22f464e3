"""Addresses and causes as errors show them."""

from collections.abc import Iterator

from agentkit._lazy.patterns import pattern
from agentkit._text import without_credentials


def display_url(url: object) -> str:
    """Return a URL for a message, without user name, password and query."""
    return without_credentials(url).partition("?")[0]


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, from the outermost one on; they may lead in a circle. urllib3 keeps them in
    `reason`."""
    seen: set[int] = set()
    while isinstance(error, BaseException) and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__ or getattr(error, "reason", None)


def innermost(error: BaseException) -> BaseException:
    """The last of an error's causes; the error itself where it has none."""
    *_, last = causes_of(error)
    return last


def cause_of(error: BaseException) -> str:
    """Return the type and message of the innermost cause, without object addresses and errno."""
    error = innermost(error)
    text = _ADDRESS_OR_NUMBER.sub("", str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


_ADDRESS_OR_NUMBER = pattern(r"<[^<>]* object at 0x[0-9a-f]+>:? ?|^\[Errno -?\d+\] ")
