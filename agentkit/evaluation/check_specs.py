"""How a check is written: "f1", "f1>=.6", "number~1%", "contains: Paris", or an object {"check": "called", ...}."""

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from agentkit._text import in_a_line
from agentkit.errors import ConfigurationError

_SIGNS = (">=", "<=", "~")
_NAMES = {">=": "least", "<=": "most", "~": "within"}


def as_options(spec: Any) -> dict[str, Any]:
    """The options of a check, its kind under "check", and what stands behind a colon under "". Raises
    ConfigurationError for what is no check."""
    if isinstance(spec, Mapping):
        if not isinstance(spec.get("check"), str):
            raise ConfigurationError(f'{in_a_line(repr(spec), 80)} names no check: write {{"check": "f1", ...}}')
        return {**_of_text(spec["check"]), **{name: value for name, value in spec.items() if name != "check"}}
    if not isinstance(spec, str) or not spec.strip():
        raise ConfigurationError(f'{in_a_line(repr(spec), 80)} is no check: write "f1" or {{"check": "f1", ...}}')
    return _of_text(spec)


def _of_text(spec: str) -> dict[str, Any]:
    head, colon, value = spec.partition(":")
    made: dict[str, Any] = {"check": head.strip()}
    for sign in _SIGNS:
        kind, found, written = head.partition(sign)
        if found:
            made = {"check": kind.strip(), _NAMES[sign]: written.strip()}
            break
    return {**made, "": value.strip()} if colon else made


class Options:
    """The options of one check, of which each is taken once; what is left at the end is a mistake."""

    def __init__(self, given: Mapping[str, Any], kind: str) -> None:
        self._given = {name: value for name, value in given.items() if name != "check"}
        self._known: list[str] = []
        self.kind = kind

    def take(self, name: str, default: Any = None, *, main: bool = False) -> Any:
        """An option. main: it may stand behind the colon."""
        self._known.append(name)
        if main and "" in self._given:
            if name in self._given:
                raise ConfigurationError(f"{name} is given twice")
            return self._given.pop("")
        return self._given.pop(name, default)

    def text(self, name: str, default: str = "", *, main: bool = False) -> str:
        """An option that is a text."""
        value = self.take(name, default, main=main)
        if not isinstance(value, str):
            raise ConfigurationError(f"{name} has to be a text, not {in_a_line(repr(value), 60)}")
        return value

    def texts(self, name: str, *, main: bool = False, split: bool = False) -> tuple[str, ...]:
        """An option that is a text or several. split: a text has several, with commas between."""
        value = self.take(name, (), main=main)
        if isinstance(value, str) and split:
            value = [each.strip() for each in value.split(",") if each.strip()]
        listed = [value] if isinstance(value, str | int | float) and not isinstance(value, bool) else value
        if not isinstance(listed, list | tuple) or any(
            not isinstance(each, str | int | float) or isinstance(each, bool) for each in listed
        ):
            raise ConfigurationError(f"{name} has to be a text or a list of texts, not {in_a_line(repr(value), 60)}")
        if any(str(each) == "" or (self.kind != "regex" and not str(each).strip()) for each in listed):
            raise ConfigurationError(f"{name} is empty")
        return tuple(map(str, listed))

    def flag(self, name: str, default: bool = False) -> bool:
        """An option that is true or false."""
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise ConfigurationError(f"{name} has to be true or false, not {in_a_line(repr(value), 60)}")
        return value

    def number(self, name: str) -> float | None:
        """An option that is a number of at least 0, or the text of one; None where it is absent."""
        value = self.take(name)
        if value is None:
            return None
        try:
            number = -1.0 if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = -1.0
        if not 0 <= number < float("inf"):
            raise ConfigurationError(f"{name} has to be a number of at least 0, not {in_a_line(repr(value), 60)}")
        return number

    def done(self) -> None:
        """Raises ConfigurationError for an option that the check does not have."""
        for name in self._given:
            if name == "":
                raise ConfigurationError(f"{self.kind} takes nothing behind a colon")
            raise ConfigurationError(f"{self.kind} has no option {name!r}{near(name, self._known)}")


def near(name: str, known: Collection[str]) -> str:
    """The end of a message about an unknown name: what may be meant, or what there is."""
    close = difflib.get_close_matches(name, list(known), 1)
    if close:
        return f": did you mean {close[0]!r}?"
    return f": there are {', '.join(sorted(known))}" if known else ""
