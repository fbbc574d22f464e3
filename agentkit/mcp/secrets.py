"""Keys among the words of a command and in addresses, and errors of servers without them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from agentkit.net.keys import is_secret_name

MAX_DEPTH = 100
"""What is nested deeper in an error is left out."""

_LOOKS_LIKE_ONE = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_+/=.~-]{20,}")
_PATH = re.compile(r"[./~]|[A-Za-z]:[\\/]")
_IN_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}:\s*(\S.*)", re.DOTALL)
_SCHEME = re.compile(r"(?:bearer|basic|token)\s+(\S.*)", re.IGNORECASE | re.DOTALL)
_HEADER_OPTIONS = ("-H", "--header", "--headers")


def may_be_key(name: str, value: str) -> bool:
    """Whether a value is a key, by its name or by its looks."""
    is_likely = bool(_LOOKS_LIKE_ONE.fullmatch(value)) and not _PATH.match(value)
    return is_likely or is_secret_name(name, in_url=True)


def keys_in_words(words: Sequence[str]) -> Iterator[str]:
    """Yield the keys among the arguments of a command: `--api-key=...`, `--token ...`, `-e NAME=...`, `--header
    "Authorization: Bearer ..."`, what looks like one, and the passwords in addresses."""
    before = ""
    for word in words:
        name, sign, value = word.partition("=")
        if sign and may_be_key(name, value):
            yield value
        is_option = before.startswith("-") and "=" not in before
        if (is_option and not word.startswith("-") and may_be_key(before, word)) or may_be_key("", word):
            yield word
        header = _IN_HEADER.fullmatch(word) if before in _HEADER_OPTIONS else None
        told = header[1] if header else value if sign else word
        if header:
            yield told
        if scheme := _SCHEME.match(told):
            yield scheme[1]
        yield from keys_in_url(value if "://" in value and "://" not in name else word)
        before = word


def key_in_value(name: str, value: str) -> str:
    """The key in the value of a header or of an environment variable; "" for none. name: of the header or variable."""
    if not may_be_key(name, value):
        return ""
    scheme = _SCHEME.fullmatch(value)
    return scheme[1] if scheme else value


def keys_in_url(url: str) -> Iterator[str]:
    """Yield the password in an address, and the keys in its query, as they stand there and decoded."""
    try:
        parts = urlsplit(url)
        found = [parts.password or "", unquote(parts.password or "")]
    except ValueError:
        return
    if not parts.scheme or not parts.netloc:
        return
    for name, value in parse_qsl(parts.query):
        if may_be_key(name, value):
            found.append(value)
    yield from filter(None, found)


def without_keys_in_errors(answer: Mapping[str, Any], mask: Callable[[str], str]) -> dict[str, Any]:
    """An answer in which what a tool says of its own error (`isError`) is masked."""
    result = answer.get("result")
    if not isinstance(result, Mapping) or result.get("isError") not in (True, "true"):
        return {**answer}
    return {**answer, "result": without_keys(result, mask)}


def without_keys(error: Any, mask: Callable[[str], str], depth: int = 0) -> Any:
    """The error of a JSON-RPC answer, any JSON value, with all texts in it masked; the names of fields are kept."""
    if isinstance(error, str):
        return mask(error)
    if not isinstance(error, Mapping | list):
        return error
    if depth == MAX_DEPTH:
        return "(nested too deeply to be shown)"
    if isinstance(error, list):
        return [without_keys(each, mask, depth + 1) for each in error]
    return {name: without_keys(each, mask, depth + 1) for name, each in error.items()}
