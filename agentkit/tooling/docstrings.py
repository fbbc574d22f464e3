"""Reads the docstring of a function: the text about it, and the description of each of its parameters.

The parameters are known from the signature, so an entry is recognised by its name, however it is written: Google,
NumPy,
Sphinx and Epytext style, Markdown lists and tables, with or without blank lines, types, bullets, backticks and regular
indentation. What describes no parameter stays in the text; only sections about results and exceptions are left out.
"""

import inspect
import re
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from agentkit._lazy.patterns import pattern
from agentkit._lazy.records import dataclass, field

TAKEN_AWAY = inspect.getdoc.__doc__ is None
"""Whether this program runs without docstrings: under `python -OO`, or frozen with that optimisation."""


@dataclass(frozen=True)
class Docstring:
    """A docstring, read. text: the part about the function; parameters: the description of each parameter."""

    text: str
    parameters: dict[str, str]


def docstring_of(function: Callable[..., Any], names: Collection[str]) -> Docstring:
    """Read the docstring of a function. names: of all its parameters."""
    while isinstance(function, partial):
        function = function.func
    if inspect.isclass(function):
        return read_docstring(_docstring_of_class(function), names)
    is_its_own = inspect.isroutine(function) or "__doc__" in getattr(function, "__dict__", {})
    return read_docstring(inspect.getdoc(function if is_its_own else type(function).__call__) or "", names)


def _docstring_of_class(kind: type) -> str:
    """The docstring of a class or of a base of it, but for those of libraries (BaseModel has a long one)."""
    for each in kind.__mro__:
        if each.__module__.partition(".")[0] in ("pydantic", "msgspec", "builtins", "typing", "typing_extensions"):
            return ""
        if vars(each).get("__doc__"):
            return str(vars(each)["__doc__"])
    return ""


def read_docstring(raw: str, names: Collection[str]) -> Docstring:
    """Read the text of a docstring. names: of all parameters of its function."""
    reader = _Reader([line.rstrip() for line in inspect.cleandoc(raw).expandtabs().split("\n")], names)
    reader.read()
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(reader.text)).strip()
    return Docstring(text or raw.strip(), {name: text for name, text in reader.found.items() if text})


_KINDS = r"keyword|key word|keyword[- ]only|other|input|function|tool|method|call|required|optional|named|positional"
_PARAMETERS = (
    rf"(?:(?:{_KINDS})\s+)?(?:args?|arguments?|param(?:eter)?s?)|kwargs|inputs?|attributes|fields"
    r"|参数(?:说明|列表)?|輸入參數|參數|引数|パラメータ|매개변수|인자|аргументы|параметры|argumente|argumentos|paramètres"
    r"|parámetros|parâmetros|parametri|argomenti"
)
_LEFT_OUT = (
    r"returns?|return values?|yields?|receives|raises?|exceptions?|throws|warns"
    r"|返回(?:值)?|异常|抛出|戻り値|возвращает|исключения|rückgabe|renvoie|retourne|devuelve|retorna"
)
_HEADER = pattern(
    r"(?P<indent>\s*)(?:(?P<marks>\#{1,6}\s*|[*_]{1,3}|=+\s*))?"
    rf"(?:(?P<parameters>{_PARAMETERS})|(?P<left_out>{_LEFT_OUT}))"
    r"(?:\s*\([^)]*\))?(?P<colon>\s*[*_]{0,3}\s*[:：][*_]{0,3}|\s*[*_]{1,3})?(?:\s+(?P<rest>\S.*)|\s*=*)",
    re.IGNORECASE,
)
_UNDERLINE = pattern(r"\s*([-=~^])\1{2,}\s*")
_FIELD = pattern(
    r"(?P<indent>\s*)[:@\\](?:(?P<parameter>param|parameter|arg|argument|key|keyword|kwarg|kwparam|attr|var|ivar)\b"
    r"(?:\[[\w, ]+\])?|[a-zA-Z]{3,}\b)\s*(?P<body>.*)"
)
_BULLET = r"(?:[-*+•‣·–—]\s+|\(?\d{1,3}[.)]\s+|\|\s*)?"
_QUOTES = r"[`'\"*“”‘’]*"
_OTHER_ENTRY = pattern(rf"\s*{_BULLET}{_QUOTES}[A-Za-z_]\w*{_QUOTES}\s*(?:\([^)]*\)\s*)?{_QUOTES}[:：]")
_SEPARATOR = pattern(r"(?:\s*[:：|]|\s+(?:=>|->|--?|[–—]|=)(?=\s))\s*(.*)")
_BRACKETS = {"(": ")", "[": "]", "<": ">", "（": "）", "{": "}"}
_KNOWN_TYPE = (
    r"(?:str(?:ing)?|int(?:eger)?|float|number|bool(?:ean)?|list|dict|tuple|set|bytes|any|none|null|object|array(?:_like)?"
    r"|callable|path|date(?:time)?|optional|union|literal|sequence|mapping|iterable|[\w.]+\[.*\]|\{.*\})"
)
_TYPE = pattern(
    rf"{_KNOWN_TYPE}(?:\[.*\])?(?:(?:\s*\|\s*|\s*,\s*|\s+or\s+|\s+of\s+)(?:{_KNOWN_TYPE}s?(?:\[.*\])?|optional|default.*))*",
    re.IGNORECASE,
)


@dataclass
class _Entry:
    """The description of one parameter, or of several at once; of none in `names` for one that the function has not."""

    names: list[str]
    indent: int
    first: str
    header: str = ""
    lines: list[str] = field(default_factory=list)

    def described(self, has_types: bool) -> str:
        """The description on one line. has_types: what stands behind the colon is a type, as NumPy has it."""
        below = " ".join(" ".join(self.lines).split())
        is_type = (has_types and below) or _is_type(self.first)
        if is_type and (below or has_types):
            return below
        return f"{self.first} {below}".strip()


class _Reader:
    """Goes through the lines of a docstring once."""

    def __init__(self, lines: list[str], names: Collection[str]) -> None:
        self.lines = lines
        self.text: list[str] = []
        self.found: dict[str, str] = {}
        any_name = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or r"(?!)"
        one = rf"(?:\\?\*){{0,2}}{_QUOTES}(?:{any_name})(?!\w){_QUOTES}"
        self._entry = pattern(rf"(?P<indent>\s*){_BULLET}(?P<names>{one}(?:\s*(?:,|/|&|and)\s*{one})*)(?P<rest>.*)")
        self._names = tuple(names)
        self._name = pattern(rf"(?<!\w)(?:{any_name})(?!\w)")
        self._ends_in_name = pattern(rf"(?<!\w)(?:{any_name})[`'\"*]*\s*(?:\([^)]*\)\s*)?$")

    def read(self) -> None:
        """Read all lines."""
        position = 0
        while position < len(self.lines):
            position = self._read_at(position)

    def _read_at(self, position: int) -> int:
        line = self.lines[position]
        header = self._header_at(position)
        if header is not None:
            return self._section(position, header)
        tag = _field_of(line)
        if tag:
            return self._field(position, tag)
        entry = self._entry_in(line)
        if entry is not None and entry.first:  # without a header: described, and a part of the text all the same
            end = self._end_of_entry(position, entry)
            entry.lines = self.lines[position + 1 : end]
            self._note(entry, has_types=False)
            self.text += self.lines[position:end]
            return end
        self.text.append(line)
        return position + 1

    def _note(self, entry: _Entry, has_types: bool) -> None:
        described = entry.described(has_types)
        for name in entry.names:
            if described and not self.found.get(name):
                self.found[name] = described

    def _header_at(self, position: int) -> re.Match[str] | None:
        """The header of a section, if a line is one: with a colon, an underline or markup, or before an entry."""
        match = _HEADER.fullmatch(self.lines[position])
        if match is None or self._is_variadic(match):
            return None
        if match["rest"]:  # "Args: city: its name"
            is_entry = match["colon"] and match["parameters"] and self._entry_in(match["rest"])
            return match if is_entry else None
        if match["colon"] or match["marks"] or self._is_underlined(position):
            return match
        following = next((line for line in self.lines[position + 1 :] if line), "")
        return match if match["parameters"] and self._entry_in(following) else None

    def _is_variadic(self, header: re.Match[str]) -> bool:
        """Whether this is the entry of a parameter `*args` or `**kwargs`, as NumPy has it, and no header in bold."""
        is_closed = "*" in (header["colon"] or "")
        return (header["marks"] or "") in ("*", "**") and not is_closed and header["parameters"] in self._names

    def _is_underlined(self, position: int) -> bool:
        return position + 1 < len(self.lines) and bool(_UNDERLINE.fullmatch(self.lines[position + 1]))

    def _section(self, position: int, header: re.Match[str]) -> int:
        is_underlined = self._is_underlined(position)
        begin = position + (2 if is_underlined else 1)
        end = self._end_of_section(begin, len(header["indent"]), is_underlined, bool(header["parameters"]))
        lines = self.lines[begin:end]
        if header["parameters"]:
            if header["rest"]:
                lines.insert(0, f"{header['indent']}    {header['rest']}")
            self._entries(lines, is_underlined)
        elif not any(lines):
            self.text += self.lines[position:end]
        return end

    def _end_of_section(self, begin: int, indent: int, is_underlined: bool, has_entries: bool) -> int:
        """The line behind a section. It ends at the next header; without an underline also where the text is no longer
        indented, if it was before, and is no entry."""
        is_indented = False
        for position in range(begin, len(self.lines)):
            line = self.lines[position]
            if not line:
                continue
            own = _indent_of(line)
            entry = self._entry_in(line) if has_entries else None
            if entry is not None and (own > indent or is_indented is False):
                is_indented = is_indented or own > indent
                continue
            if self._begins_another(position) and own <= indent:
                return position
            if own > indent:
                is_indented = True
            elif is_underlined:
                if has_entries and not self.lines[position - 1] and not _OTHER_ENTRY.match(line):
                    return position
            elif is_indented or not has_entries or not self.lines[position - 1]:
                return position
        return len(self.lines)

    def _begins_another(self, position: int) -> bool:
        return (
            self._header_at(position) is not None
            or self._is_underlined(position)
            or _field_of(self.lines[position]) is not None
        )

    def _entries(self, lines: list[str], has_types: bool) -> None:
        """Read the entries of a section; lines before the first, and entries of no parameter, are text."""
        entries = list(self._split(lines))
        named = {name: entry.indent for entry in reversed(entries) for name in entry.names}
        for entry in entries:
            named |= {name: min(entry.indent, named[name]) for name in entry.names}
        kept: list[_Entry] = []
        for entry in entries:
            is_nested = kept and kept[-1].names and entry.indent > kept[-1].indent and entry.names
            if is_nested and any(named[name] < entry.indent for name in entry.names):
                kept[-1].lines += [entry.header, *entry.lines]  # the name of a parameter inside a description
            else:
                kept.append(entry)
        for entry in kept:
            self._note(entry, has_types)
            if not entry.names:
                self.text += [entry.header, *entry.lines]

    def _split(self, lines: list[str]) -> Iterator[_Entry]:
        """The entries of a section, and what belongs to none of them as entries without names."""
        current: _Entry | None = None
        for line in lines:
            entry = self._entry_in(line)
            if entry is None and _OTHER_ENTRY.match(line) and (current is None or _indent_of(line) <= current.indent):
                entry = _Entry([], _indent_of(line), "", line)
            if entry is not None:
                if current is not None:
                    yield current
                current = entry
            elif current is not None:
                current.lines.append(line)
            elif line:
                self.text.append(line)
        if current is not None:
            yield current

    def _entry_in(self, line: str) -> _Entry | None:
        """The entry that a line begins: the name of a parameter, perhaps its type, a separator and a description."""
        if not any(name in line for name in self._names):
            return None
        match = self._entry.fullmatch(line)
        if match is None:
            return None
        names = [match["names"]] if match["names"] in self._names else self._name.findall(match["names"])
        indent = len(match["indent"])
        rest = _without_type(match["rest"])
        if not rest.strip():
            return _Entry(names, indent, "", line)
        separated = _SEPARATOR.fullmatch(rest)
        if separated is None:
            return None
        described = separated[1]
        if line.lstrip().startswith("|"):  # the row of a table: the last cell describes
            described = described.strip().strip("|").rpartition("|")[2]
        return _Entry(names, indent, re.sub(r"^[*`_]{1,3}\s+", "", described).strip(), line)

    def _end_of_entry(self, position: int, entry: _Entry) -> int:
        end = position + 1
        while end < len(self.lines) and self.lines[end] and _indent_of(self.lines[end]) > entry.indent:
            end += 1
        return end

    def _field(self, position: int, tag: re.Match[str]) -> int:
        """Read a field of Sphinx or Epytext style: `:param str city: its name`, `@param city: its name`."""
        indent, end = len(tag["indent"]), position + 1
        while end < len(self.lines) and not self._ends_field(end, indent):
            end += 1
        if not tag["parameter"]:
            if re.fullmatch(
                r"\s*[:@\\](?:type|rtype|returns?|raises?|throws|exception|yields?|ytype|meta)\b.*", tag[0]
            ):
                return end
            self.text += self.lines[position:end]
            return end
        head, described = _head_of(tag["body"])
        names = self._name.findall(head)[-1:] if self._ends_in_name.search(head) else []
        if not names:  # without a colon behind the name, as Javadoc has it
            first = self._name.search(tag["body"])
            if first is not None:
                names, described = [first[0]], re.sub(r"^\s*[`'\"*]*\s*[-–—:：]?\s*", "", tag["body"][first.end() :])
        entry = _Entry(names, indent, described.strip(), tag[0], self.lines[position + 1 : end])
        self._note(entry, has_types=False)
        if not names:
            self.text += self.lines[position:end]
        return end

    def _ends_field(self, position: int, indent: int) -> bool:
        line = self.lines[position]
        if not line:
            following = next((each for each in self.lines[position + 1 :] if each), "")
            return _indent_of(following) <= indent
        return _indent_of(line) <= indent and (_field_of(line) is not None or self._header_at(position) is not None)


def _field_of(line: str) -> re.Match[str] | None:
    return _FIELD.fullmatch(line) if line.lstrip()[:1] in (":", "@", "\\") else None


def _is_type(text: str) -> bool:
    is_sentence = text.endswith(".") and "default" not in text.lower()  # of types, only a default may end so
    return not is_sentence and _TYPE.fullmatch(text) is not None


def _indent_of(line: str) -> int:
    return len(line) - len(line.lstrip())


def _head_of(body: str) -> tuple[str, str]:
    """What stands before the first colon outside of brackets, and what stands behind it; ("", body) without one."""
    depth = 0
    for position, letter in enumerate(body):
        depth += (letter in "([{") - (letter in ")]}")
        if letter in ":：" and depth <= 0:
            return body[:position], body[position + 1 :]
    return "", body


def _without_type(rest: str) -> str:
    """What follows a name, without a type in brackets and the markup around it."""
    typed = rest.lstrip()
    closing = _BRACKETS.get(typed[:1])
    if closing is None:
        return rest
    depth = 0
    for position, letter in enumerate(typed):
        depth += (letter == typed[0]) - (letter == closing)
        if depth == 0:
            return re.sub(r"^[`'\"*\s]+(?=[:：])", "", typed[position + 1 :])
    return rest
