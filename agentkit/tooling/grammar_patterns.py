"""Regular expressions of schemas as llama.cpp compiles them to a grammar.

It takes a pattern from "^" to "$", and copies what stands between nearly as it is into its own language, which has no
`\\d`, no `\\w` and no escaped punctuation: it refuses a request for one such pattern in one of the tools, or does not
return from a bracket that it does not expect.
"""

import re

from agentkit._lazy.patterns import pattern

_SHORT = {"d": "0-9", "w": "a-zA-Z0-9_", "s": r" \t\n\r"}
_ESCAPED = r"\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[\s\S])"
_TOKEN = pattern(
    rf"(?P<escaped>{_ESCAPED})|\[(?P<negated>\^?)(?P<set>(?:\\[\s\S]?|[^\]\\])*+)(?P<end>\]?)|\(\?:|"
    r"(?P<count>(?:[*+?]|\{(?=[\d,])\d{0,9}(?:,\d{0,9})?\}))[?+]?|(?P<other>[\s\S])"
)
_IN_SET = pattern(rf"{_ESCAPED}|[\s\S]")
_KEPT = frozenset("^$.[]()|{}*+?")
"""Characters of which llama.cpp takes the backslash away."""


def in_grammar(regex: str) -> str | None:
    """The same pattern in what llama.cpp compiles; None when it can't be said there. regex: a valid pattern without
    look-arounds and references (`agentkit.tooling.schema_forms.is_safe_pattern`)."""
    if len(regex) < 3 or regex[0] != "^" or regex[-1] != "$":
        return None
    made, depth = [], 0
    for token in _TOKEN.finditer(regex[1:-1]):
        part = _part(token)
        depth += (token[0] in ("(", "(?:")) - (token[0] == ")")
        if part is None or (part == "|" and not depth):  # the anchors belong to one side each
            return None
        made.append(part)
    return f"^{''.join(made)}$"


def _part(token: re.Match[str]) -> str | None:
    if token["set"] is not None:
        return _set(token["set"], token["negated"]) if token["end"] else None
    if token["escaped"]:
        return _escape(token[0])
    if token["other"] is None:
        return token["count"] or "("
    char = token["other"]
    if char in '^$[]{}"\\' or ord(char) < 32:
        return None
    return char if char.isascii() else f"[{char}]"


def _escape(escape: str) -> str | None:
    char = escape[1]
    if len(escape) > 2:
        return f"[{escape}]"
    if char.lower() in _SHORT:
        return f"[{'^' if char.isupper() else ''}{_SHORT[char.lower()]}]"
    if char in _KEPT:
        return escape
    return None if char.isalnum() or char in '"\\' or not char.isprintable() else char


def _set(inside: str, negated: str) -> str | None:
    """A set of characters, in which a minus that is one of them stands last."""
    parts = [each[0] for each in _IN_SET.finditer(inside)]
    has_minus = r"\-" in parts or (bool(parts) and parts[-1] == "-")
    if parts and parts[-1] == "-":
        parts.pop()
    made = [_of_set(each) for each in parts if each != r"\-"]
    if None in made or (made and made[0] == "^"):
        return None
    return f"[{negated}{''.join(filter(None, made))}{'-' * has_minus}]"


def _of_set(part: str) -> str | None:
    if part[0] != "\\" or len(part) > 2 or part[1] in "[]tnr":
        return part
    if part[1] in _SHORT:
        return _SHORT[part[1]]
    return None if part[1].isalnum() or part[1] in '"\\' or not part[1].isprintable() else part[1]
