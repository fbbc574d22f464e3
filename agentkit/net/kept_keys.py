"""Keys stay at home: a text with a key is pickled with the name of the environment variable that has the key too, and
is read from there again where it is loaded."""

import os
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from agentkit._lazy.records import dataclass
from agentkit.errors import ConfigurationError
from agentkit.net.keys import MIN_SECRET, is_secret_name

ADVICE = "put the key into an environment variable, in all processes, and read it from there; or name a function"
_Part = str | tuple[str]
"""A text, or the name of an environment variable."""


@dataclass(frozen=True)
class Keyless:
    """What a text with keys is pickled as. It is loaded as a text."""

    parts: tuple[_Part, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        return filled, self.parts


def keyless(text: str, keys: Iterable[str]) -> Any:
    """A text without the keys in it: itself, or what is pickled in its place and loaded as the text. Raises
    PicklingError, without a key in it, for one that stands in no environment variable."""
    parts: list[_Part] = [text]
    found = [each for each in set(keys) if each and each in text]
    if found and (variable := _variable_with(text)) is not None:  # an address with a password, as services get it
        return Keyless(((variable,),))
    for key in sorted(found, key=len, reverse=True):
        if any(isinstance(each, str) and key in each for each in parts):
            parts = [made for each in parts for made in _split(each, key)]
    return text if parts == [text] else Keyless(tuple(parts))


def filled(*parts: _Part) -> str:
    """The text again. Raises ConfigurationError for a variable that is not set here."""
    return "".join(each if isinstance(each, str) else _value_of(each[0]) for each in parts)


def keyless_address(text: str) -> Any:
    """The same for what ends with an address, such as the name of a model: without the password and the keys in that.
    Raises PicklingError."""
    start = text.find("://")
    try:
        parts = urlsplit(f"any{text[start:]}" if start >= 0 else "")
        named = parse_qsl(parts.query, max_num_fields=1000)
        given = [part.partition("=")[2] for part in parts.query.split("&")]
        keys = [parts.password or "", *(value for name, value in named if is_secret_name(name, in_url=True))]
        raw = [each for each in given if unquote_plus(each) in keys]
    except ValueError:
        return text
    return keyless(text, [*keys, *raw])


def key_in(data: bytes) -> str:
    """The name of an environment variable whose value is a key that stands in what is sent; "" for none."""
    keys = {name: value for name, value in os.environ.items() if is_secret_name(name) and len(value) >= MIN_SECRET}
    paths = {name for name, value in keys.items() if os.path.isabs(value)}  # PWD is a folder, and no password
    return next((name for name, value in keys.items() if name not in paths and os.fsencode(value) in data), "")


def check_object(found: object) -> None:
    """Raise PicklingError for an object that has a key or a password among its attributes, such as
    `requests.auth.HTTPBasicAuth`."""
    attributes = getattr(found, "__dict__", None)
    if isinstance(attributes, dict) and not isinstance(found, type) and not callable(getattr(found, "__code__", None)):
        for name, value in attributes.items():
            if isinstance(value, str | bytes) and value and is_secret_name(name):
                raise _not_pickled(f"it has a key, as {name}: {ADVICE}")


def _not_pickled(reason: str) -> Exception:
    from pickle import PicklingError

    return PicklingError(reason)


def _split(part: _Part, key: str) -> list[_Part]:
    if not isinstance(part, str) or key not in part:
        return [part]
    variable = _variable_with(key)
    if variable is None:
        raise _not_pickled(f"it has a key: {ADVICE}")
    made: list[_Part] = []
    for each in part.split(key):
        made += [each, (variable,)]
    return [each for each in made[:-1] if each]


def _variable_with(value: str) -> str | None:
    return next((name for name, each in os.environ.items() if each == value), None)


def _value_of(variable: str) -> str:
    try:
        return os.environ[variable]
    except KeyError:
        raise ConfigurationError(
            f"the environment variable {variable} is not set in this process: it has a key of what was sent here"
        ) from None
