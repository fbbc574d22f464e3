"""Makes valid Python of calls that a model wrote nearly as Python."""

import keyword
import re

RESERVED = "__reserved"
"""Stands behind the name of an argument that Python reserves, such as `from`."""
_WORDS = "|".join(keyword.kwlist)
_TOKEN = re.compile(
    r"""["'{}\[\](),:]|\b(?:true|false|null)\b|(?<![\w.])0+(?=\d)"""
    rf"|\b(?P<name>{_WORDS})(?=\s{{0,9}}=[^=])"
)
_CONSTANTS = {"true": "True", "false": "False", "null": "None"}
_IN_STRING = re.compile(r"""["'\\\n\r\x00]""")
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\x00": "\\x00"}
_NEXT = r"""(?:[A-Za-z_][\w.]{0,100}\s{0,9}[=(]|["'\[{(]|-?\d|(?:True|False|None|true|false|null)\b)"""
_END = r"[)\]}]{0,20}\s{0,9}"
_CLOSES = re.compile(rf"(?:\s{{0,9}}[)\]}}]){{0,20}}\s{{0,9}}(?:,\s{{0,9}}{_NEXT}|:|;|,?\s{{0,9}}{_END}$)")


def repaired(text: str) -> str:
    """Returns the text with the constants of JSON as Python's, sets as lists, no leading zeros, and RESERVED behind the
    names of some arguments; inside of strings, with line breaks and NUL escaped, and quotation marks behind which the
    string goes on."""
    made: list[str] = []
    braces: list[tuple[int, bool]] = []  # open brackets: the place of a brace that is no dict so far, and whether it is
    start = 0
    while found := _TOKEN.search(text, start):
        made.append(text[start : found.start()])
        token, start = found.group(), found.end()
        if token in "\"'":
            start = _copy_string(text, found.start(), made)
            continue
        if found["name"]:
            made.append(token + RESERVED)
            continue
        made.append(_CONSTANTS.get(token, "" if token.startswith("0") else token))
        if token in "{[(":
            braces.append((len(made) - 1, token == "{" and not text[start : start + 20].lstrip().startswith("}")))
        elif token == ":" and braces:
            braces[-1] = (braces[-1][0], False)
        elif token in "}])" and braces:
            place, is_set = braces.pop()
            if is_set and token == "}":
                made[place], made[-1] = "[", "]"
    return "".join((*made, text[start:]))


def _copy_string(text: str, start: int, made: list[str]) -> int:
    """Copy the string that begins at a position. Returns the position after it."""
    quote = text[start]
    made.append(quote)
    at = start + 1
    while found := _IN_STRING.search(text, at):
        made.append(text[at : found.start()])
        character, at = found.group(), found.end()
        if character == "\\":
            made.append(character + text[at : at + 1])
            at += 1
        elif character != quote:
            made.append(_ESCAPES.get(character, character))
        elif _CLOSES.match(text, at):
            made.append(quote)
            return at
        else:
            made.append("\\" + quote)
    made.append(text[at:])
    return len(text)
