"""The texts in the arguments of a call, with what their names say of them."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentkit.tooling.argument_names import unwrapped
from agentkit.tooling.coercion import Expected
from agentkit.tooling.json_repair import read_json

FEW_WORDS = 3
MAX_DEPTH = 16
MAX_ASKED = 200
"""Strings of a call that look like JSON, of which it is looked whether their tool takes them as they are; others count
as strings and as what is in them."""

_IS_PATH = re.compile(
    r"path|file|folder|director|host|domain|server|endpoint|webhook|e?mail|recipient|address|url"
    r"|(?:^|_)(?:dir|src|dst|dest|source|target|uri|href|link|site|to|cc|bcc)(?:$|_)",
    re.IGNORECASE,
)
_IS_COMMAND = re.compile(
    r"(?:^|[_\W])(?:commands?|cmd|shell|bash|sh|zsh|powershell|terminal|scripts?|code|exec|execute|sql|statements?"
    r"|programs?|argv|args|eval|run)(?:$|[_\W])",
    re.IGNORECASE,
)
_LIKE_A_COMMAND = re.compile(
    r"(?:^|\s)--?[a-zA-Z][\w-]*|&&|\|\||\s\|\s|\$\(|`|(?:^|\s)(?:sudo|rm|curl|wget|chmod|del)\s"
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True)
class Piece:
    """A text in the arguments of a call. argument: the name of the argument it stands in. is_path: whether that, or an
    object around it, takes an address of some kind, by its name. is_command: whether one takes a command, by its name
    or the tool's, or the text looks like one. is_key: it is a key of an inner object. group: the same for the items of
    a list, and for the texts of an argument that stand in none."""

    argument: str
    text: str
    is_path: bool = False
    is_command: bool = False
    is_key: bool = False
    group: int = 0

    @property
    def is_short(self) -> bool:
        """Whether there is hardly more in it than an address."""
        return len(self.text.split(None, FEW_WORDS)) <= FEW_WORDS


@dataclass(frozen=True)
class _Place:
    """Where a value stands. piece: without its text. path: its first steps."""

    piece: Piece
    path: tuple[int | str, ...]

    def inside(self, step: int | str, *, names: bool = False, group: int | None = None) -> "_Place":
        """A place in the value. names: the step says what stands there."""
        made = self.piece if group is None else replace(self.piece, group=group)
        if names:
            name = _CAMEL.sub("_", str(step))
            is_path, is_command = made.is_path or takes_path(name), made.is_command or takes_command(name)
            if (is_path, is_command) != (made.is_path, made.is_command):
                made = replace(made, is_path=is_path, is_command=is_command)
        return _Place(made, self.path if len(self.path) > MAX_DEPTH else (*self.path, step))


def takes_path(name: str) -> bool:
    """Whether something with this name is an address of some kind."""
    return bool(_IS_PATH.search(name))


def takes_command(name: str) -> bool:
    """Whether something with this name is a command."""
    return bool(_IS_COMMAND.search(name))


def pieces_of(tool: str, arguments: Mapping[str, Any], parameters: Mapping[str, Any] | None = None) -> list[Piece]:
    """The texts in the arguments of a call, in their order, the keys of inner objects too, as the tool gets them:
    without an object around all of them, and with what JSON in strings says. parameters: their JSON schema."""
    return list(_Reading(tool, parameters or {}).pieces(arguments))


class _Reading:
    def __init__(self, tool: str, parameters: Mapping[str, Any]) -> None:
        self._tool = tool
        self._parameters = parameters
        self._asked = 0
        self._groups = 0

    def pieces(self, arguments: Mapping[str, Any]) -> Iterator[Piece]:
        known: Collection[str] = self._parameters.get("properties") or ()
        if known or self._parameters.get("additionalProperties") is False:
            given = dict(arguments)
            inner = unwrapped(given, self._tool, known)
            beside = {} if inner is given else {name: each for name, each in arguments.items() if _is_text(each)}
            arguments = {**beside, **inner}  # a tool that takes any names gets those beside the wrapper
        is_command = takes_command(_CAMEL.sub("_", self._tool))
        for name, value in arguments.items():
            place = _Place(Piece(name, "", is_command=is_command, group=self._group()), ())
            yield from self._in(value, place.inside(name, names=True))

    def _in(self, value: Any, place: _Place) -> Iterator[Piece]:
        waiting: list[tuple[Any, _Place, bool]] = [(value, place, False)]
        while waiting:
            each, at, is_key = waiting.pop()
            if isinstance(each, str):
                if each:
                    is_command = at.piece.is_command or bool(_LIKE_A_COMMAND.search(each))
                    yield replace(at.piece, text=each, is_command=is_command, is_key=is_key)
                each = None if is_key else self._read(each, at)
            if isinstance(each, Mapping):
                for key, part in reversed(list(each.items())):
                    waiting += [(part, at.inside(key, names=True), False), (key, at, True)]
            elif isinstance(each, Sequence):
                group = self._group()
                parts = [(part, at.inside(step, group=group), False) for step, part in enumerate(each)]
                waiting += reversed(parts)

    def _group(self) -> int:
        self._groups += 1
        return self._groups

    def _read(self, text: str, place: _Place) -> Any:
        """The object or list that a tool reads from a string; None where it takes the string, or there is none."""
        if not text.lstrip().startswith(("{", "[")):
            return None
        self._asked += 1
        is_asked = len(place.path) <= MAX_DEPTH and self._asked <= MAX_ASKED
        if is_asked and (not self._parameters or Expected.at(self._parameters, place.path).takes_text):
            return None
        try:
            made = read_json(text)
        except ValueError:
            return None
        return made if isinstance(made, dict | list) else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not value.lstrip().startswith("{")
